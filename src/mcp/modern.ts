/**
 * Clients of 2026-07-28: no sessions, every request on its own.
 *
 * Connections to the targets are shared by all requests of the same caller. A server that asks during a call gets its
 * answer in the client's next request: until then the call waits here, under a name that the client sends back.
 */
import { randomUUID } from 'node:crypto'
import type { McpFacts } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import { mergeInitialized } from './handshake.ts'
import {
  failure,
  isFailure,
  isObject,
  type JsonObject,
  metaOf,
  type RequestId,
  RPC_ERRORS,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
  success,
} from './json-rpc.ts'
import {
  claimedVersion,
  decodeName,
  isModern,
  META,
  MODERN_VERSION,
  modernResult,
  nameOf,
  needsName,
  REMOVED,
} from './modern-wire.ts'
import type { Relay } from './peer.ts'
import { beginOperation, type CallContext, type Performed, perform, refused } from './perform.ts'
import { Refusal, refusalOfAll } from './refusal.ts'
import { type ClientPort, PostReply } from './reply.ts'
import type { Session } from './session.ts'

/** Whether the request is of the revision, by its head or by the message itself. Throws `Refusal` where they disagree. */
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
  checkHead(headers, message, claim)
  return true
}

function checkHead(headers: Headers, message: RpcRequest | RpcNotification, claim: string | undefined): void {
  const text = (name: string) => headers[name]?.toString()
  const version = text('mcp-protocol-version')
  const mismatch = (what: string) => new Refusal(400, RPC_ERRORS.headerMismatch, `Header mismatch: ${what}`)
  if (claim === undefined)
    throw new Refusal(400, RPC_ERRORS.invalidParams, `Invalid params: _meta lacks ${META.version}`)
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
  const wanted = nameOf(message.method, message.params)
  if (!needsName(message.method) || wanted === undefined) return
  const name = text('mcp-name')
  if (name === undefined) throw mismatch(`Mcp-Name is missing: it has to be ${wanted}`)
  if (decodeName(name) !== wanted) throw mismatch(`Mcp-Name is ${name}, the message says ${wanted}`)
  if (!isObject(metaOf(message.params)?.[META.capabilities]))
    throw new Refusal(400, RPC_ERRORS.invalidParams, `Invalid params: _meta lacks ${META.capabilities}`)
}

/** A call that waits for what the client has to say. */
interface Waiting {
  readonly owner: string | undefined
  readonly method: string
  readonly relay: Questions
  readonly work: Promise<Performed>
  readonly timer: NodeJS.Timeout
}

export interface WaitingCalls {
  readonly add: (waiting: Omit<Waiting, 'timer'>) => string
  readonly take: (state: string, owner: string | undefined, method: string) => Waiting | undefined
  readonly close: () => void
}

/** A person may have to be found who answers. */
const WAIT_MS = 600_000
const MAX_WAITING = 1000

export function createWaitingCalls(): WaitingCalls {
  const waiting = new Map<string, Waiting>()
  return {
    add(call) {
      const state = randomUUID()
      if (waiting.size >= MAX_WAITING) {
        const [oldest] = waiting
        if (oldest !== undefined) {
          waiting.delete(oldest[0])
          clearTimeout(oldest[1].timer)
          oldest[1].relay.giveUp()
        }
      }
      const timer = setTimeout(() => {
        waiting.delete(state)
        call.relay.giveUp()
      }, WAIT_MS)
      timer.unref()
      waiting.set(state, { ...call, timer })
      return state
    },
    take(state, owner, method) {
      const found = waiting.get(state)
      if (found === undefined || found.owner !== owner || found.method !== method) return undefined
      waiting.delete(state)
      clearTimeout(found.timer)
      return found
    },
    close() {
      for (const { timer, relay } of waiting.values()) {
        clearTimeout(timer)
        relay.giveUp()
      }
      waiting.clear()
    },
  }
}

interface Asked {
  readonly question: RpcRequest
  readonly answer: (response: RpcResponse) => void
}

/** What servers ask during one call, gathered for the client's next request. */
class Questions implements Relay {
  readonly #asked = new Map<string, Asked>()
  readonly #wantsLog: boolean
  #stream: Relay
  #last = 0
  #wake: (() => void) | undefined

