/**
 * One client request on its way through the gateway, and what became of it.
 *
 * Stages write facts here as they learn them. Metrics, spans, the access log and the console are all read from
 * the finished record, so no stage ever imports `telemetry/`, and none of the four can disagree with another.
 * Times ending in `At` are milliseconds of the monotonic clock (`performance.now()`), so that a wall clock that
 * jumps bends no duration; `startedAtEpochMs` is the one anchor to the calendar.
 */
import type { ErrorType, Outcome, Reason } from './errors.ts'
import { newSpanId, type TraceContext } from './trace-context.ts'
import type { Cost, CostStatus, Usage, UsageSource } from './usage.ts'

export type Protocol = 'http' | 'llm' | 'mcp' | 'tcp'

/** The API that a client or a provider speaks. */
export type WireFormat = 'completions' | 'messages' | 'responses' | 'embeddings'

/** The configured kind of an LLM route. */
export type RouteType =
  | 'completions'
  | 'messages'
  | 'responses'
  | 'embeddings'
  | 'models'
  | 'anthropicTokenCount'
  | 'passthrough'
  | 'detect'

/** One try at the upstream. Retries are siblings. */
export interface Attempt {
  readonly spanId: string
  /** `host:port` as configured. */
  readonly endpoint: string
  readonly startedAt: number
  /** Set when this attempt opened a new connection: how long that took. */
  connectMs: number | undefined
  /** Set when this attempt had to wait for its turn at the upstream: how long that took, of `connectMs` a part. */
  queuedMs: number | undefined
  /** When the response's head arrived. */
  headAt: number | undefined
  /** When its last byte arrived, or it failed. */
  endedAt: number | undefined
  status: number | undefined
  errorType: ErrorType | undefined
  /** For the log and the span; never shown to the client. */
  errorMessage: string | undefined
}

/** Request parameters worth a span attribute. */
export interface LlmParameters {
  readonly temperature?: number
  readonly topP?: number
  readonly topK?: number
  readonly maxTokens?: number
  readonly frequencyPenalty?: number
  readonly presencePenalty?: number
  readonly seed?: number
  readonly choiceCount?: number
  readonly stopSequences?: readonly string[]
  readonly reasoningLevel?: string
  readonly encodingFormat?: string
  readonly dimensions?: number
}

/** What a guard made of a request or of an answer: of a stream, of as much as has come. */
export interface GuardCheck {
  readonly phase: 'request' | 'response'
  readonly guard: 'regex' | 'webhook' | 'openAIModeration'
  action: GuardAction
  /** For the verdict of a service; undefined where none was asked. */
  readonly waitedMs?: number | undefined
}

/** From the mildest to the strictest. */
const GUARD_ACTIONS = ['Allow', 'FailOpen', 'Mask', 'Reject'] as const
export type GuardAction = (typeof GUARD_ACTIONS)[number]

/** What all guards of a phase together made of it; undefined when there were none. */
export function guardActionOf(
  checks: readonly GuardCheck[],
  phase: GuardCheck['phase'],
): GuardAction | undefined {
  const actions = checks.filter((check) => check.phase === phase).map(({ action }) => action)
  return GUARD_ACTIONS.findLast((action) => actions.includes(action))
}

/** How long services were waited for; undefined where none was asked. */
export function guardWaitMs(checks: readonly GuardCheck[]): number | undefined {
  const waits = checks.map(({ waitedMs }) => waitedMs).filter((wait) => wait !== undefined)
  return waits.length === 0 ? undefined : waits.reduce((sum, wait) => sum + wait)
}

export interface LlmFacts {
  readonly routeType: RouteType
  /** OpenTelemetry's `gen_ai.operation.name`. */
  readonly operation: 'chat' | 'embeddings' | 'count_tokens' | 'list_models' | 'unknown'
  /** OpenTelemetry's `gen_ai.provider.name`: `openai`, `anthropic`, or the custom provider's name. */
  readonly provider: string
  /** What the client speaks; undefined where bytes pass unread. */
  readonly clientFormat: WireFormat | undefined
  /** What the provider was asked in. */
  providerFormat: WireFormat | undefined
  /** The model that the client named. */
  originalModel: string | undefined
  /** The model that the provider was asked for, after pins and aliases. */
  requestModel: string | undefined
  /** True when the request model is configured, or the provider's answer names it: only then is it a label. */
  modelConfirmed: boolean
  responseModel: string | undefined
  responseId: string | undefined
  streaming: boolean
  parameters: LlmParameters
  finishReasons: readonly string[]
  /** When the first content (not merely the first byte) reached us; streaming only. */
  firstTokenAt: number | undefined
  usage: Usage | undefined
  usageSource: UsageSource
  cost: Cost | undefined
  costStatus: CostStatus | undefined
  /** One for each guard that ran. */
  readonly guards: GuardCheck[]
}

