/** `/api/overview`: the rows of the Grafana dashboard, from the store's own history of the metrics. */
import type { MetricLabels } from '../../core/labels.ts'
import type { Store } from '../../store/types.ts'
import type { Overview } from '../api-types.ts'
import { ApiError, jsonText } from '../http.ts'
import type { Route } from '../routes.ts'
import { gatewayHealth } from './health-row.ts'
import { mcpServers, toolCalls } from './mcp-rows.ts'
import { HOUR_METRICS, RANGE_METRICS } from './metrics.ts'
import type { Row } from './panel.ts'
import { cost, latency, outcomes, overview, requests, tokenUsage } from './traffic-rows.ts'
import { total, type View, viewOf } from './view.ts'

/** In the dashboard's order. */
export const ROWS: readonly Row[] = [
  overview,
  tokenUsage,
  requests,
  toolCalls,
  mcpServers,
  latency,
  cost,
  outcomes,
  gatewayHealth,
]

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

interface Range {
  readonly widthMs: number
  readonly stepMs: number
}

/** How long, and how finely. */
const RANGES: ReadonlyMap<string, Range> = new Map([
  ['15m', { widthMs: 15 * MINUTE, stepMs: 10 * SECOND }],
  ['1h', { widthMs: HOUR, stepMs: 30 * SECOND }],
  ['6h', { widthMs: 6 * HOUR, stepMs: 3 * MINUTE }],
  ['24h', { widthMs: DAY, stepMs: 15 * MINUTE }],
  ['7d', { widthMs: 7 * DAY, stepMs: 2 * HOUR }],
  ['30d', { widthMs: 30 * DAY, stepMs: 6 * HOUR }],
])

export interface OverviewSources {
  readonly store: () => Store
  /** Hands the store what the metrics have grown by until now. */
  readonly sampleNow: () => void
  /** Upper bounds of a histogram's buckets. */
  readonly bounds: View['bounds']
  readonly now: () => number
}

/** Less than pages wait between two looks: each shows something new, and many that are open cost one computation. */
const FRESH_MS = 2000

export function overviewRoutes(sources: OverviewSources): Route[] {
  const shared = new Map<string, { readonly body: Promise<string>; until: number }>()

  function overviewOf(name: string, range: Range): Promise<string> {
    const known = shared.get(name)
    if (known !== undefined && sources.now() < known.until) return known.body
    const entry = {
      body: look(sources, range).then((overview) => JSON.stringify(overview)),
      until: Number.POSITIVE_INFINITY,
    }
    shared.set(name, entry)
    entry.body.then(
      () => {
        entry.until = sources.now() + FRESH_MS
      },
      () => shared.delete(name),
    )
    return entry.body
  }

  return [
    {
      method: 'GET',
      path: '/api/overview',
      async handler(request, response) {
        const asked = new URL(request.url ?? '', 'http://localhost').searchParams.get('range') ?? '1h'
        const range = RANGES.get(asked)
        if (range === undefined)
          throw new ApiError(400, `range: expected one of ${[...RANGES.keys()].join(', ')}`)
        jsonText(response, 200, await overviewOf(asked, range))
      },
    },
  ]
}

async function look(
  { store, sampleNow, bounds, now }: OverviewSources,
  { widthMs, stepMs }: Range,
): Promise<Overview> {
  sampleNow()
  const at = now()
  const viewBack = async (width: number, step: number, metrics: MetricLabels) => {
    // Whole steps, the one that has begun included.
    const to = Math.floor(at / step) * step + step
    const from = to - width
    const history = await store().history({ range: { from, to }, stepMs: step, metrics })
    const steps = width / step
    return { from, to, view: viewOf(history, { from, stepMs: step, steps }, bounds) }
  }
  const [shown, hour] = await Promise.all([
    viewBack(widthMs, stepMs, RANGE_METRICS),
    viewBack(HOUR, 10 * SECOND, HOUR_METRICS),
  ])
  const views = { range: shown.view, hour: hour.view }
  return {
    from: new Date(shown.from).toISOString(),
    to: new Date(shown.to).toISOString(),
    stepMs,
    hasData: total(shown.view, 'agentgateway_requests_total') > 0 || (await hasRequests(store())),
    rows: ROWS.map(({ title, panels }) => ({
      title,
      panels: panels.map(({ show, ...panel }) => ({ ...panel, ...show(views) })),
    })),
  }
}

const hasRequests = async (store: Store) => (await store.search({ limit: 1 })).requests.length > 0
