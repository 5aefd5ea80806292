/**
 * What the provider writes into each chunk of a stream, and the generator reads out of it: its number and when it was
 * written, on the clock that all processes of a machine share. Of one width, and of characters that nothing escapes.
 */
import { now } from './clock.ts'

/** In no other part of the streams. */
const SIGN = '@'
const SEQUENCE_DIGITS = 6
const STAMP_DIGITS = 16
export const MARK_LENGTH = SIGN.length + SEQUENCE_DIGITS + 1 + STAMP_DIGITS

const SIGN_CODE = SIGN.charCodeAt(0)

export const markOf = (sequence: number, atMs: number) =>
  `${SIGN}${String(sequence).padStart(SEQUENCE_DIGITS, '0')}.${String(Math.round(atMs * 1000)).padStart(STAMP_DIGITS, '0')}`

export interface StreamReader {
  readonly read: (piece: Buffer) => void
  /** Undefined before the first chunk that is not empty. */
  readonly firstContentAt: () => number | undefined
  readonly chunks: () => number
  /** Each chunk once, in the provider's order, and nothing cut off. */
  readonly isWhole: () => boolean
  readonly events: () => number
  readonly bytes: () => number
}

const DONE = Buffer.from('data: [DONE]\n\n')
const EVENT_END = Buffer.from('\n\n')
const NOTHING = Buffer.alloc(0)

/** `onChunk` gets the time from when the provider wrote a chunk; not for the first one, which its head accompanies. */
export function readMarks(onChunk?: (delayMs: number) => void): StreamReader {
  let held: Buffer = NOTHING
  let tail: Buffer = NOTHING
  let firstContentAt: number | undefined
  let chunks = 0
  let events = 0
  let bytes = 0
  let inOrder = true

  function take(text: Buffer, start: number, at: number): void {
    const sequence = digits(text, start + 1, SEQUENCE_DIGITS)
    if (sequence !== chunks) inOrder = false
    chunks++
    if (firstContentAt === undefined) firstContentAt = at
    else onChunk?.(at - digits(text, start + SEQUENCE_DIGITS + 2, STAMP_DIGITS) / 1000)
  }

  /** Returns where the rest begins: a mark, or an event's end, that is not whole yet. */
  function scan(text: Buffer): number {
    const at = now()
    let from = 0
    for (;;) {
      const start = text.indexOf(SIGN_CODE, from)
      if (start < 0) return Math.max(from, text.length)
      if (start + MARK_LENGTH > text.length) return start
      take(text, start, at)
      from = start + MARK_LENGTH
    }
  }

  return {
    read(piece) {
      bytes += piece.length
      const text = held.length === 0 ? piece : Buffer.concat([held, piece])
      held = text.subarray(scan(text))
      const ends = Buffer.concat([tail, piece])
      events += count(ends, EVENT_END) - count(tail, EVENT_END)
      tail = ends.subarray(-DONE.length)
    },
    firstContentAt: () => firstContentAt,
    chunks: () => chunks,
    isWhole: () => inOrder && tail.equals(DONE),
    events: () => events,
    bytes: () => bytes,
  }
}

function digits(text: Buffer, from: number, length: number): number {
  let value = 0
  for (let index = from; index < from + length; index++) value = value * 10 + (text[index] ?? 0) - 48
  return value
}

function count(text: Buffer, what: Buffer): number {
  let found = 0
  for (let at = text.indexOf(what); at >= 0; at = text.indexOf(what, at + what.length)) found++
  return found
}
