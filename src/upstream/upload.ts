/** A request's body that comes in while it goes out: chunked, or of the length that its head has promised. */
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { HttpError } from './http-error.ts'

export interface UploadOwner {
  readonly onSent: () => void
  readonly onError: (error: Error) => void
}

export class Upload {
  readonly #socket: Socket
  readonly #body: Readable
  readonly #owner: UploadOwner
  readonly #isChunked: boolean
  /** Of the promised length. */
  #left: number

  constructor(socket: Socket, body: Readable, length: number | undefined, owner: UploadOwner) {
    this.#socket = socket
    this.#body = body
    this.#owner = owner
    this.#isChunked = length === undefined
    this.#left = length ?? 0
    body.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose)
    socket.on('drain', this.#onDrain)
    body.resume()
    if (body.errored) setImmediate(this.#onError, body.errored)
    else if (body.readableEnded) setImmediate(this.#onEnd)
    else if (body.destroyed) setImmediate(this.#onClose)
  }

  #isOver = false

  readonly #onData = (bytes: Buffer): void => {
    if (this.#isOver || bytes.length === 0) return
    if (!this.#isChunked) {
      this.#left -= bytes.length
      if (this.#left < 0) {
        this.#fail(new HttpError('bad_request', 'the body is longer than it says'))
        return
      }
      if (!this.#socket.write(bytes)) this.#body.pause()
      return
    }
    this.#socket.cork()
    this.#socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1')
    this.#socket.write(bytes)
    const goesOn = this.#socket.write('\r\n', 'latin1')
    this.#socket.uncork()
    if (!goesOn) this.#body.pause()
  }

  readonly #onDrain = (): void => {
    this.#body.resume()
  }

  readonly #onEnd = (): void => {
    if (this.#isOver) return
    if (this.#left > 0) {
      this.#fail(new HttpError('bad_request', 'the body is shorter than it says'))
      return
    }
    if (this.#isChunked) this.#socket.write('0\r\n\r\n', 'latin1')
    this.stop()
    this.#owner.onSent()
  }

  readonly #onError = (error: Error): void => this.#fail(error)

  readonly #onClose = (): void => this.#fail(new HttpError('closed', 'the body was given up'))

  #fail(error: Error): void {
    if (this.#isOver) return
    this.stop()
    this.#owner.onError(error)
  }

  /** Nothing more is sent. */
  stop(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#socket.off('drain', this.#onDrain)
    this.#body.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose)
    // Who sends it is not told that it is in vain, but has no more taken off its hands.
    if (!this.#body.readableEnded) this.#body.pause()
  }
}
