/**
 * What the costs page groups by, and its numbers by group: for the chart, the table and the file.
 */
import type { Analytics, AnalyticsQuery, ApiMeasures } from '../../../src/admin/api-types.ts'
import type { Series } from '../charts/stack.ts'
import { toCsv } from '../format/csv.ts'
import type { FilterParam } from '../search/filters.ts'

type GroupBy = NonNullable<AnalyticsQuery['groupBy']>[number]

export const GROUPINGS = [
  { id: 'model', label: 'Model', one: 'model', by: { field: 'requestModel' } },
  { id: 'provider', label: 'Provider', one: 'provider', by: { field: 'provider' } },
  { id: 'key', label: 'Key', one: 'key', by: { field: 'attributes', key: 'agentgateway.key' } },
  { id: 'user', label: 'User', one: 'user', by: { field: 'attributes', key: 'agentgateway.user' } },
  { id: 'operation', label: 'Operation', one: 'operation', by: { field: 'operation' } },
] as const satisfies readonly { id: FilterParam; label: string; one: string; by: GroupBy }[]

export type GroupingId = (typeof GROUPINGS)[number]['id']

export const MEASURES = [
  { id: 'cost', label: 'Cost', unit: 'usd' },
  { id: 'totalTokens', label: 'Tokens', unit: 'count' },
  { id: 'requests', label: 'Requests', unit: 'count' },
] as const

export type MeasureId = (typeof MEASURES)[number]['id']

export interface CostRow {
  /** Empty for requests without this value. */
  readonly value: string
  readonly measures: ApiMeasures
  readonly costPer1000: number
  /** Of the whole cost, or of the tokens where nothing has a cost. */
  readonly share: number
  /** Tokens were used, and nothing is known of their price. */
  readonly isUnpriced: boolean
}

const groupValue = (group: Readonly<Record<string, string>>) => Object.values(group)[0] ?? ''

/** What the API calls all groups beyond the largest ones. */
const REST = '…'

/** It stands for requests that can be looked for by it. */
export const isNamed = (value: string) => value !== '' && value !== REST

export const labelOf = (value: string) => (value === '' ? '(none)' : value === REST ? '(all others)' : value)

export function costRows({ groups, total }: Analytics): readonly CostRow[] {
  return groups.map((group) => ({
    value: groupValue(group.group),
    measures: group,
    costPer1000: group.requests === 0 ? 0 : (group.cost / group.requests) * 1000,
    share:
      total.cost > 0
        ? group.cost / total.cost
        : total.totalTokens > 0
          ? group.totalTokens / total.totalTokens
          : 0,
    isUnpriced: group.totalTokens > 0 && group.cost === 0,
  }))
}

export interface CostSeries {
  /** Milliseconds since 1970. */
  readonly from: number
  readonly stepMs: number
  readonly series: readonly Series[]
}

/** Buckets without a request are not in the answer: they are zero. The largest group first. */
export function costSeries({ buckets, bucketSeconds, timeRange }: Analytics, measure: MeasureId): CostSeries {
  const stepMs = bucketSeconds * 1000
  const known = Date.parse(buckets[0]?.start ?? timeRange.from)
  const wanted = Date.parse(timeRange.from)
  const from = known - Math.ceil((known - wanted) / stepMs) * stepMs
  const length = Math.max(1, Math.ceil((Date.parse(timeRange.to) - from) / stepMs))

  const points = new Map<string, number[]>()
  for (const bucket of buckets) {
    const label = labelOf(groupValue(bucket.group))
    const line = points.get(label) ?? new Array<number>(length).fill(0)
    points.set(label, line)
    const at = Math.round((Date.parse(bucket.start) - from) / stepMs)
    if (at >= 0 && at < length) line[at] = (line[at] ?? 0) + bucket[measure]
  }
  const sum = (line: readonly number[]) => line.reduce((all, value) => all + value, 0)
  const series = [...points]
    .map(([label, line]) => ({ label, points: line }))
    .filter(({ points: line }) => sum(line) > 0)
  return { from, stepMs, series: series.sort((a, b) => sum(b.points) - sum(a.points)) }
}

export function costCsv(rows: readonly CostRow[], one: string): string {
  const head = [
    one,
    'requests',
    'failed',
    'input_tokens',
    'output_tokens',
    'cache_read_tokens',
    'cache_write_tokens',
    'reasoning_tokens',
    'cost_usd',
    'cost_usd_per_1000_requests',
    'share',
    'priced',
  ]
  const lines = rows.map(({ value, measures, costPer1000, share, isUnpriced }) => [
    value === REST ? labelOf(value) : value,
    measures.requests,
    measures.failed,
    measures.inputTokens,
    measures.outputTokens,
    measures.cacheReadTokens,
    measures.cacheWriteTokens,
    measures.reasoningTokens,
    measures.cost,
    costPer1000,
    share,
    isUnpriced ? 'no' : 'yes',
  ])
  return toCsv([head, ...lines])
}
