/**
 * What a simulated provider billed: the truth that the gateway's counts are compared with.
 *
 * An entry is written when the provider is done with the request, so a stalled stream appears only once its
 * caller has left. The list is bounded (the oldest go first); the totals are not.
 */
import type { Usage } from '../core/usage.ts'

/** One request that the provider billed or refused. Token counts are normalised: see `core/usage.ts`. */
export interface BilledCall extends Usage {
  readonly api: Api
  /** As asked for; empty where the request named none. */
  readonly model: string
  /** As answered: OpenAI answers `gpt-4o` as `gpt-4o-2024-08-06`. */
  readonly responseModel: string
  /** 0 when no head was sent. */
  readonly status: number
  readonly streamed: boolean
  /** As received. */
  readonly traceparent: string | undefined
  /** As received; values of repeated headers are joined. */
  readonly headers: Readonly<Record<string, string>>
  readonly method: string
  /** Path and query, as received. */
  readonly path: string
  /** As received. */
  readonly body: string
  /** The provider's request id, as in its response headers. */
  readonly requestId: string
  /** The whole answer was written. */
  readonly completed: boolean
  /** The caller closed the connection before the end. */
  readonly aborted: boolean
  /** `performance.now()` when the request's head had arrived. */
  readonly receivedAt: number
  /** When the provider noticed that the caller had left, since `receivedAt`. */
  readonly abortedAfterMs: number | undefined
  readonly endedAfterMs: number
  /** Deltas that were written. */
  readonly deltas: number
}

export type Api =
  | 'completions'
  | 'responses'
  | 'embeddings'
  | 'models'
  | 'messages'
  | 'count_tokens'
  | 'other'

export interface Totals extends Usage {
  readonly calls: number
  /** Whole answers that were not refusals. */
  readonly completed: number
  readonly aborted: number
  /** Status 400 and above. */
  readonly refused: number
}

const NOTHING: Totals = {
  calls: 0,
  completed: 0,
  aborted: 0,
  refused: 0,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
}

export interface Ledger {
  readonly calls: readonly BilledCall[]
  readonly totals: Totals
  add(call: BilledCall): void
  clear(): void
  /** Checks the waiting predicates again: something that they may look at has changed. */
  notify(): void
  waitFor(predicate: (calls: readonly BilledCall[]) => boolean): Promise<readonly BilledCall[]>
}

export function createLedger(limit: number): Ledger {
  const calls: BilledCall[] = []
  const waiting = new Set<() => void>()
  let totals = { ...NOTHING }

  function notify() {
    for (const check of waiting) check()
  }

  return {
    calls,
    get totals() {
      return { ...totals }
    },
    add(call) {
      // In batches: shifting a long array at each request would cost more than serving it.
      if (calls.length >= limit * 2) calls.splice(0, limit)
      calls.push(call)
      totals.calls += 1
      if (call.aborted) totals.aborted += 1
      if (call.status >= 400) totals.refused += 1
      else if (call.completed) totals.completed += 1
      totals.inputTokens += call.inputTokens
      totals.outputTokens += call.outputTokens
      totals.cacheReadTokens += call.cacheReadTokens
      totals.cacheWriteTokens += call.cacheWriteTokens
      totals.reasoningTokens += call.reasoningTokens
      notify()
    },
    clear() {
      calls.length = 0
      totals = { ...NOTHING }
    },
    notify,
    waitFor(predicate) {
      return new Promise((resolve, reject) => {
        function check() {
          try {
            if (!predicate(calls)) return
            resolve(calls)
          } catch (error) {
            reject(error)
          }
          waiting.delete(check)
        }
        waiting.add(check)
        check()
      })
    },
  }
}
