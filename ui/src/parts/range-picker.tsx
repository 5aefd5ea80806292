/**
 * The page's span of time, kept in the address.
 */
import { useState } from 'preact/hooks'
import { formatDateTime, toLocalInput } from '../format/times.ts'
import { place, setQuery } from '../navigation/location.ts'
import { RANGES, type RangeId, readSpan, type Span, spanQuery, toTimeRange } from '../navigation/ranges.ts'
import { Popover } from './popover.tsx'
import { Segments } from './segments.tsx'

interface RangePickerProps {
  readonly otherwise: RangeId
  readonly canBeFixed?: boolean
}

export function RangePicker({ otherwise, canBeFixed = true }: RangePickerProps) {
  const span = readSpan(place.value.query, otherwise)
  return (
    <div class="row">
      <Segments
        label="Time range"
        options={RANGES}
        value={span.kind === 'moving' ? span.id : undefined}
        onChange={(id) => setQuery(spanQuery({ kind: 'moving', id }))}
      />
      {canBeFixed && (
        <Popover
          label={span.kind === 'fixed' ? fixedLabel(span) : 'Custom'}
          isOn={span.kind === 'fixed'}
          isRight
        >
          {(close) => <FixedForm span={span} onDone={close} />}
        </Popover>
      )}
    </div>
  )
}

function fixedLabel(span: Span & { readonly kind: 'fixed' }): string {
  const from = span.from === undefined ? 'the start' : formatDateTime(new Date(span.from))
  const to = span.to === undefined ? 'now' : formatDateTime(new Date(span.to))
  return `${from} to ${to}`
}

function FixedForm({ span, onDone }: { readonly span: Span; readonly onDone: () => void }) {
  const range = toTimeRange(span, Date.now())
  const [from, setFrom] = useState(range.from === undefined ? '' : toLocalInput(new Date(range.from)))
  const [to, setTo] = useState(toLocalInput(range.to === undefined ? new Date() : new Date(range.to)))
  const isBackwards = from !== '' && to !== '' && from >= to

  function apply(event: Event) {
    event.preventDefault()
    const iso = (text: string) => (text === '' ? undefined : new Date(text).toISOString())
    setQuery(spanQuery({ kind: 'fixed', from: iso(from), to: iso(to) }))
    onDone()
  }

  return (
    <form class="stack" onSubmit={apply}>
      <label class="label">
        From (local time)
        <input
          class="input"
          type="datetime-local"
          step="1"
          value={from}
          onInput={(e) => setFrom(e.currentTarget.value)}
        />
      </label>
      <label class="label">
        To
        <input
          class="input"
          type="datetime-local"
          step="1"
          value={to}
          onInput={(e) => setTo(e.currentTarget.value)}
        />
      </label>
      {isBackwards && <p class="bad small">The end lies before the start.</p>}
      <button type="submit" class="button primary" disabled={isBackwards || (from === '' && to === '')}>
        Apply
      </button>
    </form>
  )
}
