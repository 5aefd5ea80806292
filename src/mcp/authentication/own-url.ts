/**
 * Where clients reach the gateway: from the configuration, or else from the request itself.
 *
 * Host and X-Forwarded-* are the client's words and end up in headers and documents, so whatever is not plainly
 * one scheme or one authority does not count.
 */
import type { Headers } from '../../core/headers.ts'
import type { McpAuthenticationConfig } from './schema.ts'

export interface OwnAddress {
  readonly headers: Readonly<Headers>
  readonly scheme: 'http' | 'https'
  /** The Host header, or :authority. */
  readonly host: string
}

const AUTHORITY = /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9._-]{0,252}))(?::\d{1,5})?$/i

/** Scheme and authority, without a slash; undefined when the request names no usable host. */
export function ownOrigin(config: McpAuthenticationConfig, request: OwnAddress): string | undefined {
  const { resource } = config.resourceMetadata
  if (resource !== undefined) return new URL(resource).origin
  const proto = request.headers['x-forwarded-proto']
  const scheme = proto === 'http' || proto === 'https' ? proto : request.scheme
  const forwarded = request.headers['x-forwarded-host']
  const host = typeof forwarded === 'string' && AUTHORITY.test(forwarded) ? forwarded : request.host
  return AUTHORITY.test(host) ? `${scheme}://${host}` : undefined
}

/** The path as part of a URL inside a quoted header value; nothing for the root, as RFC 9728 section 3.1 has it. */
export function pathSuffix(path: string): string {
  if (path === '/') return ''
  return path.toWellFormed().replace(/[^\w\-.~!$&'()*+,;=:@/%]/gu, encodeURIComponent)
}
