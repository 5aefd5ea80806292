import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Spending } from '../core/spending.ts'
import type { Keeper } from './keeper.ts'
import { describeStores, openKeeper } from './stores.fixture.ts'

const DAY_MS = 86_400_000
const TODAY = Math.floor(Date.now() / DAY_MS) * DAY_MS

const spending = (amount: number, change: Partial<Spending> = {}): Spending => ({
  budget: 'team',
  unit: 'usd',
  key: '=ann',
  windowStart: TODAY,
  windowEnd: TODAY + DAY_MS,
  amount,
  ...change,
})
const team = { budget: 'team', unit: 'usd', since: TODAY } as const

describeStores('spending in a store', (place) => {
  let isServer: boolean
  let store: Keeper
  let other: Keeper

  beforeEach(async () => {
    const url = await place.newUrl()
    isServer = url.startsWith('postgres:')
    store = (await openKeeper(url)).keeper
    other = (await openKeeper(url)).keeper
  })
  afterEach(async () => {
    for (const one of [store, other]) await one.close()
  })

  test('of several gateways adds up, by budget, unit, key and window', async () => {
    await store.spend({ writer: 'a', number: 1, spendings: [spending(1.5), spending(2, { key: '' })] })
    await other.spend({ writer: 'b', number: 1, spendings: [spending(0.25)] })
    await other.spend({
      writer: 'b',
      number: 2,
      spendings: [
        spending(7, { budget: 'others' }),
        spending(8, { unit: 'tokens' }),
        spending(9, { windowStart: TODAY - DAY_MS, windowEnd: TODAY }),
      ],
    })
    expect(await store.spent([{ ...team, keys: ['=ann', '=bob'] }])).toEqual([
      { budget: 'team', unit: 'usd', key: '=ann', amount: 1.75 },
    ])
    expect(await store.spent([{ ...team, keys: undefined }])).toEqual([
      { budget: 'team', unit: 'usd', key: '', amount: 2 },
      { budget: 'team', unit: 'usd', key: '=ann', amount: 1.75 },
    ])
    expect(await store.spent([{ ...team, since: TODAY - DAY_MS, keys: ['=ann'] }])).toMatchObject([
      { amount: 10.75 },
    ])
    expect(await store.spent([{ ...team, budget: 'nobody', keys: undefined }])).toEqual([])
  })

  test('is taken once, however often a report comes', async () => {
    const report = { writer: 'a', number: 1, spendings: [spending(1)] }
    await store.spend(report)
    await other.spend(report)
    await store.spend({ ...report, number: 2 })
    expect(await store.spent([{ ...team, keys: ['=ann'] }])).toMatchObject([{ amount: 2 }])
  })

  test('of many keys at once is whole', async () => {
    const keys = Array.from({ length: 777 }, (_, index) => `=user ${index}`)
    const spendings = keys.map((key) => spending(1, { key }))
    const write = [
      () => store.spend({ writer: 'a', number: 1, spendings }),
      () => other.spend({ writer: 'b', number: 1, spendings: spendings.toReversed() }),
    ]
    // Two connections of one thread would wait for each other at the same file.
    if (isServer) await Promise.all(write.map((one) => one()))
    else for (const one of write) await one()
    const found = await store.spent([{ ...team, keys }])
    expect(found).toHaveLength(777)
    expect(new Set(found.map(({ amount }) => amount))).toEqual(new Set([2]))
  })

  test('goes a month after its window', async () => {
    let now = TODAY
    const { keeper } = await openKeeper(await place.newUrl(), { now: () => now, passed: () => now })
    await keeper.spend({ writer: 'a', number: 1, spendings: [spending(1)] })
    now += 32 * DAY_MS
    await keeper.retain()
    expect(await keeper.spent([{ ...team, keys: undefined }])).toHaveLength(1)
    now += 2 * DAY_MS
    await keeper.retain()
    expect(await keeper.spent([{ ...team, keys: undefined }])).toEqual([])
    await keeper.close()
  })
})
