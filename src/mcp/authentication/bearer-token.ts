/** Finding the token in a request. https://www.rfc-editor.org/rfc/rfc6750#section-2.1 */
import type { Headers } from '../../core/headers.ts'

/** Signatures are checked over all of it. */
const MAX_LENGTH = 16 * 1024

export type Presented =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'malformed'; readonly reason: string }

const NONE: Presented = { kind: 'none' }
const SEVERAL: Presented = { kind: 'malformed', reason: 'more than one token' }

/** `header` in lower case; `prefix` in any, for it is a scheme's name. */
export function presentedToken(headers: Readonly<Headers>, header: string, prefix: string): Presented {
  const [value, another] = [headers[header] ?? []].flat()
  if (value === undefined) return NONE
  if (another !== undefined) return SEVERAL
  if (!value.toLowerCase().startsWith(prefix.toLowerCase())) return NONE
  const token = value.slice(prefix.length).trim()
  if (token === '') return NONE
  if (token.length > MAX_LENGTH) return { kind: 'malformed', reason: 'the token is longer than 16 KiB' }
  return /[\s,]/.test(token) ? SEVERAL : { kind: 'token', token }
}
