/**
 * One client's session: its connections to the targets, its streams, and who waits for whose answer.
 *
 * Ids are translated both ways. A client knows its own requests by its ids and the servers' questions by ids of
 * ours; each server knows its own questions by its ids and our requests by ids of ours.
 */
import type { Headers } from '../core/headers.ts'
import type { McpBackend, Target } from './backend.ts'
import { ClientStream, type History, history } from './client-stream.ts'
import {
  failure,
  isObject,
  type JsonObject,
  metaOf,
  type RequestId,
  RPC_ERRORS,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from './json-rpc.ts'
import { Link } from './link.ts'
import { joinUri, tasksForClient } from './names.ts'
import type { Relay } from './peer.ts'
import type { ClientIdentity } from './transport.ts'
import type { UnderWay } from './under-way.ts'

export interface SessionOptions {
  readonly id: string
  readonly backend: McpBackend
  /** Whose it is: nobody else may use it. Undefined where nobody is asked who they are. */
  readonly owner: string | undefined
  readonly identity: ClientIdentity
  /** False where no client is there to be asked, and nothing can be taken up again. */
  readonly isInteractive: boolean
  readonly onRestart: (target: Target) => void
  readonly log: (message: string, fields: Readonly<Record<string, string>>) => void
}

interface Question {
  readonly link: Link
  readonly id: RequestId
  readonly answer: (response: RpcResponse) => void
  readonly progressToken: RequestId | undefined
}

/** Questions of servers that a client has not answered yet. */
const MAX_QUESTIONS = 1000

const CHANGES = /\/(?:list_changed|updated)$/

export class Session {
  readonly id: string
  readonly backend: McpBackend
  owner: string | undefined
  readonly links: readonly Link[]
  /** Of what belongs to no request. */
  readonly standalone: ClientStream
  readonly history: History | undefined
  readonly streams = new Map<number, ClientStream>()
  /** Those on which a client waits for changes and for nothing else. */
  readonly watches = new Set<ClientStream>()
  /** Who wants to hear of changes without being asked for each. */
  readonly listeners = new Set<(notification: RpcNotification) => void>()
  /** How many listen for changes of a resource. */
  readonly subscribers = new Map<string, number>()
  /** By the client's id. */
  readonly underWay = new Map<RequestId, UnderWay>()
  /** What each target last listed, by target and method. */
  readonly catalogs = new Map<string, { readonly names: ReadonlySet<string>; readonly at: number }>()
  readonly #options: SessionOptions
  readonly #questions = new Map<number, Question>()
  #lastQuestion = 0
  #lastStream = 0
  #requests = 0
  #identity: ClientIdentity
  usedAt: number
  protocolVersion: string
  isClosed = false
  /** Of the HTTP+SSE transport: it stands and falls with its stream. */
  isLegacy = false

  constructor(options: SessionOptions, now: number) {
    this.#options = options
    this.id = options.id
    this.backend = options.backend
    this.owner = options.owner
    this.#identity = options.identity
    this.protocolVersion = options.identity.protocolVersion
    this.usedAt = now
    this.history = options.isInteractive ? history() : undefined
    this.standalone = new ClientStream(0, this.history)
    this.links = options.backend.targets.map((target) => this.#link(target))
  }

  #link(target: Target): Link {
    return new Link({
      target: target.name,
      health: target.health,
      openTransport: target.openTransport,
      identity: () => this.#identity,
      connectTimeoutMs: target.connectTimeoutMs,
      events: {
        onRequest: (link, request, relay, answer) => this.#asked(link, request, relay, answer),
        onNotification: (link, notification, relay) => this.#notified(link, notification, relay),
        onLost: (answer) => this.#forgetQuestions(answer),
        onReturned: (link) => this.#returned(link),
      },
      onRestart: () => this.#options.onRestart(target),
      log: this.#options.log,
    })
  }

  get identity(): ClientIdentity {
    return this.#identity
  }

  /** A client of the old transport has its session before it says who it is. */
  introduce(identity: ClientIdentity): void {
    this.#identity = identity
    this.protocolVersion = identity.protocolVersion
  }

  linkOf(target: string): Link | undefined {
    return this.links.find((link) => link.target === target)
  }

  targetOf(link: Link): Target | undefined {
    return this.backend.targets.find(({ name }) => name === link.target)
  }

  /** Somebody is there, or something is under way: no reason to end it. */
  get isInUse(): boolean {
    return this.standalone.isAttached || this.listeners.size > 0 || this.#requests > 0
  }

  begin(now: number): void {
    this.#requests++
    this.usedAt = now
  }

  end(now: number): void {
    this.#requests--
    this.usedAt = now
  }

  openStream(): ClientStream {
    const stream = new ClientStream(++this.#lastStream, this.history)
    this.streams.set(stream.number, stream)
    return stream
  }

  closeStream(stream: ClientStream): void {
    stream.end()
    this.streams.delete(stream.number)
  }

  /**
   * Where a server's word goes that belongs to no known request: to whoever listens, else along with what is under
   * way. Where several clients share the connection, only if there is no doubt whose it is.
   */
  #wayFor(link: Link, relay: Relay | undefined): Relay | undefined {
    if (relay !== undefined) return relay
    if (!this.#options.isInteractive) return link.onlyRelay()
    return this.standalone.isAttached ? this.standalone : (link.relays().at(-1) ?? this.standalone)
  }

  #asked(
    link: Link,
    request: RpcRequest,
    relay: Relay | undefined,
    answer: (response: RpcResponse) => void,
  ): void {
    const way = this.#wayFor(link, relay)
    if (way?.ask !== undefined) {
      way.ask(request, (response) => answer({ ...response, id: request.id }))
      return
    }
    if (way === undefined || !this.#options.isInteractive || this.#questions.size >= MAX_QUESTIONS) {
      const message = `the client cannot be asked for ${request.method}`
      answer(failure(request.id, RPC_ERRORS.methodNotFound, message))
      return
    }
    const id = ++this.#lastQuestion
    const meta = metaOf(request.params)
    const token = meta?.progressToken
    const progressToken = typeof token === 'string' || typeof token === 'number' ? token : undefined
    this.#questions.set(id, { link, id: request.id, answer, progressToken })
    const named = this.#named(link, request.params)
    const params =
      progressToken === undefined ? named : { ...named, _meta: { ...metaOf(named), progressToken: id } }
    way.send({ ...request, id, ...(params && { params }) })
  }

  /** The client's answer to a server's question. False when nobody asked. */
  answered(response: RpcResponse): boolean {
    const key = Number(response.id)
    const question = this.#questions.get(key)
    if (question === undefined) return false
    this.#questions.delete(key)
    question.answer({ ...response, id: question.id })
    return true
  }

  /** A notification of the client: to the server that it is for, or to all. */
  told(notification: RpcNotification, headers: Headers): void {
    const { method, params } = notification
    switch (method) {
      case 'notifications/initialized':
        // Told by us when the connection was made.
        break
      case 'notifications/cancelled':
        this.#cancel(params)
        break
      case 'notifications/progress': {
        const question = this.#questions.get(Number(params?.progressToken))
        if (question?.progressToken !== undefined)
          question.link.notify(method, { ...params, progressToken: question.progressToken }, headers)
        break
      }
      default:
        // Whatever else has no id is no notification of MCP: a server might take it for a request that nobody judged.
        if (method.startsWith('notifications/'))
          for (const link of this.links) link.notify(method, params, headers)
    }
  }

  #cancel(params: JsonObject | undefined): void {
    const id = params?.requestId
    if (typeof id !== 'string' && typeof id !== 'number') return
    const reason = typeof params?.reason === 'string' ? params.reason : undefined
    this.underWay.get(id)?.giveUp(reason)
  }

  #notified(link: Link, notification: RpcNotification, relay: Relay | undefined): void {
    const told = this.#forClient(link, notification)
    if (told === undefined) return
    for (const hear of this.listeners) hear(told)
    // Who has no session hears of changes by listening for them, and of nothing else that no request asked for.
    const isForListeners = !this.#options.isInteractive && CHANGES.test(notification.method)
    if (!isForListeners) this.#wayFor(link, relay)?.send(told)
  }

  #forClient(link: Link, notification: RpcNotification): RpcNotification | undefined {
    const { method, params } = notification
    const prefixes = this.backend.naming.prefixesUris
    switch (method) {
      case 'notifications/cancelled': {
        const question = [...this.#questions].find(
          ([, one]) => one.link === link && one.id === params?.requestId,
        )
        if (question === undefined) return undefined
        this.#questions.delete(question[0])
        return { ...notification, params: { ...params, requestId: question[0] } }
      }
      case 'notifications/resources/updated':
        if (!prefixes || typeof params?.uri !== 'string') return notification
        return { ...notification, params: { ...params, uri: joinUri(link.target, params.uri) } }
      case 'notifications/tools/list_changed':
      case 'notifications/prompts/list_changed':
      case 'notifications/resources/list_changed':
        this.#forget(link)
        return notification
      default: {
        const named = this.#named(link, params)
        return { ...notification, ...(named && { params: named }) }
      }
    }
  }

  /** Tasks are named by their server's ids. */
  #named(link: Link, params: JsonObject | undefined): JsonObject | undefined {
    const isPrefixed = this.backend.naming.prefixesUris
    return isPrefixed && params !== undefined ? tasksForClient(link.target, params) : params
  }

  #forgetQuestions(answer: Question['answer']): void {
    for (const [id, question] of this.#questions) if (question.answer === answer) this.#questions.delete(id)
  }

  #forget(link: Link): void {
    for (const key of this.catalogs.keys()) if (key.startsWith(`${link.target} `)) this.catalogs.delete(key)
  }

  #returned(link: Link): void {
    for (const kind of ['tools', 'prompts', 'resources'])
      if (isObject(link.capabilities[kind]))
        this.#notified(link, { jsonrpc: '2.0', method: `notifications/${kind}/list_changed` }, undefined)
  }

  listen(headers: Headers): void {
    for (const link of this.links) link.listen(headers)
  }

  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    const closing = this.links.map((link) => link.close())
    // What was under way has failed by now; who waits for it is still to be told.
    await new Promise((resolve) => setImmediate(resolve))
    this.standalone.end()
    for (const stream of this.streams.values()) stream.end()
    this.streams.clear()
    this.#questions.clear()
    await Promise.all(closing)
  }
}
