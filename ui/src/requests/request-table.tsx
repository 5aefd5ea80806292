import { useLayoutEffect, useRef } from 'preact/hooks'
import type { LogEntry } from '../../../src/admin/api-types.ts'
import { exact, formatCount, formatMs, formatUsd, optional } from '../format/numbers.ts'
import { changed, href, place } from '../navigation/location.ts'
import { Time } from '../parts/time.tsx'
import { useRowKeys } from '../search/row-keys.ts'
import { StatusBadge } from './status-badge.tsx'

interface RequestTableProps {
  readonly rows: readonly LogEntry[]
  readonly open: string | undefined
  /** Ids of those that came live. */
  readonly fresh: ReadonlySet<string>
  readonly isStale: boolean
  readonly onOpen: (id: string) => void
}

export function RequestTable({ rows, open, fresh, isStale, onOpen }: RequestTableProps) {
  const ids = rows.map((row) => row.id)
  const keys = useRowKeys({ ids, open, onMove: (id) => open !== undefined && onOpen(id) })
  useSteadyScroll(keys.frame, ids[0])

  return (
    <div class={`table-frame grow${isStale ? ' is-stale' : ''}`} ref={keys.frame} aria-busy={isStale}>
      <table class="fixed rows">
        <thead>
          <tr>
            <th scope="col" class="w-time">
              Ended
            </th>
            <th scope="col">Operation or model</th>
            <th scope="col" class="w-backend optional">
              Backend
            </th>
            <th scope="col" class="w-status">
              Status
            </th>
            <th scope="col" class="w-tokens number">
              Tokens in → out
            </th>
            <th scope="col" class="w-cost number">
              Cost
            </th>
            <th scope="col" class="w-number number">
              Duration
            </th>
            <th scope="col" class="w-first number optional">
              First token
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row
              key={row.id}
              row={row}
              isOpen={row.id === open}
              isNew={fresh.has(row.id)}
              isReachable={row.id === keys.reachable}
              onFocus={keys.onFocus}
              onOpen={onOpen}
            />
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** What the reader looks at stays where it is while rows arrive above it. */
function useSteadyScroll(frame: { current: HTMLDivElement | null }, firstId: string | undefined): void {
  const before = useRef(0)
  // Only what comes on top moves the rest
  useLayoutEffect(() => {
    const element = frame.current
    if (element === null) return
    const grown = element.scrollHeight - before.current
    if (element.scrollTop > 0 && before.current > 0 && grown > 0) element.scrollTop += grown
  }, [firstId])
  useLayoutEffect(() => {
    before.current = frame.current?.scrollHeight ?? 0
  })
}

interface RowProps {
  readonly row: LogEntry
  readonly isOpen: boolean
  readonly isNew: boolean
  readonly isReachable: boolean
  readonly onFocus: (id: string) => void
  readonly onOpen: (id: string) => void
}

function Row({ row, isOpen, isNew, isReachable, onFocus, onOpen }: RowProps) {
  const { usage, cost } = row
  return (
    <tr
      aria-current={isOpen ? 'true' : undefined}
      class={isNew ? 'is-new' : ''}
      onClick={(event) => {
        if (event.target instanceof Element && event.target.closest('a') !== null) return
        onFocus(row.id)
        onOpen(row.id)
      }}
    >
      <td>
        <a
          class="row-link"
          data-row={row.id}
          tabIndex={isReachable ? 0 : -1}
          href={href('/requests', changed(place.value.query, { open: row.id }))}
          onFocus={() => onFocus(row.id)}
        >
          <Time at={row.completedAt} />
        </a>
      </td>
      <td title={nameOf(row).join(' · ')}>
        <bdi>{nameOf(row)[0]}</bdi> <bdi class="faint">{nameOf(row)[1]}</bdi>
      </td>
      <td class="optional soft" title={row.backend}>
        {row.backend ?? '–'}
      </td>
      <td>
        <StatusBadge log={row} />
      </td>
      <td
        class="number tokens"
        title={usage && `${exact(usage.inputTokens)} in, ${exact(usage.outputTokens)} out`}
      >
        {usage === undefined ? (
          <span class="faint">–</span>
        ) : (
          <>
            {formatCount(usage.inputTokens)} <span class="faint">→</span> {formatCount(usage.outputTokens)}
          </>
        )}
      </td>
      <td class="number" title={cost === undefined ? row.costStatus : `$${exact(cost)}`}>
        {optional(cost, formatUsd)}
      </td>
      <td class="number" title={`${exact(row.durationMs)} ms`}>
        {formatMs(row.durationMs)}
      </td>
      <td
        class="number optional"
        title={row.firstTokenMs === undefined ? undefined : `${exact(row.firstTokenMs)} ms`}
      >
        {optional(row.firstTokenMs, formatMs)}
      </td>
    </tr>
  )
}

/** What was asked for, and a word on how. */
function nameOf(row: LogEntry): readonly [string, string] {
  if (row.mcp !== undefined) return [row.operation, row.mcp.target ?? '']
  const model = row.genAi?.requestModel ?? row.genAi?.responseModel
  if (model !== undefined) return [model, row.genAi?.operationName ?? '']
  return [row.operation, row.protocol]
}
