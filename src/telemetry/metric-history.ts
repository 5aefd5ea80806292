/**
 * What all metrics have grown by since the last look: their history as the console keeps it.
 *
 * Increments, not totals: they add up over time, over restarts and over gateways, and a series that rests costs nothing.
 */
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

/** The first look tells of all since the process began. */
export function watchGrowth(registry: Registry): () => Growth {
  const totals = new WeakMap<Counter, number>()
  const histograms = new WeakMap<Histogram, Seen>()

  function counter(name: string, series: Counter, into: Value[]): void {
    const value = series.collect === undefined ? series.value : series.collect()
    const grown = value - (totals.get(series) ?? 0)
    if (!(grown > 0)) return
    totals.set(series, value)
    into.push({ name, labels: series.labels, value: grown })
  }

  function histogram(name: string, series: Histogram, into: Value[]): void {
    let seen = histograms.get(series)
    if (seen === undefined) {
      seen = { counts: new Float64Array(series.counts.length), sum: 0 }
      histograms.set(series, seen)
    }
    let count = 0
    const head = series.labels === '' ? '' : `${series.labels},`
    for (const [bucket, value] of series.counts.entries()) {
      const grown = value - (seen.counts[bucket] ?? 0)
      if (grown <= 0) continue
      seen.counts[bucket] = value
      count += grown
      const bound = series.bounds[bucket]
      const le = bound === undefined ? '+Inf' : formatBound(bound)
      into.push({ name: `${name}_bucket`, labels: `${head}le="${le}"`, value: grown })
    }
    if (count === 0) return
    into.push({ name: `${name}_count`, labels: series.labels, value: count })
    into.push({ name: `${name}_sum`, labels: series.labels, value: series.sum - seen.sum })
    seen.sum = series.sum
  }

  function level(name: string, series: Gauge, into: Value[]): void {
    if (series.isWithdrawn) return
    into.push({
      name,
      labels: series.labels,
      value: series.collect === undefined ? series.value : series.collect(),
    })
  }

  function look(family: AnyFamily, increments: Value[], levels: Value[]): void {
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
        for (const { labels } of family.series()) levels.push({ name: family.name, labels, value: 1 })
        return
      default:
        family satisfies never
    }
  }

  return () => {
    const increments: Value[] = []
    const levels: Value[] = []
    for (const family of registry.families()) look(family, increments, levels)
    return { increments, levels }
  }
}
