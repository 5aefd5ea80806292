/** What can go wrong with a file, a disk, a thread and a process. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Database } from './database.ts'
import { finished, httpExchange, llmExchange } from './exchanges.fixture.ts'
import { openSqlite } from './sqlite.ts'
import { startStore } from './store.ts'
import { LONG, openKeeper, openStore } from './stores.fixture.ts'
import type { Summary } from './types.ts'

const now = Date.now()
let folder: string
let file: string
let count = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'))
})
afterAll(() => rm(folder, { recursive: true }))
beforeEach(() => {
  count += 1
  file = join(folder, `${count}`, 'deep', 'store.db')
})

const plain = (path = '/') => finished(httpExchange({ completedAt: now, path }))
const many = (length: number) =>
  Array.from({ length }, (_, index) =>
    finished(httpExchange({ completedAt: now - index * 1000 }), {
      payload: { request: 'x'.repeat(2000), response: undefined },
    }),
  )

/** All but the first page. */
function damage(name: string): void {
  // Another connection writes, so that the first looks at the file again.
  const other = new DatabaseSync(name)
  other.exec(
    'PRAGMA wal_checkpoint(TRUNCATE); UPDATE requests SET failed = 1 WHERE id = (SELECT min(id) FROM requests)',
  )
  other.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  other.close()
  const damaged = openSync(name, 'r+')
  const { size } = statSync(name)
  for (let at = 8192; at < size; at += 4096) writeSync(damaged, Buffer.alloc(4096, 0x5a), 0, 4096, at)
  closeSync(damaged)
}

