/**
 * Other sites' pages may not act in a browser's name. https://web.dev/articles/fetch-metadata
 *
 * A browser says where a request comes from; what says nothing is no browser, and has no cookies that another page
 * could use.
 */
import { z } from 'zod'
import { GatewayError } from '../core/errors.ts'
import type { Policy } from './policy.ts'

export const csrfSchema = z.strictObject({
  additionalOrigins: z
    .array(
      z.string().regex(/^[a-z][a-z0-9+.-]*:\/\/[^/\s?#]+$/i, {
        error: 'expected an origin, for example https://app.example.com',
      }),
    )
    .default([]),
})
export type CsrfConfig = z.output<typeof csrfSchema>

/** They change nothing: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1 */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
const FROM_HERE = new Set<unknown>(['same-origin', 'none'])

/** Without what is usual, and thus not said; undefined for what is none, such as `null`. */
function originOf(text: string): string | undefined {
  const url = URL.parse(text)
  return url === null || url.host === '' ? undefined : `${url.protocol}//${url.host}`
}

/** The scheme is the origin's word: behind what ends TLS the gateway does not know it. */
const isHosts = (origin: string, host: string) =>
  origin === originOf(`${origin.slice(0, origin.indexOf(':'))}://${host}`)

export function csrf(config: CsrfConfig): Policy {
  const listed = new Set(config.additionalOrigins.map(originOf))

  return {
    onRequest({ method, headers, exchange }) {
      if (SAFE_METHODS.has(method)) return undefined
      const { origin: said, 'sec-fetch-site': site } = headers
      if (FROM_HERE.has(site) || (site === undefined && said === undefined)) return undefined
      const origin = typeof said === 'string' ? originOf(said) : undefined
      // Where a browser says that it is another site, it knows better than the host's name.
      const isOwn = site === undefined && origin !== undefined && isHosts(origin, exchange.host)
      if (isOwn || (origin !== undefined && listed.has(origin))) return undefined
      throw new GatewayError('csrf_rejected', 'CSRF validation failed')
    },
  }
}
