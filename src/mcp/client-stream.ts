/**
 * What goes to a client as events, numbered, so that a stream that broke can be taken up again where it broke.
 *
 * Every session keeps its last events, of all its streams together, up to a bound. What was pushed out of it cannot
 * be sent again: the client hears of the rest.
 */
import { formatEvent } from '../core/sse.ts'
import type { RpcMessage } from './json-rpc.ts'
import type { Relay } from './peer.ts'

/** A client's response, as far as streams write to it. */
export interface EventSink {
  readonly write: (bytes: Buffer) => void
  readonly end: () => void
}

interface KeptEvent {
  readonly stream: number
  readonly sequence: number
  readonly text: string
}

export interface History {
  readonly keep: (stream: number, text: (id: string) => string) => string
  /** Undefined: no such id was ever given. */
  readonly after: (
    eventId: string,
  ) => { readonly stream: number; readonly texts: readonly string[] } | undefined
}

const MAX_EVENTS = 500
const MAX_CHARS = 1024 * 1024

export function history(): History {
  const kept: KeptEvent[] = []
  let chars = 0
  let last = 0
  return {
    keep(stream, format) {
      const sequence = ++last
      const text = format(`${stream}-${sequence}`)
      kept.push({ stream, sequence, text })
      chars += text.length
      while (kept.length > 1 && (kept.length > MAX_EVENTS || chars > MAX_CHARS)) {
        chars -= kept.shift()?.text.length ?? 0
      }
      return text
    },
    after(eventId) {
      const match = /^(\d{1,9})-(\d{1,15})$/.exec(eventId)
      const [stream, sequence] = [Number(match?.[1]), Number(match?.[2])]
      if (match === null || sequence > last) return undefined
      const missed = kept.filter((event) => event.stream === stream && event.sequence > sequence)
      return { stream, texts: missed.map(({ text }) => text) }
    },
  }
}

/** How soon a client whose stream ended is to come back. */
const RETRY_MS = 1000
const PING = Buffer.from(': ping\n\n')
/** Below the idle limits of common proxies. */
const PING_MS = 15_000
const MAX_UNSENT = 100

/** One stream of events to the client; its response may come, go, and come again. */
export class ClientStream implements Relay {
  readonly number: number
  readonly #history: History | undefined
  #sink: EventSink | undefined
  #ping: NodeJS.Timeout | undefined
  /** Came while no response was there to take it. */
  #unsent: string[] = []
  #unsentChars = 0
  #isOver = false
  #lastWord: (() => void) | undefined

  constructor(number: number, kept: History | undefined) {
    this.number = number
    this.#history = kept
  }

  get isAttached(): boolean {
    return this.#sink !== undefined
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** `missed`: what a client that comes back lacks. A response that was there before is ended: its client has left it. */
  attach(sink: EventSink, missed: readonly string[] = this.#unsent): void {
    this.#sink?.end()
    this.#sink = sink
    clearInterval(this.#ping)
    this.#ping = setInterval(() => this.#sink?.write(PING), PING_MS)
    this.#ping.unref()
    if (missed.length > 0) sink.write(Buffer.from(missed.join('')))
    this.#unsent = []
    this.#unsentChars = 0
    if (this.#isOver) this.#finish()
  }

  /** An event without content, so that the client knows from the beginning where to go on. */
  prime(): void {
    this.#push({ data: '', retry: RETRY_MS })
  }

  /** Tells whoever waits on the way that the gateway is there. */
  comment(): void {
    this.#sink?.write(PING)
  }

  detach(sink: EventSink): void {
    if (this.#sink !== sink) return
    this.#sink = undefined
    clearInterval(this.#ping)
  }

  send(message: RpcMessage): void {
    this.#push({ event: 'message', data: JSON.stringify(message) })
  }

  #push(event: { readonly event?: string; readonly data: string; readonly retry?: number }): void {
    const format = (id?: string) =>
      formatEvent({ event: event.event, data: event.data, id, retry: event.retry })
    const text = this.#history === undefined ? format() : this.#history.keep(this.number, format)
    if (this.#sink !== undefined) this.#sink.write(Buffer.from(text))
    else this.#hold(text)
  }

  #hold(text: string): void {
    this.#unsent.push(text)
    this.#unsentChars += text.length
    while (this.#unsent.length > 1 && (this.#unsent.length > MAX_UNSENT || this.#unsentChars > MAX_CHARS))
      this.#unsentChars -= this.#unsent.shift()?.length ?? 0
  }

  /** An event that is no message: the address of the old transport. */
  announce(event: string, data: string): void {
    this.#sink?.write(Buffer.from(formatEvent({ event, data })))
  }

  /** A last word before the end, where there is one to be said. */
  onEnd(listener: () => void): void {
    this.#lastWord = listener
  }

  /** Nothing more will come. */
  end(): void {
    if (!this.#isOver) this.#lastWord?.()
    this.#isOver = true
    this.#finish()
  }

  #finish(): void {
    clearInterval(this.#ping)
    const sink = this.#sink
    this.#sink = undefined
    sink?.end()
  }
}
