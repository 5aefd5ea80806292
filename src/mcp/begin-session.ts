/** `initialize`: a session with its connections to the targets, and what they say of themselves as one answer. */
import { Asking } from './asking.ts'
import { mergeInitialized } from './handshake.ts'
import { isObject, type JsonObject, RPC_ERRORS, type RpcRequest, success } from './json-rpc.ts'
import { isModern } from './modern-wire.ts'
import { beginOperation, type Performed, refused } from './operation.ts'
import { Refusal, tooManySessions } from './refusal.ts'
import { callContext, type Serving } from './request.ts'
import { Session } from './session.ts'
import type { ClientIdentity } from './transport.ts'
import { UnderWay } from './under-way.ts'
import { LATEST_LEGACY, LEGACY_VERSIONS } from './versions.ts'

/** Before `initialize`, of a client of the old transport, nothing is known. */
export function identityOf(message: RpcRequest | undefined): ClientIdentity {
  const { protocolVersion, capabilities, clientInfo } = message?.params ?? {}
  const isKnown = typeof protocolVersion === 'string' && LEGACY_VERSIONS.includes(protocolVersion)
  return {
    protocolVersion: isKnown ? protocolVersion : LATEST_LEGACY,
    capabilities: isObject(capabilities) ? capabilities : {},
    clientInfo: isObject(clientInfo) ? clientInfo : { name: 'unknown', version: '0' },
  }
}

export function newSession(
  { backend, deps, caller }: Serving,
  id: string,
  identity: ClientIdentity,
): Session {
  return new Session(
    {
      id,
      backend,
      owner: caller.owner,
      identity,
      isInteractive: true,
      onRestart: (target) => deps.onRestart(backend, target),
      log: (message, fields) => deps.log('debug', message, fields),
    },
    deps.now(),
  )
}

/** Throws `Refusal` when there are too many. */
export function keep({ deps }: Serving, session: Session): void {
  if (!deps.sessions.add(session)) throw tooManySessions()
}

/**
 * Connects to the targets. A session that is new is one of the store's only when that was a success, but it ends with
 * the backend and with the gateway from the beginning.
 */
export async function handshake(
  serving: Serving,
  session: Session,
  message: RpcRequest,
  isNew: boolean,
  underWay = new UnderWay(),
): Promise<Performed> {
  const { request, deps } = serving
  const { facts } = request
  const operation = beginOperation(facts, 'initialize', message.id)
  const context = callContext(serving, session, session.standalone, message)
  const asking = new Asking(session, message, operation, context, underWay)
  const opened = isNew ? deps.sessions.opening(session) : () => {}
  try {
    const result = await connect(serving, asking)
    if (session.isClosed)
      throw new Refusal(503, RPC_ERRORS.internal, 'The session was ended', { type: 'unavailable' })
    if (isNew) {
      keep(serving, session)
      facts.sessionId = session.id
    }
    facts.protocolVersion = session.protocolVersion
    return { response: success(message.id, result), status: 200, headers: {} }
  } catch (error) {
    if (isNew) session.close().catch(deps.unexpected)
    return refused(operation, message, error)
  } finally {
    opened()
    operation.endedAt = performance.now()
  }
}

async function connect({ backend, deps }: Serving, asking: Asking): Promise<JsonObject> {
  const { session, operation } = asking
  const opened = await asking.open()
  const [only] = opened
  const isAlone = session.links.length === 1 && backend.spec.prefixMode !== 'always'
  const clientVersion = session.identity.protocolVersion
  if (session.links.length === 1) operation.target = only?.link.target
  const result =
    isAlone && only !== undefined
      ? asItIs(only.result, clientVersion)
      : mergeInitialized(
          opened.map(({ link, result: one }) => ({ target: link.target, result: one })),
          { clientVersion, gatewayVersion: deps.version, isPrefixed: backend.naming.prefixesNames },
        )
  if (typeof result.protocolVersion === 'string') session.protocolVersion = result.protocolVersion
  return result
}

/** A server without sessions has a revision that its client does not know: to that one it speaks its own. */
function asItIs(result: JsonObject, clientVersion: string): JsonObject {
  const { protocolVersion } = result
  const isOther = typeof protocolVersion === 'string' && isModern(protocolVersion)
  return isOther ? { ...result, protocolVersion: clientVersion } : result
}