/** Upper bounds, in seconds, of the per-chunk forwarding delay's histogram. */
export const CHUNK_DELAY_BUCKETS = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1,
] as const

/** Why an MCP operation or a call to a target failed; the values of old versions of `tool_call_errors_total` and more. */
export const MCP_ERROR_TYPES = [
  'tool_error',
  'mcp_error',
  'timeout',
  'cancelled',
  'unexpected_response',
  'transport_error',
  'openapi_error',
  'unavailable',
  'denied',
  'invalid_request',
  'internal',
] as const
export type McpErrorType = (typeof MCP_ERROR_TYPES)[number]

export type McpResourceType = 'tool' | 'prompt' | 'resource' | 'task'

/** One JSON-RPC message of a client. */
export interface McpOperation {
  readonly method: string
  /** Its answer was a question: the operation goes on with the client's next request. */
  isInterim: boolean
  /** Undefined for notifications. */
  readonly requestId: string | number | undefined
  readonly startedAt: number
  endedAt: number | undefined
  resourceType: McpResourceType | undefined
  /** The tool's or prompt's name as its server knows it, or the URI. */
  resource: string | undefined
  /** True when the server is known to have it: only then is it a label. */
  resourceConfirmed: boolean
  /** Undefined when several servers were asked, or none. */
  target: string | undefined
  errorType: McpErrorType | undefined
  /** JSON-RPC's code. */
  errorCode: number | undefined
  errorMessage: string | undefined
}

/** One message on its way to one server, to the end of its answer. */
export interface McpCall {
  spanId: string
  readonly operation: McpOperation
  /** The operation's own, or what had to be known first. */
  readonly method: string
  readonly target: string
  /** `host:port`, or the command. */
  readonly endpoint: string
  readonly transport: 'tcp' | 'pipe'
  startedAt: number
  connectMs: number | undefined
  endedAt: number | undefined
  /** Of HTTP, where that carries it. */
  status: number | undefined
  sessionId: string | undefined
  errorType: McpErrorType | undefined
  errorCode: number | undefined
  errorMessage: string | undefined
}

export interface McpFacts {
  sessionId: string | undefined
  protocolVersion: string | undefined
  /** More than one only where a client sends a batch. */
  readonly operations: McpOperation[]
  readonly calls: McpCall[]
}

export type PolicyEventName =
  | 'rate_limit.exceeded'
  | 'budget.exceeded'
  | 'ext_authz.denied'
  | 'ext_authz.failed'
  | 'backend.retry'
  | 'backend.failover'
  | 'backend.evicted'
  | 'backend.shed'

/** Something that a policy did about the request. */
export interface PolicyEvent {
  readonly name: PolicyEventName
  readonly at: number
  /** As it is configured: `localRateLimit[0]`, a budget's name, the service of `extAuthz`. */
  readonly policy?: string | undefined
  /** Of what, how much: `100 requests per 60s`. */
  readonly limit?: string | undefined
  /** Tells keys apart and is none: the beginning of a SHA-256. */
  readonly keyHash?: string | undefined
  /** What the configuration has the policy do then. */
  readonly action?: string | undefined
  /** Whom it is about; the one that is asked next. */
  readonly backend?: string | undefined
  /** Who was asked before, where that is somebody else. */
  readonly from?: string | undefined
  /** How long it lasts: a pause, an eviction. */
  readonly durationMs?: number | undefined
  readonly status?: number | undefined
  /** For the span; never shown to the client. */
  readonly reason?: string | undefined
}

export interface Exchange {
  /** Replaced when an MCP message, not the request's head, carries the caller's context. */
  trace: TraceContext
  readonly startedAtEpochMs: number
  readonly startedAt: number

  // What the client sent.
  readonly clientAddress: string
  readonly method: string
  /** The `Host` header, or the authority. */
  readonly host: string
  /** Without the query. */
  readonly path: string
  /** Without the question mark, and without credentials that were checked. Never logged as is: it may carry others. */
  query: string
  readonly httpVersion: string
  readonly scheme: 'http' | 'https'
  readonly userAgent: string | undefined
  requestBytes: number

