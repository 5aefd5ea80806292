/**
 * Metrics on their way from one process to another: absolute values of the series that changed, in numbers alone.
 *
 * A series is named once, and has the number of its place among all that were named from then on. What was reported
 * twice is the same as once, and the other process adds what has grown: its own series are the sum of all processes
 * that there are, and of all that there ever were.
 */
import type { AnyFamily, OnSeries, Registry } from './registry.ts'
import type { Counter, Gauge, Histogram, Watcher } from './registry-series.ts'

type Series = Counter | Gauge | Histogram

export interface MetricsReport {
  /** Family and label values of series that were not reported before. */
  readonly added: readonly (readonly [family: string, values: readonly string[]])[]
  /** For each series that changed: its number, how many values follow, the values. */
  readonly values: Float64Array
  readonly exemplars: readonly ReportedExemplar[]
}

type ReportedExemplar = readonly [
  series: number,
  bucket: number,
  traceId: string,
  value: number,
  atEpochMs: number,
]

export interface Reporting {
  /** For the registry whose changes are reported. */
  readonly onSeries: OnSeries
  readonly hasChanges: () => boolean
  /**
   * What changed since the last one. `all`: with what is only read when it is asked for, and with exemplars.
   * Undefined: nothing.
   */
  readonly report: (all: boolean) => MetricsReport | undefined
}

class Watched implements Watcher {
  /** Until it is named: -1. */
  number = -1
  #isChanged = false
  readonly family: string
  readonly values: readonly string[]
  readonly series: Series
  readonly #changed: Watched[]

  constructor(family: string, values: readonly string[], series: Series, changed: Watched[]) {
    this.family = family
    this.values = values
    this.series = series
    this.#changed = changed
  }

  mark(): void {
    if (this.#isChanged) return
    this.#isChanged = true
    this.#changed.push(this)
  }

  unmark(): void {
    this.#isChanged = false
  }
}

export function createReporting(): Reporting {
  const changed: Watched[] = []
  const collecting: Watched[] = []
  const histograms: (Watched & { readonly series: Histogram })[] = []
  let named = 0

  function numbersOf(series: Series): readonly number[] {
    if ('counts' in series) return [series.sum, ...series.counts]
    return ['own' in series ? (series.own() ?? Number.NaN) : series.current()]
  }

  function exemplars(): ReportedExemplar[] {
    return histograms.flatMap(({ number, series }) =>
      (series.exemplars ?? []).flatMap((exemplar, bucket) =>
        exemplar === undefined
          ? []
          : [[number, bucket, exemplar.traceId, exemplar.value, exemplar.atEpochMs] as const],
      ),
    )
  }

  return {
    onSeries(family, values, series) {
      const watched = new Watched(family, values, series, changed)
      series.watcher = watched
      if ('collect' in series && series.collect !== undefined) collecting.push(watched)
    },
    hasChanges: () => changed.length > 0,
    report(all) {
      if (all) for (const watched of collecting) watched.mark()
      if (changed.length === 0) return undefined
      const added: [string, readonly string[]][] = []
      const numbers: number[] = []
      for (const watched of changed) {
        const { series, family, values } = watched
        if (watched.number === -1) {
          watched.number = named++
          added.push([family, values])
          if (isHistogram(watched)) histograms.push(watched)
        }
        const own = numbersOf(series)
        numbers.push(watched.number, own.length, ...own)
        watched.unmark()
      }
      changed.length = 0
      return { added, values: Float64Array.from(numbers), exemplars: all ? exemplars() : [] }
    },
  }
}

function isHistogram(watched: Watched): watched is Watched & { readonly series: Histogram } {
  return 'counts' in watched.series
}

/** The reports of one other process, added to the metrics of this one. */
export interface Merging {
  readonly take: (report: MetricsReport) => void
  /** Where the gauges of a family stand there, added up. */
  readonly levelOf: (family: string) => number
  /** The process is gone: what it counted stays, what it measured goes. */
  readonly gone: () => void
}

interface Taken {
  readonly name: string
  readonly series: Series
  last: Float64Array
}

export function mergeInto(registry: Registry): Merging {
  const taken: (Taken | undefined)[] = []
  const families = new Map(registry.families().map((family) => [family.name, family]))

  function takeValues(of: Taken, values: Float64Array): void {
    const { series, last } = of
    const [value = 0] = values
    const grown = (index: number) => Number(values[index]) - (last[index] ?? 0)
    if ('counts' in series)
      series.merge(
        Array.from(series.counts, (_, bucket) => grown(bucket + 1)),
        grown(0),
      )
    else if ('own' in series) series.setOther(of, Number.isNaN(value) ? undefined : value)
    else series.inc(grown(0))
    of.last = values
  }

  return {
    take({ added, values, exemplars }) {
      for (const [name, labels] of added) {
        const series = seriesOf(families.get(name), labels)
        taken.push(series && { name, series, last: new Float64Array() })
      }
      for (let at = 0; at < values.length; ) {
        const [number = 0, length = 0] = values.subarray(at, at + 2)
        const of = taken[number]
        if (of !== undefined) takeValues(of, values.slice(at + 2, at + 2 + length))
        at += 2 + length
      }
      for (const [number, bucket, traceId, value, atEpochMs] of exemplars) {
        const series = taken[number]?.series
        if (series === undefined || !('counts' in series)) continue
        if ((series.exemplars?.[bucket]?.atEpochMs ?? 0) <= atEpochMs)
          series.remember(bucket, value, traceId, atEpochMs)
      }
    },
    levelOf: (family) => taken.reduce((sum, of) => (of?.name === family ? sum + (of.last[0] ?? 0) : sum), 0),
    gone() {
      for (const of of taken) if (of !== undefined && 'own' in of.series) of.series.setOther(of, undefined)
    },
  }
}

/** Undefined for one that this process does not have: a hidden family. */
function seriesOf(family: AnyFamily | undefined, values: readonly string[]): Series | undefined {
  return family === undefined || family.type === 'info' ? undefined : family.child(...values)
}
