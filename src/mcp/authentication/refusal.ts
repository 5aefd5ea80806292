/** What a client without a good token is told. https://www.rfc-editor.org/rfc/rfc9728#section-5.1 */
import { bearerChallenge } from '../../core/bearer-token.ts'

export interface Refusal {
  readonly kind: 'refused'
  readonly status: 401 | 403 | 503
  readonly headers: Record<string, string>
  readonly body: string
  /** For the log; never shown. */
  readonly cause?: unknown
}

const headersOf = (more: Record<string, string>) => ({
  'content-type': 'application/json',
  'cache-control': 'no-store',
  ...more,
})

/** `reason` is undefined when no token came. */
export function unauthorized(metadataUrl: string | undefined, reason: string | undefined): Refusal {
  const parameters: Record<string, string> =
    metadataUrl === undefined ? {} : { resource_metadata: metadataUrl }
  const body =
    reason === undefined
      ? { error: 'unauthorized', error_description: 'JWT token required' }
      : { error: 'invalid_token', error_description: reason }
  return {
    kind: 'refused',
    status: 401,
    headers: headersOf({ 'www-authenticate': bearerChallenge(reason, parameters) }),
    body: JSON.stringify(body),
  }
}

/** No 401: the token may be good, and the client can do nothing about it. */
export function keysUnavailable(cause: unknown): Refusal {
  return {
    kind: 'refused',
    status: 503,
    headers: headersOf({ 'retry-after': '5' }),
    body: JSON.stringify({
      error: 'temporarily_unavailable',
      error_description: 'the keys of the authorization server cannot be fetched',
    }),
    cause,
  }
}
