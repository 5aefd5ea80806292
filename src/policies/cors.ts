/**
 * Cross-origin resource sharing: answers preflights itself and marks other responses.
 * https://fetch.spec.whatwg.org/#http-cors-protocol
 */
import { z } from 'zod'
import type { Headers } from '../core/headers.ts'
import { durationMs } from '../core/schema.ts'
import type { Policy } from './policy.ts'

export const corsSchema = z.strictObject({
  allowCredentials: z.boolean().optional(),
  allowHeaders: z.array(z.string()).optional(),
  allowMethods: z.array(z.string()).optional(),
  /** `*`, exact origins, or origins with one `*` for a subdomain. */
  allowOrigins: z.array(z.string()).optional(),
  exposeHeaders: z.array(z.string()).optional(),
  maxAge: z
    .union([
      durationMs,
      z
        .int()
        .nonnegative()
        .transform((seconds) => seconds * 1000),
    ])
    .optional(),
})

function originMatcher(pattern: string): (origin: string) => boolean {
  const star = pattern.indexOf('*')
  if (star < 0) return (origin) => origin === pattern
  const before = pattern.slice(0, star)
  const after = pattern.slice(star + 1)
  return (origin) =>
    origin.length >= pattern.length - 1 && origin.startsWith(before) && origin.endsWith(after)
}

export function cors(config: z.output<typeof corsSchema>): Policy {
  const matchers = (config.allowOrigins ?? []).map(originMatcher)
  const anyOrigin = config.allowOrigins?.includes('*') === true && config.allowCredentials !== true
  const methods = config.allowMethods?.join(', ')
  const allowHeaders = config.allowHeaders?.join(', ')
  const exposeHeaders = config.exposeHeaders?.join(', ')
  const allowed = (origin: string) => matchers.some((matches) => matches(origin))

  /** On answers without permission, too: a cache would hand them to an origin that has it. */
  function vary(headers: Headers): void {
    if (anyOrigin || matchers.length === 0) return
    const { vary: present } = headers
    if (present === undefined) headers.vary = 'Origin'
    else if (!/(^|,)\s*(origin|\*)\s*(,|$)/i.test(String(present))) headers.vary = [present, 'Origin'].flat()
  }

  function mark(headers: Headers, origin: string): void {
    headers['access-control-allow-origin'] = anyOrigin ? '*' : origin
    if (config.allowCredentials === true) headers['access-control-allow-credentials'] = 'true'
  }

  return {
    onRequest(head) {
      const { origin } = head.headers
      if (typeof origin !== 'string' || head.method !== 'OPTIONS') return undefined
      const wanted = head.headers['access-control-request-method']
      if (wanted === undefined) return undefined
      const headers: Headers = {}
      vary(headers)
      if (!allowed(origin)) return { status: 403, headers, body: 'origin not allowed' }
      mark(headers, origin)
      // `*` is not a wildcard once credentials are allowed: then the request's own words are echoed.
      const literal = config.allowCredentials === true
      const method = methods === '*' && literal ? wanted : methods
      const asked = head.headers['access-control-request-headers']
      const names = allowHeaders === '*' && literal ? asked : allowHeaders
      if (method !== undefined) headers['access-control-allow-methods'] = method
      if (names !== undefined) headers['access-control-allow-headers'] = names
      if (config.maxAge !== undefined)
        headers['access-control-max-age'] = String(Math.floor(config.maxAge / 1000))
      return { status: 200, headers, body: '' }
    },
    onResponse(headers, request) {
      const { origin } = request.headers
      vary(headers)
      if (typeof origin !== 'string' || !allowed(origin)) return
      mark(headers, origin)
      if (exposeHeaders !== undefined) headers['access-control-expose-headers'] = exposeHeaders
    },
  }
}
