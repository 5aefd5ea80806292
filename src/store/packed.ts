/**
 * An exchange as a list without names: half as long in JSON as an object. It is written for every request.
 *
 * What stands where is a format on disk. A new fact goes to the end of its list, where older rows have nothing; for
 * anything else `VERSION` rises and `unpack` (in `unpacked.ts`) reads both.
 */
import type {
  Attempt,
  Attribute,
  Exchange,
  LlmFacts,
  LlmParameters,
  McpCall,
  McpFacts,
  McpOperation,
  PolicyEvent,
} from '../core/exchange.ts'
import { clip } from './fields.ts'
import type { Tape } from './tape.ts'

export const VERSION = 1

/** How much is kept of what clients and servers say: characters, and members of a list. */
export interface Limits {
  readonly text: number
  readonly name: number
  readonly list: number
}

export const ROOMY: Limits = { text: 1024, name: 256, list: 32 }

/** Nanoseconds: whole numbers are several times faster in JSON than fractions. */
const nanos = (milliseconds: number | undefined) =>
  milliseconds === undefined ? undefined : Math.round(milliseconds * 1e6)
const since = (start: number, at: number | undefined) => (at === undefined ? undefined : nanos(at - start))

export function pack(out: Tape, exchange: Exchange, limits: Limits): void {
  const { trace, startedAt, llm, mcp, attempts, events, attributes } = exchange
  const { text, name, list } = limits
  out.open()
  out.number(VERSION)
  out.ownText(clip(trace.traceId, name))
  out.ownText(clip(trace.spanId, name))
  out.ownText(clip(trace.parentSpanId, name))
  out.number(trace.sampled ? 1 : 0)
  out.ownText(clip(trace.traceState, text))
  out.number(exchange.startedAtEpochMs)
  out.text(clip(exchange.clientAddress, name))
  out.text(clip(exchange.method, name))
  out.text(clip(exchange.host, text))
  out.text(clip(exchange.path, text))
  out.text(clip(exchange.httpVersion, name))
  out.text(exchange.scheme)
  out.text(clip(exchange.userAgent, text))
  out.number(exchange.requestBytes)
  out.text(clip(exchange.user, text))
  out.text(clip(exchange.group, text))
  out.text(clip(exchange.key, name))
  out.text(clip(exchange.bind, name))
  out.text(clip(exchange.listener, name))
  out.text(clip(exchange.route, name))
  out.text(clip(exchange.routePattern, text))
  out.text(exchange.protocol)
  out.text(clip(exchange.backend, name))
  if (llm === undefined) out.nothing()
  else packLlm(out, llm, startedAt, limits)
  if (mcp === undefined) out.nothing()
  else packMcp(out, mcp, startedAt, limits)
  out.open()
  for (const attempt of firstOf(attempts, list)) packAttempt(out, attempt, startedAt, limits)
  out.close()
  out.number(exchange.status)
  out.number(exchange.responseBytes)
  out.number(since(startedAt, exchange.headSentAt))
  out.number(since(startedAt, exchange.endedAt))
  out.text(exchange.outcome)
  out.text(exchange.reason)
  out.text(exchange.errorType)
  out.text(clip(exchange.errorMessage, text))
  out.number(nanos(exchange.requestProcessingMs))
  out.number(nanos(exchange.responseProcessingMs))
  out.number(nanos(exchange.chunkDelaySumMs))
  out.number(nanos(exchange.stalledMs))
  if (events === undefined) out.nothing()
  else {
    out.open()
    for (const event of firstOf(events, list)) packEvent(out, event, startedAt, limits)
    out.close()
  }
  if (attributes === undefined) out.nothing()
  else {
    out.open()
    for (const attribute of firstOf(attributes, list)) packAttribute(out, attribute, limits)
    out.close()
  }
  out.close()
}

function packAttribute(out: Tape, [key, value]: Attribute, { text, name }: Limits): void {
  out.open()
  out.text(clip(key, name))
  if (typeof value === 'string') out.text(clip(value, text))
  else if (typeof value === 'boolean') out.flag(value)
  else out.number(value)
  out.close()
}

const firstOf = <T>(members: readonly T[], atMost: number): readonly T[] =>
  members.length > atMost ? members.slice(0, atMost) : members

function packAttempt(out: Tape, attempt: Attempt, start: number, { text, name }: Limits): void {
  out.open()
  out.ownText(attempt.spanId)
  out.text(clip(attempt.endpoint, name))
  out.number(since(start, attempt.startedAt))
  out.number(nanos(attempt.connectMs))
  out.number(since(start, attempt.headAt))
  out.number(since(start, attempt.endedAt))
  out.number(attempt.status)
  out.text(attempt.errorType)
  out.text(clip(attempt.errorMessage, text))
  out.number(nanos(attempt.queuedMs))
  out.close()
}

function packEvent(out: Tape, event: PolicyEvent, start: number, { name }: Limits): void {
  out.open()
  out.text(event.name)
  out.number(since(start, event.at))
  out.text(clip(event.policy, name))
  out.text(clip(event.limit, name))
  out.text(event.keyHash)
  out.text(event.action)
  out.text(clip(event.backend, name))
  out.text(clip(event.from, name))
  out.number(nanos(event.durationMs))
  out.number(event.status)
  out.text(clip(event.reason, name))
  out.close()
}

