/** One HTTP request to a target: its headers, its credential, its answer read as JSON or as events. */

import { FAULTS, type GatewayError } from '../core/errors.ts'
import { beginAttempt, type McpCall } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import type { UpstreamCall, Upstreams, UpstreamTarget } from '../core/upstream.ts'
import { type Delivery, TargetError } from './transport.ts'

/** Where an HTTP target is, and how it is asked. */
export interface HttpEndpoint {
  readonly upstream: UpstreamTarget
  readonly authority: string
  /** `host:port`, for people. */
  readonly address: string
  readonly auth: { readonly header: string; readonly value: string } | undefined
  readonly modifyHeaders: ((headers: Headers) => void) | undefined
  /** Largest answer or event that is held in memory. */
  readonly maxBytes: number
}

export interface HttpRequest {
  readonly method: string
  readonly path: string
  readonly headers: Headers
  readonly body: Buffer | null
}

export interface HttpReader {
  /** Decides by the head who reads the body. */
  readonly onHead: (status: number, headers: Headers) => BodyReader
  readonly onError: (error: TargetError) => void
}
export interface BodyReader {
  readonly onData: (chunk: Buffer) => void
  readonly onEnd: () => void
}

/** What concerns the client's own connection and session, or is said anew for the target. */
const NOT_FORWARDED = new Set([
  'accept',
  'accept-encoding',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'mcp-session-id',
  // A browser's page is the gateway's client, not the target's: judged here, it would only be refused there.
  'origin',
  'referer',
  'traceparent',
  'tracestate',
])

/** The client's headers, less those that are the gateway's to say. */
export function forwardedHeaders(headers: Readonly<Headers>): Headers {
  const copy: Headers = {}
  for (const name in headers) {
    if (!NOT_FORWARDED.has(name) && !name.startsWith('sec-') && !name.startsWith('access-control-'))
      copy[name] = headers[name]
  }
  return copy
}

export function setTrace(headers: Headers, { traceparent, tracestate }: Delivery): void {
  if (traceparent === undefined) return
  headers.traceparent = traceparent
  if (tracestate !== undefined) headers.tracestate = tracestate
}

/** The message says which target's; what the system said goes with it, for it names ports and not secrets. */
function asTargetError(error: GatewayError, endpoint: HttpEndpoint): TargetError {
  const isLate = FAULTS[error.code].outcome === 'timeout'
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return new TargetError(
    isLate ? 'timeout' : 'transport_error',
    `${endpoint.address}: ${error.message}${cause}`,
    {
      cause: error,
    },
  )
}

export function sendHttp(
  upstreams: Upstreams,
  endpoint: HttpEndpoint,
  request: HttpRequest,
  reader: HttpReader,
  call?: McpCall,
): UpstreamCall {
  const { headers } = request
  headers.host = endpoint.authority
  if (endpoint.auth !== undefined) {
    // It takes the place of the client's, wherever it goes.
    delete headers.authorization
    headers[endpoint.auth.header] = endpoint.auth.value
  }
  endpoint.modifyHeaders?.(headers)
  const attempt = beginAttempt(endpoint.address, performance.now())
  let body: BodyReader | undefined
  let isOver = false
  function fail(error: TargetError): void {
    if (isOver) return
    isOver = true
    upstream.abort()
    reader.onError(error)
  }
  function step(work: () => void): void {
    if (isOver) return
    try {
      work()
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      fail(
        error instanceof TargetError
          ? error
          : new TargetError('unexpected_response', message, { cause: error }),
      )
    }
  }
  const upstream: UpstreamCall = upstreams.send(
    endpoint.upstream,
    request,
    // Waits are limited where their meaning is known: per message, not per connection.
    { firstByteMs: 0, idleMs: 0 },
    attempt,
    {
      onHead(status, answered) {
        if (call !== undefined) {
          call.status = status
          call.connectMs = attempt.connectMs
        }
        step(() => {
          body = reader.onHead(status, answered)
        })
      },
      onData: (chunk) => step(() => body?.onData(chunk)),
      onEnd: () => step(() => body?.onEnd()),
      // `upstream` is not there yet when the call fails at once.
      onError: (error) => queueMicrotask(() => fail(asTargetError(error, endpoint))),
    },
  )
  return {
    abort() {
      isOver = true
      upstream.abort()
    },
    pause: () => upstream.pause(),
    resume: () => upstream.resume(),
  }
}

/** Gathers a body; throws `TargetError` when it is larger than the gateway holds. */
export function wholeBody(maxBytes: number, done: (body: Buffer) => void): BodyReader {
  const pieces: Buffer[] = []
  let length = 0
  return {
    onData(chunk) {
      length += chunk.length
      if (length > maxBytes)
        throw new TargetError('unexpected_response', `the answer exceeds ${maxBytes} bytes`)
      pieces.push(chunk)
    },
    onEnd: () => done(Buffer.concat(pieces, length)),
  }
}

export interface WholeReply {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
}

export interface Fetching {
  /** Rejects with `TargetError`. */
  readonly reply: Promise<WholeReply>
  readonly abort: () => void
}

/** A request whose answer is wanted whole. */
export function fetchWhole(
  upstreams: Upstreams,
  endpoint: HttpEndpoint,
  request: HttpRequest,
  call?: McpCall,
): Fetching {
  let abort = () => {}
  const reply = new Promise<WholeReply>((resolve, reject) => {
    const sent = sendHttp(
      upstreams,
      endpoint,
      request,
      {
        onHead: (status, headers) =>
          wholeBody(endpoint.maxBytes, (body) => resolve({ status, headers, body })),
        onError: reject,
      },
      call,
    )
    abort = () => {
      sent.abort()
      reject(new TargetError('timeout', `${endpoint.address}: no answer in time`))
    }
  })
  return { reply, abort: () => abort() }
}