  constructor(stream: Relay, wantsLog: boolean) {
    this.#stream = stream
    this.#wantsLog = wantsLog
  }

  /** From here on another response of the client takes what comes. */
  goOn(stream: Relay): void {
    this.#stream = stream
  }

  send(message: RpcMessage): void {
    const isLog = 'method' in message && message.method === 'notifications/message'
    if (!isLog || this.#wantsLog) this.#stream.send(message)
  }

  ask(question: RpcRequest, answer: (response: RpcResponse) => void): void {
    this.#asked.set(`q${++this.#last}`, { question, answer })
    this.#wake?.()
  }

  /** Resolves when there is a question that the client has not seen. */
  async asking(): Promise<'asked'> {
    if (this.#asked.size === 0) await new Promise<void>((resolve) => (this.#wake = resolve))
    return 'asked'
  }

  get open(): JsonObject {
    const entries = [...this.#asked].map(([key, { question }]) => {
      const { method, params } = question
      return [key, { method, ...(params && { params }) }]
    })
    return Object.fromEntries(entries)
  }

  answerAll(responses: JsonObject): void {
    for (const [key, { question, answer }] of [...this.#asked]) {
      const response = responses[key]
      this.#asked.delete(key)
      if (isObject(response)) answer(success(question.id, response))
      else answer(failure(question.id, RPC_ERRORS.internal, 'the client left the question without an answer'))
    }
  }

  giveUp(): void {
    this.answerAll({})
  }
}

export interface ModernRequest {
  readonly message: RpcRequest
  readonly session: Session
  readonly owner: string | undefined
  readonly port: ClientPort
  readonly facts: McpFacts
  readonly contextOf: (relay: Relay) => CallContext
  readonly holdRecord: (until: Promise<unknown>) => void
}

export interface ModernOptions {
  readonly version: string
  readonly waiting: WaitingCalls
  readonly now: () => number
}

export async function serveModern(request: ModernRequest, options: ModernOptions): Promise<void> {
  const { message, session, facts } = request
  facts.protocolVersion = MODERN_VERSION
  session.begin(options.now())
  try {
    if (message.method === 'subscriptions/listen') await listen(request, options)
    else await answer(request, options)
  } finally {
    session.end(options.now())
  }
}

const infoOf = ({ version }: ModernOptions) => ({ name: 'agentgateway', title: 'AgentGateway', version })

async function answer(request: ModernRequest, options: ModernOptions): Promise<void> {
  const { message, session, port, owner, holdRecord } = request
  const reply = new PostReply(port, session, {})
  const resumed = resume(request, options, reply)
  const relay = resumed?.relay ?? new Questions(reply, metaOf(message.params)?.[META.logLevel] !== undefined)
  const context = request.contextOf(relay)
  const work = resumed?.work ?? start(request, context, options)
  // A client that leaves has given up: the revision has no way back to the answer.
  const cancel = () => {
    for (const { link, id } of context.underWay) link.cancel(id, 'the client left')
  }
  let isAsking = false
  port.onClosed(() => {
    if (!isAsking) cancel()
  })
  const first = Promise.race([work, relay.asking()])
  holdRecord(first)
  const outcome = await first
  if (outcome === 'asked') {
    isAsking = true
    const requestState = options.waiting.add({ owner, method: message.method, relay, work })
    const result = { resultType: 'input_required', inputRequests: relay.open, requestState }
    const response = success(message.id, modernResult(message.method, result, infoOf(options)))
    reply.finish(200, {}, [response], false)
    return
  }
  finish(reply, message, outcome, options)
}

function finish(
  reply: PostReply,
  { id, method }: RpcRequest,
  performed: Performed,
  options: ModernOptions,
): void {
  const { response, status, headers } = performed
  if (response === undefined) reply.finish(status, headers, [], false)
  else if (isFailure(response)) {
    const { code, message, data } = response.error
    // The revision has one code for what is not there.
    const said = code === -32002 ? RPC_ERRORS.invalidParams : code
    const isUnknown = said === RPC_ERRORS.methodNotFound && status === 200
    reply.finish(isUnknown ? 404 : status, headers, [failure(id, said, message, data)], false)
  } else
    reply.finish(
      status,
      headers,
      [success(id, modernResult(method, response.result, infoOf(options)))],
      false,
    )
}

function resume(
  { message, owner, facts }: ModernRequest,
  { waiting }: ModernOptions,
  reply: PostReply,
): Waiting | undefined {
  const { requestState, inputResponses } = message.params ?? {}
  if (typeof requestState !== 'string') return undefined
  const found = waiting.take(requestState, owner, message.method)
  if (found === undefined) {
    beginOperation(facts, message.method, message.id)
    throw new Refusal(
      400,
      RPC_ERRORS.invalidParams,
      'Unknown requestState: the call is over, or was never yours',
    )
  }
  beginOperation(facts, message.method, message.id).endedAt = performance.now()
  found.relay.goOn(reply)
  found.relay.answerAll(isObject(inputResponses) ? inputResponses : {})
  return found
}

async function start(
  { message, session, facts }: ModernRequest,
  context: CallContext,
  options: ModernOptions,
): Promise<Performed> {
  const { method, id } = message
  if (method === 'server/discover') return discover(message, session, context, options)
  if (REMOVED.has(method)) {
    const operation = beginOperation(facts, method, id)
    operation.endedAt = performance.now()
    return refused(
      operation,
      message,
      new Refusal(404, RPC_ERRORS.methodNotFound, `Method not found: ${method}`),
    )
  }
  await setLevel(message, session, context)
  return perform(session, withoutEnvelope(message), context)
}

/** What is between the client and us; the target hears its own. */
function withoutEnvelope(message: RpcRequest): RpcRequest {
  const { inputResponses: _, requestState: __, ...params } = message.params ?? {}
  const meta = Object.entries(metaOf(params) ?? {}).filter(
    ([key]) =>
      key !== META.version && key !== META.clientInfo && key !== META.capabilities && key !== META.logLevel,
  )
  return { ...message, params: { ...params, _meta: Object.fromEntries(meta) } }
}

/** A server with sessions has one level for all that comes over the connection. */
async function setLevel(message: RpcRequest, session: Session, context: CallContext): Promise<void> {
  const level = metaOf(message.params)?.[META.logLevel]
  if (typeof level !== 'string') return
  const delivery = { headers: context.headers, traceparent: undefined, call: undefined }
  await Promise.all(
    session.links.map(async (link) => {
      try {
        await link.ensureOpen(context.headers)
        if (link.capabilities.logging === undefined || link.logLevel === level) return
        await link.request({
          method: 'logging/setLevel',
          params: { level },
          delivery,
          relay: undefined,
          timeoutMs: 5000,
        })
      } catch {
        // The call itself will tell.
      }
    }),
  )
}

async function discover(
  message: RpcRequest,
  session: Session,
  context: CallContext,
  options: ModernOptions,
): Promise<Performed> {
  const operation = beginOperation(context.facts, message.method, message.id)
  try {
    context.onCalling()
    const opened = await Promise.allSettled(session.links.map((link) => link.ensureOpen(context.headers)))
    const results = opened.flatMap((one, index) => {
      const target = session.links[index]?.target
      return one.status === 'fulfilled' && target !== undefined ? [{ target, result: one.value }] : []
    })
    const failed = opened.find((one) => one.status === 'rejected')
    const { failureMode } = session.backend.spec
    if (failed !== undefined && (failureMode === 'failClosed' || results.length === 0))
      throw refusalOfAll(failed.reason, failureMode)
    const { capabilities, instructions } = mergeInitialized(results, {
      clientVersion: MODERN_VERSION,
      gatewayVersion: options.version,
      isPrefixed: session.backend.naming.prefixesNames,
    })
    const { tasks: _, ...kept } = isObject(capabilities) ? capabilities : {}
    const result = { supportedVersions: [MODERN_VERSION], capabilities: kept, instructions }
    return { response: success(message.id, result), status: 200, headers: {} }
  } catch (error) {
    return refused(operation, message, error)
  } finally {
    operation.endedAt = performance.now()
  }
}

// Changes.

interface Filter {
  readonly toolsListChanged: boolean
  readonly promptsListChanged: boolean
  readonly resourcesListChanged: boolean
  readonly resourceSubscriptions: readonly string[]
}

function filterOf(params: JsonObject | undefined): Filter | undefined {
  const wanted = params?.notifications
  if (!isObject(wanted)) return undefined
  const uris = wanted.resourceSubscriptions ?? []
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === 'string')) return undefined
  return {
    toolsListChanged: wanted.toolsListChanged === true,
    promptsListChanged: wanted.promptsListChanged === true,
    resourcesListChanged: wanted.resourcesListChanged === true,
    resourceSubscriptions: uris,
  }
}

