/** What an API module hands to the writer: an answer as it goes over the wire, and what it costs. */
import type { OutgoingHttpHeaders } from 'node:http'
import type { Usage } from '../core/usage.ts'

export interface Frame {
  /** One server-sent event, blank line included, with LF. */
  readonly text: string
  /** `done` is the chat API's `[DONE]`, which no other has. */
  readonly kind: 'delta' | 'event' | 'done'
  /** Tokens that had been generated when this frame was sent, since the frame before it. */
  readonly outputTokens: number
  /** Part of `outputTokens`. */
  readonly reasoningTokens: number
}

export interface Answer {
  readonly model: string
  readonly responseModel: string
  readonly status: number
  readonly headers: OutgoingHttpHeaders
  readonly body:
    | { readonly kind: 'unary'; readonly text: string }
    | {
        readonly kind: 'stream'
        readonly frames: readonly Frame[]
        /** The provider's way to fail in the middle of a stream, as event-stream text. */
        readonly failure: string
      }
  /** What the whole answer costs. */
  readonly usage: Usage
}

export const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
}

/** A request that the provider does not serve: its status and its body, in its own shape. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly body: string
  readonly headers: OutgoingHttpHeaders

  constructor(status: number, body: string, headers: OutgoingHttpHeaders = {}) {
    super(body)
    this.status = status
    this.body = body
    this.headers = headers
  }
}
