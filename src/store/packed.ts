/**
 * An exchange as a list without names: half as long in JSON as an object.
 *
 * What stands where is a format on disk. A new fact goes to the end of its list, where older rows have nothing; for
 * anything else `VERSION` rises and `unpack` (in `unpacked.ts`) reads both.
 */
import type {
  Attempt,
  Exchange,
  LlmFacts,
  LlmParameters,
  McpCall,
  McpFacts,
  PolicyEvent,
} from '../core/exchange.ts'
import { clip, MAX_MEMBERS, MAX_TEXT } from './fields.ts'

export const VERSION = 1

/** How much is kept of what clients and servers say: characters, and members of a list. */
export interface Limits {
  readonly text: number
  readonly name: number
  readonly list: number
}

export const ROOMY: Limits = { text: MAX_TEXT, name: 256, list: MAX_MEMBERS }

/** Nanoseconds: whole numbers are written several times faster than fractions. Undefined is null in a list. */
const nanos = (milliseconds: number | undefined) =>
  milliseconds === undefined ? undefined : Math.round(milliseconds * 1e6)
const since = (start: number, at: number | undefined) => (at === undefined ? undefined : nanos(at - start))

export function pack(exchange: Exchange, limits: Limits): readonly unknown[] {
  const { trace, startedAt, llm, mcp } = exchange
  const { text, name, list } = limits
  return [
    VERSION,
    clip(trace.traceId, name),
    clip(trace.spanId, name),
    clip(trace.parentSpanId, name),
    trace.sampled ? 1 : 0,
    clip(trace.traceState, text),
    exchange.startedAtEpochMs,
    clip(exchange.clientAddress, name),
    clip(exchange.method, name),
    clip(exchange.host, text),
    clip(exchange.path, text),
    clip(exchange.httpVersion, name),
    exchange.scheme,
    clip(exchange.userAgent, text),
    exchange.requestBytes,
    clip(exchange.user, text),
    clip(exchange.group, text),
    clip(exchange.key, name),
    clip(exchange.bind, name),
    clip(exchange.listener, name),
    clip(exchange.route, name),
    clip(exchange.routePattern, text),
    exchange.protocol,
    clip(exchange.backend, name),
    llm === undefined ? undefined : packLlm(llm, startedAt, limits),
    mcp === undefined ? undefined : packMcp(mcp, startedAt, limits),
    exchange.attempts.slice(0, list).map((attempt) => packAttempt(attempt, startedAt, limits)),
    exchange.status,
    exchange.responseBytes,
    since(startedAt, exchange.headSentAt),
    since(startedAt, exchange.endedAt),
    exchange.outcome,
    exchange.reason,
    exchange.errorType,
    clip(exchange.errorMessage, text),
    nanos(exchange.requestProcessingMs),
    nanos(exchange.responseProcessingMs),
    nanos(exchange.chunkDelaySumMs),
    nanos(exchange.stalledMs),
    exchange.events?.slice(0, list).map((event) => packEvent(event, startedAt, limits)),
    exchange.attributes
      ?.slice(0, list)
      .map(([key, value]) => [clip(key, name), typeof value === 'string' ? clip(value, text) : value]),
  ]
}

function packAttempt(attempt: Attempt, start: number, { text, name }: Limits): readonly unknown[] {
  return [
    attempt.spanId,
    clip(attempt.endpoint, name),
    since(start, attempt.startedAt),
    nanos(attempt.connectMs),
    since(start, attempt.headAt),
    since(start, attempt.endedAt),
    attempt.status,
    attempt.errorType,
    clip(attempt.errorMessage, text),
    nanos(attempt.queuedMs),
  ]
}

function packEvent(event: PolicyEvent, start: number, { name }: Limits): readonly unknown[] {
  return [
    event.name,
    since(start, event.at),
    clip(event.policy, name),
    clip(event.limit, name),
    event.keyHash,
    event.action,
    clip(event.backend, name),
    clip(event.from, name),
    nanos(event.durationMs),
    event.status,
    clip(event.reason, name),
  ]
}

function packLlm(llm: LlmFacts, start: number, limits: Limits): readonly unknown[] {
  const { usage, cost } = llm
  const { text, name, list } = limits
  return [
    llm.routeType,
    llm.operation,
    clip(llm.provider, name),
    llm.clientFormat,
    llm.providerFormat,
    clip(llm.originalModel, text),
    clip(llm.requestModel, text),
    llm.modelConfirmed ? 1 : 0,
    clip(llm.responseModel, text),
    clip(llm.responseId, name),
    llm.streaming ? 1 : 0,
    packParameters(llm.parameters, limits),
    llm.finishReasons.slice(0, list).map((reason) => clip(reason, name)),
    since(start, llm.firstTokenAt),
    usage && [
      usage.inputTokens,
      usage.outputTokens,
      usage.cacheReadTokens,
      usage.cacheWriteTokens,
      usage.reasoningTokens,
    ],
    llm.usageSource,
    cost && [cost.total, cost.input, cost.output],
    llm.costStatus,
    llm.guards
      .slice(0, list)
      .map(({ phase, guard, action, waitedMs }) => [phase, guard, action, nanos(waitedMs)]),
  ]
}

function packParameters(parameters: LlmParameters, { name, list }: Limits): LlmParameters {
  const { stopSequences, reasoningLevel, encodingFormat } = parameters
  return {
    ...parameters,
    ...(stopSequences && { stopSequences: stopSequences.slice(0, list).map((one) => clip(one, name)) }),
    ...(reasoningLevel !== undefined && { reasoningLevel: clip(reasoningLevel, name) }),
    ...(encodingFormat !== undefined && { encodingFormat: clip(encodingFormat, name) }),
  }
}

function packMcp(mcp: McpFacts, start: number, limits: Limits): readonly unknown[] {
  const { text, name, list } = limits
  const kept = mcp.operations.slice(0, list)
  const operations = kept.map((one) => [
    clip(one.method, name),
    one.isInterim ? 1 : 0,
    typeof one.requestId === 'string' ? clip(one.requestId, name) : one.requestId,
    since(start, one.startedAt),
    since(start, one.endedAt),
    one.resourceType,
    clip(one.resource, text),
    one.resourceConfirmed ? 1 : 0,
    clip(one.target, name),
    one.errorType,
    one.errorCode,
    clip(one.errorMessage, text),
  ])
  const calls: (readonly unknown[])[] = []
  for (const one of mcp.calls) {
    const operation = kept.indexOf(one.operation)
    if (calls.length < list && operation >= 0) calls.push(packCall({ one, operation }, start, limits))
  }
  return [clip(mcp.sessionId, name), clip(mcp.protocolVersion, name), operations, calls]
}

function packCall(
  { one, operation }: { readonly one: McpCall; readonly operation: number },
  start: number,
  { text, name }: Limits,
): readonly unknown[] {
  return [
    one.spanId,
    operation,
    clip(one.method, name),
    clip(one.target, name),
    clip(one.endpoint, name),
    one.transport === 'pipe' ? 1 : 0,
    since(start, one.startedAt),
    nanos(one.connectMs),
    since(start, one.endedAt),
    one.status,
    clip(one.sessionId, name),
    one.errorType,
    one.errorCode,
    clip(one.errorMessage, text),
  ]
}
