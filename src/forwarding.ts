/** A request's way to an upstream, and on to the next while the client has seen nothing of this one's answer. */
import type { IncomingMessage } from 'node:http'
import { Answer } from './answer.ts'
import type { ForwardingBackend, ModelBackend, PooledBackend, Route } from './compile.ts'
import type { CelExpression } from './core/cel.ts'
import { type ErrorType, errorTypeOfStatus, FAULTS, GatewayError, type Outcome } from './core/errors.ts'
import { beginAttempt, type Exchange, noteEvent } from './core/exchange.ts'
import type { Headers } from './core/headers.ts'
import { isTrue } from './core/rules.ts'
import { formatTraceparent } from './core/trace-context.ts'
import type { Upstreams } from './core/upstream.ts'
import { explain } from './fault-reply.ts'
import type { ClientResponse } from './listen/client-response.ts'
import { hasBody } from './listen/incoming.ts'
import { type RequestBody, receiveBody } from './listen/receive.ts'
import { createVerdicts, type Verdicts, whenAsked } from './llm/guard/verdicts.ts'
import { keptJson, keptText } from './llm/payload.ts'
import { type Body, clientModelOf, type LlmBackend, type LlmPlan, planLlm } from './llm/plan.ts'
import type { RelayOptions } from './llm/relay.ts'
import { endUserOf } from './llm/request-facts.ts'
import { type CountTokens, countInput } from './llm/settle.ts'
import { askedOf } from './model-choice.ts'
import { onModelRequest } from './policies/chain.ts'
import type { DirectReply, Policy, RequestHead } from './policies/policy.ts'
import { answerVariables, requestVariables } from './policies/request-variables.ts'
import { isPassing, type Retry, retryAfterMs } from './policies/retry.ts'
import type { Timeouts } from './policies/timeout.ts'
import { mostAttempts, type Next, Tries, type Verdict } from './tries.ts'
import type { Pricing } from './usage/price.ts'

/** Of a request's text, roughly: what is reserved is settled by what was used. */
const BYTES_PER_TOKEN = 4

/** Of an answer; who asks for more has no more reserved. */
const MAX_OUTPUT_TOKENS = 1_000_000

const EMPTY = Buffer.alloc(0)

/** From a request's arrival until it has to have its answer. */
const longestMs = ({ requestMs, totalMs }: Timeouts) => Math.min(requestMs || Infinity, totalMs || Infinity)

export interface ForwardingDependencies {
  readonly upstreams: Upstreams
  readonly pricing: () => Pricing
  readonly countTokens: CountTokens
  /** Largest request body that is held in memory. */
  readonly maxBodyBytes: () => number
  readonly relay: RelayOptions
  /** What models were asked and what they answered is wanted too. */
  readonly keepsPayloads: () => boolean
  readonly debug: (message: string, fields: Readonly<Record<string, string>>) => void
  readonly random: () => number
}

export interface Payload {
  readonly request: string | undefined
  readonly response: string | undefined
}

/** Not made where a body is at hand: it would keep that. */
const monotonicMs = () => performance.now()

/** Why an attempt is not the last one, or tells against its upstream. */
interface Why {
  readonly status?: number
  readonly reason: ErrorType | undefined
}

/** What is lent of the request that is on its way. */
export interface Forwarded {
  readonly deps: ForwardingDependencies
  readonly request: IncomingMessage
  readonly client: ClientResponse
  readonly exchange: Exchange
  readonly isOver: boolean
  /** What a step throws ends the request. */
  guard(step: () => void): void
  /** Goes on with `next` unless one of the policies answers the request itself. */
  apply(policies: readonly Policy[], head: RequestHead, next: () => void): void
  reply(status: number, headers: Headers, body: Buffer): void
  replyDirectly(reply: DirectReply): void
  /** Response policies, on the headers for the client. */
  decorate(headers: Headers, status: number): void
  /** The response begins. */
  onHead(): void
  fail(error: unknown): void
}

