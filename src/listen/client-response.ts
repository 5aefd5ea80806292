/**
 * The response to the client: head, bytes with back-pressure, and what the record wants to know of them.
 *
 * Node's `close` event comes once per response, whether it was sent to the end or the client left; it is the one
 * place where an exchange ends.
 */
import type { ServerResponse } from 'node:http'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'

/** Tells the client under which trace its request is recorded and logged. */
const TRACE_HEADER = 'x-trace-id'

const SMALL_BODY = 16 * 1024

/** Whoever produces the bytes, and can be told to wait. */
interface Source {
  pause(): void
  resume(): void
}

export class ClientResponse {
  readonly #response: ServerResponse
  readonly #exchange: Exchange
  /** Bytes that `content-length` promises; -1 when it promises nothing. */
  #promised = -1
  #pausedAt: number | undefined
  readonly #ownsConnection: boolean

  /** `ownsConnection`: false where another process has the client's connection, and closes it when it has to. */
  constructor(response: ServerResponse, exchange: Exchange, ownsConnection = true) {
    this.#response = response
    this.#exchange = exchange
    this.#ownsConnection = ownsConnection
  }

  get hasBegun(): boolean {
    return this.#response.headersSent
  }

  get isEnded(): boolean {
    return this.#response.writableEnded
  }

  /** True when the last byte was handed to the system. */
  get isSent(): boolean {
    return this.#response.writableFinished
  }

  /** What was written and the system has not taken yet. */
  get bufferedBytes(): number {
    return this.#response.writableLength
  }

  /** True when the client was promised a number of bytes: then only closing the connection can tell of a failure. */
  get hasPromisedLength(): boolean {
    return this.#promised >= 0
  }

  closeAfterwards(): void {
    if (this.#ownsConnection) this.#response.shouldKeepAlive = false
  }

  /** Throws `GatewayError` (502) on headers that cannot go on the wire. */
  begin(status: number, headers: Headers): void {
    headers[TRACE_HEADER] = this.#exchange.trace.traceId
    this.#exchange.status = status
    this.#promised = Number(headers['content-length'] ?? -1)
    this.#exchange.headSentAt = performance.now()
    try {
      this.#response.writeHead(status, headers)
    } catch (cause) {
      const message = 'upstream call failed: the response has invalid headers'
      throw new GatewayError('upstream_bad_response', message, { cause })
    }
  }

  /** Sends the head now, although nothing may follow yet; with what does follow at once, in one write. */
  flushHead(): void {
    const { socket } = this.#response
    socket?.cork()
    this.#response.flushHeaders()
    process.nextTick(() => socket?.uncork())
  }

  /** Stops `source` for as long as the client reads slower than it writes. */
  write(bytes: Buffer, source: Source | undefined): void {
    const exchange = this.#exchange
    exchange.responseBytes += bytes.length
    // The last piece of a body of known length ends the response in the same write.
    if (exchange.responseBytes === this.#promised) {
      this.#response.end(bytes)
      return
    }
    if (this.#response.write(bytes) || this.#pausedAt !== undefined) return
    this.#pausedAt = performance.now()
    source?.pause()
    this.#response.once('drain', () => {
      this.#noteStall()
      source?.resume()
    })
  }

  end(bytes?: Buffer): void {
    if (this.#response.writableEnded) return
    if (bytes !== undefined) this.#exchange.responseBytes += bytes.length
    this.#response.end(bytes)
  }

  /** A whole response at once. */
  reply(status: number, headers: Headers, body: Buffer): void {
    const hasNoBody = this.#exchange.method === 'HEAD' || status === 204 || status === 304
    if (!hasNoBody) headers['content-length'] = String(body.length)
    this.begin(status, headers)
    if (hasNoBody) this.#response.end()
    else {
      this.#exchange.responseBytes += body.length
      // Node puts a string behind the head into one write; a buffer takes a slower way. Latin-1 keeps every byte.
      if (body.length <= SMALL_BODY) this.#response.end(body.toString('latin1'), 'latin1')
      else this.#response.end(body)
    }
  }

  destroy(): void {
    this.#response.destroy()
  }

  /** Called when the response is closed: a stall that never ended counts up to here. */
  closed(): void {
    this.#noteStall()
  }

  #noteStall(): void {
    if (this.#pausedAt === undefined) return
    this.#exchange.stalledMs += performance.now() - this.#pausedAt
    this.#pausedAt = undefined
  }
}
