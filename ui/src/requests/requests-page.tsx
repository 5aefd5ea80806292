/**
 * What came through the gateway, one row for each request.
 */
import { useEffect, useMemo } from 'preact/hooks'
import type { LogEntry, LogsFound } from '../../../src/admin/api-types.ts'
import { post } from '../api/client.ts'
import { place, setQuery } from '../navigation/location.ts'
import type { RangeId } from '../navigation/ranges.ts'
import { CurlExample } from '../parts/curl-example.tsx'
import { Icon } from '../parts/icons.tsx'
import { focusOn, useKeys } from '../parts/keys.ts'
import { Page } from '../parts/page.tsx'
import { RangePicker } from '../parts/range-picker.tsx'
import { Empty, Failure, Skeleton } from '../parts/states.tsx'
import { FilterBar } from '../search/filter-bar.tsx'
import { hasFilters, readFilters, readSearch, searchKey, withoutFilters } from '../search/filters.ts'
import { SearchFoot } from '../search/search-foot.tsx'
import { type Search, useSearch } from '../search/use-search.ts'
import { RequestPanel } from './request-panel.tsx'
import { RequestTable } from './request-table.tsx'
import type { TailState } from './tail.ts'
import { KEPT_LIVE, useTail } from './use-tail.ts'

const DEFAULT_RANGE: RangeId = '1h'
/** By then the gateway has written what has ended. */
const KEPT_AFTER_MS = 1000
const FIRST_FILTERS = ['model', 'provider', 'status', 'outcome', 'backend', 'protocol'] as const

export function RequestsPage() {
  const { query } = place.value
  const key = searchKey(query)
  const open = query.get('open') ?? undefined
  const isLive = query.get('live') === '1'

  const search = useSearch<LogEntry>({
    key,
    idOf: (row) => row.id,
    load: async ({ cursor, limit, signal, now }) => {
      const body = {
        ...readSearch(query, DEFAULT_RANGE, now),
        limit,
        ...(cursor !== undefined && { cursor }),
      }
      const found = await post<LogsFound>('/api/logs/search', body, signal)
      return { rows: found.logs, nextCursor: found.nextCursor }
    },
  })
  const tail = useTail(isLive, key, () => ({ filters: readFilters(query) }))
  const isFollowing = tail.state?.kind === 'live'

  // What ended before the connection belongs between what is shown and what will come.
  useEffect(() => {
    if (!isFollowing) return
    const timer = setTimeout(search.refresh, KEPT_AFTER_MS)
    return () => clearTimeout(timer)
  }, [isFollowing, search.refresh])

  const rows = useMemo(() => merge(tail.entries, search.rows, isLive), [tail.entries, search.rows, isLive])
  const fresh = useMemo(() => new Set(tail.entries.map(({ id }) => id)), [tail.entries])

  const show = (id: string) => setQuery({ open: id }, { replace: open !== undefined })
  function close() {
    if (open === undefined) return
    setQuery({ open: undefined })
    focusOn('row', open)
  }
  useKeys({ Escape: close })

  return (
    <Page
      title="Requests"
      isFull
      controls={
        <div class="row push">
          <LiveSwitch isLive={isLive} state={tail.state} />
          <button
            type="button"
            class="button icon"
            aria-label="Search again"
            title="Search again"
            onClick={search.refresh}
          >
            <Icon name="refresh" />
          </button>
          <RangePicker otherwise={DEFAULT_RANGE} />
        </div>
      }
    >
      <FilterBar first={FIRST_FILTERS} otherwise={DEFAULT_RANGE} />
      <div class={`split${open === undefined ? '' : ' is-open'}`}>
        <section class="split-list" aria-label="Requests">
          <Rows search={search} rows={rows} open={open} fresh={fresh} onOpen={show} />
        </section>
        {open !== undefined && <RequestPanel key={open} id={open} onClose={close} />}
      </div>
    </Page>
  )
}

/** The newest first; a request that both the search and the tail found is there once. */
function merge(fresh: readonly LogEntry[], found: readonly LogEntry[], isLive: boolean): readonly LogEntry[] {
  if (fresh.length === 0) return found
  const all = [...new Map([...found, ...fresh].map((entry) => [entry.id, entry])).values()]
  all.sort((a, b) => (placeOf(a) < placeOf(b) ? 1 : -1))
  return isLive ? all.slice(0, KEPT_LIVE) : all
}

const placeOf = ({ completedAt, id }: LogEntry) => `${completedAt}|${id}`

interface RowsProps {
  readonly search: Search<LogEntry>
  readonly rows: readonly LogEntry[]
  readonly open: string | undefined
  readonly fresh: ReadonlySet<string>
  readonly onOpen: (id: string) => void
}

function Rows({ search, rows, open, fresh, onOpen }: RowsProps) {
  if (rows.length === 0) {
    if (search.error !== undefined) {
      return (
        <div class="padded-box">
          <Failure what="The requests cannot be shown" error={search.error} onRetry={search.refresh} />
        </div>
      )
    }
    if (search.state === 'searching') {
      return (
        <>
          <div class="padded-box">
            <Skeleton height={27} count={14} />
          </div>
          <SearchFoot search={search} what="request" />
        </>
      )
    }
    return <NoRequests />
  }
  return (
    <>
      {search.error !== undefined && (
        <div class="padded-box">
          <Failure what="The search did not go on" error={search.error} onRetry={search.more} />
        </div>
      )}
      <RequestTable rows={rows} open={open} fresh={fresh} isStale={search.isStale} onOpen={onOpen} />
      <SearchFoot search={search} what="request" count={rows.length} />
    </>
  )
}

function NoRequests() {
  const { query } = place.value
  if (hasFilters(query)) {
    return (
      <Empty title="No request fits">
        <p>Nothing in this time has all that the filters ask for.</p>
        <div class="row">
          <button type="button" class="button" onClick={() => setQuery(withoutFilters())}>
            Clear filters
          </button>
          <button
            type="button"
            class="button"
            onClick={() => setQuery({ range: '30d', from: undefined, to: undefined })}
          >
            Search 30 days
          </button>
        </div>
      </Empty>
    )
  }
  return (
    <Empty title="No request in this time">
      <p>Send one, or look at a longer time.</p>
      <CurlExample />
    </Empty>
  )
}

function LiveSwitch({ isLive, state }: { readonly isLive: boolean; readonly state: TailState | undefined }) {
  const title = state?.kind === 'waiting' ? `${state.problem} Trying again…` : 'Show requests as they finish'
  const dot = !isLive ? '' : state?.kind === 'live' ? 'good' : 'warn'
  const word = isLive && state?.kind === 'waiting' ? 'Reconnecting' : 'Live'
  return (
    <button
      type="button"
      class={`button${isLive ? ' on' : ''}`}
      aria-pressed={isLive}
      title={title}
      onClick={() => setQuery({ live: isLive ? undefined : '1' }, { replace: true })}
    >
      <span class={`dot ${dot}`} /> {word}
    </button>
  )
}