describe('a store in a file', () => {
  test('makes its folder and its file for the owner alone', async () => {
    const { store } = await openStore(`sqlite://${file}`)
    store.record(plain())
    expect((await store.status()).requests).toBe(1)
    expect((await stat(join(file, '..'))).mode & 0o777).toBe(0o700)
    for (const name of [file, `${file}-wal`, `${file}-shm`])
      expect((await stat(name)).mode & 0o777).toBe(0o600)
    await store.close(10_000)
  })

  test('keeps what it has when it is opened again', async () => {
    const first = await openStore(file)
    first.store.record(plain())
    await first.store.close(10_000)
    const second = await openStore(`sqlite:${file}`)
    expect((await second.store.status()).requests).toBe(1)
    await second.store.close(10_000)
  })

  test.each([
    ['a file that cannot be opened', '/dev/null/store.db', 'cannot be opened'],
    ['a folder that cannot be made', '/proc/nowhere/deep/store.db', 'cannot be opened'],
    ['an unknown scheme', 'mysql://host/db', 'neither sqlite: nor postgres:'],
    ['a malformed URL', 'postgres://user:secret@host:port:1/db', 'malformed: postgres:…'],
    ['a PostgreSQL URL without slashes', 'postgres:db', 'malformed'],
    ['no file', 'sqlite:', 'names no file'],
  ])('refuses %s', async (_, url, message) => {
    await expect(openStore(url)).rejects.toThrow(message)
  })

  test.each([
    ['half a header', 'SQLite for'],
    ['zeros', '\0'.repeat(1000)],
    ['a header without a database', `SQLite format 3\0${'x'.repeat(10_000)}`],
  ])('begins anew where there is nothing but %s', async (_, text) => {
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(file, text)
    const { store, logs } = await openStore(file)
    store.record(plain())
    expect((await store.status()).requests).toBe(1)
    const names = await readdir(join(file, '..'))
    expect(names.some((name) => /^store\.db\.corrupt-\d{4}-\d\d-\d\dT/.test(name))).toBe(true)
    expect(logs).toMatchObject([{ level: 'warn', message: expect.stringContaining('set aside') }])
    await store.close(10_000)
  })

  test.each(['binds: [] # a configuration', 'x'])('refuses a file that is no database: %s', async (text) => {
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(file, text)
    await expect(openStore(file)).rejects.toThrow(`${file} cannot be opened: it is no SQLite database`)
    expect(await readFile(file, 'utf8')).toBe(text)
    expect(await readdir(join(file, '..'))).toEqual(['store.db'])
  })

  test.each([
    ['deleted', () => Promise.all(['', '-wal', '-shm'].map((suffix) => rm(file + suffix)))],
    ['moved away', () => rename(file, `${file}.old`)],
  ])('notices that its file was %s, and begins another', async (_, remove) => {
    const { keeper, write, logs } = await openKeeper(file)
    await write({ records: many(3) })
    await remove()
    expect(await write({ records: many(1) })).toBe('kept')
    expect(await keeper.status()).toMatchObject({ requests: 1, problem: undefined })
    expect(logs).toMatchObject([{ level: 'warn', message: expect.stringContaining('opened anew') }])
    await keeper.close()
  })

  test('leaves the file alone that another process has begun anew', async () => {
    const one = await openKeeper(file, { now: () => now })
    const other = await openKeeper(file, { now: () => now + 5000 })
    await one.write({ records: many(2000) })
    await other.write({ records: many(1) })
    damage(file)
    expect(await one.write({ records: many(10) })).toBe('kept')
    expect(await other.write({ records: many(1) })).toBe('kept')
    expect(await one.write({ records: many(10) })).toBe('kept')
    for (const { keeper } of [one, other]) {
      expect(await keeper.status()).toMatchObject({ requests: 21 })
      await keeper.close()
    }
    const names = await readdir(join(file, '..'))
    expect(names.filter((name) => name.endsWith('Z'))).toHaveLength(1)
  })

  test('keeps what it could not write while the file was locked', async () => {
    const { store, logs, dropped } = await openStore(file)
    const locker = new DatabaseSync(file)
    locker.exec('BEGIN IMMEDIATE')
    store.record(plain())
    store.sample({
      at: now,
      instance: 'one',
      increments: [{ name: 'x_total', labels: '', value: 5 }],
      levels: [],
    })
    expect((await store.status()).problem).toContain('locked')
    locker.exec('ROLLBACK')
    locker.close()
    await expect.poll(async () => (await store.status()).requests, { timeout: 10_000 }).toBe(1)
    const range = { from: now - 60_000, to: now + 60_000 }
    const [history] = await store.history({ range, stepMs: 60_000, metrics: { x_total: [] } })
    expect(history?.points.map(([, value]) => value)).toEqual([5])
    expect(dropped()).toBe(0)
    expect(logs.map(({ level }) => level)).toEqual(['warn', 'info'])
    await store.close(10_000)
  }, 20_000)

  test('sets a file aside that is damaged while it runs, and loses nothing new', async () => {
    const { keeper, write, logs } = await openKeeper(file)
    expect(await write({ records: many(2000) })).toBe('kept')
    damage(file)
    expect(await write({ records: many(10) })).toBe('kept')
    expect(await keeper.status()).toMatchObject({ requests: 10, problem: undefined })
    expect(logs).toMatchObject([{ level: 'warn', fields: { file } }])
    await keeper.close()
  })

  test('lets the oldest go when the file is too large', async () => {
    const bytes = 4 * 1024 * 1024
    const { keeper, write } = await openKeeper(file, { retention: { ...LONG, bytes }, now: () => now })
    await write({ records: many(4000) })
    const before = await keeper.status()
    expect(before.bytes).toBeGreaterThan(bytes)
    await keeper.retain()
    const after = await keeper.status()
    expect(after.bytes).toBeLessThanOrEqual(bytes)
    expect(after.requests).toBeLessThan(4000)
    expect(after.requests).toBeGreaterThan(500)
    expect(after.oldest).toBeGreaterThan(before.oldest ?? 0)
    await keeper.close()
    expect((await stat(file)).size).toBeLessThanOrEqual(bytes)
  })

  test('lets no request go where that cannot make the file small enough, and says so once', async () => {
    const { keeper, write, logs } = await openKeeper(file, {
      retention: { ...LONG, bytes: 1 },
      now: () => now,
    })
    await write({ records: many(100) })
    await keeper.retain()
    await keeper.retain()
    expect((await keeper.status()).requests).toBe(100)
    expect(logs.map(({ message }) => message)).toEqual([expect.stringContaining('retention.size')])
    await keeper.close()
  })

  test('lets sums go before requests where they are most of the file, the finest first', async () => {
    const bytes = 5 * 1024 * 1024
    const { keeper, write } = await openKeeper(file, { retention: { ...LONG, bytes }, now: () => now })
    for (let minute = 0; minute < 100; minute += 1) {
      const records = Array.from({ length: 100 }, (_, user) =>
        finished({ ...llmExchange({ completedAt: now - minute * 60_000 }), user: `user-${user}` }),
      )
      await write({ records })
    }
    await keeper.retain()
    const { bytes: after, requests } = await keeper.status()
    expect(after).toBeLessThanOrEqual(bytes)
    expect(requests).toBeGreaterThan(1000)
    const query = {
      range: { from: now - 5 * 3_600_000, to: now + 60_000 },
      bucketMs: 60_000,
      groupBy: [],
    }
    const summary = (await keeper.answer({ method: 'summary', query })) as Summary
    expect(summary.total.requests).toBe(10_000)
    expect(summary.bucketMs).toBeGreaterThan(60_000)
    await keeper.close()
  })

  test('says that the disk is full, once, and goes on when it is not', async () => {
    let database: Database | undefined
    const { keeper, write, logs } = await openKeeper(file, {
      openDatabase() {
        database = openSqlite(file)
        return Promise.resolve(database)
      },
    })
    await database?.all('PRAGMA max_page_count = 70')
    expect(await write({ records: many(1000) })).toBe('later')
    expect(await write({ records: many(1000) })).toBe('later')
    expect((await keeper.status()).problem).toContain('full')
    expect(await keeper.answer({ method: 'search', query: { limit: 1 } })).toMatchObject({ requests: [] })

    await database?.all('PRAGMA max_page_count = 1000000')
    expect(await write({ records: many(1000) })).toBe('kept')
    expect(await keeper.status()).toMatchObject({ requests: 1000, problem: undefined })
    expect(logs.map(({ level }) => level)).toEqual(['warn', 'info'])
    await keeper.close()
  })

  test('loses no more than the last second when its process is killed', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'writing.fixture.ts'), file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const said: { readonly path: string; readonly at: number }[] = []
    for await (const line of createInterface(child.stdout)) {
      const [path = '', at] = line.split(' ')
      said.push({ path: `/${path}`, at: Number(at) })
      if (said.length === 800) child.kill('SIGKILL')
    }
    const killedAt = said.at(-1)?.at ?? 0
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')

    const { store, logs } = await openStore(file)
    const { requests } = await store.search({ limit: 1000 })
    const found = new Set(requests.map(({ exchange }) => exchange.path))
    const due = said.filter(({ at }) => at < killedAt - 1000)
    expect(due.length).toBeGreaterThan(10)
    expect(due.filter(({ path }) => !found.has(path))).toEqual([])
    expect(logs).toEqual([])
    await store.close(10_000)
    const database = new DatabaseSync(file)
    expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    database.close()
  })
})

