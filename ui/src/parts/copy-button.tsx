import { useEffect, useState } from 'preact/hooks'
import { Icon } from './icons.tsx'

const SHOWN_MS = 1600

/** `navigator.clipboard` is missing on plain HTTP from another host; the old way works there. */
async function copy(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text)
  const field = document.createElement('textarea')
  field.value = text
  field.style.position = 'fixed'
  field.style.opacity = '0'
  document.body.append(field)
  field.select()
  const isDone = document.execCommand('copy')
  field.remove()
  if (!isDone) throw new Error('The browser does not let this page copy.')
}

interface CopyButtonProps {
  readonly text: string
  /** What is copied, for the button's name. */
  readonly what: string
  readonly hasWord?: boolean
}

export function CopyButton({ text, what, hasWord = false }: CopyButtonProps) {
  const [state, setState] = useState<'idle' | 'done' | 'failed'>('idle')

  useEffect(() => {
    if (state === 'idle') return
    const timer = setTimeout(() => setState('idle'), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [state])

  const word = { idle: 'Copy', done: 'Copied', failed: 'Not allowed' }[state]
  return (
    <button
      type="button"
      class="button quiet icon"
      aria-label={`Copy ${what}`}
      title={word}
      onClick={() =>
        copy(text).then(
          () => setState('done'),
          () => setState('failed'),
        )
      }
    >
      <Icon name={state === 'done' ? 'check' : 'copy'} />
      {hasWord && <span aria-hidden="true">{word}</span>}
      <span class="only-spoken" aria-live="polite">
        {state === 'idle' ? '' : word}
      </span>
    </button>
  )
}
