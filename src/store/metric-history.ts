/**
 * How metrics grew and where they stood: three tiers, each finer than the next and kept for less time.
 *
 * A sample is written into all three at once, so nothing has to be made coarser later.
 */
import { type Insert, numberOf, placeholders, type Sql, type SqlValue, textOf } from './database.ts'
import { DAY_MS, hash } from './dimensions.ts'
import { HOUR_MS, LONGEST_MS, MINUTE_MS } from './rollups.ts'
import type { HistoryQuery, MetricHistory, MetricSample, MetricValue } from './types.ts'

/** The finer first. */
export const METRIC_TIERS = [
  { widthMs: 10_000, keptMs: 2 * HOUR_MS },
  { widthMs: MINUTE_MS, keptMs: 2 * DAY_MS },
  { widthMs: 15 * MINUTE_MS, keptMs: LONGEST_MS },
] as const

const INSERT_SERIES: Insert = {
  table: 'metric_series',
  columns: ['id', 'last_day', 'kind', 'instance', 'name', 'labels'],
  conflict:
    '(id) DO UPDATE SET last_day = CASE WHEN excluded.last_day > t.last_day THEN excluded.last_day ELSE t.last_day END',
}

const INSERT_POINTS: Insert = {
  table: 'metric_points',
  columns: ['series', 'width', 'bucket', 'total', 'samples'],
  conflict:
    '(series, width, bucket) DO UPDATE SET total = t.total + excluded.total, samples = t.samples + excluded.samples',
}

/** Series that are remembered to be in the dictionary. */
const MAX_REMEMBERED = 50_000

export interface Metrics {
  /** `kept` is to be called when the transaction has succeeded. */
  readonly write: (
    sql: Sql,
    samples: readonly MetricSample[],
    now: number,
  ) => Promise<{ readonly kept: () => void }>
}

export function createMetrics(): Metrics {
  /** By kind, instance, name and labels: the number, and the last day that was written. */
  let known = new Map<string, { readonly id: number; day: number }>()

  return {
    async write(sql, samples, now) {
      const series = new Map<number, readonly SqlValue[]>()
      const points = new Map<
        string,
        [series: number, width: number, bucket: number, total: number, samples: number]
      >()
      const fresh = new Map<string, { readonly id: number; day: number }>()

      function add(
        kind: MetricHistory['kind'],
        instance: string,
        { name, labels, value }: MetricValue,
        at: number,
      ) {
        if (!Number.isFinite(value)) return
        const key = JSON.stringify([kind, instance, name, labels])
        const day = Math.floor(at / DAY_MS)
        const before = known.get(key) ?? fresh.get(key)
        const id = before?.id ?? hash(key)
        if (before === undefined || before.day < day) {
          series.set(id, [id, day, kind, instance, name, labels])
          fresh.set(key, { id, day })
        }
        for (const { widthMs, keptMs } of METRIC_TIERS) {
          const bucket = Math.floor(at / widthMs) * widthMs
          if (bucket + widthMs < now - keptMs) continue
          const place = `${id} ${widthMs} ${bucket}`
          const point = points.get(place) ?? [id, widthMs, bucket, 0, 0]
          point[3] += value
          point[4] += 1
          points.set(place, point)
        }
      }

      for (const { at, instance, increments, levels } of samples) {
        // Increments add up whoever they come from; only levels have to be told apart.
        for (const increment of increments) add('increment', '', increment, at)
        for (const level of levels) add('level', instance, level, at)
      }

      await sql.insert(INSERT_SERIES, [...series.values()].sort(byNumbers))
      await sql.insert(INSERT_POINTS, [...points.values()].sort(byNumbers))
      return {
        kept() {
          if (known.size + fresh.size > MAX_REMEMBERED) known = new Map()
          for (const [key, value] of fresh) known.set(key, value)
        },
      }
    },
  }
}

// In one order for all gateways, so that none waits for another in a circle.
const byNumbers = (one: readonly SqlValue[], other: readonly SqlValue[]) =>
  Number(one[0]) - Number(other[0]) || Number(one[1]) - Number(other[1]) || Number(one[2]) - Number(other[2])

/** The coarsest tier that is fine enough for the step and still has the range; else the finest that has it. */
function tierFor({ range, stepMs }: HistoryQuery, now: number): number {
  const kept = METRIC_TIERS.filter(({ keptMs }) => range.from >= now - keptMs)
  const [finest = METRIC_TIERS[2]] = kept
  return (kept.findLast(({ widthMs }) => widthMs <= stepMs) ?? finest).widthMs
}

export async function readHistory(
  sql: Sql,
  query: HistoryQuery,
  now: number,
): Promise<readonly MetricHistory[]> {
  if (query.names.length === 0) return []
  const widthMs = tierFor(query, now)
  const step = Math.max(1, Math.ceil(query.stepMs / widthMs)) * widthMs
  const rows = await sql.all(
    // Levels: the mean over time for each instance, then the sum over instances.
    `SELECT kind, name, labels, step, sum(value) AS value FROM (
      SELECT s.id, s.kind, s.name, s.labels,
        p.bucket / CAST(? AS BIGINT) * CAST(? AS BIGINT) AS step,
        CASE WHEN s.kind = 'level' THEN sum(p.total) / sum(p.samples) ELSE sum(p.total) END AS value
      FROM metric_series s JOIN metric_points p ON p.series = s.id
      WHERE s.name IN (${placeholders(query.names)}) AND p.width = ? AND p.bucket >= ? AND p.bucket < ?
      GROUP BY s.id, s.kind, s.name, s.labels, 5
    ) AS per_instance
    GROUP BY kind, name, labels, step ORDER BY kind, name, labels, step`,
    [
      step,
      step,
      ...query.names,
      widthMs,
      Math.floor(query.range.from / step) * step,
      Math.ceil(query.range.to),
    ],
  )

  const found: (MetricHistory & { readonly points: (readonly [number, number])[] })[] = []
  for (const row of rows) {
    const kind = textOf(row, 'kind') === 'level' ? 'level' : 'increment'
    const name = textOf(row, 'name')
    const labels = textOf(row, 'labels')
    let last = found.at(-1)
    if (last === undefined || last.kind !== kind || last.name !== name || last.labels !== labels) {
      last = { kind, name, labels, points: [] }
      found.push(last)
    }
    last.points.push([numberOf(row, 'step'), numberOf(row, 'value')])
  }
  return found
}
