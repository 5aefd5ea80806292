/**
 * Series on top of each other, and the choice of what is worth drawing.
 */
export interface Series {
  readonly label: string
  readonly points: readonly (number | null)[]
}

/** Each becomes its sum with those before it; what is not known adds nothing. */
export function stackSeries(
  series: readonly Series[],
  isShown: (index: number) => boolean,
): (number | null)[][] {
  const sums: number[] = []
  return series.map(({ points }, index) =>
    points.map((value, at) => {
      const sum = (sums[at] ?? 0) + (isShown(index) ? (value ?? 0) : 0)
      sums[at] = sum
      return sum
    }),
  )
}

/** Values that no line reaches: what is before and behind them is not known. */
export function lonelyPoints(points: readonly (number | null | undefined)[]): number[] {
  const isKnown = (at: number) => points[at] !== null && points[at] !== undefined
  return points.flatMap((_, at) => (isKnown(at) && !isKnown(at - 1) && !isKnown(at + 1) ? [at] : []))
}

const sumOf = (series: Series) => series.points.reduce<number>((sum, value) => sum + (value ?? 0), 0)

/** The `most` largest in their order, and how many were left out. */
export function largest(
  series: readonly Series[],
  most: number,
): { readonly shown: readonly Series[]; readonly hidden: number } {
  if (series.length <= most) return { shown: series, hidden: 0 }
  const kept = new Set([...series].sort((a, b) => sumOf(b) - sumOf(a)).slice(0, most))
  return { shown: series.filter((one) => kept.has(one)), hidden: series.length - most }
}

/** Sums what is left out into one series: for quantities that can be added. */
export function withRest(series: readonly Series[], most: number): readonly Series[] {
  const { shown, hidden } = largest(series, most)
  if (hidden === 0) return series
  const rest = series.filter((one) => !shown.includes(one))
  const points = (series[0]?.points ?? []).map((_, at) =>
    rest.reduce((sum, one) => sum + (one.points[at] ?? 0), 0),
  )
  return [...shown, { label: `${hidden} others`, points }]
}