describe('a store that nobody closes', () => {
  test('does not keep its process alive', async () => {
    const code = `
      const { createStore } = await import('${new URL('./store.ts', import.meta.url)}')
      const retention = { ageMs: 1e9, bytes: 0 }
      const store = await createStore({ url: 'sqlite::memory:', maxConnections: 1, retention, onDropped() {}, log() {} })
      store.sample({ at: Date.now(), instance: 'one', increments: [], levels: [] })
      await store.status()
    `
    const program = join(folder, 'program.mjs')
    await writeFile(program, code)
    const child = spawn(process.execPath, [program], { stdio: 'inherit' })
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})

describe("a store's worker that dies", () => {
  test('is started again; what it had is counted, and who asked is told', async () => {
    let dropped = 0
    const logs: string[] = []
    const store = await startStore(
      {
        url: file,
        maxConnections: 1,
        retention: LONG,
        onDropped: (lost) => {
          dropped += lost
        },
        log: (level, message, fields) => logs.push(`${level} ${message} ${fields.reason}`),
      },
      new URL('./crashing-worker.fixture.ts', import.meta.url),
    )
    store.record(plain())
    await store.search({ limit: 1 })
    store.record(plain('/crash-the-worker'))
    store.record(plain())
    await expect(store.search({ limit: 1 })).rejects.toThrow('worker thread stopped: it crashed')
    expect(dropped).toBe(2)
    expect(await store.status()).toMatchObject({ dropped: 2, problem: expect.stringContaining('it crashed') })
    expect(logs).toEqual(["error The request store's worker thread stopped: it is started again it crashed"])

    store.record(plain())
    await expect.poll(async () => (await store.status()).problem, { timeout: 5000 }).toBeUndefined()
    expect(await store.status()).toMatchObject({ requests: 2, dropped: 2 })
    expect(await store.close(10_000)).toBe(true)
  })
})
