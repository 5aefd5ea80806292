/**
 * What is looked for. Every choice goes into the address at once; the page follows it.
 */
import { useEffect, useState } from 'preact/hooks'
import type { Analytics, AnalyticsQuery } from '../../../src/admin/api-types.ts'
import { post } from '../api/client.ts'
import { useQuery } from '../api/use-query.ts'
import { formatMs } from '../format/numbers.ts'
import { place, setQuery } from '../navigation/location.ts'
import { type RangeId, readSpan, spanQuery, toTimeRange } from '../navigation/ranges.ts'
import { Icon } from '../parts/icons.tsx'
import { MultiSelect } from '../parts/multi-select.tsx'
import { Popover } from '../parts/popover.tsx'
import { ATTRIBUTE_FILTERS, type FilterParam, hasFilters, LIST_FILTERS, withoutFilters } from './filters.ts'

const TYPING_PAUSE_MS = 300

const ALL = [
  ...LIST_FILTERS.map(({ param, field, label }) => ({ param, label, option: field as string })),
  ...ATTRIBUTE_FILTERS.map(({ param, key, label }) => ({ param, label, option: key as string })),
]

interface FilterBarProps {
  /** Shown always; the others can be added. */
  readonly first: readonly FilterParam[]
  readonly otherwise: RangeId
}

export function FilterBar({ first, otherwise }: FilterBarProps) {
  const { query } = place.value
  const [added, setAdded] = useState<readonly string[]>([])
  const options = useFilterOptions(otherwise)
  const isShown = (param: FilterParam) => first.includes(param) || added.includes(param) || query.has(param)
  const others = ALL.filter(({ param }) => !isShown(param))

  return (
    <search class="filter-bar" aria-label="Filters">
      <TextSearch />
      {ALL.filter(({ param }) => isShown(param)).map(({ param, label, option }) => (
        <MultiSelect
          key={param}
          label={label}
          options={options[option] ?? []}
          chosen={query.getAll(param)}
          onChange={(chosen) => setQuery({ [param]: chosen })}
        />
      ))}
      <button
        type="button"
        class={`button${query.get('failed') === '1' ? ' on' : ''}`}
        aria-pressed={query.get('failed') === '1'}
        onClick={() => setQuery({ failed: query.get('failed') === '1' ? undefined : '1' })}
      >
        Failed only
      </button>
      <DurationFilter />
      <select
        class="input more-filters"
        aria-label="Add a filter"
        value=""
        onChange={(event) => {
          setAdded([...added, event.currentTarget.value])
          event.currentTarget.value = ''
        }}
      >
        <option value="">More…</option>
        {others.map(({ param, label }) => (
          <option key={param} value={param}>
            {label}
          </option>
        ))}
      </select>
      {query.has('trace') && (
        <button
          type="button"
          class="button on"
          onClick={() => setQuery({ trace: undefined })}
          title="Take this filter away"
        >
          <span class="cut pick-label">Trace: {query.get('trace')}</span> <Icon name="close" />
        </button>
      )}
      {hasFilters(query) && (
        <button
          type="button"
          class="button quiet"
          onClick={() => {
            setAdded([])
            setQuery(withoutFilters())
          }}
        >
          Clear filters
        </button>
      )}
    </search>
  )
}

/** Values that occur in the chosen time. A failure leaves the lists empty: the page itself will say what is wrong. */
function useFilterOptions(otherwise: RangeId): Analytics['filterOptions'] {
  const span = readSpan(place.value.query, otherwise)
  const query = useQuery(JSON.stringify(spanQuery(span)), (signal) => {
    const body: AnalyticsQuery = { timeRange: toTimeRange(span, Date.now()), bucketCount: 1 }
    return post<Analytics>('/api/logs/analytics/summary', body, signal)
  })
  return query.data?.filterOptions ?? {}
}

function TextSearch() {
  const inAddress = place.value.query.get('q') ?? ''
  const [text, setText] = useState(inAddress)
  useEffect(() => setText(inAddress), [inAddress])
  useEffect(() => {
    if (text === inAddress) return
    const timer = setTimeout(() => setQuery({ q: text }, { replace: true }), TYPING_PAUSE_MS)
    return () => clearTimeout(timer)
  }, [text, inAddress])

  return (
    <div class="search">
      <Icon name="search" />
      <input
        class="input"
        type="search"
        aria-label="Search text"
        aria-keyshortcuts="/"
        placeholder="Search text, error, id…"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') event.currentTarget.blur()
        }}
      />
      {text === '' && <kbd class="key">/</kbd>}
    </div>
  )
}

function DurationFilter() {
  const { query } = place.value
  const min = query.get('min')
  const max = query.get('max')
  const isOn = min !== null || max !== null
  const ms = (text: string) => formatMs(Number(text))
  const summary = [min !== null && `≥ ${ms(min)}`, max !== null && `≤ ${ms(max)}`].filter(Boolean).join(', ')
  return (
    <Popover label={isOn ? summary : 'Duration'} isOn={isOn}>
      {() => (
        <div class="stack">
          <DurationField param="min" label="At least, ms" />
          <DurationField param="max" label="At most, ms" />
        </div>
      )}
    </Popover>
  )
}

function DurationField({ param, label }: { readonly param: 'min' | 'max'; readonly label: string }) {
  const inAddress = place.value.query.get(param) ?? ''
  const [text, setText] = useState(inAddress)
  useEffect(() => setText(inAddress), [inAddress])

  return (
    <label class="label">
      {label}
      <input
        class="input"
        inputMode="numeric"
        value={text}
        onInput={(event) => setText(event.currentTarget.value.replaceAll(/[^0-9.]/g, ''))}
        onChange={() => setQuery({ [param]: text })}
      />
    </label>
  )
}
