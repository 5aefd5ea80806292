/**
 * Protocol Buffers, as much of the wire format as telemetry needs, into one growing buffer.
 * https://protobuf.dev/programming-guides/encoding/
 *
 * Nested messages are written where they stand: their length gets one byte, and what follows moves up in the rare
 * case that it needs more.
 */

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

/** So many characters are 127 bytes of UTF-8 at most, whose length is one byte. */
const SHORT = 42
const LONGEST_VARINT = 10
const TWO_TO_32 = 2 ** 32

export class ProtobufWriter {
  #bytes: Buffer
  #at = 0

  constructor(size = 64 * 1024) {
    this.#bytes = Buffer.allocUnsafeSlow(size)
  }

  get length(): number {
    return this.#at
  }

  /** What was written since `start`. Memory that later writing does not touch. */
  since(start: number): Buffer {
    return this.#bytes.subarray(start, this.#at)
  }

  /** Whole numbers; a negative one takes ten bytes. */
  int(field: number, value: number): void {
    this.#room(2 * LONGEST_VARINT)
    this.#tag(field, VARINT)
    this.#varint(value)
  }

  bool(field: number, value: boolean): void {
    this.int(field, value ? 1 : 0)
  }

  double(field: number, value: number): void {
    this.#room(LONGEST_VARINT + 8)
    this.#tag(field, FIXED64)
    this.#at = this.#bytes.writeDoubleLE(value, this.#at)
  }

  fixed32(field: number, value: number): void {
    this.#room(LONGEST_VARINT + 4)
    this.#tag(field, FIXED32)
    this.#at = this.#bytes.writeUInt32LE(value, this.#at)
  }

  /** A time as nanoseconds since 1970: more than a number can hold. */
  fixedNanos(field: number, [seconds, nanos]: readonly [seconds: number, nanos: number]): void {
    this.#room(LONGEST_VARINT + 8)
    this.#tag(field, FIXED64)
    const upper = Math.floor(seconds / 65_536) * 1e9
    const lower = (seconds % 65_536) * 1e9 + nanos
    const low = (upper % 65_536) * 65_536 + (lower % TWO_TO_32)
    const high = Math.floor(upper / 65_536) + Math.floor(lower / TWO_TO_32) + Math.floor(low / TWO_TO_32)
    this.#at = this.#bytes.writeUInt32LE(low % TWO_TO_32, this.#at)
    this.#at = this.#bytes.writeUInt32LE(high, this.#at)
  }

  /** Of an even number of hex digits, fewer than 256. */
  hex(field: number, digits: string): void {
    this.#room(LONGEST_VARINT + 1 + digits.length / 2)
    this.#tag(field, BYTES)
    this.#bytes[this.#at++] = digits.length / 2
    this.#at += this.#bytes.write(digits, this.#at, 'hex')
  }

  text(field: number, text: string): void {
    this.#room(2 * LONGEST_VARINT + text.length * 3)
    this.#tag(field, BYTES)
    if (text.length > SHORT) {
      this.#varint(Buffer.byteLength(text))
      this.#at += this.#bytes.write(text, this.#at)
      return
    }
    const start = this.#at + 1
    const written = this.#ascii(text, start) ?? this.#bytes.write(text, start)
    this.#bytes[this.#at] = written
    this.#at = start + written
  }

  /** A message or a packed list, which `write` fills. */
  nested(field: number, write: () => void): void {
    const start = this.begin(field)
    write()
    this.end(start)
  }

  head(field: number, length: number): void {
    this.#room(2 * LONGEST_VARINT)
    this.#tag(field, BYTES)
    this.#varint(length)
  }

  /** The same without a closure: what it gives is for `end`. */
  begin(field: number): number {
    this.#room(2 * LONGEST_VARINT)
    this.#tag(field, BYTES)
    return ++this.#at
  }

  end(start: number): void {
    const length = this.#at - start
    if (length < 128) {
      this.#bytes[start - 1] = length
      return
    }
    const more = sizeOfVarint(length) - 1
    this.#room(more)
    this.#bytes.copyWithin(start + more, start, this.#at)
    this.#at = start - 1
    this.#varint(length)
    this.#at += length
  }

  /** How many bytes, if all of them are characters of ASCII: for so few a loop is faster than a call. */
  #ascii(text: string, at: number): number | undefined {
    const bytes = this.#bytes
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      if (code > 127) return undefined
      bytes[at + index] = code
    }
    return text.length
  }

  #tag(field: number, type: number): void {
    this.#varint(field * 8 + type)
  }

  #varint(value: number): void {
    if (value < 0) {
      this.#bigVarint(BigInt.asUintN(64, BigInt(value)))
      return
    }
    let rest = value
    while (rest > 127) {
      this.#bytes[this.#at++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#at++] = rest
  }

  #bigVarint(value: bigint): void {
    let rest = value
    while (rest > 127n) {
      this.#bytes[this.#at++] = Number(rest & 127n) + 128
      rest >>= 7n
    }
    this.#bytes[this.#at++] = Number(rest)
  }

  #room(needed: number): void {
    if (this.#at + needed <= this.#bytes.length) return
    const wider = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, this.#at + needed))
    this.#bytes.copy(wider, 0, 0, this.#at)
    this.#bytes = wider
  }
}

function sizeOfVarint(value: number): number {
  let size = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size++
  return size
}

/** The beginning of a message whose bytes, so many, stand elsewhere. */
export function lengthOf(field: number, length: number): Buffer {
  const writer = new ProtobufWriter(2 * LONGEST_VARINT)
  writer.head(field, length)
  return writer.since(0)
}

/** The members of a message by their numbers: numbers, or the bytes of what has a length. Throws on what is none. */
export function readProtobuf(bytes: Uint8Array): ReadonlyMap<number, number | Uint8Array> {
  const members = new Map<number, number | Uint8Array>()
  let at = 0
  function varint(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 63; scale *= 128) {
      const byte = bytes[at++]
      if (byte === undefined) throw new RangeError('protobuf: cut short')
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    throw new RangeError('protobuf: a number without an end')
  }
  function take(length: number): Uint8Array {
    if (at + length > bytes.length) throw new RangeError('protobuf: cut short')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = varint()
    const field = Math.floor(tag / 8)
    const type = tag % 8
    if (type === VARINT) members.set(field, varint())
    else if (type === BYTES) members.set(field, take(varint()))
    else if (type === FIXED64) members.set(field, take(8))
    else if (type === FIXED32) members.set(field, take(4))
    else throw new RangeError(`protobuf: a member of type ${type}`)
  }
  return members
}
