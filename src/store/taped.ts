/**
 * An exchange on a tape. What stands where is known to whoever writes and reads it here alone: both run in the same version of the
 * gateway. `packed.ts` has the format on disk.
 *
 * Writing has to be quick. Texts are cut short, lists to their first members; all else is as it was.
 */
import type { Attempt, Attribute, Exchange, GuardCheck, LlmFacts, PolicyEvent } from '../core/exchange.ts'
import { clip, MAX_TEXT } from './fields.ts'
import type { Tape, TapeReader } from './tape.ts'
import { CLIENT, END, MODEL, PARAMETERS, ROUTE } from './taped-common.ts'
import { readMcp, writeMcp } from './taped-mcp.ts'
import { number, ownWord, readList, readText, word, writeList, writeText } from './taped-parts.ts'

export function writeExchange(tape: Tape, exchange: Exchange): void {
  const { trace, llm, mcp } = exchange
  tape.ownText(trace.traceId)
  tape.ownText(trace.spanId)
  tape.ownText(trace.parentSpanId)
  tape.flag(trace.sampled)
  tape.text(trace.traceState)
  tape.number(exchange.startedAtEpochMs)
  tape.number(exchange.startedAt)
  tape.text(exchange.clientAddress)
  tape.text(exchange.path)
  tape.shared(ROUTE, exchange)
  tape.shared(CLIENT, exchange)
  tape.shared(END, exchange)
  tape.number(exchange.requestBytes)
  tape.number(exchange.responseBytes)
  tape.number(exchange.headSentAt)
  tape.number(exchange.endedAt)
  tape.number(exchange.requestProcessingMs)
  tape.number(exchange.responseProcessingMs)
  tape.number(exchange.chunkDelaySumMs)
  tape.number(exchange.stalledMs)
  tape.flag(llm !== undefined)
  if (llm !== undefined) writeLlm(tape, llm)
  writeList(tape, exchange.attempts, writeAttempt)
  writeList(tape, exchange.events, writeEvent)
  writeList(tape, exchange.attributes, writeAttribute)
  tape.flag(mcp !== undefined)
  if (mcp !== undefined) writeMcp(tape, mcp)
}

/** Properties of a literal are read in their order. */
export const readExchange = (from: TapeReader): Exchange => ({
  trace: {
    traceId: ownWord(from),
    spanId: ownWord(from),
    parentSpanId: from.ownText(),
    sampled: from.flag(),
    traceState: from.text(),
  },
  startedAtEpochMs: number(from),
  startedAt: number(from),
  clientAddress: word(from),
  path: word(from),
  query: '',
  ...from.shared(ROUTE),
  ...from.shared(CLIENT),
  ...from.shared(END),
  requestBytes: number(from),
  responseBytes: number(from),
  headSentAt: from.number(),
  endedAt: from.number(),
  requestProcessingMs: from.number(),
  responseProcessingMs: number(from),
  chunkDelayCounts: undefined,
  chunkDelaySumMs: number(from),
  stalledMs: number(from),
  llm: from.flag() ? readLlm(from) : undefined,
  attempts: readList(from, readAttempt) ?? [],
  events: readList(from, readEvent),
  attributes: readList(from, readAttribute),
  mcp: from.flag() ? readMcp(from) : undefined,
})

function writeAttempt(tape: Tape, attempt: Attempt): void {
  tape.ownText(attempt.spanId)
  tape.text(attempt.endpoint)
  tape.number(attempt.startedAt)
  tape.number(attempt.connectMs)
  tape.number(attempt.queuedMs)
  tape.number(attempt.headAt)
  tape.number(attempt.endedAt)
  tape.number(attempt.status)
  tape.text(attempt.errorType)
  tape.text(attempt.errorMessage)
}

const readAttempt = (from: TapeReader): Attempt => ({
  spanId: ownWord(from),
  endpoint: word(from),
  startedAt: number(from),
  connectMs: from.number(),
  queuedMs: from.number(),
  headAt: from.number(),
  endedAt: from.number(),
  status: from.number(),
  errorType: word(from),
  errorMessage: from.text(),
})

function writeEvent(tape: Tape, event: PolicyEvent): void {
  tape.text(event.name)
  tape.number(event.at)
  tape.text(event.policy)
  tape.text(event.limit)
  tape.text(event.keyHash)
  tape.text(event.action)
  tape.text(event.backend)
  tape.text(event.from)
  tape.number(event.durationMs)
  tape.number(event.status)
  tape.text(event.reason)
}

const readEvent = (from: TapeReader): PolicyEvent => ({
  name: word(from),
  at: number(from),
  policy: from.text(),
  limit: from.text(),
  keyHash: from.text(),
  action: from.text(),
  backend: from.text(),
  from: from.text(),
  durationMs: from.number(),
  status: from.number(),
  reason: from.text(),
})

function writeAttribute(tape: Tape, [name, value]: Attribute): void {
  tape.text(name)
  tape.text(typeof value)
  if (typeof value === 'string') tape.text(value)
  else if (typeof value === 'boolean') tape.flag(value)
  else tape.number(value)
}

function readAttribute(from: TapeReader): Attribute {
  const name = readText(from)
  const type = from.text()
  if (type === 'string') return [name, readText(from)]
  return [name, type === 'boolean' ? from.flag() : number(from)]
}

function writeLlm(tape: Tape, llm: LlmFacts): void {
  const { usage, cost } = llm
  tape.shared(MODEL, llm)
  tape.shared(PARAMETERS, llm.parameters)
  tape.ownText(clip(llm.responseId, MAX_TEXT))
  tape.number(llm.firstTokenAt)
  tape.number(usage?.inputTokens)
  tape.number(usage?.outputTokens)
  tape.number(usage?.cacheReadTokens)
  tape.number(usage?.cacheWriteTokens)
  tape.number(usage?.reasoningTokens)
  tape.number(cost?.total)
  tape.number(cost?.input)
  tape.number(cost?.output)
  writeList(tape, llm.finishReasons, writeText)
  writeList(tape, llm.guards, writeGuard)
}

const readLlm = (from: TapeReader): LlmFacts => ({
  ...from.shared(MODEL),
  parameters: from.shared(PARAMETERS),
  responseId: from.ownText(),
  firstTokenAt: from.number(),
  usage: readUsage(from),
  cost: readCost(from),
  finishReasons: readList(from, readText) ?? [],
  guards: readList(from, readGuard) ?? [],
})

function readUsage(from: TapeReader): LlmFacts['usage'] {
  const inputTokens = from.number()
  const others = {
    outputTokens: number(from),
    cacheReadTokens: number(from),
    cacheWriteTokens: number(from),
    reasoningTokens: number(from),
  }
  return inputTokens === undefined ? undefined : { inputTokens, ...others }
}

function readCost(from: TapeReader): LlmFacts['cost'] {
  const total = from.number()
  const parts = { input: number(from), output: number(from) }
  return total === undefined ? undefined : { total, ...parts }
}

function writeGuard(tape: Tape, { phase, guard, action, waitedMs }: GuardCheck): void {
  tape.text(phase)
  tape.text(guard)
  tape.text(action)
  tape.number(waitedMs)
}

const readGuard = (from: TapeReader): GuardCheck => ({
  phase: word(from),
  guard: word(from),
  action: word(from),
  waitedMs: from.number(),
})
