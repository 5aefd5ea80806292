/**
 * JSON text in pieces -> the same JSON with its strings guarded, each as a text of its own.
 *
 * A tool's arguments come as text, in which `\n` before a number is two letters and a mask in place of a number would
 * be no JSON: strings are guarded as what they mean, and a number of which something is masked becomes a string. What
 * is no JSON passes through as far as it is none.
 */
import type { TextStream } from './text-stream.ts'

const ESCAPE = /^\\(?:u[\da-fA-F]{4}|[^u])/
const IN_NUMBER = /[-+.\deE]/

const encode = (text: string) => JSON.stringify(text).slice(1, -1)

/** `open` makes the stream of one string. */
export function jsonStream(open: () => TextStream): TextStream {
  let string: TextStream | undefined
  /** What is there of an escape. */
  let escaped = ''
  let number = ''

  function endOfNumber(): string {
    const guarded = open().advance(number, true)
    const written = guarded === number ? number : JSON.stringify(guarded)
    number = ''
    return written
  }

  function outside(character: string): string {
    if (IN_NUMBER.test(character) && (number !== '' || !/[eE+.]/.test(character))) {
      number += character
      return ''
    }
    const before = number === '' ? '' : endOfNumber()
    if (character === '"') string = open()
    return before + character
  }

  function inside(stream: TextStream, character: string): string {
    if (escaped !== '' || character === '\\') {
      escaped += character
      if (escaped.length < 6 && !ESCAPE.test(escaped)) return ''
      const decoded = decode(escaped)
      escaped = ''
      return encode(stream.advance(decoded, false))
    }
    if (character !== '"') return encode(stream.advance(character, false))
    string = undefined
    return `${encode(stream.advance('', true))}"`
  }

  return {
    advance(piece, isLast) {
      let released = ''
      for (let at = 0; at < piece.length; at++) {
        if (string === undefined) released += outside(piece.charAt(at))
        else if (escaped === '') {
          const plain = plainFrom(piece, at)
          if (plain > at) released += encode(string.advance(piece.slice(at, plain), false))
          if (plain < piece.length) released += inside(string, piece.charAt(plain))
          at = plain
        } else released += inside(string, piece.charAt(at))
      }
      if (!isLast) return released
      if (number !== '') released += endOfNumber()
      if (string !== undefined) released += encode(string.advance('', true))
      const half = escaped
      escaped = ''
      return released + half
    },
  }
}

/** Up to the next character of a string that is not simply itself. */
function plainFrom(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const character = text[at]
    if (character === '"' || character === '\\') return at
  }
  return text.length
}

function decode(escaped: string): string {
  try {
    return JSON.parse(`"${escaped}"`)
  } catch {
    return escaped
  }
}
