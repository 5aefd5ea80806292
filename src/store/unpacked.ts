/** An exchange from the list that `pack` made of it. */
import type {
  Attempt,
  Exchange,
  LlmFacts,
  McpCall,
  McpFacts,
  McpOperation,
  PolicyEvent,
} from '../core/exchange.ts'
import { VERSION } from './packed.ts'

type List = readonly unknown[]

/** What `pack` has written is what it was. */
const as = <T>(value: unknown): T => (value ?? undefined) as T
const milliseconds = (value: unknown): number | undefined =>
  typeof value === 'number' ? value / 1e6 : undefined
const list = (value: unknown): List => (Array.isArray(value) ? value : [])

/** Its clock begins with it. Throws on a version that is not known. */
export function unpack(packed: List): Exchange {
  if (packed[0] !== VERSION) throw new Error(`a request of version ${String(packed[0])}`)
  return {
    trace: {
      traceId: as(packed[1]),
      spanId: as(packed[2]),
      parentSpanId: as(packed[3]),
      sampled: packed[4] === 1,
      traceState: as(packed[5]),
    },
    startedAtEpochMs: as(packed[6]),
    startedAt: 0,
    clientAddress: as(packed[7]),
    method: as(packed[8]),
    host: as(packed[9]),
    path: as(packed[10]),
    query: '',
    httpVersion: as(packed[11]),
    scheme: as(packed[12]),
    userAgent: as(packed[13]),
    requestBytes: as(packed[14]),
    user: as(packed[15]),
    group: as(packed[16]),
    key: as(packed[17]),
    bind: as(packed[18]),
    listener: as(packed[19]),
    route: as(packed[20]),
    routePattern: as(packed[21]),
    protocol: as(packed[22]),
    backend: as(packed[23]),
    llm: Array.isArray(packed[24]) ? unpackLlm(packed[24]) : undefined,
    mcp: Array.isArray(packed[25]) ? unpackMcp(packed[25]) : undefined,
    attempts: list(packed[26]).map((attempt) => unpackAttempt(list(attempt))),
    status: as(packed[27]),
    responseBytes: as(packed[28]),
    headSentAt: milliseconds(packed[29]),
    endedAt: milliseconds(packed[30]),
    outcome: as(packed[31]),
    reason: as(packed[32]),
    errorType: as(packed[33]),
    errorMessage: as(packed[34]),
    requestProcessingMs: milliseconds(packed[35]),
    responseProcessingMs: milliseconds(packed[36]) ?? 0,
    chunkDelayCounts: undefined,
    chunkDelaySumMs: milliseconds(packed[37]) ?? 0,
    stalledMs: milliseconds(packed[38]) ?? 0,
    events: Array.isArray(packed[39]) ? packed[39].map((event) => unpackEvent(list(event))) : undefined,
    attributes: Array.isArray(packed[40]) ? as(packed[40]) : undefined,
  }
}

function unpackAttempt(packed: List): Attempt {
  return {
    spanId: as(packed[0]),
    endpoint: as(packed[1]),
    startedAt: milliseconds(packed[2]) ?? 0,
    connectMs: milliseconds(packed[3]),
    headAt: milliseconds(packed[4]),
    endedAt: milliseconds(packed[5]),
    status: as(packed[6]),
    errorType: as(packed[7]),
    errorMessage: as(packed[8]),
    queuedMs: milliseconds(packed[9]),
  }
}

const unpackEvent = (packed: List): PolicyEvent => ({
  name: as(packed[0]),
  at: milliseconds(packed[1]) ?? 0,
  policy: as(packed[2]),
  limit: as(packed[3]),
  keyHash: as(packed[4]),
  action: as(packed[5]),
  backend: as(packed[6]),
  from: as(packed[7]),
  durationMs: milliseconds(packed[8]),
  status: as(packed[9]),
  reason: as(packed[10]),
})

function unpackLlm(packed: List): LlmFacts {
  const [inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens] = list(packed[14])
  const [total, input, output] = list(packed[16])
  return {
    routeType: as(packed[0]),
    operation: as(packed[1]),
    provider: as(packed[2]),
    clientFormat: as(packed[3]),
    providerFormat: as(packed[4]),
    originalModel: as(packed[5]),
    requestModel: as(packed[6]),
    modelConfirmed: packed[7] === 1,
    responseModel: as(packed[8]),
    responseId: as(packed[9]),
    streaming: packed[10] === 1,
    parameters: as(packed[11]),
    finishReasons: as(packed[12]),
    firstTokenAt: milliseconds(packed[13]),
    usage: Array.isArray(packed[14])
      ? {
          inputTokens: as(inputTokens),
          outputTokens: as(outputTokens),
          cacheReadTokens: as(cacheReadTokens),
          cacheWriteTokens: as(cacheWriteTokens),
          reasoningTokens: as(reasoningTokens),
        }
      : undefined,
    usageSource: as(packed[15]),
    cost: Array.isArray(packed[16]) ? { total: as(total), input: as(input), output: as(output) } : undefined,
    costStatus: as(packed[17]),
    guards: list(packed[18]).map((check) => {
      const [phase, guard, action, waitedMs] = list(check)
      return { phase: as(phase), guard: as(guard), action: as(action), waitedMs: milliseconds(waitedMs) }
    }),
  }
}

function unpackMcp(packed: List): McpFacts {
  const operations = list(packed[2]).map((one) => unpackOperation(list(one)))
  return {
    sessionId: as(packed[0]),
    protocolVersion: as(packed[1]),
    operations,
    calls: list(packed[3]).map((one) => unpackCall(list(one), operations)),
  }
}

function unpackOperation(packed: List): McpOperation {
  return {
    method: as(packed[0]),
    isInterim: packed[1] === 1,
    requestId: as(packed[2]),
    startedAt: milliseconds(packed[3]) ?? 0,
    endedAt: milliseconds(packed[4]),
    resourceType: as(packed[5]),
    resource: as(packed[6]),
    resourceConfirmed: packed[7] === 1,
    target: as(packed[8]),
    errorType: as(packed[9]),
    errorCode: as(packed[10]),
    errorMessage: as(packed[11]),
  }
}

function unpackCall(packed: List, operations: readonly McpOperation[]): McpCall {
  const operation = operations[Number(packed[1])] ?? operations[0]
  if (operation === undefined) throw new Error('a call without an operation')
  return {
    spanId: as(packed[0]),
    operation,
    method: as(packed[2]),
    target: as(packed[3]),
    endpoint: as(packed[4]),
    transport: packed[5] === 1 ? 'pipe' : 'tcp',
    startedAt: milliseconds(packed[6]) ?? 0,
    connectMs: milliseconds(packed[7]),
    endedAt: milliseconds(packed[8]),
    status: as(packed[9]),
    sessionId: as(packed[10]),
    errorType: as(packed[11]),
    errorCode: as(packed[12]),
    errorMessage: as(packed[13]),
  }
}
