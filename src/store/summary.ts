/** Sums over many requests, read from the roll-ups, and the values that occur, read from their dictionary. */
import { numberOf, type Row, type Sql, textOf } from './database.ts'
import { DAY_MS } from './dimensions.ts'
import { fieldNumber } from './field-values.ts'
import { REST } from './fields.ts'
import { addCounts, addEncoded, type Counts, emptyCounts, percentiles } from './histogram.ts'
import { HOUR_MS, LONGEST_MS, ROLLUP_TIERS, SUMS } from './rollups.ts'
import { areFew, groupsOf, nameOf, pieces, readNames, readRows, sourceOf } from './summary-rows.ts'
import {
  type FilterValues,
  GROUP_FIELDS,
  type Group,
  type GroupField,
  type Measures,
  type Summary,
  type SummaryQuery,
  type TimeRange,
} from './types.ts'

const MAX_GROUPS = 200
/** Groups times buckets: an answer of some two megabytes. */
const MAX_CELLS = 6000
const MAX_VALUES = 500

/** The sums of a bucket or group, its histograms as they were read. */
interface Cell {
  readonly sums: Record<(typeof SUMS)[number], number>
  durationMax: number
  firstTokenMax: number
  durations: string
  firstTokens: string
}

/** The same of many, with their histograms counted. */
interface Total extends Omit<Cell, 'durations' | 'firstTokens'> {
  readonly durations: Counts
  readonly firstTokens: Counts
}

export async function summarize(sql: Sql, query: SummaryQuery, now: number): Promise<Summary> {
  const tiers = await widthsFrom(sql, query.range.from, now)
  const [finest = HOUR_MS] = tiers
  const widest = tiers.findLast((width) => width <= query.bucketMs) ?? finest
  const bucketMs = Math.max(1, Math.ceil(query.bucketMs / widest)) * widest
  const range = {
    from: Math.floor(query.range.from / finest) * finest,
    to: Math.ceil(query.range.to / finest) * finest,
  }
  const fields = [...new Set(query.groupBy)]
  const source = sourceOf(fields, query.filters ?? {})
  if (source === undefined) return summaryOf({ range, bucketMs }, fields, new Map())

  const buckets = Math.ceil(range.to / bucketMs) - Math.floor(range.from / bucketMs)
  const limit = Math.max(1, Math.min(MAX_GROUPS, Math.floor(MAX_CELLS / buckets)))
  const shown = (await areFew(sql, source, { range, limit }))
    ? undefined
    : await readNames(sql, source, { parts: pieces(range, tiers.toReversed()), limit })
  const widths = tiers.filter((width) => width <= bucketMs && bucketMs % width === 0).toReversed()
  const rows: Row[] = []
  for (const piece of pieces(range, widths)) {
    rows.push(...(await readRows(sql, source, { piece, bucketMs, shown })))
  }
  const groups = await groupsOf(sql, source, [...new Set(rows.map(nameOf))])
  const cells = new Map<string, Map<number, Cell>>()
  for (const row of rows) {
    const start = Math.floor(numberOf(row, 'step') / bucketMs) * bucketMs
    const name = JSON.stringify(groups.get(nameOf(row)) ?? restOf(fields))
    const ofGroup = cells.get(name) ?? new Map<number, Cell>()
    cells.set(name, ofGroup)
    const cell = ofGroup.get(start) ?? emptyCell()
    ofGroup.set(start, cell)
    addRow(cell, row)
  }
  return summaryOf({ range, bucketMs }, fields, cells)
}

/** The widths of the roll-ups that are there from then on, the finest first. */
async function widthsFrom(sql: Sql, from: number, now: number): Promise<readonly number[]> {
  const rows = await sql.all('SELECT width, floor FROM rollup_floors')
  const floors = new Map(rows.map((row) => [numberOf(row, 'width'), numberOf(row, 'floor')]))
  const finest = ROLLUP_TIERS.findIndex(
    ({ widthMs, keptMs }) =>
      (keptMs === LONGEST_MS || from >= now - keptMs) && from >= (floors.get(widthMs) ?? from),
  )
  // Of none: the last.
  return ROLLUP_TIERS.slice(finest).map(({ widthMs }) => widthMs)
}

const restOf = (fields: readonly GroupField[]): Group =>
  Object.fromEntries(fields.map((field) => [field, REST]))

function summaryOf(
  { range, bucketMs }: Pick<Summary, 'range' | 'bucketMs'>,
  fields: readonly GroupField[],
  cells: ReadonlyMap<string, ReadonlyMap<number, Cell>>,
): Summary {
  const total = emptyTotal()
  const rest = fields.length > 0 ? JSON.stringify(restOf(fields)) : undefined
  const buckets: Summary['buckets'][number][] = []
  const groups: { readonly isRest: boolean; readonly measures: Summary['groups'][number] }[] = []
  for (const [name, ofGroup] of cells) {
    const group = JSON.parse(name) as Group
    const sum = emptyTotal()
    for (const [start, cell] of ofGroup) {
      const counted = totalOf(cell)
      addTotal(sum, counted)
      buckets.push({ ...measuresOf(counted), start, group })
    }
    addTotal(total, sum)
    groups.push({ isRest: name === rest, measures: { ...measuresOf(sum), group } })
  }
  return {
    range,
    bucketMs,
    total: measuresOf(total),
    buckets: buckets.sort((one, other) => one.start - other.start),
    groups: groups
      .sort(
        (one, other) =>
          Number(one.isRest) - Number(other.isRest) || other.measures.requests - one.measures.requests,
      )
      .map(({ measures }) => measures),
  }
}

const noSums = (): Cell['sums'] => ({
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
})

const emptyCell = (): Cell => ({
  sums: noSums(),
  durationMax: 0,
  firstTokenMax: 0,
  durations: '',
  firstTokens: '',
})

const emptyTotal = (): Total => ({ ...emptyCell(), durations: emptyCounts(), firstTokens: emptyCounts() })

function addRow(cell: Cell, row: Row): void {
  for (const name of SUMS) cell.sums[name] += numberOf(row, name)
  cell.durationMax = Math.max(cell.durationMax, numberOf(row, 'duration_max'))
  cell.firstTokenMax = Math.max(cell.firstTokenMax, numberOf(row, 'first_token_max'))
  cell.durations += textOf(row, 'durations')
  cell.firstTokens += textOf(row, 'first_tokens')
}

function totalOf({ durations, firstTokens, ...cell }: Cell): Total {
  const total = { ...cell, durations: emptyCounts(), firstTokens: emptyCounts() }
  addEncoded(total.durations, durations)
  addEncoded(total.firstTokens, firstTokens)
  return total
}

function addTotal(target: Total, other: Total): void {
  for (const name of SUMS) target.sums[name] += other.sums[name]
  target.durationMax = Math.max(target.durationMax, other.durationMax)
  target.firstTokenMax = Math.max(target.firstTokenMax, other.firstTokenMax)
  addCounts(target.durations, other.durations)
  addCounts(target.firstTokens, other.firstTokens)
}

const measuresOf = ({ sums, durations, durationMax, firstTokens, firstTokenMax }: Total): Measures => ({
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
    const rows = await sql.all(
      `SELECT value FROM field_values
       WHERE field = ? AND last_day >= ? AND first_day < ? ORDER BY value LIMIT ${MAX_VALUES}`,
      [fieldNumber(field), Math.floor(range.from / DAY_MS), Math.ceil(range.to / DAY_MS)],
    )
    values.push([field, rows.map((row) => textOf(row, 'value'))])
  }
  return Object.fromEntries(values) as Record<GroupField, readonly string[]>
}
