/** What every way to a target has in common, whatever carries the messages. */
import type { McpCall, McpErrorType } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import type { JsonObject, RequestId, RpcMessage } from './json-rpc.ts'

/** A target did not do what it should. Its message is shown to the client. */
export class TargetError extends Error {
  override readonly name = 'TargetError'
  readonly type: McpErrorType
  /** What an HTTP target answered instead; handed on where it is about the client's credential. */
  readonly reply: { readonly status: number; readonly headers: Headers; readonly body: Buffer } | undefined
  /** The target does not know our session any more. */
  readonly isExpired: boolean

  constructor(
    type: McpErrorType,
    message: string,
    options: ErrorOptions & { readonly reply?: TargetError['reply']; readonly isExpired?: boolean } = {},
  ) {
    super(message, options)
    this.type = type
    this.reply = options.reply
    this.isExpired = options.isExpired ?? false
  }
}

/** What goes with a message. */
export interface Delivery {
  /** Of the client's request, for targets that speak HTTP. */
  readonly headers: Headers
  /** W3C trace context of the call. */
  readonly traceparent: string | undefined
  /** Goes with it, and never without. */
  readonly tracestate: string | undefined
  readonly call: McpCall | undefined
}

export interface TransportEvents {
  /** `answering`: the request of ours in whose reply the message came, where the transport can tell. */
  readonly onMessage: (message: RpcMessage, answering: RequestId | undefined) => void
  /** The answer to this request will not come. */
  readonly onLost: (id: RequestId, error: TargetError) => void
  /** The target does not know our session any more; what is under way may still be answered. */
  readonly onExpired: (error: TargetError) => void
  /** Of no use any more; whatever was under way is lost. */
  readonly onClosed: (error: TargetError) => void
  /** Worth a line in the log, and nothing else. */
  readonly onNoise: (message: string, fields: Readonly<Record<string, string>>) => void
}

export interface Transport {
  /** Rejects with `TargetError`. */
  readonly open: (headers: Headers) => Promise<void>
  /** Hands the message over; the answer comes as an event. Rejects with `TargetError`. */
  readonly send: (message: RpcMessage, delivery: Delivery) => Promise<void>
  /** After `initialize`: from here on the target may speak by itself. */
  readonly negotiated: (protocolVersion: string) => void
  /** Opens the way for what belongs to no request, where that is a way of its own. */
  readonly listen: (headers: Headers) => void
  /** Nobody waits for the answer any more. */
  readonly abandon: (id: RequestId) => void
  readonly close: () => Promise<void>
  /** The target's own name for the session. */
  readonly sessionId: () => string | undefined
}

export type OpenTransport = (events: TransportEvents) => Transport

/** What a client told of itself, as its targets hear it. */
export interface ClientIdentity {
  readonly protocolVersion: string
  readonly capabilities: JsonObject
  readonly clientInfo: JsonObject
}

export function asTargetError(error: unknown): TargetError {
  if (error instanceof TargetError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new TargetError('transport_error', message, { cause: error })
}
