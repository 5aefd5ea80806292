/**
 * One connection to an upstream, and the request that is on it: never more than one.
 *
 * Plain connections read into one buffer, which they all share: what is read is looked at before anything else is.
 * TLS may decrypt more while a piece is looked at, and has its own.
 */
import type { OnReadOpts, Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Headers } from '../core/headers.ts'
import { HttpError } from './http-error.ts'
import type { OutgoingRequest } from './request-head.ts'
import { ResponseParser, type ResponseSink } from './response-parser.ts'
import { Upload } from './upload.ts'

/** What a request is told. `onEnd` or `onError` is the last. */
export interface Requester {
  /** Gives it away: who waits for an answer, for hours maybe, does not keep what was asked. */
  readonly takeRequest: () => OutgoingRequest | undefined
  /** `isFirst`: nobody used the connection before. */
  readonly onSent: (connection: Connection, isFirst: boolean) => void
  readonly onHead: (status: number, headers: Headers) => void
  readonly onData: (bytes: Buffer) => void
  readonly onEnd: () => void
  readonly onError: (error: Error) => void
}

export interface ConnectionOwner {
  /** It may take another request, unless the other side ends it within so many milliseconds. */
  readonly onFree: (connection: Connection, keptMs: number | undefined) => void
  readonly onClosed: (connection: Connection) => void
}

/** A request up to here goes out in one piece with its head. */
const SMALL_BODY = 16 * 1024

export class Connection implements ResponseSink {
  readonly #owner: ConnectionOwner
  readonly #parser: ResponseParser
  #socket: Socket | undefined
  #requester: Requester | undefined
  #upload: Upload | undefined
  #isUsed = false
  #isLast = false
  #isPaused = false
  /** The response has just ended. */
  #isDone = false
  #isClosed = false
  /** Ends its coming, until it is there. */
  stop: (() => void) | undefined
  /** Until then it stays without a request. */
  expiresAt = Infinity

  /** `isLent`: what it reads is only lent. */
  constructor(owner: ConnectionOwner, isLent: boolean) {
    this.#owner = owner
    this.#parser = new ResponseParser(this, isLent)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** From here on it is the connection's. */
  take(socket: Socket): void {
    this.#socket = socket
    if (socket instanceof TLSSocket) socket.on('data', (bytes: Buffer) => this.read(bytes, bytes.length))
    socket.on('error', (error) => this.close(error))
    socket.on('end', () => this.#ended())
    socket.on('close', () => this.close(new HttpError('closed', 'the connection was closed')))
  }

  send(requester: Requester): void {
    const socket = this.#socket
    const request = requester.takeRequest()
    if (socket === undefined || request === undefined) return
    const isFirst = !this.#isUsed
    this.#isUsed = true
    this.#isLast = request.isLast
    this.#requester = requester
    this.#parser.expect(request.method)
    requester.onSent(this, isFirst)
    const { head, body } = request
    if (body === undefined) socket.write(head, 'latin1')
    else if (!Buffer.isBuffer(body)) {
      socket.write(head, 'latin1')
      this.#upload = new Upload(socket, body, request.length, {
        onSent: () => {
          this.#upload = undefined
        },
        onError: (error) => this.close(error),
      })
    } else if (body.length <= SMALL_BODY) {
      const whole = Buffer.allocUnsafe(head.length + body.length)
      whole.write(head, 0, 'latin1')
      body.copy(whole, head.length)
      socket.write(whole)
    } else {
      socket.cork()
      socket.write(head, 'latin1')
      socket.write(body)
      socket.uncork()
    }
  }

  /** What has been read already is still told. */
  pause(): void {
    this.#isPaused = true
    this.#socket?.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket?.resume()
  }

  read(bytes: Buffer, end: number): void {
    if (this.#isClosed) return
    try {
      // What nobody asked for is nobody's answer.
      const read = this.#parser.execute(bytes, end)
      if (read < end && !this.#isClosed) this.close()
      else this.#settle()
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)))
    }
  }

  onHead(status: number, headers: Headers): void {
    this.#requester?.onHead(status, headers)
  }

  onBody(bytes: Buffer): void {
    this.#requester?.onData(bytes)
  }

  onComplete(): void {
    const requester = this.#requester
    this.#requester = undefined
    this.#isDone = true
    requester?.onEnd()
  }

  #settle(): void {
    if (!this.#isDone || this.#isClosed) return
    this.#isDone = false
    const isReusable =
      this.#parser.isReusable &&
      !this.#isLast &&
      this.#upload === undefined &&
      this.#socket?.writableLength === 0
    if (!isReusable) {
      this.close()
      return
    }
    this.resume()
    this.#owner.onFree(this, this.#parser.keptMs)
  }

  #ended(): void {
    if (this.#requester === undefined || !this.#parser.finish())
      this.close(new HttpError('closed', 'the other side closed the connection'))
    else this.close()
  }

  /** Resolves when the socket is closed, too. */
  get gone(): Promise<void> {
    const socket = this.#socket
    if (socket === undefined || socket.closed) return Promise.resolve()
    return new Promise((resolve) => void socket.once('close', () => resolve()))
  }

  /** At once; a request that is on it fails with `error`. */
  close(error?: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#parser.stop()
    this.#upload?.stop()
    this.#socket?.destroy()
    const requester = this.#requester
    this.#requester = undefined
    this.#owner.onClosed(this)
    if (error !== undefined) requester?.onError(error)
  }
}

const shared = Buffer.allocUnsafeSlow(64 * 1024)

/** How a plain socket reads for `connection`. */
export const readsFor = (connection: Connection): OnReadOpts => ({
  buffer: shared,
  callback(length) {
    connection.read(shared, length)
    return true
  },
})
