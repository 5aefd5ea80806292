/**
 * The requests themselves: small rows to search in, large ones (`request_facts`) to show what was found.
 *
 * A search looks at a bounded number of rows. Where that bound lies is found first, by counting along the index
 * that serves the search; then only the rows up to it are judged.
 */
import { type Insert, numberOf, type Row, type Sql, textOf } from './database.ts'
import { FIELD_COLUMNS, fieldValues, type RequestRecord, readFacts, userAgentName } from './record.ts'
import { conditionsOf } from './request-conditions.ts'
import { idFloor } from './request-ids.ts'
import type { Cursor, Found, Payload, Search, StoredRequest } from './types.ts'

/** Rows that one search judges: they lie side by side, or, where an index has led to them, each somewhere else. */
const MAX_JUDGED = 50_000
const MAX_JUDGED_APART = 5000

const MAX_LIMIT = 1000
const MAX_OF_TRACE = 200

const INSERT_REQUESTS: Insert = {
  table: 'requests',
  columns: [
    'id',
    'completed_at',
    'trace_id',
    'failed',
    'has_payload',
    'duration_ms',
    ...FIELD_COLUMNS,
    'search_text',
  ],
}

const INSERT_FACTS: Insert = {
  table: 'request_facts',
  columns: ['id', 'facts', 'request_payload', 'response_payload'],
}

// PostgreSQL's texts cannot hold the character 0, which JSON escapes.
const storable = (text: string | undefined) => text?.replaceAll('\0', '\uFFFD') ?? null

export async function writeRequests(
  sql: Sql,
  records: readonly RequestRecord[],
  newId: (completedAt: number) => string,
): Promise<void> {
  const ids = records.map(({ completedAt }) => newId(completedAt))
  await sql.insert(
    INSERT_REQUESTS,
    records.map((record, index) => [
      ids[index] ?? '',
      record.completedAt,
      record.exchange.trace.traceId,
      record.failed ? 1 : 0,
      record.payload === undefined ? 0 : 1,
      record.durationMs,
      ...fieldValues(record.fields),
      record.searchText,
    ]),
  )
  await sql.insert(
    INSERT_FACTS,
    records.map(({ facts, payload }, index) => [
      ids[index] ?? '',
      facts,
      storable(payload?.request),
      storable(payload?.response),
    ]),
  )
}

const SHOWN = 'r.id, r.completed_at, r.operation, r.failed, r.has_payload, f.facts'
const WITH_FACTS = 'requests r JOIN request_facts f ON f.id = r.id'

function toRequest(row: Row): StoredRequest {
  const exchange = readFacts(textOf(row, 'facts'))
  return {
    id: textOf(row, 'id'),
    completedAt: numberOf(row, 'completed_at'),
    exchange,
    userAgentName: userAgentName(exchange.userAgent) || undefined,
    operation: textOf(row, 'operation'),
    failed: row.failed === 1,
    hasPayload: row.has_payload === 1,
  }
}

/** A cursor may name a time alone. */
const place = ({ completedAt, id }: Cursor) =>
  id.startsWith(idFloor(completedAt)) ? id : idFloor(completedAt) + id

