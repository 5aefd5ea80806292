/**
 * A request's way through the house: route, policies, body, plan, upstream, answer, record.
 *
 * One object per request. Whatever happens, the exchange is finished exactly once, when the client's response is
 * closed, and only then do metrics, traces and log see it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Answer } from './answer.ts'
import type {
  Backend,
  Bind,
  FederatingBackend,
  ForwardingBackend,
  ModelBackend,
  PooledBackend,
  Route,
} from './compile.ts'
import { credentialKey } from './core/credential-key.ts'
import { type ErrorType, FAULTS, GatewayError, type Outcome } from './core/errors.ts'
import { beginAttempt, beginExchange, type Exchange, type WireFormat } from './core/exchange.ts'
import { type Headers, withoutHopByHop } from './core/headers.ts'
import { formatTraceparent, type TraceContext } from './core/trace-context.ts'
import type { Upstreams } from './core/upstream.ts'
import { explain, faultReply } from './fault-reply.ts'
import { readBody } from './listen/body.ts'
import { ClientResponse } from './listen/client-response.ts'
import { holdBody } from './listen/hold-body.ts'
import { addressOf, hasBody, hostnameOf, serverNameOf, splitTarget } from './listen/incoming.ts'
import { keptJson, keptText } from './llm/payload.ts'
import { type Body, clientFormatOf, clientModelOf, type LlmPlan, planLlm } from './llm/plan.ts'
import type { RelayOptions } from './llm/relay.ts'
import { endUserOf } from './llm/request-facts.ts'
import { type CountTokens, countInput } from './llm/settle.ts'
import type { McpRequest } from './mcp/request.ts'
import type { McpSource } from './mcp/source.ts'
import type { McpAnswer } from './mcp-answer.ts'
import { mcpStep } from './mcp-step.ts'
import { askedOf } from './model-choice.ts'
import { onRequest } from './policies/chain.ts'
import type { DirectReply, Policy, RequestHead } from './policies/policy.ts'
import { isPassing, retryAfterMs } from './policies/retry.ts'
import type { Matched } from './route/match.ts'
import { mostAttempts, type Next, Tries } from './tries.ts'
import type { Pricing } from './usage/price.ts'

/** Of a request's text, roughly: what is reserved is settled by what was used. */
const BYTES_PER_TOKEN = 4

/** Of a plain request's body, to be kept for another attempt. */
const MAX_REPEATED_BYTES = 64 * 1024

const EMPTY = Buffer.alloc(0)

export interface FlowDependencies {
  readonly upstreams: Upstreams
  readonly serveMcp: (source: McpSource, request: McpRequest) => Promise<void>
  readonly traceContextFor: (traceparent: unknown, tracestate: unknown) => TraceContext
  readonly pricing: () => Pricing
  readonly countTokens: CountTokens
  /** Largest request body that is held in memory. */
  readonly maxBodyBytes: () => number
  readonly relay: RelayOptions
  /** True once the process is told to end: responses close their connections. */
  readonly draining: () => boolean
  readonly started: () => void
  readonly finished: (exchange: Exchange, payload: Payload | undefined) => void
  /** What models were asked and what they answered is wanted too. */
  readonly keepsPayloads: () => boolean
  readonly debug: (message: string, fields: Readonly<Record<string, string>>) => void
  /** An error that should not have happened, with its stack. */
  readonly unexpected: (error: unknown) => void
  readonly random: () => number
}

export interface Payload {
  readonly request: string | undefined
  readonly response: string | undefined
}

