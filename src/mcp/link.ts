/**
 * One session's connection to one target: JSON-RPC with ids of its own, opened when first needed, opened again when
 * it breaks or when the server has forgotten it, without the client noticing.
 *
 * What a client has set up at a server (log level, subscriptions) is set up anew after that. A request that was
 * under way when the server died is lost and says so: nobody knows whether it was carried out.
 */
import type { McpCall } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import type { TargetHealth } from './health.ts'
import {
  failure,
  isFailure,
  isNotification,
  isObject,
  isRequest,
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
  type ClientIdentity,
  type Delivery,
  type OpenTransport,
  TargetError,
  type Transport,
} from './transport.ts'

/** Takes what a server says while it works on a request: the client's stream for that request. */
export interface Relay {
  readonly send: (message: RpcMessage) => void
}

export interface LinkRequest {
  readonly method: string
  readonly params: JsonObject | undefined
  readonly delivery: Delivery
  readonly relay: Relay | undefined
  /** 0 = no limit. Progress starts it anew. */
  readonly timeoutMs: number
  /** Learns the id under which the target knows the request. */
  readonly onSent?: (id: number) => void
}

interface Pending {
  readonly relay: Relay | undefined
  /** As the client chose it. */
  readonly progressToken: RequestId | undefined
  readonly settle: (response: RpcResponse | TargetError) => void
  readonly touch: () => void
}

export interface LinkEvents {
  /** `relay`: where the client hears of it, when it belongs to a request. */
  readonly onRequest: (link: Link, request: RpcRequest, relay: Relay | undefined) => void
  readonly onNotification: (link: Link, notification: RpcNotification, relay: Relay | undefined) => void
  /** A target that was away is back: what was listed of it may have changed. */
  readonly onReturned: (link: Link) => void
}

export interface LinkOptions {
  readonly target: string
  readonly health: TargetHealth
  readonly openTransport: OpenTransport
  readonly identity: () => ClientIdentity
  readonly connectTimeoutMs: number
  readonly events: LinkEvents
  /** Processes are started again by themselves; what speaks HTTP is, when next needed. */
  readonly restartsByItself: boolean
  readonly onRestart: () => void
  readonly log: (message: string, fields: Readonly<Record<string, string>>) => void
}

const NO_HEADERS: Headers = {}
const QUIET: Delivery = { headers: NO_HEADERS, traceparent: undefined, call: undefined }

export class Link {
  readonly target: string
  readonly #options: LinkOptions
  readonly #pending = new Map<RequestId, Pending>()
  readonly #subscriptions = new Set<string>()
  #transport: Transport | undefined
  #opening: Promise<JsonObject> | undefined
  #initialized: JsonObject | undefined
  #lastId = 0
  #logLevel: unknown
  #listens = false
  #hasBeenOpen = false
  #isClosed = false
  #restart: NodeJS.Timeout | undefined
  /** Of the client's latest request: with them the connection is made again. */
  #headers: Headers = NO_HEADERS

  constructor(options: LinkOptions) {
    this.#options = options
    this.target = options.target
  }

  /** What the server answered to `initialize`; undefined while there is no connection. */
  get initialized(): JsonObject | undefined {
    return this.#initialized
  }

  get capabilities(): JsonObject {
    const capabilities = this.#initialized?.capabilities
    return isObject(capabilities) ? capabilities : {}
  }

  get upstreamSessionId(): string | undefined {
    return this.#transport?.sessionId()
  }

  get hasPending(): boolean {
    return this.#pending.size > 0
  }

