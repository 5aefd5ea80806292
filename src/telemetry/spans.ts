/**
 * The span tree of a finished exchange: a SERVER span, below it the logical call of the model, below that one span
 * per attempt, whose id the provider has seen in `traceparent`. A plain HTTP exchange has no middle level.
 *
 * Spans are built when all is over, so that nothing on a request's way knows of tracing. Names follow OpenTelemetry:
 * https://github.com/open-telemetry/semantic-conventions-genai (0.1.0),
 * https://opentelemetry.io/docs/specs/semconv/http/http-spans/; what they have no word for is `agentgateway.*`,
 * and `agw.*` where upstream has one. Durations in attributes are seconds.
 */
import { type ErrorType, errorTypeOfStatus, type Outcome } from '../core/errors.ts'
import { type Attempt, type Exchange, guardActionOf, guardWaitMs, type LlmFacts } from '../core/exchange.ts'
import { policyEvents } from './span-events.ts'
import {
  type Attributes,
  aboveZero,
  clip,
  clipText,
  endOf,
  events,
  present,
  type SpanRecord,
  safe,
  seconds,
  spanName,
  splitAddress,
  timeOf,
} from './span-parts.ts'
import { mainOperation, mcpCallSpan, mcpServerAttributes, mcpServerName } from './spans-mcp.ts'

/** How many spans `spansOf` will build. */
export const spanCountOf = (exchange: Exchange) =>
  1 +
  (modelCallOf(exchange) === undefined ? 0 : 1) +
  exchange.attempts.length +
  (exchange.mcp?.calls.length ?? 0)

/** A passed-through request tells us nothing of a model; one that was refused has called none. */
function modelCallOf({ llm, attempts }: Exchange): LlmFacts | undefined {
  return llm === undefined || llm.operation === 'unknown' || attempts.length === 0 ? undefined : llm
}

export function spansOf(exchange: Exchange): SpanRecord[] {
  const { attempts, trace } = exchange
  const call = modelCallOf(exchange)
  const callSpanId = call === undefined ? trace.spanId : callSpanIdOf(trace.spanId)
  const spans = [serverSpan(exchange)]
  if (call !== undefined) spans.push(callSpan(exchange, call, callSpanId))
  for (const [index, attempt] of attempts.entries()) {
    spans.push(attemptSpan(exchange, attempt, { parentSpanId: callSpanId, resendCount: index }))
  }
  for (const call of exchange.mcp?.calls ?? []) spans.push(mcpCallSpan(exchange, call))
  return spans
}

/** The same whenever it is built: exported and looked at later. Of the SERVER span's random digits the last is another. */
const callSpanIdOf = (spanId: string) =>
  spanId.slice(0, -1) + (Number.parseInt(spanId.slice(-1), 16) ^ 1).toString(16)

/** The SERVER span's name. */
export const operationOf = (exchange: Exchange) =>
  (exchange.mcp && mcpServerName(exchange.mcp)) ?? httpName(exchange)

let latest:
  | { readonly method: string; readonly pattern: string | undefined; readonly name: string }
  | undefined

/** Mostly the one before again: not another text of the same characters. */
function httpName({ method, routePattern: pattern }: Exchange): string {
  if (latest === undefined || latest.method !== method || latest.pattern !== pattern) {
    latest = { method, pattern, name: spanName(knownMethod(method) ?? 'HTTP', pattern) }
  }
  return latest.name
}

/** The SERVER span's status is Error. */
export const isFailedExchange = (exchange: Exchange) => serverError(exchange) !== undefined

