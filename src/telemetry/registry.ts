/**
 * Families of counters, gauges, histograms and info metrics: what is counted, apart from how it is printed.
 *
 * Series are never removed, so each family has a bound: label sets beyond it share one series whose labels all read
 * `_overflow`, which keeps sums right and says so. Callers on the hot path keep the series that `child` gives them.
 */
import { Counter, Gauge, Histogram, LabelTree, type Merge } from './registry-series.ts'

export const OVERFLOW = '_overflow'
const DEFAULT_MAX_SERIES = 1000
const MAX_LABEL_LENGTH = 256

export type LabelValues<L extends readonly string[]> = { readonly [K in keyof L]: string }

export interface FamilyOptions<L extends readonly string[]> {
  /** As scraped: a counter's ends in `_total`, an info's in `_info`. */
  readonly name: string
  /** One sentence. */
  readonly help: string
  /** Plural base unit (`seconds`, `bytes`), also where the name does not end in it. */
  readonly unit?: string
  readonly labels?: L
  /** Labels of the configuration's, behind `labels`; in `child` their values follow those of `labels`. */
  readonly moreLabels?: readonly string[]
  /** Labels that have one value for the whole family; not among the values of `child`. */
  readonly constants?: Readonly<Record<string, string>>
  /** How many label sets get a series of their own. */
  readonly maxSeries?: number
}

type NoLabels = readonly []

export interface CellOptions<L extends readonly string[]> extends FamilyOptions<L> {
  /** Reads the value at each scrape; only without labels. */
  readonly collect?: () => number
}

export interface GaugeOptions<L extends readonly string[]> extends CellOptions<L> {
  /** Default: the sum. */
  readonly merge?: Merge
}

export interface HistogramOptions<L extends readonly string[]> extends FamilyOptions<L> {
  /** Ascending, finite; `+Inf` is added. */
  readonly buckets: readonly number[]
}

/** Always 1: the labels are the message. */
export interface Info {
  readonly labels: string
}

export interface Family<T extends string, S, L extends readonly string[] = readonly string[]> {
  readonly type: T
  readonly name: string
  readonly help: string
  readonly unit: string | undefined
  /** Constants included. */
  readonly labelNames: readonly string[]
  /** The series of these values, in the order of `labels`; made on first use. */
  child(...values: [...LabelValues<L>, ...more: string[]]): S
  /** The same by name; more names than needed may be given. For code that then keeps the series. */
  childOf(values: Readonly<Record<L[number], string>>): S
  series(): readonly S[]
}

export type AnyFamily =
  | Family<'counter', Counter>
  | Family<'gauge', Gauge>
  | Family<'histogram', Histogram>
  | Family<'info', Info>

export interface Registry {
  counter<const L extends readonly string[] = NoLabels>(
    options: CellOptions<L>,
  ): Family<'counter', Counter, L>
  gauge<const L extends readonly string[] = NoLabels>(options: GaugeOptions<L>): Family<'gauge', Gauge, L>
  histogram<const L extends readonly string[] = NoLabels>(
    options: HistogramOptions<L>,
  ): Family<'histogram', Histogram, L>
  info(options: { name: string; help: string; values: Readonly<Record<string, string>> }): void
  /** Families to leave out, registered or yet to be: with or without prefix, unit and `_total`. */
  hide(names: readonly string[]): void
  /** In order of registration, without the hidden. */
  families(): readonly AnyFamily[]
}

export interface RegistryOptions {
  /** Label sets per family; a family's own `maxSeries` wins. */
  readonly maxSeries?: number
  /** Begins the names of our own families; `hide` accepts names without it. */
  readonly prefix?: string
  /** Told of each new series, with the values of its labels, constants not among them. */
  readonly onSeries?: OnSeries
}

export type OnSeries = (
  family: string,
  values: readonly string[],
  series: Counter | Gauge | Histogram,
) => void

export function createRegistry(options: RegistryOptions = {}): Registry {
  const { maxSeries = DEFAULT_MAX_SERIES, prefix = 'agentgateway_', onSeries } = options
  const families: AnyFamily[] = []
  const taken = new Set<string>()
  const hidden = new Set<string>()

  function cellOptions<const L extends readonly string[]>(given: CellOptions<L>): CellOptions<L> & Bound {
    if (given.collect !== undefined && (given.labels?.length ?? 0) > 0) {
      throw new Error(`${given.name}: collect and labels exclude each other`)
    }
    return { ...shared, ...given }
  }

  function register<F extends AnyFamily>(family: F): F {
    for (const name of namesOf(family)) {
      if (taken.has(name)) throw new Error(`metric name ${name} is already taken`)
      taken.add(name)
    }
    families.push(family)
    return family
  }

  function told<S extends Counter | Gauge | Histogram>(
    family: string,
    values: readonly string[],
    series: S,
  ): S {
    onSeries?.(family, values, series)
    return series
  }

  const overflow = createFamily(
    'counter',
    {
      name: `${prefix}metric_overflow_total`,
      help: 'Observations that went to an _overflow series because their family had too many label sets.',
      labels: ['family'],
      maxSeries: Infinity,
    },
    (labels, values) => told(`${prefix}metric_overflow_total`, values, new Counter(labels)),
  )
  register(overflow)

  const shared = { maxSeries, overflowed: (name: string) => overflow.child(name) }

  return {
    counter(given) {
      const family = createFamily('counter', cellOptions(given), (labels, values, overflowed) =>
        told(given.name, values, new Counter(labels, overflowed, given.collect)),
      )
      register(family)
      return family
    },
    gauge(given) {
      const family = createFamily('gauge', cellOptions(given), (labels, values, overflowed) =>
        told(given.name, values, new Gauge(labels, overflowed, given.collect, given.merge)),
      )
      register(family)
      return family
    },
    histogram(given) {
      const bounds = Float64Array.from(given.buckets)
      if (!bounds.every((bound, index) => Number.isFinite(bound) && !(bound <= Number(bounds[index - 1])))) {
        throw new Error(`${given.name}: buckets must be finite and ascending`)
      }
      const family = createFamily('histogram', { ...shared, ...given }, (labels, values, overflowed) =>
        told(given.name, values, new Histogram(labels, bounds, overflowed)),
      )
      register(family)
      return family
    },
    info({ name, help, values }) {
      register(createFamily('info', { name, help, constants: values }, (labels): Info => ({ labels })))
    },
    hide(names) {
      for (const name of names) hidden.add(name)
    },
    families() {
      return hidden.size === 0
        ? families
        : families.filter((family) => !spellings(family, prefix).some((name) => hidden.has(name)))
    },
  }
}

