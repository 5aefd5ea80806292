/**
 * A target over the HTTP+SSE transport of 2024-11-05: one stream brings everything, POSTs to an address that the
 * stream's first event names carry what goes there.
 * https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 */
import { frameSplitter, parseFrame, type SseEvent } from '../core/sse.ts'
import type { UpstreamCall, Upstreams } from '../core/upstream.ts'
import { forwardedHeaders, type HttpEndpoint, sendHttp, setTrace, wholeBody } from './http.ts'
import { isRequest, type RequestId, type RpcMessage, readMessage } from './json-rpc.ts'
import { TargetError, type Transport, type TransportEvents } from './transport.ts'

export interface LegacySseOptions {
  readonly upstreams: Upstreams
  readonly endpoint: HttpEndpoint
  readonly path: string
}

export function legacySse(
  { upstreams, endpoint, path }: LegacySseOptions,
  events: TransportEvents,
): Transport {
  let stream: UpstreamCall | undefined
  let postPath: string | undefined
  let isClosed = false
  /** POSTs that are not answered yet. */
  const posts = new Map<RequestId | symbol, UpstreamCall>()

  function closed(error: TargetError): void {
    if (isClosed) return
    isClosed = true
    stream?.abort()
    for (const post of posts.values()) post.abort()
    posts.clear()
    events.onClosed(error)
  }

  const broken = (what: string) => new TargetError('transport_error', `${endpoint.address}: ${what}`)

  /** Only the server that we called is posted to, wherever it points: credentials go with each message. */
  function addressed(data: string): string {
    const origin = `http://${endpoint.authority}`
    const base = new URL(path, origin)
    const url = URL.canParse(data, base.href) ? new URL(data, base) : undefined
    if (url === undefined || url.host !== base.host)
      throw new TargetError(
        'unexpected_response',
        `${endpoint.address}: the event stream names another server: ${data}`,
      )
    return url.pathname + url.search
  }

  function received(event: SseEvent, opened: () => void): void {
    if (event.event === 'endpoint') {
      postPath = addressed(event.data)
      opened()
    } else if (event.event === undefined || event.event === 'message') {
      let parsed: unknown
      try {
        parsed = JSON.parse(event.data)
      } catch {
        events.onNoise('not JSON', {})
        return
      }
      const message = readMessage(parsed)
      if (typeof message === 'string') events.onNoise('not a JSON-RPC message', { detail: message })
      else events.onMessage(message, undefined)
    }
  }

  return {
    open: (from) =>
      new Promise((resolve, reject) => {
        const headers = { ...forwardedHeaders(from), accept: 'text/event-stream' }
        const fail = (error: TargetError) => {
          reject(error)
          closed(error)
        }
        stream = sendHttp(
          upstreams,
          endpoint,
          { method: 'GET', path, headers, body: null },
          {
            onHead(status, answered) {
              if (status !== 200 || !/^text\/event-stream\b/i.test(String(answered['content-type'] ?? '')))
                return wholeBody(endpoint.maxBytes, (body) =>
                  fail(
                    new TargetError('transport_error', `${endpoint.address}: no event stream but ${status}`, {
                      reply: { status, headers: answered, body },
                    }),
                  ),
                )
              const splitter = frameSplitter(endpoint.maxBytes)
              return {
                onData(chunk) {
                  for (const frame of splitter.push(chunk)) {
                    const event = parseFrame(frame)
                    if (event !== undefined) received(event, resolve)
                  }
                },
                onEnd: () => fail(broken('the event stream ended')),
              }
            },
            onError: fail,
          },
        )
      }),
    send: (message: RpcMessage, delivery) =>
      new Promise((resolve, reject) => {
        if (postPath === undefined || isClosed) {
          reject(broken('the event stream is closed'))
          return
        }
        const headers = forwardedHeaders(delivery.headers)
        headers['content-type'] = 'application/json'
        headers.accept = 'application/json'
        setTrace(headers, delivery)
        const body = Buffer.from(JSON.stringify(message))
        const key = isRequest(message) ? message.id : Symbol('notification')
        const post = sendHttp(
          upstreams,
          endpoint,
          { method: 'POST', path: postPath, headers, body },
          {
            onHead: (status, answered) =>
              wholeBody(endpoint.maxBytes, (whole) => {
                posts.delete(key)
                if (status < 300) resolve()
                else
                  reject(
                    new TargetError('transport_error', `${endpoint.address}: the server answered ${status}`, {
                      reply: { status, headers: answered, body: whole },
                      isExpired: status === 404,
                    }),
                  )
              }),
            onError(error) {
              posts.delete(key)
              reject(error)
            },
          },
          delivery.call,
        )
        posts.set(key, post)
      }),
    negotiated() {},
    listen() {},
    abandon(id) {
      posts.get(id)?.abort()
      posts.delete(id)
    },
    close() {
      closed(new TargetError('unavailable', 'the session was ended'))
      return Promise.resolve()
    },
    sessionId: () => undefined,
  }
}
