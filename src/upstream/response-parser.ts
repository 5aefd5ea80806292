/**
 * Reads HTTP/1 responses off a connection, one at a time, by the letter: where two readers could disagree on where a
 * message ends, this one refuses it. https://www.rfc-editor.org/rfc/rfc9112
 */
import type { Headers } from '../core/headers.ts'
import { fieldName } from './field-names.ts'
import { HttpError } from './http-error.ts'

/** Of a response with all that came before it, and of its trailers: more than any provider sends. */
const MAX_HEAD_BYTES = 256 * 1024

/** A chunk's size with its extensions. */
const MAX_SIZE_LINE_BYTES = 4096

/** Of the bytes that may be a head, or a chunk's size, as many as are looked at together. */
const HEAD_WINDOW = 1024
const SIZE_WINDOW = 32

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
const NO_FIELD_VALUE = /[^\t\x20-\x7e\x80-\xff]/
const LENGTH = /^\d{1,15}$/
const SIZE_LINE = /^([0-9a-f]{1,12})(?:;[\t\x20-\x7e\x80-\xff]*)?$/i
const CHUNKED = /^ *chunked *$/i
const CLOSE = /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i
const KEEP_ALIVE = /(?:^|,)[\t ]*keep-alive[\t ]*(?:,|$)/i
const KEPT_SECONDS = /(?:^|,)[\t ]*timeout=(\d{1,9})[\t ]*(?:,|$)/i

const CR = 13
const LF = 10
const SPACE = 32
const TAB = 9

export interface ResponseSink {
  /** Of the final response: those before it are passed over. */
  readonly onHead: (status: number, headers: Headers) => void
  readonly onBody: (bytes: Buffer) => void
  /** The last that is said of a response. */
  readonly onComplete: () => void
}

type State = 'idle' | 'status' | 'fields' | 'length' | 'size' | 'chunk' | 'chunkEnd' | 'trailers' | 'rest'

const HEX_DIGITS = new Int8Array(256).fill(-1)
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  HEX_DIGITS[digit.charCodeAt(0)] = value
  HEX_DIGITS[digit.toUpperCase().charCodeAt(0)] = value
}

/** In which there are lines. */
const LINES: ReadonlySet<State> = new Set<State>(['status', 'fields', 'size', 'chunkEnd', 'trailers'])

/** Of nobody. */
const NONE: Headers = {}

const LONGER = 'a chunk is longer than its size'

const bad = (what: string) => new HttpError('bad_response', `the response is not valid HTTP: ${what}`)

export class ResponseParser {
  readonly #sink: ResponseSink
  readonly #isLent: boolean
  #state: State = 'idle'
  #isHead = false
  /** Of the head, or of the trailers. */
  #headBytes = 0
  /** The beginning of a line whose end has not come yet. */
  #begun: string[] = []
  #begunBytes = 0
  #status = 0
  #isOld = false
  #headers: Headers = {}
  #length: number | undefined
  #isChunked = false
  /** Of the body, or of its chunk. */
  #left = 0
  /** Where the content of the chunks that are read together is: moved up, so that it is one piece. */
  #content: Buffer | undefined
  #contentStart = 0
  #contentEnd = 0
  #isReusable = false
  #keptMs: number | undefined

  /**
   * `isLent`: the bytes that it is given are someone else's afterwards, and what it hands on of them is a copy. Until
   * then they are its own, and may be moved.
   */
  constructor(sink: ResponseSink, isLent: boolean) {
    this.#sink = sink
    this.#isLent = isLent
  }

  /** The connection may be used for another request; of the response that is complete. */
  get isReusable(): boolean {
    return this.#isReusable
  }

  /** How long the other side says that it keeps the connection. */
  get keptMs(): number | undefined {
    return this.#keptMs
  }

  /** A request goes out, and this is the response to it that comes next. */
  expect(method: string): void {
    this.#state = 'status'
    this.#isHead = method === 'HEAD'
    this.#headBytes = 0
    this.#isReusable = false
    this.#keptMs = undefined
  }

  /** The request is given up: nothing that is still to come of its response is told. */
  stop(): void {
    this.#state = 'idle'
  }

  /** Gives how many bytes belonged to the response: less than there were when it ended before them. Throws `HttpError`. */
  execute(bytes: Buffer, end: number): number {
    try {
      return this.#read(bytes, end)
    } finally {
      this.#tell()
    }
  }

