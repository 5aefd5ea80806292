/**
 * When an attempt fails: whether there is another one, and how long it waits.
 *
 * Only what has shown the client nothing is tried again. Waits grow with each attempt and are drawn at random below
 * that, so that clients who failed together do not come back together:
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
import { z } from 'zod'
import { type CelExpression, compileCel } from '../core/cel.ts'
import { celExpression } from '../core/cel-schema.ts'
import type { FaultCode } from '../core/errors.ts'
import type { Headers } from '../core/headers.ts'
import { ANSWER_NAMES, NOTED_NAMES } from '../core/request-names.ts'
import { durationMs } from '../core/schema.ts'

/** What a provider answers while it cannot, but soon may. 529 is Anthropic's for too much load. */
const CODES = [429, 500, 502, 503, 504, 529]

const BACKOFF_MS = 100
const LONGEST_BACKOFF_MS = 10_000

/** Whoever is told to stay away for longer is told so. */
const LONGEST_RETRY_AFTER_MS = 30_000

export const retrySchema = z
  .strictObject({
    /** After the first. */
    attempts: z.int().min(1).max(10).default(1),
    /** Before the second attempt at most so long, before the third twice as long, and so on. */
    backoff: durationMs.default(BACKOFF_MS),
    codes: z.array(z.int().min(400).max(599)).default(CODES),
    /** Whether there is more than one attempt at all. */
    precondition: celExpression(NOTED_NAMES).optional(),
    /** Answers after which there is another attempt, beside those of `codes`. */
    condition: celExpression(ANSWER_NAMES).optional(),
  })
  .refine(({ codes, condition }) => codes.length > 0 || condition !== undefined, {
    error: 'expected at least one status, or a `condition`',
    path: ['codes'],
  })
export type RetryConfig = z.output<typeof retrySchema>

export interface Retry {
  /** Undefined: as many as there are others to ask. */
  readonly attempts: number | undefined
  readonly codes: ReadonlySet<number>
  readonly backoffMs: number
  readonly precondition: CelExpression | undefined
  readonly condition: CelExpression | undefined
}

const compiled = (source: string | undefined, names: typeof NOTED_NAMES | typeof ANSWER_NAMES) =>
  source === undefined ? undefined : compileCel(source, names)

/** Without a policy another member of the group is asked, and nobody twice. */
export const retry = (config: RetryConfig | undefined): Retry => ({
  attempts: config?.attempts,
  codes: new Set(config?.codes ?? CODES),
  backoffMs: config?.backoff ?? BACKOFF_MS,
  precondition: compiled(config?.precondition, NOTED_NAMES),
  condition: compiled(config?.condition, ANSWER_NAMES),
})

const FAULTS: ReadonlySet<FaultCode> = new Set([
  'upstream_connect',
  'upstream_reset',
  'upstream_bad_response',
  'connect_timeout',
  'upstream_timeout',
  'idle_timeout',
  'overloaded',
])

/** It was the upstream's, and another attempt may go better. */
export const isPassing = (code: FaultCode) => FAULTS.has(code)

/** Seconds, or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after. Undefined where it says nothing. */
export function retryAfterMs(headers: Headers, epochMs: number): number | undefined {
  const value = headers['retry-after']
  if (typeof value !== 'string') return undefined
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000
  // `Date.parse` makes a date of almost anything.
  const date = /^\w{3,9}, /.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - epochMs)
}

/** How long to wait before the same upstream is asked again; undefined: it asked to be left alone for longer. */
export function waitMs(
  { backoffMs }: Retry,
  { attempt, retryAfter = 0 }: { readonly attempt: number; readonly retryAfter: number | undefined },
  random: () => number,
): number | undefined {
  if (retryAfter > LONGEST_RETRY_AFTER_MS) return undefined
  const backoff = Math.min(LONGEST_BACKOFF_MS, backoffMs * 2 ** (attempt - 1))
  return Math.max(retryAfter, random() * backoff)
}
