/**
 * A request's way through the house: route, policies, body, plan, upstream, answer, record.
 *
 * One object per request. Whatever happens, the exchange is finished exactly once, when the client's response is
 * closed, and only then do metrics, traces and log see it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Backend, Bind, FederatingBackend, Route } from './compile.ts'
import { credentialKey } from './core/credential-key.ts'
import { FAULTS, GatewayError, type Outcome } from './core/errors.ts'
import { beginExchange, type Exchange, type WireFormat } from './core/exchange.ts'
import { type Headers, withoutHopByHop } from './core/headers.ts'
import type { TraceContext } from './core/trace-context.ts'
import { explain, faultReply } from './fault-reply.ts'
import { type Forwarded, Forwarding, type ForwardingDependencies, type Payload } from './forwarding.ts'
import { readBody } from './listen/body.ts'
import { ClientResponse } from './listen/client-response.ts'
import { addressOf, hasBody, hostnameOf, type Origin, serverNameOf, splitTarget } from './listen/incoming.ts'
import { readLimit } from './listen/receive.ts'
import type { Handled } from './listen/server.ts'
import { clientFormatOf } from './llm/plan.ts'
import type { McpRequest } from './mcp/request.ts'
import type { McpSource } from './mcp/source.ts'
import type { McpAnswer } from './mcp-answer.ts'
import { mcpStep } from './mcp-step.ts'
import { onRequest } from './policies/chain.ts'
import type { DirectReply, Policy, RequestHead } from './policies/policy.ts'
import type { Matched } from './route/match.ts'
import type { Seen } from './telemetry/variables.ts'

export interface FlowDependencies extends ForwardingDependencies {
  /** Where sessions of MCP live in another process: takes what leads to one. */
  readonly handOver?:
    | ((request: IncomingMessage, response: ServerResponse, entry: FlowEntry) => Handled)
    | undefined
  readonly serveMcp: (source: McpSource, request: McpRequest) => Promise<void>
  readonly traceContextFor: (
    traceparent: unknown,
    tracestate: unknown,
    request: IncomingMessage,
    origin: Origin | undefined,
  ) => TraceContext
  /** Asked when a response begins: a stream may last for hours, and what nobody will look at is not kept. */
  readonly readsResponseHeaders: () => boolean
  /** True once the process is told to end: responses close their connections. */
  readonly draining: () => boolean
  readonly started: () => void
  readonly finished: (exchange: Exchange, payload: Payload | undefined, flow: { readonly seen: Seen }) => void
  /** An error that should not have happened, with its stack. */
  readonly unexpected: (error: unknown) => void
}

export interface FlowEntry {
  readonly bind: Bind
  readonly scheme: 'http' | 'https'
  /** The port is about to go: connections end with the response under way. */
  readonly isClosing: boolean
  /** Of a request that another process has taken from its client. */
  readonly origin?: Origin | undefined
}

const listenerFor = ({ listeners }: Bind, hostname: string) =>
  listeners.find(({ host }) => host.fits(hostname))

/** As `Flow` would find it; what is wrong with it is said there. */
function leadsToMcp(request: IncomingMessage, bind: Bind): boolean {
  const { method = 'GET', headers } = request
  const hostname = hostnameOf(headers.host ?? '')
  const listener = listenerFor(bind, hostname)
  if (listener?.servesMcp !== true) return false
  const opened = serverNameOf(request)
  if (opened !== undefined && listenerFor(bind, opened) !== listener) return false
  const { path, query } = splitTarget(request.url ?? '/')
  return listener.match({ method, hostname, path, query, headers })?.target.servesMcp === true
}

function pickBackend(route: Route, random: () => number): Backend | undefined {
  const { backends, totalWeight } = route
  if (backends.length <= 1 || totalWeight === 0) return totalWeight === 0 ? undefined : backends[0]
  let at = random() * totalWeight
  return backends.find((backend) => {
    at -= backend.weight
    return at < 0
  })
}

class Flow implements Forwarded {
  next: Flow | undefined
  previous: Flow | undefined
  readonly deps: FlowDependencies
  readonly request: IncomingMessage
  readonly client: ClientResponse
  readonly exchange: Exchange
  readonly #origin: Origin | undefined
  #matched: Matched<Route> | undefined
  #backend: Backend | undefined
  #head: RequestHead | undefined
  /** How this client wants to hear of errors; undefined = plain text. */
  #errorFormat: WireFormat | 'mcp' | undefined
  #forwarding: Forwarding | undefined
  #mcp: McpAnswer | undefined
  #requestTimer: NodeJS.Timeout | undefined
  #totalTimer: NodeJS.Timeout | undefined
  #outcome: Outcome | undefined
  #responseHeaders: Headers | undefined
  isOver = false

