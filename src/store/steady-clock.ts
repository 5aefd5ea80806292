/**
 * A wall clock for what cannot be undone: one that leaps forward is believed only after a day.
 *
 * Of a clock that was set wrong and put right nothing is left; one that was right to leap, after a machine's sleep or
 * because it was wrong at the start, makes what depends on it a day late.
 */
const LEAP_MS = 3_600_000
const BELIEVED_AFTER_MS = 86_400_000

export interface Clocks {
  readonly now: () => number
  /** Milliseconds that only ever pass. */
  readonly passed: () => number
}

export function createSteadyClock({ now, passed }: Clocks): () => number {
  let wall = now()
  let at = passed()
  let leaptAt: number | undefined
  return () => {
    const found = now()
    const expected = wall + (passed() - at)
    const hasLeapt = found > expected + LEAP_MS
    if (hasLeapt) leaptAt ??= passed()
    else leaptAt = undefined
    if (hasLeapt && leaptAt !== undefined && passed() - leaptAt < BELIEVED_AFTER_MS) return expected
    wall = found
    at = passed()
    return found
  }
}
