/**
 * Traces: everything that one caller's request led to, also where it came through the gateway several times.
 */
import type { TracesFound } from '../../../src/admin/api-types.ts'
import { post } from '../api/client.ts'
import { exact, formatMs } from '../format/numbers.ts'
import { href, place, setQuery } from '../navigation/location.ts'
import type { RangeId } from '../navigation/ranges.ts'
import { CurlExample } from '../parts/curl-example.tsx'
import { Icon } from '../parts/icons.tsx'
import { Page } from '../parts/page.tsx'
import { RangePicker } from '../parts/range-picker.tsx'
import { Empty, Failure, Skeleton } from '../parts/states.tsx'
import { Time } from '../parts/time.tsx'
import { statusTone } from '../requests/status-badge.tsx'
import { FilterBar } from '../search/filter-bar.tsx'
import { hasFilters, readSearch, searchKey, withoutFilters } from '../search/filters.ts'
import { useRowKeys } from '../search/row-keys.ts'
import { SearchFoot } from '../search/search-foot.tsx'
import { type Search, useSearch } from '../search/use-search.ts'

type FoundTrace = TracesFound['traces'][number]

const DEFAULT_RANGE: RangeId = '1h'
const FIRST_FILTERS = ['model', 'operation', 'outcome', 'status', 'backend'] as const

export function TracesPage() {
  const { query } = place.value
  const search = useSearch<FoundTrace>({
    key: searchKey(query),
    idOf: (row) => row.traceId,
    load: async ({ cursor, limit, signal, now }) => {
      const body = {
        ...readSearch(query, DEFAULT_RANGE, now),
        limit,
        ...(cursor !== undefined && { cursor }),
      }
      const found = await post<TracesFound>('/api/traces/search', body, signal)
      return { rows: found.traces, nextCursor: found.nextCursor }
    },
  })

  return (
    <Page
      title="Traces"
      isFull
      controls={
        <div class="row push">
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
      <div class="split">
        <section class="split-list" aria-label="Traces">
          <Rows search={search} />
        </section>
      </div>
    </Page>
  )
}

function Rows({ search }: { readonly search: Search<FoundTrace> }) {
  if (search.rows.length > 0) {
    return (
      <>
        {search.error !== undefined && (
          <div class="padded-box">
            <Failure what="The search did not go on" error={search.error} onRetry={search.more} />
          </div>
        )}
        <TraceTable rows={search.rows} isStale={search.isStale} />
        <SearchFoot search={search} what="trace" />
      </>
    )
  }
  if (search.error !== undefined) {
    return (
      <div class="padded-box">
        <Failure what="The traces cannot be shown" error={search.error} onRetry={search.refresh} />
      </div>
    )
  }
  if (search.state === 'searching') {
    return (
      <>
        <div class="padded-box">
          <Skeleton height={27} count={14} />
        </div>
        <SearchFoot search={search} what="trace" />
      </>
    )
  }
  return <NoTraces />
}

function NoTraces() {
  if (hasFilters(place.value.query)) {
    return (
      <Empty title="No trace fits">
        <p>Nothing in this time has all that the filters ask for.</p>
        <button type="button" class="button" onClick={() => setQuery(withoutFilters())}>
          Clear filters
        </button>
      </Empty>
    )
  }
  return (
    <Empty title="No trace in this time">
      <p>
        Every request has a trace here, whether or not it is sent to a collector. Send one, or look at a
        longer time.
      </p>
      <CurlExample />
    </Empty>
  )
}

function TraceTable({ rows, isStale }: { readonly rows: readonly FoundTrace[]; readonly isStale: boolean }) {
  const keys = useRowKeys({ ids: rows.map((row) => row.traceId), open: undefined, onMove: () => undefined })
  const longest = Math.max(...rows.map((row) => row.durationMs), 1)

  return (
    <div class={`table-frame grow${isStale ? ' is-stale' : ''}`} ref={keys.frame} aria-busy={isStale}>
      <table class="fixed rows">
        <thead>
          <tr>
            <th scope="col" class="w-time">
              Time
            </th>
            <th scope="col">Operation</th>
            <th scope="col" class="w-model">
              Model
            </th>
            <th scope="col" class="w-small">
              Status
            </th>
            <th scope="col" class="w-small number optional">
              Requests
            </th>
            <th scope="col" class="w-small number">
              Spans
            </th>
            <th scope="col" class="w-duration number">
              Duration
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={row.traceId}
              onClick={(event) => event.currentTarget.querySelector<HTMLElement>('a')?.click()}
            >
              <td>
                <a
                  class="row-link"
                  data-row={row.traceId}
                  tabIndex={row.traceId === keys.reachable ? 0 : -1}
                  href={href(`/traces/${row.traceId}`)}
                  onFocus={() => keys.onFocus(row.traceId)}
                  onClick={(event) => event.stopPropagation()}
                >
                  <Time at={row.startedAt} />
                </a>
              </td>
              <td title={`${row.operation}, trace ${row.traceId}`}>
                {row.failed && (
                  <span class="bad">
                    <Icon name="warning" /> <span class="only-spoken">failed</span>
                  </span>
                )}
                {row.operation}
              </td>
              <td class="soft" title={row.model}>
                {row.model ?? '–'}
              </td>
              <td>
                <span class={`badge ${statusTone(row.httpStatus, row.failed)}`}>{row.httpStatus}</span>
              </td>
              <td class="number optional">{row.requests}</td>
              <td class="number">{row.spans}</td>
              <td class="number" title={`${exact(row.durationMs)} ms`}>
                {formatMs(row.durationMs)}
                <span class="share-bar">
                  <span style={{ width: `${(row.durationMs / longest) * 100}%` }} />
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
