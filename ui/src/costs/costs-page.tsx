/**
 * What the models' calls cost, by whom and for what.
 */
import { useMemo } from 'preact/hooks'
import type { Analytics, AnalyticsQuery } from '../../../src/admin/api-types.ts'
import { post } from '../api/client.ts'
import { useQuery } from '../api/use-query.ts'
import { withRest } from '../charts/stack.ts'
import { TimeChart } from '../charts/time-chart.tsx'
import { exact, formatCount, formatShare, formatUsd } from '../format/numbers.ts'
import { href, navigate, place, setQuery } from '../navigation/location.ts'
import { type RangeId, readSpan, spanQuery, toTimeRange } from '../navigation/ranges.ts'
import { CurlExample } from '../parts/curl-example.tsx'
import { Page } from '../parts/page.tsx'
import { RangePicker } from '../parts/range-picker.tsx'
import { Segments } from '../parts/segments.tsx'
import { Empty, Loaded, Skeleton } from '../parts/states.tsx'
import { CostTable } from './cost-table.tsx'
import { costSeries, GROUPINGS, MEASURES } from './groups.ts'
import { PriceTable } from './price-table.tsx'

const DEFAULT_RANGE: RangeId = '24h'
const BUCKETS = 60
const STACKED_AT_MOST = 9
const POLL_MS = 30_000

type Grouping = (typeof GROUPINGS)[number]

export function CostsPage() {
  const { query } = place.value
  const span = readSpan(query, DEFAULT_RANGE)
  const grouping = GROUPINGS.find(({ id }) => id === query.get('by')) ?? GROUPINGS[0]
  const costs = useQuery(
    JSON.stringify([spanQuery(span), grouping.id]),
    async (signal) => {
      const body: AnalyticsQuery = {
        timeRange: toTimeRange(span, Date.now()),
        groupBy: [grouping.by],
        bucketCount: BUCKETS,
      }
      const analytics = await post<Analytics>('/api/logs/analytics/summary', body, signal)
      // Until the next answer is there the last one is shown: under its own name.
      return { analytics, grouping }
    },
    { pollMs: POLL_MS },
  )

  return (
    <Page
      title="Costs"
      controls={
        <div class="row push">
          <Segments
            label="Group by"
            options={GROUPINGS}
            value={grouping.id}
            onChange={(by) => setQuery({ by: by === GROUPINGS[0].id ? undefined : by })}
          />
          <RangePicker otherwise={DEFAULT_RANGE} />
        </div>
      }
    >
      <div class="stack wide">
        <Loaded query={costs} what="The costs cannot be shown" skeleton={<Skeleton height={240} count={2} />}>
          {({ analytics, grouping: shown }) =>
            analytics.total.requests === 0 ? (
              <Empty title="No request in this time">
                <p>
                  Costs are counted from the requests that come through the gateway. Send one, or look at a
                  longer time.
                </p>
                <CurlExample />
              </Empty>
            ) : (
              <Costs analytics={analytics} grouping={shown} />
            )
          }
        </Loaded>
        <PriceTable />
      </div>
    </Page>
  )
}

function Costs({ analytics, grouping }: { readonly analytics: Analytics; readonly grouping: Grouping }) {
  return (
    <div class="stack">
      <Totals analytics={analytics} />
      <CostChart analytics={analytics} grouping={grouping} />
      <CostTable analytics={analytics} grouping={grouping} />
    </div>
  )
}

function Totals({ analytics }: { readonly analytics: Analytics }) {
  const { total, timeRange } = analytics
  const hours = (Date.parse(timeRange.to) - Date.parse(timeRange.from)) / 3_600_000
  const tiles = [
    { name: 'Cost', shown: formatUsd(total.cost), exactly: `$${exact(total.cost)}` },
    { name: 'Per hour', shown: formatUsd(total.cost / hours), exactly: `$${exact(total.cost / hours)}` },
    { name: 'Requests', shown: formatCount(total.requests), exactly: exact(total.requests) },
    { name: 'Tokens in', shown: formatCount(total.inputTokens), exactly: exact(total.inputTokens) },
    { name: 'Tokens out', shown: formatCount(total.outputTokens), exactly: exact(total.outputTokens) },
    {
      name: 'Cached input',
      shown: formatShare(total.inputTokens === 0 ? 0 : total.cacheReadTokens / total.inputTokens),
      exactly: `${exact(total.cacheReadTokens)} tokens`,
    },
  ]
  return (
    <dl class="tiles">
      {tiles.map(({ name, shown, exactly }) => (
        <div key={name} class="card padded">
          <dt class="soft">{name}</dt>
          <dd class="tile-value" title={exactly}>
            {shown}
          </dd>
        </div>
      ))}
    </dl>
  )
}

function CostChart({ analytics, grouping }: { readonly analytics: Analytics; readonly grouping: Grouping }) {
  // Where nothing has a price, tokens are all that there is to see.
  const usual = analytics.total.cost > 0 ? MEASURES[0] : MEASURES[1]
  const measure = MEASURES.find(({ id }) => id === place.value.query.get('measure')) ?? usual
  const { from, stepMs, series } = useMemo(() => costSeries(analytics, measure.id), [analytics, measure.id])
  const drawn = useMemo(() => withRest(series, STACKED_AT_MOST), [series])
  const title = `${measure.label} by ${grouping.one}`
  return (
    <section class="card padded" aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        <Segments
          label="Measure"
          options={MEASURES}
          value={measure.id}
          onChange={(id) => setQuery({ measure: id === usual.id ? undefined : id }, { replace: true })}
        />
      </header>
      <TimeChart
        label={title}
        from={from}
        stepMs={stepMs}
        unit={measure.unit}
        series={drawn}
        isStacked
        height={240}
        onSelect={(start, end) =>
          navigate(href('/requests', { from: start.toISOString(), to: end.toISOString() }))
        }
      />
    </section>
  )
}