export async function searchRequests(sql: Sql, search: Search): Promise<Found> {
  const { range = {}, filters = {}, before, after } = search
  const conditions = conditionsOf(filters)
  if (conditions === undefined) return { requests: [], next: undefined }

  const limit = Math.max(1, Math.min(MAX_LIMIT, Math.trunc(search.limit)))
  const oldestFirst = after !== undefined
  const order = oldestFirst ? 'ASC' : 'DESC'
  const bounds = [
    ...(range.from === undefined ? [] : [{ text: 'r.id >= ?', value: idFloor(range.from) }]),
    ...(range.to === undefined ? [] : [{ text: 'r.id < ?', value: idFloor(range.to) }]),
    ...(before === undefined ? [] : [{ text: 'r.id < ?', value: place(before) }]),
    ...(after === undefined ? [] : [{ text: 'r.id > ?', value: place(after) }]),
  ]
  const indexed = [...conditions.indexed, ...bounds.map(({ text }) => text)]
  const indexedValues = [...conditions.indexedValues, ...bounds.map(({ value }) => value)]

  const last = await lastJudged(sql, {
    conditions: indexed,
    values: indexedValues,
    order,
    atMost: conditions.indexed.length > 0 ? MAX_JUDGED_APART : MAX_JUDGED,
  })
  const judged = last === undefined ? [] : [oldestFirst ? 'r.id <= ?' : 'r.id >= ?']
  // Which rows fit is found in the small table alone; the facts of those are read after.
  const rows = await sql.all(
    `SELECT ${SHOWN} FROM (
      SELECT r.* FROM requests r WHERE ${[...indexed, ...judged, ...conditions.judged, '1 = 1'].join(' AND ')}
      ORDER BY r.id ${order} LIMIT ?
    ) AS r JOIN request_facts f ON f.id = r.id ORDER BY r.id ${order}`,
    [...indexedValues, ...(last === undefined ? [] : [last.id]), ...conditions.judgedValues, limit + 1],
  )
  const requests = rows.slice(0, limit).map(toRequest)
  const lastShown = requests.at(-1)
  if (rows.length > limit && lastShown !== undefined) {
    return { requests, next: { completedAt: lastShown.completedAt, id: lastShown.id } }
  }
  return { requests, next: last }
}

/** The last row that one search may look at, unless it comes to the end before. */
async function lastJudged(
  sql: Sql,
  {
    conditions,
    values,
    order,
    atMost,
  }: {
    readonly conditions: readonly string[]
    readonly values: readonly (string | number)[]
    readonly order: 'ASC' | 'DESC'
    readonly atMost: number
  },
): Promise<Cursor | undefined> {
  const [row] = await sql.all(
    `SELECT r.id, r.completed_at FROM requests r WHERE ${[...conditions, '1 = 1'].join(' AND ')}
     ORDER BY r.id ${order} LIMIT 1 OFFSET ?`,
    [...values, atMost - 1],
  )
  return row && { completedAt: numberOf(row, 'completed_at'), id: textOf(row, 'id') }
}

export async function getRequest(
  sql: Sql,
  id: string,
): Promise<{ readonly request: StoredRequest; readonly payload: Payload | undefined } | undefined> {
  const [row] = await sql.all(
    `SELECT ${SHOWN}, f.request_payload, f.response_payload FROM ${WITH_FACTS} WHERE r.id = ?`,
    [id],
  )
  if (row === undefined) return undefined
  const request = toRequest(row)
  return { request, payload: request.hasPayload ? payloadOf(row) : undefined }
}

const payloadOf = (row: Row): Payload => ({
  request: row.request_payload === null ? undefined : textOf(row, 'request_payload'),
  response: row.response_payload === null ? undefined : textOf(row, 'response_payload'),
})

export async function requestsOfTrace(sql: Sql, traceId: string): Promise<readonly StoredRequest[]> {
  const rows = await sql.all(
    `SELECT ${SHOWN} FROM ${WITH_FACTS} WHERE r.trace_id = ? ORDER BY r.id LIMIT ?`,
    [traceId, MAX_OF_TRACE],
  )
  return rows.map(toRequest)
}

export async function countRequests(
  sql: Sql,
): Promise<{ readonly requests: number; readonly oldest: number | undefined }> {
  const [count] = await sql.all('SELECT count(*) AS requests FROM requests')
  const [oldest] = await sql.all('SELECT completed_at FROM requests ORDER BY id LIMIT 1')
  return {
    requests: numberOf(count, 'requests'),
    oldest: oldest && numberOf(oldest, 'completed_at'),
  }
}

/** Deletes up to so many of the oldest requests, of those that completed before `before`; how many it were. */
export async function deleteOldest(sql: Sql, before: number, atMost: number): Promise<number> {
  const ids = await sql.all('SELECT id FROM requests WHERE id < ? ORDER BY id LIMIT ?', [
    idFloor(before),
    atMost,
  ])
  const last = ids.at(-1)
  if (last === undefined) return 0
  await sql.run('DELETE FROM request_facts WHERE id <= ?', [textOf(last, 'id')])
  return sql.run('DELETE FROM requests WHERE id <= ?', [textOf(last, 'id')])
}
