/**
 * Sums per minute, hour and day, kept in the transaction that inserts the requests: summaries never read those.
 */
import type { Usage } from '../core/usage.ts'
import { type Insert, numberOf, type Sql, type SqlValue, textOf } from './database.ts'
import { DAY_MS } from './dimensions.ts'
import { compacted, count, encode, type Histogram } from './histogram.ts'
import type { RequestRecord } from './record.ts'

export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000

/** Thirteen months. */
export const LONGEST_MS = 396 * DAY_MS

/** The finer first. */
export const ROLLUP_TIERS = [
  { widthMs: MINUTE_MS, keptMs: 2 * DAY_MS },
  { widthMs: HOUR_MS, keptMs: LONGEST_MS },
  { widthMs: DAY_MS, keptMs: LONGEST_MS },
] as const

/** Beyond it a histogram's text is written anew. One with every slot in use is shorter. */
const MAX_HISTOGRAM_LENGTH = 2000

export const SUMS = [
  'requests',
  'failed',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'cost',
  'duration_sum',
  'first_token_sum',
] as const
const MAXIMA = ['duration_max', 'first_token_max']
const HISTOGRAMS = ['durations', 'first_tokens']

/** `rollup_totals` holds the sums over all combinations, under the number 0: what is asked for most. */
export const ROLLUP_TABLES = ['rollups', 'rollup_totals'] as const
const ALL = 0

const INSERT: Omit<Insert, 'table'> = {
  columns: ['width', 'bucket', 'dimension', ...SUMS, ...MAXIMA, ...HISTOGRAMS],
  conflict: `(width, bucket, dimension) DO UPDATE SET ${[
    ...SUMS.map((sum) => `${sum} = t.${sum} + excluded.${sum}`),
    ...MAXIMA.map(
      (max) => `${max} = CASE WHEN excluded.${max} > t.${max} THEN excluded.${max} ELSE t.${max} END`,
    ),
    ...HISTOGRAMS.map((histogram) => `${histogram} = t.${histogram} || excluded.${histogram}`),
  ].join(', ')}`,
  returning: `width, bucket, dimension,
    CASE WHEN length(durations) + length(first_tokens) > ${MAX_HISTOGRAM_LENGTH} THEN durations END AS durations,
    CASE WHEN length(durations) + length(first_tokens) > ${MAX_HISTOGRAM_LENGTH} THEN first_tokens END AS first_tokens`,
}

const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
}

/** What a provider says is not to overflow a sum. */
const MAX_TOKENS = 1e12
const whole = (tokens: number) => (tokens > 0 ? Math.min(MAX_TOKENS, Math.round(tokens)) : 0)

interface Rollup {
  /** In the order of `SUMS`. */
  readonly sums: number[]
  readonly maxima: number[]
  readonly durations: Histogram
  readonly firstTokens: Histogram
}

interface Measured {
  readonly completedAt: number
  readonly durationMs: number
  readonly firstTokenMs: number | undefined
  /** In the order of `SUMS`. */
  readonly increments: readonly number[]
}

function measured({ exchange, failed, completedAt, durationMs, firstTokenMs }: RequestRecord): Measured {
  const usage = exchange.llm?.usage ?? NO_USAGE
  return {
    completedAt,
    durationMs,
    firstTokenMs,
    increments: [
      1,
      failed ? 1 : 0,
      whole(usage.inputTokens),
      whole(usage.outputTokens),
      whole(usage.cacheReadTokens),
      whole(usage.cacheWriteTokens),
      whole(usage.reasoningTokens),
      exchange.llm?.cost?.total ?? 0,
      durationMs,
      firstTokenMs ?? 0,
    ],
  }
}

function add({ sums, maxima, durations, firstTokens }: Rollup, request: Measured): void {
  const { increments, durationMs, firstTokenMs } = request
  for (let index = 0; index < increments.length; index += 1) {
    sums[index] = (sums[index] ?? 0) + (increments[index] ?? 0)
  }
  maxima[0] = Math.max(maxima[0] ?? 0, durationMs)
  maxima[1] = Math.max(maxima[1] ?? 0, firstTokenMs ?? 0)
  count(durations, durationMs)
  if (firstTokenMs !== undefined) count(firstTokens, firstTokenMs)
}

const emptyRollup = (): Rollup => ({
  sums: SUMS.map(() => 0),
  maxima: MAXIMA.map(() => 0),
  durations: new Map(),
  firstTokens: new Map(),
})

/** `dimensions` has the number of each record's combination. */
export async function writeRollups(
  sql: Sql,
  records: readonly RequestRecord[],
  dimensions: readonly number[],
  now: number,
): Promise<void> {
  const requests = records.map(measured)
  const all = rollUp(requests, () => ALL, now)
  const apart = rollUp(requests, (index) => dimensions[index] ?? ALL, now)
  await upsert(sql, 'rollups', apart)
  await upsert(sql, 'rollup_totals', all)
}

function rollUp(
  requests: readonly Measured[],
  dimensionOf: (index: number) => number,
  now: number,
): readonly (readonly SqlValue[])[] {
  const rows: SqlValue[][] = []
  for (const { widthMs, keptMs } of ROLLUP_TIERS) {
    const rollups = new Map<string, { key: readonly [number, number]; rollup: Rollup }>()
    for (const [index, request] of requests.entries()) {
      const bucket = Math.floor(request.completedAt / widthMs) * widthMs
      if (bucket + widthMs < now - keptMs) continue
      const dimension = dimensionOf(index)
      const name = `${bucket} ${dimension}`
      let entry = rollups.get(name)
      if (entry === undefined) {
        entry = { key: [bucket, dimension], rollup: emptyRollup() }
        rollups.set(name, entry)
      }
      add(entry.rollup, request)
    }
    for (const { key, rollup } of rollups.values()) {
      const { sums, maxima, durations, firstTokens } = rollup
      rows.push([widthMs, ...key, ...sums, ...maxima, encode(durations), encode(firstTokens)])
    }
  }
  // In one order for all gateways, so that none waits for another in a circle.
  return rows.sort(
    ([a, b, c], [d, e, f]) => Number(a) - Number(d) || Number(b) - Number(e) || Number(c) - Number(f),
  )
}

async function upsert(
  sql: Sql,
  table: (typeof ROLLUP_TABLES)[number],
  rows: readonly (readonly SqlValue[])[],
): Promise<void> {
  const grown = (await sql.insert({ ...INSERT, table }, rows)).filter((row) => row.durations !== null)
  for (const row of grown) {
    // The row is locked by the upsert: nothing is appended meanwhile.
    await sql.run(
      `UPDATE ${table} SET durations = ?, first_tokens = ? WHERE width = ? AND bucket = ? AND dimension = ?`,
      [
        compacted(textOf(row, 'durations')),
        compacted(textOf(row, 'first_tokens')),
        numberOf(row, 'width'),
        numberOf(row, 'bucket'),
        numberOf(row, 'dimension'),
      ],
    )
  }
}