  /** Opens the connection unless it is open. Rejects with `TargetError`, at once while the target is known to be away. */
  ensureOpen(headers: Headers, call?: McpCall, traceparent?: string): Promise<JsonObject> {
    if (this.#initialized !== undefined) return Promise.resolve(this.#initialized)
    if (this.#isClosed) return Promise.reject(new TargetError('cancelled', 'the session is closed'))
    this.#opening ??= this.#open({ headers, call, traceparent }).finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #open(delivery: Delivery): Promise<JsonObject> {
    const { health, target } = this.#options
    const waitMs = health.waitMs()
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1000)
      const message = `target ${target} is unavailable (next try in ${seconds} s): ${health.lastError() ?? 'it failed'}`
      throw new TargetError('unavailable', message)
    }
    clearTimeout(this.#restart)
    try {
      const initialized = await this.#handshake(delivery)
      health.succeeded()
      if (this.#hasBeenOpen) this.#options.onRestart()
      const isReturn = this.#hasBeenOpen
      this.#hasBeenOpen = true
      await this.#restore()
      if (isReturn) this.#options.events.onReturned(this)
      return initialized
    } catch (error) {
      const fault = asTargetError(error)
      this.#drop()
      // A refused credential is the client's affair and tells nothing of the server.
      const status = fault.reply?.status
      if (status !== 401 && status !== 403 && fault.type !== 'cancelled') health.failed(fault.message)
      throw fault
    }
  }

  async #handshake(delivery: Delivery): Promise<JsonObject> {
    const { connectTimeoutMs, target } = this.#options
    this.#headers = delivery.headers
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      if (connectTimeoutMs === 0) return
      const message = `target ${target} did not answer initialize in ${connectTimeoutMs} ms`
      timer = setTimeout(() => reject(new TargetError('timeout', message)), connectTimeoutMs)
    })
    try {
      return await Promise.race([this.#initialize(delivery), late])
    } finally {
      clearTimeout(timer)
    }
  }

  async #initialize(delivery: Delivery): Promise<JsonObject> {
    const identity = this.#options.identity()
    const transport = this.#makeTransport()
    this.#transport = transport
    await transport.open(delivery.headers)
    const response = await this.#exchange(transport, {
      method: 'initialize',
      params: {
        protocolVersion: identity.protocolVersion,
        capabilities: identity.capabilities,
        clientInfo: identity.clientInfo,
      },
      delivery,
      relay: undefined,
      timeoutMs: 0,
    })
    if (isFailure(response)) {
      const { code, message } = response.error
      throw new TargetError('mcp_error', `target ${this.target} refused initialize: ${message} (${code})`)
    }
    const { protocolVersion } = response.result
    if (typeof protocolVersion !== 'string')
      throw new TargetError('unexpected_response', `target ${this.target} named no protocol version`)
    transport.negotiated(protocolVersion)
    await transport.send(
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      { ...delivery, call: undefined },
    )
    if (this.#transport !== transport)
      throw new TargetError('transport_error', `target ${this.target} went away`)
    this.#initialized = response.result
    if (this.#listens) transport.listen(delivery.headers)
    return response.result
  }

  #makeTransport(): Transport {
    const made = this.#options.openTransport({
      onMessage: (message, answering) => {
        if (this.#transport === made) this.#received(message, answering)
      },
      onLost: (id, error) => this.#pending.get(id)?.settle(error),
      onClosed: (error) => {
        if (this.#transport === made) this.#lost(error)
      },
      onNoise: (message, fields) => this.#options.log(message, { target: this.target, ...fields }),
    })
    return made
  }

  /** Log level and subscriptions, as they were before. */
  async #restore(): Promise<void> {
    const wanted: [string, JsonObject][] = []
    if (this.#logLevel !== undefined) wanted.push(['logging/setLevel', { level: this.#logLevel }])
    for (const uri of this.#subscriptions) wanted.push(['resources/subscribe', { uri }])
    const transport = this.#transport
    if (transport === undefined) return
    const delivery = { ...QUIET, headers: this.#headers }
    for (const [method, params] of wanted)
      await this.#exchange(transport, { method, params, delivery, relay: undefined, timeoutMs: 10_000 })
  }

  /** The transport is gone: so is what was under way, and the server's memory of us. */
  #lost(error: TargetError): void {
    const wasOpen = this.#initialized !== undefined
    this.#drop(error)
    if (this.#isClosed || !wasOpen) return
    if (!error.isExpired) this.#options.health.failed(error.message)
    this.#options.log('the connection was lost', { target: this.target, error: error.message })
    const isAwaited = this.#listens || this.#subscriptions.size > 0
    if (this.#options.restartsByItself || isAwaited) this.#scheduleRestart()
  }

  #scheduleRestart(): void {
    clearTimeout(this.#restart)
    this.#restart = setTimeout(() => {
      if (this.#isClosed) return
      this.ensureOpen(this.#headers).catch(() => {
        if (!this.#isClosed) this.#scheduleRestart()
      })
    }, this.#options.health.waitMs())
  }

  #drop(error = new TargetError('transport_error', `target ${this.target}: the connection was lost`)): void {
    const transport = this.#transport
    this.#transport = undefined
    this.#initialized = undefined
    for (const pending of [...this.#pending.values()]) pending.settle(error)
    transport?.close().catch(() => {})
  }

  /** Asks the server. Resolves with its answer, error or not; rejects with `TargetError` where there is none. */
  async request(request: LinkRequest): Promise<RpcResponse> {
    await this.ensureOpen(request.delivery.headers)
    const asked = this.#transport
    try {
      return await this.#ask(request)
    } catch (error) {
      if (!(error instanceof TargetError) || !error.isExpired) throw error
      // The server has forgotten the session. It has not looked at the request: asking again does nothing twice.
      if (this.#transport === asked) this.#drop(error)
      await this.ensureOpen(request.delivery.headers)
      return this.#ask(request)
    }
  }

  async #ask(request: LinkRequest): Promise<RpcResponse> {
    const transport = this.#transport
    if (transport === undefined)
      throw new TargetError('transport_error', `target ${this.target}: the connection was lost`)
    this.#headers = request.delivery.headers
    try {
      const response = await this.#exchange(transport, request)
      if (!isFailure(response)) this.#remember(request)
      this.#options.health.succeeded()
      return response
    } catch (error) {
      // A lost connection has been told of when it was lost.
      const isUnreachable =
        error instanceof TargetError && error.type === 'transport_error' && error.reply === undefined
      if (isUnreachable && this.#transport === transport) this.#options.health.failed(error.message)
      throw error
    }
  }

  #remember({ method, params }: LinkRequest): void {
    const uri = params?.uri
    if (method === 'logging/setLevel') this.#logLevel = params?.level
    else if (method === 'resources/subscribe' && typeof uri === 'string') this.#subscriptions.add(uri)
    else if (method === 'resources/unsubscribe' && typeof uri === 'string') this.#subscriptions.delete(uri)
  }

  #exchange(transport: Transport, request: LinkRequest): Promise<RpcResponse> {
    const id = ++this.#lastId
    const { delivery, relay, timeoutMs, method } = request
    const meta = metaOf(request.params)
    const token = meta?.progressToken
    const progressToken = typeof token === 'string' || typeof token === 'number' ? token : undefined
    const params = withMeta(request.params, {
      // Tokens of several clients may meet at one server: there they are ours.
      ...(progressToken !== undefined && { progressToken: id }),
      ...(delivery.traceparent !== undefined && { traceparent: delivery.traceparent }),
    })
    return new Promise((resolve, reject) => {
      const late = () => {
        settle(
          new TargetError('timeout', `target ${this.target} did not answer ${method} in ${timeoutMs} ms`),
        )
        this.#tellCancelled(transport, id, delivery, 'timeout')
      }
      let timer = timeoutMs === 0 ? undefined : setTimeout(late, timeoutMs)
      const settle = (response: RpcResponse | TargetError) => {
        clearTimeout(timer)
        timer = undefined
        if (!this.#pending.delete(id)) return
        if (response instanceof TargetError) reject(response)
        else resolve(response)
      }
      this.#pending.set(id, { relay, progressToken, settle, touch: () => timer?.refresh() })
      request.onSent?.(id)
      transport
        .send({ jsonrpc: '2.0', id, method, ...(params && { params }) }, delivery)
        .catch((error: unknown) => {
          settle(asTargetError(error))
        })
    })
  }

  #received(message: RpcMessage, answering: RequestId | undefined): void {
    if (isRequest(message)) {
      if (message.method === 'ping') this.respond(success(message.id, {}))
      else this.#options.events.onRequest(this, message, this.#relayOf(answering))
    } else if (isNotification(message)) this.#notified(message, answering)
    else if (message.id !== null) {
      const { id } = message
      // Servers have been seen to answer 1 with "1".
      const pending = this.#pending.get(id) ?? this.#pending.get(Number(id))
      pending?.settle(message)
    }
  }

  #notified(notification: RpcNotification, answering: RequestId | undefined): void {
    const { params } = notification
    if (notification.method === 'notifications/progress') {
      const token = params?.progressToken
      const pending =
        typeof token === 'number' || typeof token === 'string' ? this.#pending.get(Number(token)) : undefined
      if (pending?.progressToken === undefined) return
      pending.touch()
      pending.relay?.send({ ...notification, params: { ...params, progressToken: pending.progressToken } })
      return
    }
    this.#options.events.onNotification(this, notification, this.#relayOf(answering))
  }

  #relayOf(answering: RequestId | undefined): Relay | undefined {
    return answering === undefined ? undefined : this.#pending.get(answering)?.relay
  }

  /** Of the requests under way the last one: where a server that does not say speaks of one of them. */
  get newestRelay(): Relay | undefined {
    return [...this.#pending.values()].findLast(({ relay }) => relay !== undefined)?.relay
  }

  /** The client's answer to a question of the server. */
  respond(response: RpcResponse): void {
    this.#transport?.send(response, { ...QUIET, headers: this.#headers }).catch(() => {})
  }

  notify(method: string, params: JsonObject | undefined, headers: Headers): void {
    if (this.#initialized === undefined) return
    this.#transport
      ?.send({ jsonrpc: '2.0', method, ...(params && { params }) }, { ...QUIET, headers })
      .catch(() => {})
  }

  /** The client gave the request up. The server hears of it; whatever it still answers goes nowhere. */
  cancel(id: number, reason: string | undefined): void {
    const pending = this.#pending.get(id)
    const transport = this.#transport
    if (pending === undefined || transport === undefined) return
    this.#tellCancelled(transport, id, { ...QUIET, headers: this.#headers }, reason)
    pending.settle(new TargetError('cancelled', reason ?? 'the client cancelled the request'))
  }

  #tellCancelled(transport: Transport, id: number, delivery: Delivery, reason: string | undefined): void {
    const params = { requestId: id, ...(reason !== undefined && { reason }) }
    transport
      .send({ jsonrpc: '2.0', method: 'notifications/cancelled', params }, { ...delivery, call: undefined })
      .catch(() => {})
      .finally(() => transport.abandon(id))
  }

  /** The client listens from here on: what a server says by itself is wanted. */
  listen(headers: Headers): void {
    this.#listens = true
    if (this.#initialized !== undefined) this.#transport?.listen(headers)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#restart)
    const transport = this.#transport
    this.#transport = undefined
    this.#initialized = undefined
    const error = new TargetError('cancelled', 'the session is closed')
    for (const pending of [...this.#pending.values()]) pending.settle(error)
    await transport?.close()
  }
}

function asTargetError(error: unknown): TargetError {
  if (error instanceof TargetError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new TargetError('transport_error', message, { cause: error })
}

function withMeta(params: JsonObject | undefined, added: JsonObject): JsonObject | undefined {
  if (Object.keys(added).length === 0) return params
  return { ...params, _meta: { ...metaOf(params), ...added } }
}

/** What a server hears that asks a client which cannot be asked. */
export const cannotAsk = (request: RpcRequest) =>
  failure(request.id, RPC_ERRORS.methodNotFound, `the client cannot be asked for ${request.method}`)
