/**
 * Prompts and completions as they are kept where the configuration wants them: without what looks like a secret, cut
 * to size, and still JSON where they were.
 *
 * This is done while other requests wait: what is beyond the size is not even looked at.
 */
import { redactAll } from '../core/redact.ts'

/** Of one text within: a page or two of a document; and of all. */
const MAX_TEXT = 16_384
const MAX_PAYLOAD = 262_144
/** Of images and files: nobody reads them, and they are most of the bytes. */
const MAX_DATA = 256
const SHOWN_DATA = 64
/** Reading a text as JSON takes as long as the whole of it is. */
const MAX_PARSED = 4 * MAX_PAYLOAD

const CUT = '… [cut]'

const cut = (text: string, length: number) =>
  text.length <= length ? text : `${text.slice(0, length)}… [${text.length - length} more characters]`

function keptString(key: string, value: string): string {
  const isData = value.length > MAX_DATA && (key === 'data' || value.startsWith('data:'))
  return redactAll(cut(value, isData ? SHOWN_DATA : MAX_TEXT))
}

/** Writes JSON until so much of the value was read that the payload is full. */
class KeptJson {
  #json = ''
  #left = MAX_PAYLOAD

  get text(): string {
    return this.#left > 0 ? this.#json : this.#json.slice(0, MAX_PAYLOAD) + CUT
  }

  write(value: unknown, key = ''): void {
    // What was taken out of a text had to be looked at nonetheless.
    if (typeof value === 'string')
      this.#add(JSON.stringify(keptString(key, value)), Math.min(value.length, MAX_TEXT))
    else if (Array.isArray(value)) this.#list(value)
    else if (typeof value === 'object' && value !== null) this.#object(value)
    else this.#add(JSON.stringify(value) ?? 'null')
  }

  #list(values: readonly unknown[]): void {
    this.#add('[')
    let separator = ''
    for (const value of values) {
      if (this.#left <= 0) return
      this.#add(separator)
      this.write(value)
      separator = ','
    }
    this.#add(']')
  }

  #object(value: object): void {
    this.#add('{')
    let separator = ''
    for (const key in value) {
      const inner = (value as Readonly<Record<string, unknown>>)[key]
      if (inner === undefined) continue
      if (this.#left <= 0) return
      this.#add(`${separator}${JSON.stringify(redactAll(cut(key, MAX_TEXT)))}:`, key.length)
      this.write(inner, key)
      separator = ','
    }
    this.#add('}')
  }

  #add(json: string, read = 0): void {
    this.#json += json
    this.#left -= Math.max(json.length, read)
  }
}

/** Undefined where it cannot be written: nested deeper than the stack is. */
export function keptJson(value: unknown): string | undefined {
  const json = new KeptJson()
  try {
    json.write(value)
    return json.text
  } catch {
    return undefined
  }
}

export function keptText(text: string): string {
  let parsed: unknown
  try {
    parsed = text.length > MAX_PARSED ? undefined : JSON.parse(text)
  } catch {
    // Not JSON: an event stream, an error of something in between.
  }
  return parsed === undefined ? redactAll(cut(text, MAX_PAYLOAD)) : (keptJson(parsed) ?? '')
}
