/**
 * Keeps a file below its size. Half of that is for requests: sums and metrics that take more lose their finest parts
 * first, the oldest of those before the rest, and only then do requests go.
 */
import { numberOf, type Sql } from './database.ts'
import { deleteMetrics, deleteRequests, deleteRollups, giveBack, type RetentionRun } from './deletions.ts'
import { METRIC_TIERS } from './metric-history.ts'
import { countRequests } from './requests.ts'
import { HOUR_MS, ROLLUP_TIERS, TOTALS } from './rollups.ts'

/** All that is not a request. */
const SUMS = ['rollups', 'dimensions', 'field_values', 'metric_points', 'metric_series']
const SHARE_OF_SUMS = 0.5

/** What is kept of a tier is halved until it is shorter than this, and then all of it goes. */
const SHORTEST_MS = HOUR_MS

interface Tier {
  readonly table: 'rollups' | 'metric_points'
  readonly widthMs: number
}

const TIERS: readonly Tier[] = [
  ...ROLLUP_TIERS.map(({ widthMs }): Tier => ({ table: 'rollups', widthMs })),
  ...METRIC_TIERS.map(({ widthMs }): Tier => ({ table: 'metric_points', widthMs })),
].sort((one, other) => one.widthMs - other.widthMs)

/** False when it cannot be made small enough. */
export async function fitInto(run: RetentionRun): Promise<boolean> {
  const { database, retention } = run
  const tooMuch = ({ total }: { readonly total: number }) => total > retention.bytes
  await giveBack(run, tooMuch)
  if (!tooMuch(await database.bytes())) return true
  await shortenSums(run, retention.bytes * SHARE_OF_SUMS)
  for (;;) {
    await giveBack(run, tooMuch)
    if (!tooMuch(await database.bytes())) return true
    const { requests } = await countRequests(database)
    const canHelp = requests > 0 && (await database.bytesOf(SUMS)) < retention.bytes
    if (!canHelp) return false
    const all = await deleteRequests(run, Number.POSITIVE_INFINITY, Math.ceil(requests / 10))
    if (!all) {
      await giveBack(run, tooMuch)
      return !tooMuch(await database.bytes())
    }
  }
}

async function shortenSums(run: RetentionRun, bytes: number): Promise<void> {
  const { database, now, goOn } = run
  for (const tier of TIERS) {
    let hasMore = true
    while (hasMore && (await database.bytesOf(SUMS)) > bytes && (await goOn())) {
      const oldest = await oldestIn(database, tier)
      hasMore = oldest !== undefined
      if (oldest !== undefined)
        await shorten(run, tier, oldest < now - SHORTEST_MS ? (oldest + now) / 2 : now)
    }
  }
}

async function oldestIn(sql: Sql, { table, widthMs }: Tier): Promise<number | undefined> {
  const [row] = await (table === 'rollups'
    ? sql.all('SELECT min(bucket) AS bucket FROM rollups WHERE width = ? AND scope = ?', [widthMs, TOTALS])
    : sql.all('SELECT min(bucket) AS bucket FROM metric_points WHERE width = ?', [widthMs]))
  return row?.bucket === null ? undefined : numberOf(row, 'bucket')
}

/** To what begins from then on, the widest roll-up of that time included. */
async function shorten(run: RetentionRun, { table, widthMs }: Tier, from: number): Promise<void> {
  const next = TIERS.find((tier) => tier.table === table && tier.widthMs > widthMs)?.widthMs ?? widthMs
  const floor = Math.ceil(from / next) * next
  if (table === 'metric_points') return deleteMetrics(run, widthMs, floor)
  await run.database.transaction(async (sql) => {
    await sql.insert(
      {
        table: 'rollup_floors',
        columns: ['width', 'floor'],
        conflict: '(width) DO UPDATE SET floor = excluded.floor',
      },
      [[widthMs, floor]],
    )
  }, 'retention')
  await deleteRollups(run, widthMs, floor)
}
