/**
 * A request's way through the house: route, policies, body, plan, upstream, answer, record.
 *
 * One object per request; it is the upstream's handler itself, so that no stream stands between the two sockets.
 * Whatever happens, the exchange is finished exactly once, when the client's response is closed, and only then do
 * metrics, traces and log see it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Transform } from 'node:stream'
import type { Backend, Bind, Route } from './compile.ts'
import { decoderFor } from './core/content-encoding.ts'
import { type ErrorType, errorTypeOfStatus, FAULTS, GatewayError, type Outcome } from './core/errors.ts'
import {
  type Attempt,
  beginExchange,
  CHUNK_DELAY_BUCKETS,
  type Exchange,
  type WireFormat,
} from './core/exchange.ts'
import { type Headers, withoutHopByHop } from './core/headers.ts'
import { formatTraceparent, newSpanId, type TraceContext } from './core/trace-context.ts'
import { readBody } from './listen/body.ts'
import { errorBody } from './llm/error-body.ts'
import { clientFormatOf, type LlmPlan, planLlm } from './llm/plan.ts'
import { type RelayOptions, relayWhole, type StreamRelay, streamRelay } from './llm/relay.ts'
import { type CountTokens, countInput, settleStream, settleWhole } from './llm/settle.ts'
import type { RequestHead } from './policies/policy.ts'
import type { Matched } from './route/match.ts'
import type { UpstreamCall, UpstreamHandler, Upstreams } from './upstream/client.ts'
import type { Pricing } from './usage/price.ts'

export interface FlowDependencies {
  readonly upstreams: Upstreams
  readonly traceContextFor: (headers: IncomingMessage['headers']) => TraceContext
  readonly pricing: () => Pricing
  readonly countTokens: CountTokens
  /** Largest body that is held in memory. */
  readonly maxBodyBytes: () => number
  /** True once the process is told to end: responses close their connections. */
  readonly draining: () => boolean
  readonly started: () => void
  readonly finished: (exchange: Exchange) => void
  readonly debug: (message: string, fields: Readonly<Record<string, string>>) => void
  /** An error that should not have happened, with its stack. */
  readonly unexpected: (error: unknown) => void
  readonly random: () => number
}

export interface FlowEntry {
  readonly bind: Bind
  readonly scheme: 'http' | 'https'
}

const NO_BODY = Buffer.alloc(0)
const TRACE_HEADER = 'x-trace-id'

