/** Sends clients elsewhere. Gateway API's HTTPRequestRedirectFilter. */
import { z } from 'zod'
import { GatewayError } from '../core/errors.ts'
import { isAuthority } from '../core/request-target.ts'
import type { Policy } from './policy.ts'
import { changedAuthority, changedPath, urlRewriteSchema } from './url-rewrite.ts'

export const requestRedirectSchema = urlRewriteSchema.extend({
  scheme: z.enum(['http', 'https']).optional(),
  status: z
    .union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)])
    .default(302),
})
export type RequestRedirectConfig = z.output<typeof requestRedirectSchema>

export function requestRedirect({ scheme, authority, path, status }: RequestRedirectConfig): Policy {
  // The client's port is of the scheme that it came by.
  const keepsPort = scheme === undefined || (typeof authority === 'object' && !('host' in authority))
  return {
    onRequest(head) {
      const { exchange, query } = head
      const authorityWithPort = changedAuthority(authority, head) ?? exchange.host
      const host = keepsPort ? authorityWithPort : authorityWithPort.replace(/:\d+$/, '')
      const target = changedPath(path, head)
      if (!isAuthority(host) || !target.startsWith('/'))
        throw new GatewayError('bad_request', 'the request does not say where it could be redirected to')
      const location = `${scheme ?? exchange.scheme}://${host}${target}${query === '' ? '' : `?${query}`}`
      return { status, headers: { location }, body: '' }
    },
  }
}
