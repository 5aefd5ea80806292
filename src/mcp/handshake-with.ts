/** The beginning of a connection to a target: `initialize`, or `server/discover` where a server has no sessions. */
import { isFailure, isObject, type JsonObject, RPC_ERRORS, type RpcFailure } from './json-rpc.ts'
import { envelope } from './modern-target.ts'
import { isModern, META, MODERN_VERSION } from './modern-wire.ts'
import type { Peer } from './peer.ts'
import { type ClientIdentity, type Delivery, TargetError, type Transport } from './transport.ts'

export interface Handshake {
  readonly target: string
  readonly transport: Transport
  readonly peer: Peer
  readonly identity: ClientIdentity
  readonly delivery: Delivery
}

export interface Shaken {
  /** As if it were the answer to `initialize`. */
  readonly initialized: JsonObject
  readonly isModern: boolean
}

/** Rejects with `TargetError`. */
export async function shakeHands(handshake: Handshake): Promise<Shaken> {
  const { transport, delivery, target } = handshake
  await transport.open(delivery.headers)
  const answer = await initialize(handshake)
  if ('error' in answer) {
    const discovered = await discover(handshake, answer)
    if (discovered !== undefined) return { initialized: discovered, isModern: true }
    const { code, message } = answer.error
    throw new TargetError('mcp_error', `target ${target} refused initialize: ${message} (${code})`)
  }
  const { protocolVersion } = answer.result
  if (typeof protocolVersion !== 'string')
    throw new TargetError('unexpected_response', `target ${target} named no protocol version`)
  transport.negotiated(protocolVersion)
  await transport.send(
    { jsonrpc: '2.0', method: 'notifications/initialized' },
    { ...delivery, call: undefined },
  )
  return { initialized: answer.result, isModern: false }
}

/** Over HTTP a server that does not know the method may say so by its status; the error is in the body. */
async function initialize({ peer, identity, delivery }: Handshake) {
  const { protocolVersion, capabilities, clientInfo } = identity
  const params = { protocolVersion, capabilities, clientInfo }
  try {
    return await peer.exchange({ method: 'initialize', params, delivery, relay: undefined, timeoutMs: 0 })
  } catch (error) {
    const failure = error instanceof TargetError ? failureIn(error) : undefined
    if (failure === undefined) throw error
    return failure
  }
}

function failureIn({ reply }: TargetError): RpcFailure | undefined {
  if (reply === undefined || reply.status < 400 || reply.status >= 500) return undefined
  try {
    const body: unknown = JSON.parse(reply.body.toString('utf8'))
    const error = isObject(body) && isObject(body.error) ? body.error : {}
    const { code, message, data } = error
    if (typeof code !== 'number' || typeof message !== 'string') return undefined
    return { jsonrpc: '2.0', id: null, error: { code, message, data } }
  } catch {
    return undefined
  }
}

/** What a server without sessions says to `initialize`. */
const WITHOUT_SESSIONS = new Set<number>([
  RPC_ERRORS.methodNotFound,
  RPC_ERRORS.invalidRequest,
  RPC_ERRORS.invalidParams,
  RPC_ERRORS.unsupportedVersion,
])

/** Undefined: it is no such server, and its refusal stands. */
async function discover(
  { peer, identity, delivery }: Handshake,
  { error }: RpcFailure,
): Promise<JsonObject | undefined> {
  if (!WITHOUT_SESSIONS.has(error.code)) return undefined
  const params = { _meta: envelope(identity, undefined) }
  const answer = await peer
    .exchange({ method: 'server/discover', params, delivery, relay: undefined, timeoutMs: 0 })
    .catch(() => undefined)
  if (answer === undefined || isFailure(answer)) return undefined
  const { supportedVersions, capabilities, instructions, _meta } = answer.result
  const isOurs = (version: unknown) => typeof version === 'string' && isModern(version)
  if (!Array.isArray(supportedVersions) || !supportedVersions.some(isOurs)) return undefined
  const serverInfo = isObject(_meta) ? _meta[META.serverInfo] : undefined
  return {
    protocolVersion: MODERN_VERSION,
    capabilities: isObject(capabilities) ? capabilities : {},
    serverInfo: isObject(serverInfo) ? serverInfo : { name: 'unknown', version: '0' },
    ...(typeof instructions === 'string' && { instructions }),
  }
}
