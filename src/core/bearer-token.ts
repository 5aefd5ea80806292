/** Finding the token in a request, and saying what is wrong with it. https://www.rfc-editor.org/rfc/rfc6750 */
import type { Headers } from './headers.ts'

/** Signatures are checked over all of it. */
const MAX_LENGTH = 16 * 1024

export type Presented =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'malformed'; readonly reason: string }

const NONE: Presented = { kind: 'none' }
const SEVERAL: Presented = { kind: 'malformed', reason: 'more than one token' }

/** `header` in lower case. */
export const presentedToken = (headers: Readonly<Headers>, header: string, prefix: string): Presented =>
  tokenIn([headers[header] ?? []].flat(), prefix)

/** `prefix` in any case, for it is a scheme's name. */
export function tokenIn(values: readonly string[], prefix: string): Presented {
  const [value, another] = values
  if (value === undefined) return NONE
  if (another !== undefined) return SEVERAL
  if (!value.toLowerCase().startsWith(prefix.toLowerCase())) return NONE
  const token = value.slice(prefix.length).trim()
  if (token === '') return NONE
  if (token.length > MAX_LENGTH) return { kind: 'malformed', reason: 'the token is longer than 16 KiB' }
  return /[\s,]/.test(token) ? SEVERAL : { kind: 'token', token }
}

/** RFC 6750 section 3 has neither quotes nor backslashes in a description, so none need escaping. */
const quoted = (text: string) => `"${text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, ' ')}"`

/**
 * The value of WWW-Authenticate, with `parameters` first. `reason` is undefined when no token came: then section 3.1
 * wants no error code.
 */
export function bearerChallenge(
  reason: string | undefined,
  parameters: Readonly<Record<string, string>> = {},
): string {
  const all = {
    ...parameters,
    ...(reason !== undefined && { error: 'invalid_token', error_description: reason }),
  }
  const list = Object.entries(all).map(([name, value]) => `${name}=${quoted(value)}`)
  return `Bearer ${list.join(', ')}`.trimEnd()
}
