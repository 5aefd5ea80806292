/**
 * Several of many values. Values that are chosen and no longer offered stay in the list, or they could not be
 * taken back.
 */
import { useState } from 'preact/hooks'
import { Popover } from './popover.tsx'

const SEARCHED_FROM = 8
const SHOWN_AT_MOST = 200

interface MultiSelectProps {
  readonly label: string
  readonly options: readonly string[]
  readonly chosen: readonly string[]
  readonly onChange: (chosen: readonly string[]) => void
}

export function MultiSelect({ label, options, chosen, onChange }: MultiSelectProps) {
  const first = chosen[0]
  const summary =
    first === undefined ? label : `${label}: ${first}${chosen.length > 1 ? ` +${chosen.length - 1}` : ''}`
  return (
    <Popover label={<span class="cut pick-label">{summary}</span>} isOn={chosen.length > 0}>
      {() => <Options label={label} options={options} chosen={chosen} onChange={onChange} />}
    </Popover>
  )
}

function Options({ label, options, chosen, onChange }: MultiSelectProps) {
  const [text, setText] = useState('')
  const all = [...new Set([...chosen, ...options])]
  const fitting = all.filter((option) => option.toLowerCase().includes(text.toLowerCase()))
  const shown = fitting.slice(0, SHOWN_AT_MOST)

  return (
    <>
      {all.length > SEARCHED_FROM && (
        <input
          class="input wide"
          type="search"
          aria-label={`Find ${label.toLowerCase()}`}
          placeholder={`Find among ${all.length}`}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      )}
      <fieldset class="pick-options" aria-label={label}>
        {shown.map((option) => (
          <label key={option} class="check">
            <input
              type="checkbox"
              checked={chosen.includes(option)}
              onChange={(event) =>
                onChange(
                  event.currentTarget.checked ? [...chosen, option] : chosen.filter((one) => one !== option),
                )
              }
            />
            <bdi>{option}</bdi>
          </label>
        ))}
        {fitting.length > shown.length && (
          <p class="faint small">{fitting.length - shown.length} more: type to narrow.</p>
        )}
        {fitting.length === 0 && (
          <p class="faint small">{all.length === 0 ? 'None in this time.' : 'None with this text.'}</p>
        )}
      </fieldset>
      {chosen.length > 0 && (
        <button type="button" class="button quiet" onClick={() => onChange([])}>
          Clear
        </button>
      )}
    </>
  )
}
