/**
 * Durations, in a high dynamic range histogram: every one of them counts, none is kept.
 *
 * Three significant digits from 0.1 us to a minute, so that a percentile is right to one part in a thousand whatever
 * its size; histograms of several rounds add up exactly.
 */
import { createRequire } from 'node:module'
import type * as hdr from 'hdr-histogram-js'

// Its own declaration of itself as CommonJS is one that Node cannot read names from.
const { build }: typeof hdr = createRequire(import.meta.url)('hdr-histogram-js')

const UNITS_PER_MS = 10_000
const LONGEST_MS = 60_000

export interface Durations {
  /** What the clocks make negative counts as nothing, what is longer than a minute as a minute. */
  readonly record: (ms: number) => void
  readonly count: () => number
  /** NaN of nothing. */
  readonly percentileMs: (share: number) => number
  readonly summary: () => DurationSummary
  readonly add: (other: Durations) => void
  readonly histogram: hdr.Histogram
}

/** For the JSON: what a table has no room for. */
export interface DurationSummary {
  readonly count: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export function durations(): Durations {
  const histogram = build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_MS * UNITS_PER_MS,
    numberOfSignificantValueDigits: 3,
  })
  const percentileMs = (share: number) =>
    histogram.totalCount === 0 ? Number.NaN : histogram.getValueAtPercentile(share * 100) / UNITS_PER_MS
  return {
    record: (ms) => histogram.recordValue(Math.round(Math.min(Math.max(ms, 0), LONGEST_MS) * UNITS_PER_MS)),
    count: () => histogram.totalCount,
    percentileMs,
    summary: () => ({
      count: histogram.totalCount,
      meanMs: histogram.totalCount === 0 ? Number.NaN : histogram.mean / UNITS_PER_MS,
      p50Ms: percentileMs(0.5),
      p90Ms: percentileMs(0.9),
      p99Ms: percentileMs(0.99),
      p999Ms: percentileMs(0.999),
      maxMs: percentileMs(1),
    }),
    add: (other) => histogram.add(other.histogram),
    histogram,
  }
}

export function together(all: readonly Durations[]): Durations {
  const sum = durations()
  for (const one of all) sum.add(one)
  return sum
}
