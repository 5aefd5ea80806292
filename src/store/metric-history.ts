/**
 * How metrics grew and where they stood: four tiers, each finer than the next and kept for less time.
 *
 * A sample is written into all of them at once, so nothing has to be made coarser later.
 */
import { type MetricLabels, onlyLabels } from '../core/labels.ts'
import { type Insert, numberOf, placeholders, type Sql, type SqlValue, textOf } from './database.ts'
import { DAY_MS, hash } from './dimensions.ts'
import { HOUR_MS, LONGEST_MS, MINUTE_MS } from './rollups.ts'
import type { HistoryQuery, MetricHistory, MetricSample, MetricValue } from './types.ts'

/** The finer first. */
export const METRIC_TIERS = [
  { widthMs: 10_000, keptMs: 2 * HOUR_MS },
  { widthMs: MINUTE_MS, keptMs: 2 * DAY_MS },
  { widthMs: 15 * MINUTE_MS, keptMs: 8 * DAY_MS },
  { widthMs: 2 * HOUR_MS, keptMs: LONGEST_MS },
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
  const [finest = METRIC_TIERS[3]] = kept
  return (kept.findLast(({ widthMs }) => widthMs <= stepMs) ?? finest).widthMs
}

interface Group {
  readonly kind: MetricHistory['kind']
  readonly name: string
  readonly labels: string
  readonly points: Map<number, number>
}

/** The groups that series add up to, by the number of each series. */
async function groupsOf(sql: Sql, metrics: MetricLabels): Promise<ReadonlyMap<number, Group>> {
  const names = Object.keys(metrics)
  const rows = await sql.all(
    `SELECT id, kind, name, labels FROM metric_series WHERE name IN (${placeholders(names)})
    ORDER BY kind, name, labels`,
    names,
  )
  const groups = new Map<string, Group>()
  const bySeries = new Map<number, Group>()
  for (const row of rows) {
    const kind = textOf(row, 'kind') === 'level' ? 'level' : 'increment'
    const name = textOf(row, 'name')
    const labels = onlyLabels(textOf(row, 'labels'), metrics[name] ?? [])
    const key = `${kind} ${name} ${labels}`
    const group = groups.get(key) ?? { kind, name, labels, points: new Map() }
    groups.set(key, group)
    bySeries.set(numberOf(row, 'id'), group)
  }
  return bySeries
}

export async function readHistory(
  sql: Sql,
  query: HistoryQuery,
  now: number,
): Promise<readonly MetricHistory[]> {
  const names = Object.keys(query.metrics)
  if (names.length === 0) return []
  const groups = await groupsOf(sql, query.metrics)
  const widthMs = tierFor(query, now)
  const step = Math.max(1, Math.ceil(query.stepMs / widthMs)) * widthMs
  const rows = await sql.all(
    `SELECT series, bucket / CAST(? AS BIGINT) * CAST(? AS BIGINT) AS step,
      sum(total) AS total, sum(samples) AS samples
    FROM metric_points
    WHERE series IN (SELECT id FROM metric_series WHERE name IN (${placeholders(names)}))
      AND width = ? AND bucket >= ? AND bucket < ?
    GROUP BY series, 2`,
    [step, step, ...names, widthMs, Math.floor(query.range.from / step) * step, Math.ceil(query.range.to)],
  )
  for (const row of rows) {
    const group = groups.get(numberOf(row, 'series'))
    if (group === undefined) continue
    const at = numberOf(row, 'step')
    const total = numberOf(row, 'total')
    // Of levels the mean over time for each instance, then the sum over instances.
    const value = group.kind === 'level' ? total / numberOf(row, 'samples') : total
    group.points.set(at, (group.points.get(at) ?? 0) + value)
  }
  return [...new Set(groups.values())]
    .filter(({ points }) => points.size > 0)
    .map(({ points, ...group }) => ({
      ...group,
      points: [...points].sort(([one], [other]) => one - other),
    }))
}
