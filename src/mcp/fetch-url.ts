/** Whole answers of services beside the way: a document of an identity provider or of an API, a verdict. */
import type { Fetch } from '../core/fetch-json.ts'
import type { Headers } from '../core/headers.ts'
import type { Ask, Upstreams, UpstreamTarget } from '../core/upstream.ts'
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

/** The request's `host` is sent as it is. */
export function askingOver(upstreams: Upstreams): Ask {
  return async (upstream, request, { timeoutMs, maxBytes, signal }) => {
    const authority = String(request.headers.host)
    const place: HttpEndpoint = {
      upstream,
      authority,
      address: authority,
      auth: undefined,
      modifyHeaders: undefined,
      maxBytes,
    }
    const { reply, abort } = fetchWhole(upstreams, place, request)
    const timer = setTimeout(abort, timeoutMs)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      return await reply
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
  }
}

export function fetchingOver(ask: Ask): Fetch {
  return async (url, { method = 'GET', headers: given, body: content, ...limits }) => {
    const parsed = new URL(url)
    const body = content === undefined ? null : Buffer.from(content)
    const headers: Headers = { ...given, host: parsed.host }
    if (body !== null) headers['content-length'] = String(body.length)
    const path = parsed.pathname + parsed.search
    const answer = await ask(upstreamOf(parsed), { method, path, headers, body }, limits)
    const plain = Object.entries(answer.headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)] as const],
    )
    return { status: answer.status, headers: Object.fromEntries(plain), body: answer.body }
  }
}
