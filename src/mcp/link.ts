/**
 * One session's connection to one target: opened when first needed, opened again when it breaks or when the server
 * has forgotten it, without the client noticing.
 *
 * What a client has set up at a server (log level, subscriptions) is set up anew after that. A request that was
 * under way when the server died is lost and says so: nobody knows whether it was carried out.
 */
import type { Headers } from '../core/headers.ts'
import { shakeHands } from './handshake-with.ts'
import type { TargetHealth } from './health.ts'
import {
  isFailure,
  isObject,
  type JsonObject,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from './json-rpc.ts'
import { ModernTarget } from './modern-target.ts'
import { Peer, type PeerRequest, type Relay } from './peer.ts'
import {
  asTargetError,
  type ClientIdentity,
  type Delivery,
  type OpenTransport,
  TargetError,
  type Transport,
} from './transport.ts'

export interface LinkEvents {
  /** `relay`: where the client hears of it, when it belongs to a request. */
  readonly onRequest: (
    link: Link,
    request: RpcRequest,
    relay: Relay | undefined,
    answer: (response: RpcResponse) => void,
  ) => void
  readonly onNotification: (link: Link, notification: RpcNotification, relay: Relay | undefined) => void
  /** Questions are lost, with the connection on which they were asked: those to be answered here. */
  readonly onLost: (answer: (response: RpcResponse) => void) => void
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
  readonly onRestart: () => void
  readonly log: (message: string, fields: Readonly<Record<string, string>>) => void
}

/** What stands while there is a connection. */
interface Connection {
  readonly transport: Transport
  readonly peer: Peer
  /** What the server said of itself. */
  initialized: JsonObject | undefined
  /** Of a server without sessions. */
  modern: ModernTarget | undefined
  /** Ends a handshake that nobody waits for any more. */
  giveUp: ((error: TargetError) => void) | undefined
  /** To the connection on which the question was asked: another one has other ids. */
  readonly answer: (response: RpcResponse) => void
}

const NO_HEADERS: Headers = {}
const QUIET: Delivery = {
  headers: NO_HEADERS,
  traceparent: undefined,
  tracestate: undefined,
  call: undefined,
}
const RESTORE_MS = 10_000
const RETURN_MS = 500
const FIRST_RESTART_MS = 1000
const LONGEST_RESTART_MS = 30_000

export class Link {
  readonly target: string
  readonly #options: LinkOptions
  readonly #subscriptions = new Set<string>()
  #connection: Connection | undefined
  /** Others have taken their places; what is under way on them may still be answered. */
  readonly #retired = new Set<Connection>()
  #opening: Promise<JsonObject> | undefined
  #logLevel: unknown
  #listens = false
  #hasBeenOpen = false
  /** It could not be had when it was wanted. */
  #wasMissed = false
  #unwait: (() => void) | undefined
  #isClosed = false
  #restart: NodeJS.Timeout | undefined
  #restarts = 0
  #lastId = 0
  /** Of the client's latest request: with them the connection is made again. */
  #headers: Headers = NO_HEADERS

  constructor(options: LinkOptions) {
    this.#options = options
    this.target = options.target
  }

  get capabilities(): JsonObject {
    const capabilities = this.#connection?.initialized?.capabilities
    return isObject(capabilities) ? capabilities : {}
  }

  get upstreamSessionId(): string | undefined {
    return this.#connection?.transport.sessionId()
  }

  /** Of the requests under way the only one that the server can be speaking of, if there is only one. */
  onlyRelay(): Relay | undefined {
    return this.#retired.size === 0 ? this.#connection?.peer.onlyRelay() : undefined
  }

  /** Of the requests under way, the latest last. */
  relays(): readonly Relay[] {
    return this.#connections().flatMap(({ peer }) => peer.relays())
  }

  #connections(): readonly Connection[] {
    return this.#connection === undefined ? [...this.#retired] : [...this.#retired, this.#connection]
  }

  /** Opens the connection unless it is open. Rejects with `TargetError`, at once while the target is known to be away. */
  ensureOpen(headers: Headers, delivery: Delivery = { ...QUIET, headers }): Promise<JsonObject> {
    const initialized = this.#connection?.initialized
    if (initialized !== undefined) return Promise.resolve(initialized)
    if (this.#isClosed) return Promise.reject(new TargetError('unavailable', 'the session was ended'))
    this.#opening ??= this.#open(delivery).finally(() => {
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
      this.#awaitReturn()
      throw new TargetError('unavailable', message)
    }
    clearTimeout(this.#restart)
    this.#headers = delivery.headers
    const connection = this.#connect()
    this.#connection = connection
    try {
      const initialized = await this.#handshake(connection, delivery)
      health.succeeded()
      const isReturn = this.#hasBeenOpen || this.#wasMissed
      if (this.#hasBeenOpen) this.#options.onRestart()
      this.#hasBeenOpen = true
      this.#wasMissed = false
      this.#restarts = 0
      await this.#restore(connection)
      if (isReturn) this.#options.events.onReturned(this)
      return initialized
    } catch (error) {
      const fault = asTargetError(error)
      if (this.#connection === connection) this.#drop(fault)
      this.#awaitReturn()
      if (isOfTheServer(fault)) health.failed(fault.message)
      throw fault
    }
  }

  #connect(): Connection {
    const { openTransport, log, events, target } = this.#options
    const transport = openTransport({
      onMessage: (message, answering) => {
        if (this.#connection === made || this.#retired.has(made)) made.peer.received(message, answering)
      },
      onLost: (id, error) => made.peer.lost(id, error),
      onExpired: (error) => {
        if (this.#connection !== made) return
        log('the session was forgotten', { target, error: error.message })
        this.#retire(made)
        if (this.#listens || this.#subscriptions.size > 0) this.#scheduleRestart()
      },
      onClosed: (error) => {
        if (this.#connection === made) this.#lost(error)
        else made.peer.failAll(error)
      },
      onNoise: (message, fields) => log(message, { target, ...fields }),
    })
    const answer = (response: RpcResponse) => peer.send(response, this.#headers)
    const peer = new Peer(
      target,
      transport,
      {
        onRequest: (request, relay) => events.onRequest(this, request, relay, answer),
        onNotification: (notification, relay) => events.onNotification(this, notification, relay),
      },
      () => ++this.#lastId,
    )
    const made: Connection = {
      transport,
      peer,
      initialized: undefined,
      modern: undefined,
      giveUp: undefined,
      answer,
    }
    return made
  }

  async #handshake(connection: Connection, delivery: Delivery): Promise<JsonObject> {
    const { connectTimeoutMs, target, identity } = this.#options
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      connection.giveUp = reject
      if (connectTimeoutMs === 0) return
      const message = `target ${target} did not answer initialize in ${connectTimeoutMs} ms`
      timer = setTimeout(() => reject(new TargetError('timeout', message)), connectTimeoutMs)
    })
    try {
      const { transport, peer } = connection
      const shaken = shakeHands({ target, transport, peer, identity: identity(), delivery })
      const { initialized, isModern } = await Promise.race([shaken, late])
      if (this.#connection !== connection)
        throw new TargetError('transport_error', `target ${target} went away`)
      connection.initialized = initialized
      if (isModern) connection.modern = this.#modern(connection)
      if (this.#listens) this.#startListening(connection)
      return initialized
    } finally {
      clearTimeout(timer)
    }
  }

  #modern({ peer }: Connection): ModernTarget {
    const { events, identity, target } = this.#options
    return new ModernTarget({
      target,
      peer,
      identity,
      ask: (question, relay, answer) => events.onRequest(this, question, relay, answer),
    })
  }

  /** Log level and subscriptions, as they were before. */
  async #restore(connection: Connection): Promise<void> {
    const wanted: [string, JsonObject][] = []
    if (this.#logLevel !== undefined) wanted.push(['logging/setLevel', { level: this.#logLevel }])
    for (const uri of this.#subscriptions) wanted.push(['resources/subscribe', { uri }])
    const delivery = { ...QUIET, headers: this.#headers }
    for (const [method, params] of wanted)
      await exchange(connection, { method, params, delivery, relay: undefined, timeoutMs: RESTORE_MS })
  }

  /** The transport is gone: so is what was under way, and the server's memory of us. */
  #lost(error: TargetError): void {
    const wasOpen = this.#connection?.initialized !== undefined
    this.#drop(error)
    if (this.#isClosed || !wasOpen) return
    this.#options.health.failed(error.message)
    this.#options.log('the connection was lost', { target: this.target, error: error.message })
    if (this.#listens || this.#subscriptions.size > 0) this.#scheduleRestart()
  }

  /** A client that listens hears of it when a target that was missing has come. */
  #awaitReturn(): void {
    if (this.#isClosed) return
    this.#wasMissed = true
    this.#unwait?.()
    this.#unwait = this.#options.health.whenUp(() => {
      if (!this.#listens || this.#isClosed) return
      // Not all sessions at once.
      clearTimeout(this.#restart)
      this.#restart = setTimeout(() => {
        if (!this.#isClosed) this.ensureOpen(this.#headers).catch(() => {})
      }, Math.random() * RETURN_MS)
    })
  }

  /**
   * A client that listens has its connection made again. Of all that lost the same target one tries at a time; the
   * others are woken when it is up.
   */
  #scheduleRestart(): void {
    const { health } = this.#options
    clearTimeout(this.#restart)
    const own =
      this.#restarts === 0 ? 0 : Math.min(FIRST_RESTART_MS * 2 ** (this.#restarts - 1), LONGEST_RESTART_MS)
    this.#restarts++
    this.#restart = setTimeout(
      () => {
        if (this.#isClosed) return
        const release = health.claim()
        if (release === undefined) {
          this.#awaitReturn()
          return
        }
        this.ensureOpen(this.#headers)
          .catch((error: unknown) => {
            // What has to do with the client's credential waits for the client's next request.
            if (!this.#isClosed && isOfTheServer(asTargetError(error))) this.#scheduleRestart()
          })
          .finally(release)
      },
      Math.max(own, health.waitMs()) * (1 + Math.random() / 4),
    )
  }

  #retire(connection: Connection): void {
    this.#connection = undefined
    this.#retired.add(connection)
    connection.modern?.close()
    connection.peer.whenIdle(() => {
      this.#retired.delete(connection)
      this.#options.events.onLost(connection.answer)
      connection.transport.close().catch(() => {})
    })
  }

  #drop(error: TargetError): void {
    const connection = this.#connection
    this.#connection = undefined
    connection?.giveUp?.(error)
    connection?.peer.failAll(error)
    if (connection !== undefined) this.#options.events.onLost(connection.answer)
    connection?.modern?.close()
    connection?.transport.close().catch(() => {})
  }

  /** Asks the server. Resolves with its answer, error or not; rejects with `TargetError` where there is none. */
  async request(request: PeerRequest): Promise<RpcResponse> {
    await this.ensureOpen(request.delivery.headers)
    const asked = this.#connection
    try {
      return await this.#ask(request)
    } catch (error) {
      if (!(error instanceof TargetError) || !error.isExpired) throw error
      // The server has forgotten the session and has not looked at this request: asking again does nothing twice. Of
      // the others nobody knows that, and they are left to their own answers.
      if (asked !== undefined && this.#connection === asked) this.#retire(asked)
      await this.ensureOpen(request.delivery.headers)
      return this.#ask(request)
    }
  }

  async #ask(request: PeerRequest): Promise<RpcResponse> {
    const connection = this.#connection
    if (connection === undefined)
      throw new TargetError('transport_error', `target ${this.target}: the connection was lost`)
    request.check?.()
    this.#headers = request.delivery.headers
    try {
      const response = await exchange(connection, request)
      if (!isFailure(response)) this.#remember(request)
      this.#options.health.succeeded()
      return response
    } catch (error) {
      // A lost connection has been told of when it was lost.
      const isUnreachable =
        error instanceof TargetError && error.type === 'transport_error' && error.reply === undefined
      if (isUnreachable && this.#connection === connection) this.#options.health.failed(error.message)
      throw error
    }
  }

  #remember({ method, params }: PeerRequest): void {
    const uri = params?.uri
    if (method === 'logging/setLevel') this.#logLevel = params?.level
    else if (method === 'resources/subscribe' && typeof uri === 'string') this.#subscriptions.add(uri)
    else if (method === 'resources/unsubscribe' && typeof uri === 'string') this.#subscriptions.delete(uri)
  }

  get logLevel(): unknown {
    return this.#logLevel
  }

  notify(method: string, params: JsonObject | undefined, headers: Headers): void {
    const connection = this.#connection
    if (connection?.initialized === undefined || connection.modern !== undefined) return
    connection.peer.send({ jsonrpc: '2.0', method, ...(params && { params }) }, headers)
  }

  /** The client gave the request up. The server hears of it; whatever it still answers goes nowhere. */
  cancel(id: number, reason: string | undefined): void {
    for (const { peer } of this.#connections()) peer.cancel(id, { ...QUIET, headers: this.#headers }, reason)
  }

  /** The client listens from here on: what a server says by itself is wanted. */
  listen(headers: Headers): void {
    this.#listens = true
    if (headers !== NO_HEADERS) this.#headers = headers
    if (this.#connection?.initialized !== undefined) this.#startListening(this.#connection)
  }

  #startListening({ modern, transport }: Connection): void {
    if (modern === undefined) transport.listen(this.#headers)
    else modern.listen(this.#headers)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#restart)
    this.#unwait?.()
    const connections = this.#connections()
    this.#connection = undefined
    this.#retired.clear()
    const error = new TargetError('unavailable', 'the session was ended')
    await Promise.all(
      connections.map(({ giveUp, modern, peer, transport }) => {
        giveUp?.(error)
        modern?.close()
        peer.failAll(error)
        return transport.close()
      }),
    )
  }
}

/** What one client's credential or wishes bring about tells nothing of the server. */
function isOfTheServer({ type, reply }: TargetError): boolean {
  if (type === 'cancelled' || type === 'mcp_error' || type === 'unavailable') return false
  return reply === undefined || reply.status >= 500
}

const exchange = ({ peer, modern }: Connection, request: PeerRequest) =>
  modern === undefined ? peer.exchange(request) : modern.exchange(request)
