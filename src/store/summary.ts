/** Sums over many requests, read from the roll-ups, and the values that occur, read from their dictionary. */
import { numberOf, type Row, type Sql, textOf } from './database.ts'
import { DAY_MS } from './dimensions.ts'
import { COLUMNS, REST } from './fields.ts'
import { addCounts, addEncoded, type Counts, emptyCounts, percentiles } from './histogram.ts'
import { fieldConditions } from './request-conditions.ts'
import { HOUR_MS, MINUTE_MS, ROLLUP_TIERS, SUMS } from './rollups.ts'
import {
  type FilterValues,
  GROUP_FIELDS,
  type Group,
  type GroupField,
  type Measures,
  type Summary,
  type SummaryFilters,
  type SummaryQuery,
  type TimeRange,
} from './types.ts'

const MAX_GROUPS = 200
const MAX_VALUES = 500

interface Sums {
  readonly sums: Record<(typeof SUMS)[number], number>
  durationMax: number
  firstTokenMax: number
  readonly durations: Counts
  readonly firstTokens: Counts
}

/** A part of the range, to be read from the roll-ups of one width. */
interface Piece extends TimeRange {
  readonly widthMs: number
}

/** The widest roll-ups that fit, and finer ones at the range's edges. Both ends are multiples of the finest. */
function pieces({ from, to }: TimeRange, widths: readonly number[]): readonly Piece[] {
  const [widthMs, ...finer] = widths
  if (widthMs === undefined || from >= to) return []
  const first = Math.ceil(from / widthMs) * widthMs
  const end = Math.floor(to / widthMs) * widthMs
  if (first >= end) return pieces({ from, to }, finer)
  return [
    ...pieces({ from, to: first }, finer),
    { widthMs, from: first, to: end },
    ...pieces({ from: end, to }, finer),
  ]
}

export async function summarize(sql: Sql, query: SummaryQuery, now: number): Promise<Summary> {
  const [minutes] = ROLLUP_TIERS
  const finest = query.range.from >= now - minutes.keptMs ? MINUTE_MS : HOUR_MS
  const bucketMs = Math.max(1, Math.ceil(query.bucketMs / finest)) * finest
  const range = {
    from: Math.floor(query.range.from / finest) * finest,
    to: Math.ceil(query.range.to / finest) * finest,
  }
  const widths = ROLLUP_TIERS.map(({ widthMs }) => widthMs)
    .filter((widthMs) => widthMs >= finest && bucketMs % widthMs === 0)
    .reverse()
  const fields = [...new Set(query.groupBy)]
  const rows: Row[] = []
  for (const piece of pieces(range, widths)) {
    rows.push(...(await readRows(sql, { piece, bucketMs, fields, filters: query.filters ?? {} })))
  }

  const shown = mostRequests(rows, fields)
  const rest = { name: REST, group: Object.fromEntries(fields.map((field) => [field, REST])) as Group }
  const buckets = new Map<string, Part & { readonly start: number }>()
  for (const row of rows) {
    const start = Math.floor(numberOf(row, 'step') / bucketMs) * bucketMs
    const { name, group } = shown.get(nameOf(row, fields)) ?? rest
    const key = `${start} ${name}`
    const bucket = buckets.get(key) ?? { start, name, group, sums: emptySums() }
    buckets.set(key, bucket)
    addRow(bucket.sums, row)
  }

  const total = emptySums()
  const groups = new Map<string, Part>()
  for (const { name, group, sums } of buckets.values()) {
    const entry = groups.get(name) ?? { name, group, sums: emptySums() }
    groups.set(name, entry)
    addSums(entry.sums, sums)
    addSums(total, sums)
  }

  return {
    range,
    bucketMs,
    total: measuresOf(total),
    buckets: [...buckets.values()]
      .sort((one, other) => one.start - other.start)
      .map(({ start, group, sums }) => ({ ...measuresOf(sums), start, group })),
    groups: [...groups.values()]
      .sort(
        (one, other) => Number(one.name === REST) - Number(other.name === REST) || moreRequests(one, other),
      )
      .map(({ group, sums }) => ({ ...measuresOf(sums), group })),
  }
}

interface Part {
  readonly name: string
  readonly group: Group
  readonly sums: Sums
}

const moreRequests = (one: Part, other: Part) => other.sums.sums.requests - one.sums.sums.requests

