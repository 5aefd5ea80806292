/**
 * Sums by time, kept in the transaction that inserts the requests: summaries never read those.
 *
 * A roll-up has a width in time, and a scope that says what its members are. Combinations of all fields can answer all
 * that is asked, and are many: what is asked most has scopes of its own, with few members.
 */
import type { Usage } from '../core/usage.ts'
import { type Insert, type Sql, type SqlValue, textOf } from './database.ts'
import { type Combinations, DAY_MS, PERSONAL } from './dimensions.ts'
import { fieldNumber, NONE } from './field-values.ts'
import { compacted, count, encode, type Histogram } from './histogram.ts'
import type { RequestRecord } from './record.ts'
import { GROUP_FIELDS, type GroupField } from './types.ts'

export const MINUTE_MS = 60_000
const QUARTER_MS = 15 * MINUTE_MS
export const HOUR_MS = 3_600_000

/** Thirteen months. */
export const LONGEST_MS = 396 * DAY_MS

/** The finer first; each is a multiple of the one before. */
export const ROLLUP_TIERS = [
  { widthMs: MINUTE_MS, keptMs: 2 * DAY_MS },
  { widthMs: QUARTER_MS, keptMs: 8 * DAY_MS },
  { widthMs: HOUR_MS, keptMs: LONGEST_MS },
  { widthMs: 12 * HOUR_MS, keptMs: LONGEST_MS },
] as const

/** All requests, as the one member 0. */
export const TOTALS = 100
/** Members are the numbers of `dimensions`: combinations of all fields, or of all but the personal ones. */
export const COMBINATIONS = 101
export const COMMON = 102
/** Members are the numbers of `field_values`, of one personal field. */
export const scopeOf = fieldNumber

export const SCOPES: readonly number[] = [...PERSONAL.map(scopeOf), TOTALS, COMBINATIONS, COMMON]

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

/** Roll-ups whose histograms are watched. */
const MAX_WATCHED = 20_000

const INSERT: Insert = {
  table: 'rollups',
  columns: ['width', 'scope', 'bucket', 'member', ...SUMS, ...MAXIMA, ...HISTOGRAMS],
  conflict: `(width, scope, bucket, member) DO UPDATE SET ${[
    ...SUMS.map((sum) => `${sum} = t.${sum} + excluded.${sum}`),
    ...MAXIMA.map(
      (max) => `${max} = CASE WHEN excluded.${max} > t.${max} THEN excluded.${max} ELSE t.${max} END`,
    ),
    ...HISTOGRAMS.map((histogram) => `${histogram} = t.${histogram} || excluded.${histogram}`),
  ].join(', ')}`,
}

const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
}

/** What a provider says is not to spoil a sum. */
const MAX_TOKENS = 1e9
const whole = (tokens: number) => (tokens > 0 ? Math.min(MAX_TOKENS, Math.round(tokens)) : 0)

const finite = (cost: number | undefined) => (Number.isFinite(cost) ? (cost ?? 0) : 0)

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
      finite(exchange.llm?.cost?.total),
      durationMs,
      firstTokenMs ?? 0,
    ],
  }
}

const emptyRollup = (): Rollup => ({
  sums: SUMS.map(() => 0),
  maxima: MAXIMA.map(() => 0),
  durations: new Map(),
  firstTokens: new Map(),
})

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

function addAll(target: Rollup, other: Rollup): void {
  for (const [index, sum] of other.sums.entries()) target.sums[index] = (target.sums[index] ?? 0) + sum
  for (const [index, max] of other.maxima.entries()) {
    target.maxima[index] = Math.max(target.maxima[index] ?? 0, max)
  }
  addHistogram(target.durations, other.durations)
  addHistogram(target.firstTokens, other.firstTokens)
}

function addHistogram(target: Histogram, other: Histogram): void {
  for (const [slot, times] of other) target.set(slot, (target.get(slot) ?? 0) + times)
}

/** Which member a request belongs to, in each scope. */
export interface Members {
  readonly combinations: Combinations
  readonly values: ReadonlyMap<GroupField, number>
}

function memberOf(scope: number, { combinations, values }: Members): number {
  if (scope === TOTALS) return 0
  if (scope === COMBINATIONS) return combinations.all
  if (scope === COMMON) return combinations.common
  const field = GROUP_FIELDS[scope]
  return (field && values.get(field)) ?? NONE
}

