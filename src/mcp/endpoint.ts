/**
 * An MCP backend as clients see it, over streamable HTTP and over the HTTP+SSE transport before it.
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
 */
import { randomUUID } from 'node:crypto'
import type { McpFacts } from '../core/exchange.ts'
import { type Headers, withoutHopByHop } from '../core/headers.ts'
import type { McpCaller } from './authorization.ts'
import type { McpBackend, Target } from './backend.ts'
import { mergeInitialized } from './handshake.ts'
import { forwardedHeaders } from './http.ts'
import {
  failure,
  isNotification,
  isObject,
  isRequest,
  type JsonObject,
  metaOf,
  RPC_ERRORS,
  type RpcMessage,
  type RpcRequest,
  readMessage,
  success,
} from './json-rpc.ts'
import { isModernRequest, serveModern, type WaitingCalls } from './modern.ts'
import { META, MODERN_VERSION } from './modern-wire.ts'
import {
  beginCall,
  beginOperation,
  type CallContext,
  deliveryOf,
  type Performed,
  perform,
  refused,
} from './perform.ts'
import { isLoopbackAddress, rebindingProblem } from './rebinding.ts'
import { Refusal, refusalOf, refusalOfAll } from './refusal.ts'
import { type ClientPort, PostReply } from './reply.ts'
import { Session } from './session.ts'
import type { Sessions } from './sessions.ts'
import type { SharedSessions } from './shared-sessions.ts'
import { type ClientIdentity, TargetError } from './transport.ts'
import { LATEST_LEGACY, LEGACY_VERSIONS } from './versions.ts'

export interface TraceOfCaller {
  readonly sampled: boolean
  readonly traceId: string
  /** As it came in. */
  readonly received: string | undefined
}

export interface McpRequest {
  readonly method: string
  /** As the client sent it, without the query. */
  readonly path: string
  readonly query: string
  readonly headers: Headers
  readonly body: Buffer
  readonly scheme: 'http' | 'https'
  readonly host: string
  /** Of the socket. */
  readonly localAddress: string
  readonly clientAddress: string
  readonly facts: McpFacts
  readonly port: ClientPort
  /** The caller's trace; `meta` is what the message itself says of it, where the request's head says nothing. */
  readonly traceOf: (meta: JsonObject | undefined) => TraceOfCaller
  /** Before the first target is called. */
  readonly onCalling: () => void
  /** The record has to wait for what goes on after the response is closed. */
  readonly holdRecord: (until: Promise<unknown>) => void
}

export interface EndpointDependencies {
  readonly version: string
  readonly sessions: Sessions
  readonly shared: SharedSessions
  readonly waiting: WaitingCalls
  readonly now: () => number
  readonly onRestart: (backend: McpBackend, target: Target) => void
  readonly log: (message: string, fields: Readonly<Record<string, string>>) => void
  /** Never let a client see it. */
  readonly unexpected: (error: unknown) => void
}

const SESSION = 'mcp-session-id'
const JSON_TYPE = { 'content-type': 'application/json' }
const EMPTY = Buffer.alloc(0)

/** Who asks, once authentication has spoken. */
interface Caller {
  readonly owner: string | undefined
  readonly jwt: Readonly<Record<string, unknown>> | undefined
  /** Less the credential that was for the gateway. */
  readonly headers: Headers
}

export async function serveMcp(
  backend: McpBackend,
  request: McpRequest,
  deps: EndpointDependencies,
): Promise<void> {
  try {
    await new Endpoint(backend, request, deps).serve()
  } catch (thrown) {
    const error = thrown instanceof TargetError ? refusalOf(thrown) : thrown
    if (!(error instanceof Refusal)) throw error
    const body = failure(null, error.code, error.message, error.data)
    request.port.refuse(error.status, { ...JSON_TYPE, ...error.headers }, Buffer.from(JSON.stringify(body)), {
      type: error.type,
      message: error.message,
    })
  }
}

class Endpoint {
  readonly #backend: McpBackend
  readonly #request: McpRequest
  readonly #deps: EndpointDependencies

  constructor(backend: McpBackend, request: McpRequest, deps: EndpointDependencies) {
    this.#backend = backend
    this.#request = request
    this.#deps = deps
  }

