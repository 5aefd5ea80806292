/** Providers quote the key that they refuse. What they say is logged; the key must not be. */
import type { Headers } from '../core/headers.ts'

const CREDENTIAL_HEADER = /auth|key|token|secret|cookie/i
/** Shorter values are no keys, and would be found in any sentence. */
const SHORTEST_KEY = 8

/** `headers` are those that were sent with the request that `message` answers. */
export function withoutCredentials(message: string, headers: Headers): string {
  let masked = message
  for (const [name, values] of Object.entries(headers)) {
    if (!CREDENTIAL_HEADER.test(name)) continue
    for (const value of [values ?? []].flat()) {
      const key = value.replace(/^(bearer|basic)\s+/i, '')
      if (key.length >= SHORTEST_KEY) masked = masked.replaceAll(key, '[redacted]')
    }
  }
  return masked
}
