/** Names of header fields: tokens in lower case. https://www.rfc-editor.org/rfc/rfc9110#section-5.1 */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** What is kept for the next time: names are the same in every message, but for a peer that makes them up. */
const MOST_KNOWN = 1024
const LONGEST_KNOWN = 64
const known = new Map<string, string>()

export const isToken = (text: string): boolean => TOKEN.test(text)

/** Undefined where it is no name. */
export function fieldName(text: string): string | undefined {
  const name = known.get(text)
  if (name !== undefined) return name
  if (!TOKEN.test(text)) return undefined
  if (known.size >= MOST_KNOWN || text.length > LONGEST_KNOWN) return text.toLowerCase()
  // A copy: what is cut out of a message would keep all of it in memory.
  const own = Buffer.from(text).toString()
  const lower = own.toLowerCase()
  known.set(own, lower)
  return lower
}
