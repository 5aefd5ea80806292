/**
 * What a translation between two wire formats is: five pure functions and the names of what it drops.
 *
 * `Request` flows from the client's format to the provider's; everything else flows back. A stream is a pure step
 * `(state, event) -> [state, events]`; `end` is asked once, when the provider's body has ended cleanly, and closes
 * whatever is still open in the client's format.
 */

import type { WireFormat } from '../../core/exchange.ts'
import type { SseEvent } from '../../core/sse.ts'

export interface TranslatedRequest {
  /** The provider's request body, ready for `JSON.stringify`. */
  readonly body: Record<string, unknown>
  /**
   * Key paths of the client's request that had to be dropped (`logit_bias`, `messages[].name`): documented in
   * `docs/translation.md`, named in the debug log.
   */
  readonly dropped: readonly string[]
}

export interface TranslationContext {
  /** Seconds since 1970 for `created` fields. */
  readonly now: number
  /** The model that the provider was asked for: a fallback where its answer names none. */
  readonly model: string
  /** An id for answers that carry none: random, without prefix. */
  readonly id: string
  /** The client asked for usage in the stream (`stream_options.include_usage`); other formats always carry it. */
  readonly includeUsage: boolean
}

export interface StreamStep<State> {
  readonly start: (context: TranslationContext) => State
  /** Never throws on an event that it does not know: it is skipped. Malformed JSON is a `TranslationError`. */
  readonly step: (state: State, event: SseEvent) => readonly [State, readonly SseEvent[]]
  readonly end: (state: State) => readonly SseEvent[]
}

export interface Translation<State = unknown> {
  readonly client: WireFormat
  readonly provider: WireFormat
  /** Throws `TranslationError` where the request cannot be expressed in the provider's format. */
  readonly request: (body: Record<string, unknown>) => TranslatedRequest
  /** The provider's whole answer (2xx) in the client's format. */
  readonly response: (body: Record<string, unknown>, context: TranslationContext) => Record<string, unknown>
  readonly stream: StreamStep<State>
  /** The provider's error body (any JSON value, or undefined when it was no JSON) in the client's format. */
  readonly error: (status: number, body: unknown) => Record<string, unknown>
}

/** `message` is for the client: it names the place (`messages[2].content[0]`) and what is wrong. */
export class TranslationError extends Error {
  override readonly name = 'TranslationError'
}
