/**
 * Every metric that the gateway can show, as data: names, labels, buckets. docs/metrics.md is tested against it.
 *
 * Names and labels that upstream or the tutorial has are a contract. Labels are configured names and closed sets,
 * never a client's own strings. `token_type`, `model`, `provider` and `gen_ai_system` repeat other labels under the
 * names that the tutorial, older dashboards and upstream use; being functions of them they add no series.
 */
import { CHUNK_DELAY_BUCKETS } from '../core/exchange.ts'
import type { Registry } from './registry.ts'

/** Labels that only upstream's Kubernetes controller fills. */
const CONSTANTS = { gateway: 'default/default', route_rule: 'unknown' } as const
const ROUTE = ['bind', 'listener', 'route'] as const
const ROUTED = ['backend', ...ROUTE] as const
const HTTP = ['backend', 'protocol', 'method', 'status', 'reason', ...ROUTE] as const
const GEN_AI = [
  'gen_ai_operation_name',
  'gen_ai_provider_name',
  'gen_ai_system',
  'gen_ai_request_model',
  'gen_ai_response_model',
  'model',
  'provider',
  ...ROUTE,
] as const
const TOKEN = ['gen_ai_token_type', 'token_type', ...GEN_AI, 'usage_source'] as const
const MCP = ['method', 'resource_type', 'server'] as const
const CONNECTION = ['bind', 'listener', 'protocol'] as const
const CONNECTION_CONSTANTS = { gateway: CONSTANTS.gateway } as const

/** Of which the configuration may add no other: they are there already, or Prometheus sets them itself. */
export const TAKEN_LABELS: ReadonlySet<string> = new Set([
  ...Object.keys(CONSTANTS),
  ...HTTP,
  ...TOKEN,
  ...MCP,
  ...['outcome', 'error_type', 'resource', 'le', 'quantile', 'job', 'instance'],
])

/** The bound of families whose label sets the configuration multiplies. */
const MORE_SERIES = 5000

/** What families that tell of requests get beside their own labels. */
interface More {
  readonly moreLabels: readonly string[]
  readonly maxSeries?: number
}

/** URIs are labels of `read_resource_calls_total`, of which a server may have any number. */
const MAX_URI_SERIES = 200

