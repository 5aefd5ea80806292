/**
 * What a summary reads of the roll-ups: which scope, which widths, which groups.
 */
import { numberOf, placeholders, type Row, type Sql, type SqlValue, textOf } from './database.ts'
import { DAY_MS, PERSONAL } from './dimensions.ts'
import { fieldNumber } from './field-values.ts'
import { COLUMNS } from './fields.ts'
import { fieldConditions } from './request-conditions.ts'
import { COMBINATIONS, COMMON, SUMS, scopeOf, TOTALS } from './rollups.ts'
import { GROUP_FIELDS, type Group, type GroupField, type SummaryFilters, type TimeRange } from './types.ts'

/** A part of the range, to be read from the roll-ups of one width. */
export interface Piece extends TimeRange {
  readonly widthMs: number
}

/** The widest roll-ups that fit, and finer ones at the range's edges. Both ends are multiples of the finest. */
export function pieces({ from, to }: TimeRange, [widthMs, ...finer]: readonly number[]): readonly Piece[] {
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

/** Where the rows of a summary lie. */
export interface Source {
  readonly scope: number
  /** Of the combinations. */
  readonly where: readonly string[]
  readonly values: readonly SqlValue[]
  readonly fields: readonly GroupField[]
}

/** Undefined when nothing can fit. */
export function sourceOf(fields: readonly GroupField[], filters: SummaryFilters): Source | undefined {
  const conditions = fieldConditions(filters, 'd')
  if (conditions === undefined) return undefined
  const where = [
    ...conditions.texts,
    ...(filters.failed === undefined ? [] : [`d.failed = ${filters.failed ? 1 : 0}`]),
  ]
  const asked = [...fields, ...GROUP_FIELDS.filter((field) => filters[field] !== undefined)]
  const scope = where.length > 0 ? COMBINATIONS : scopeFor(fields)
  const isPersonal = asked.some((field) => PERSONAL.includes(field))
  return {
    scope: scope === COMBINATIONS && !isPersonal ? COMMON : scope,
    where,
    values: conditions.values,
    fields,
  }
}

function scopeFor([field, ...more]: readonly GroupField[]): number {
  if (field === undefined) return TOTALS
  return more.length === 0 && PERSONAL.includes(field) ? scopeOf(field) : COMBINATIONS
}

const isCombined = ({ scope }: Source) => scope === COMBINATIONS || scope === COMMON

// Control characters that no value is likely to have; PostgreSQL's texts cannot hold the character 0.
const BETWEEN = '\u001f'
const MISSING = '\u001e'

/** Tells groups apart: the number of a value, or the values of all fields together. */
function nameIn(source: Source): string {
  if (!isCombined(source)) return 'r.member'
  const texts = source.fields.map((field) => `COALESCE(CAST(d.${COLUMNS[field]} AS TEXT), '${MISSING}')`)
  return texts.join(` || '${BETWEEN}' || `)
}

function fromIn(source: Source): string {
  const table = isCombined(source) ? 'rollups r JOIN dimensions d ON d.id = r.member' : 'rollups r'
  const conditions = ['r.width = ? AND r.scope = ? AND r.bucket >= ? AND r.bucket < ?', ...source.where]
  return `FROM ${table} WHERE ${conditions.join(' AND ')}`
}

const valuesIn = ({ scope, values }: Source, { widthMs, from, to }: Piece) => [
  widthMs,
  scope,
  from,
  to,
  ...values,
]

export type Name = string | number

/** That there cannot be more groups than the limit, as the values that occurred tell. */
export async function areFew(
  sql: Sql,
  { fields }: Source,
  { range, limit }: { readonly range: TimeRange; readonly limit: number },
): Promise<boolean> {
  let groups = 1
  for (const field of fields) {
    const values = await sql.all(
      'SELECT id FROM field_values WHERE field = ? AND last_day >= ? AND first_day < ? LIMIT ?',
      [fieldNumber(field), Math.floor(range.from / DAY_MS), Math.ceil(range.to / DAY_MS), limit],
    )
    // Some requests may have none.
    groups *= values.length + 1
  }
  return groups <= limit
}

/** The names of the groups with the most requests. */
export async function readNames(
  sql: Sql,
  source: Source,
  { parts, limit }: { readonly parts: readonly Piece[]; readonly limit: number },
): Promise<readonly Name[]> {
  if (parts.length === 0) return []
  const all = parts.map(() => `SELECT ${nameIn(source)} AS name, r.requests AS requests ${fromIn(source)}`)
  const rows = await sql.all(
    `SELECT name, sum(requests) AS requests FROM (${all.join(' UNION ALL ')}) AS parts
     GROUP BY name ORDER BY requests DESC, name LIMIT ?`,
    [...parts.flatMap((part) => valuesIn(source, part)), limit],
  )
  return rows.map(nameOf)
}

/** That of groups which are not shown, and of all requests where there is no field to group by. */
const NO_NAME = ''

export const nameOf = (row: Row): Name => (typeof row.name === 'number' ? row.name : textOf(row, 'name'))

/**
 * One row for each bucket and group, histograms appended to each other: see `histogram.ts`. Without a field to group by
 * there is a row for each roll-up's bucket: they are read in their order, and nothing is sorted.
 */
export function readRows(
  sql: Sql,
  source: Source,
  {
    piece,
    bucketMs,
    shown,
  }: { readonly piece: Piece; readonly bucketMs: number; readonly shown: readonly Name[] | undefined },
): Promise<readonly Row[]> {
  const isGrouped = source.fields.length > 0
  const step = isGrouped ? `r.bucket / ${bucketMs} * ${bucketMs}` : 'r.bucket'
  const every = nameIn(source)
  // The rest have no name.
  const name =
    shown === undefined ? every : `CASE WHEN ${every} IN (${placeholders(shown)}) THEN ${every} END`
  return sql.all(
    `SELECT ${step} AS step, ${isGrouped ? name : "''"} AS name,
      ${SUMS.map((sum) => `sum(r.${sum}) AS ${sum}`).join(', ')},
      max(r.duration_max) AS duration_max, max(r.first_token_max) AS first_token_max,
      string_agg(r.durations, '') AS durations, string_agg(r.first_tokens, '') AS first_tokens
    ${fromIn(source)} GROUP BY 1${isGrouped ? ', 2' : ''}`,
    [...(isGrouped && shown !== undefined ? shown : []), ...valuesIn(source, piece)],
  )
}

/** What the names stand for; nothing for the rest. */
export async function groupsOf(
  sql: Sql,
  source: Source,
  names: readonly Name[],
): Promise<ReadonlyMap<Name, Group>> {
  const { fields } = source
  const [field] = fields
  if (field === undefined) return new Map([[NO_NAME, {}]])
  const named = names.filter((name) => name !== NO_NAME)
  if (named.length === 0) return new Map()
  if (isCombined(source)) return new Map(named.map((name) => [name, groupIn(String(name), fields)]))
  const rows = await sql.all(`SELECT id, value FROM field_values WHERE id IN (${placeholders(named)})`, named)
  const values = new Map(rows.map((row) => [numberOf(row, 'id'), textOf(row, 'value')]))
  return new Map(
    named.map((name) => {
      const value = values.get(Number(name))
      return [name, value === undefined ? {} : { [field]: value }]
    }),
  )
}

function groupIn(name: string, fields: readonly GroupField[]): Group {
  const values = name.split(BETWEEN)
  return Object.fromEntries(
    fields.map((field, index) => [field, values[index]]).filter(([, value]) => value !== MISSING),
  )
}
