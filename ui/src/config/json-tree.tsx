/**
 * A JSON value that folds.
 */
import { useMemo, useState } from 'preact/hooks'
import { isObject } from '../format/json.ts'
import { CopyButton } from '../parts/copy-button.tsx'
import { filterJson } from './json-filter.ts'

/** As far as a listener's routes. */
const OPEN_TO_DEPTH = 7

interface JsonTreeProps {
  readonly title: string
  readonly value: unknown
}

export function JsonTree({ title, value }: JsonTreeProps) {
  const [text, setText] = useState('')
  const wanted = text.trim()
  const shown = useMemo(() => (wanted === '' ? value : filterJson(value, wanted)), [value, wanted])

  return (
    <>
      <div class="card-head">
        <h2>{title}</h2>
        <input
          class="input push"
          type="search"
          aria-label={`Find in ${title.toLowerCase()}`}
          placeholder="Find a key or value"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <CopyButton text={JSON.stringify(value, undefined, 2)} what={title} hasWord />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <div class="tree" tabIndex={0}>
        {shown === undefined ? (
          <p class="faint">Nothing with this text.</p>
        ) : (
          // A new search opens what it finds, whatever was folded before.
          <Node key={wanted} name={undefined} value={shown} depth={0} isAllOpen={wanted !== ''} />
        )}
      </div>
    </>
  )
}

interface NodeProps {
  readonly name: string | undefined
  readonly value: unknown
  readonly depth: number
  readonly isAllOpen: boolean
}

function Node({ name, value, depth, isAllOpen }: NodeProps) {
  const label = name === undefined ? null : <span class="name">{name}</span>
  const isList = Array.isArray(value)
  if (!isList && !isObject(value)) {
    return (
      <span class="leaf">
        {label}
        {label !== null && ': '}
        <span class={typeof value === 'string' ? 'text' : 'plain'}>{JSON.stringify(value) ?? 'null'}</span>
      </span>
    )
  }
  const entries: readonly (readonly [string, unknown])[] = isList
    ? value.map((one, index) => [String(index), one] as const)
    : Object.entries(value)
  const size = isList ? `[${entries.length}]` : `{${entries.length}}`
  if (entries.length === 0) {
    return (
      <span class="leaf">
        {label}
        {label !== null && ': '}
        <span class="faint">{isList ? '[]' : '{}'}</span>
      </span>
    )
  }
  return (
    <details open={isAllOpen || depth < OPEN_TO_DEPTH}>
      <summary>
        {label} <span class="faint">{size}</span>
      </summary>
      <ul>
        {entries.map(([key, one]) => (
          <li key={key}>
            <Node name={key} value={one} depth={depth + 1} isAllOpen={isAllOpen} />
          </li>
        ))}
      </ul>
    </details>
  )
}
