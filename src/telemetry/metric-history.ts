/**
 * What metrics have grown by since the last look: their history as the console keeps it.
 *
 * Increments, not totals: they add up over time, over restarts and over gateways, and a series that rests costs nothing.
 * Only the metrics and labels that somebody reads are told: every series of a histogram has its buckets once for each
 * combination of labels, and each would be written every few seconds.
 */
import { type MetricLabels, onlyLabels } from '../core/labels.ts'
import { redact } from '../core/redact.ts'
import { formatBound } from './exposition.ts'
import type { AnyFamily, Registry } from './registry.ts'
import type { Counter, Gauge, Histogram } from './registry-series.ts'

interface Value {
  readonly name: string
  readonly labels: string
  readonly value: number
}

export interface Growth {
  /** Of counters, and of a histogram's buckets (each for itself, not cumulative), sum and count. */
  readonly increments: readonly Value[]
  /** Where gauges stand. */
  readonly levels: readonly Value[]
}

interface Seen {
  readonly counts: Float64Array
  sum: number
}

/** Values by name and labels, those that fall together added up. */
class Sums {
  readonly #values = new Map<string, Map<string, number>>()

  add(name: string, labels: string, value: number): void {
    const byLabels = this.#values.get(name) ?? new Map<string, number>()
    this.#values.set(name, byLabels.set(labels, (byLabels.get(labels) ?? 0) + value))
  }

  all(): Value[] {
    return [...this.#values].flatMap(([name, byLabels]) =>
      [...byLabels].map(([labels, value]) => ({ name, labels, value })),
    )
  }
}

/** What the store keeps has no secrets in it, and a client may have called anything its model. */
const keptLabels = (labels: string, kept: readonly string[]) => redact(onlyLabels(labels, kept))

/** The first look tells of all since the process began. */
export function watchGrowth(registry: Registry, metrics: MetricLabels): () => Growth {
  const totals = new WeakMap<Counter, number>()
  const histograms = new WeakMap<Histogram, Seen>()

  function add(into: Sums, name: string, labels: string, value: number): void {
    const kept = metrics[name]
    if (kept !== undefined) into.add(name, keptLabels(labels, kept), value)
  }

  function counter(name: string, series: Counter, into: Sums): void {
    const value = series.current()
    const grown = value - (totals.get(series) ?? 0)
    if (!(grown > 0)) return
    totals.set(series, value)
    add(into, name, series.labels, grown)
  }

  function histogram(name: string, series: Histogram, into: Sums): void {
    let seen = histograms.get(series)
    if (seen === undefined) {
      seen = { counts: new Float64Array(series.counts.length), sum: 0 }
      histograms.set(series, seen)
    }
    let count = 0
    const kept = metrics[`${name}_bucket`]
    const head = kept === undefined ? '' : keptLabels(series.labels, kept)
    for (const [bucket, value] of series.counts.entries()) {
      const grown = value - (seen.counts[bucket] ?? 0)
      if (grown <= 0) continue
      seen.counts[bucket] = value
      count += grown
      if (kept === undefined) continue
      const bound = series.bounds[bucket]
      const le = `le="${bound === undefined ? '+Inf' : formatBound(bound)}"`
      into.add(`${name}_bucket`, head === '' ? le : `${head},${le}`, grown)
    }
    if (count === 0) return
    add(into, `${name}_count`, series.labels, count)
    add(into, `${name}_sum`, series.labels, series.sum - seen.sum)
    seen.sum = series.sum
  }

  function level(name: string, series: Gauge, into: Sums): void {
    const value = series.current()
    if (value !== undefined) add(into, name, series.labels, value)
  }

  function look(family: AnyFamily, increments: Sums, levels: Sums): void {
    switch (family.type) {
      case 'counter':
        for (const series of family.series()) counter(family.name, series, increments)
        return
      case 'histogram':
        for (const series of family.series()) histogram(family.name, series, increments)
        return
      case 'gauge':
        for (const series of family.series()) level(family.name, series, levels)
        return
      case 'info':
        for (const { labels } of family.series()) add(levels, family.name, labels, 1)
        return
      default:
        family satisfies never
    }
  }

  return () => {
    const increments = new Sums()
    const levels = new Sums()
    for (const family of registry.families()) look(family, increments, levels)
    return { increments: increments.all(), levels: levels.all() }
  }
}
