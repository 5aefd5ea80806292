/** A kept request as the API tells it. */
import type { Cursor, Payload, StoredRequest } from '../store/types.ts'
import type { LogEntry } from './api-types.ts'
import { ApiError } from './http.ts'

export type AttributesOf = (request: StoredRequest) => LogEntry['attributes']

const iso = (epochMs: number) => new Date(epochMs).toISOString()

export function logEntry(stored: StoredRequest): LogEntry {
  const { exchange, completedAt } = stored
  const { llm, mcp, startedAt, startedAtEpochMs } = exchange
  const since = (at: number) => round(at - startedAt)
  const usage = llm?.usage
  const operation = mcp?.operations.find(({ errorType }) => errorType !== undefined) ?? mcp?.operations[0]
  return {
    id: stored.id,
    startedAt: iso(startedAtEpochMs),
    completedAt: iso(completedAt),
    durationMs: since(exchange.endedAt ?? startedAt),
    traceId: exchange.trace.traceId,
    spanId: exchange.trace.spanId,
    httpStatus: exchange.status,
    error: exchange.errorMessage,
    genAi: llm && {
      operationName: llm.operation,
      providerName: llm.provider,
      requestModel: llm.requestModel ?? llm.originalModel,
      responseModel: llm.responseModel,
    },
    usage: usage && { ...usage, totalTokens: usage.inputTokens + usage.outputTokens },
    usageSource: llm?.usageSource,
    cost: llm?.cost?.total,
    costParts: llm?.cost && { input: llm.cost.input, output: llm.cost.output },
    costStatus: llm?.costStatus,
    hasPayload: stored.hasPayload,
    protocol: exchange.protocol,
    operation: stored.operation,
    method: exchange.method,
    host: exchange.host,
    path: exchange.path,
    bind: exchange.bind,
    listener: exchange.listener,
    route: exchange.route,
    backend: exchange.backend,
    clientAddress: exchange.clientAddress,
    userAgent: exchange.userAgent,
    user: exchange.user,
    group: exchange.group,
    key: exchange.key,
    outcome: exchange.outcome ?? 'internal',
    reason: exchange.reason,
    errorType: exchange.errorType ?? operation?.errorType,
    failed: stored.failed,
    streaming: llm?.streaming ?? false,
    firstTokenMs: llm?.firstTokenAt === undefined ? undefined : since(llm.firstTokenAt),
    requestBytes: exchange.requestBytes,
    responseBytes: exchange.responseBytes,
    mcp:
      mcp === undefined || operation === undefined
        ? undefined
        : {
            method: operation.method,
            target: operation.target,
            resourceType: operation.resourceType,
            resource: operation.resource,
            errorType: operation.errorType,
            errorCode: operation.errorCode,
            errorMessage: operation.errorMessage,
            sessionId: mcp.sessionId,
            messages: mcp.operations.length,
          },
    attempts: exchange.attempts.map((attempt) => ({
      endpoint: attempt.endpoint,
      startMs: since(attempt.startedAt),
      durationMs: round((attempt.endedAt ?? attempt.startedAt) - attempt.startedAt),
      status: attempt.status,
      errorType: attempt.errorType,
      errorMessage: attempt.errorMessage,
    })),
  }
}

export function withPayload(entry: LogEntry, payload: Payload | undefined): LogEntry {
  if (payload === undefined) return entry
  return { ...entry, payload: { requestPrompt: payload.request, responseCompletion: payload.response } }
}

/** Microseconds: more is noise. */
const round = (milliseconds: number) => Math.round(milliseconds * 1000) / 1000

export const cursorText = ({ completedAt, id }: Cursor) => `${iso(completedAt)}|${id}`

/** Throws `ApiError` 400. */
export function cursorOf(text: string): Cursor {
  const at = text.indexOf('|')
  const completedAt = Date.parse(text.slice(0, at))
  const id = text.slice(at + 1)
  if (at < 0 || Number.isNaN(completedAt) || id === '')
    throw new ApiError(400, 'cursor: expected one that a search has given')
  return { completedAt, id }
}
