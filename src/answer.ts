/**
 * The upstream's answer on its way to the client: gathered whole where it has to be judged, else passed on as it
 * comes, and read beside.
 */
import type { Transform } from 'node:stream'
import { decoderFor } from './core/content-encoding.ts'
import { errorTypeOfStatus, GatewayError, type Outcome } from './core/errors.ts'
import { CHUNK_DELAY_BUCKETS, type Exchange } from './core/exchange.ts'
import { dropHopByHop, type Headers } from './core/headers.ts'
import type { UpstreamAttempt, UpstreamHandler } from './core/upstream.ts'
import type { ClientResponse } from './listen/client-response.ts'
import { whenAsked } from './llm/guard/verdicts.ts'
import type { LlmPlan } from './llm/plan.ts'
import {
  endOf,
  type RelayOptions,
  relayWhole,
  type StreamEnd,
  type StreamRelay,
  streamRelay,
  type WholeAnswer,
} from './llm/relay.ts'
import { type CountTokens, settleStream, settleWhole } from './llm/settle.ts'

export interface AnswerOptions {
  readonly exchange: Exchange
  readonly client: ClientResponse
  /** undefined for a plain reverse proxy. */
  readonly plan: LlmPlan | undefined
  readonly relay: RelayOptions
  /** Response policies, on the headers for the client. */
  readonly decorate: (headers: Headers, status: number) => void
  /** False: this is not what the client gets, another attempt has taken its place. */
  readonly accepts: (status: number, headers: Headers) => boolean
  /** As long as the client has seen nothing of it, another attempt may take its place. */
  readonly isReplaceable: () => boolean
  readonly onHead: () => void
  /** The upstream has told all of an answer that the client has, whole unless there is a failure. */
  readonly onEnd: (failure: StreamEnd['failure']) => void
  readonly onFault: (error: unknown) => void
  /** The answer's text is asked for when all is over. */
  readonly keepsText: boolean
}

interface Unshown {
  readonly timer: NodeJS.Timeout
  readonly pieces: { readonly bytes: Buffer | undefined; readonly arrivedAt: number }[]
  bytes: number
}

/** A model may think for long before it says anything; its client is not to take that for silence. */
const UNSHOWN_MS = 1000
const MAX_UNSHOWN_BYTES = 64 * 1024

export class Answer implements UpstreamHandler {
  readonly #options: AnswerOptions
  readonly #exchange: Exchange
  readonly #client: ClientResponse
  readonly #plan: LlmPlan | undefined
  #status = 0
  #headers: Headers = {}
  #relay: StreamRelay | undefined
  /** The pieces of an answer that has to be whole. */
  #held: Buffer[] | undefined
  #heldBytes = 0
  /** The provider compresses although it was asked not to: undone, for what is read must be plain. */
  #decoder: Transform | undefined
  /** Text of an answer whose provider reported no usage. */
  #uncounted: string | undefined
  /** Kept for whoever asks for its text. */
  #whole: Buffer | undefined
  /** The head of a stream that has shown nothing yet, and what came after it. */
  #unshown: Unshown | undefined
  #isOver = false
  call: UpstreamAttempt | undefined
  /** Set when the bytes themselves say that this is no success. */
  outcome: Outcome | undefined

  constructor(options: AnswerOptions) {
    this.#options = options
    this.#exchange = options.exchange
    this.#client = options.client
    this.#plan = options.plan
  }

  /** Nothing that arrives from here on counts. */
  close(): void {
    this.#judgeLeft()
    this.#leave()
    this.call?.abort()
  }

  /** Another attempt takes its place. */
  discard(): void {
    this.#leave()
    this.call?.discard()
  }

  /** A client may leave with the last event, before the connection to the upstream ends. */
  #judgeLeft(): void {
    const observer = this.#relay?.observer
    if (this.#isOver || observer === undefined) return
    if (observer.terminated() || observer.error() !== undefined) this.#options.onEnd(endOf(observer))
  }

  #leave(): void {
    this.#isOver = true
    clearTimeout(this.#unshown?.timer)
    this.#decoder?.destroy()
  }

  /** Runs a step of the upstream's: it is the gateway that works while it runs, and a fault in it is the exchange's. */
  #work(startedAt: number, step: () => void): void {
    if (this.#isOver) return
    try {
      step()
    } catch (error) {
      this.#options.onFault(error)
    }
    this.#exchange.responseProcessingMs += performance.now() - startedAt
  }

  onHead(status: number, headers: Headers): void {
    this.#work(performance.now(), () => this.#begin(status, headers))
  }

