/** `/api/overview`: the rows of the Grafana dashboard, from the store's own history of the metrics. */
import type { Store } from '../../store/types.ts'
import type { Overview } from '../api-types.ts'
import { ApiError, json } from '../http.ts'
import type { Route } from '../routes.ts'
import { gatewayHealth } from './health-row.ts'
import { mcpServers, toolCalls } from './mcp-rows.ts'
import type { Row } from './panel.ts'
import { cost, latency, outcomes, overview, requests, tokenUsage } from './traffic-rows.ts'
import { total, type View, viewOf } from './view.ts'

/** In the dashboard's order. */
const ROWS: readonly Row[] = [
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

/** How long, and how finely. */
const RANGES: ReadonlyMap<string, { readonly widthMs: number; readonly stepMs: number }> = new Map([
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

export function overviewRoutes(sources: OverviewSources): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/overview',
      async handler(request, response) {
        const asked = new URL(request.url ?? '', 'http://localhost').searchParams.get('range') ?? '1h'
        const range = RANGES.get(asked)
        if (range === undefined)
          throw new ApiError(400, `range: expected one of ${[...RANGES.keys()].join(', ')}`)
        json(response, 200, await look(sources, range))
      },
    },
  ]
}

async function look(
  { store, sampleNow, bounds, now }: OverviewSources,
  { widthMs, stepMs }: { readonly widthMs: number; readonly stepMs: number },
): Promise<Overview> {
  sampleNow()
  const at = now()
  const viewBack = async (width: number, step: number) => {
    // Whole steps, the one that has begun included.
    const to = Math.floor(at / step) * step + step
    const from = to - width
    const history = await store().history({ range: { from, to }, stepMs: step, names: NAMES })
    const steps = width / step
    return { from, to, view: viewOf(history, { from, stepMs: step, steps }, bounds) }
  }
  const [shown, hour] = await Promise.all([viewBack(widthMs, stepMs), viewBack(HOUR, 10 * SECOND)])
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

const histogram = (name: string) => [`${name}_bucket`, `${name}_count`, `${name}_sum`]

/** Of the metrics that a panel shows. */
const NAMES = [
  'agentgateway_requests_total',
  'agentgateway_gen_ai_client_token_usage_sum',
  'agentgateway_gen_ai_client_token_details_total',
  'agentgateway_gen_ai_client_cost_usd_total',
  'agentgateway_cost_catalog_lookups_total',
  'agentgateway_gen_ai_client_usage_source_total',
  ...histogram('agentgateway_gen_ai_server_time_per_output_token'),
  'agentgateway_request_duration_seconds_bucket',
  'agentgateway_gen_ai_server_request_duration_bucket',
  'agentgateway_gen_ai_server_time_to_first_token_bucket',
  'agentgateway_retries_total',
  'agentgateway_requests_in_flight',
  'agentgateway_upstream_call_duration_seconds_bucket',
  'agentgateway_upstream_connect_duration_seconds_bucket',
  'tool_calls_total',
  'tool_call_errors_total',
  'list_calls_total',
  'read_resource_calls_total',
  'get_prompt_calls_total',
  'agentgateway_mcp_request_duration_seconds_bucket',
  'agentgateway_mcp_requests_total',
  'agentgateway_mcp_target_up',
  'agentgateway_mcp_sessions_active',
  'agentgateway_mcp_target_restarts_total',
  'agentgateway_config_synchronized',
  'agentgateway_build_info',
  'agentgateway_telemetry_dropped_total',
  'agentgateway_metric_overflow_total',
  'agentgateway_config_reloads_total',
  'agentgateway_overhead_seconds_bucket',
  'agentgateway_request_processing_seconds_bucket',
  'agentgateway_response_processing_seconds_bucket',
  'agentgateway_stream_chunk_delay_seconds_bucket',
  'agentgateway_stream_stalled_seconds_total',
  'agentgateway_event_loop_delay_seconds_bucket',
  'process_resident_memory_bytes',
  'agentgateway_heap_used_bytes',
  'agentgateway_heap_total_bytes',
  'agentgateway_heap_limit_bytes',
  'process_cpu_seconds_total',
  'agentgateway_gc_duration_seconds_sum',
  'agentgateway_downstream_connections_active',
  'agentgateway_downstream_connections_total',
  'agentgateway_response_bytes_total',
]
