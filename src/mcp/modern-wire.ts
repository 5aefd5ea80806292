/**
 * What 2026-07-28 says differently: no sessions, a claim of version and capabilities in every request, results that
 * say what they are. https://modelcontextprotocol.io/specification/2026-07-28
 */
import type { Headers } from '../core/headers.ts'
import { isObject, type JsonObject, metaOf, type RpcMessage } from './json-rpc.ts'

export const MODERN_VERSION = '2026-07-28'

/** Dates as text: whatever comes later is of the same kind. */
export const isModern = (version: string) => /^\d{4}-\d{2}-\d{2}$/.test(version) && version >= MODERN_VERSION

export const META = {
  version: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  capabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  subscription: 'io.modelcontextprotocol/subscriptionId',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
} as const

/** Which parameter `Mcp-Name` repeats. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
])

/** Results that carry how long they may be kept. */
const CACHEABLE = new Set([
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
])

/** What the revision took away: for its clients these are unknown. */
export const REMOVED = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
  'tasks/result',
  'tasks/list',
])

export const claimedVersion = (params: JsonObject | undefined) => {
  const version = metaOf(params)?.[META.version]
  return typeof version === 'string' ? version : undefined
}

/** The parameter that names what a request is about, if it has one. */
export function nameOf(method: string, params: JsonObject | undefined): string | undefined {
  const key = NAMED.get(method)
  const value = key === undefined ? undefined : params?.[key]
  return typeof value === 'string' ? value : undefined
}

export const needsName = (method: string) => NAMED.has(method)

const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/
const WRAPPED = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/

/** A header cannot hold every name. */
export const encodeName = (name: string) =>
  PLAIN.test(name) && !WRAPPED.test(name) ? name : `=?base64?${Buffer.from(name).toString('base64')}?=`

/** Undefined: it claims to be wrapped, and is not. */
export function decodeName(header: string): string | undefined {
  const text = header.trim()
  const wrapped = WRAPPED.exec(text)?.[1]
  if (wrapped !== undefined) return Buffer.from(wrapped, 'base64').toString('utf8')
  return text.startsWith('=?base64?') ? undefined : text
}

/** The headers that repeat what the message says, so that nobody on the way has to read it. */
export function headersOf(message: RpcMessage): Headers {
  if (!('method' in message)) return {}
  const version = claimedVersion(message.params)
  if (version === undefined) return {}
  const name = nameOf(message.method, message.params)
  return {
    'mcp-protocol-version': version,
    'mcp-method': message.method,
    ...(name !== undefined && { 'mcp-name': encodeName(name) }),
  }
}

/** A result as a client of the revision needs it; nothing that went through here may be kept. */
export function modernResult(method: string, result: JsonObject, serverInfo: JsonObject): JsonObject {
  const meta = isObject(result._meta) ? result._meta : {}
  return {
    resultType: 'complete',
    ...result,
    ...(CACHEABLE.has(method) && { ttlMs: 0, cacheScope: 'private' }),
    _meta: { [META.serverInfo]: serverInfo, ...meta },
  }
}

/** The same the other way round. */
export function legacyResult(result: JsonObject): JsonObject {
  const { resultType: _, ttlMs: __, cacheScope: ___, ...rest } = result
  return rest
}
