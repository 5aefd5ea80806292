/** One message of a client in the record: what it is about, and what became of it. */
import type { McpErrorType, McpFacts, McpOperation } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import {
  failure,
  isObject,
  type JsonObject,
  RPC_ERRORS,
  type RpcRequest,
  type RpcResponse,
} from './json-rpc.ts'
import { Refusal, refusalOf } from './refusal.ts'
import { TargetError } from './transport.ts'

export interface Performed {
  /** Undefined when the client gave the request up: nobody waits. */
  readonly response: RpcResponse | undefined
  readonly status: number
  readonly headers: Headers
}

export function beginOperation(
  facts: McpFacts,
  method: string,
  requestId: string | number | undefined,
): McpOperation {
  const operation: McpOperation = {
    method,
    isInterim: false,
    requestId,
    startedAt: performance.now(),
    endedAt: undefined,
    resourceType: undefined,
    resource: undefined,
    resourceConfirmed: false,
    target: undefined,
    errorType: undefined,
    errorCode: undefined,
    errorMessage: undefined,
  }
  facts.operations.push(operation)
  return operation
}

export function refused(operation: McpOperation, request: RpcRequest, error: unknown): Performed {
  const refusal =
    error instanceof Refusal
      ? error
      : error instanceof TargetError
        ? refusalOf(error)
        : new Refusal(500, RPC_ERRORS.internal, 'internal error', { type: 'internal', cause: error })
  note(operation, refusal.type, refusal.code, refusal.message)
  const { status, headers, code, message, data } = refusal
  const isGivenUp = refusal.type === 'cancelled'
  return { response: isGivenUp ? undefined : failure(request.id, code, message, data), status, headers }
}

export function note(
  operation: McpOperation,
  type: McpErrorType,
  code: number | undefined,
  message: string | undefined,
): void {
  operation.errorType = type
  operation.errorCode = code
  operation.errorMessage = message
}

/** The first words of a tool's complaint. */
export function textOf(result: JsonObject): string | undefined {
  const [first] = Array.isArray(result.content) ? result.content : []
  return isObject(first) && typeof first.text === 'string' ? first.text.slice(0, 500) : undefined
}
