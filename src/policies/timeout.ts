/**
 * Four separate limits; each ends the exchange with an error of its own. `0s` turns one off.
 *
 * `requestTimeout` and `backendRequestTimeout` are upstream's: they bound the wait for the response's head, over
 * all attempts and per attempt, not a stream's length. `idleTimeout` and `totalTimeout` are ours.
 */
import { z } from 'zod'
import { durationMs } from '../core/schema.ts'

export const timeoutSchema = z.strictObject({
  /** From the request's arrival to the response's head. */
  requestTimeout: durationMs.optional(),
  /** From the start of an attempt to its response's head. */
  backendRequestTimeout: durationMs.optional(),
  /** Between two chunks of the upstream's response. */
  idleTimeout: durationMs.optional(),
  /** From the request's arrival to the last byte of the response. */
  totalTimeout: durationMs.optional(),
})

export interface Timeouts {
  readonly requestMs: number
  readonly firstByteMs: number
  readonly idleMs: number
  readonly totalMs: number
}

/** What the official SDKs wait by default; nothing is cut at 300 s. */
const TEN_MINUTES = 600_000

export function timeouts(config: z.output<typeof timeoutSchema> = {}): Timeouts {
  return {
    requestMs: config.requestTimeout ?? 0,
    firstByteMs: config.backendRequestTimeout ?? TEN_MINUTES,
    idleMs: config.idleTimeout ?? TEN_MINUTES,
    totalMs: config.totalTimeout ?? 0,
  }
}
