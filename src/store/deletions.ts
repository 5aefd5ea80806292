/** Deletes what nobody needs, a little at a time: between two steps the worker takes what is waiting. */
import { type Database, numberOf, placeholders } from './database.ts'
import { deleteOldest } from './requests.ts'
import { SCOPES } from './rollups.ts'
import type { Retention } from './types.ts'

const ROWS_AT_A_TIME = 2000
const SERIES_AT_A_TIME = 50

export interface RetentionRun {
  readonly database: Database
  readonly retention: Retention
  readonly now: number
  /** Called between two steps; false ends the run. */
  readonly goOn: () => Promise<boolean>
}

/** False when there was nothing (more), or the run has to end. */
export async function deleteRequests(
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

/** Those that begin before it. */
export async function deleteRollups(
  { database, goOn }: RetentionRun,
  widthMs: number,
  before: number,
): Promise<void> {
  for (const scope of SCOPES) {
    let more = true
    while (more) {
      const [last] = await database.all(
        'SELECT bucket FROM rollups WHERE width = ? AND scope = ? AND bucket < ? ORDER BY bucket LIMIT 1 OFFSET ?',
        [widthMs, scope, before, ROWS_AT_A_TIME],
      )
      const upTo = last === undefined ? before : numberOf(last, 'bucket') + 1
      await database.transaction(
        (sql) =>
          sql.run('DELETE FROM rollups WHERE width = ? AND scope = ? AND bucket < ?', [widthMs, scope, upTo]),
        'retention',
      )
      more = last !== undefined && (await goOn())
    }
  }
}

/** Those that begin before it. */
export async function deleteMetrics(
  { database, goOn }: RetentionRun,
  widthMs: number,
  before: number,
): Promise<void> {
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
      await database.transaction(
        (sql) =>
          sql.run(
            `DELETE FROM metric_points WHERE series IN (${placeholders(ids)}) AND width = ? AND bucket < ?`,
            [...ids, widthMs, before],
          ),
        'retention',
      )
    }
    more = ids.length === SERIES_AT_A_TIME && (await goOn())
  }
}

export async function giveBack(
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
