/** Stores of every kind, for tests that are the same for all. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { batchOf, type Written } from './batch.fixture.ts'
import { openLocated } from './held-database.ts'
import { createKeeper, type Keeper, type KeeperOptions } from './keeper.ts'
import { locate } from './location.ts'
import { findPostgres, type Postgres, startPostgres } from './postgres.fixture.ts'
import { prepare } from './prepared.ts'
import { createIds } from './request-ids.ts'
import { createStore } from './store.ts'
import type { Retention, Store, StoreOptions } from './types.ts'
import type { Outcome } from './writer.ts'

const DAY_MS = 86_400_000
export const LONG: Retention = { ageMs: 400 * DAY_MS, bytes: 0 }

export interface Logged {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, string>>
}

export interface OpenStore {
  readonly store: Store
  readonly dropped: () => number
  readonly logs: readonly Logged[]
}

export async function openStore(url: string, options: Partial<StoreOptions> = {}): Promise<OpenStore> {
  let dropped = 0
  const logs: Logged[] = []
  const store = await createStore({
    url,
    maxConnections: 3,
    retention: LONG,
    onDropped(count) {
      dropped += count
    },
    log: (level, message, fields) => logs.push({ level, message, fields }),
    ...options,
  })
  return { store, dropped: () => dropped, logs }
}

export interface OpenKeeper {
  readonly keeper: Keeper
  readonly write: (written: Written) => Promise<Outcome>
  readonly logs: readonly Logged[]
}

/** Without a thread of its own, and with the caller's clock. */
export async function openKeeper(
  url: string,
  options: Partial<Pick<KeeperOptions, 'retention' | 'now' | 'passed' | 'openDatabase'>> = {},
): Promise<OpenKeeper> {
  const logs: Logged[] = []
  const { now = Date.now } = options
  const keeper = createKeeper({
    location: locate(url),
    maxConnections: 3,
    retention: LONG,
    async openDatabase(settings) {
      return { ...(await openLocated(settings)), now: () => Promise.resolve(now()) }
    },
    ...options,
    now,
    tell(message) {
      if (message.type === 'log') logs.push(message)
    },
  })
  await keeper.open()
  const newId = createIds()
  const write = (written: Written) => keeper.write(prepare([batchOf(written)], newId).prepared)
  return { keeper, write, logs }
}

export interface Place {
  /** Of a new store. */
  readonly newUrl: () => Promise<string>
  /** PostgreSQL's server. */
  readonly server: () => Postgres
}

/** Runs the tests for SQLite, and for PostgreSQL where there is one. */
export function describeStores(title: string, tests: (place: Place) => void): void {
  describe(`${title} (SQLite)`, () => {
    let folder: string
    let count = 0
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'store-'))
    })
    afterAll(() => rm(folder, { recursive: true }))
    tests({
      newUrl() {
        count += 1
        return Promise.resolve(join(folder, `${count}.db`))
      },
      server() {
        throw new Error('SQLite has no server')
      },
    })
  })
  describePostgres(title, tests)
}

export function describePostgres(title: string, tests: (place: Place) => void): void {
  const programs = findPostgres()
  const where = programs === undefined ? 'skipped: there is no PostgreSQL server here' : 'PostgreSQL'
  describe.skipIf(programs === undefined)(`${title} (${where})`, () => {
    let server: Postgres
    beforeAll(async () => {
      server = await startPostgres(programs ?? '')
    })
    afterAll(() => server.close())
    tests({ newUrl: () => server.newUrl(), server: () => server })
  })
}
