/** Medians, orders and slopes: what turns the rounds of a cell into the few numbers that a table shows. */

/** Of the rounds of a cell. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

function median(samples: readonly number[]): number {
  const sorted = Float64Array.from(samples).sort()
  const upper = sorted[sorted.length >> 1] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[(sorted.length >> 1) - 1] ?? Number.NaN)) / 2
}

export const spread = (samples: readonly number[]): Spread => ({
  median: median(samples),
  min: Math.min(...samples),
  max: Math.max(...samples),
})

/** Undefined of nothing: a figure that nobody counts here is undefined in each round. */
export function spreadOf(samples: readonly (number | undefined)[]): Spread | undefined {
  const known = samples.filter((sample) => sample !== undefined)
  return known.length === 0 ? undefined : spread(known)
}

/** A new order each time, so that no candidate always runs after the same other one. */
export function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}

/** Least squares: what one more `x` costs in `y`. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length
  const covariance = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0)
  return covariance / points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
}