  async serve(): Promise<void> {
    this.#checkOrigin()
    const { authentication } = this.#backend.spec
    const { method, path, query, headers, scheme, host, body, port } = this.#request
    const head = { method, path, query, headers, scheme, host, body }
    const wellKnown = await authentication?.wellKnown(head)
    if (wellKnown !== undefined) {
      if (wellKnown.cause !== undefined) this.#deps.unexpected(wellKnown.cause)
      port.reply(wellKnown.status, { ...wellKnown.headers }, Buffer.from(wellKnown.body))
      return
    }
    if (await this.#passWellKnown()) return
    const caller = await this.#identify()
    if (caller === undefined) return
    if (path === '/sse' || path.endsWith('/sse')) await this.#serveLegacy(caller)
    else if (method === 'POST') await this.#post(caller)
    else if (method === 'GET' && this.#backend.spec.isStateful) this.#get(caller)
    else if (method === 'DELETE' && this.#backend.spec.isStateful) await this.#delete(caller)
    else {
      const allow = this.#backend.spec.isStateful ? 'GET, POST, DELETE' : 'POST'
      throw new Refusal(405, RPC_ERRORS.invalidRequest, `Method not allowed: use ${allow}`, {
        headers: { allow },
      })
    }
  }

  /** A lone server that asks for tokens itself also says where to get them. True when that was the question. */
  async #passWellKnown(): Promise<boolean> {
    const { method, path, query, headers, port } = this.#request
    const { spec, targets } = this.#backend
    const [only, another] = targets
    const isAsked = path.startsWith('/.well-known/') && (method === 'GET' || method === 'OPTIONS')
    if (!isAsked || spec.authentication !== undefined || another !== undefined) return false
    if (only?.fetch === undefined) return false
    const full = query === '' ? path : `${path}?${query}`
    const asked = { ...forwardedHeaders(headers), accept: headers.accept }
    const reply = await only.fetch({ method, path: full, headers: asked, body: null })
    const { 'content-length': _, ...answered } = withoutHopByHop(reply.headers)
    port.reply(reply.status, answered, reply.body)
    return true
  }

  #checkOrigin(): void {
    const { dnsRebindingProtection, hostnames } = this.#backend.spec
    const { headers, host, localAddress } = this.#request
    if (!(dnsRebindingProtection ?? isLoopbackAddress(localAddress))) return
    const problem = rebindingProblem({ host, origin: headers.origin?.toString(), hostnames })
    if (problem === undefined) return
    throw new Refusal(403, RPC_ERRORS.invalidRequest, `${problem}: refused as DNS rebinding`, {
      type: 'denied',
    })
  }

  async #identify(): Promise<Caller | undefined> {
    const { authentication } = this.#backend.spec
    const { headers, path, scheme, host, port } = this.#request
    if (authentication === undefined) return { owner: undefined, jwt: undefined, headers }
    const outcome = await authentication.authenticate({ headers, path, scheme, host })
    switch (outcome.kind) {
      case 'anonymous': {
        // A token that was not accepted here is none to pass on.
        const { authorization: _, ...rest } = headers
        return { owner: undefined, jwt: undefined, headers: rest }
      }
      case 'caller': {
        const { [outcome.header]: _, ...rest } = headers
        const { iss, sub, azp, client_id } = outcome.claims
        return { owner: JSON.stringify([iss, sub ?? azp ?? client_id]), jwt: outcome.claims, headers: rest }
      }
      case 'refused':
        if (outcome.cause !== undefined) this.#deps.unexpected(outcome.cause)
        port.refuse(outcome.status, { ...outcome.headers }, Buffer.from(outcome.body), {
          type: outcome.status === 503 ? 'unavailable' : 'denied',
          message: `the token was refused: ${outcome.status}`,
        })
        return undefined
      default:
        return outcome satisfies never
    }
  }

  // Streamable HTTP.

