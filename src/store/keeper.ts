/**
 * Keeps what became of requests in a database: writes it, answers questions, lets go of what is old, and lives with what
 * can go wrong.
 */
import { setImmediate } from 'node:timers/promises'
import type { SpendingBook } from '../core/spending.ts'
import { answerFrom } from './answers.ts'
import { readSpending, writeSpending } from './budgets.ts'
import type { Database } from './database.ts'
import type { Combinations } from './dimensions.ts'
import { emptyCaches, holdDatabase, type Open, reasonOf } from './held-database.ts'
import type { FromWorker, Question, WorkerSettings } from './messages.ts'
import { NewerSchemaError } from './migrations.ts'
import type { Prepared } from './prepared.ts'
import { countRequests, hasRequest, writeRequests } from './requests.ts'
import { retain } from './retention.ts'
import { isCorruption, isPassing, isPassingAtWork } from './sqlite.ts'
import { createSteadyClock } from './steady-clock.ts'
import type { StoreStatus } from './types.ts'
import type { Outcome } from './writer.ts'

export type KeptStatus = Omit<StoreStatus, 'kind' | 'url' | 'dropped'>

export interface Keeper extends SpendingBook {
  /** Rejects when trying again will not help. */
  readonly open: () => Promise<void>
  /** Never rejects. */
  readonly write: (prepared: Prepared) => Promise<Outcome>
  readonly answer: (question: Question) => Promise<unknown>
  readonly status: () => Promise<KeptStatus>
  /** Never rejects. */
  readonly retain: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface KeeperOptions extends WorkerSettings {
  /** Of problems and of what is worth a line in the log. */
  readonly tell: (message: Extract<FromWorker, { readonly type: 'log' | 'problem' }>) => void
  readonly now: () => number
  /** Milliseconds that only ever pass. */
  readonly passed?: () => number
  readonly openDatabase?: (settings: WorkerSettings) => Promise<Database>
}

export function createKeeper(options: KeeperOptions): Keeper {
  const { location, retention, tell, now } = options
  const steadyNow = createSteadyClock({ now, passed: options.passed ?? (() => performance.now()) })
  let problem: string | undefined
  let lastRefusal: string | undefined
  let closing = false
  let fits = true
  /** Its outcome is not known for certain. */
  let doubtful: Prepared | undefined
  let lastStatus = { requests: 0, bytes: 0, oldest: undefined as number | undefined, schemaVersion: 0 }

  const log = (level: 'info' | 'warn', message: string, fields: Readonly<Record<string, string>>) =>
    tell({ type: 'log', level, message, fields })

  function troubled(error: unknown): void {
    const before = problem
    problem = reasonOf(error)
    if (before === undefined) {
      const message =
        'The request store takes nothing at the moment: requests wait while there is room for them'
      log('warn', message, { problem })
    }
    if (before !== problem) tell({ type: 'problem', problem })
  }

  /** Each reason once: what is to blame is found by trying again and again. */
  function refused(reason: string): void {
    if (lastRefusal === reason) return
    lastRefusal = reason
    log('warn', 'The request store could not keep some of what was to be written', { problem: reason })
  }

  function works(): void {
    if (problem === undefined) return
    problem = undefined
    log('info', 'The request store works again', {})
    tell({ type: 'problem', problem })
  }

  const held = holdDatabase({
    settings: options,
    now,
    warn: (message, fields) => log('warn', message, fields),
    onOpened: works,
    openDatabase: options.openDatabase,
  })

  async function writeOnce({ database, caches }: Open, prepared: Prepared): Promise<void> {
    const { records, ids, samples } = prepared
    const { dimensions, values, rollups, metrics } = caches
    const kept = await database.transaction(async (sql) => {
      // The connection may have been lost when all was done but the answer.
      if (doubtful === prepared && ids[0] !== undefined && (await hasRequest(sql, ids[0]))) return []
      const combined = await dimensions.write(sql, records)
      const byField = await values.write(sql, records)
      await writeRequests(sql, records, ids)
      const rolled = records.map((record, index) => ({
        record,
        combinations: combined.combinations[index] ?? NO_COMBINATIONS,
        values: byField.numbers[index] ?? new Map(),
      }))
      const sums = await rollups.write(sql, rolled, now())
      const history = await metrics.write(sql, samples, now())
      return [combined.kept, byField.kept, sums.kept, history.kept]
    })
    for (const done of kept) done()
  }

  async function tryToWrite(prepared: Prepared): Promise<Outcome> {
    try {
      await held.ready()
    } catch (error) {
      troubled(error)
      return 'later'
    }
    try {
      await held.using((open) => writeOnce(open, prepared))
      works()
      return 'kept'
    } catch (error) {
      if (isCorruption(error)) throw error
      if (!mayPass(error)) {
        refused(reasonOf(error))
        return 'refused'
      }
      doubtful = prepared
      troubled(error)
      return 'later'
    }
  }

  return {
    async open() {
      if (held.isOpen()) return
      try {
        await held.ready()
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
    async write(prepared) {
      for (const mayTryAgain of [true, false]) {
        try {
          return await tryToWrite(prepared)
        } catch (error) {
          if (!mayTryAgain) troubled(error)
        }
      }
      return 'later'
    },
    answer: (question) => held.using(({ database }) => answerFrom(database, question, now())),
    spend: (report) => held.using(({ database }) => writeSpending(database, report, now())),
    spent: (queries) => held.using(({ database }) => readSpending(database, queries)),
    async status() {
      try {
        lastStatus = await held.using(async ({ database, schemaVersion }) => ({
          ...(await countRequests(database)),
          bytes: (await database.bytes()).total,
          schemaVersion,
        }))
      } catch (error) {
        if (!held.isOpen()) troubled(error)
      }
      return { ...lastStatus, problem }
    },
    async retain() {
      if (closing) return
      const steady = steadyNow()
      try {
        await held.using(async (open) => {
          const { database } = open
          const isPostgres = database.kind === 'postgres'
          const did = await retain({
            database,
            retention,
            // Several gateways share it: the latest clock of all is not to decide.
            now: isPostgres ? Math.min(steady, await database.now()) : steady,
            async goOn() {
              await setImmediate()
              return !closing
            },
          })
          if (did.deleted) Object.assign(open.caches, emptyCaches())
          if (!did.fits && fits) {
            const message =
              'The request store cannot be made as small as config.database.retention.size demands'
            log('warn', message, { bytes: String((await database.bytes()).total) })
          }
          fits = did.fits
        })
      } catch (error) {
        const message = 'The request store could not let go of old requests: it tries again in a minute'
        if (problem === undefined && !closing) log('warn', message, { problem: reasonOf(error) })
      }
    },
    async close() {
      closing = true
      await held.close()
    },
  }
}

const NO_COMBINATIONS: Combinations = { all: 0, common: 0 }

/** Of what a driver throws: a value that does not fit, a statement that is wrong, an argument of the wrong kind. */
const FAULTS = /^(2[123]...|42...|54...|ERR_.*)$/

/** It may succeed later: what was to be written is not to blame. */
function mayPass(error: unknown): boolean {
  const passes = isPassingAtWork(error)
  if (passes !== undefined) return passes
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return false
  return !('code' in error && FAULTS.test(String(error.code)))
}
