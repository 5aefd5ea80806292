/**
 * Streamable HTTP: a POST for each message of the client, answered in JSON or in events, and a stream for the rest.
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
import { randomUUID } from 'node:crypto'
import type { Headers } from '../core/headers.ts'
import { handshake, identityOf, newSession } from './begin-session.ts'
import { accepts, readBody } from './body.ts'
import { hear } from './hear.ts'
import { failure, isRequest, RPC_ERRORS, type RpcMessage, type RpcRequest } from './json-rpc.ts'
import { serveModern } from './modern.ts'
import { isModernRequest } from './modern-head.ts'
import { MODERN_VERSION } from './modern-wire.ts'
import type { Performed } from './operation.ts'
import { perform } from './perform.ts'
import { Refusal } from './refusal.ts'
import { PostReply } from './reply.ts'
import { callContext, type Serving } from './request.ts'
import type { Session } from './session.ts'
import { UnderWay } from './under-way.ts'
import { LEGACY_VERSIONS } from './versions.ts'

const SESSION = 'mcp-session-id'
const JSON_TYPE = { 'content-type': 'application/json' }
const EMPTY = Buffer.alloc(0)

/** Throws `Refusal`. */
export async function serveStreamable(serving: Serving): Promise<void> {
  const { isStateful } = serving.backend.spec
  const { method } = serving.request
  if (method === 'POST') await post(serving)
  else if (method === 'GET' && isStateful) get(serving)
  else if (method === 'DELETE' && isStateful) await end(serving)
  else {
    const allow = isStateful ? 'GET, POST, DELETE' : 'POST'
    const message = `Method not allowed: use ${allow}`
    throw new Refusal(405, RPC_ERRORS.invalidRequest, message, { headers: { allow } })
  }
}

/** Throws `Refusal` on a revision that nobody knows. */
export function checkVersion(headers: Headers): void {
  const version = headers['mcp-protocol-version']?.toString()
  if (version === undefined || LEGACY_VERSIONS.includes(version)) return
  throw new Refusal(400, RPC_ERRORS.unsupportedVersion, `Unsupported protocol version: ${version}`, {
    data: { supported: [MODERN_VERSION, ...LEGACY_VERSIONS], requested: version },
  })
}

/** The caller's session. Whose it is not, may not learn that it is there. Throws `Refusal`. */
export function ownSession(
  { backend, request, deps, caller }: Serving,
  id: string,
  isLegacy: boolean,
): Session {
  request.facts.sessionId = id
  const session = deps.sessions.get(id)
  const isTheirs =
    session !== undefined &&
    session.backend === backend &&
    session.owner === caller.owner &&
    session.isLegacy === isLegacy
  if (!isTheirs) throw new Refusal(404, RPC_ERRORS.sessionNotFound, 'Session not found')
  request.facts.protocolVersion = session.protocolVersion
  return session
}

function sessionOf(serving: Serving): Session {
  const { backend, request, deps, caller } = serving
  if (!backend.spec.isStateful) return deps.shared.of(backend, caller.owner, caller.headers)
  const id = request.headers[SESSION]?.toString()
  if (id === undefined || id === '')
    throw new Refusal(400, RPC_ERRORS.invalidRequest, 'Bad Request: Mcp-Session-Id header is required')
  return ownSession(serving, id, false)
}

function checkNegotiation({ request: { headers } }: Serving): void {
  if (!accepts(headers, 'application/json') || !accepts(headers, 'text/event-stream'))
    throw new Refusal(
      406,
      RPC_ERRORS.invalidRequest,
      'Not Acceptable: Accept must name both application/json and text/event-stream',
    )
  if (!/^application\/json\s*(?:;|$)/i.test(String(headers['content-type'] ?? '')))
    throw new Refusal(
      415,
      RPC_ERRORS.invalidRequest,
      'Unsupported Media Type: Content-Type must be application/json',
    )
}

async function post(serving: Serving): Promise<void> {
  checkNegotiation(serving)
  const { request } = serving
  const { messages, isBatch } = readBody(request.body)
  if (isModernRequest(request.headers, messages)) {
    await serveModern(serving, messages)
    return
  }
  checkVersion(request.headers)
  const requests = messages.filter(isRequest)
  const initialize = requests.find(({ method }) => method === 'initialize')
  if (initialize === undefined) await take(serving, messages, requests, isBatch)
  else if (messages.length > 1)
    throw new Refusal(400, RPC_ERRORS.invalidRequest, 'initialize must be the only message')
  else await begin(serving, initialize)
}