function serverSpan(exchange: Exchange): SpanRecord {
  const method = knownMethod(exchange.method)
  const host = splitAddress(exchange.host)
  const client = splitAddress(exchange.clientAddress)
  const { requestProcessingMs, responseProcessingMs } = exchange
  const guardMs = exchange.llm && guardWaitMs(exchange.llm.guards)
  const attributes = present({
    'http.request.method': method ?? '_OTHER',
    'http.request.method_original': method === undefined ? exchange.method : undefined,
    'http.route': exchange.routePattern,
    'http.response.status_code': exchange.status === 0 ? undefined : exchange.status,
    'http.request.body.size': exchange.requestBytes,
    'http.response.body.size': exchange.responseBytes,
    'url.scheme': exchange.scheme,
    'url.path': clip(exchange.path),
    'server.address': host.address,
    'server.port': host.port,
    'client.address': client.address,
    'client.port': client.port,
    'network.protocol.name': 'http',
    'network.protocol.version': exchange.httpVersion,
    'user_agent.original': clip(exchange.userAgent),
    'error.type': exchange.errorType,
    'agentgateway.bind': exchange.bind,
    'agentgateway.listener': exchange.listener,
    'agentgateway.route': exchange.route,
    'agentgateway.backend': exchange.backend,
    'agentgateway.protocol': exchange.protocol,
    'agentgateway.outcome': exchange.outcome,
    'agentgateway.reason': exchange.reason,
    'agentgateway.overhead':
      requestProcessingMs === undefined ? undefined : seconds(requestProcessingMs + responseProcessingMs),
    'agentgateway.stalled': exchange.stalledMs > 0 ? seconds(exchange.stalledMs) : undefined,
    'agentgateway.guard.request': exchange.llm && guardActionOf(exchange.llm.guards, 'request'),
    'agentgateway.guard.response': exchange.llm && guardActionOf(exchange.llm.guards, 'response'),
    'agentgateway.guard.duration': guardMs === undefined ? undefined : seconds(guardMs),
  })
  if (exchange.llm !== undefined && exchange.attempts.length === 0) {
    Object.assign(attributes, requestAttributes(exchange.llm))
  }
  const { mcp } = exchange
  if (mcp !== undefined) Object.assign(attributes, mcpServerAttributes(mcp))
  return {
    name: operationOf(exchange),
    kind: 'server',
    traceId: exchange.trace.traceId,
    spanId: exchange.trace.spanId,
    parentSpanId: exchange.trace.parentSpanId,
    startTime: timeOf(exchange, exchange.startedAt),
    endTime: timeOf(exchange, endOf(exchange)),
    attributes,
    events: [
      ...policyEvents(exchange),
      ...events(exchange, [['agentgateway.response_head_sent', exchange.headSentAt]]),
    ],
    error: serverError(exchange),
  }
}

/** What a server's JSON-RPC error or a tool's complaint says is an error of the operation, if not of HTTP. */
function serverError(exchange: Exchange): SpanRecord['error'] {
  const failed = exchange.mcp && mainOperation(exchange.mcp)
  if (failed?.errorType !== undefined) return { message: safe(failed.errorMessage) }
  return isServerError(exchange) ? { message: safe(exchange.errorMessage) } : undefined
}

function callSpan(exchange: Exchange, llm: LlmFacts, spanId: string): SpanRecord {
  const { attempts, outcome } = exchange
  const startedAt = Math.min(...attempts.map((attempt) => attempt.startedAt))
  const last = attempts.at(-1)
  const endpoint = splitAddress(last?.endpoint)
  const hasFailed = (last !== undefined && isFailed(last)) || UPSTREAM_FAILURES.has(outcome)
  const { firstTokenAt } = llm
  return {
    name: spanName(llm.operation, llm.requestModel ?? llm.originalModel),
    kind: 'client',
    traceId: exchange.trace.traceId,
    spanId,
    parentSpanId: exchange.trace.spanId,
    startTime: timeOf(exchange, startedAt),
    endTime: timeOf(exchange, Math.max(...attempts.map((attempt) => attempt.endedAt ?? endOf(exchange)))),
    attributes: {
      ...requestAttributes(llm),
      ...responseAttributes(llm),
      ...present({
        'gen_ai.response.time_to_first_chunk':
          firstTokenAt === undefined ? undefined : seconds(firstTokenAt - startedAt),
        'server.address': endpoint.address,
        'server.port': endpoint.port,
        'error.type': hasFailed ? errorTypeOf(last, exchange.errorType) : undefined,
        'agentgateway.backend': exchange.backend,
      }),
    },
    events: events(exchange, [['gen_ai.first_token', firstTokenAt]]),
    error: hasFailed ? { message: safe(last?.errorMessage ?? exchange.errorMessage) } : undefined,
  }
}

function attemptSpan(
  exchange: Exchange,
  attempt: Attempt,
  place: { readonly parentSpanId: string; readonly resendCount: number },
): SpanRecord {
  const method = knownMethod(exchange.method)
  const endpoint = splitAddress(attempt.endpoint)
  const hasFailed = isFailed(attempt)
  return {
    name: spanName(method ?? 'HTTP', endpoint.address),
    kind: 'client',
    traceId: exchange.trace.traceId,
    spanId: attempt.spanId,
    parentSpanId: place.parentSpanId,
    startTime: timeOf(exchange, attempt.startedAt),
    endTime: timeOf(exchange, Math.max(attempt.startedAt, attempt.endedAt ?? endOf(exchange))),
    attributes: present({
      'http.request.method': method ?? '_OTHER',
      'http.response.status_code': attempt.status,
      'http.request.resend_count': place.resendCount > 0 ? place.resendCount : undefined,
      'server.address': endpoint.address,
      'server.port': endpoint.port,
      'error.type': hasFailed ? errorTypeOf(attempt, undefined) : attempt.errorType,
      'agentgateway.backend': exchange.backend,
      'agentgateway.connect_time': attempt.connectMs === undefined ? undefined : seconds(attempt.connectMs),
      'agentgateway.queue_time': attempt.queuedMs === undefined ? undefined : seconds(attempt.queuedMs),
    }),
    events: events(exchange, [['agentgateway.response_head', attempt.headAt]]),
    error: hasFailed ? { message: safe(attempt.errorMessage) } : undefined,
  }
}

