/**
 * What a PromQL query is made of, by Prometheus' own grammar, and where our queries are kept: dashboards and rules.
 *
 * The grammar knows no types and no Grafana variables: `rate(up)` parses, `[$__rate_interval]` does not. Hence
 * `interpolate` first, and a real Prometheus to run the result.
 */
import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import { parse } from 'yaml'
import { z } from 'zod'
import {
  ancestors,
  isFilter,
  modifiersOf,
  operatorOf,
  POSTFIX,
  textOf,
  withoutOffset,
} from './promql-tree.ts'

export interface Matcher {
  readonly label: string
  readonly op: string
  /** Without its quotes. */
  readonly value: string
}

export interface Selector {
  /** `metric` of `metric{…}` and of `{__name__="metric"}`. */
  readonly metric?: string
  /** The regular expression of `{__name__=~"…"}`. */
  readonly nameMatcher?: string
  /** Those of the name left out. */
  readonly matchers: readonly Matcher[]
  readonly text: string
  /** `5m` of `metric[5m]`. */
  readonly range?: string
  /** `1h` of `metric offset 1h`. */
  readonly offset?: string
  /** Functions and aggregations around it, innermost first. */
  readonly within: readonly string[]
  /** The operator that takes it as it is, without a function between them: `>`, `unless`, `-`. */
  readonly operator?: string
  /** Right of an `and` or `unless`: its values do not matter. */
  readonly isFilter: boolean
  /** Labels by which the aggregations around it group, of the innermost that names any. */
  readonly keptLabels?: readonly string[]
}

export interface Call {
  readonly function: string
  readonly args: readonly string[]
  /** Of the first argument that is a range: `5m` of `rate(metric[5m])`. */
  readonly range?: string
}

export interface Aggregation {
  readonly operator: string
  readonly grouping?: 'by' | 'without'
  readonly labels: readonly string[]
  readonly args: readonly string[]
}

export interface Query {
  readonly errors: readonly { readonly from: number; readonly to: number }[]
  readonly selectors: readonly Selector[]
  readonly calls: readonly Call[]
  readonly aggregations: readonly Aggregation[]
  /** Of `on`, `ignoring`, `group_left` and `group_right`. */
  readonly matchedLabels: readonly string[]
}

export function parsePromql(query: string): Query {
  const errors: { from: number; to: number }[] = []
  const selectors: Selector[] = []
  const calls: Call[] = []
  const aggregations: Aggregation[] = []
  const matchedLabels: string[] = []
  parser.parse(query).iterate({
    enter({ node }) {
      if (node.type.isError) errors.push({ from: node.from, to: node.to })
      switch (node.name) {
        case 'VectorSelector':
          selectors.push(selectorOf(node, query))
          break
        case 'FunctionCall':
          calls.push(callOf(node, query))
          break
        case 'AggregateExpr':
          aggregations.push(aggregationOf(node, query))
          break
        case 'MatchingModifierClause':
          for (const labels of node.getChildren('GroupingLabels'))
            matchedLabels.push(...labelsOf(labels, query))
      }
    },
  })
  return { errors, selectors, calls, aggregations, matchedLabels }
}

const unquoted = (text: string) => text.slice(1, -1).replaceAll('\\\\', '\\')
const argsOf = (node: SyntaxNode) => node.getChild('FunctionCallBody')?.getChildren('Expr') ?? []
const labelsOf = (node: SyntaxNode, query: string) =>
  node.getChildren('LabelName').map((label) => textOf(label, query))

function selectorOf(node: SyntaxNode, query: string): Selector {
  const all = (node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []).map((matcher) => {
    const part = (name: string) => {
      const child = matcher.getChild(name)
      return child === null ? '' : textOf(child, query)
    }
    return { label: part('LabelName'), op: part('MatchOp'), value: unquoted(part('StringLiteral')) }
  })
  const name = all.find(({ label }) => label === '__name__')
  const identifier = node.getChild('Identifier')
  const metric = identifier === null ? (name?.op === '=' ? name.value : undefined) : textOf(identifier, query)
  const around = [...ancestors(node)]
  const grouped = around.find((parent) => parent.getChild('AggregateModifier')?.getChild('By') != null)
  return {
    ...(metric !== undefined && { metric }),
    ...(name?.op === '=~' && { nameMatcher: name.value }),
    matchers: all.filter((matcher) => matcher !== name),
    text: textOf(node, query),
    ...modifiersOf(node, query),
    within: around.flatMap((parent) => nameOf(parent, query) ?? []),
    ...operatorOf(around, query),
    isFilter: isFilter(node),
    ...(grouped !== undefined && { keptLabels: aggregationOf(grouped, query).labels }),
  }
}

function nameOf(node: SyntaxNode, query: string): string | undefined {
  const name = node.getChild('FunctionIdentifier') ?? node.getChild('AggregateOp')
  return name === null ? undefined : textOf(name, query)
}

function callOf(node: SyntaxNode, query: string): Call {
  const args = argsOf(node)
  const [duration] = args
    .map(withoutOffset)
    .flatMap((arg) =>
      arg.name === 'MatrixSelector' || arg.name === 'SubqueryExpr'
        ? (arg.getChild('DurationExpr') ?? [])
        : [],
    )
  return {
    function: nameOf(node, query) ?? '',
    args: args.map((arg) => textOf(arg, query)),
    ...(duration !== undefined && { range: textOf(duration, query) }),
  }
}

