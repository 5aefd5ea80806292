/**
 * The state of the gateway at a glance: the rows and panels that the gateway names, as on its Grafana dashboard.
 */
import { useState } from 'preact/hooks'
import type { Overview, OverviewPanel, Runtime } from '../../../src/admin/api-types.ts'
import { get } from '../api/client.ts'
import { useQuery } from '../api/use-query.ts'
import { href, place } from '../navigation/location.ts'
import { type RangeId, readSpan } from '../navigation/ranges.ts'
import { CurlExample } from '../parts/curl-example.tsx'
import { Page } from '../parts/page.tsx'
import { RangePicker } from '../parts/range-picker.tsx'
import { Empty, Loaded, Skeleton } from '../parts/states.tsx'
import { runtime } from '../session/session.ts'
import { OverviewPanelCard } from './panel.tsx'

const POLL_MS: Readonly<Record<RangeId, number>> = {
  '15m': 5000,
  '1h': 5000,
  '6h': 30_000,
  '24h': 30_000,
  '7d': 30_000,
  '30d': 30_000,
}

const YOUNG_MS = 15 * 60_000

/** An hour's chart of a gateway that has just begun would be empty but for its edge. */
function usualRange(facts: Runtime | undefined): RangeId {
  if (facts === undefined) return '1h'
  return Date.parse(facts.now) - Date.parse(facts.startedAt) < YOUNG_MS ? '15m' : '1h'
}

export function OverviewPage() {
  const [usual] = useState(() => usualRange(runtime.value))
  const span = readSpan(place.value.query, usual)
  const range = span.kind === 'moving' ? span.id : usual
  const query = useQuery(range, (signal) => get<Overview>(`/api/overview?range=${range}`, signal), {
    pollMs: POLL_MS[range],
  })

  return (
    <Page
      title="Overview"
      controls={
        <div class="row push">
          {query.data?.hasData && <RowLinks titles={query.data.rows.map((row) => row.title)} />}
          <RangePicker otherwise={usual} canBeFixed={false} />
        </div>
      }
    >
      <Loaded
        query={query}
        what="The overview cannot be shown"
        skeleton={<Skeleton height={220} count={3} />}
      >
        {(overview) => (overview.hasData ? <Rows overview={overview} /> : <NoRequests />)}
      </Loaded>
    </Page>
  )
}

const anchor = (title: string) =>
  title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')

function RowLinks({ titles }: { readonly titles: readonly string[] }) {
  return (
    <label class="row">
      <span class="only-spoken">Go to a row</span>
      <select
        class="input"
        value=""
        onChange={(event) => {
          location.hash = event.currentTarget.value
          event.currentTarget.value = ''
        }}
      >
        <option value="">Go to…</option>
        {titles.map((title) => (
          <option key={title} value={anchor(title)}>
            {title}
          </option>
        ))}
      </select>
    </label>
  )
}

/** Numbers before charts: a number beside a chart would be a tall box of nothing. */
function byHeight(panels: readonly OverviewPanel[]): readonly (readonly OverviewPanel[])[] {
  const isStat = (panel: OverviewPanel) => panel.type === 'stat'
  return [panels.filter(isStat), panels.filter((panel) => !isStat(panel))].filter(({ length }) => length > 0)
}

function Rows({ overview }: { readonly overview: Overview }) {
  const from = new Date(overview.from).getTime()
  return (
    <>
      {overview.rows.map((row) => (
        <section key={row.title} class="panel-row" id={anchor(row.title)} aria-label={row.title}>
          <h2>{row.title}</h2>
          {byHeight(row.panels).map((panels) => (
            <div key={panels[0]?.type} class="panels">
              {panels.map((panel) => (
                <OverviewPanelCard key={panel.title} panel={panel} from={from} stepMs={overview.stepMs} />
              ))}
            </div>
          ))}
        </section>
      ))}
    </>
  )
}

function NoRequests() {
  return (
    <Empty title="No request has come yet">
      <p>
        Send one, and this page fills by itself within seconds. How to point your own client here is under{' '}
        <a href={href('/clients')}>Client set-up</a>.
      </p>
      <CurlExample />
    </Empty>
  )
}
