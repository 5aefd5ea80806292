/**
 * The requests themselves: small rows to search in, large ones (`request_facts`) to show what was found.
 *
 * A search looks at a bounded number of rows. Where that bound lies is found first, by counting along the index
 * that serves the search; then only the rows up to it are judged. Followers go by the order in which requests were kept,
 * which is not that of their completion: some are recorded late.
 */
import { type Insert, numberOf, type Row, type Sql, textOf } from './database.ts'
import { RUN } from './migrations.ts'
import { FIELD_COLUMNS, fieldValues, type RequestRecord, readFacts, userAgentName } from './record.ts'
import { conditionsOf, OF_TRACE } from './request-conditions.ts'
import { idFloor } from './request-ids.ts'
import type { Cursor, Follow, Followed, Found, Payload, Search, StoredRequest, TimeRange } from './types.ts'

/** Rows that one search judges: they lie side by side, or, where an index has led to them, each somewhere else. */
const MAX_JUDGED = 50_000
const MAX_JUDGED_APART = 5000

const MAX_LIMIT = 1000
const MAX_OF_TRACE = 200

/** Characters of facts that one search answers with. */
const MAX_ANSWER = 8 * 1024 * 1024

const INSERT_REQUESTS: Insert = {
  table: 'requests',
  columns: [
    'id',
    'sequence',
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

/** `ids` has the id of each record. */
export async function writeRequests(
  sql: Sql,
  records: readonly RequestRecord[],
  ids: readonly string[],
): Promise<void> {
  if (records.length === 0) return
  // Who has the row writes alone until the end of the transaction: no number is to be seen before a lower one.
  const [state] = await sql.all(
    'UPDATE request_state SET sequence = sequence + ?, requests = requests + ? RETURNING sequence',
    [records.length, records.length],
  )
  const first = numberOf(state, 'sequence') - records.length + 1
  await sql.insert(
    INSERT_REQUESTS,
    records.map((record, index) => [
      ids[index] ?? '',
      first + index,
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

export async function hasRequest(sql: Sql, id: string): Promise<boolean> {
  return (await sql.all('SELECT id FROM requests WHERE id = ?', [id])).length > 0
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

/** As many as make an answer of bearable length, but one at least. */
function atMost(rows: readonly Row[], limit: number): readonly Row[] {
  let characters = 0
  const end = rows.findIndex((row, index) => {
    characters += textOf(row, 'facts').length
    return index === limit || (index > 0 && characters > MAX_ANSWER)
  })
  return end < 0 ? rows : rows.slice(0, end)
}

/** A cursor may name a time alone. */
const place = ({ completedAt, id }: Cursor) =>
  id.startsWith(idFloor(completedAt)) ? id : idFloor(completedAt) + id

const boundsOf = ({ from, to }: Partial<TimeRange>) => [
  ...(from === undefined ? [] : [{ text: 'r.id >= ?', value: idFloor(from) }]),
  ...(to === undefined ? [] : [{ text: 'r.id < ?', value: idFloor(to) }]),
]

export async function searchRequests(sql: Sql, search: Search): Promise<Found> {
  const { range = {}, filters = {}, before } = search
  const conditions = conditionsOf(filters)
  if (conditions === undefined) return { requests: [], next: undefined }

  const limit = limitOf(search)
  const bounds = [
    ...boundsOf(range),
    ...(before === undefined ? [] : [{ text: 'r.id < ?', value: place(before) }]),
  ]
  const asked = [...conditions.indexed, ...bounds.map(({ text }) => text)]
  const values = [...conditions.indexedValues, ...bounds.map(({ value }) => value)]
  const isOfTrace = filters.traceId !== undefined
  const indexed = isOfTrace ? [`r.id IN (${idsOfTrace(asked, 'DESC')})`] : asked
  const indexedValues = isOfTrace ? [...values, MAX_JUDGED_APART] : values

  const last = await lastJudged(sql, {
    conditions: indexed,
    values: indexedValues,
    atMost: conditions.indexed.length > 0 ? MAX_JUDGED_APART : MAX_JUDGED,
  })
  const judged = last === undefined ? [] : ['r.id >= ?']
  // Which rows fit is found in the small table alone; the facts of those are read after.
  const rows = await sql.all(
    `SELECT ${SHOWN} FROM (
      SELECT r.* FROM requests r WHERE ${[...indexed, ...judged, ...conditions.judged, '1 = 1'].join(' AND ')}
      ORDER BY r.id DESC LIMIT ?
    ) AS r JOIN request_facts f ON f.id = r.id ORDER BY r.id DESC`,
    [...indexedValues, ...(last === undefined ? [] : [last.id]), ...conditions.judgedValues, limit + 1],
  )
  const shown = atMost(rows, limit)
  const requests = shown.map(toRequest)
  const lastShown = requests.at(-1)
  if (rows.length > shown.length && lastShown !== undefined) {
    return { requests, next: { completedAt: lastShown.completedAt, id: lastShown.id } }
  }
  return { requests, next: last }
}

const limitOf = ({ limit }: { readonly limit: number }) => Math.max(1, Math.min(MAX_LIMIT, Math.trunc(limit)))

export async function followRequests(sql: Sql, query: Follow): Promise<Followed> {
  const { range = {}, filters = {} } = query
  const [state] = await sql.all('SELECT sequence FROM request_state')
  const last = numberOf(state, 'sequence')
  const asked = await sequenceOf(sql, query.after, last)
  // A store that was begun anew counts from 1: all in it came after.
  const after = asked > last ? 0 : asked
  const conditions = conditionsOf(filters)
  if (after === last || conditions === undefined) return { requests: [], after: last, more: false }

  const limit = limitOf(query)
  const upTo = Math.min(last, after + MAX_JUDGED_APART)
  const bounds = boundsOf(range)
  const where = [
    'r.sequence > ? AND r.sequence <= ?',
    ...bounds.map(({ text }) => text),
    ...conditions.indexed,
    ...conditions.judged,
  ]
  const rows = await sql.all(
    `SELECT ${SHOWN}, r.sequence FROM (
      SELECT r.* FROM requests r WHERE ${where.join(' AND ')} ORDER BY r.sequence LIMIT ?
    ) AS r JOIN request_facts f ON f.id = r.id ORDER BY r.sequence`,
    [
      after,
      upTo,
      ...bounds.map(({ value }) => value),
      ...conditions.indexedValues,
      ...conditions.judgedValues,
      limit + 1,
    ],
  )
  const shown = atMost(rows, limit)
  const requests = shown.map(toRequest)
  if (rows.length > shown.length) return { requests, after: numberOf(shown.at(-1), 'sequence'), more: true }
  return { requests, after: upTo, more: upTo < last }
}

/** Of a request that is not kept any more: where the one completed before it stands. */
async function sequenceOf(sql: Sql, after: Follow['after'], last: number): Promise<number> {
  if (after === undefined) return last
  if (typeof after === 'number') return after
  const [row] = await sql.all('SELECT sequence FROM requests WHERE id <= ? ORDER BY id DESC LIMIT 1', [
    place(after),
  ])
  return numberOf(row, 'sequence')
}

/** The last row that one search may look at, unless it comes to the end before. */
async function lastJudged(
  sql: Sql,
  {
    conditions,
    values,
    atMost,
  }: {
    readonly conditions: readonly string[]
    readonly values: readonly (string | number)[]
    readonly atMost: number
  },
): Promise<Cursor | undefined> {
  const [row] = await sql.all(
    `SELECT r.id, r.completed_at FROM requests r WHERE ${[...conditions, '1 = 1'].join(' AND ')}
     ORDER BY r.id DESC LIMIT 1 OFFSET ?`,
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
  const ids = idsOfTrace([OF_TRACE], 'ASC')
  const rows = await sql.all(`SELECT ${SHOWN} FROM ${WITH_FACTS} WHERE r.id IN (${ids}) ORDER BY r.id`, [
    traceId,
    MAX_OF_TRACE,
  ])
  return rows.map(toRequest)
}

/**
 * The query for the first or the last ids of one trace: it looks for the trace in each run (see `RUN`). The last parameter is how
 * many at most; `conditions` may ask about the trace and the id.
 */
const idsOfTrace = (conditions: readonly string[], order: 'ASC' | 'DESC') => `
  WITH RECURSIVE runs(run) AS (
    SELECT max(sequence) / ${RUN} FROM requests
    UNION ALL
    SELECT run - 1 FROM runs WHERE run > (SELECT min(sequence) / ${RUN} FROM requests)
  )
  SELECT r.id FROM runs CROSS JOIN requests r
  WHERE (r.sequence / ${RUN}) = runs.run AND ${conditions.join(' AND ')}
  ORDER BY r.id ${order} LIMIT ?`

export async function countRequests(
  sql: Sql,
): Promise<{ readonly requests: number; readonly oldest: number | undefined }> {
  const [state] = await sql.all('SELECT requests FROM request_state')
  const [oldest] = await sql.all('SELECT completed_at FROM requests ORDER BY id LIMIT 1')
  return {
    requests: numberOf(state, 'requests'),
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
  const deleted = await sql.run('DELETE FROM requests WHERE id <= ?', [textOf(last, 'id')])
  await sql.run('UPDATE request_state SET requests = requests - ?', [deleted])
  return deleted
}