  #read(bytes: Buffer, end: number): number {
    let at = 0
    while (at < end) {
      switch (this.#state) {
        case 'idle':
          return at
        case 'length':
          at = this.#body(bytes, at, Math.min(end, at + this.#left))
          break
        case 'chunk':
          at = this.#chunk(bytes, at, Math.min(end, at + this.#left))
          break
        case 'rest':
          at = this.#body(bytes, at, end)
          break
        case 'size':
        case 'chunkEnd':
          at += this.#plainSize(bytes, at, end)
          if (at === end || (this.#state !== 'size' && this.#state !== 'chunkEnd')) break
          at += this.#lines(bytes.toString('latin1', at, Math.min(at + SIZE_WINDOW, end)))
          break
        default:
          at += this.#lines(bytes.toString('latin1', at, Math.min(at + HEAD_WINDOW, end)))
      }
    }
    return at
  }

  /** A size as most write it, off the bytes themselves: what is cut or looks different is left to those who read lines. */
  #plainSize(bytes: Buffer, start: number, end: number): number {
    if (this.#begunBytes > 0) return 0
    let at = start
    if (this.#state === 'chunkEnd') {
      if (end - at < 2 || bytes[at] !== CR || bytes[at + 1] !== LF) return 0
      this.#state = 'size'
      at += 2
    }
    const first = at
    const last = Math.min(end - 2, first + 8)
    let size = 0
    while (at < last) {
      const digit = HEX_DIGITS[bytes[at] ?? 0] ?? -1
      if (digit < 0) break
      size = size * 16 + digit
      at++
    }
    if (at === first || at > end - 2 || bytes[at] !== CR || bytes[at + 1] !== LF) return first - start
    this.#sized(size)
    return at + 2 - start
  }

  /** No more bytes come. False when that is not the end of the response. */
  finish(): boolean {
    if (this.#state !== 'rest') return false
    this.#complete()
    return true
  }

  #body(bytes: Buffer, at: number, end: number): number {
    const state = this.#state
    this.#left -= end - at
    this.#handOn(bytes, at, end)
    if (state === 'length' && this.#state === state && this.#left === 0) this.#complete()
    return end
  }

  /** Many small chunks are not as many pieces: each would take more memory than what is in it. */
  #chunk(bytes: Buffer, at: number, end: number): number {
    if (this.#content === undefined) {
      this.#content = bytes
      this.#contentStart = at
      this.#contentEnd = at
    }
    if (this.#contentEnd < at) bytes.copyWithin(this.#contentEnd, at, end)
    this.#contentEnd += end - at
    this.#left -= end - at
    if (this.#left === 0) this.#state = 'chunkEnd'
    return end
  }

  #tell(): void {
    const content = this.#content
    if (content === undefined) return
    this.#content = undefined
    this.#handOn(content, this.#contentStart, this.#contentEnd)
  }

  #handOn(bytes: Buffer, start: number, end: number): void {
    this.#sink.onBody(this.#isLent ? copyOf(bytes, start, end) : bytes.subarray(start, end))
  }

  #complete(): void {
    this.#tell()
    // Whoever was told may have given it up.
    if (this.#state === 'idle') return
    this.#state = 'idle'
    this.#sink.onComplete()
  }

  /** Gives how much of the text was lines. */
  #lines(text: string): number {
    let at = 0
    while (at < text.length) {
      const lineEnd = text.indexOf('\n', at)
      if (lineEnd < 0) {
        this.#hold(text.slice(at))
        return text.length
      }
      if (this.#begunBytes > 0) {
        const line = this.#begun.join('') + text.slice(at, lineEnd)
        this.#begun = []
        this.#begunBytes = 0
        this.#line(line, 0, line.length)
      } else this.#line(text, at, lineEnd)
      at = lineEnd + 1
      if (!LINES.has(this.#state)) return at
    }
    return at
  }

  #hold(text: string): void {
    // What speaks another protocol may never end its line.
    if (this.#state === 'status' && this.#begunBytes < 7) {
      const start = this.#begun.join('') + text
      if (!'HTTP/1.'.startsWith(start.slice(0, 7))) throw bad('it does not begin with a status line')
    }
    this.#begun.push(text)
    this.#begunBytes += text.length
    if (this.#state === 'chunkEnd' && (text !== '\r' || this.#begunBytes > 1)) throw bad(LONGER)
    if (this.#begunBytes > this.#longestLine()) throw bad('a line is too long')
  }

  #longestLine(): number {
    return this.#state === 'size' ? MAX_SIZE_LINE_BYTES : MAX_HEAD_BYTES - this.#headBytes
  }

  /** `end`: where its LF is. */
  #line(text: string, start: number, end: number): void {
    if (end === start || text.charCodeAt(end - 1) !== CR) throw bad('a line ends without CR')
    const last = end - 1
    switch (this.#state) {
      case 'status':
        this.#count(end - start)
        this.#statusLine(text.slice(start, last))
        break
      case 'fields':
        this.#count(end - start)
        if (last === start) this.#headEnd()
        else this.#field(text, start, last)
        break
      case 'trailers':
        this.#count(end - start)
        if (last === start) this.#complete()
        else this.#field(text, start, last)
        break
      case 'size':
        if (end - start > MAX_SIZE_LINE_BYTES) throw bad('a line is too long')
        this.#sizeLine(text.slice(start, last))
        break
      default:
        if (last !== start) throw bad(LONGER)
        this.#state = 'size'
    }
  }

  #count(bytes: number): void {
    this.#headBytes += bytes + 1
    if (this.#headBytes > MAX_HEAD_BYTES) throw bad('its head is too large')
  }

  #statusLine(line: string): void {
    const found = STATUS_LINE.exec(line)
    if (found === null) throw bad('it does not begin with a status line')
    this.#isOld = found[1] === '0'
    this.#status = Number(found[2])
    this.#headers = {}
    this.#length = undefined
    this.#isChunked = false
    this.#state = 'fields'
  }

