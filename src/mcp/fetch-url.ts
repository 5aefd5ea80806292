/** A document by its URL, over a connection of its own: of an identity provider, of an API. */
import type { Fetch } from '../core/fetch-json.ts'
import type { Headers } from '../core/headers.ts'
import type { Upstreams, UpstreamTarget } from '../core/upstream.ts'
import { fetchWhole, type HttpEndpoint } from './http.ts'

function upstreamOf(url: URL): UpstreamTarget {
  const isTls = url.protocol === 'https:'
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    tls: isTls ? {} : undefined,
    connectTimeoutMs: undefined,
  }
}

export function fetchingOver(upstreams: Upstreams): Fetch {
  return async (url, { method = 'GET', headers: given, body: content, timeoutMs, maxBytes }) => {
    const parsed = new URL(url)
    const place: HttpEndpoint = {
      upstream: upstreamOf(parsed),
      authority: parsed.host,
      address: parsed.host,
      auth: undefined,
      modifyHeaders: undefined,
      maxBytes,
    }
    const body = content === undefined ? null : Buffer.from(content)
    const headers: Headers = { ...given }
    if (body !== null) headers['content-length'] = String(body.length)
    const path = parsed.pathname + parsed.search
    const { reply, abort } = fetchWhole(upstreams, place, { method, path, headers, body })
    const timer = setTimeout(abort, timeoutMs)
    try {
      const answer = await reply
      const plain = Object.entries(answer.headers).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, String(value)] as const],
      )
      return { status: answer.status, headers: Object.fromEntries(plain), body: answer.body }
    } finally {
      clearTimeout(timer)
    }
  }
}