/** By bucket, then by member. */
type Rolled = Map<number, Map<number, Rollup>>

function rollupIn(rolled: Rolled, bucket: number, member: number): Rollup {
  let members = rolled.get(bucket)
  if (members === undefined) {
    members = new Map()
    rolled.set(bucket, members)
  }
  let rollup = members.get(member)
  if (rollup === undefined) {
    rollup = emptyRollup()
    members.set(member, rollup)
  }
  return rollup
}

function rollMinutes(requests: readonly Measured[], members: readonly number[]): Rolled {
  const rolled: Rolled = new Map()
  for (const [index, request] of requests.entries()) {
    const bucket = Math.floor(request.completedAt / MINUTE_MS) * MINUTE_MS
    add(rollupIn(rolled, bucket, members[index] ?? NONE), request)
  }
  return rolled
}

function widened(finer: Rolled, widthMs: number): Rolled {
  const rolled: Rolled = new Map()
  for (const [bucket, members] of finer) {
    const wider = Math.floor(bucket / widthMs) * widthMs
    for (const [member, rollup] of members) addAll(rollupIn(rolled, wider, member), rollup)
  }
  return rolled
}

type RollupRow = readonly [width: number, scope: number, bucket: number, member: number, ...SqlValue[]]

// In one order for all gateways, so that none waits for another in a circle.
const inOrder = (one: RollupRow, other: RollupRow) =>
  one[0] - other[0] || one[1] - other[1] || one[2] - other[2] || one[3] - other[3]

function rowsOf(
  requests: readonly (Members & { readonly record: RequestRecord })[],
  now: number,
): readonly RollupRow[] {
  const rows: RollupRow[] = []
  const measures = requests.map(({ record }) => measured(record))
  for (const scope of SCOPES) {
    const members = requests.map((request) => memberOf(scope, request))
    let rolled = rollMinutes(measures, members)
    for (const { widthMs, keptMs } of ROLLUP_TIERS) {
      if (widthMs > MINUTE_MS) rolled = widened(rolled, widthMs)
      for (const [bucket, rollups] of rolled) {
        if (bucket + widthMs < now - keptMs) continue
        for (const [member, { sums, maxima, durations, firstTokens }] of rollups) {
          const histograms = [encode(durations), encode(firstTokens)]
          rows.push([widthMs, scope, bucket, member, ...sums, ...maxima, ...histograms])
        }
      }
    }
  }
  return rows.sort(inOrder)
}

export interface Rollups {
  /** `kept` is to be called when the transaction has succeeded. */
  readonly write: (
    sql: Sql,
    requests: readonly (Members & { readonly record: RequestRecord })[],
    now: number,
  ) => Promise<{ readonly kept: () => void }>
}

export function createRollups(): Rollups {
  /** How much was appended to the histograms of a roll-up since they were written anew. */
  let appended = new Map<string, number>()

  return {
    async write(sql, requests, now) {
      const rows = rowsOf(requests, now)
      await sql.insert(INSERT, rows)
      const lengths = new Map<string, number>()
      for (const row of rows) {
        const [width, scope, bucket, member] = row
        const key = `${width} ${scope} ${bucket} ${member}`
        const length = (appended.get(key) ?? 0) + String(row.at(-2)).length + String(row.at(-1)).length
        lengths.set(key, length > MAX_HISTOGRAM_LENGTH ? 0 : length)
        if (length > MAX_HISTOGRAM_LENGTH) await writeAnew(sql, [width, scope, bucket, member])
      }
      return {
        kept() {
          if (appended.size + lengths.size > MAX_WATCHED) appended = new Map()
          for (const [key, length] of lengths) appended.set(key, length)
        },
      }
    },
  }
}

/** The row is locked by the upsert: nothing is appended meanwhile. */
async function writeAnew(sql: Sql, key: readonly number[]): Promise<void> {
  const where = 'WHERE width = ? AND scope = ? AND bucket = ? AND member = ?'
  const [row] = await sql.all(`SELECT durations, first_tokens FROM rollups ${where}`, key)
  if (row === undefined) return
  await sql.run(`UPDATE rollups SET durations = ?, first_tokens = ? ${where}`, [
    compacted(textOf(row, 'durations')),
    compacted(textOf(row, 'first_tokens')),
    ...key,
  ])
}