  #field(text: string, start: number, end: number): void {
    const colon = text.indexOf(':', start)
    if (colon < 0 || colon > end) throw bad('a header has no name')
    const name = fieldName(text.slice(start, colon))
    if (name === undefined) throw bad("a header's name is none")
    let first = colon + 1
    let last = end
    while (first < last && isBlank(text.charCodeAt(first))) first++
    while (last > first && isBlank(text.charCodeAt(last - 1))) last--
    const value = text.slice(first, last)
    if (NO_FIELD_VALUE.test(value)) throw bad("a header's value has control characters")
    if (this.#state === 'trailers') return
    if (name === 'content-length') this.#contentLength(value)
    else if (name === 'transfer-encoding') this.#transferEncoding(text.slice(colon + 1, end))
    const headers = this.#headers
    const before = headers[name]
    if (before === undefined) headers[name] = value
    else if (typeof before === 'string') headers[name] = [before, value]
    else if (Array.isArray(before)) before.push(value)
    // What every object has is no header.
    else Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true })
  }

  #contentLength(value: string): void {
    if (this.#length !== undefined) throw bad('it has two lengths')
    if (!LENGTH.test(value)) throw bad('its length is none')
    this.#length = Number(value)
  }

  /** With the blanks around it: there are readers to whom a tab belongs to the value. */
  #transferEncoding(value: string): void {
    if (this.#isChunked || !CHUNKED.test(value)) throw bad('its transfer encoding is not chunked')
    this.#isChunked = true
  }

  #headEnd(): void {
    const status = this.#status
    const length = this.#length
    const isChunked = this.#isChunked
    if (isChunked && length !== undefined) throw bad('it has a length and is chunked')
    if (status < 200) {
      if (status === 101) throw bad('it switches to a protocol that nobody asked for')
      if (isChunked || length !== undefined) throw bad('an interim response has a body')
      this.#state = 'status'
      return
    }
    const isEmpty = this.#isHead || status === 204 || status === 304
    const isUnclear = isEmpty && !this.#isHead && (isChunked || (length ?? 0) > 0)
    const isDelimited = isEmpty || isChunked || length !== undefined
    this.#isReusable = isDelimited && !isUnclear && !(isChunked && this.#isOld) && this.#isKept()
    if (isEmpty || length === 0) this.#state = 'idle'
    else if (isChunked) this.#state = 'size'
    else if (length === undefined) this.#state = 'rest'
    else {
      this.#state = 'length'
      this.#left = length
    }
    const isOver = this.#state === 'idle'
    const headers = this.#headers
    this.#headers = NONE
    this.#sink.onHead(status, headers)
    if (isOver) this.#sink.onComplete()
  }

  #isKept(): boolean {
    const { connection, 'keep-alive': kept } = this.#headers
    if (kept !== undefined) {
      const seconds = KEPT_SECONDS.exec(String(kept))?.[1]
      if (seconds !== undefined) this.#keptMs = Number(seconds) * 1000
    }
    if (connection === undefined) return !this.#isOld
    if (connection === 'keep-alive') return true
    const options = String(connection)
    return !CLOSE.test(options) && (!this.#isOld || KEEP_ALIVE.test(options))
  }

  #sizeLine(line: string): void {
    const size = SIZE_LINE.exec(line)?.[1]
    if (size === undefined) throw bad("a chunk's size is none")
    this.#sized(Number.parseInt(size, 16))
  }

  #sized(size: number): void {
    this.#left = size
    if (this.#left > 0) {
      this.#state = 'chunk'
      return
    }
    this.#headBytes = 0
    this.#state = 'trailers'
  }
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start)
  bytes.copy(copy, 0, start, end)
  return copy
}

const isBlank = (code: number) => code === SPACE || code === TAB
