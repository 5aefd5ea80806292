import { useId } from 'preact/hooks'
import { Icon } from './icons.tsx'

/** An explanation that is there on hover and on focus. */
export function Tip({ about, text }: { readonly about: string; readonly text: string }) {
  const id = useId()
  return (
    <span class="tip">
      <button type="button" aria-label={`About ${about}`} aria-describedby={id}>
        <Icon name="info" />
      </button>
      <span role="tooltip" id={id}>
        {text}
      </span>
    </span>
  )
}