  // Who asked, as far as the request tells.
  /** As the client named its end user, in the request's body or in its token. */
  user: string | undefined
  group: string | undefined
  /** Tells credentials apart and is none: the beginning of a SHA-256. */
  key: string | undefined

  // Where it went.
  /** `bind/3000` */
  readonly bind: string
  /** Configured name, or `listener0`. */
  listener: string | undefined
  /** `default/chat`, or `default/route0`. */
  route: string | undefined
  /** The matched pattern as the span's name shows it: `/v1/*`. Low cardinality. */
  routePattern: string | undefined
  protocol: Protocol
  /** Readable: `ai.name`, the named backend, or `host:port`. */
  backend: string | undefined
  llm: LlmFacts | undefined
  mcp: McpFacts | undefined
  attempts: Attempt[]

  // What became of it.
  /** The status of the response that was sent, or that would have been (499) had the client stayed. */
  status: number
  responseBytes: number
  /** When the head was handed to the client's socket. */
  headSentAt: number | undefined
  endedAt: number | undefined
  outcome: Outcome | undefined
  reason: Reason
  errorType: ErrorType | undefined
  /** For the log and the span. */
  errorMessage: string | undefined

  /** Time in which the gateway itself worked or made the exchange wait: neither for the client nor for the upstream. */
  requestProcessingMs: number | undefined
  responseProcessingMs: number
  /**
   * Streams only: how long each chunk stayed here between its arrival and its hand-over to the client's socket,
   * counted per bucket of `CHUNK_DELAY_BUCKETS` (not cumulative; the last is the overflow), and the sum.
   */
  chunkDelayCounts: Uint32Array | undefined
  chunkDelaySumMs: number
  /** Time for which the upstream read was stopped because the client read slowly. */
  stalledMs: number
  /** What policies did about it, in the order of time; undefined when they did nothing that matters. */
  events: PolicyEvent[] | undefined
  /** What the configuration wants kept with it besides; undefined where it names nothing. */
  attributes: readonly Attribute[] | undefined
}

export type Attribute = readonly [name: string, value: string | number | boolean]

/** More than a request can bring about by its attempts. */
const MAX_EVENTS = 64

export function noteEvent(exchange: Exchange, event: Omit<PolicyEvent, 'at'>): void {
  exchange.events ??= []
  if (exchange.events.length < MAX_EVENTS) exchange.events.push({ ...event, at: performance.now() })
}

export const beginAttempt = (endpoint: string, startedAt: number): Attempt => ({
  spanId: newSpanId(),
  endpoint,
  startedAt,
  connectMs: undefined,
  queuedMs: undefined,
  headAt: undefined,
  endedAt: undefined,
  status: undefined,
  errorType: undefined,
  errorMessage: undefined,
})

/** All that `listen/` knows when a request's head has arrived. */
export interface ExchangeStart {
  readonly trace: TraceContext
  readonly clientAddress: string
  readonly method: string
  readonly host: string
  readonly path: string
  readonly query: string
  readonly httpVersion: string
  readonly scheme: 'http' | 'https'
  readonly userAgent: string | undefined
  readonly bind: string
}

export function beginExchange(start: ExchangeStart): Exchange {
  return {
    trace: start.trace,
    startedAtEpochMs: Date.now(),
    startedAt: performance.now(),
    clientAddress: start.clientAddress,
    method: start.method,
    host: start.host,
    path: start.path,
    query: start.query,
    httpVersion: start.httpVersion,
    scheme: start.scheme,
    userAgent: start.userAgent,
    requestBytes: 0,
    user: undefined,
    group: undefined,
    key: undefined,
    bind: start.bind,
    listener: undefined,
    route: undefined,
    routePattern: undefined,
    protocol: 'http',
    backend: undefined,
    llm: undefined,
    mcp: undefined,
    attempts: [],
    status: 0,
    responseBytes: 0,
    headSentAt: undefined,
    endedAt: undefined,
    outcome: undefined,
    reason: 'Upstream',
    errorType: undefined,
    errorMessage: undefined,
    requestProcessingMs: undefined,
    responseProcessingMs: 0,
    chunkDelayCounts: undefined,
    chunkDelaySumMs: 0,
    stalledMs: 0,
    events: undefined,
    attributes: undefined,
  }
}
