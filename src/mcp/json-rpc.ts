/**
 * JSON-RPC 2.0 messages as MCP uses them. https://www.jsonrpc.org/specification
 *
 * Only the envelope is looked at. Parameters and results belong to client and server: the gateway passes on what it
 * does not know, so that a newer server can talk to a newer client through an older gateway.
 */

export type JsonObject = Readonly<Record<string, unknown>>
export type RequestId = string | number

export interface RpcRequest {
  readonly jsonrpc: '2.0'
  readonly id: RequestId
  readonly method: string
  readonly params?: JsonObject | undefined
}
export interface RpcNotification {
  readonly jsonrpc: '2.0'
  readonly method: string
  readonly params?: JsonObject | undefined
}
export interface RpcResult {
  readonly jsonrpc: '2.0'
  readonly id: RequestId
  readonly result: JsonObject
}
export interface RpcError {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}
export interface RpcFailure {
  readonly jsonrpc: '2.0'
  /** Null when the request's could not be read. */
  readonly id: RequestId | null
  readonly error: RpcError
}
export type RpcResponse = RpcResult | RpcFailure
export type RpcMessage = RpcRequest | RpcNotification | RpcResponse

/** `unavailable` and below are the gateway's own, from the range that JSON-RPC leaves to implementations. */
export const RPC_ERRORS = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  sessionNotFound: -32001,
  headerMismatch: -32020,
  unsupportedVersion: -32022,
} as const

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isId = (value: unknown): value is RequestId =>
  typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))

export const isRequest = (message: RpcMessage): message is RpcRequest =>
  'method' in message && 'id' in message
export const isNotification = (message: RpcMessage): message is RpcNotification =>
  'method' in message && !('id' in message)
export const isFailure = (message: RpcResponse): message is RpcFailure => 'error' in message

/** The message in parsed JSON, or what is wrong with it. */
export function readMessage(value: unknown): RpcMessage | string {
  if (!isObject(value)) return 'a message is a JSON object'
  if (value.jsonrpc !== '2.0') return '`jsonrpc` must be "2.0"'
  const { id, method, params, result, error } = value
  const kinds = [method, result, error].filter((one) => one !== undefined)
  if (kinds.length > 1) return 'a message has only one of `method`, `result` and `error`'
  if (method !== undefined) return readCall(id, method, params)
  if (result !== undefined) {
    if (!isId(id)) return 'a response needs the `id` of its request'
    return isObject(result) ? { jsonrpc: '2.0', id, result } : '`result` must be an object'
  }
  if (error === undefined) return 'a message has a `method`, a `result` or an `error`'
  if (!isObject(error) || typeof error.code !== 'number' || typeof error.message !== 'string')
    return '`error` must be an object with a numeric `code` and a `message`'
  if (id !== undefined && id !== null && !isId(id)) return '`id` must be a string or a number'
  const { code, message, data } = error
  return { jsonrpc: '2.0', id: id ?? null, error: { code, message, ...(data !== undefined && { data }) } }
}

function readCall(id: unknown, method: unknown, params: unknown): RpcMessage | string {
  if (typeof method !== 'string' || method === '') return '`method` must be a string'
  if (params !== undefined && !isObject(params)) return '`params` must be an object'
  if (id === undefined) return { jsonrpc: '2.0', method, ...(params && { params }) }
  if (!isId(id)) return '`id` must be a string or a number'
  return { jsonrpc: '2.0', id, method, ...(params && { params }) }
}

export const success = (id: RequestId, result: JsonObject): RpcResult => ({ jsonrpc: '2.0', id, result })

export function failure(id: RequestId | null, code: number, message: string, data?: unknown): RpcFailure {
  return { jsonrpc: '2.0', id, error: { code, message, ...(data !== undefined && { data }) } }
}

/** A member of `params._meta`, or undefined. */
export function metaOf(params: JsonObject | undefined): JsonObject | undefined {
  const meta = params?._meta
  return isObject(meta) ? meta : undefined
}
