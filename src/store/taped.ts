/**
 * An exchange on a tape. What stands where is known to these two functions alone: they run in the same version of the
 * gateway. `packed.ts` has the format on disk.
 *
 * Writing has to be quick. Texts are cut short, lists to their first members; all else is as it was.
 */
import type {
  Attempt,
  Attribute,
  Exchange,
  GuardCheck,
  LlmFacts,
  LlmParameters,
  McpCall,
  McpFacts,
  McpOperation,
  PolicyEvent,
} from '../core/exchange.ts'
import { clip, MAX_MEMBERS, MAX_TEXT } from './fields.ts'
import type { Kind, Tape, TapeReader } from './tape.ts'

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

const ROUTE: Kind<
  Pick<
    Exchange,
    | 'method'
    | 'host'
    | 'httpVersion'
    | 'scheme'
    | 'bind'
    | 'listener'
    | 'route'
    | 'routePattern'
    | 'protocol'
    | 'backend'
  >
> = {
  index: 0,
  isSame: (one, other) =>
    one.method === other.method &&
    one.host === other.host &&
    one.httpVersion === other.httpVersion &&
    one.scheme === other.scheme &&
    one.bind === other.bind &&
    one.listener === other.listener &&
    one.route === other.route &&
    one.routePattern === other.routePattern &&
    one.protocol === other.protocol &&
    one.backend === other.backend,
  copy: ({ method, host, httpVersion, scheme, bind, listener, route, routePattern, protocol, backend }) => ({
    method,
    host,
    httpVersion,
    scheme,
    bind,
    listener,
    route,
    routePattern,
    protocol,
    backend,
  }),
  write(tape, facts) {
    tape.text(facts.method)
    tape.text(facts.host)
    tape.text(facts.httpVersion)
    tape.text(facts.scheme)
    tape.text(facts.bind)
    tape.text(facts.listener)
    tape.text(facts.route)
    tape.text(facts.routePattern)
    tape.text(facts.protocol)
    tape.text(facts.backend)
  },
  read: (from) => ({
    method: word(from),
    host: word(from),
    httpVersion: word(from),
    scheme: word(from),
    bind: word(from),
    listener: from.text(),
    route: from.text(),
    routePattern: from.text(),
    protocol: word(from),
    backend: from.text(),
  }),
}

const CLIENT: Kind<Pick<Exchange, 'userAgent' | 'user' | 'group' | 'key'>> = {
  index: 1,
  isSame: (one, other) =>
    one.userAgent === other.userAgent &&
    one.user === other.user &&
    one.group === other.group &&
    one.key === other.key,
  copy: ({ userAgent, user, group, key }) => ({ userAgent, user, group, key }),
  write(tape, facts) {
    tape.text(facts.userAgent)
    tape.text(facts.user)
    tape.text(facts.group)
    tape.text(facts.key)
  },
  read: (from) => ({
    userAgent: from.text(),
    user: from.text(),
    group: from.text(),
    key: from.text(),
  }),
}

const END: Kind<Pick<Exchange, 'status' | 'outcome' | 'reason' | 'errorType' | 'errorMessage'>> = {
  index: 2,
  isSame: (one, other) =>
    one.status === other.status &&
    one.outcome === other.outcome &&
    one.reason === other.reason &&
    one.errorType === other.errorType &&
    one.errorMessage === other.errorMessage,
  copy: ({ status, outcome, reason, errorType, errorMessage }) => ({
    status,
    outcome,
    reason,
    errorType,
    errorMessage,
  }),
  write(tape, facts) {
    tape.number(facts.status)
    tape.text(facts.outcome)
    tape.text(facts.reason)
    tape.text(facts.errorType)
    tape.text(facts.errorMessage)
  },
  read: (from) => ({
    status: number(from),
    outcome: word(from),
    reason: word(from),
    errorType: word(from),
    errorMessage: from.text(),
  }),
}

/** A text that was there, or a member of a closed set: what was written is what it was. */
const word = <T>(from: TapeReader): T => from.text() as T

const ownWord = (from: TapeReader): string => from.ownText() ?? ''

