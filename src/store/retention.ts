/**
 * Lets go of what is too old or too much.
 */
import { deleteSpending } from './budgets.ts'
import { deleteMetrics, deleteRequests, deleteRollups, giveBack, type RetentionRun } from './deletions.ts'
import { DAY_MS } from './dimensions.ts'
import { METRIC_TIERS } from './metric-history.ts'
import { fitInto } from './retention-size.ts'
import { LONGEST_MS, ROLLUP_TIERS } from './rollups.ts'

/** Free space is for what comes next; only when it is more than this share of the file is it given back. */
const MAX_FREE_SHARE = 0.25

export interface Retained {
  /** Something went from the dictionaries. */
  readonly deleted: boolean
  /** The file is as small as it has to be. */
  readonly fits: boolean
}

export async function retain(run: RetentionRun): Promise<Retained> {
  const { database, retention, now } = run
  await deleteRequests(run, now - retention.ageMs, Number.POSITIVE_INFINITY)
  for (const { widthMs, keptMs } of ROLLUP_TIERS) await deleteRollups(run, widthMs, now - keptMs - widthMs)
  for (const { widthMs, keptMs } of METRIC_TIERS) await deleteMetrics(run, widthMs, now - keptMs - widthMs)
  await deleteSpending(database, now)
  const lastDay = Math.floor((now - LONGEST_MS) / DAY_MS)
  const deleted = await database.transaction(async (sql) => {
    let rows = 0
    for (const table of ['dimensions', 'field_values', 'metric_series']) {
      rows += await sql.run(`DELETE FROM ${table} WHERE last_day < ?`, [lastDay])
    }
    return rows > 0
  }, 'retention')
  const fits = database.kind !== 'sqlite' || retention.bytes === 0 || (await fitInto(run))
  await giveBack(run, ({ total, free }) => free > total * MAX_FREE_SHARE)
  return { deleted, fits }
}
