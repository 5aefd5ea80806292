/**
 * Arguments of a tool call: JSON text in chat completions, an object in messages.
 *
 * A model may write no JSON at all, or be cut off in the middle of it. Messages has no place for text there, so
 * the text travels inside an object under one well-known key: nothing is lost, and a tool that validates its
 * input refuses it by name.
 */
import { isObject, type Json } from './request-values.ts'

const UNPARSED_ARGUMENTS = 'unparsed_arguments'

export function parseToolArguments(text: string): Json {
  if (text.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch {
    // Told to the reader of the tool call, who is the one that can do something about it.
  }
  return { [UNPARSED_ARGUMENTS]: text }
}

/** How far a JSON object that arrives in pieces has come; each character is looked at once. */
export interface JsonProgress {
  depth: number
  inString: boolean
  escaped: boolean
  /** The outermost brace is closed: whatever follows could only be white space. */
  complete: boolean
}

export const jsonProgress = (): JsonProgress => ({
  depth: 0,
  inString: false,
  escaped: false,
  complete: false,
})

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING = new Set([0x5b, 0x7b])
const CLOSING = new Set([0x5d, 0x7d])

export function advance(progress: JsonProgress, piece: string): void {
  for (let i = 0; i < piece.length && !progress.complete; i++) {
    const character = piece.charCodeAt(i)
    if (progress.escaped) {
      progress.escaped = false
    } else if (progress.inString) {
      if (character === BACKSLASH) progress.escaped = true
      else if (character === QUOTE) progress.inString = false
    } else if (character === QUOTE) {
      progress.inString = true
    } else if (OPENING.has(character)) {
      progress.depth += 1
    } else if (CLOSING.has(character)) {
      progress.depth -= 1
      progress.complete = progress.depth === 0
    }
  }
}
