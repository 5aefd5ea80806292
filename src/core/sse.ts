/**
 * Server-sent events: bytes to frames to events, and back, under any split of the bytes.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 *
 * The splitter works on bytes, so that no split can tear a UTF-8 character, and looks at each byte once: a 1 MB
 * event that comes in small pieces costs linear time. A frame keeps its bytes as they came, blank line included;
 * pass-through forwards those and never a re-serialised copy.
 */

export interface SseEvent {
  /** The `event:` field; undefined when there was none. */
  readonly event: string | undefined
  /** The `data:` lines, joined by newlines. */
  readonly data: string
  readonly id?: string | undefined
  /** Milliseconds. */
  readonly retry?: number | undefined
}

const LF = 0x0a
const CR = 0x0d
const EMPTY = Buffer.alloc(0)

export interface FrameSplitter {
  /** The frames that this chunk completes, each with the blank line that ends it. */
  readonly push: (chunk: Buffer) => readonly Buffer[]
  /** What is left when the stream ends: a frame whose final blank line is missing, or undefined. */
  readonly end: () => Buffer | undefined
  /** Bytes held back for a frame that is not complete yet. */
  readonly pendingBytes: () => number
}

/** Throws `RangeError` when one frame exceeds `maxFrameBytes`: a peer that never sends a blank line. */
export const frameSplitter = (maxFrameBytes = 64 * 1024 * 1024): FrameSplitter => new Splitter(maxFrameBytes)

/** A class, for there is one for each stream: methods as closures would be most of its memory. */
class Splitter implements FrameSplitter {
  readonly #maxFrameBytes: number
  #pending = EMPTY
  #pendingLength = 0
  #lineIsEmpty = true
  #afterCr = false

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return
    const needed = this.#pendingLength + bytes.length
    if (needed > this.#maxFrameBytes) throw new RangeError(`an event exceeds ${this.#maxFrameBytes} bytes`)
    if (needed > this.#pending.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#pending.length * 2, 1024))
      this.#pending.copy(grown, 0, 0, this.#pendingLength)
      this.#pending = grown
    }
    bytes.copy(this.#pending, this.#pendingLength)
    this.#pendingLength = needed
  }

  #takeWith(bytes: Buffer): Buffer {
    if (this.#pendingLength === 0) return bytes
    this.#keep(bytes)
    const frame = this.#pending.subarray(0, this.#pendingLength)
    this.#pending = EMPTY
    this.#pendingLength = 0
    return frame
  }

  push(chunk: Buffer): readonly Buffer[] {
    const frames: Buffer[] = []
    let lineIsEmpty = this.#lineIsEmpty
    let afterCr = this.#afterCr
    let start = 0
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index]
      if (byte === LF && afterCr) {
        // The second half of CRLF; it ends no line of its own.
        afterCr = false
        continue
      }
      if (byte !== LF && byte !== CR) {
        lineIsEmpty = false
        afterCr = false
        continue
      }
      afterCr = byte === CR
      if (!lineIsEmpty) {
        lineIsEmpty = true
        continue
      }
      if (afterCr && chunk[index + 1] === LF) {
        index++
        afterCr = false
      }
      frames.push(this.#takeWith(chunk.subarray(start, index + 1)))
      start = index + 1
    }
    this.#lineIsEmpty = lineIsEmpty
    this.#afterCr = afterCr
    if (start < chunk.length) this.#keep(start === 0 ? chunk : chunk.subarray(start))
    return frames
  }

  end(): Buffer | undefined {
    const rest = this.#takeWith(EMPTY)
    return rest.length === 0 ? undefined : rest
  }

  pendingBytes(): number {
    return this.#pendingLength
  }
}

/** The event in a frame; undefined when it has no `data` (comments, a lone `event:`), as the standard says. */
export function parseFrame(frame: Buffer): SseEvent | undefined {
  let event: string | undefined
  let data: string | undefined
  let id: string | undefined
  let retry: number | undefined
  for (const line of frame.toString('utf8').split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(':')
    if (colon === 0 || line === '') continue
    const field = (colon < 0 ? line : line.slice(0, colon)).replace(/^\ufeff/, '')
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') data = data === undefined ? value : `${data}\n${value}`
    else if (field === 'event') event = value
    else if (field === 'id' && !value.includes('\0')) id = value
    else if (field === 'retry' && /^\d+$/.test(value)) retry = Number(value)
  }
  return data === undefined ? undefined : { event, data, id, retry }
}

export function formatEvent(event: SseEvent): string {
  const head =
    (event.event === undefined ? '' : `event: ${event.event}\n`) +
    (event.id === undefined ? '' : `id: ${event.id}\n`) +
    (event.retry === undefined ? '' : `retry: ${event.retry}\n`)
  const data = event.data.includes('\n') ? event.data.replaceAll('\n', '\ndata: ') : event.data
  return `${head}data: ${data}\n\n`
}
