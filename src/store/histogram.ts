/**
 * Durations as counts per slot, each slot an eighth of a power of two wide: 9% between its bounds.
 *
 * Kept as a text that can be added to by appending, so that neither an upsert nor a sum over rows needs to know
 * what it says: `kB` is one duration in slot B of octave k (2^10 ms), `kB12` twelve of them.
 */
import type { Percentiles } from './types.ts'

const SLOTS_PER_OCTAVE = 8
const OCTAVES = 26
const LAST_SLOT = SLOTS_PER_OCTAVE * OCTAVES - 1

const FIRST_OCTAVE = 'a'.charCodeAt(0)
const FIRST_EIGHTH = 'A'.charCodeAt(0)
const ZERO = '0'.charCodeAt(0)

const NAMES = Array.from({ length: LAST_SLOT + 1 }, (_, slot) =>
  String.fromCharCode(
    FIRST_OCTAVE + Math.floor(slot / SLOTS_PER_OCTAVE),
    FIRST_EIGHTH + (slot % SLOTS_PER_OCTAVE),
  ),
)

/** How many durations fell into each slot. */
export type Histogram = Map<number, number>

/** Slot n holds what is below 2^((n+1)/8) ms and not below 2^(n/8); the first also all that is shorter. */
export function slotOf(milliseconds: number): number {
  if (!(milliseconds > 1)) return 0
  return Math.min(LAST_SLOT, Math.floor(Math.log2(milliseconds) * SLOTS_PER_OCTAVE))
}

export function count(histogram: Histogram, milliseconds: number): void {
  const slot = slotOf(milliseconds)
  histogram.set(slot, (histogram.get(slot) ?? 0) + 1)
}

export function encode(histogram: Iterable<readonly [slot: number, times: number]>): string {
  let text = ''
  for (const [slot, times] of histogram) text += times === 1 ? NAMES[slot] : `${NAMES[slot]}${times}`
  return text
}

/** The same for many: the count of each slot. */
export type Counts = Float64Array

export const emptyCounts = (): Counts => new Float64Array(LAST_SLOT + 1)

/** Adds what the text says, and what was appended to it. */
export function addEncoded(counts: Counts, text: string): void {
  let at = 0
  while (at < text.length) {
    const octave = text.charCodeAt(at) - FIRST_OCTAVE
    const slot = octave * SLOTS_PER_OCTAVE + text.charCodeAt(at + 1) - FIRST_EIGHTH
    at += 2
    let times = 0
    for (; at < text.length; at += 1) {
      const digit = text.charCodeAt(at) - ZERO
      if (digit > 9) break
      times = times * 10 + digit
    }
    counts[slot] = (counts[slot] ?? 0) + (times || 1)
  }
}

/** The same text with each slot once. */
export function compacted(text: string): string {
  const counts = emptyCounts()
  addEncoded(counts, text)
  return encode([...counts.entries()].filter(([, times]) => times > 0))
}

export function addCounts(target: Counts, other: Counts): void {
  for (let slot = 0; slot < target.length; slot += 1) target[slot] = (target[slot] ?? 0) + (other[slot] ?? 0)
}

/** Undefined without durations. Each percentile is the middle of its slot, but never beyond the longest. */
export function percentiles(counts: Counts, sum: number, max: number): Percentiles | undefined {
  let total = 0
  for (const times of counts) total += times
  if (total === 0) return undefined
  const p50 = Math.ceil(0.5 * total)
  const p95 = Math.ceil(0.95 * total)
  const p99 = Math.ceil(0.99 * total)

  // The slots in which the ranks lie: one way through all, as there are thousands of histograms to a summary.
  let [at50, at95, at99] = [LAST_SLOT, LAST_SLOT, LAST_SLOT]
  let upTo = 0
  for (let slot = 0; slot < LAST_SLOT && upTo < p99; slot += 1) {
    const below = upTo
    upTo += counts[slot] ?? 0
    if (below < p50 && upTo >= p50) at50 = slot
    if (below < p95 && upTo >= p95) at95 = slot
    if (below < p99 && upTo >= p99) at99 = slot
  }
  const middle = (slot: number) => Math.min(max, 2 ** ((slot + 0.5) / SLOTS_PER_OCTAVE))
  return { p50: middle(at50), p95: middle(at95), p99: middle(at99), max, mean: sum / total }
}