export interface FlowEntry {
  readonly bind: Bind
  readonly scheme: 'http' | 'https'
  /** The port is about to go: connections end with the response under way. */
  readonly isClosing: boolean
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

class Flow {
  next: Flow | undefined
  previous: Flow | undefined
  readonly #deps: FlowDependencies
  readonly #request: IncomingMessage
  readonly #client: ClientResponse
  readonly #exchange: Exchange
  #matched: Matched<Route> | undefined
  #backend: Backend | undefined
  #tries: Tries | undefined
  /** Whose attempt is the latest. */
  #asking: ForwardingBackend | undefined
  #head: RequestHead | undefined
  /** The request's body, where it had to be read to know whom to ask. */
  #json: Body | undefined
  /** How this client wants to hear of errors; undefined = plain text. */
  #errorFormat: WireFormat | 'mcp' | undefined
  /** The client's request, where it is to be kept. */
  #asked: Readonly<Record<string, unknown>> | undefined
  #answer: Answer | undefined
  #mcp: McpAnswer | undefined
  /** One more attempt; undefined when there is none, or the client has seen something of this one. */
  #again: ((backend: ForwardingBackend) => void) | undefined
  /** The next attempt is waited for. */
  #backoff: NodeJS.Timeout | undefined
  #requestTimer: NodeJS.Timeout | undefined
  #totalTimer: NodeJS.Timeout | undefined
  #outcome: Outcome | undefined
  #over = false

  constructor(deps: FlowDependencies, request: IncomingMessage, response: ServerResponse, entry: FlowEntry) {
    this.#deps = deps
    this.#request = request
    const { path, query } = splitTarget(request.url ?? '/')
    this.#exchange = beginExchange({
      trace: deps.traceContextFor(request.headers.traceparent, request.headers.tracestate),
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
    this.#client = new ClientResponse(response, this.#exchange)
    deps.started()
    response.on('close', () => this.#closed())
    response.on('error', () => {})
    if (entry.isClosing || deps.draining()) this.#client.closeAfterwards()
    this.#guard(() => this.#enter(entry.bind))
  }

  /** A fault becomes a reply; anything else is an internal error with a stack in the log. */
  #guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#fail(error)
    }
  }