async function begin(serving: Serving, message: RpcRequest): Promise<void> {
  const { backend, request, deps, caller } = serving
  const { isStateful } = backend.spec
  if (request.headers[SESSION] !== undefined && isStateful)
    throw new Refusal(400, RPC_ERRORS.invalidRequest, 'Bad Request: the session is initialized already')
  const session = isStateful
    ? newSession(serving, randomUUID(), identityOf(message))
    : deps.shared.of(backend, caller.owner, caller.headers)
  const underWay = new UnderWay()
  const { port } = request
  port.onClosed(() => underWay.giveUp(port.isCut() ? 'it took too long' : 'the client left'))
  session.begin(deps.now())
  const work = handshake(serving, session, message, isStateful, underWay)
  request.holdRecord(work)
  const { response, status, headers } = await work
  session.end(deps.now())
  const isBegun = isStateful && response !== undefined && 'result' in response
  if (isBegun && !port.isOpen()) {
    // Nobody has learnt its id.
    await deps.sessions.end(session)
    return
  }
  const body = Buffer.from(JSON.stringify(response ?? failure(message.id, RPC_ERRORS.internal, 'cancelled')))
  port.reply(status, { ...JSON_TYPE, ...(isBegun && { [SESSION]: session.id }), ...headers }, body)
}

async function take(
  serving: Serving,
  messages: readonly RpcMessage[],
  requests: readonly RpcRequest[],
  isBatch: boolean,
): Promise<void> {
  const { request, deps, caller } = serving
  const { port } = request
  const session = sessionOf(serving)
  hear(session, messages, caller.headers, request.facts)
  const headers: Headers = session.id === '' ? {} : { [SESSION]: session.id }
  if (requests.length === 0) {
    port.reply(202, headers, EMPTY)
    return
  }
  session.begin(deps.now())
  const reply = new PostReply(port, session, headers)
  const context = callContext(serving, session, reply, requests[0])
  const underWay = requests.map(() => new UnderWay())
  port.onClosed(() => {
    // Without a session nobody can come back for the answer, and what was answered otherwise has had its answer.
    if (session.history === undefined || port.isCut())
      for (const one of underWay) one.giveUp(port.isCut() ? 'it took too long' : 'the client left')
  })
  const work = Promise.all(
    requests.map((one, index) => perform(session, one, context, underWay[index] ?? new UnderWay())),
  )
  request.holdRecord(work)
  const performed = await work
  session.end(deps.now())
  finish(reply, performed, isBatch)
}

function finish(reply: PostReply, performed: readonly Performed[], isBatch: boolean): void {
  const responses = performed.flatMap(({ response }) => (response === undefined ? [] : [response]))
  const [only] = performed
  if (isBatch || only === undefined) reply.finish(200, {}, responses, isBatch)
  else reply.finish(only.status, only.headers, responses, false)
}

function get(serving: Serving): void {
  const { request, deps, caller } = serving
  const { headers, port } = request
  if (!accepts(headers, 'text/event-stream'))
    throw new Refusal(406, RPC_ERRORS.invalidRequest, 'Not Acceptable: Accept must name text/event-stream')
  const session = sessionOf(serving)
  const lastEventId = headers['last-event-id']?.toString()
  const from = lastEventId === undefined ? undefined : session.history?.after(lastEventId)
  if (lastEventId !== undefined && from === undefined)
    throw new Refusal(400, RPC_ERRORS.invalidRequest, `Unknown event id: ${lastEventId}`)
  const number = from?.stream ?? 0
  const stream = number === 0 ? session.standalone : session.streams.get(number)
  const sink = port.openEvents({ [SESSION]: session.id })
  session.usedAt = deps.now()
  if (stream === undefined) {
    sink.write(Buffer.from((from?.texts ?? []).join('')))
    sink.end()
    return
  }
  stream.attach(sink, from?.texts)
  port.onClosed(() => {
    stream.detach(sink)
    session.usedAt = deps.now()
  })
  if (stream === session.standalone) session.listen(caller.headers)
}

async function end(serving: Serving): Promise<void> {
  await serving.deps.sessions.end(sessionOf(serving))
  serving.request.port.reply(202, {}, EMPTY)
}