  constructor(deps: FlowDependencies, request: IncomingMessage, response: ServerResponse, entry: FlowEntry) {
    this.deps = deps
    this.request = request
    this.#origin = entry.origin
    const { origin } = entry
    const { path, query } = splitTarget(request.url ?? '/')
    this.exchange = beginExchange({
      trace: deps.traceContextFor(request.headers.traceparent, request.headers.tracestate, request, origin),
      clientAddress: origin?.clientAddress ?? addressOf(request),
      method: request.method ?? 'GET',
      host: request.headers.host ?? '',
      path,
      query,
      httpVersion: origin?.httpVersion ?? request.httpVersion,
      scheme: entry.scheme,
      userAgent: request.headers['user-agent'],
      bind: entry.bind.name,
    })
    this.client = new ClientResponse(response, this.exchange, origin === undefined)
    deps.started()
    response.on('close', () => this.#closed())
    response.on('error', () => {})
    if (entry.isClosing || deps.draining()) this.client.closeAfterwards()
    this.guard(() => this.#enter(entry.bind))
  }

  /** A fault becomes a reply; anything else is an internal error with a stack in the log. */
  guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.fail(error)
    }
  }

  #enter(bind: Bind): void {
    const exchange = this.exchange
    const { headers } = this.request
    if (exchange.host === '' && exchange.httpVersion === '1.1')
      throw new GatewayError('bad_request', 'the request has no Host header')
    const hostname = hostnameOf(exchange.host)
    const listener = listenerFor(bind, hostname)
    if (listener === undefined) throw new GatewayError('listener_not_found', 'listener not found')
    exchange.listener = listener.name
    // A connection's certificate, and whatever else its listener demands, was for the name that it was opened with.
    const opened = serverNameOf(this.request)
    if (opened !== undefined && listenerFor(bind, opened) !== listener)
      throw new GatewayError('misdirected', 'misdirected request')
    const { method, path, query } = exchange
    const matched = listener.match({ method, hostname, path, query, headers })
    if (matched === undefined) throw new GatewayError('route_not_found', 'route not found')
    this.#matched = matched
    exchange.route = matched.target.name
    exchange.routePattern = matched.pattern
    exchange.key = credentialKey(headers)
    this.#armTimers(matched.target)
    this.#proceed(matched, headers)
  }

  #proceed(matched: Matched<Route>, headers: IncomingMessage['headers']): void {
    const exchange = this.exchange
    const route = matched.target
    const head: RequestHead = {
      exchange,
      method: exchange.method,
      path: exchange.path,
      query: exchange.query,
      authority: undefined,
      headers: withoutHopByHop(headers),
      matchedPrefix: matched.prefix,
      caller: undefined,
      apiKey: undefined,
      allowsModel: undefined,
      basicAuth: undefined,
      jwt: undefined,
      metadata: undefined,
      changeBody: undefined,
    }
    this.#head = head
    const backend = pickBackend(route, this.deps.random)
    if (backend?.mcp !== undefined) {
      exchange.protocol = 'mcp'
      this.#errorFormat = 'mcp'
    } else {
      const llm = backend?.models ?? backend?.tiers[0]?.[0]?.llm
      if (llm !== undefined) {
        exchange.protocol = 'llm'
        this.#errorFormat = clientFormatOf(llm, head)
      }
    }
    this.apply(route.policies, head, () => {
      if (backend === undefined) throw new GatewayError('no_backend', 'no valid backends')
      this.#backend = backend
      exchange.backend = backend.name
      this.apply(backend.policies, head, () => this.#ask(backend, route, head))
    })
  }

  /** Goes on with `next` unless one of the policies answers the request itself. */
  apply(policies: readonly Policy[], head: RequestHead, next: () => void): void {
    const goOn = (reply: DirectReply | undefined) => {
      if (reply === undefined) next()
      else this.replyDirectly(reply)
    }
    const reply = onRequest(policies, head)
    if (!(reply instanceof Promise)) {
      goOn(reply)
      return
    }
    reply.then(
      (given) => {
        if (!this.isOver) this.guard(() => goOn(given))
      },
      (error: unknown) => this.fail(error),
    )
  }

  replyDirectly({ status, headers, body }: DirectReply): void {
    this.exchange.reason = 'DirectResponse'
    this.reply(status, headers, Buffer.from(body))
  }

  #ask(backend: Backend, route: Route, head: RequestHead): void {
    if (backend.mcp !== undefined) {
      this.#federate(backend, route, head)
      return
    }
    this.#forwarding = new Forwarding(this, route, head)
    this.#forwarding.begin(backend)
  }

  #armTimers(route: Route): void {
    const { requestMs, totalMs } = route.timeouts
    const timeOut = () => this.fail(new GatewayError('request_timeout', 'request timeout'))
    if (requestMs > 0) this.#requestTimer = setTimeout(timeOut, requestMs)
    if (totalMs > 0) this.#totalTimer = setTimeout(timeOut, totalMs)
  }

  #federate({ mcp }: FederatingBackend, { buffer }: Route, head: RequestHead): void {
    const waitingSince = performance.now()
    const maxBytes = this.deps.maxBodyBytes()
    const done = (error: GatewayError | undefined, received: Buffer) => {
      if (this.isOver) return
      const waitedMs = performance.now() - waitingSince
      this.guard(() => {
        if (error !== undefined) throw error
        this.exchange.requestBytes = received.length
        const body = head.changeBody?.(received, maxBytes) ?? received
        const step = mcpStep({
          exchange: this.exchange,
          client: this.client,
          request: this.request,
          head,
          body,
          waitedMs,
          localAddress: this.#origin?.localAddress ?? this.request.socket.localAddress ?? '',
          traceContextFor: (traceparent, tracestate) =>
            this.deps.traceContextFor(traceparent, tracestate, this.request, this.#origin),
          decorate: (headers, status) => this.decorate(headers, status),
          onHead: () => this.onHead(),
        })
        this.#mcp = step.answer
        this.deps.serveMcp(mcp, step.request).catch((reason) => this.fail(reason))
      })
    }
    const limit = readLimit({ buffer, maxBytes })
    if (hasBody(this.request)) readBody(this.request, limit, done, 'failed to process MCP request')
    else done(undefined, Buffer.alloc(0))
  }

  onHead(): void {
    clearTimeout(this.#requestTimer)
  }

  decorate(headers: Headers, status: number): void {
    const asked = this.#forwarding?.settledOn() ?? []
    const head = this.#head
    if (this.deps.readsResponseHeaders()) this.#responseHeaders = headers
    if (head === undefined) return
    for (const policy of this.#matched?.target.policies ?? []) policy.onResponse?.(headers, head, status)
    for (const policy of this.#backend?.policies ?? []) policy.onResponse?.(headers, head, status)
    for (const policy of asked) policy.onResponse?.(headers, head, status)
  }

  reply(status: number, headers: Headers, body: Buffer): void {
    clearTimeout(this.#requestTimer)
    this.decorate(headers, status)
    this.client.reply(status, headers, body)
  }

  /** The one place where an error becomes what the client sees and what the record says. */
  fail(error: unknown): void {
    if (this.isOver || this.client.isEnded) return
    const fault =
      error instanceof GatewayError ? error : new GatewayError('internal', 'internal error', { cause: error })
    if (fault.code === 'internal') this.deps.unexpected(error)
    this.#mcp?.cut()
    const { outcome, errorType, reason } = FAULTS[fault.code]
    const exchange = this.exchange
    const hasBegun = this.client.hasBegun
    this.#outcome = hasBegun && outcome === 'upstream_error' ? 'upstream_midstream_error' : outcome
    exchange.reason = reason
    exchange.errorType = errorType
    exchange.errorMessage = explain(fault)
    this.#forwarding?.endAttempt(errorType, exchange.errorMessage)
    clearTimeout(this.#requestTimer)
    clearTimeout(this.#totalTimer)
    if (!hasBegun) this.#replyFault(fault)
    else if (this.#forwarding === undefined) this.client.destroy()
    else this.#forwarding.cutShort(fault)
    this.#forwarding?.close()
  }

  #replyFault(fault: GatewayError): void {
    // What is left of the request is not read: the connection cannot serve another one.
    if (!this.request.complete) this.client.closeAfterwards()
    const { headers, body } = faultReply(fault, this.#errorFormat)
    this.reply(fault.status, headers, typeof body === 'string' ? Buffer.from(body) : body)
  }

  /** The response is closed: sent to the end, or the client left. */
  #closed(): void {
    if (this.isOver) return
    this.isOver = true
    clearTimeout(this.#requestTimer)
    clearTimeout(this.#totalTimer)
    const exchange = this.exchange
    exchange.endedAt = performance.now()
    this.client.closed()
    if (!this.client.isSent && this.#outcome === undefined && !this.#isListening) this.#noteAbort()
    this.#forwarding?.close()
    const settling = this.#settle()
    if (settling === undefined) this.#record()
    else settling.catch((error: unknown) => this.deps.unexpected(error)).then(() => this.#record())
  }

  /** A stream on which an MCP client waits for whatever may come is ended by leaving it. */
  get #isListening(): boolean {
    return this.#mcp !== undefined && this.exchange.method === 'GET' && this.client.hasBegun
  }

  #settle(): Promise<void> | undefined {
    const mcp = this.#mcp
    if (mcp !== undefined) return mcp.closed()?.then(() => this.#concludeMcp())
    try {
      return this.#forwarding?.settle()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** An answer that went another way than the response was over when it was there. */
  #concludeMcp(): void {
    if (this.#outcome === undefined) this.exchange.endedAt = performance.now()
  }

  #noteAbort(): void {
    const exchange = this.exchange
    this.#outcome = 'client_abort'
    exchange.errorType = FAULTS.client_closed.errorType
    exchange.errorMessage = 'the client closed the connection'
    if (!this.client.hasBegun) exchange.status = FAULTS.client_closed.status
    this.#forwarding?.endAttempt('caller_abort', exchange.errorMessage)
  }

  /** Whatever happens on the way to its figures, the record is written. */
  #record(): void {
    const exchange = this.exchange
    if (this.#outcome === undefined) this.#mcp?.conclude()
    exchange.outcome = this.#outcome ?? this.#mcp?.outcome ?? this.#forwarding?.outcome ?? 'completed'
    try {
      this.#price()
    } catch (error) {
      this.deps.unexpected(error)
    }
    try {
      for (const policy of this.#matched?.target.policies ?? []) policy.onFinished?.(exchange)
    } catch (error) {
      this.deps.unexpected(error)
    } finally {
      this.deps.finished(this.exchange, this.#forwarding?.payload(), this)
    }
  }

  /** What of the request its record does not tell. */
  get seen(): Seen {
    return {
      requestHeaders: this.request.headers,
      responseHeaders: this.#responseHeaders,
      apiKey: this.#head?.apiKey,
      basicAuth: this.#head?.basicAuth,
      jwt: this.#head?.jwt,
    }
  }

  #price(): void {
    const { llm } = this.exchange
    if (llm?.usage === undefined) return
    const { cost, status } = this.deps
      .pricing()
      .price(llm.provider, llm.responseModel, llm.requestModel, llm.usage)
    llm.cost = cost
    llm.costStatus = status
  }
}

export interface Flows {
  /** The request is under way until its response is closed. */
  readonly begin: (request: IncomingMessage, response: ServerResponse, entry: FlowEntry) => Handled
  /** Ends every request that is under way, with an error where its client can still be told. */
  readonly cutAll: () => void
}

/**
 * The flows under way are a list through the flows themselves: a Set that is filled and emptied at this pace leaves
 * a chain of dead tables behind, through which every request survives the young collections.
 */
export function createFlows(deps: FlowDependencies): Flows {
  let first: Flow | undefined

  function remove(flow: Flow): void {
    if (flow.next !== undefined) flow.next.previous = flow.previous
    if (flow.previous !== undefined) flow.previous.next = flow.next
    else if (first === flow) first = flow.next
    flow.next = undefined
    flow.previous = undefined
  }

  return {
    begin(request, response, entry) {
      if (deps.handOver !== undefined && leadsToMcp(request, entry.bind))
        return deps.handOver(request, response, entry)
      const flow = new Flow(deps, request, response, entry)
      flow.next = first
      if (first !== undefined) first.previous = flow
      first = flow
      response.on('close', () => remove(flow))
      return flow
    },
    cutAll() {
      const fault = new GatewayError('shutting_down', 'the gateway is shutting down')
      for (let flow = first; flow !== undefined; ) {
        const { next } = flow
        flow.fail(fault)
        flow = next
      }
    },
  }
}