  #enter(bind: Bind): void {
    const exchange = this.#exchange
    const { headers } = this.#request
    if (exchange.host === '' && exchange.httpVersion === '1.1')
      throw new GatewayError('bad_request', 'the request has no Host header')
    const hostname = hostnameOf(exchange.host)
    const listener = bind.listeners.find(({ host }) => host.fits(hostname))
    if (listener === undefined) throw new GatewayError('listener_not_found', 'listener not found')
    exchange.listener = listener.name
    // A connection's certificate, and whatever else its listener demands, was for the name that it was opened with.
    const opened = serverNameOf(this.#request)
    if (opened !== undefined && bind.listeners.find(({ host }) => host.fits(opened)) !== listener) {
      throw new GatewayError('misdirected', 'misdirected request')
    }
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
    const exchange = this.#exchange
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
    }
    this.#head = head
    const backend = pickBackend(route, this.#deps.random)
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
    this.#apply(route.policies, head, () => {
      if (backend === undefined) throw new GatewayError('no_backend', 'no valid backends')
      this.#backend = backend
      exchange.backend = backend.name
      this.#apply(backend.policies, head, () => this.#ask(backend, route, head))
    })
  }

  /** Goes on with `next` unless one of the policies answers the request itself. */
  #apply(policies: readonly Policy[], head: RequestHead, next: () => void): void {
    const goOn = (reply: DirectReply | undefined) => {
      if (reply === undefined) next()
      else this.#replyDirectly(reply)
    }
    const reply = onRequest(policies, head)
    if (!(reply instanceof Promise)) {
      goOn(reply)
      return
    }
    reply.then(
      (given) => {
        if (!this.#over) this.#guard(() => goOn(given))
      },
      (error: unknown) => this.#fail(error),
    )
  }

  #replyDirectly({ status, headers, body }: DirectReply): void {
    this.#exchange.reason = 'DirectResponse'
    this.#reply(status, headers, Buffer.from(body))
  }

  #ask(backend: Backend, { retry }: Route, head: RequestHead): void {
    if (backend.mcp !== undefined) {
      this.#federate(backend, head)
      return
    }
    const begun = performance.now()
    const isRead = backend.models !== undefined || backend.tiers[0]?.[0]?.llm !== undefined
    const isRepeated = backend.models === undefined && mostAttempts(backend, retry) > 1
    this.#receive(isRead, isRepeated, (body, bytes) => {
      this.#exchange.requestBytes = bytes
      const waitedMs = performance.now() - begun
      const pool = backend.models === undefined ? backend : this.#choose(backend, head, body)
      if (pool === undefined) return
      const tries = new Tries(pool, retry, { now: () => performance.now(), random: this.#deps.random })
      this.#tries = tries
      const first = tries.first()
      if (first === undefined) throw new GatewayError('no_backend', 'no valid backends')
      this.#attempt(tries, first, head, body, waitedMs)
    })
  }

  /** Undefined where that was an answer already. */
  #choose(
    backend: ModelBackend,
    head: RequestHead,
    body: Buffer | IncomingMessage | null,
  ): Pick<PooledBackend, 'tiers'> | undefined {
    const asked = askedOf(backend, head, Buffer.isBuffer(body) ? body : EMPTY, this.#deps.random)
    if ('reply' in asked) {
      this.#replyDirectly(asked.reply)
      return undefined
    }
    this.#json = asked.json
    return asked
  }

  #armTimers(route: Route): void {
    const { requestMs, totalMs } = route.timeouts
    const timeOut = () => this.#fail(new GatewayError('request_timeout', 'request timeout'))
    if (requestMs > 0) this.#requestTimer = setTimeout(timeOut, requestMs)
    if (totalMs > 0) this.#totalTimer = setTimeout(timeOut, totalMs)
  }

  #federate({ mcp }: FederatingBackend, head: RequestHead): void {
    const waitingSince = performance.now()
    const done = (error: GatewayError | undefined, body: Buffer) => {
      if (this.#over) return
      const waitedMs = performance.now() - waitingSince
      this.#guard(() => {
        if (error !== undefined) throw error
        this.#exchange.requestBytes = body.length
        const step = mcpStep({
          exchange: this.#exchange,
          client: this.#client,
          request: this.#request,
          head,
          body,
          waitedMs,
          traceContextFor: this.#deps.traceContextFor,
          decorate: (headers, status) => this.#decorate(headers, status),
          onHead: () => clearTimeout(this.#requestTimer),
        })
        this.#mcp = step.answer
        this.#deps.serveMcp(mcp, step.request).catch((reason) => this.#fail(reason))
      })
    }
    if (hasBody(this.#request))
      readBody(this.#request, this.#readLimit, done, 'failed to process MCP request')
    else done(undefined, Buffer.alloc(0))
  }

  /** What is asked of a model is read before it goes on; what may have to be sent again is held, where it is small. */
  #receive(
    isRead: boolean,
    isRepeated: boolean,
    next: (body: Buffer | IncomingMessage | null, bytes: number) => void,
  ): void {
    const request = this.#request
    const promised = Number(request.headers['content-length'] ?? 0)
    if (isRead) {
      readBody(request, this.#readLimit, (error, body) => {
        if (this.#over) return
        this.#guard(() => {
          if (error !== undefined) throw error
          next(body, body.length)
        })
      })
      return
    }
    const buffer = this.#matched?.target.buffer
    const isSmall = promised > 0 && promised <= MAX_REPEATED_BYTES
    if (!hasBody(request) || (buffer === undefined && !(isRepeated && isSmall))) {
      next(hasBody(request) ? request : null, promised)
      return
    }
    holdBody(request, buffer?.maxBytes ?? MAX_REPEATED_BYTES, (body) => {
      if (this.#over) return
      this.#guard(() => {
        if (body !== undefined) next(body, body.length)
        else if (buffer?.failureMode === 'failOpen') next(request, promised)
        else throw new GatewayError('body_too_large', `the body exceeds ${buffer?.maxBytes} bytes`)
      })
    })
  }

  /** Of a body that has to be read. */
  get #readLimit(): number {
    const buffer = this.#matched?.target.buffer
    const limit = this.#deps.maxBodyBytes()
    return buffer?.failureMode === 'failClosed' ? Math.min(buffer.maxBytes, limit) : limit
  }

  /** `waitedMs`: for the client, until its request was there. */
  #attempt(
    tries: Tries,
    backend: ForwardingBackend,
    head: RequestHead,
    body: Buffer | IncomingMessage | null,
    waitedMs: number,
  ): void {
    tries.begin(backend)
    this.#asking = backend
    this.#exchange.backend = backend.name
    // Another attempt begins with the client's own headers.
    const own = tries.mayGoOn ? { ...head, headers: { ...head.headers } } : head
    const isRepeatable = tries.mayGoOn && (body === null || Buffer.isBuffer(body))
    this.#again = isRepeatable ? (next) => this.#attempt(tries, next, head, body, waitedMs) : undefined
    this.#apply(backend.policies, own, () => {
      if (backend.llm === undefined) this.#sendPlain(backend, own, body, waitedMs)
      else this.#sendToModel(backend.llm, backend, own, Buffer.isBuffer(body) ? body : EMPTY, waitedMs)
    })
  }

  #sendPlain(
    backend: ForwardingBackend,
    head: RequestHead,
    body: Buffer | IncomingMessage | null,
    waitedMs: number,
  ): void {
    const { headers } = head
    delete headers.expect
    if (backend.auth !== undefined) headers[backend.auth.header] = backend.auth.value
    const path = head.query === '' ? head.path : `${head.path}?${head.query}`
    this.#send(backend, head, { path, headers, body }, undefined, Buffer.isBuffer(body) ? waitedMs : 0)
  }

  #sendToModel(
    llm: NonNullable<ForwardingBackend['llm']>,
    backend: ForwardingBackend,
    head: RequestHead,
    body: Buffer,
    waitedMs: number,
  ): void {
    const exchange = this.#exchange
    const { method, path, query, headers } = head
    const isFirst = exchange.llm === undefined
    const plan = planLlm(llm, { method, path, query, headers, body, json: this.#json }, (facts) => {
      exchange.llm = facts
    })
    exchange.llm = plan.facts
    exchange.user ??= plan.clientBody && endUserOf(plan.clientBody)
    if (this.#deps.keepsPayloads()) this.#asked = plan.clientBody
    if (isFirst) this.#announce(head, plan, body.length)
    this.#noteDropped(plan)
    if (plan.countLocally) this.#countLocally(plan)
    else this.#send(backend, head, plan, plan, waitedMs)
  }

  /** Tells the policies what a model is asked, where one is. */
  #announce(head: RequestHead, plan: LlmPlan, bytes: number): void {
    const policies = this.#matched?.target.policies ?? []
    const { operation, parameters, provider, requestModel } = plan.facts
    if (operation === 'list_models') return
    if (policies.every(({ onModelRequest }) => onModelRequest === undefined)) return
    const inputTokens = Math.ceil(bytes / BYTES_PER_TOKEN)
    const outputTokens = parameters.maxTokens ?? 0
    const usage = { inputTokens, outputTokens, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 }
    const request = {
      model: clientModelOf(plan),
      tokens: inputTokens + outputTokens,
      usd: () => this.#deps.pricing().price(provider, undefined, requestModel, usage).cost?.total ?? 0,
    }
    for (const policy of policies) policy.onModelRequest?.(head, request)
  }

  #noteDropped(plan: LlmPlan): void {
    if (plan.dropped.length === 0) return
    this.#deps.debug('the translation dropped fields of the request', {
      'trace.id': this.#exchange.trace.traceId,
      fields: plan.dropped.join(' '),
    })
  }

  #countLocally(plan: LlmPlan): void {
    countInput(plan, this.#deps.countTokens).then(
      (tokens) =>
        this.#guard(() => {
          const body = Buffer.from(JSON.stringify({ input_tokens: tokens }))
          this.#reply(200, { 'content-type': 'application/json' }, body)
        }),
      (error: unknown) => this.#fail(error),
    )
  }

  #send(
    backend: ForwardingBackend,
    head: RequestHead,
    request: {
      readonly path: string
      readonly headers: Headers
      readonly body: Buffer | IncomingMessage | null
    },
    plan: LlmPlan | undefined,
    waitedMs: number,
  ): void {
    const exchange = this.#exchange
    const { trace } = exchange
    const { path, headers, body } = request
    headers.host = head.authority ?? backend.authority
    const now = performance.now()
    const attempt = beginAttempt(backend.endpoint, now)
    exchange.attempts.push(attempt)
    if (exchange.attempts.length > 1) headers['x-retry-attempt'] = String(exchange.attempts.length - 1)
    if (trace.sampled) headers.traceparent = formatTraceparent(trace.traceId, attempt.spanId, true)
    exchange.requestProcessingMs ??= now - exchange.startedAt - waitedMs
    const answer = new Answer({
      exchange,
      client: this.#client,
      plan,
      relay: this.#deps.relay,
      decorate: (answerHeaders, status) => this.#decorate(answerHeaders, status),
      accepts: (status, answered) => this.#accepts(status, answered),
      isReplaceable: () => this.#mayGoOn,
      onHead: () => {
        clearTimeout(this.#requestTimer)
        // An answer before the upload is over: what is left of it makes the connection useless for another request.
        if (!this.#request.complete) this.#client.closeAfterwards()
      },
      onFault: (error) => this.#failUpstream(error),
      keepsText: this.#asked !== undefined,
    })
    this.#answer = answer
    const upstreamRequest = { method: head.method, path, headers, body }
    answer.call = this.#deps.upstreams.send(
      backend.target,
      upstreamRequest,
      backend.timeouts,
      attempt,
      answer,
    )
    // The upstream may have failed before there was a call to abandon.
    if (this.#over) answer.close()
  }

  get #mayGoOn(): boolean {
    return this.#again !== undefined
  }

  /** False when another attempt takes the place of this one. */
  #accepts(status: number, headers: Headers): boolean {
    const tries = this.#tries
    if (tries === undefined) return true
    if (status < 500 && !tries.isRetried(status)) {
      tries.succeeded()
      return true
    }
    const retryAfter = retryAfterMs(headers, Date.now())
    tries.failed(retryAfter)
    const next = this.#mayGoOn && tries.isRetried(status) ? tries.next(retryAfter) : undefined
    if (next !== undefined) this.#goOn(next)
    return next === undefined
  }

  #failUpstream(error: unknown): void {
    // An upload that the client broke off reaches us as the upstream's failure.
    if (this.#request.destroyed && !this.#request.complete) return
    const isUpstreams = error instanceof GatewayError && isPassing(error.code)
    // What has as much to do as it may have has not failed.
    if (isUpstreams && error.code === 'overloaded') this.#tries?.abandoned()
    else if (isUpstreams) this.#tries?.failed()
    const next = isUpstreams && !this.#over && this.#mayGoOn ? this.#tries?.next() : undefined
    if (next === undefined) {
      this.#fail(error)
      return
    }
    if (isUpstreams) this.#explainAttempt(error)
    this.#goOn(next)
  }

  /** A whole answer may have arrived, and be none. */
  #explainAttempt(error: GatewayError): void {
    const attempt = this.#exchange.attempts.at(-1)
    if (attempt === undefined) return
    attempt.errorType ??= FAULTS[error.code].errorType
    attempt.errorMessage ??= explain(error)
  }

  #goOn({ backend, delayMs }: Next): void {
    this.#answer?.discard()
    this.#answer = undefined
    const again = this.#again
    // Not within the callback of the attempt that has just failed.
    this.#backoff = setTimeout(() => this.#guard(() => again?.(backend)), delayMs)
  }

  #decorate(headers: Headers, status: number): void {
    this.#again = undefined
    const head = this.#head
    if (head === undefined) return
    for (const policy of this.#matched?.target.policies ?? []) policy.onResponse?.(headers, head, status)
    for (const policy of this.#backend?.policies ?? []) policy.onResponse?.(headers, head, status)
    for (const policy of this.#asking?.policies ?? []) policy.onResponse?.(headers, head, status)
  }

  #reply(status: number, headers: Headers, body: Buffer): void {
    clearTimeout(this.#requestTimer)
    this.#decorate(headers, status)
    this.#client.reply(status, headers, body)
  }

  /** Ends it from outside. */
  end(fault: GatewayError): void {
    this.#fail(fault)
  }

  /** The one place where an error becomes what the client sees and what the record says. */
  #fail(error: unknown): void {
    if (this.#over || this.#client.isEnded) return
    const fault =
      error instanceof GatewayError ? error : new GatewayError('internal', 'internal error', { cause: error })
    if (fault.code === 'internal') this.#deps.unexpected(error)
    this.#mcp?.cut()
    const { outcome, errorType, reason } = FAULTS[fault.code]
    const exchange = this.#exchange
    const hasBegun = this.#client.hasBegun
    this.#outcome = hasBegun && outcome === 'upstream_error' ? 'upstream_midstream_error' : outcome
    exchange.reason = reason
    exchange.errorType = errorType
    exchange.errorMessage = explain(fault)
    this.#endAttempt(errorType, exchange.errorMessage)
    clearTimeout(this.#backoff)
    clearTimeout(this.#requestTimer)
    clearTimeout(this.#totalTimer)
    if (!hasBegun) this.#replyFault(fault)
    else if (this.#answer === undefined) this.#client.destroy()
    else this.#answer.cutShort(fault)
    this.#answer?.close()
  }

  /** What ends the exchange from here ends the attempt that is under way, too. */
  #endAttempt(errorType: ErrorType, message: string): void {
    const attempt = this.#exchange.attempts.at(-1)
    if (attempt === undefined || attempt.endedAt !== undefined) return
    attempt.errorType = errorType
    attempt.errorMessage = message
  }

  #replyFault(fault: GatewayError): void {
    // What is left of the request is not read: the connection cannot serve another one.
    if (!this.#request.complete) this.#client.closeAfterwards()
    const { headers, body } = faultReply(fault, this.#errorFormat)
    this.#reply(fault.status, headers, typeof body === 'string' ? Buffer.from(body) : body)
  }

  /** The response is closed: sent to the end, or the client left. */
  #closed(): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#backoff)
    clearTimeout(this.#requestTimer)
    clearTimeout(this.#totalTimer)
    const exchange = this.#exchange
    exchange.endedAt = performance.now()
    this.#client.closed()
    if (!this.#client.isSent && this.#outcome === undefined && !this.#isListening) this.#noteAbort()
    this.#answer?.close()
    this.#tries?.abandoned()
    const settling = this.#settle()
    if (settling === undefined) this.#record()
    else settling.catch((error: unknown) => this.#deps.unexpected(error)).then(() => this.#record())
  }

  /** A stream on which an MCP client waits for whatever may come is ended by leaving it. */
  get #isListening(): boolean {
    return this.#mcp !== undefined && this.#exchange.method === 'GET' && this.#client.hasBegun
  }

  #settle(): Promise<void> | undefined {
    const mcp = this.#mcp
    if (mcp !== undefined) return mcp.closed()?.then(() => this.#concludeMcp())
    try {
      return this.#answer?.settle(this.#deps.countTokens)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** An answer that went another way than the response was over when it was there. */
  #concludeMcp(): void {
    if (this.#outcome === undefined) this.#exchange.endedAt = performance.now()
  }

  #noteAbort(): void {
    const exchange = this.#exchange
    this.#outcome = 'client_abort'
    exchange.errorType = FAULTS.client_closed.errorType
    exchange.errorMessage = 'the client closed the connection'
    if (!this.#client.hasBegun) exchange.status = FAULTS.client_closed.status
    this.#endAttempt('caller_abort', exchange.errorMessage)
  }

  /** Whatever happens on the way to its figures, the record is written. */
  #record(): void {
    const exchange = this.#exchange
    if (this.#outcome === undefined) this.#mcp?.conclude()
    exchange.outcome = this.#outcome ?? this.#mcp?.outcome ?? this.#answer?.outcome ?? 'completed'
    try {
      this.#price()
    } catch (error) {
      this.#deps.unexpected(error)
    }
    try {
      for (const policy of this.#matched?.target.policies ?? []) policy.onFinished?.(exchange)
    } catch (error) {
      this.#deps.unexpected(error)
    } finally {
      this.#deps.finished(this.#exchange, this.#payload())
    }
  }

  #payload(): Payload | undefined {
    const asked = this.#asked
    if (asked === undefined) return undefined
    const answered = this.#answer?.text()
    return { request: keptJson(asked), response: answered === undefined ? undefined : keptText(answered) }
  }

  #price(): void {
    const { llm } = this.#exchange
    if (llm?.usage === undefined) return
    const { cost, status } = this.#deps
      .pricing()
      .price(llm.provider, llm.responseModel, llm.requestModel, llm.usage)
    llm.cost = cost
    llm.costStatus = status
  }
}

export interface Flows {
  /** The request is under way until its response is closed. */
  readonly begin: (request: IncomingMessage, response: ServerResponse, entry: FlowEntry) => Flow
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
        flow.end(fault)
        flow = next
      }
    },
  }
}