const number = (from: TapeReader): number => from.number() ?? 0

function writeList<T>(tape: Tape, list: readonly T[] | undefined, write: (tape: Tape, one: T) => void): void {
  if (list === undefined) {
    tape.count(undefined)
    return
  }
  const kept = firstOf(list)
  tape.count(kept.length)
  for (const one of kept) write(tape, one)
}

function readList<T>(from: TapeReader, read: (from: TapeReader) => T): T[] | undefined {
  const length = from.count()
  if (length === undefined) return undefined
  return Array.from({ length }, () => read(from))
}

const firstOf = <T>(list: readonly T[]): readonly T[] =>
  list.length > MAX_MEMBERS ? list.slice(0, MAX_MEMBERS) : list

const writeText = (tape: Tape, text: string) => tape.text(text)
const readText = (from: TapeReader): string => word(from)

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

const MODEL: Kind<
  Pick<
    LlmFacts,
    | 'routeType'
    | 'operation'
    | 'provider'
    | 'clientFormat'
    | 'providerFormat'
    | 'originalModel'
    | 'requestModel'
    | 'modelConfirmed'
    | 'responseModel'
    | 'streaming'
    | 'usageSource'
    | 'costStatus'
  >
> = {
  index: 3,
  isSame: (one, other) =>
    one.routeType === other.routeType &&
    one.operation === other.operation &&
    one.provider === other.provider &&
    one.clientFormat === other.clientFormat &&
    one.providerFormat === other.providerFormat &&
    one.originalModel === other.originalModel &&
    one.requestModel === other.requestModel &&
    one.modelConfirmed === other.modelConfirmed &&
    one.responseModel === other.responseModel &&
    one.streaming === other.streaming &&
    one.usageSource === other.usageSource &&
    one.costStatus === other.costStatus,
  copy: (facts) => ({
    routeType: facts.routeType,
    operation: facts.operation,
    provider: facts.provider,
    clientFormat: facts.clientFormat,
    providerFormat: facts.providerFormat,
    originalModel: facts.originalModel,
    requestModel: facts.requestModel,
    modelConfirmed: facts.modelConfirmed,
    responseModel: facts.responseModel,
    streaming: facts.streaming,
    usageSource: facts.usageSource,
    costStatus: facts.costStatus,
  }),
  write(tape, facts) {
    tape.text(facts.routeType)
    tape.text(facts.operation)
    tape.text(facts.provider)
    tape.text(facts.clientFormat)
    tape.text(facts.providerFormat)
    tape.text(facts.originalModel)
    tape.text(facts.requestModel)
    tape.flag(facts.modelConfirmed)
    tape.text(facts.responseModel)
    tape.flag(facts.streaming)
    tape.text(facts.usageSource)
    tape.text(facts.costStatus)
  },
  read: (from) => ({
    routeType: word(from),
    operation: word(from),
    provider: word(from),
    clientFormat: word(from),
    providerFormat: word(from),
    originalModel: from.text(),
    requestModel: from.text(),
    modelConfirmed: from.flag(),
    responseModel: from.text(),
    streaming: from.flag(),
    usageSource: word(from),
    costStatus: word(from),
  }),
}

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

const PARAMETERS: Kind<LlmParameters> = {
  index: 4,
  isSame: (one, other) =>
    one.temperature === other.temperature &&
    one.topP === other.topP &&
    one.topK === other.topK &&
    one.maxTokens === other.maxTokens &&
    one.frequencyPenalty === other.frequencyPenalty &&
    one.presencePenalty === other.presencePenalty &&
    one.seed === other.seed &&
    one.choiceCount === other.choiceCount &&
    one.dimensions === other.dimensions &&
    one.reasoningLevel === other.reasoningLevel &&
    one.encodingFormat === other.encodingFormat &&
    one.stopSequences === other.stopSequences,
  copy: (facts) => facts,
  write(tape, facts) {
    tape.number(facts.temperature)
    tape.number(facts.topP)
    tape.number(facts.topK)
    tape.number(facts.maxTokens)
    tape.number(facts.frequencyPenalty)
    tape.number(facts.presencePenalty)
    tape.number(facts.seed)
    tape.number(facts.choiceCount)
    tape.number(facts.dimensions)
    writeList(tape, facts.stopSequences, writeText)
    tape.text(facts.reasoningLevel)
    tape.text(facts.encodingFormat)
  },
  read: readParameters,
}