interface Bound {
  readonly overflowed?: (family: string) => Counter
}

function createFamily<const T extends AnyFamily['type'], S, const L extends readonly string[]>(
  type: T,
  options: FamilyOptions<L> & Bound,
  create: (labels: string, values: readonly string[], overflowed?: Counter) => S,
): Family<T, S, L> {
  const { name, help, unit, constants = {}, maxSeries = DEFAULT_MAX_SERIES, overflowed } = options
  const labels: readonly string[] = [...(options.labels ?? []), ...(options.moreLabels ?? [])]
  const labelNames = [...labels, ...Object.keys(constants)]
  checkNames(type, name, labelNames)

  const tree = new LabelTree<S>()
  const series: S[] = []
  let overflow: S | undefined

  function text(values: readonly string[]): string {
    const pairs = labels.map((label, index) => [label, values[index] ?? ''] as const)
    return [...pairs, ...Object.entries(constants)]
      .map(([label, value]) => `${label}="${escapeLabel(value)}"`)
      .join(',')
  }

  function add(values: readonly string[]): S {
    // Two spellings that print alike must be one series: a duplicate makes Prometheus refuse the whole scrape.
    const clean = values.map(toLabelValue)
    const known = tree.get(clean)
    if (known !== undefined) return known
    // What has overflowed in another process comes under that name.
    if (tree.size >= maxSeries || (clean.length > 0 && clean.every((value) => value === OVERFLOW))) {
      if (overflow === undefined) {
        const values = labels.map(() => OVERFLOW)
        overflow = create(text(values), values, overflowed?.(name))
        series.push(overflow)
      }
      return overflow
    }
    const added = create(text(clean), clean)
    tree.set(clean, added)
    series.push(added)
    return added
  }

  if (labels.length === 0) add([])
  return {
    type,
    name,
    help,
    unit,
    labelNames,
    child: (...values) => tree.get(values) ?? add(values),
    childOf: (values) => {
      const byName: Readonly<Record<string, string>> = values
      const path = labels.map((label) => byName[label] ?? '')
      return tree.get(path) ?? add(path)
    },
    series: () => series,
  }
}

/** Valid UTF-8, no NUL (Prometheus' parser stops there), of bounded length. */
export function toLabelValue(value: string): string {
  return value.slice(0, MAX_LABEL_LENGTH).toWellFormed().replaceAll('\0', '\ufffd')
}

/** Both text formats escape label values alike. */
export function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`))
}

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
const RESERVED_SUFFIX = /_(total|created|bucket|count|sum|info)$/
const RESERVED_LABELS = new Set(['le', 'quantile'])

function checkNames(type: AnyFamily['type'], name: string, labels: readonly string[]): void {
  const suffix = SUFFIXES[type]
  if (!METRIC_NAME.test(name) || !name.endsWith(suffix) || RESERVED_SUFFIX.test(baseName(type, name))) {
    throw new Error(`${name} is no name for a ${type}`)
  }
  const bad = labels.find(
    (label, index) =>
      !LABEL_NAME.test(label) || RESERVED_LABELS.has(label) || labels.indexOf(label) !== index,
  )
  if (bad !== undefined) throw new Error(`${name}: ${bad} is no name for a label, or is there twice`)
}

const SUFFIXES = { counter: '_total', gauge: '', histogram: '', info: '_info' } as const

/** The name of OpenMetrics' metadata lines: without `_total` and `_info`. */
export function baseName(type: AnyFamily['type'], name: string): string {
  return name.slice(0, name.length - SUFFIXES[type].length)
}

/** Every name that a family claims in either format. */
function namesOf(family: AnyFamily): readonly string[] {
  const base = baseName(family.type, family.name)
  const samples =
    family.type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => base + suffix) : []
  return [...new Set([base, family.name, ...samples])]
}

/** A family by any of its names: bare, with unit, with `_total`, with prefix. */
function spellings(family: AnyFamily, prefix: string): readonly string[] {
  const base = baseName(family.type, family.name)
  const unitless = family.unit !== undefined && base.endsWith(`_${family.unit}`)
  const bare = unitless ? base.slice(0, -1 - String(family.unit).length) : base
  return [family.name, base, bare, `${bare}_total`].flatMap((name) =>
    name.startsWith(prefix) ? [name, name.slice(prefix.length)] : [name],
  )
}