function packLlm(out: Tape, llm: LlmFacts, start: number, limits: Limits): void {
  const { usage, cost } = llm
  const { text, name, list } = limits
  out.open()
  out.text(llm.routeType)
  out.text(llm.operation)
  out.text(clip(llm.provider, name))
  out.text(llm.clientFormat)
  out.text(llm.providerFormat)
  out.text(clip(llm.originalModel, text))
  out.text(clip(llm.requestModel, text))
  out.number(llm.modelConfirmed ? 1 : 0)
  out.text(clip(llm.responseModel, text))
  out.ownText(clip(llm.responseId, name))
  out.number(llm.streaming ? 1 : 0)
  packParameters(out, llm.parameters, limits)
  out.open()
  for (const reason of firstOf(llm.finishReasons, list)) out.text(clip(reason, name))
  out.close()
  out.number(since(start, llm.firstTokenAt))
  if (usage === undefined) out.nothing()
  else {
    out.open()
    out.number(usage.inputTokens)
    out.number(usage.outputTokens)
    out.number(usage.cacheReadTokens)
    out.number(usage.cacheWriteTokens)
    out.number(usage.reasoningTokens)
    out.close()
  }
  out.text(llm.usageSource)
  if (cost === undefined) out.nothing()
  else {
    out.open()
    out.number(cost.total)
    out.number(cost.input)
    out.number(cost.output)
    out.close()
  }
  out.text(llm.costStatus)
  out.open()
  for (const { phase, guard, action, waitedMs } of firstOf(llm.guards, list)) {
    out.open()
    out.text(phase)
    out.text(guard)
    out.text(action)
    out.number(nanos(waitedMs))
    out.close()
  }
  out.close()
  out.close()
}

/** By name: most requests have none or few of them. */
function packParameters(out: Tape, parameters: LlmParameters, { name, list }: Limits): void {
  const { stopSequences, reasoningLevel, encodingFormat } = parameters
  out.open()
  packNamed(out, 'temperature', parameters.temperature)
  packNamed(out, 'topP', parameters.topP)
  packNamed(out, 'topK', parameters.topK)
  packNamed(out, 'maxTokens', parameters.maxTokens)
  packNamed(out, 'frequencyPenalty', parameters.frequencyPenalty)
  packNamed(out, 'presencePenalty', parameters.presencePenalty)
  packNamed(out, 'seed', parameters.seed)
  packNamed(out, 'choiceCount', parameters.choiceCount)
  packNamed(out, 'dimensions', parameters.dimensions)
  if (stopSequences !== undefined) {
    out.text('stopSequences')
    out.open()
    for (const one of firstOf(stopSequences, list)) out.text(clip(one, name))
    out.close()
  }
  if (reasoningLevel !== undefined) {
    out.text('reasoningLevel')
    out.text(clip(reasoningLevel, name))
  }
  if (encodingFormat !== undefined) {
    out.text('encodingFormat')
    out.text(clip(encodingFormat, name))
  }
  out.closeNamed()
}

function packNamed(out: Tape, key: keyof LlmParameters, value: number | undefined): void {
  if (value === undefined) return
  out.text(key)
  out.number(value)
}

function packMcp(out: Tape, mcp: McpFacts, start: number, limits: Limits): void {
  const { name, list } = limits
  const kept = firstOf(mcp.operations, list)
  out.open()
  out.text(clip(mcp.sessionId, name))
  out.text(clip(mcp.protocolVersion, name))
  out.open()
  for (const operation of kept) packOperation(out, operation, start, limits)
  out.close()
  const calls = mcp.calls.filter(({ operation }) => kept.includes(operation))
  out.open()
  for (const call of firstOf(calls, list)) packCall(out, call, kept.indexOf(call.operation), start, limits)
  out.close()
  out.close()
}

function packOperation(out: Tape, operation: McpOperation, start: number, { text, name }: Limits): void {
  const { requestId } = operation
  out.open()
  out.text(clip(operation.method, name))
  out.number(operation.isInterim ? 1 : 0)
  if (typeof requestId === 'number') out.number(requestId)
  else out.text(clip(requestId, name))
  out.number(since(start, operation.startedAt))
  out.number(since(start, operation.endedAt))
  out.text(operation.resourceType)
  out.text(clip(operation.resource, text))
  out.number(operation.resourceConfirmed ? 1 : 0)
  out.text(clip(operation.target, name))
  out.text(operation.errorType)
  out.number(operation.errorCode)
  out.text(clip(operation.errorMessage, text))
  out.close()
}

function packCall(out: Tape, call: McpCall, operation: number, start: number, { text, name }: Limits): void {
  out.open()
  out.ownText(call.spanId)
  out.number(operation)
  out.text(clip(call.method, name))
  out.text(clip(call.target, name))
  out.text(clip(call.endpoint, name))
  out.number(call.transport === 'pipe' ? 1 : 0)
  out.number(since(start, call.startedAt))
  out.number(nanos(call.connectMs))
  out.number(since(start, call.endedAt))
  out.number(call.status)
  out.text(clip(call.sessionId, name))
  out.text(call.errorType)
  out.number(call.errorCode)
  out.text(clip(call.errorMessage, text))
  out.close()
}
