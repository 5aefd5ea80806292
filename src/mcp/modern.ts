/**
 * Clients of 2026-07-28: no sessions, every request on its own.
 *
 * Connections to the targets are shared by all requests of the same caller. A server that asks during a call gets its
 * answer in the client's next request: until then the call waits here, under a name that the client sends back.
 */
import { Asking, type CallContext } from './asking.ts'
import { mergeInitialized } from './handshake.ts'
import {
  failure,
  isFailure,
  isNotification,
  isObject,
  isRequest,
  type JsonObject,
  metaOf,
  RPC_ERRORS,
  type RpcMessage,
  type RpcRequest,
  success,
} from './json-rpc.ts'
import { META, MODERN_VERSION, modernResult, REMOVED } from './modern-wire.ts'
import { beginOperation, type Performed, refused } from './operation.ts'
import { perform } from './perform.ts'
import { Refusal } from './refusal.ts'
import { PostReply } from './reply.ts'
import { callContext, type Serving } from './request.ts'
import type { Session } from './session.ts'
import { listen } from './subscriptions.ts'
import { UnderWay } from './under-way.ts'
import { LATEST_LEGACY } from './versions.ts'
import { type Carried, carryOn, divideRecord, Questions } from './waiting-calls.ts'

const SET_LEVEL_MS = 5000

/** Without a session, whatever the backend's mode is. Throws `Refusal`. */
export async function serveModern(serving: Serving, [message]: readonly RpcMessage[]): Promise<void> {
  const { backend, request, deps, caller } = serving
  const { facts, port } = request
  facts.protocolVersion = MODERN_VERSION
  if (message === undefined || !isRequest(message)) {
    // Nobody waits for them: a request is given up by leaving it.
    if (message !== undefined && isNotification(message))
      beginOperation(facts, message.method, undefined).endedAt = performance.now()
    port.reply(202, {}, Buffer.alloc(0))
    return
  }
  const { [META.capabilities]: capabilities, [META.clientInfo]: clientInfo } = metaOf(message.params) ?? {}
  let session: Session | undefined
  try {
    session = deps.shared.of(backend, caller.owner, caller.headers, {
      protocolVersion: LATEST_LEGACY,
      capabilities: isObject(capabilities) ? capabilities : {},
      clientInfo: isObject(clientInfo) ? clientInfo : { name: 'unknown', version: '0' },
    })
    session.begin(deps.now())
    if (message.method === 'subscriptions/listen') await listen(serving, session, message, infoOf(serving))
    else await answer(serving, session, message)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    if (facts.operations.length === 0) {
      const operation = beginOperation(facts, message.method, message.id)
      refused(operation, message, error)
      operation.endedAt = performance.now()
    }
    throw error.about(message.id)
  } finally {
    session?.end(deps.now())
  }
}

const infoOf = ({ deps }: Serving) => ({ name: 'agentgateway', title: 'AgentGateway', version: deps.version })

async function answer(serving: Serving, session: Session, message: RpcRequest): Promise<void> {
  const { request, deps } = serving
  const { port } = request
  const resumed = resume(serving, message)
  const reply = new PostReply(port, session, {})
  const call = resumed ?? start(serving, session, message, reply)
  call.relay.goOn(reply)
  if (resumed !== undefined) {
    const { inputResponses } = message.params ?? {}
    call.relay.answerShown(isObject(inputResponses) ? inputResponses : {})
  }
  let isAsking = false
  port.onClosed(() => {
    // A client that leaves has given up: the revision has no way back to the answer.
    if (!isAsking) call.underWay.giveUp('the client left')
  })
  const first = Promise.race([call.work, call.relay.asking()])
  request.holdRecord(first)
  const outcome = await first
  if (outcome !== 'asked') {
    finish(serving, reply, message, outcome)
    return
  }
  if (!port.isOpen()) return
  isAsking = true
  call.relay.goOn(undefined)
  divideRecord(call)
  const inputRequests = call.relay.show()
  const requestState = deps.waiting.add(call)
  const result = { resultType: 'input_required', inputRequests, requestState }
  reply.finish(200, {}, [success(message.id, modernResult(message.method, result, infoOf(serving)))], false)
}

function start(serving: Serving, session: Session, message: RpcRequest, reply: PostReply): Carried {
  const relay = new Questions(reply, metaOf(message.params)?.[META.logLevel] !== undefined)
  const context = callContext(serving, session, relay, message)
  const underWay = new UnderWay()
  const { backend, caller, deps } = serving
  session.begin(deps.now())
  // Also while it waits for the client's answer.
  const work = carryOut(serving, session, message, context, underWay).finally(() => session.end(deps.now()))
  const pending = { operations: [], calls: [] }
  return { backend, owner: caller.owner, message, relay, context, underWay, work, pending }
}

