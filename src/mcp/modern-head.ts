/** Whether a request is of 2026-07-28, and whether its head says what its body says. */
import type { Headers } from '../core/headers.ts'
import {
  isObject,
  metaOf,
  RPC_ERRORS,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
} from './json-rpc.ts'
import {
  claimedVersion,
  decodeName,
  isModern,
  META,
  MODERN_VERSION,
  nameOf,
  needsName,
} from './modern-wire.ts'
import { Refusal } from './refusal.ts'

/** By its head or by the message itself. Throws `Refusal` where they disagree. */
export function isModernRequest(headers: Headers, messages: readonly RpcMessage[]): boolean {
  const header = headers['mcp-protocol-version']?.toString()
  const saysHead = header !== undefined && isModern(header)
  const claims = messages.map((message) => ('method' in message ? claimedVersion(message.params) : undefined))
  if (!saysHead && claims.every((claim) => claim === undefined)) return false
  const [message] = messages
  const [claim] = claims
  if (messages.length > 1)
    throw new Refusal(400, RPC_ERRORS.invalidRequest, `Batches are not part of ${MODERN_VERSION}`)
  if (message === undefined || !('method' in message))
    throw new Refusal(400, RPC_ERRORS.invalidRequest, `Responses are not part of ${MODERN_VERSION}`)
  const requestId = 'id' in message ? message.id : undefined
  try {
    checkHead(headers, message, claim)
  } catch (error) {
    throw error instanceof Refusal ? error.about(requestId) : error
  }
  return true
}

function checkHead(headers: Headers, message: RpcRequest | RpcNotification, claim: string | undefined): void {
  const text = (name: string) => headers[name]?.toString()
  const version = text('mcp-protocol-version')
  const mismatch = (what: string) => new Refusal(400, RPC_ERRORS.headerMismatch, `Header mismatch: ${what}`)
  const lacks = (key: string) =>
    new Refusal(400, RPC_ERRORS.invalidParams, `Invalid params: _meta lacks ${key}`)
  if (claim === undefined) throw lacks(META.version)
  if (version === undefined) throw mismatch('MCP-Protocol-Version is missing')
  if (version !== claim) throw mismatch(`MCP-Protocol-Version is ${version}, _meta says ${claim}`)
  if (claim !== MODERN_VERSION)
    throw new Refusal(400, RPC_ERRORS.unsupportedVersion, `Unsupported protocol version: ${claim}`, {
      data: { supported: [MODERN_VERSION], requested: claim },
    })
  if (headers['mcp-session-id'] !== undefined)
    throw new Refusal(
      400,
      RPC_ERRORS.invalidRequest,
      `${MODERN_VERSION} has no sessions: leave out Mcp-Session-Id`,
    )
  if (!('id' in message)) return
  const method = text('mcp-method')
  if (method !== message.method)
    throw mismatch(`Mcp-Method is ${method ?? 'missing'}, the method is ${message.method}`)
  if (!isObject(metaOf(message.params)?.[META.capabilities])) throw lacks(META.capabilities)
  const wanted = nameOf(message.method, message.params)
  if (!needsName(message.method) || wanted === undefined) return
  const name = text('mcp-name')
  if (name === undefined) throw mismatch(`Mcp-Name is missing: it has to be ${wanted}`)
  if (decodeName(name) !== wanted) throw mismatch(`Mcp-Name is ${name}, the message says ${wanted}`)
}
