/**
 * The history of the metrics over one range, and the sums that panels are made of.
 *
 * What Prometheus computes from totals (`rate`, `increase`, `histogram_quantile`) is computed here from increments,
 * which need no extrapolation: a sum over a range is what was counted in it, to the last one.
 */
import { type Labels, parseLabels } from '../../core/labels.ts'
import type { MetricHistory } from '../../store/types.ts'

export type Where = (labels: Labels) => boolean

export interface Series {
  readonly name: string
  readonly labels: Labels
  readonly points: readonly (readonly [step: number, value: number])[]
}

export interface View {
  readonly steps: number
  readonly stepSeconds: number
  readonly series: (name: string, where?: Where) => readonly Series[]
  /** Of a histogram's buckets, ascending, without the last. */
  readonly bounds: (histogram: string) => readonly number[]
}

export interface ViewRange {
  readonly from: number
  readonly stepMs: number
  readonly steps: number
}

export function viewOf(
  history: readonly MetricHistory[],
  { from, stepMs, steps }: ViewRange,
  bounds: View['bounds'],
): View {
  const byName = new Map<string, Series[]>()
  for (const { name, labels, points } of history) {
    const placed = points
      .map(([start, value]) => [Math.floor((start - from) / stepMs), value] as const)
      .filter(([step]) => step >= 0 && step < steps)
    const all = byName.get(name) ?? []
    all.push({ name, labels: parseLabels(labels), points: placed })
    byName.set(name, all)
  }
  return {
    steps,
    stepSeconds: stepMs / 1000,
    bounds,
    series: (name, where) => {
      const all = byName.get(name) ?? []
      return where === undefined ? all : all.filter(({ labels }) => where(labels))
    },
  }
}

export const is =
  (label: string, value: string): Where =>
  (labels) =>
    labels[label] === value
export const isNot =
  (label: string, value: string): Where =>
  (labels) =>
    labels[label] !== value

const add = (sums: Float64Array, series: readonly Series[]) => {
  for (const { points } of series) for (const [step, value] of points) sums[step] = (sums[step] ?? 0) + value
  return sums
}

/** Per step: by how much all of them together grew, or where gauges stand together. */
export const sums = (view: View, name: string, where?: Where): Float64Array =>
  add(new Float64Array(view.steps), view.series(name, where))

export function total(view: View, name: string, where?: Where): number {
  let sum = 0
  for (const { points } of view.series(name, where)) for (const [, value] of points) sum += value
  return sum
}

export function groups(
  view: View,
  name: string,
  labelOf: (labels: Labels) => string,
  where?: Where,
): Map<string, Series[]> {
  const found = new Map<string, Series[]>()
  for (const series of view.series(name, where)) {
    const label = labelOf(series.labels)
    const known = found.get(label)
    if (known === undefined) found.set(label, [series])
    else known.push(series)
  }
  return found
}

/** Largest first, without what did not occur. */
export function totalsBy(
  view: View,
  name: string,
  labelOf: (labels: Labels) => string,
  where?: Where,
): { label: string; value: number }[] {
  return [...groups(view, name, labelOf, where)]
    .map(([label, series]) => ({
      label,
      value: series.reduce((sum, { points }) => sum + points.reduce((one, [, value]) => one + value, 0), 0),
    }))
    .filter(({ value }) => value > 0)
    .toSorted((one, other) => other.value - one.value)
}

export const seriesSums = (view: View, series: readonly Series[]): Float64Array =>
  add(new Float64Array(view.steps), series)

/** A histogram's quantiles per step, read as Prometheus does: linearly within the bucket. */
export function quantiles(
  view: View,
  name: string,
  which: readonly number[],
  where?: Where,
): (number | null)[][] {
  const bounds = [...view.bounds(name), Number.POSITIVE_INFINITY]
  const places = new Map(bounds.map((bound, index) => [bound, index]))
  const counts = Array.from({ length: view.steps }, () => new Float64Array(bounds.length))
  for (const { labels, points } of view.series(`${name}_bucket`, where)) {
    const place = places.get(labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le))
    if (place === undefined) continue
    for (const [step, value] of points) {
      const row = counts[step]
      if (row !== undefined) row[place] = (row[place] ?? 0) + value
    }
  }
  return which.map((quantile) => counts.map((row) => quantileOf(row, bounds, quantile)))
}

function quantileOf(counts: Float64Array, bounds: readonly number[], quantile: number): number | null {
  const rank = quantile * counts.reduce((sum, count) => sum + count, 0)
  if (rank === 0) return null
  let below = 0
  for (const [index, count] of counts.entries()) {
    if (count === 0 || below + count < rank) {
      below += count
      continue
    }
    const lower = bounds[index - 1] ?? 0
    const upper = bounds[index] ?? lower
    // Of what lies beyond all buckets only that is known.
    return Number.isFinite(upper) ? lower + ((upper - lower) * (rank - below)) / count : lower
  }
  return null
}
