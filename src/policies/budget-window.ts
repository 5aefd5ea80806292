/** The times in which a budget is spent and after which it is renewed: in UTC, whatever the machine's zone. */
import { z } from 'zod'
import { longDurationMs } from '../core/schema.ts'

const MIN_MS = 60_000
const MAX_MS = 366 * 86_400_000

const durationSchema = longDurationMs.refine((ms) => ms >= MIN_MS && ms <= MAX_MS && Number.isInteger(ms), {
  error: 'a window is day, month, or a duration from 1m to 366d',
})

export const budgetWindowSchema = z.union([z.enum(['day', 'month']), durationSchema])
/** Of the calendar, or milliseconds that are counted from 1970. */
export type BudgetWindow = z.output<typeof budgetWindowSchema>

/** Milliseconds since 1970. */
export interface Span {
  readonly start: number
  readonly end: number
}

export function spanAt(window: BudgetWindow, now: number): Span {
  if (window === 'month') {
    const date = new Date(now)
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()]
    return { start: Date.UTC(year, month), end: Date.UTC(year, month + 1) }
  }
  const length = window === 'day' ? 86_400_000 : window
  const start = Math.floor(now / length) * length
  return { start, end: start + length }
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

/** As a sentence needs it: `per day`, `per 1h30m`. */
export function perWindow(window: BudgetWindow): string {
  if (typeof window === 'string') return `per ${window}`
  let left = window
  const parts = UNITS.map(([unit, ms]) => {
    const count = Math.floor(left / ms)
    left -= count * ms
    return count === 0 ? '' : `${count}${unit}`
  })
  return `per ${parts.join('')}`
}