export class Forwarding {
  readonly #lent: Forwarded
  readonly #route: Route
  readonly #head: RequestHead
  #tries: Tries | undefined
  /** Whose attempt is the latest. */
  #asking: ForwardingBackend | undefined
  /** The request's body, where it had to be read to know whom to ask. */
  #json: Body | undefined
  /** The client's request, where it is to be kept. */
  #asked: Readonly<Record<string, unknown>> | undefined
  #answer: Answer | undefined
  /** One more attempt; undefined when there is none, or the client has seen something of this one. */
  #again: ((backend: ForwardingBackend) => void) | undefined
  /** Of services that guard the request, and who waits for them. */
  #verdicts: Verdicts | undefined
  #leaving: AbortController | undefined
  #isClosed = false
  /** The next attempt is waited for. */
  #backoff: NodeJS.Timeout | undefined

  constructor(lent: Forwarded, route: Route, head: RequestHead) {
    this.#lent = lent
    this.#route = route
    this.#head = head
  }

  begin(backend: ModelBackend | PooledBackend): void {
    const { deps, request, exchange } = this.#lent
    const route = this.#route
    const retry = this.#retryOf(route)
    const begun = performance.now()
    const asksModel = backend.models !== undefined || backend.tiers[0]?.[0]?.llm !== undefined
    const changeBody = hasBody(request) ? this.#head.changeBody : undefined
    const maxBytes = deps.maxBodyBytes()
    const wanted = {
      isRead: asksModel || changeBody !== undefined,
      isRepeated: backend.models === undefined && mostAttempts(backend, retry) > 1,
      buffer: route.buffer,
      maxBytes,
      subject: asksModel ? 'failed to process LLM request' : 'failed to process the request',
    }
    receiveBody(request, wanted, (error, received, bytes) => {
      if (this.#lent.isOver) return
      this.#lent.guard(() => {
        if (error !== undefined) throw error
        exchange.requestBytes = bytes
        const body = changeBody === undefined ? received : this.#changed(received, changeBody, maxBytes)
        const waitedMs = performance.now() - begun
        const pool = backend.models === undefined ? backend : this.#choose(backend, body)
        if (pool === undefined) return
        const tries = new Tries(pool, retry, {
          now: monotonicMs,
          random: deps.random,
          deadline: exchange.startedAt + longestMs(route.timeouts),
        })
        this.#tries = tries
        const first = tries.first()
        if (first === undefined) throw new GatewayError('no_backend', 'no valid backends')
        this.#attempt(tries, first, this.#head, body, waitedMs)
      })
    })
  }

  #changed(
    received: RequestBody,
    change: NonNullable<RequestHead['changeBody']>,
    maxBytes: number,
  ): RequestBody {
    if (!Buffer.isBuffer(received)) return received
    const body = change(received, maxBytes)
    const { headers } = this.#head
    delete headers['content-encoding']
    headers['content-length'] = String(body.length)
    return body
  }

  #retryOf({ retry }: Route): Retry {
    const { precondition } = retry
    if (precondition === undefined) return retry
    const holds = isTrue(precondition, requestVariables(this.#head), false, (condition) =>
      this.#noteFailed(condition),
    )
    return holds ? retry : { ...retry, attempts: 0 }
  }

  /** Not why: errors have the values in them, and these are the client's. */
  #noteFailed({ source }: CelExpression): void {
    this.#lent.deps.debug('an expression cannot be evaluated, and counts as false', {
      'trace.id': this.#lent.exchange.trace.traceId,
      expression: source,
    })
  }

  /** Undefined where that was an answer already. */
  #choose(backend: ModelBackend, body: RequestBody): Pick<PooledBackend, 'tiers'> | undefined {
    const { random } = this.#lent.deps
    const asked = askedOf(backend, this.#head, Buffer.isBuffer(body) ? body : EMPTY, random)
    if ('reply' in asked) {
      this.#lent.replyDirectly(asked.reply)
      return undefined
    }
    this.#json = asked.json
    return asked
  }

  /** `waitedMs`: for the client, until its request was there. */
  #attempt(
    tries: Tries,
    backend: ForwardingBackend,
    head: RequestHead,
    body: RequestBody,
    waitedMs: number,
  ): void {
    tries.begin(backend)
    this.#asking = backend
    this.#lent.exchange.backend = backend.name
    // Another attempt begins with the client's own headers.
    const own = tries.mayGoOn ? { ...head, headers: { ...head.headers } } : head
    const isRepeatable = tries.mayGoOn && (body === null || Buffer.isBuffer(body))
    this.#again = isRepeatable ? (next) => this.#attempt(tries, next, head, body, waitedMs) : undefined
    this.#lent.apply(backend.policies, own, () => {
      if (backend.llm === undefined) this.#sendPlain(backend, own, body, waitedMs)
      else this.#sendToModel(backend.llm, backend, own, Buffer.isBuffer(body) ? body : EMPTY, waitedMs)
    })
  }

  #sendPlain(backend: ForwardingBackend, head: RequestHead, body: RequestBody, waitedMs: number): void {
    const { headers } = head
    delete headers.expect
    if (backend.auth !== undefined) headers[backend.auth.header] = backend.auth.value
    const path = head.query === '' ? head.path : `${head.path}?${head.query}`
    this.#send(backend, head, { path, headers, body }, undefined, Buffer.isBuffer(body) ? waitedMs : 0)
  }

  #sendToModel(
    llm: LlmBackend,
    backend: ForwardingBackend,
    head: RequestHead,
    body: Buffer,
    waitedMs: number,
  ): void {
    const { exchange } = this.#lent
    const { method, path, query, headers } = head
    const isFirst = exchange.llm === undefined
    const verdicts = llm.guard?.asks === true ? this.#guardsOf(head) : undefined
    const request = { method, path, query, headers, body, json: this.#json, verdicts }
    const goOn = (plan: LlmPlan) => {
      if (plan.countLocally) this.#countLocally(plan)
      else {
        const { path, headers: changed, body: translated } = plan
        plan.body = null
        this.#send(backend, head, { path, headers: changed, body: translated }, plan, waitedMs)
      }
    }
    const send = (plan: LlmPlan) => {
      this.#notePlan(plan)
      const announced = isFirst ? this.#announce(head, plan, body.length) : undefined
      if (announced === undefined) goOn(plan)
      else this.#afterwards(announced, () => goOn(plan))
    }
    const plan = whenAsked(() =>
      planLlm(llm, request, (facts) => {
        exchange.llm = facts
      }),
    )
    if (plan instanceof Promise) this.#afterwards(plan, send)
    else send(plan)
  }

  #afterwards<T>(awaited: Promise<T>, goOn: (value: T) => void): void {
    const step = (next: () => void) => {
      if (!this.#isClosed) this.#lent.guard(next)
    }
    awaited.then(
      (value) => step(() => goOn(value)),
      (error: unknown) => step(() => this.#lent.fail(error)),
    )
  }

  #notePlan(plan: LlmPlan): void {
    const { deps, exchange } = this.#lent
    exchange.llm = plan.facts
    exchange.user ??= plan.clientBody && endUserOf(plan.clientBody)
    if (deps.keepsPayloads()) this.#asked = plan.clientBody
    if (plan.dropped.length === 0) return
    deps.debug('the translation dropped fields of the request', {
      'trace.id': exchange.trace.traceId,
      fields: plan.dropped.join(' '),
    })
  }

  #guardsOf(head: RequestHead): Verdicts {
    if (this.#verdicts !== undefined) return this.#verdicts
    const { deps, exchange } = this.#lent
    const { traceId, spanId, sampled, traceState } = exchange.trace
    const headers = { ...head.headers }
    const leaving = new AbortController()
    this.#leaving = leaving
    const traceparent = sampled ? formatTraceparent(traceId, spanId, true) : undefined
    this.#verdicts = createVerdicts({
      headers,
      variables: () => requestVariables({ ...head, headers }),
      trace: traceparent === undefined ? {} : { traceparent, ...(traceState && { tracestate: traceState }) },
      signal: leaving.signal,
      maxBytes: deps.relay.maxBytes,
      now: deps.relay.now,
      failed: (guard, { message }) =>
        deps.debug('a guard gave no verdict', { 'trace.id': traceId, guard, error: message }),
    })
    return this.#verdicts
  }

  /** Tells the policies what a model is asked, where one is. */
  #announce(head: RequestHead, plan: LlmPlan, bytes: number): undefined | Promise<undefined> {
    const { deps } = this.#lent
    const { policies } = this.#route
    const { operation, parameters, provider, requestModel } = plan.facts
    if (operation === 'list_models') return undefined
    if (policies.every((policy) => policy.onModelRequest === undefined)) return undefined
    const inputTokens = Math.ceil(bytes / BYTES_PER_TOKEN)
    // The client's own figure: it may be anything.
    const outputTokens = Math.min(MAX_OUTPUT_TOKENS, Math.max(0, parameters.maxTokens ?? 0))
    const usage = { inputTokens, outputTokens, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 }
    const request = {
      model: clientModelOf(plan),
      tokens: inputTokens + outputTokens,
      usd: () => deps.pricing().price(provider, undefined, requestModel, usage).cost?.total ?? 0,
    }
    return onModelRequest(policies, head, request)
  }

  #countLocally(plan: LlmPlan): void {
    const lent = this.#lent
    countInput(plan, lent.deps.countTokens).then(
      (tokens) =>
        lent.guard(() => {
          const body = Buffer.from(JSON.stringify({ input_tokens: tokens }))
          lent.reply(200, { 'content-type': 'application/json' }, body)
        }),
      (error: unknown) => lent.fail(error),
    )
  }

  #send(
    backend: ForwardingBackend,
    head: RequestHead,
    request: { readonly path: string; readonly headers: Headers; readonly body: RequestBody },
    plan: LlmPlan | undefined,
    waitedMs: number,
  ): void {
    const { deps, exchange, client } = this.#lent
    const { trace } = exchange
    const { path, headers, body } = request
    headers.host = head.authority ?? backend.authority
    const now = performance.now()
    const attempt = beginAttempt(backend.endpoint, now)
    exchange.attempts = [...exchange.attempts, attempt]
    if (exchange.attempts.length > 1) headers['x-retry-attempt'] = String(exchange.attempts.length - 1)
    if (trace.sampled) headers.traceparent = formatTraceparent(trace.traceId, attempt.spanId, true)
    exchange.requestProcessingMs ??= now - exchange.startedAt - waitedMs
    const answer = new Answer({
      exchange,
      client,
      plan,
      relay: deps.relay,
      decorate: (answerHeaders, status) => {
        this.#tries?.shown()
        this.#lent.decorate(answerHeaders, status)
      },
      accepts: (status, answered) => this.#accepts(status, answered),
      isReplaceable: () => this.#mayGoOn,
      onHead: () => {
        this.#lent.onHead()
        // An answer before the upload is over: what is left of it makes the connection useless for another request.
        if (!this.#lent.request.complete) client.closeAfterwards()
      },
      onEnd: (failure) => {
        if (failure === undefined) this.#tries?.succeeded()
        else this.#noteEviction(this.#tries?.failed(), { reason: failure.type })
      },
      onFault: (error) => this.#failUpstream(error),
      keepsText: this.#asked !== undefined,
    })
    this.#answer = answer
    const upstreamRequest = { method: head.method, path, headers, body }
    answer.call = deps.upstreams.send(backend.target, upstreamRequest, backend.timeouts, attempt, answer)
    // The upstream may have failed before there was a call to abandon.
    if (this.#lent.isOver) answer.close()
  }

  get #mayGoOn(): boolean {
    return this.#again !== undefined
  }

  /** False when another attempt takes the place of this one. */
  #accepts(status: number, headers: Headers): boolean {
    const tries = this.#tries
    if (tries === undefined) return true
    const { isRetried, hasFailed } = tries.judge(status) ?? this.#judge(tries, status, headers)
    tries.answered()
    if (!hasFailed && !isRetried) return true
    const retryAfter = retryAfterMs(headers, Date.now())
    const why: Why = { status, reason: status < 400 ? undefined : errorTypeOfStatus(status) }
    if (hasFailed) this.#noteEviction(tries.failed(retryAfter), why)
    const next = this.#mayGoOn && isRetried ? tries.next(retryAfter) : undefined
    if (next === undefined) return true
    if (!hasFailed) tries.succeeded()
    this.#goOn(next, why)
    return false
  }

  #judge(tries: Tries, status: number, headers: Headers): Verdict {
    const variables = answerVariables(this.#head, status, headers)
    return tries.judgeBy(status, variables, (condition) => this.#noteFailed(condition))
  }

  #failUpstream(error: unknown): void {
    const { request } = this.#lent
    // An upload that the client broke off reaches us as the upstream's failure.
    if (request.destroyed && !request.complete) return
    const isUpstreams = error instanceof GatewayError && isPassing(error.code)
    const why: Why = { reason: isUpstreams ? FAULTS[error.code].errorType : undefined }
    // What has as much to do as it may have has not failed.
    if (isUpstreams && error.code === 'overloaded') this.#noteShed()
    else if (isUpstreams) this.#noteEviction(this.#tries?.failed(), why)
    // As far as the upstream is concerned: a guard may have refused what it answered.
    else this.#tries?.succeeded()
    const next = isUpstreams && !this.#lent.isOver && this.#mayGoOn ? this.#tries?.next() : undefined
    if (next === undefined) {
      this.#lent.fail(error)
      return
    }
    if (isUpstreams) this.#explainAttempt(error)
    this.#goOn(next, why)
  }

  #noteShed(): void {
    this.#tries?.abandoned()
    noteEvent(this.#lent.exchange, { name: 'backend.shed', backend: this.#asking?.name })
  }

  #noteEviction(durationMs: number | undefined, why: Why): void {
    if (durationMs === undefined) return
    const backend = this.#asking?.name
    noteEvent(this.#lent.exchange, { name: 'backend.evicted', backend, durationMs, ...why })
  }

  /** A whole answer may have arrived, and be none. */
  #explainAttempt(error: GatewayError): void {
    const attempt = this.#lent.exchange.attempts.at(-1)
    if (attempt === undefined) return
    attempt.errorType ??= FAULTS[error.code].errorType
    attempt.errorMessage ??= explain(error)
  }

  #goOn({ backend, delayMs }: Next, why: Why): void {
    const before = this.#asking
    const durationMs = delayMs > 0 ? delayMs : undefined
    noteEvent(
      this.#lent.exchange,
      before === backend
        ? { name: 'backend.retry', backend: backend.name, durationMs, ...why }
        : { name: 'backend.failover', backend: backend.name, from: before?.name, durationMs, ...why },
    )
    this.#answer?.discard()
    this.#answer = undefined
    const again = this.#again
    // Not within the callback of the attempt that has just failed.
    this.#backoff = setTimeout(() => this.#lent.guard(() => again?.(backend)), delayMs)
  }

  /** The response begins: from here on this is the client's answer. Gives the policies of whoever was asked last. */
  settledOn(): readonly Policy[] | undefined {
    this.#again = undefined
    return this.#asking?.policies
  }

  /** What ends the exchange from outside ends the attempt that is under way, too. */
  endAttempt(errorType: ErrorType, message: string): void {
    clearTimeout(this.#backoff)
    const attempt = this.#lent.exchange.attempts.at(-1)
    if (attempt === undefined || attempt.endedAt !== undefined) return
    attempt.errorType = errorType
    attempt.errorMessage = message
  }

  /** Of a response that has begun. */
  cutShort(fault: GatewayError): void {
    if (this.#answer === undefined) this.#lent.client.destroy()
    else this.#answer.cutShort(fault)
  }

  /** Nothing that arrives from here on counts. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#backoff)
    this.#leaving?.abort()
    this.#answer?.close()
    this.#tries?.abandoned()
  }

  get outcome(): Outcome | undefined {
    return this.#answer?.outcome
  }

  /** The last word on the tokens. Undefined when nothing has to be waited for. */
  settle(): Promise<void> | undefined {
    return this.#answer?.settle(this.#lent.deps.countTokens)
  }

  payload(): Payload | undefined {
    const asked = this.#asked
    if (asked === undefined) return undefined
    const answered = this.#answer?.text()
    return { request: keptJson(asked), response: answered === undefined ? undefined : keptText(answered) }
  }
}
