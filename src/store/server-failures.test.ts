/** What can go wrong with a server, and with what lies between. */
import pg from 'pg'
import { expect, test } from 'vitest'
import { finished, httpExchange } from './exchanges.fixture.ts'
import { MIGRATIONS } from './migrations.ts'
import { describePostgres, openStore } from './stores.fixture.ts'

const plain = () => finished(httpExchange({ completedAt: Date.now() }))

describePostgres('a store whose server is away', (place) => {
  test('keeps what it cannot write, says so once, and goes on when the server is back', async () => {
    const url = await place.newUrl()
    await place.server().stop()
    const { store, logs, dropped } = await openStore(url)
    expect((await store.status()).problem).toContain('ECONNREFUSED')
    store.record(plain())
    store.record(plain())
    await expect(store.search({ limit: 1 })).rejects.toThrow('ECONNREFUSED')

    await place.server().start()
    await expect.poll(async () => (await store.status()).problem, { timeout: 10_000 }).toBeUndefined()
    store.record(plain())
    expect((await store.search({ limit: 10 })).requests).toHaveLength(3)

    await place.server().stop()
    store.record(plain())
    await expect(store.search({ limit: 1 })).rejects.toThrow()
    expect((await store.status()).problem).toBeDefined()

    await place.server().start()
    store.record(plain())
    expect((await store.search({ limit: 10 })).requests).toHaveLength(5)
    expect(dropped()).toBe(0)
    expect(logs.map(({ level }) => level)).toEqual(['warn', 'info', 'warn', 'info'])
    await store.close(10_000)
  })

  test('loses nothing with connections that are lost amid transactions', async () => {
    const url = await place.newUrl()
    const { store, dropped } = await openStore(url)
    const admin = new pg.Client(url)
    await admin.connect()
    let recorded = 0
    for (let round = 0; round < 10; round += 1) {
      for (let index = 0; index < 3000; index += 1) {
        store.record(plain())
        recorded += 1
      }
      await new Promise((resolve) => setTimeout(resolve, 60))
      await admin.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agentgateway'",
      )
    }
    await admin.end()
    await expect.poll(async () => (await store.status()).requests, { timeout: 20_000 }).toBe(recorded)
    expect(dropped()).toBe(0)
    expect((await store.status()).problem).toBeUndefined()
    await store.close(10_000)
  }, 30_000)

  test('says which certificate it cannot read, and can be closed', async () => {
    const { store } = await openStore(
      `${await place.newUrl()}?sslmode=verify-full&sslrootcert=/nowhere/ca.pem`,
    )
    expect((await store.status()).problem).toContain('/nowhere/ca.pem')
    await store.close(10_000)
  })

  test('has its schema made by one of several gateways', async () => {
    const url = await place.newUrl()
    const all = await Promise.all(Array.from({ length: 5 }, () => openStore(url)))
    for (const { store, logs } of all) {
      expect(await store.status()).toMatchObject({ schemaVersion: MIGRATIONS.length, problem: undefined })
      expect(logs).toEqual([])
      await store.close(10_000)
    }
  })
})
