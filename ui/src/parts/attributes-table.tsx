/**
 * Names and values, to be searched by either.
 */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

type Value = string | number | boolean | readonly (string | number | boolean)[]

interface AttributesTableProps {
  readonly title: string
  readonly attributes: Readonly<Record<string, Value>>
}

const SEARCHED_FROM = 8

export function AttributesTable({ title, attributes }: AttributesTableProps) {
  const [text, setText] = useState('')
  const all = Object.entries(attributes).map(([name, value]) => ({ name, value: textOf(value) }))
  const wanted = text.trim().toLowerCase()
  const shown = all.filter(({ name, value }) => `${name} ${value}`.toLowerCase().includes(wanted))

  return (
    <section class="stack" aria-label={title}>
      <div class="row">
        <h3>{title}</h3>
        <span class="faint small">{all.length}</span>
        {all.length >= SEARCHED_FROM && (
          <input
            class="input push"
            type="search"
            placeholder="Find an attribute"
            aria-label={`Find in ${title.toLowerCase()}`}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
      </div>
      {all.length === 0 && <p class="faint">None.</p>}
      {all.length > 0 && (
        <table class="attributes">
          <tbody>
            {shown.map(({ name, value }) => (
              <tr key={name}>
                <th scope="row">{breakable(name)}</th>
                <td>{value}</td>
              </tr>
            ))}
            {shown.length === 0 && (
              <tr>
                <td colSpan={2}>No attribute with this text.</td>
              </tr>
            )}
          </tbody>
        </table>
      )}
    </section>
  )
}

/** `gen_ai.usage.input_tokens` may break after its dots and underscores. */
function breakable(name: string): ComponentChildren {
  return name.split(/(?<=[._])/).flatMap((part) => [part, <wbr key={part} />])
}

function textOf(value: Value): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
