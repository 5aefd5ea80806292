/**
 * A trace as a tree of bars. Up and down move, left and right fold, Enter shows a span's details.
 */
import { useMemo, useRef, useState } from 'preact/hooks'
import type { ApiSpan } from '../../../src/admin/api-types.ts'
import { exact, formatMs } from '../format/numbers.ts'
import { Icon } from '../parts/icons.tsx'
import { layoutWaterfall, type WaterfallRow } from './layout.ts'

const TICKS = [0, 0.25, 0.5, 0.75, 1] as const

interface WaterfallProps {
  readonly spans: readonly ApiSpan[]
  readonly selected: string | undefined
  readonly onSelect: (spanId: string) => void
}

export function WaterfallView({ spans, selected, onSelect }: WaterfallProps) {
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set())
  const [focused, setFocused] = useState<string | undefined>(undefined)
  const list = useRef<HTMLDivElement>(null)
  const { rows, start, durationMs } = useMemo(() => layoutWaterfall(spans, collapsed), [spans, collapsed])
  const reachable = rows.find(({ span }) => span.spanId === (focused ?? selected)) ?? rows[0]

  function fold(spanId: string, isFolded: boolean) {
    const next = new Set(collapsed)
    if (isFolded) next.add(spanId)
    else next.delete(spanId)
    setCollapsed(next)
  }

  function focusRow(index: number) {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))]
    if (row === undefined) return
    setFocused(row.span.spanId)
    list.current?.querySelector<HTMLElement>(`[data-span="${CSS.escape(row.span.spanId)}"]`)?.focus()
  }

  function onKeyDown(event: KeyboardEvent) {
    const index = reachable === undefined ? -1 : rows.indexOf(reachable)
    const row = rows[index]
    if (row === undefined) return
    const parentAt = rows.findLastIndex((one, at) => at < index && one.depth < row.depth)
    const actions: Record<string, () => void> = {
      ArrowDown: () => focusRow(index + 1),
      j: () => focusRow(index + 1),
      ArrowUp: () => focusRow(index - 1),
      k: () => focusRow(index - 1),
      Home: () => focusRow(0),
      End: () => focusRow(rows.length - 1),
      ArrowRight: () => (row.isCollapsed ? fold(row.span.spanId, false) : focusRow(index + 1)),
      ArrowLeft: () =>
        row.childCount > 0 && !row.isCollapsed
          ? fold(row.span.spanId, true)
          : focusRow(Math.max(0, parentAt)),
      Enter: () => onSelect(row.span.spanId),
      ' ': () => onSelect(row.span.spanId),
    }
    const action = actions[event.key]
    if (action === undefined) return
    event.preventDefault()
    event.stopPropagation()
    action()
  }

  return (
    <div class="waterfall">
      <div class="waterfall-ruler" aria-hidden="true">
        <span>Span</span>
        <div class="waterfall-ticks">
          {TICKS.map((share) => (
            <span key={share} style={{ left: `${share * 100}%` }}>
              {formatMs(durationMs * share)}
            </span>
          ))}
        </div>
      </div>
      <div role="tree" aria-label="Spans" ref={list} onKeyDown={onKeyDown}>
        {rows.map((row) => (
          <SpanRow
            key={row.span.spanId}
            row={row}
            traceStart={start}
            isSelected={row.span.spanId === selected}
            isReachable={row === reachable}
            onSelect={() => {
              setFocused(row.span.spanId)
              onSelect(row.span.spanId)
            }}
            onFold={() => fold(row.span.spanId, !row.isCollapsed)}
          />
        ))}
      </div>
    </div>
  )
}

interface SpanRowProps {
  readonly row: WaterfallRow
  readonly traceStart: number
  readonly isSelected: boolean
  readonly isReachable: boolean
  readonly onSelect: () => void
  readonly onFold: () => void
}

const percent = (share: number) => `${share * 100}%`

function SpanRow({ row, traceStart, isSelected, isReachable, onSelect, onFold }: SpanRowProps) {
  const { span, depth, childCount, isCollapsed, bar, critical, criticalMs } = row
  const isFailed = span.error !== undefined
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree has the keys of all its rows
    <div
      role="treeitem"
      class={`waterfall-row${isFailed ? ' is-failed' : ''}`}
      data-span={span.spanId}
      tabIndex={isReachable ? 0 : -1}
      aria-level={depth + 1}
      aria-selected={isSelected}
      aria-expanded={childCount > 0 ? !isCollapsed : undefined}
      onClick={onSelect}
    >
      <span class="waterfall-name" style={{ paddingLeft: `${Math.min(depth, 12) * 14}px` }}>
        {/* biome-ignore lint/a11y/useKeyWithClickEvents lint/a11y/noStaticElementInteractions: left and right do the same */}
        <span
          class={`fold${childCount > 0 ? '' : ' none'}${isCollapsed ? '' : ' open'}`}
          onClick={(event) => {
            if (childCount === 0) return
            event.stopPropagation()
            onFold()
          }}
        >
          <Icon name="right" />
        </span>
        {isFailed && (
          <span class="bad" title={span.error?.message ?? 'failed'}>
            <Icon name="warning" />
            <span class="only-spoken">failed</span>
          </span>
        )}
        <span class="cut" title={span.name}>
          {span.name}
        </span>
        {isCollapsed && <span class="faint">+{childCount}</span>}
      </span>
      <span class="waterfall-lane">
        <span
          class={`waterfall-bar ${span.kind}`}
          title={`${exact(span.durationMs)} ms, begins after ${exact(span.start - traceStart)} ms; waited for alone: ${formatMs(criticalMs)}`}
          style={{ left: percent(bar.left), width: percent(bar.width) }}
        />
        {critical.map((piece) => (
          <span
            key={piece.left}
            class="waterfall-critical"
            style={{ left: percent(piece.left), width: percent(piece.width) }}
          />
        ))}
        {span.events.map((event) => (
          <span
            key={`${event.name}${event.at}`}
            class="waterfall-event"
            title={`${event.name} after ${formatMs(event.at - traceStart)}`}
            style={{
              left: percent(
                bar.width === 0
                  ? bar.left
                  : bar.left + ((event.at - span.start) / (span.durationMs || 1)) * bar.width,
              ),
            }}
          />
        ))}
        <span class="waterfall-length number" style={{ left: percent(bar.left + bar.width) }}>
          {formatMs(span.durationMs)}
        </span>
      </span>
    </div>
  )
}
