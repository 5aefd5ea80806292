/**
 * A database that is opened by its first use, and again whenever that is needed: a damaged file is set aside and begun
 * anew, and one that was deleted or replaced is opened anew.
 */
import { existsSync, renameSync } from 'node:fs'
import type { Database } from './database.ts'
import { createDimensions } from './dimensions.ts'
import { createValues } from './field-values.ts'
import { type Location, MEMORY } from './location.ts'
import type { WorkerSettings } from './messages.ts'
import { createMetrics } from './metric-history.ts'
import { migrate } from './migrations.ts'
import { createRollups } from './rollups.ts'
import { identityOf, isCorruption, openSqlite } from './sqlite.ts'

export interface Open {
  readonly database: Database
  readonly schemaVersion: number
  readonly caches: ReturnType<typeof emptyCaches>
}

/** Of what is known to be in the tables. */
export const emptyCaches = () => ({
  dimensions: createDimensions(),
  values: createValues(),
  rollups: createRollups(),
  metrics: createMetrics(),
})

export interface HeldDatabase {
  readonly isOpen: () => boolean
  readonly ready: () => Promise<Open>
  /** Runs the work; when it shows that the file is damaged, the next work finds a new one. */
  readonly using: <T>(work: (open: Open) => Promise<T>) => Promise<T>
  readonly close: () => Promise<void>
}

export interface HeldDatabaseOptions {
  readonly settings: WorkerSettings
  readonly now: () => number
  readonly warn: (message: string, fields: Readonly<Record<string, string>>) => void
  readonly onOpened: () => void
  readonly openDatabase?: ((settings: WorkerSettings) => Promise<Database>) | undefined
}

export function holdDatabase(options: HeldDatabaseOptions): HeldDatabase {
  const { settings, now, warn, onOpened, openDatabase = openLocated } = options
  const { location } = settings
  const file = fileOf(location)
  let opened: Open | undefined
  let opening: Promise<Open> | undefined

  async function openOnce(): Promise<Open> {
    const database = await openDatabase(settings)
    try {
      const schemaVersion = await migrate(database, placeOf(location))
      return { database, schemaVersion, caches: emptyCaches() }
    } catch (error) {
      await database.close().catch(() => undefined)
      throw error
    }
  }

  async function openOrBeginAnew(): Promise<Open> {
    const found = file && identityOf(file)
    try {
      return await openOnce()
    } catch (error) {
      if (!isCorruption(error)) throw error
      // Another process may have set it aside meanwhile.
      if (file !== undefined && identityOf(file) === found) setAside(file, error)
      return openOnce()
    }
  }

  async function ready(): Promise<Open> {
    if (opened !== undefined && !opened.database.isInPlace()) {
      warn("The request store's file was deleted or replaced: it is opened anew", { file: file ?? '' })
      await letGo(opened)
    }
    if (opened !== undefined) return opened
    opening ??= openOrBeginAnew().finally(() => {
      opening = undefined
    })
    opened = await opening
    onOpened()
    return opened
  }

  async function letGo(open: Open): Promise<void> {
    if (opened === open) opened = undefined
    await open.database.close().catch(() => undefined)
  }

  function setAside(damaged: string, error: unknown): void {
    // Without colons, which Windows does not allow in names.
    const name = `${damaged}.corrupt-${new Date(now()).toISOString().replaceAll(':', '-')}`
    for (const suffix of ['', '-wal', '-shm']) {
      if (existsSync(damaged + suffix)) renameSync(damaged + suffix, name + suffix)
    }
    warn('The request store was damaged: it was set aside, and a new one begun', {
      file: damaged,
      setAside: name,
      problem: reasonOf(error),
    })
  }

  /** Runs the work; when it shows that the file is damaged, the next work finds a new one. */
  async function using<T>(work: (open: Open) => Promise<T>): Promise<T> {
    const open = await ready()
    try {
      return await work(open)
    } catch (error) {
      if (isCorruption(error) && opened === open) {
        const isOurs = open.database.isInPlace()
        await letGo(open)
        if (isOurs && file !== undefined) setAside(file, error)
      }
      throw error
    }
  }

  return {
    isOpen: () => opened?.database.isInPlace() === true,
    ready,
    using,
    async close() {
      await opening?.catch(() => undefined)
      if (opened !== undefined) await letGo(opened)
    },
  }
}

/** Undefined where there is none. */
const fileOf = (location: Location) =>
  location.kind === 'sqlite' && location.file !== MEMORY ? location.file : undefined

export async function openLocated({ location, maxConnections }: WorkerSettings): Promise<Database> {
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
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