/** Path and query of a request target: origin form, absolute form or `*`. */
function splitTarget(url: string): { readonly path: string; readonly query: string } {
  let target = url
  if (!target.startsWith('/')) {
    const afterScheme = target.indexOf('://')
    const slash = afterScheme < 0 ? -1 : target.indexOf('/', afterScheme + 3)
    target = afterScheme < 0 ? target : slash < 0 ? '/' : target.slice(slash)
  }
  const mark = target.indexOf('?')
  return mark < 0
    ? { path: target, query: '' }
    : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/** An IPv4 client on a dual-stack socket is told by its IPv4 address. */
const addressOf = (request: IncomingMessage) =>
  (request.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
const hostnameOf = (host: string) => host.replace(/:\d+$/, '').toLowerCase()
const hasBody = (request: IncomingMessage) =>
  request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0

function pickBackend(route: Route, random: () => number): Backend | undefined {
  const { backends, totalWeight } = route
  if (backends.length <= 1 || totalWeight === 0) return totalWeight === 0 ? undefined : backends[0]
  let at = random() * totalWeight
  return backends.find((backend) => {
    at -= backend.weight
    return at < 0
  })
}

class Flow implements UpstreamHandler {
  readonly #deps: FlowDependencies
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #exchange: Exchange
  #matched: Matched<Route> | undefined
  #backend: Backend | undefined
  #head: RequestHead | undefined
  #plan: LlmPlan | undefined
  #errorFormat: WireFormat | undefined
  #call: UpstreamCall | undefined
  #relay: StreamRelay | undefined
  /** The answer's pieces, while a whole one is gathered. */
  #held: Buffer[] | undefined
  #heldBytes = 0
  #upstreamStatus = 0
  #upstreamHeaders: Headers = {}
  #declaredBytes = -1
  /** The provider compresses although it was asked not to: undone, for what is read must be plain. */
  #decoder: Transform | undefined
  #paused = 0
  #uncounted: string | undefined
  #requestTimer: NodeJS.Timeout | undefined
  #totalTimer: NodeJS.Timeout | undefined
  #outcome: Outcome | undefined
  #over = false

  constructor(deps: FlowDependencies, request: IncomingMessage, response: ServerResponse, entry: FlowEntry) {
    this.#deps = deps
    this.#request = request
    this.#response = response
    const { path, query } = splitTarget(request.url ?? '/')
    this.#exchange = beginExchange({
      trace: deps.traceContextFor(request.headers),
      clientAddress: addressOf(request),
      method: request.method ?? 'GET',
      host: request.headers.host ?? '',
      path,
      query,
      httpVersion: request.httpVersion,
      scheme: entry.scheme,
      userAgent: request.headers['user-agent'],
      bind: entry.bind.name,
    })
    deps.started()
    response.on('close', () => this.#closed())
    response.on('error', () => {})
    this.#guard(() => this.#enter(entry.bind))
  }

  /** Every callback runs inside: a fault becomes a reply, anything else is an internal error with a stack in the log. */
  #guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#fail(error)
    }
  }

  #enter(bind: Bind): void {
    const exchange = this.#exchange
    if (this.#deps.draining()) this.#response.shouldKeepAlive = false
    const hostname = hostnameOf(exchange.host)
    const listener = bind.listeners.find(({ host }) => host.fits(hostname))
    if (listener === undefined) throw new GatewayError('listener_not_found', 'listener not found')
    exchange.listener = listener.name
    const { headers } = this.#request
    const matched = listener.match({
      method: exchange.method,
      hostname,
      path: exchange.path,
      query: exchange.query,
      headers,
    })
    if (matched === undefined) throw new GatewayError('route_not_found', 'route not found')
    this.#matched = matched
    const route = matched.target
    exchange.route = route.name
    exchange.routePattern = matched.pattern
    this.#armTimers(route)

    const head: RequestHead = {
      exchange,
      method: exchange.method,
      path: exchange.path,
      query: exchange.query,
      authority: undefined,
      headers: withoutHopByHop(headers),
      matchedPrefix: matched.prefix,
    }
    this.#head = head
    const backend = pickBackend(route, this.#deps.random)
    if (backend?.llm !== undefined) {
      exchange.protocol = 'llm'
      this.#errorFormat = clientFormatOf(backend.llm, head.path)
    }
    for (const policy of route.policies) if (this.#applied(policy, head)) return
    if (backend === undefined) throw new GatewayError('no_backend', 'no valid backends')
    this.#backend = backend
    exchange.backend = backend.name
    for (const policy of backend.policies) if (this.#applied(policy, head)) return
    if (backend.llm === undefined) this.#sendPlain(backend, head)
    else this.#receiveBody()
  }

  /** True when the policy answered the request itself. */
  #applied(policy: Route['policies'][number], head: RequestHead): boolean {
    const reply = policy.onRequest?.(head)
    if (reply === undefined) return false
    this.#exchange.reason = 'DirectResponse'
    this.#reply(reply.status, reply.headers, Buffer.from(reply.body))
    return true
  }

  #armTimers(route: Route): void {
    const { requestMs, totalMs } = route.timeouts
    if (requestMs > 0) {
      this.#requestTimer = setTimeout(
        () => this.#fail(new GatewayError('request_timeout', 'request timeout')),
        requestMs,
      )
    }
    if (totalMs > 0) {
      this.#totalTimer = setTimeout(
        () => this.#fail(new GatewayError('request_timeout', 'request timeout')),
        totalMs,
      )
    }
  }

  #sendPlain(backend: Backend, head: RequestHead): void {
    const { headers } = head
    delete headers.expect
    if (backend.auth !== undefined) headers[backend.auth.header] = backend.auth.value
    const declared = Number(this.#request.headers['content-length'] ?? 0)
    this.#exchange.requestBytes = declared
    const path = head.query === '' ? head.path : `${head.path}?${head.query}`
    this.#send(backend, head, path, headers, hasBody(this.#request) ? this.#request : null, 0)
  }

  #receiveBody(): void {
    const waitingSince = performance.now()
    readBody(this.#request, this.#deps.maxBodyBytes(), (error, body) => {
      if (this.#over) return
      this.#guard(() => {
        if (error !== undefined) throw error
        this.#exchange.requestBytes = body.length
        this.#planAndSend(body, performance.now() - waitingSince)
      })
    })
  }

  #planAndSend(body: Buffer, waitedMs: number): void {
    const backend = this.#backend
    const head = this.#head
    if (backend?.llm === undefined || head === undefined) return
    const headers = { ...head.headers }
    for (const name of ['content-length', 'content-encoding', 'expect']) delete headers[name]
    const plan = planLlm(backend.llm, {
      method: head.method,
      path: head.path,
      query: head.query,
      headers,
      body,
    })
    this.#plan = plan
    this.#exchange.llm = plan.facts
    if (plan.dropped.length > 0) {
      this.#deps.debug('the translation dropped fields of the request', {
        'trace.id': this.#exchange.trace.traceId,
        fields: plan.dropped.join(' '),
      })
    }
    if (plan.countLocally) {
      this.#countLocally(plan)
      return
    }
    this.#send(backend, head, plan.path, plan.headers, plan.body, waitedMs)
  }

  #countLocally(plan: LlmPlan): void {
    countInput(plan, this.#deps.countTokens).then(
      (tokens) => this.#guard(() => this.#replyJson(200, { input_tokens: tokens })),
      (error: unknown) => this.#fail(error),
    )
  }

  #send(
    backend: Backend,
    head: RequestHead,
    path: string,
    headers: Headers,
    body: Buffer | IncomingMessage | null,
    waitedMs: number,
  ): void {
    const exchange = this.#exchange
    const { trace } = exchange
    headers.host = head.authority ?? backend.authority
    const now = performance.now()
    const attempt: Attempt = {
      spanId: newSpanId(),
      endpoint: backend.endpoint,
      startedAt: now,
      connectMs: undefined,
      headAt: undefined,
      endedAt: undefined,
      status: undefined,
      errorType: undefined,
      errorMessage: undefined,
    }
    exchange.attempts.push(attempt)
    if (trace.sampled) headers.traceparent = formatTraceparent(trace.traceId, attempt.spanId, true)
    exchange.requestProcessingMs = now - exchange.startedAt - waitedMs
    const { timeouts } = backend
    this.#call = this.#deps.upstreams.send(
      backend.target,
      { method: head.method, path, headers, body },
      timeouts,
      attempt,
      this,
    )
    // The upstream may have failed before there was a call to abandon.
    if (this.#over) this.#call.abort()
  }

  // The upstream's side.

  onHead(status: number, upstreamHeaders: Headers): void {
    if (this.#over) return
    const startedAt = performance.now()
    this.#guard(() => this.#answerBegins(status, upstreamHeaders))
    this.#exchange.responseProcessingMs += performance.now() - startedAt
  }

  #answerBegins(status: number, upstreamHeaders: Headers): void {
    clearTimeout(this.#requestTimer)
    this.#upstreamStatus = status
    const headers = withoutHopByHop(upstreamHeaders)
    this.#upstreamHeaders = headers
    const plan = this.#plan
    if (plan !== undefined && status < 400 && plan.way.kind !== 'raw') plan.facts.modelConfirmed = true
    this.#noteStatus(status, plan !== undefined)
    if (plan !== undefined && plan.way.kind !== 'raw') this.#decode(headers)
    const isEvents = String(headers['content-type'] ?? '').startsWith('text/event-stream')
    if (plan !== undefined && plan.way.kind !== 'raw' && (!isEvents || status >= 400)) {
      this.#held = []
      return
    }
    if (plan !== undefined) this.#relay = streamRelay(plan, this.#relayOptions())
    if (isEvents) this.#exchange.chunkDelayCounts = new Uint32Array(CHUNK_DELAY_BUCKETS.length + 1)
    this.#declaredBytes = Number(headers['content-length'] ?? -1)
    if (this.#relay !== undefined && isEvents && plan?.way.kind !== 'raw') {
      delete headers['content-length']
      this.#declaredBytes = -1
      if (plan?.way.kind === 'translate') headers['content-type'] = 'text/event-stream; charset=utf-8'
    }
    this.#writeHead(status, headers)
    if (isEvents) this.#response.flushHeaders()
  }

  #decode(headers: Headers): void {
    const decoder = decoderFor(headers['content-encoding']?.toString())
    if (typeof decoder === 'string') return
    delete headers['content-encoding']
    delete headers['content-length']
    this.#decoder = decoder
    decoder.on('data', (bytes: Buffer) => this.#received(bytes))
    decoder.on('end', () => this.#receivedAll())
    decoder.on('drain', () => this.#call?.resume())
    decoder.on('error', (cause: Error) =>
      this.#fail(
        new GatewayError(
          'upstream_bad_response',
          'upstream call failed: the response is not compressed as it says',
          { cause },
        ),
      ),
    )
  }

  #noteStatus(status: number, isLlm: boolean): void {
    if (status < (isLlm ? 400 : 500)) return
    this.#outcome = 'upstream_error'
    this.#exchange.errorType = errorTypeOfStatus(status)
    this.#exchange.errorMessage = `the upstream answered ${status}`
  }

  #relayOptions(): RelayOptions {
    return {
      now: () => performance.now(),
      epochSeconds: () => Math.floor(Date.now() / 1000),
      newId: () => newSpanId() + newSpanId(),
      maxBytes: this.#deps.maxBodyBytes(),
    }
  }

  onData(chunk: Buffer): void {
    if (this.#decoder === undefined) this.#received(chunk)
    else if (!this.#decoder.write(chunk)) this.#call?.pause()
  }

  #received(chunk: Buffer): void {
    if (this.#over) return
    const arrivedAt = performance.now()
    this.#guard(() => {
      if (this.#held !== undefined) this.#hold(chunk)
      else this.#pass(chunk, arrivedAt)
    })
    this.#exchange.responseProcessingMs += performance.now() - arrivedAt
  }

  #hold(chunk: Buffer): void {
    this.#heldBytes += chunk.length
    if (this.#heldBytes > this.#deps.maxBodyBytes()) {
      throw new GatewayError('upstream_too_large', 'failed to process LLM response: the answer is too large')
    }
    this.#held?.push(chunk)
  }

  #pass(chunk: Buffer, arrivedAt: number): void {
    const bytes = this.#relay === undefined ? chunk : this.#relay.forward(chunk)
    if (bytes !== undefined) this.#write(bytes)
    const { chunkDelayCounts } = this.#exchange
    if (chunkDelayCounts !== undefined) this.#noteDelay(chunkDelayCounts, performance.now() - arrivedAt)
    this.#relay?.observe(chunk)
  }

  #noteDelay(counts: Uint32Array, delayMs: number): void {
    const seconds = delayMs / 1000
    let bucket = CHUNK_DELAY_BUCKETS.findIndex((bound) => seconds <= bound)
    if (bucket < 0) bucket = CHUNK_DELAY_BUCKETS.length
    counts[bucket] = (counts[bucket] ?? 0) + 1
    this.#exchange.chunkDelaySumMs += delayMs
  }

  #write(bytes: Buffer): void {
    const exchange = this.#exchange
    exchange.responseBytes += bytes.length
    // The last piece of a body of known length ends the response in the same write.
    if (exchange.responseBytes === this.#declaredBytes) {
      this.#response.end(bytes)
      return
    }
    if (this.#response.write(bytes) || this.#paused > 0) return
    this.#paused = performance.now()
    this.#call?.pause()
    this.#response.once('drain', () => {
      exchange.stalledMs += performance.now() - this.#paused
      this.#paused = 0
      this.#call?.resume()
    })
  }

  onEnd(): void {
    if (this.#decoder === undefined) this.#receivedAll()
    else this.#decoder.end()
  }

  #receivedAll(): void {
    if (this.#over) return
    const startedAt = performance.now()
    this.#guard(() => {
      if (this.#held !== undefined) this.#answerWhole(this.#held)
      else this.#answerEnds()
    })
    this.#exchange.responseProcessingMs += performance.now() - startedAt
  }

  #answerWhole(pieces: Buffer[]): void {
    const plan = this.#plan
    if (plan === undefined) return
    const [only = NO_BODY] = pieces
    const body = pieces.length > 1 ? Buffer.concat(pieces, this.#heldBytes) : only
    const answer = relayWhole(plan, this.#upstreamStatus, body, this.#relayOptions())
    if (answer.errorMessage !== undefined) this.#exchange.errorMessage = answer.errorMessage
    this.#uncounted = answer.uncounted
    const headers = this.#upstreamHeaders
    if (answer.rewritten) {
      headers['content-type'] = 'application/json'
      delete headers['content-encoding']
    }
    this.#reply(this.#upstreamStatus, headers, answer.body)
  }

  #answerEnds(): void {
    const ended = this.#relay?.end()
    if (ended?.failure !== undefined) {
      this.#outcome = 'upstream_midstream_error'
      this.#exchange.errorType = ended.failure.type
      this.#exchange.errorMessage = ended.failure.message
    }
    if (ended?.bytes !== undefined) this.#exchange.responseBytes += ended.bytes.length
    if (!this.#response.writableEnded) this.#response.end(ended?.bytes)
  }

  onError(error: GatewayError): void {
    if (this.#over) return
    // An upload that the client broke off reaches us as the upstream's failure.
    if (this.#request.destroyed && !this.#request.complete) return
    this.#fail(error)
  }

  // The client's side.

  #writeHead(status: number, headers: Headers): void {
    const exchange = this.#exchange
    const head = this.#head
    const route = this.#matched?.target
    if (head !== undefined && route !== undefined) {
      for (const policy of route.policies) policy.onResponse?.(headers, head)
      for (const policy of this.#backend?.policies ?? []) policy.onResponse?.(headers, head)
    }
    headers[TRACE_HEADER] = exchange.trace.traceId
    exchange.status = status
    exchange.headSentAt = performance.now()
    try {
      this.#response.writeHead(status, headers)
    } catch (cause) {
      throw new GatewayError(
        'upstream_bad_response',
        'upstream call failed: the response has invalid headers',
        { cause },
      )
    }
  }

  #reply(status: number, headers: Headers, body: Buffer): void {
    clearTimeout(this.#requestTimer)
    const bodiless = this.#exchange.method === 'HEAD'
    if (!bodiless) headers['content-length'] = String(body.length)
    this.#writeHead(status, headers)
    if (!bodiless) this.#exchange.responseBytes += body.length
    this.#response.end(bodiless ? undefined : body)
  }

  #replyJson(status: number, body: unknown): void {
    this.#reply(status, { 'content-type': 'application/json' }, Buffer.from(JSON.stringify(body)))
  }

  /** The one place where an error becomes what the client sees and what the record says. */
  #fail(error: unknown): void {
    if (this.#over || this.#response.writableEnded) return
    const fault =
      error instanceof GatewayError ? error : new GatewayError('internal', 'internal error', { cause: error })
    if (fault.code === 'internal') this.#deps.unexpected(error)
    const { outcome, errorType, reason } = FAULTS[fault.code]
    const exchange = this.#exchange
    const started = this.#response.headersSent
    this.#outcome = started && outcome === 'upstream_error' ? 'upstream_midstream_error' : outcome
    exchange.reason = reason
    exchange.errorType = errorType
    const cause = fault.cause instanceof Error && fault.code !== 'internal' ? `: ${fault.cause.message}` : ''
    exchange.errorMessage = `${fault.message}${cause}`
    this.#noteAttempt(errorType, exchange.errorMessage)
    this.#call?.abort()
    clearTimeout(this.#requestTimer)
    clearTimeout(this.#totalTimer)
    if (started) this.#cutShort(fault)
    else this.#replyFault(fault)
  }

  /** What ended the exchange from here ends the attempt that was under way, too. */
  #noteAttempt(errorType: ErrorType, message: string): void {
    const attempt = this.#exchange.attempts.at(-1)
    if (attempt === undefined || attempt.endedAt !== undefined) return
    attempt.errorType = errorType
    attempt.errorMessage = message
  }

  /** After the head nothing but the stream itself can tell of a failure. */
  #cutShort(fault: GatewayError): void {
    const last = this.#relay?.cut(fault.status, fault.message, fault.code)
    if (last === undefined || this.#declaredBytes >= 0) {
      this.#response.destroy()
      return
    }
    this.#exchange.responseBytes += last.length
    this.#response.end(last)
  }

  #replyFault(fault: GatewayError): void {
    // What is left of the request is not read: the connection cannot serve another one.
    if (!this.#request.complete) this.#response.shouldKeepAlive = false
    const format = this.#errorFormat
    const headers: Headers = {}
    if (fault.code === 'method_not_allowed') headers.allow = fault.message.endsWith('GET') ? 'GET' : 'POST'
    const body =
      format === undefined
        ? fault.message
        : JSON.stringify(errorBody(format, fault.status, fault.message, fault.code))
    headers['content-type'] = format === undefined ? 'text/plain; charset=utf-8' : 'application/json'
    this.#reply(fault.status, headers, Buffer.from(body))
  }

  /** The response is closed: sent to the end, or the client left. */
  #closed(): void {
    if (this.#over) return
    this.#over = true
    this.#decoder?.destroy()
    clearTimeout(this.#requestTimer)
    clearTimeout(this.#totalTimer)
    const exchange = this.#exchange
    exchange.endedAt = performance.now()
    if (this.#paused > 0) exchange.stalledMs += exchange.endedAt - this.#paused
    if (
      !this.#response.writableFinished &&
      (this.#outcome === undefined || this.#outcome === 'upstream_error')
    ) {
      this.#outcome = 'client_abort'
      exchange.errorType = FAULTS.client_closed.errorType
      exchange.errorMessage = 'the client closed the connection'
      if (!this.#response.headersSent) exchange.status = FAULTS.client_closed.status
      this.#noteAttempt('caller_abort', exchange.errorMessage)
    }
    this.#call?.abort()
    exchange.outcome = this.#outcome ?? 'completed'
    const settling = this.#settle()
    if (settling === undefined) this.#record()
    else settling.then(() => this.#record())
  }

  #settle(): Promise<void> | undefined {
    const plan = this.#plan
    if (plan === undefined || this.#upstreamStatus >= 400) return undefined
    const { countTokens } = this.#deps
    if (this.#uncounted !== undefined) return settleWhole(plan, this.#uncounted, countTokens)
    const observer = this.#relay?.observer
    return observer === undefined ? undefined : settleStream(plan, observer, countTokens)
  }

  #record(): void {
    const { llm } = this.#exchange
    if (llm?.usage !== undefined) {
      const { cost, status } = this.#deps
        .pricing()
        .price(llm.provider, llm.responseModel, llm.requestModel, llm.usage)
      llm.cost = cost
      llm.costStatus = status
    }
    this.#deps.finished(this.#exchange)
  }
}

export function createFlow(deps: FlowDependencies) {
  return (request: IncomingMessage, response: ServerResponse, entry: FlowEntry): void => {
    new Flow(deps, request, response, entry)
  }
}