  async #post(caller: Caller): Promise<void> {
    this.#checkNegotiation()
    const messages = readBody(this.#request.body)
    if (isModernRequest(this.#request.headers, messages)) {
      await this.#modern(messages, caller)
      return
    }
    this.#checkVersion()
    const [first] = messages
    const requests = messages.filter(isRequest)
    const handshake = requests.find(({ method }) => method === 'initialize')
    if (handshake !== undefined) {
      if (messages.length > 1)
        throw new Refusal(400, RPC_ERRORS.invalidRequest, 'initialize must be the only message')
      await this.#initialize(handshake, caller)
      return
    }
    const session = this.#session(caller)
    const isBatch = this.#request.body.toString('latin1', 0, 64).trimStart().startsWith('[')
    await this.#take(session, messages, requests, caller, isBatch || first === undefined)
  }

  async #take(
    session: Session,
    messages: readonly RpcMessage[],
    requests: readonly RpcRequest[],
    caller: Caller,
    isBatch: boolean,
  ): Promise<void> {
    const { port } = this.#request
    this.#hear(session, messages, caller)
    const headers: Headers = session.id === '' ? {} : { [SESSION]: session.id }
    if (requests.length === 0) {
      port.reply(202, headers, EMPTY)
      return
    }
    session.begin(this.#deps.now())
    const reply = new PostReply(port, session, headers)
    const context = this.#context(session, caller, reply, requests)
    // Without a session nobody can come back for the answer: a client that leaves has given up.
    if (session.history === undefined)
      port.onClosed(() => {
        for (const { link, id } of context.underWay) link.cancel(id, 'the client left')
      })
    const work = Promise.all(requests.map((one) => perform(session, one, context)))
    this.#request.holdRecord(work)
    const performed = await work
    session.end(this.#deps.now())
    this.#finish(reply, performed, isBatch)
  }

  #finish(reply: PostReply, performed: readonly Performed[], isBatch: boolean): void {
    const responses = performed.flatMap(({ response }) => (response === undefined ? [] : [response]))
    const [only] = performed
    if (isBatch || only === undefined) reply.finish(200, {}, responses, isBatch)
    else reply.finish(only.status, only.headers, responses, false)
  }

  /** Notifications and answers: nothing comes back for them. */
  #hear(session: Session, messages: readonly RpcMessage[], caller: Caller): void {
    for (const message of messages) {
      if (isRequest(message)) continue
      if (!isNotification(message)) {
        session.answered(message)
        continue
      }
      const operation = beginOperation(this.#request.facts, message.method, undefined)
      session.told(message, caller.headers)
      operation.endedAt = performance.now()
    }
  }

  #checkNegotiation(): void {
    const { headers } = this.#request
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

  #checkVersion(): void {
    const version = this.#request.headers['mcp-protocol-version']?.toString()
    if (version === undefined || LEGACY_VERSIONS.includes(version)) return
    throw new Refusal(400, RPC_ERRORS.unsupportedVersion, `Unsupported protocol version: ${version}`, {
      data: { supported: [MODERN_VERSION, ...LEGACY_VERSIONS], requested: version },
    })
  }

