/**
 * Lets go of what is too old or too much, a little at a time: between two steps the worker takes what is waiting.
 */
import { type Database, numberOf, placeholders } from './database.ts'
import { DAY_MS } from './dimensions.ts'
import { METRIC_TIERS } from './metric-history.ts'
import { countRequests, deleteOldest } from './requests.ts'
import { LONGEST_MS, ROLLUP_TABLES, ROLLUP_TIERS } from './rollups.ts'
import type { Retention } from './types.ts'

const ROWS_AT_A_TIME = 2000
const SERIES_AT_A_TIME = 50

/** Free space is for what comes next; only when it is more than this share of the file is it given back. */
const MAX_FREE_SHARE = 0.25

export interface RetentionRun {
  readonly database: Database
  readonly retention: Retention
  readonly now: number
  /** Called between two steps; false ends the run. */
  readonly goOn: () => Promise<boolean>
}

export async function retain(run: RetentionRun): Promise<void> {
  const { database, retention, now } = run
  await deleteRequests(run, now - retention.ageMs, Number.POSITIVE_INFINITY)
  for (const table of ROLLUP_TABLES) {
    for (const { widthMs, keptMs } of ROLLUP_TIERS) {
      await deleteRollups(run, { table, widthMs, before: now - keptMs })
    }
  }
  await deleteMetrics(run)
  const lastDay = Math.floor((now - LONGEST_MS) / DAY_MS)
  await database.transaction(async (sql) => {
    await sql.run('DELETE FROM dimensions WHERE last_day < ?', [lastDay])
    await sql.run('DELETE FROM metric_series WHERE last_day < ?', [lastDay])
  }, 'retention')
  if (database.kind === 'sqlite' && retention.bytes > 0) await deleteBySize(run)
  await giveBack(run, ({ total, free }) => free > total * MAX_FREE_SHARE)
}

/** False when there was nothing (more), or the run has to end. */
async function deleteRequests(
  { database, goOn }: RetentionRun,
  before: number,
  atMost: number,
): Promise<boolean> {
  let left = atMost
  while (left > 0) {
    const wanted = Math.min(ROWS_AT_A_TIME, left)
    const deleted = await database.transaction((sql) => deleteOldest(sql, before, wanted), 'retention')
    left -= deleted
    if (!(await goOn()) || deleted < wanted) return false
  }
  return true
}

async function deleteRollups(
  { database, goOn }: RetentionRun,
  { table, widthMs, before }: { readonly table: string; readonly widthMs: number; readonly before: number },
): Promise<void> {
  let more = true
  while (more) {
    const [last] = await database.all(
      `SELECT bucket FROM ${table} WHERE width = ? AND bucket < ? ORDER BY bucket LIMIT 1 OFFSET ?`,
      [widthMs, before - widthMs, ROWS_AT_A_TIME],
    )
    const upTo = last === undefined ? before - widthMs : numberOf(last, 'bucket') + 1
    await database.transaction(
      (sql) => sql.run(`DELETE FROM ${table} WHERE width = ? AND bucket < ?`, [widthMs, upTo]),
      'retention',
    )
    more = last !== undefined && (await goOn())
  }
}

async function deleteMetrics({ database, now, goOn }: RetentionRun): Promise<void> {
  let after = -1
  let more = true
  while (more) {
    const rows = await database.all('SELECT id FROM metric_series WHERE id > ? ORDER BY id LIMIT ?', [
      after,
      SERIES_AT_A_TIME,
    ])
    const ids = rows.map((row) => numberOf(row, 'id'))
    after = ids.at(-1) ?? after
    if (ids.length > 0) {
      await database.transaction(async (sql) => {
        for (const { widthMs, keptMs } of METRIC_TIERS) {
          await sql.run(
            `DELETE FROM metric_points WHERE series IN (${placeholders(ids)}) AND width = ? AND bucket < ?`,
            [...ids, widthMs, now - keptMs - widthMs],
          )
        }
      }, 'retention')
    }
    more = ids.length === SERIES_AT_A_TIME && (await goOn())
  }
}

async function deleteBySize(run: RetentionRun): Promise<void> {
  const { database, retention } = run
  const tooMuch = ({ total }: { readonly total: number }) => total > retention.bytes
  for (;;) {
    await giveBack(run, tooMuch)
    if (!tooMuch(await database.bytes())) return
    const { requests } = await countRequests(database)
    if (!(await deleteRequests(run, Number.POSITIVE_INFINITY, Math.ceil(requests / 10))) || requests === 0) {
      await giveBack(run, tooMuch)
      return
    }
  }
}

async function giveBack(
  { database, goOn }: RetentionRun,
  wanted: (bytes: { readonly total: number; readonly free: number }) => boolean,
): Promise<void> {
  for (;;) {
    const before = await database.bytes()
    if (before.free === 0 || !wanted(before)) return
    await database.shrink()
    const after = await database.bytes()
    if (after.total === before.total || !(await goOn())) return
  }
}