function aggregationOf(node: SyntaxNode, query: string): Aggregation {
  const modifier = node.getChild('AggregateModifier')
  const labels = modifier?.getChild('GroupingLabels')
  return {
    operator: nameOf(node, query) ?? '',
    ...(modifier != null && { grouping: modifier.getChild('By') === null ? 'without' : 'by' }),
    labels: labels == null ? [] : labelsOf(labels, query),
    args: argsOf(node).map((arg) => textOf(arg, query)),
  }
}

const COMPARISONS = ['Gtr', 'Gte', 'Lss', 'Lte', 'Eql', 'Neq']
const SET_OPERATORS = ['And', 'Or', 'Unless']

/**
 * What an alert measures: the sides of its comparisons that are no mere numbers, also of those joined by `and`, `or`
 * and `unless`. The alert being quiet, these must still give values.
 */
export function comparedOperands(query: string): readonly string[] {
  const { firstChild } = parser.parse(query).topNode
  return firstChild === null ? [] : comparedIn(firstChild, query, firstChild.to)
}

/** `end` is behind an `offset` that the grammar put around the node, and that belongs to its last selector. */
function comparedIn(node: SyntaxNode, query: string, end: number): readonly string[] {
  const [left, right] = node.getChildren('Expr')
  if (left === undefined) return []
  if (node.name === 'ParenExpr') return comparedIn(left, query, left.to)
  if (POSTFIX.has(node.name)) return comparedIn(left, query, end)
  if (node.name !== 'BinaryExpr' || right === undefined) return []
  const isOneOf = (names: readonly string[]) => names.some((name) => node.getChild(name) !== null)
  if (isOneOf(SET_OPERATORS)) {
    return [...comparedIn(left, query, left.to), ...comparedIn(right, query, end)]
  }
  if (!isOneOf(COMPARISONS)) return []
  const nested = comparedIn(left, query, left.to)
  if (nested.length > 0) return nested
  const isNumber = parsePromql(textOf(left, query)).selectors.length === 0
  return [isNumber ? query.slice(right.from, end) : textOf(left, query)]
}

export interface Durations {
  readonly rateInterval: string
  readonly interval?: string
  readonly range?: string
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** `90s`, `5m`, `1h`: one unit, as we write them. */
function secondsOf(duration: string): number {
  const unit = SECONDS[duration.slice(-1)]
  if (unit === undefined) throw new Error(`${duration} is no duration`)
  return Number(duration.slice(0, -1)) * unit
}

/** Plain PromQL: Grafana's durations by those given, the dashboard's variables by what "All" stands for. */
export function interpolate(query: string, durations: Durations): string {
  const { rateInterval, interval = '15s', range = '1h' } = durations
  const values = new Map([
    ['__rate_interval', rateInterval],
    ['__interval', interval],
    ['__range', range],
    ['__range_s', String(secondsOf(range))],
    ['backend', '.*'],
    ['model', '.*'],
  ])
  // `$1` is label_replace's.
  return query.replaceAll(/\$([a-z_]\w*)|\$\{([a-z_]\w*)(?::\w+)?\}/gi, (text, plain, braced) => {
    const value = values.get(plain ?? braced)
    if (value === undefined) throw new Error(`${text} is no variable of the dashboard: ${query}`)
    return value
  })
}

const targetSchema = z.looseObject({
  refId: z.string(),
  expr: z.string(),
  instant: z.boolean().optional(),
})
const panelSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  targets: z.array(targetSchema).default([]),
})
const dashboardSchema = z.looseObject({ panels: z.array(panelSchema) })

export interface PanelQuery {
  readonly panel: string
  readonly refId: string
  readonly expr: string
  /** `stat`, `timeseries`, … */
  readonly type: string
  readonly instant: boolean
}

/** The queries of a Classic dashboard with flat rows, as `JSON.parse` gives it. */
export function queriesOf(dashboard: unknown): PanelQuery[] {
  return dashboardSchema
    .parse(dashboard)
    .panels.flatMap(({ type, title, targets }) =>
      targets.map(({ refId, expr, instant = false }) => ({ panel: title, refId, expr, type, instant })),
    )
}

const stringMap = z.record(z.string(), z.string()).default({})
const ruleSchema = z.looseObject({
  record: z.string().optional(),
  alert: z.string().optional(),
  expr: z.union([z.string(), z.number()]).transform(String),
  for: z.string().optional(),
  labels: stringMap,
  annotations: stringMap,
})
const rulesSchema = z.looseObject({
  groups: z.array(z.looseObject({ name: z.string(), rules: z.array(ruleSchema) })),
})

export interface Rule {
  readonly kind: 'alert' | 'recording'
  readonly name: string
  readonly expr: string
  readonly group: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** Of a Prometheus rule file. */
export function rulesOf(yamlText: string): Rule[] {
  return rulesSchema.parse(parse(yamlText)).groups.flatMap(({ name: group, rules }) =>
    rules.map(({ record, alert, expr, for: duration, labels, annotations }) => ({
      kind: alert === undefined ? 'recording' : 'alert',
      name: alert ?? record ?? '',
      expr,
      group,
      ...(duration !== undefined && { for: duration }),
      labels,
      annotations,
    })),
  )
}
