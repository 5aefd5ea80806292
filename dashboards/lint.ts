/**
 * What can be wrong with a query though it parses: names that nobody exports, labels that a family has not, counters
 * read as if they were gauges. A wrong name is the worst: the chart is empty, the alert never fires, nobody is told.
 */
import type { AnyFamily } from '../src/telemetry/registry.ts'
import { type Aggregation, type PanelQuery, parsePromql, type Rule, type Selector } from './promql.ts'

/** Added to every series by the scrape. */
const SCRAPE_LABELS = ['job', 'instance']

/** What others export, by patterns of names. */
const EXTERNAL = [
  /^up$/,
  /^ALERTS(_FOR_STATE)?$/,
  /^scrape_\w+$/,
  /^prometheus_\w+$/,
  /^otelcol_(receiver|exporter|processor|process)_\w+$/,
  /^jaeger_\w+$/,
]

/** What may be done to a counter's samples: the rest would show how old the process is. */
const COUNTER_FUNCTIONS = new Set(['rate', 'increase', 'irate', 'resets', 'last_over_time', 'min_over_time'])

const COMPARISON = /[<>=]/

interface Known {
  /** Undefined: any, because others decide. */
  readonly labels: ReadonlySet<string> | undefined
  readonly isCounter: boolean
  /** Values of `le`, as exported. */
  readonly bounds?: readonly string[]
}

export interface Lint {
  /** In plain PromQL. Empty: all is well. */
  problems(expr: string): string[]
  /** The names of the families that it reads. */
  familiesIn(expr: string): string[]
  labelsOf(metric: string): ReadonlySet<string> | undefined
}

export function createLint(families: readonly AnyFamily[], rules: readonly Rule[]): Lint {
  const known = new Map<string, Known>()
  const familyOf = new Map<string, string>()
  for (const family of families) {
    for (const [sample, knowledge] of samplesOf(family)) {
      known.set(sample, knowledge)
      familyOf.set(sample, family.name)
    }
  }
  for (const rule of rules) {
    if (rule.kind === 'recording') known.set(rule.name, { labels: recordedLabels(rule), isCounter: false })
  }

  function find(metric: string): Known | undefined {
    const external = EXTERNAL.some((pattern) => pattern.test(metric))
    return known.get(metric) ?? (external ? { labels: undefined, isCounter: false } : undefined)
  }

  function selectorProblems(selector: Selector): string[] {
    const { metric, nameMatcher, matchers, text } = selector
    if (nameMatcher !== undefined)
      return nameMatcher.startsWith('otelcol_') ? [] : [`${text}: name not known`]
    if (metric === undefined) return [`${text}: selects no metric by name`]
    const family = find(metric)
    if (family === undefined) return [`${metric}: no such metric`]
    const strange = matchers.filter(({ label }) => !hasLabel(family, label))
    const bounds = matchers.filter(
      ({ label, op, value }) => label === 'le' && op === '=' && family.bounds?.includes(value) === false,
    )
    return [
      ...strange.map(({ label }) => `${metric}: has no label ${label}`),
      ...bounds.map(({ value }) => `${metric}: ${value} is no bound`),
      ...(family.isCounter && !isReadAsCounter(selector) ? [`${metric}: counter without rate`] : []),
    ]
  }

  function groupingProblems({ labels, args }: Aggregation): string[] {
    return args.flatMap((arg) => {
      const { selectors, calls } = parsePromql(arg)
      const made = calls.flatMap((call) =>
        call.function === 'label_replace' ? [call.args[1]?.slice(1, -1)] : [],
      )
      return selectors.flatMap(({ metric = '', keptLabels, isFilter }) => {
        if (isFilter) return []
        const has = (label: string) =>
          made.includes(label) || (keptLabels?.includes(label) ?? hasLabel(find(metric), label))
        return labels
          .filter((label) => !has(label))
          .map((label) => `${metric}: grouped by ${label}, has none`)
      })
    })
  }

  return {
    problems(expr) {
      const { errors, selectors, calls, aggregations } = parsePromql(expr)
      if (errors.length > 0)
        return errors.map(({ from, to }) => `syntax error at ${from}: ${expr.slice(from, to)}`)
      return [
        ...selectors.flatMap(selectorProblems),
        ...aggregations.flatMap(groupingProblems),
        ...calls.flatMap((call) =>
          call.function === 'histogram_quantile' ? quantileProblems(call.args) : [],
        ),
      ]
    },
    familiesIn: (expr) =>
      parsePromql(expr).selectors.flatMap(({ metric = '' }) => familyOf.get(metric) ?? []),
    labelsOf: (metric) => find(metric)?.labels,
  }
}

function samplesOf(family: AnyFamily): [string, Known][] {
  const labels = new Set([...family.labelNames, ...SCRAPE_LABELS])
  const { name } = family
  switch (family.type) {
    case 'histogram': {
      const bounds = [...family.childOf({}).bounds].map(spelled)
      return [
        [
          `${name}_bucket`,
          { labels: new Set([...labels, 'le']), isCounter: true, bounds: [...bounds, '+Inf'] },
        ],
        [`${name}_sum`, { labels, isCounter: true }],
        [`${name}_count`, { labels, isCounter: true }],
      ]
    }
    case 'counter':
      return [[name, { labels, isCounter: true }]]
    case 'gauge':
    case 'info':
      return [[name, { labels, isCounter: false }]]
    default:
      return family satisfies never
  }
}

/** Bounds are floats on the wire (docs/metrics.md): `5.0`. Small ones have exponents, and nobody matches them. */
const spelled = (bound: number) => (Number.isInteger(bound) ? bound.toFixed(1) : String(bound))

/** All that its expression groups by or makes; those of metrics without aggregation are not asked for anywhere. */
function recordedLabels({ expr, labels }: Rule): ReadonlySet<string> {
  const { aggregations } = parsePromql(expr)
  return new Set([...aggregations.flatMap((aggregation) => aggregation.labels), ...Object.keys(labels)])
}

const hasLabel = (family: Known | undefined, label: string) => family?.labels?.has(label) ?? true

function isReadAsCounter({ within: [closest = ''], operator, offset, isFilter }: Selector): boolean {
  const isDifference = operator === '-' && offset !== undefined
  // `a unless a offset 1h`: what is new. And whether it is there, whatever its value.
  const isPresence = operator === 'unless' || (isFilter && !COMPARISON.test(operator ?? ''))
  return COUNTER_FUNCTIONS.has(closest) || closest === 'absent' || isDifference || isPresence
}

function quantileProblems([, histogram = '']: readonly string[]): string[] {
  return parsePromql(histogram).selectors.flatMap(({ metric = '', within, keptLabels }) => {
    const isAggregated = within.some((name) => ['sum', 'avg', 'max', 'min'].includes(name))
    if (!metric.endsWith('_bucket')) return [`${metric}: quantile of what are no buckets`]
    return isAggregated && keptLabels?.includes('le') !== true ? [`${metric}: quantile without le`] : []
  })
}

/** The durations in a panel's query that are not Grafana's, given those that stand for Grafana's. */
export function fixedDurations({ expr }: Pick<PanelQuery, 'expr'>, grafana: readonly string[]): string[] {
  const durations = parsePromql(expr).selectors.flatMap(({ range, offset }) => [range, offset])
  return durations
    .filter((duration) => duration !== undefined)
    .filter((duration) => !grafana.includes(duration))
}
