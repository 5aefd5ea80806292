/** Providers quote the key that they refuse. What they say is logged; the key must not be. */
import type { Headers } from '../core/headers.ts'

const CREDENTIAL_NAME = /auth|key|token|secret|cookie|sig/i
/** Shorter values are no keys, and would be found in any sentence. */
const SHORTEST_KEY = 8

/** `headers` and `path`, the query included, are those of the request that `message` answers. */
export function withoutCredentials(message: string, headers: Headers, path: string): string {
  let masked = message
  const mask = (value: string) => {
    const key = value.replace(/^(bearer|basic)\s+/i, '')
    if (key.length >= SHORTEST_KEY) masked = masked.replaceAll(key, '[redacted]')
  }
  for (const [name, values] of Object.entries(headers))
    if (CREDENTIAL_NAME.test(name)) for (const value of [values ?? []].flat()) mask(value)
  const mark = path.indexOf('?')
  if (mark >= 0)
    for (const [name, value] of new URLSearchParams(path.slice(mark)))
      if (CREDENTIAL_NAME.test(name)) {
        mask(value)
        mask(encodeURIComponent(value))
      }
  return masked
}