async function readRows(
  sql: Sql,
  {
    piece,
    bucketMs,
    fields,
    filters,
  }: {
    readonly piece: Piece
    readonly bucketMs: number
    readonly fields: readonly GroupField[]
    readonly filters: SummaryFilters
  },
): Promise<readonly Row[]> {
  const conditions = fieldConditions(filters, 'd')
  if (conditions === undefined) return []
  const failed = filters.failed === undefined ? [] : [`d.failed = ${filters.failed ? 1 : 0}`]
  const where = [...conditions.texts, ...failed]
  // Without a field to group by the rows are read in the order of their time, and none has to be sorted.
  const bucket = fields.length === 0 ? 'r.bucket' : `r.bucket / ${bucketMs} * ${bucketMs}`
  const grouped = [bucket, ...fields.map((field) => `d.${COLUMNS[field]}`)]
  const isJoined = fields.length + where.length > 0
  return sql.all(
    // Histograms are added by appending them: see `histogram.ts`.
    `SELECT ${[`${bucket} AS step`, ...grouped.slice(1)].join(', ')},
      ${SUMS.map((sum) => `sum(r.${sum}) AS ${sum}`).join(', ')},
      max(r.duration_max) AS duration_max, max(r.first_token_max) AS first_token_max,
      string_agg(r.durations, '') AS durations, string_agg(r.first_tokens, '') AS first_tokens
    FROM ${isJoined ? 'rollups r JOIN dimensions d ON d.id = r.dimension' : 'rollup_totals r'}
    WHERE ${['r.width = ? AND r.bucket >= ? AND r.bucket < ?', ...where].join(' AND ')}
    GROUP BY ${grouped.join(', ')}`,
    [piece.widthMs, piece.from, piece.to, ...conditions.values],
  )
}

function groupOf(row: Row, fields: readonly GroupField[]): Group {
  const group: Partial<Record<GroupField, string>> = {}
  for (const field of fields) {
    const value = row[COLUMNS[field]]
    if (value !== null && value !== undefined) group[field] = String(value)
  }
  return group
}

const nameOf = (row: Row, fields: readonly GroupField[]) =>
  JSON.stringify(fields.map((field) => row[COLUMNS[field]]))

/** The groups that are shown by themselves, by name. */
function mostRequests(rows: readonly Row[], fields: readonly GroupField[]) {
  const groups = new Map<string, { readonly name: string; readonly group: Group; requests: number }>()
  for (const row of rows) {
    const name = nameOf(row, fields)
    const entry = groups.get(name) ?? { name, group: groupOf(row, fields), requests: 0 }
    entry.requests += numberOf(row, 'requests')
    groups.set(name, entry)
  }
  const sorted = [...groups.values()].sort((one, other) => other.requests - one.requests)
  return new Map(sorted.slice(0, MAX_GROUPS).map((entry) => [entry.name, entry]))
}

const emptySums = (): Sums => ({
  sums: {
    requests: 0,
    failed: 0,
    input_tokens: 0,
    output_tokens: 0,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
    reasoning_tokens: 0,
    cost: 0,
    duration_sum: 0,
    first_token_sum: 0,
  },
  durationMax: 0,
  firstTokenMax: 0,
  durations: emptyCounts(),
  firstTokens: emptyCounts(),
})

function addRow(target: Sums, row: Row): void {
  for (const name of SUMS) target.sums[name] += numberOf(row, name)
  target.durationMax = Math.max(target.durationMax, numberOf(row, 'duration_max'))
  target.firstTokenMax = Math.max(target.firstTokenMax, numberOf(row, 'first_token_max'))
  addEncoded(target.durations, textOf(row, 'durations'))
  addEncoded(target.firstTokens, textOf(row, 'first_tokens'))
}

function addSums(target: Sums, other: Sums): void {
  for (const name of SUMS) target.sums[name] += other.sums[name]
  target.durationMax = Math.max(target.durationMax, other.durationMax)
  target.firstTokenMax = Math.max(target.firstTokenMax, other.firstTokenMax)
  addCounts(target.durations, other.durations)
  addCounts(target.firstTokens, other.firstTokens)
}

const measuresOf = ({ sums, durations, durationMax, firstTokens, firstTokenMax }: Sums): Measures => ({
  requests: sums.requests,
  failed: sums.failed,
  inputTokens: sums.input_tokens,
  outputTokens: sums.output_tokens,
  cacheReadTokens: sums.cache_read_tokens,
  cacheWriteTokens: sums.cache_write_tokens,
  reasoningTokens: sums.reasoning_tokens,
  cost: sums.cost,
  durationMs: percentiles(durations, sums.duration_sum, durationMax),
  firstTokenMs: percentiles(firstTokens, sums.first_token_sum, firstTokenMax),
})

/** To the day. */
export async function readValues(sql: Sql, range: TimeRange): Promise<FilterValues> {
  const values: [GroupField, readonly string[]][] = []
  for (const field of GROUP_FIELDS) {
    const column = COLUMNS[field]
    const rows = await sql.all(
      `SELECT DISTINCT ${column} AS value FROM dimensions
       WHERE last_day >= ? AND first_day < ? AND ${column} IS NOT NULL ORDER BY value LIMIT ${MAX_VALUES}`,
      [Math.floor(range.from / DAY_MS), Math.ceil(range.to / DAY_MS)],
    )
    values.push([field, rows.map((row) => String(row.value))])
  }
  return Object.fromEntries(values) as Record<GroupField, readonly string[]>
}
