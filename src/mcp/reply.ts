/**
 * The answer to a client's POST: JSON when the answer is all that there is to say, events as soon as there is more,
 * or when it takes so long that a client, or a proxy on the way, might think that nobody is there.
 */
import type { McpErrorType } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import type { ClientStream, EventSink } from './client-stream.ts'
import type { RpcMessage, RpcResponse } from './json-rpc.ts'
import type { Relay } from './peer.ts'
import type { Session } from './session.ts'

/** The client's response, as the gateway lends it. */
export interface ClientPort {
  readonly reply: (status: number, headers: Headers, body: Buffer) => void
  /** The same, for what the gateway itself does not do. */
  readonly refuse: (
    status: number,
    headers: Headers,
    body: Buffer,
    why: { readonly type: McpErrorType; readonly message: string },
  ) => void
  /** Begins a 200 whose body are events. */
  readonly openEvents: (headers: Headers) => EventSink
  readonly isOpen: () => boolean
  /** Ended by somebody else than by what the step has to say: by a timeout, by the end of the gateway. */
  readonly isCut: () => boolean
  readonly onClosed: (listener: () => void) => void
}

const OPEN_AFTER_MS = 250

/** Where a version begins in which clients understand events without content. */
const PRIMING_VERSION = '2025-11-25'

export class PostReply implements Relay {
  readonly #port: ClientPort
  readonly #session: Session
  readonly #headers: Headers
  readonly #timer: NodeJS.Timeout
  #stream: ClientStream | undefined

  constructor(port: ClientPort, session: Session, headers: Headers) {
    this.#port = port
    this.#session = session
    this.#headers = headers
    this.#timer = setTimeout(() => this.#open(true), OPEN_AFTER_MS)
  }

  #open(isEarly: boolean): ClientStream {
    if (this.#stream !== undefined) return this.#stream
    clearTimeout(this.#timer)
    const session = this.#session
    const stream = session.openStream()
    this.#stream = stream
    if (this.#port.isOpen()) {
      const sink = this.#port.openEvents(this.#headers)
      stream.attach(sink)
      this.#port.onClosed(() => stream.detach(sink))
    }
    if (session.history !== undefined && session.protocolVersion >= PRIMING_VERSION) stream.prime()
    else if (isEarly) stream.comment()
    return stream
  }

  send(message: RpcMessage): void {
    this.#open(false).send(message)
  }

  /** The answers, and nothing after them. None: the client has given its requests up. */
  finish(status: number, headers: Headers, responses: readonly RpcResponse[], isBatch: boolean): void {
    clearTimeout(this.#timer)
    if (this.#stream !== undefined) {
      for (const response of responses) this.#stream.send(response)
      this.#session.closeStream(this.#stream)
      return
    }
    if (!this.#port.isOpen()) return
    const [only] = responses
    if (only === undefined) {
      this.#port.reply(202, this.#headers, Buffer.alloc(0))
      return
    }
    const body = Buffer.from(JSON.stringify(isBatch ? responses : only))
    this.#port.reply(status, { ...this.#headers, ...headers, 'content-type': 'application/json' }, body)
  }
}
