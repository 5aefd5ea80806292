/**
 * What budgets have spent, by the windows in which they did.
 *
 * A window's rows are those that begin in it: when a budget's window has become a longer one, what it had spent in the
 * shorter ones counts.
 */
import type { SpendingReport, Spent, SpentQuery } from '../core/spending.ts'
import { type Database, numberOf, placeholders, type Sql, textOf } from './database.ts'

/** So many keys of a budget at the start; others are asked for when they come. */
const MAX_HOLDERS = 10_000
/** Always as many, so that there is one statement. */
const HOLDERS_AT_A_TIME = 50

export async function writeSpending(
  database: Database,
  { writer, number, spendings }: SpendingReport,
  now: number,
): Promise<void> {
  // Always in the same order: two gateways are not to wait for each other.
  const rows = spendings
    .map(
      ({ budget, unit, key, windowStart, windowEnd, amount }) =>
        [budget, unit, key, windowStart, windowEnd, amount] as const,
    )
    .sort((a, b) => (a.slice(0, 4).join('\n') < b.slice(0, 4).join('\n') ? -1 : 1))
  await database.transaction(async (sql) => {
    const isNew = await sql.run(
      `INSERT INTO budget_writers AS t (writer, report, written_at) VALUES (?, ?, ?)
       ON CONFLICT (writer) DO UPDATE SET report = excluded.report, written_at = excluded.written_at
       WHERE t.report < excluded.report`,
      [writer, number, now],
    )
    if (isNew === 0) return
    await sql.insert(
      {
        table: 'budget_spending',
        columns: ['budget', 'unit', 'holder', 'window_start', 'window_end', 'amount'],
        conflict: `(budget, unit, holder, window_start) DO UPDATE SET
          amount = t.amount + excluded.amount,
          window_end = CASE WHEN t.window_end > excluded.window_end THEN t.window_end ELSE excluded.window_end END`,
      },
      rows,
    )
  })
}

export async function readSpending(
  database: Database,
  queries: readonly SpentQuery[],
): Promise<readonly Spent[]> {
  const found: Spent[] = []
  for (const query of queries)
    found.push(
      ...(await (query.keys === undefined
        ? readAll(database, query)
        : readSome(database, query, query.keys))),
    )
  return found
}

const SUMS = `SELECT holder, sum(amount) AS amount FROM budget_spending
  WHERE budget = ? AND unit = ? AND window_start >= ?`

async function readAll(sql: Sql, { budget, unit, since }: SpentQuery): Promise<readonly Spent[]> {
  const rows = await sql.all(`${SUMS} GROUP BY holder ORDER BY amount DESC LIMIT ?`, [
    budget,
    unit,
    since,
    MAX_HOLDERS,
  ])
  return rows.map((row) => ({ budget, unit, key: textOf(row, 'holder'), amount: numberOf(row, 'amount') }))
}

async function readSome(
  sql: Sql,
  { budget, unit, since }: SpentQuery,
  keys: readonly string[],
): Promise<readonly Spent[]> {
  const found: Spent[] = []
  for (let at = 0; at < keys.length; at += HOLDERS_AT_A_TIME) {
    const some = Array.from({ length: HOLDERS_AT_A_TIME }, (_, index) => keys[at + index] ?? keys[at] ?? '')
    const rows = await sql.all(`${SUMS} AND holder IN (${placeholders(some)}) GROUP BY holder`, [
      budget,
      unit,
      since,
      ...some,
    ])
    for (const row of rows)
      found.push({ budget, unit, key: textOf(row, 'holder'), amount: numberOf(row, 'amount') })
  }
  return found
}

/** A month and a day: a budget whose window becomes a month finds what it has spent in it. */
const KEPT_MS = 32 * 86_400_000

export async function deleteSpending(database: Database, now: number): Promise<void> {
  await database.transaction(async (sql) => {
    await sql.run('DELETE FROM budget_spending WHERE window_end < ?', [now - KEPT_MS])
    await sql.run('DELETE FROM budget_writers WHERE written_at < ?', [now - KEPT_MS])
  }, 'retention')
}
