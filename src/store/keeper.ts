/**
 * Owns the database: opens it, writes batches, answers questions, and lives with what can go wrong.
 *
 * A damaged file is set aside and begun anew, whenever that shows. Everything else that fails costs the batch it
 * happens to; the next one tries again.
 */
import { existsSync, renameSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import type { Database } from './database.ts'
import { createDimensions } from './dimensions.ts'
import { MEMORY } from './location.ts'
import type { Batch, FromWorker, Question, WorkerSettings } from './messages.ts'
import { createMetrics, readHistory } from './metric-history.ts'
import { migrate, NewerSchemaError } from './migrations.ts'
import { readRecord } from './record.ts'
import { createIds } from './request-ids.ts'
import { countRequests, getRequest, requestsOfTrace, searchRequests, writeRequests } from './requests.ts'
import { retain } from './retention.ts'
import { writeRollups } from './rollups.ts'
import { isCorruption, isPassing, openSqlite } from './sqlite.ts'
import { readValues, summarize } from './summary.ts'
import type { MetricSample, StoreStatus } from './types.ts'

export type KeptStatus = Omit<StoreStatus, 'kind' | 'url' | 'dropped'>

export interface Keeper {
  /** Rejects when trying again will not help. */
  readonly open: () => Promise<void>
  /** How many records were lost. Never rejects. */
  readonly write: (batch: Batch) => Promise<number>
  readonly answer: (question: Question) => Promise<unknown>
  /** Never rejects. */
  readonly retain: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface KeeperOptions extends WorkerSettings {
  /** Of problems and of what is worth a line in the log. */
  readonly tell: (message: Extract<FromWorker, { readonly type: 'log' | 'problem' }>) => void
  readonly now: () => number
  readonly openDatabase?: (settings: WorkerSettings) => Promise<Database>
}

interface Open {
  readonly database: Database
  readonly schemaVersion: number
  readonly dimensions: ReturnType<typeof createDimensions>
  readonly metrics: ReturnType<typeof createMetrics>
}

export function createKeeper(options: KeeperOptions): Keeper {
  const { location, retention, tell, now, openDatabase = openLocated } = options
  const newId = createIds()
  let opened: Open | undefined
  let opening: Promise<Open> | undefined
  let problem: string | undefined
  let closing = false
  let lastStatus = { requests: 0, bytes: 0, oldest: undefined as number | undefined, schemaVersion: 0 }

  function troubled(error: unknown): void {
    const before = problem
    problem = reasonOf(error)
    if (before === undefined) {
      const message = 'The request store takes nothing at the moment: requests go unrecorded'
      tell({ type: 'log', level: 'warn', message, fields: { problem } })
    }
    if (before !== problem) tell({ type: 'problem', problem })
  }

  function works(): void {
    if (problem === undefined) return
    problem = undefined
    tell({ type: 'log', level: 'info', message: 'The request store works again', fields: {} })
    tell({ type: 'problem', problem })
  }

  async function openOnce(): Promise<Open> {
    const database = await openDatabase(options)
    try {
      const schemaVersion = await migrate(database, placeOf(location))
      return { database, schemaVersion, dimensions: createDimensions(), metrics: createMetrics() }
    } catch (error) {
      await database.close().catch(() => undefined)
      throw error
    }
  }

  async function openOrBeginAnew(): Promise<Open> {
    try {
      return await openOnce()
    } catch (error) {
      if (!isCorruption(error)) throw error
      setAside(error)
      return openOnce()
    }
  }

  async function ready(): Promise<Open> {
    if (opened !== undefined) return opened
    opening ??= openOrBeginAnew().finally(() => {
      opening = undefined
    })
    opened = await opening
    works()
    return opened
  }

  function setAside(error: unknown): void {
    if (location.kind !== 'sqlite' || location.file === MEMORY) return
    // Without colons, which Windows does not allow in names.
    const name = `${location.file}.corrupt-${new Date(now()).toISOString().replaceAll(':', '-')}`
    for (const suffix of ['', '-wal', '-shm']) {
      if (existsSync(location.file + suffix)) renameSync(location.file + suffix, name + suffix)
    }
    const message = 'The request store was damaged: it was set aside, and a new one begun'
    tell({
      type: 'log',
      level: 'warn',
      message,
      fields: { file: location.file, setAside: name, problem: reasonOf(error) },
    })
  }

  /** Runs the work; when it shows that the file is damaged, the next work finds a new one. */
  async function using<T>(work: (open: Open) => Promise<T>): Promise<T> {
    const open = await ready()
    try {
      return await work(open)
    } catch (error) {
      if (isCorruption(error) && opened === open) {
        opened = undefined
        await open.database.close().catch(() => undefined)
        setAside(error)
      }
      throw error
    }
  }

  async function writeOnce(batch: Batch): Promise<void> {
    const records = batch.records.map(readRecord)
    const samples = batch.samples.map((json) => JSON.parse(json) as MetricSample)
    await using(async ({ database, dimensions, metrics }) => {
      const kept = await database.transaction(async (sql) => {
        const combinations = await dimensions.write(sql, records)
        await writeRequests(sql, records, newId)
        await writeRollups(sql, records, combinations.ids, now())
        return [combinations.kept, (await metrics.write(sql, samples, now())).kept]
      })
      for (const done of kept) done()
    })
  }

  async function status(): Promise<KeptStatus> {
    try {
      lastStatus = await using(async ({ database, schemaVersion }) => ({
        ...(await countRequests(database)),
        bytes: (await database.bytes()).total,
        schemaVersion,
      }))
    } catch (error) {
      if (opened === undefined) troubled(error)
    }
    return { ...lastStatus, problem }
  }

  return {
    async open() {
      if (opened !== undefined) return
      try {
        await ready()
      } catch (error) {
        if (error instanceof NewerSchemaError) throw error
        if (location.kind === 'sqlite' && !isPassing(error)) {
          throw new Error(`The request store ${location.file} cannot be opened: ${reasonOf(error)}`, {
            cause: error,
          })
        }
        troubled(error)
      }
    },
    async write(batch) {
      for (const mayTryAgain of [true, false]) {
        try {
          await writeOnce(batch)
          works()
          return 0
        } catch (error) {
          if (mayTryAgain && isCorruption(error)) continue
          troubled(error)
        }
        break
      }
      return batch.records.length
    },
    answer({ method, query }) {
      switch (method) {
        case 'search':
          return using(({ database }) => searchRequests(database, query))
        case 'get':
          return using(({ database }) => getRequest(database, query))
        case 'trace':
          return using(({ database }) => requestsOfTrace(database, query))
        case 'summary':
          return using(({ database }) => summarize(database, query, now()))
        case 'values':
          return using(({ database }) => readValues(database, query))
        case 'history':
          return using(({ database }) => readHistory(database, query, now()))
        case 'status':
          return status()
        default:
          method satisfies never
          return Promise.reject(new Error('The request store does not know this question'))
      }
    },
    async retain() {
      if (closing) return
      try {
        await using(({ database }) =>
          retain({
            database,
            retention,
            now: now(),
            async goOn() {
              await setImmediate()
              return !closing
            },
          }),
        )
      } catch (error) {
        const message = 'The request store could not let go of old requests: it tries again in a minute'
        if (problem === undefined && !closing) {
          tell({ type: 'log', level: 'warn', message, fields: { problem: reasonOf(error) } })
        }
      }
    },
    async close() {
      closing = true
      await opening?.catch(() => undefined)
      const open = opened
      opened = undefined
      await open?.database.close().catch(() => undefined)
    },
  }
}

async function openLocated({ location, maxConnections }: WorkerSettings): Promise<Database> {
  if (location.kind === 'sqlite') return openSqlite(location.file)
  // Loaded only where it is used.
  const { openPostgres } = await import('./postgres.ts')
  return openPostgres(location.url, maxConnections)
}

const placeOf = (location: WorkerSettings['location']) =>
  location.kind === 'sqlite'
    ? location.file
    : `in ${new URL(location.url).pathname.slice(1)} on ${new URL(location.url).host}`

/** Of several addresses that were tried Node tells nothing but their errors. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