function requestAttributes(llm: LlmFacts): Attributes {
  const { parameters } = llm
  return present({
    'gen_ai.operation.name': llm.operation,
    'gen_ai.provider.name': llm.provider,
    'gen_ai.request.model': clip(llm.requestModel ?? llm.originalModel),
    'gen_ai.request.stream': llm.streaming ? true : undefined,
    'gen_ai.request.temperature': parameters.temperature,
    'gen_ai.request.top_p': parameters.topP,
    'gen_ai.request.top_k': parameters.topK,
    'gen_ai.request.max_tokens': parameters.maxTokens,
    'gen_ai.request.frequency_penalty': parameters.frequencyPenalty,
    'gen_ai.request.presence_penalty': parameters.presencePenalty,
    'gen_ai.request.seed': parameters.seed,
    'gen_ai.request.choice.count': parameters.choiceCount === 1 ? undefined : parameters.choiceCount,
    'gen_ai.request.stop_sequences': parameters.stopSequences?.slice(0, 16).map(clipText),
    'gen_ai.request.reasoning.level': clip(parameters.reasoningLevel),
    'gen_ai.request.encoding_formats':
      parameters.encodingFormat === undefined ? undefined : [clipText(parameters.encodingFormat)],
    'gen_ai.embeddings.dimension.count': parameters.dimensions,
    'agentgateway.original_model':
      llm.originalModel === llm.requestModel ? undefined : clip(llm.originalModel),
  })
}

function responseAttributes(llm: LlmFacts): Attributes {
  const { usage, cost } = llm
  return present({
    'gen_ai.response.id': clip(llm.responseId),
    'gen_ai.response.model': clip(llm.responseModel),
    'gen_ai.response.finish_reasons': llm.finishReasons.length > 0 ? [...llm.finishReasons] : undefined,
    'gen_ai.usage.input_tokens': usage?.inputTokens,
    'gen_ai.usage.output_tokens': usage?.outputTokens,
    'gen_ai.usage.cache_read.input_tokens': aboveZero(usage?.cacheReadTokens),
    'gen_ai.usage.cache_write.input_tokens': aboveZero(usage?.cacheWriteTokens),
    // What the conventions called it until 1.41, and Jaeger's and other readers' queries still do.
    'gen_ai.usage.cache_creation.input_tokens': aboveZero(usage?.cacheWriteTokens),
    'gen_ai.usage.reasoning.output_tokens': aboveZero(usage?.reasoningTokens),
    'agw.ai.usage.cost.total': cost?.total,
    'agw.ai.usage.cost.input': cost?.input,
    'agw.ai.usage.cost.output': cost?.output,
    'agentgateway.usage_source': llm.usageSource,
    'agentgateway.cost_status': llm.costStatus,
  })
}

/** Outcomes that are the upstream's doing, whatever status its head had. */
const UPSTREAM_FAILURES = new Set<Outcome | undefined>([
  'upstream_error',
  'upstream_midstream_error',
  'timeout',
])
/** Outcomes that are an error of the server even under a 200 or a 4xx. A client that leaves is none. */
const SERVER_FAILURES = new Set<Outcome | undefined>([
  'upstream_midstream_error',
  'timeout',
  'rejected',
  'shed',
  'internal',
])

const isServerError = (exchange: Exchange) => exchange.status >= 500 || SERVER_FAILURES.has(exchange.outcome)

const isFailed = (attempt: Attempt) =>
  (attempt.status !== undefined && attempt.status >= 400) ||
  (attempt.errorType !== undefined && attempt.errorType !== 'caller_abort')

function errorTypeOf(attempt: Attempt | undefined, otherwise: ErrorType | undefined): ErrorType {
  const { errorType = otherwise, status = 0 } = attempt ?? {}
  return errorType ?? errorTypeOfStatus(status)
}

// https://opentelemetry.io/docs/specs/semconv/registry/attributes/http/#http-request-method
const METHODS = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'QUERY',
])
const knownMethod = (method: string) => (METHODS.has(method) ? method : undefined)