  /** Without a session, whatever the backend's mode is. */
  async #modern([message]: readonly RpcMessage[], caller: Caller): Promise<void> {
    const { port, facts, holdRecord } = this.#request
    if (message === undefined || !isRequest(message)) {
      // Notifications of the revision tell of requests, and a request is given up by leaving it.
      if (message !== undefined && isNotification(message))
        beginOperation(facts, message.method, undefined).endedAt = performance.now()
      port.reply(202, {}, EMPTY)
      return
    }
    const meta = metaOf(message.params) ?? {}
    const capabilities = meta[META.capabilities]
    const clientInfo = meta[META.clientInfo]
    const session = this.#deps.shared.of(this.#backend, caller.owner, caller.headers, {
      protocolVersion: LATEST_LEGACY,
      capabilities: isObject(capabilities) ? capabilities : {},
      clientInfo: isObject(clientInfo) ? clientInfo : { name: 'unknown', version: '0' },
    })
    const contextOf = (relay: CallContext['relay']) => this.#context(session, caller, relay, [message])
    await serveModern(
      { message, session, owner: caller.owner, port, facts, contextOf, holdRecord },
      { version: this.#deps.version, waiting: this.#deps.waiting, now: this.#deps.now },
    )
  }

  #session(caller: Caller): Session {
    const id = this.#request.headers[SESSION]?.toString()
    const { isStateful } = this.#backend.spec
    if (!isStateful) return this.#deps.shared.of(this.#backend, caller.owner, caller.headers)
    if (id === undefined || id === '')
      throw new Refusal(400, RPC_ERRORS.invalidRequest, 'Bad Request: Mcp-Session-Id header is required')
    this.#request.facts.sessionId = id
    const session = this.#deps.sessions.get(id)
    this.#checkOwner(session, caller, false)
    this.#request.facts.protocolVersion = session.protocolVersion
    return session
  }

  /** Whose it is not, may not learn that it is there. */
  #checkOwner(session: Session | undefined, caller: Caller, isLegacy: boolean): asserts session is Session {
    const isTheirs =
      session !== undefined &&
      session.backend === this.#backend &&
      session.owner === caller.owner &&
      session.isLegacy === isLegacy
    if (!isTheirs) throw new Refusal(404, RPC_ERRORS.sessionNotFound, 'Session not found')
  }

  async #initialize(message: RpcRequest, caller: Caller): Promise<void> {
    if (this.#request.headers[SESSION] !== undefined && this.#backend.spec.isStateful)
      throw new Refusal(400, RPC_ERRORS.invalidRequest, 'Bad Request: the session is initialized already')
    const { isStateful } = this.#backend.spec
    const session = isStateful
      ? this.#newSession(randomUUID(), message)
      : this.#deps.shared.of(this.#backend, caller.owner, caller.headers)
    const performed = await this.#handshake(session, message, caller, isStateful)
    const headers: Headers =
      performed.response !== undefined && 'result' in performed.response && isStateful
        ? { [SESSION]: session.id }
        : {}
    const { port } = this.#request
    const body = Buffer.from(
      JSON.stringify(performed.response ?? failure(message.id, RPC_ERRORS.internal, 'cancelled')),
    )
    if (!port.isOpen() && isStateful) await this.#deps.sessions.end(session)
    else port.reply(performed.status, { ...JSON_TYPE, ...headers, ...performed.headers }, body)
  }

  #newSession(id: string, message: RpcRequest | undefined, owner?: string): Session {
    return new Session(
      {
        id,
        backend: this.#backend,
        owner,
        identity: identityOf(message),
        isInteractive: true,
        onRestart: (target) => this.#deps.onRestart(this.#backend, target),
        log: this.#deps.log,
      },
      this.#deps.now(),
    )
  }

  /** Connects to the targets; the session is one of the store's when that was a success. */
  async #handshake(
    session: Session,
    message: RpcRequest,
    caller: Caller,
    isNew: boolean,
  ): Promise<Performed> {
    const { facts } = this.#request
    const operation = beginOperation(facts, 'initialize', message.id)
    try {
      const context = this.#context(session, caller, session.standalone, [message])
      const result = await this.#connect(session, context, operation)
      if (isNew) {
        session.owner = caller.owner
        if (!this.#deps.sessions.add(session))
          throw new Refusal(503, RPC_ERRORS.internal, 'Too many sessions', {
            type: 'unavailable',
            headers: { 'retry-after': '30' },
          })
        facts.sessionId = session.id
      }
      facts.protocolVersion = session.protocolVersion
      return { response: success(message.id, result), status: 200, headers: {} }
    } catch (error) {
      if (isNew) session.close().catch(() => {})
      return refused(operation, message, error)
    } finally {
      operation.endedAt = performance.now()
    }
  }

  async #connect(
    session: Session,
    context: CallContext,
    operation: ReturnType<typeof beginOperation>,
  ): Promise<JsonObject> {
    const { failureMode, prefixMode } = this.#backend.spec
    const opened = await Promise.allSettled(
      session.links.map(async (link) => {
        const call = beginCall(context.facts, operation, session.targetOf(link), link.target)
        context.onCalling()
        try {
          return await link.ensureOpen(context.headers, call, deliveryOf(context, call).traceparent)
        } catch (error) {
          if (error instanceof TargetError) {
            call.errorType = error.type
            call.errorMessage = error.message
          }
          throw error
        } finally {
          call.endedAt = performance.now()
          call.sessionId = link.upstreamSessionId
        }
      }),
    )
    const results = opened.flatMap((one, index) => {
      const target = session.links[index]?.target
      return one.status === 'fulfilled' && target !== undefined ? [{ target, result: one.value }] : []
    })
    const failed = opened.find((one) => one.status === 'rejected')
    if (failed !== undefined && (failureMode === 'failClosed' || results.length === 0))
      throw refusalOfAll(failed.reason, failureMode)
    if (session.links.length === 0)
      throw new Refusal(503, RPC_ERRORS.internal, 'No MCP target is configured', { type: 'unavailable' })
    const [only] = results
    const isAlone = session.links.length === 1 && prefixMode !== 'always'
    const result =
      isAlone && only !== undefined
        ? only.result
        : mergeInitialized(results, {
            clientVersion: session.identity.protocolVersion,
            gatewayVersion: this.#deps.version,
            isPrefixed: this.#backend.naming.prefixesNames,
          })
    if (session.links.length === 1) operation.target = session.links[0]?.target
    if (typeof result.protocolVersion === 'string') session.protocolVersion = result.protocolVersion
    return result
  }

  #get(caller: Caller): void {
    const { headers, port } = this.#request
    if (!accepts(headers, 'text/event-stream'))
      throw new Refusal(406, RPC_ERRORS.invalidRequest, 'Not Acceptable: Accept must name text/event-stream')
    const session = this.#session(caller)
    const lastEventId = headers['last-event-id']?.toString()
    const from = lastEventId === undefined ? undefined : session.history?.after(lastEventId)
    if (lastEventId !== undefined && from === undefined)
      throw new Refusal(400, RPC_ERRORS.invalidRequest, `Unknown event id: ${lastEventId}`)
    const number = from?.stream ?? 0
    const stream = number === 0 ? session.standalone : session.streams.get(number)
    const sink = port.openEvents({ [SESSION]: session.id })
    session.usedAt = this.#deps.now()
    if (stream === undefined) {
      sink.write(Buffer.from((from?.texts ?? []).join('')))
      sink.end()
      return
    }
    stream.attach(sink, from?.texts)
    port.onClosed(() => {
      stream.detach(sink)
      session.usedAt = this.#deps.now()
    })
    if (stream === session.standalone) session.listen(caller.headers)
  }

  async #delete(caller: Caller): Promise<void> {
    const session = this.#session(caller)
    await this.#deps.sessions.end(session)
    this.#request.port.reply(202, {}, EMPTY)
  }

  // HTTP+SSE of 2024-11-05.

  async #serveLegacy(caller: Caller): Promise<void> {
    const { method } = this.#request
    if (method === 'GET') this.#openLegacy(caller)
    else if (method === 'POST') await this.#postLegacy(caller)
    else
      throw new Refusal(405, RPC_ERRORS.invalidRequest, 'Method not allowed: use GET, POST', {
        headers: { allow: 'GET, POST' },
      })
  }

  #openLegacy(caller: Caller): void {
    const { port, path, facts } = this.#request
    const session = this.#newSession(randomUUID(), undefined, caller.owner)
    session.isLegacy = true
    if (!this.#deps.sessions.add(session))
      throw new Refusal(503, RPC_ERRORS.internal, 'Too many sessions', { type: 'unavailable' })
    facts.sessionId = session.id
    const sink = port.openEvents({})
    session.standalone.attach(sink)
    session.standalone.announce('endpoint', `${path}?sessionId=${session.id}`)
    port.onClosed(() => {
      this.#deps.sessions.end(session).catch(this.#deps.unexpected)
    })
  }

  async #postLegacy(caller: Caller): Promise<void> {
    const id = new URLSearchParams(this.#request.query).get('sessionId')
    if (id === null)
      throw new Refusal(422, RPC_ERRORS.invalidRequest, 'Unprocessable: the query has no sessionId')
    const { facts, port } = this.#request
    facts.sessionId = id
    const session = this.#deps.sessions.get(id)
    this.#checkOwner(session, caller, true)
    facts.protocolVersion = session.protocolVersion
    const messages = readBody(this.#request.body)
    this.#checkVersion()
    const requests = messages.filter(isRequest)
    const context = this.#context(session, caller, session.standalone, requests)
    port.reply(202, { 'content-type': 'text/plain; charset=utf-8' }, Buffer.from('Accepted'))
    this.#hear(session, messages, caller)
    session.begin(this.#deps.now())
    const work = Promise.all(
      requests.map(async (one) => {
        const performed =
          one.method === 'initialize'
            ? await this.#legacyHandshake(session, one, caller)
            : await perform(session, one, context)
        if (performed.response !== undefined) session.standalone.send(performed.response)
      }),
    )
    this.#request.holdRecord(work)
    await work
    session.end(this.#deps.now())
  }

  async #legacyHandshake(session: Session, message: RpcRequest, caller: Caller): Promise<Performed> {
    session.introduce(identityOf(message))
    const performed = await this.#handshake(session, message, caller, false)
    session.listen(caller.headers)
    return performed
  }

  #context(
    session: Session,
    caller: Caller,
    relay: CallContext['relay'],
    requests: readonly RpcRequest[],
  ): CallContext {
    const { method, host, path, clientAddress, facts, traceOf, onCalling } = this.#request
    const plain = Object.fromEntries(
      Object.entries(this.#request.headers).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, String(value)]],
      ),
    )
    const judged: Omit<McpCaller, 'methodName'> = {
      request: { method, host, path, headers: plain },
      source: { address: clientAddress },
      jwt: caller.jwt,
      sessionId: session.id,
    }
    const trace = traceOf(metaOf(requests[0]?.params))
    return { headers: caller.headers, caller: judged, facts, relay, trace, onCalling, underWay: [] }
  }
}

