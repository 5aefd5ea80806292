/** `/api/logs/analytics/summary`: requests, tokens, cost and latency by time and by what they have in common. */
import type { FilterValues, Group, GroupField, Measures, Store } from '../store/types.ts'
import type { Analytics, ApiMeasures } from './api-types.ts'
import { ApiError, json, readJson } from './http.ts'
import { analyticsSchema, type GroupKey, groupKeysOf, nameOf, rangeOf, summaryFiltersOf } from './query.ts'
import type { Route } from './routes.ts'

const DAY_MS = 86_400_000
const DEFAULT_BUCKETS = 96
const MAX_BUCKETS = 500

export function analyticsRoutes({ store }: { readonly store: () => Store }): Route[] {
  return [
    {
      method: 'POST',
      path: '/api/logs/analytics/summary',
      async handler(request, response, left) {
        const asked = await readJson(request, analyticsSchema)
        const { from, to = Date.now() } = rangeOf(asked.timeRange)
        const range = { from: from ?? to - DAY_MS, to }
        if (range.from >= range.to) throw new ApiError(400, 'timeRange: from must be before to')
        const width = range.to - range.from
        const bucketMs = Math.max(
          asked.bucketSeconds === undefined
            ? width / (asked.bucketCount ?? DEFAULT_BUCKETS)
            : asked.bucketSeconds * 1000,
          width / MAX_BUCKETS,
        )
        const keys = groupKeysOf(asked.groupBy)
        const [summary, values] = await Promise.all([
          store().summary(
            {
              range,
              bucketMs,
              filters: summaryFiltersOf(asked.filters),
              groupBy: keys.map(({ field }) => field),
            },
            left,
          ),
          store().values(range, left),
        ])
        const told: Analytics = {
          timeRange: { from: iso(summary.range.from), to: iso(summary.range.to) },
          bucketSeconds: summary.bucketMs / 1000,
          total: measuresOf(summary.total),
          buckets: summary.buckets.map((one) => ({
            start: iso(one.start),
            group: groupOf(one.group, keys),
            ...measuresOf(one),
          })),
          groups: summary.groups.map((one) => ({ group: groupOf(one.group, keys), ...measuresOf(one) })),
          filterOptions: optionsOf(values),
        }
        json(response, 200, told)
      },
    },
  ]
}

const iso = (epochMs: number) => new Date(epochMs).toISOString()

function measuresOf(one: Measures): ApiMeasures {
  const { requests, failed, inputTokens, outputTokens, cost, durationMs, firstTokenMs } = one
  return {
    requests,
    failed,
    totalTokens: inputTokens + outputTokens,
    inputTokens,
    outputTokens,
    cacheReadTokens: one.cacheReadTokens,
    cacheWriteTokens: one.cacheWriteTokens,
    reasoningTokens: one.reasoningTokens,
    cost,
    ...(durationMs && { durationMs }),
    ...(firstTokenMs && { firstTokenMs }),
  }
}

const groupOf = (group: Group, keys: readonly GroupKey[]): Record<string, string> =>
  Object.fromEntries(keys.map(({ field, name }) => [name, group[field] ?? '']))

const optionsOf = (values: FilterValues): Record<string, readonly string[]> =>
  Object.fromEntries(Object.entries(values).map(([field, some]) => [nameOf(field as GroupField), some]))
