/**
 * Prompts and completions as they are kept where the configuration wants them: without what looks like a secret, cut
 * to size, and still JSON where they were.
 */
import { redactAll } from '../core/redact.ts'

/** Of one text within: a page or two of a document; and of all. */
const MAX_TEXT = 16_384
const MAX_PAYLOAD = 262_144

const cut = (text: string, length: number) =>
  text.length <= length ? text : `${text.slice(0, length)}… [${text.length - length} more characters]`

function kept(key: string, value: unknown): unknown {
  if (typeof value !== 'string') return value
  // Images and files: nobody reads them, and they are most of the bytes.
  if (key === 'data' || value.startsWith('data:')) return value.length > 256 ? cut(value, 64) : value
  return redactAll(cut(value, MAX_TEXT))
}

/** Undefined where it cannot be written: nested deeper than the stack is. */
export function keptJson(value: unknown): string | undefined {
  try {
    return cut(JSON.stringify(value, kept), MAX_PAYLOAD)
  } catch {
    return undefined
  }
}

export function keptText(text: string): string {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return redactAll(cut(text, MAX_PAYLOAD))
  }
  return keptJson(parsed) ?? ''
}