/** Undefined: it is a new call. Throws `Refusal`. */
function resume(serving: Serving, message: RpcRequest): Carried | undefined {
  const { requestState } = message.params ?? {}
  if (typeof requestState !== 'string') return undefined
  const { backend, caller, deps, request } = serving
  const call = deps.waiting.take(requestState, { backend, owner: caller.owner, message })
  if (call === undefined)
    throw new Refusal(
      400,
      RPC_ERRORS.invalidParams,
      'Unknown requestState: the call is over, or was never yours',
    )
  carryOn(call, request.facts, message.id)
  return call
}

function finish(serving: Serving, reply: PostReply, { id, method }: RpcRequest, performed: Performed): void {
  const { response, status, headers } = performed
  if (response === undefined) reply.finish(status, headers, [], false)
  else if (isFailure(response)) {
    const { code, message, data } = response.error
    // The revision has one code for what is not there.
    const said = code === -32002 ? RPC_ERRORS.invalidParams : code
    const isUnknown = said === RPC_ERRORS.methodNotFound && status === 200
    reply.finish(isUnknown ? 404 : status, headers, [failure(id, said, message, data)], false)
  } else {
    const result = modernResult(method, response.result, infoOf(serving))
    reply.finish(status, headers, [success(id, result)], false)
  }
}

async function carryOut(
  serving: Serving,
  session: Session,
  message: RpcRequest,
  context: CallContext,
  underWay: UnderWay,
): Promise<Performed> {
  const { method, id } = message
  if (method === 'server/discover') return discover(serving, session, message, context, underWay)
  if (REMOVED.has(method)) {
    const operation = beginOperation(context.facts, method, id)
    operation.endedAt = performance.now()
    const refusal = new Refusal(404, RPC_ERRORS.methodNotFound, `Method not found: ${method}`)
    return refused(operation, message, refusal)
  }
  await underWay.unlessGivenUp(setLevel(session, message, context)).catch(() => {
    // Given up: that shows at once.
  })
  return perform(session, withoutEnvelope(message), context, underWay)
}

const OURS = new Set<string>([META.version, META.clientInfo, META.capabilities, META.logLevel])

/** What is between the client and us; the target hears its own. */
function withoutEnvelope(message: RpcRequest): RpcRequest {
  const { inputResponses: _, requestState: __, ...params } = message.params ?? {}
  const kept = Object.entries(metaOf(params) ?? {}).filter(([key]) => !OURS.has(key))
  return { ...message, params: { ...params, _meta: Object.fromEntries(kept) } }
}

/** A server with sessions has one level for all that comes over the connection. */
async function setLevel(session: Session, message: RpcRequest, context: CallContext): Promise<void> {
  const level = metaOf(message.params)?.[META.logLevel]
  if (typeof level !== 'string') return
  const delivery = {
    headers: context.headers,
    traceparent: undefined,
    tracestate: undefined,
    call: undefined,
  }
  const request = {
    method: 'logging/setLevel',
    params: { level },
    delivery,
    relay: undefined,
    timeoutMs: SET_LEVEL_MS,
  }
  await Promise.all(
    session.links.map(async (link) => {
      try {
        await link.ensureOpen(context.headers)
        if (link.capabilities.logging !== undefined && link.logLevel !== level) await link.request(request)
      } catch {
        // The call itself will tell.
      }
    }),
  )
}

async function discover(
  serving: Serving,
  session: Session,
  message: RpcRequest,
  context: CallContext,
  underWay: UnderWay,
): Promise<Performed> {
  const operation = beginOperation(context.facts, message.method, message.id)
  try {
    const opened = await new Asking(session, message, operation, context, underWay).open()
    const { capabilities, instructions } = mergeInitialized(
      opened.map(({ link, result }) => ({ target: link.target, result })),
      {
        clientVersion: MODERN_VERSION,
        gatewayVersion: serving.deps.version,
        isPrefixed: session.backend.naming.prefixesNames,
      },
    )
    const { tasks: _, ...kept }: JsonObject = isObject(capabilities) ? capabilities : {}
    const result = { supportedVersions: [MODERN_VERSION], capabilities: kept, instructions }
    return { response: success(message.id, result), status: 200, headers: {} }
  } catch (error) {
    return refused(operation, message, error)
  } finally {
    operation.endedAt = performance.now()
  }
}