function accepts(filter: Filter, { method, params }: RpcNotification): boolean {
  switch (method) {
    case 'notifications/tools/list_changed':
      return filter.toolsListChanged
    case 'notifications/prompts/list_changed':
      return filter.promptsListChanged
    case 'notifications/resources/list_changed':
      return filter.resourcesListChanged
    case 'notifications/resources/updated':
      return typeof params?.uri === 'string' && filter.resourceSubscriptions.includes(params.uri)
    default:
      return false
  }
}

const stamped = (notification: RpcNotification, id: RequestId): RpcNotification => ({
  ...notification,
  params: { ...notification.params, _meta: { ...metaOf(notification.params), [META.subscription]: id } },
})

async function listen(request: ModernRequest, options: ModernOptions): Promise<void> {
  const { message, session, port, facts } = request
  const operation = beginOperation(facts, message.method, message.id)
  const filter = filterOf(message.params)
  if (filter === undefined)
    throw new Refusal(
      400,
      RPC_ERRORS.invalidParams,
      'Invalid params: notifications must be a subscription filter',
    )
  const stream = session.openStream()
  const context = request.contextOf(stream)
  await Promise.allSettled(session.links.map((link) => link.ensureOpen(context.headers)))
  const subscribed = await subscribe(session, filter.resourceSubscriptions, context)
  const honoured = { ...filter, resourceSubscriptions: subscribed }
  operation.endedAt = performance.now()
  if (!port.isOpen()) return
  const sink = port.openEvents({})
  stream.attach(sink)
  const acknowledged = Object.fromEntries(
    Object.entries(honoured).filter(
      ([, value]) => value === true || (Array.isArray(value) && value.length > 0),
    ),
  )
  const method = 'notifications/subscriptions/acknowledged'
  stream.send(stamped({ jsonrpc: '2.0', method, params: { notifications: acknowledged } }, message.id))
  const hear = (notification: RpcNotification) => {
    if (accepts(honoured, notification)) stream.send(stamped(notification, message.id))
  }
  session.listeners.add(hear)
  session.watches.add(stream)
  session.listen(context.headers)
  const ended = new Promise<void>((resolve) => {
    stream.onEnd(() => {
      const result = {
        resultType: 'complete',
        _meta: { [META.subscription]: message.id, [META.serverInfo]: infoOf(options) },
      }
      stream.send(success(message.id, result))
    })
    port.onClosed(() => {
      stream.detach(sink)
      session.listeners.delete(hear)
      session.watches.delete(stream)
      session.closeStream(stream)
      resolve()
    })
  })
  await ended
  await unsubscribe(session, subscribed, context)
}