  onData(chunk: Buffer): void {
    if (this.#decoder === undefined) this.#received(chunk)
    else if (!this.#decoder.write(chunk)) this.call?.pause()
  }

  onEnd(): void {
    if (this.#decoder === undefined) this.#receivedAll()
    else this.#decoder.end()
  }

  onError(error: GatewayError): void {
    if (this.#isOver) return
    // The answer was whole: a connection that breaks behind it takes nothing from it.
    if (this.#relay?.observer?.terminated() === true) this.#work(performance.now(), () => this.#endStream())
    else this.#options.onFault(error)
  }

  #received(chunk: Buffer): void {
    const arrivedAt = performance.now()
    this.#work(arrivedAt, () => {
      if (this.#held !== undefined) this.#hold(chunk)
      else this.#pass(chunk, arrivedAt)
    })
  }

  #receivedAll(): void {
    this.#work(performance.now(), () => {
      if (this.#held !== undefined) this.#replyWhole(this.#held)
      else this.#endStream()
    })
  }

  #begin(status: number, headers: Headers): void {
    if (!this.#options.accepts(status, headers)) return
    this.#options.onHead()
    this.#status = status
    dropHopByHop(headers)
    this.#headers = headers
    const plan = this.#plan
    this.#noteStatus(status)
    const isRead = plan !== undefined && plan.way.kind !== 'raw'
    const isEvents = String(headers['content-type'] ?? '').startsWith('text/event-stream')
    if (isRead) {
      this.#decode(headers)
      if (!isEvents || status >= 400) {
        this.#held = []
        return
      }
      delete headers['content-length']
      if (plan.way.kind === 'translate') headers['content-type'] = 'text/event-stream; charset=utf-8'
    }
    if (plan !== undefined) this.#relay = streamRelay(plan, this.#options.relay)
    if (isEvents) this.#exchange.chunkDelayCounts = new Uint32Array(CHUNK_DELAY_BUCKETS.length + 1)
    if (isEvents && this.#options.isReplaceable()) {
      const timer = setTimeout(() => this.#work(performance.now(), () => this.#show()), UNSHOWN_MS)
      this.#unshown = { timer, pieces: [], bytes: 0 }
    } else this.#open(isEvents)
  }

  #open(isEvents: boolean): void {
    this.#options.decorate(this.#headers, this.#status)
    this.#client.begin(this.#status, this.#headers)
    this.#headers = {}
    if (isEvents) this.#client.flushHead()
  }

  /** From here on the client has this answer. */
  #show(): void {
    const unshown = this.#unshown
    if (unshown === undefined) return
    clearTimeout(unshown.timer)
    this.#unshown = undefined
    this.#open(true)
    for (const { bytes, arrivedAt } of unshown.pieces) this.#write(bytes, arrivedAt)
  }

  #write(bytes: Buffer | undefined, arrivedAt: number): void {
    if (bytes !== undefined) this.#client.write(bytes, this.#decoder ?? this.call)
    if (this.#client.isEnded) this.#options.onEnd(undefined)
    const { chunkDelayCounts } = this.#exchange
    if (chunkDelayCounts !== undefined) this.#noteDelay(chunkDelayCounts, performance.now() - arrivedAt)
  }