/** Whether `Accept` names the type, or a range that holds it, and does not refuse it. RFC 9110 section 12.5.1. */
function accepts({ accept }: Headers, type: string): boolean {
  const [kind] = type.split('/')
  const qualityOf = (wanted: string) => {
    for (const range of String(accept ?? '').split(',')) {
      const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
      if (name === wanted) return Number(parameters.find((one) => one.startsWith('q='))?.slice(2) ?? 1)
    }
    return undefined
  }
  return (qualityOf(type) ?? qualityOf(`${kind}/*`) ?? qualityOf('*/*') ?? 0) > 0
}

function readBody(body: Buffer): RpcMessage[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(body.toString('utf8'))
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : ''
    throw new Refusal(400, RPC_ERRORS.parse, `Parse error: the body is not JSON (${detail})`, { cause })
  }
  if (isTooDeep(parsed))
    throw new Refusal(400, RPC_ERRORS.invalidRequest, 'Invalid Request: nested too deeply')
  const list = Array.isArray(parsed) ? parsed : [parsed]
  if (list.length === 0 || list.length > MAX_BATCH)
    throw new Refusal(
      400,
      RPC_ERRORS.invalidRequest,
      `Invalid Request: a batch has 1 to ${MAX_BATCH} messages`,
    )
  return list.map((one, index) => {
    const message = readMessage(one)
    if (typeof message !== 'string') return message
    const place = Array.isArray(parsed) ? ` (message ${index})` : ''
    throw new Refusal(400, RPC_ERRORS.invalidRequest, `Invalid Request: ${message}${place}`)
  })
}

const MAX_BATCH = 100
/** What can be read can not always be written again. */
const MAX_DEPTH = 1000

function isTooDeep(root: unknown): boolean {
  let level: unknown[] = [root]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return true
    const next: unknown[] = []
    for (const value of level)
      if (typeof value === 'object' && value !== null)
        for (const inner of Object.values(value))
          if (typeof inner === 'object' && inner !== null) next.push(inner)
    level = next
  }
  return false
}

/** Before `initialize`, of a client of the old transport, nothing is known. */
function identityOf(message: RpcRequest | undefined): ClientIdentity {
  const { protocolVersion, capabilities, clientInfo } = message?.params ?? {}
  const isKnown = typeof protocolVersion === 'string' && LEGACY_VERSIONS.includes(protocolVersion)
  return {
    protocolVersion: isKnown ? protocolVersion : LATEST_LEGACY,
    capabilities: isObject(capabilities) ? capabilities : {},
    clientInfo: isObject(clientInfo) ? clientInfo : { name: 'unknown', version: '0' },
  }
}