// Bounds are OpenTelemetry's or upstream's, in seconds unless said. Some lists go on where theirs end, because models
// that reason take minutes and quantiles of what lies above the last bound tell nothing.
const REQUEST_BUCKETS = [
  ...[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 80],
  ...[160, 300, 600],
]
const GEN_AI_DURATION_BUCKETS = [
  ...[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
  ...[163.84, 300, 600],
]
const FIRST_TOKEN_BUCKETS = [
  ...[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  ...[20, 30, 60],
]
const PER_TOKEN_BUCKETS = [0.001, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]
/** Tokens. */
const TOKEN_BUCKETS = Array.from({ length: 14 }, (_, index) => 4 ** index)
const CONNECT_BUCKETS = [0.0005, 0.0015, 0.0043, 0.0126, 0.0368, 0.108, 0.316, 0.924, 2.71, 8]
const PROCESSING_BUCKETS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25]

export type Families = ReturnType<typeof registerFamilies>

/** `added`: names of labels, for every family that tells of requests by their route. */
export function registerFamilies(registry: Registry, version: string, added: readonly string[] = []) {
  const more: More = { moreLabels: added, ...(added.length > 0 && { maxSeries: MORE_SERIES }) }
  registry.info({
    name: 'agentgateway_build_info',
    help: 'The running version.',
    values: { tag: version, version },
  })
  return {
    ...registerRequestFamilies(registry, more),
    ...registerLlmFamilies(registry, more),
    ...registerTimingFamilies(registry, more),
    ...registerBudgetFamilies(registry),
    ...registerGatewayFamilies(registry),
    ...registerMcpFamilies(registry, more),
  }
}

function registerRequestFamilies(registry: Registry, more: More) {
  return {
    requests: registry.counter({
      name: 'agentgateway_requests_total',
      help: 'Requests, answered or not, counted when they end.',
      labels: [...HTTP, 'outcome', 'error_type'],
      ...more,
      constants: CONSTANTS,
    }),
    requestsInFlight: registry.gauge({
      name: 'agentgateway_requests_in_flight',
      help: 'Requests that have begun and not ended.',
    }),
    requestDuration: registry.histogram({
      name: 'agentgateway_request_duration_seconds',
      help: 'Time from the head of the request to the last byte of the response.',
      unit: 'seconds',
      labels: [...HTTP, 'outcome'],
      ...more,
      constants: CONSTANTS,
      buckets: REQUEST_BUCKETS,
    }),
    responseBytes: registry.counter({
      name: 'agentgateway_response_bytes_total',
      help: 'Bytes of response bodies sent to clients.',
      unit: 'bytes',
      labels: HTTP,
      ...more,
      constants: CONSTANTS,
    }),
    retries: registry.counter({
      name: 'agentgateway_retries_total',
      help: 'Attempts at the upstream beyond the first of each request.',
      labels: HTTP,
      ...more,
      constants: CONSTANTS,
    }),
  }
}

function registerLlmFamilies(registry: Registry, more: More) {
  return {
    tokenUsage: registry.histogram({
      name: 'agentgateway_gen_ai_client_token_usage',
      help: 'Tokens per request, all that were read as input and all that were written as output.',
      unit: 'tokens',
      labels: TOKEN,
      ...more,
      constants: CONSTANTS,
      buckets: TOKEN_BUCKETS,
    }),
    tokenDetails: registry.counter({
      name: 'agentgateway_gen_ai_client_token_details_total',
      help: 'Tokens that were read from a cache, written to it or spent on reasoning: parts of the usage, not more of it.',
      unit: 'tokens',
      labels: TOKEN,
      ...more,
      constants: CONSTANTS,
    }),
    usageSource: registry.counter({
      name: 'agentgateway_gen_ai_client_usage_source_total',
      help: 'Requests to models by where their token counts come from.',
      labels: [...GEN_AI, 'usage_source'],
      ...more,
      constants: CONSTANTS,
    }),
    cost: registry.counter({
      name: 'agentgateway_gen_ai_client_cost_usd_total',
      help: 'Cost of requests to models whose price is known.',
      unit: 'usd',
      labels: GEN_AI,
      ...more,
      constants: CONSTANTS,
    }),
    costLookups: registry.counter({
      name: 'agentgateway_cost_catalog_lookups_total',
      help: 'Searches for a price by what was found.',
      labels: ['status', ...GEN_AI],
      ...more,
      constants: CONSTANTS,
    }),
    guardChecks: registry.counter({
      name: 'agentgateway_guardrail_checks_total',
      help: 'Prompt guards that looked at a request or an answer, by what they made of it.',
      labels: ['phase', 'action', 'guard'],
    }),
    llmDuration: registry.histogram({
      name: 'agentgateway_gen_ai_server_request_duration',
      help: 'Duration of requests to models, failures included.',
      unit: 'seconds',
      labels: [...GEN_AI, 'error_type'],
      ...more,
      constants: CONSTANTS,
      buckets: GEN_AI_DURATION_BUCKETS,
    }),
    timeToFirstToken: registry.histogram({
      name: 'agentgateway_gen_ai_server_time_to_first_token',
      help: 'Streams: time from the head of the request to the first content.',
      unit: 'seconds',
      labels: GEN_AI,
      ...more,
      constants: CONSTANTS,
      buckets: FIRST_TOKEN_BUCKETS,
    }),
    timePerOutputToken: registry.histogram({
      name: 'agentgateway_gen_ai_server_time_per_output_token',
      help: 'Streams: time per output token after the first content.',
      unit: 'seconds',
      labels: GEN_AI,
      ...more,
      constants: CONSTANTS,
      buckets: PER_TOKEN_BUCKETS,
    }),
  }
}

function registerTimingFamilies(registry: Registry, more: More) {
  const processing = {
    unit: 'seconds',
    labels: ROUTED,
    ...more,
    constants: CONSTANTS,
    buckets: PROCESSING_BUCKETS,
  }
  return {
    overhead: registry.histogram({
      ...processing,
      name: 'agentgateway_overhead_seconds',
      help: 'Time per request that the gateway itself added, in both directions.',
    }),
    requestProcessing: registry.histogram({
      ...processing,
      name: 'agentgateway_request_processing_seconds',
      help: "Time from a request's head to the call of the upstream.",
    }),
    responseProcessing: registry.histogram({
      ...processing,
      name: 'agentgateway_response_processing_seconds',
      help: 'Time that the gateway worked on a response.',
    }),
    chunkDelay: registry.histogram({
      name: 'agentgateway_stream_chunk_delay_seconds',
      help: "Streams: time from a chunk's arrival to its hand-over to the client's socket.",
      unit: 'seconds',
      labels: ROUTED,
      ...more,
      constants: CONSTANTS,
      buckets: CHUNK_DELAY_BUCKETS,
    }),
    stalled: registry.counter({
      name: 'agentgateway_stream_stalled_seconds_total',
      help: 'Streams: time for which the upstream was not read because the client read slowly.',
      unit: 'seconds',
      labels: ROUTED,
      ...more,
      constants: CONSTANTS,
    }),
    upstreamConnect: registry.histogram({
      name: 'agentgateway_upstream_connect_duration_seconds',
      help: 'Time to open a connection to an upstream.',
      unit: 'seconds',
      labels: ['transport'],
      buckets: CONNECT_BUCKETS,
    }),
    upstreamCall: registry.histogram({
      name: 'agentgateway_upstream_call_duration_seconds',
      help: "Time from an attempt's start to the head of its response.",
      unit: 'seconds',
      labels: ['kind', 'subtype'],
      buckets: REQUEST_BUCKETS,
    }),
  }
}

function registerBudgetFamilies(registry: Registry) {
  return {
    budgetSpent: registry.counter({
      name: 'agentgateway_budget_spent_total',
      help: 'What this gateway has taken from a budget, of all its keys, in its unit.',
      labels: ['budget', 'unit'],
    }),
    budgetLimit: registry.gauge({
      name: 'agentgateway_budget_limit',
      help: 'What a budget has in a window, for each of its keys, in its unit.',
      labels: ['budget', 'unit'],
      merge: 'own',
    }),
    budgetUsed: registry.gauge({
      name: 'agentgateway_budget_used',
      help: 'What is spent of a budget in the window of this moment, of several keys the most, in its unit.',
      labels: ['budget', 'unit'],
      merge: 'own',
    }),
    budgetExceeded: registry.counter({
      name: 'agentgateway_budget_exceeded_total',
      help: 'Requests that came when a budget was spent, by what was done about them.',
      labels: ['budget', 'action'],
    }),
  }
}

function registerGatewayFamilies(registry: Registry) {
  return {
    labelOverflow: registry.counter({
      name: 'agentgateway_metric_label_overflow_total',
      help: 'Requests whose value of an added label became _overflow because the label had too many.',
      labels: ['label'],
    }),
    connections: registry.counter({
      name: 'agentgateway_downstream_connections_total',
      help: 'Connections accepted from clients.',
      labels: CONNECTION,
      constants: CONNECTION_CONSTANTS,
    }),
    connectionsActive: registry.gauge({
      name: 'agentgateway_downstream_connections_active',
      help: 'Connections from clients that are open.',
      labels: CONNECTION,
      constants: CONNECTION_CONSTANTS,
    }),
    telemetryDropped: registry.counter({
      name: 'agentgateway_telemetry_dropped_total',
      help: 'Spans, log lines and metrics that were given up so that no request waited for them.',
      labels: ['signal'],
    }),
    workers: registry.gauge({
      name: 'agentgateway_workers',
      help: 'Worker processes that serve requests; 0 where there is only the one process.',
      merge: 'own',
    }),
    workerRestarts: registry.counter({
      name: 'agentgateway_worker_restarts_total',
      help: 'Worker processes that ended and were replaced.',
      labels: ['reason'],
    }),
    configSynchronized: registry.gauge({
      name: 'agentgateway_config_synchronized',
      help: '1 when the configuration in use is the latest, 0 after a reload that failed.',
      merge: 'own',
    }),
    configReloads: registry.counter({
      name: 'agentgateway_config_reloads_total',
      help: 'Reloads of the configuration by result.',
      labels: ['result'],
    }),
  }
}

/** The tutorial's five have no prefix and the labels of the versions that had them. */
function registerMcpFamilies(registry: Registry, more: More) {
  return {
    mcpRequests: registry.counter({
      name: 'agentgateway_mcp_requests_total',
      help: 'MCP messages of clients by what became of them.',
      labels: [...MCP, 'resource', 'status', 'error_type', ...ROUTED],
      ...more,
      constants: CONSTANTS,
    }),
    mcpDuration: registry.histogram({
      name: 'agentgateway_mcp_request_duration_seconds',
      help: 'Time from an MCP request to its answer.',
      unit: 'seconds',
      labels: [...MCP, 'status', ...ROUTED],
      ...more,
      constants: CONSTANTS,
      buckets: REQUEST_BUCKETS,
    }),
    backendUp: registry.gauge({
      name: 'agentgateway_backend_up',
      help: '1 while a provider of a group is asked, 0 while it is evicted and until a request to it succeeds.',
      labels: ['group', 'backend'],
      merge: 'min',
    }),
    backendEvictions: registry.counter({
      name: 'agentgateway_backend_evictions_total',
      help: 'How often a provider of a group was left alone for a while.',
      labels: ['group', 'backend'],
    }),
    mcpSessions: registry.gauge({
      name: 'agentgateway_mcp_sessions_active',
      help: 'MCP sessions of clients.',
      labels: ['backend'],
    }),
    mcpTargetUp: registry.gauge({
      name: 'agentgateway_mcp_target_up',
      help: '1 while an MCP target can be had, 0 while it cannot.',
      labels: ['backend', 'server'],
      merge: 'min',
    }),
    mcpTargetRestarts: registry.counter({
      name: 'agentgateway_mcp_target_restarts_total',
      help: 'Connections to an MCP target that were made again after they were lost, processes started again.',
      labels: ['backend', 'server'],
    }),
    toolCalls: registry.counter({
      name: 'tool_calls_total',
      help: 'MCP tools called.',
      labels: ['server', 'name'],
    }),
    toolCallErrors: registry.counter({
      name: 'tool_call_errors_total',
      help: 'MCP tool calls that failed.',
      labels: ['server', 'name', 'error_type'],
    }),
    listCalls: registry.counter({
      name: 'list_calls_total',
      help: 'MCP lists served.',
      labels: ['resource_type'],
    }),
    readResourceCalls: registry.counter({
      name: 'read_resource_calls_total',
      help: 'MCP resources read.',
      labels: ['server', 'uri'],
      maxSeries: MAX_URI_SERIES,
    }),
    getPromptCalls: registry.counter({
      name: 'get_prompt_calls_total',
      help: 'MCP prompts fetched.',
      labels: ['server', 'name'],
    }),
  }
}