  /** Until there is content: what comes before it is the same in every answer. */
  #holdUnshown(unshown: Unshown, bytes: Buffer | undefined, arrivedAt: number): void {
    unshown.pieces.push({ bytes, arrivedAt })
    unshown.bytes += bytes?.length ?? 0
    const observer = this.#relay?.observer
    const error = observer?.error()
    if (error !== undefined) throw new GatewayError('upstream_bad_response', `upstream call failed: ${error}`)
    const hasContent = observer === undefined || this.#plan?.facts.firstTokenAt !== undefined
    if (hasContent || unshown.bytes > MAX_UNSHOWN_BYTES) this.#show()
  }

  #noteStatus(status: number): void {
    if (status < (this.#plan === undefined ? 500 : 400)) return
    this.outcome = 'upstream_error'
    this.#exchange.errorType = errorTypeOfStatus(status)
    this.#exchange.errorMessage = `the upstream answered ${status}`
  }

  #decode(headers: Headers): void {
    const decoder = decoderFor(headers['content-encoding']?.toString())
    if (typeof decoder === 'string') return
    delete headers['content-encoding']
    delete headers['content-length']
    this.#decoder = decoder
    decoder.on('data', (bytes: Buffer) => this.#received(bytes))
    decoder.on('end', () => this.#receivedAll())
    decoder.on('drain', () => this.call?.resume())
    decoder.on('error', (cause: Error) => {
      const message = 'upstream call failed: the response is not compressed as it says'
      this.onError(new GatewayError('upstream_bad_response', message, { cause }))
    })
  }

  #hold(chunk: Buffer): void {
    this.#heldBytes += chunk.length
    if (this.#heldBytes > this.#options.relay.maxBytes) {
      throw new GatewayError('upstream_too_large', 'failed to process LLM response: the answer is too large')
    }
    this.#held?.push(chunk)
  }

  #pass(chunk: Buffer, arrivedAt: number): void {
    const bytes = this.#relay === undefined ? chunk : this.#relay.forward(chunk)
    if (this.#unshown !== undefined) {
      this.#relay?.observe(chunk)
      this.#holdUnshown(this.#unshown, bytes, arrivedAt)
      return
    }
    this.#write(bytes, arrivedAt)
    this.#relay?.observe(chunk)
  }

  #noteDelay(counts: Uint32Array, delayMs: number): void {
    const seconds = delayMs / 1000
    let bucket = CHUNK_DELAY_BUCKETS.findIndex((bound) => seconds <= bound)
    if (bucket < 0) bucket = CHUNK_DELAY_BUCKETS.length
    counts[bucket] = (counts[bucket] ?? 0) + 1
    this.#exchange.chunkDelaySumMs += delayMs
  }

  #replyWhole(pieces: readonly Buffer[]): void {
    const plan = this.#plan
    if (plan === undefined) return
    const [only = Buffer.alloc(0)] = pieces
    const body = pieces.length > 1 ? Buffer.concat(pieces, this.#heldBytes) : only
    this.#afterGuards(
      () => relayWhole(plan, this.#status, body, this.#options.relay),
      (answer) => this.#tellWhole(answer),
    )
  }

  /** A guard may have to be asked before it is known what to tell. */
  #afterGuards<T>(step: () => T, tell: (known: T) => void): void {
    const known = whenAsked(step)
    if (!(known instanceof Promise)) {
      tell(known)
      return
    }
    const since = performance.now()
    known.then(
      (answer) => this.#work(since, () => tell(answer)),
      (error: unknown) => {
        if (!this.#isOver) this.#options.onFault(error)
      },
    )
  }

  #tellWhole(answer: WholeAnswer): void {
    if (answer.errorMessage !== undefined) this.#exchange.errorMessage = answer.errorMessage
    this.#uncounted = answer.uncounted
    const headers = this.#headers
    if (answer.rewritten) headers['content-type'] = 'application/json'
    this.#options.decorate(headers, this.#status)
    if (this.#options.keepsText) this.#whole = answer.body
    this.#options.onEnd(undefined)
    this.#client.reply(this.#status, headers, answer.body)
  }

  /** What the client was told: a whole answer as it was, of a stream the text. Undefined where nothing was read. */
  text(): string | undefined {
    if (this.#whole !== undefined) return this.#whole.toString('utf8')
    return this.#relay?.text()
  }

  #endStream(): void {
    this.#afterGuards(
      () => this.#relay?.end(),
      (ended) => this.#tellEnd(ended),
    )
  }

  #tellEnd(ended: StreamEnd | undefined): void {
    if (this.#unshown !== undefined && ended?.failure !== undefined)
      throw new GatewayError('upstream_bad_response', `upstream call failed: ${ended.failure.message}`)
    this.#show()
    if (ended?.failure !== undefined) {
      this.outcome = 'upstream_midstream_error'
      this.#exchange.errorType = ended.failure.type
      this.#exchange.errorMessage = ended.failure.message
    }
    this.#options.onEnd(ended?.failure)
    this.#client.end(ended?.bytes)
  }

  /** After the head nothing but the stream itself can tell of a failure; where it cannot, the connection is closed. */
  cutShort(fault: GatewayError): void {
    const { reply } = fault
    const said = String(reply?.body ?? reply?.message ?? fault.message)
    const last = this.#relay?.cut(fault.status, said, fault.code)
    if (last === undefined || this.#client.hasPromisedLength) this.#client.destroy()
    else this.#client.end(last)
  }

  /** The last word on the tokens. Undefined when nothing has to be waited for. */
  settle(countTokens: CountTokens): Promise<void> | undefined {
    const plan = this.#plan
    if (plan === undefined || this.#status >= 400) return undefined
    confirmModel(plan.facts)
    if (this.#uncounted !== undefined) return settleWhole(plan, this.#uncounted, countTokens)
    const observer = this.#relay?.observer
    return observer === undefined ? undefined : settleStream(plan, observer, countTokens)
  }
}

/** A provider answers for `gpt-4o` as `gpt-4o-2024-08-06`. One that answers whatever it is asked confirms nothing. */
function confirmModel(facts: LlmPlan['facts']): void {
  const { requestModel, responseModel } = facts
  if (requestModel === undefined || responseModel === undefined) return
  if (responseModel.startsWith(requestModel.replace(/-latest$/, ''))) facts.modelConfirmed = true
}