/** The resources whose changes can be had. */
async function subscribe(session: Session, uris: readonly string[], context: CallContext): Promise<string[]> {
  const done = await Promise.all(
    uris.map(async (uri) => {
      const count = session.subscribers.get(uri) ?? 0
      session.subscribers.set(uri, count + 1)
      if (count > 0) return uri
      return (await tell(session, 'resources/subscribe', uri, context)) ? uri : undefined
    }),
  )
  return done.filter((uri) => uri !== undefined)
}

async function unsubscribe(session: Session, uris: readonly string[], context: CallContext): Promise<void> {
  for (const uri of uris) {
    const count = (session.subscribers.get(uri) ?? 1) - 1
    if (count > 0) session.subscribers.set(uri, count)
    else {
      session.subscribers.delete(uri)
      await tell(session, 'resources/unsubscribe', uri, context)
    }
  }
}

/** Of the gateway's own accord: no operation of the client's, so in a record of its own that nobody reads. */
async function tell(session: Session, method: string, uri: string, context: CallContext): Promise<boolean> {
  const facts: McpFacts = { sessionId: undefined, protocolVersion: undefined, operations: [], calls: [] }
  const request: RpcRequest = { jsonrpc: '2.0', id: 0, method, params: { uri } }
  const { response } = await perform(session, request, { ...context, facts })
  return response !== undefined && !isFailure(response)
}
