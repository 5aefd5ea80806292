/** Calling an upstream, as the stages see it: whom, what, and what comes back. Connections are `upstream/`'s. */
import type { Readable } from 'node:stream'
import type { GatewayError } from './errors.ts'
import type { Attempt } from './exchange.ts'
import type { Headers } from './headers.ts'

export interface UpstreamTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
  /** No verification at all. */
  readonly insecure?: boolean
  /** Verify the chain, not the name. */
  readonly insecureHost?: boolean
}

export interface UpstreamTarget {
  readonly host: string
  readonly port: number
  /** undefined = plaintext. */
  readonly tls: UpstreamTls | undefined
  /** Milliseconds; 0 = no limit. */
  readonly connectTimeoutMs: number | undefined
  readonly limits?: UpstreamLimits | undefined
}

/** Undefined: as many as there are, or as `config.backend` says. */
export interface UpstreamLimits {
  readonly maxConnections: number | undefined
  /** At a time. */
  readonly maxRequests: number | undefined
  /** That wait for their turn behind these; the others are refused. */
  readonly maxPendingRequests: number
}

export interface UpstreamRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Headers
  readonly body: Buffer | Readable | null
}

/** Exactly one of `onEnd` and `onError` is called, last. */
export interface UpstreamHandler {
  /** The headers are the handler's from then on. */
  readonly onHead: (status: number, headers: Headers) => void
  readonly onData: (chunk: Buffer) => void
  readonly onEnd: () => void
  readonly onError: (error: GatewayError) => void
}

/**
 * Milliseconds; 0 = no limit. Kept by timers of our own.
 */
export interface WaitLimits {
  /** From the call, and so with the wait for a connection, to the response's head. */
  readonly firstByteMs: number
  /** Between two pieces of the response's body. */
  readonly idleMs: number
}

export interface UpstreamCall {
  /** Closes the connection at once; no handler is called afterwards. */
  readonly abort: () => void
  readonly pause: () => void
  readonly resume: () => void
}

export interface UpstreamAttempt extends UpstreamCall {
  /** Closes the attempt as it is now; the connection is kept when the rest of the answer comes soon. */
  readonly discard: () => void
}

export interface WholeAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
}

/** Rejects when nothing came within `timeoutMs`, more than `maxBytes` did, or `signal` says so; follows no redirects. */
export type Ask = (
  target: UpstreamTarget,
  request: UpstreamRequest & { readonly body: Buffer | null },
  limits: { readonly timeoutMs: number; readonly maxBytes: number; readonly signal?: AbortSignal },
) => Promise<WholeAnswer>

export interface Upstreams {
  readonly send: (
    target: UpstreamTarget,
    request: UpstreamRequest,
    limits: WaitLimits,
    attempt: Attempt,
    handler: UpstreamHandler,
  ) => UpstreamAttempt
  /** Closes the pools of origins that are not in `targets`, once their requests are done. */
  readonly retain: (targets: readonly UpstreamTarget[]) => void
  readonly close: () => Promise<void>
}