function readParameters(from: TapeReader): LlmParameters {
  const all: Readonly<Record<keyof LlmParameters, unknown>> = {
    temperature: from.number(),
    topP: from.number(),
    topK: from.number(),
    maxTokens: from.number(),
    frequencyPenalty: from.number(),
    presencePenalty: from.number(),
    seed: from.number(),
    choiceCount: from.number(),
    dimensions: from.number(),
    stopSequences: readList(from, readText),
    reasoningLevel: from.text(),
    encodingFormat: from.text(),
  }
  const given: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined) given[name] = value
  }
  return given
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

function writeMcp(tape: Tape, { sessionId, protocolVersion, operations, calls }: McpFacts): void {
  const kept = firstOf(operations)
  tape.text(sessionId)
  tape.text(protocolVersion)
  writeList(tape, kept, writeOperation)
  const toldOf = firstOf(calls.filter(({ operation }) => kept.includes(operation)))
  tape.count(toldOf.length)
  for (const call of toldOf) {
    tape.count(kept.indexOf(call.operation))
    writeCall(tape, call)
  }
}

function readMcp(from: TapeReader): McpFacts {
  const sessionId = from.text()
  const protocolVersion = from.text()
  const operations = readList(from, readOperation) ?? []
  const calls = readList(from, () => readCall(from, operations))?.filter((call) => call !== undefined)
  return { sessionId, protocolVersion, operations, calls: calls ?? [] }
}

function writeOperation(tape: Tape, operation: McpOperation): void {
  const { requestId } = operation
  tape.text(operation.method)
  tape.flag(operation.isInterim)
  tape.number(typeof requestId === 'number' ? requestId : undefined)
  tape.text(typeof requestId === 'string' ? requestId : undefined)
  tape.number(operation.startedAt)
  tape.number(operation.endedAt)
  tape.text(operation.resourceType)
  tape.text(operation.resource)
  tape.flag(operation.resourceConfirmed)
  tape.text(operation.target)
  tape.text(operation.errorType)
  tape.number(operation.errorCode)
  tape.text(operation.errorMessage)
}

function readOperation(from: TapeReader): McpOperation {
  const method = readText(from)
  const isInterim = from.flag()
  const requestNumber = from.number()
  const requestText = from.text()
  return {
    method,
    isInterim,
    requestId: requestNumber ?? requestText,
    startedAt: number(from),
    endedAt: from.number(),
    resourceType: word(from),
    resource: from.text(),
    resourceConfirmed: from.flag(),
    target: from.text(),
    errorType: word(from),
    errorCode: from.number(),
    errorMessage: from.text(),
  }
}

function writeCall(tape: Tape, call: McpCall): void {
  tape.ownText(call.spanId)
  tape.text(call.method)
  tape.text(call.target)
  tape.text(call.endpoint)
  tape.text(call.transport)
  tape.number(call.startedAt)
  tape.number(call.connectMs)
  tape.number(call.endedAt)
  tape.number(call.status)
  tape.text(call.sessionId)
  tape.text(call.errorType)
  tape.number(call.errorCode)
  tape.text(call.errorMessage)
}

function readCall(from: TapeReader, operations: readonly McpOperation[]): McpCall | undefined {
  const operation = operations[from.count() ?? 0]
  const call = {
    spanId: ownWord(from),
    method: readText(from),
    target: readText(from),
    endpoint: readText(from),
    transport: word<McpCall['transport']>(from),
    startedAt: number(from),
    connectMs: from.number(),
    endedAt: from.number(),
    status: from.number(),
    sessionId: from.text(),
    errorType: word<McpCall['errorType']>(from),
    errorCode: from.number(),
    errorMessage: from.text(),
  }
  return operation && { ...call, operation }
}
