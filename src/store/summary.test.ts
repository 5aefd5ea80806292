import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordOf } from './batch.fixture.ts'
import { randomFinished, seeded } from './exchanges.fixture.ts'
import type { RequestRecord } from './record.ts'
import { describeStores, type OpenStore, openStore } from './stores.fixture.ts'
import {
  GROUP_FIELDS,
  type GroupField,
  type Measures,
  type Percentiles,
  type SummaryFilters,
  type SummaryQuery,
} from './types.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const now = Date.now()

/** A bucket of the histogram is this much longer at its end than at its beginning. */
const WIDTH = 2 ** (1 / 8)

const random = seeded(42)
const records = Array.from({ length: 800 }, (_, index) => {
  // Half of them in the last day and a half, the rest in the days before.
  const age = random() * (index % 2 === 0 ? 1.5 * DAY_MS : 6 * DAY_MS)
  return randomFinished(random, Math.round(now - age))
})
const rows = records.map((record) => recordOf(record))

const sum = (list: readonly RequestRecord[], value: (row: RequestRecord) => number | undefined) =>
  list.reduce((so, row) => so + (value(row) ?? 0), 0)

function measures(list: readonly RequestRecord[]) {
  return {
    requests: list.length,
    failed: list.filter(({ failed }) => failed).length,
    inputTokens: sum(list, ({ exchange }) => exchange.llm?.usage?.inputTokens),
    outputTokens: sum(list, ({ exchange }) => exchange.llm?.usage?.outputTokens),
    cacheReadTokens: sum(list, ({ exchange }) => exchange.llm?.usage?.cacheReadTokens),
    cacheWriteTokens: sum(list, ({ exchange }) => exchange.llm?.usage?.cacheWriteTokens),
    reasoningTokens: sum(list, ({ exchange }) => exchange.llm?.usage?.reasoningTokens),
  }
}

function expectPercentiles(found: Percentiles | undefined, values: readonly number[]): void {
  const sorted = values.toSorted((one, other) => one - other)
  const max = sorted.at(-1)
  if (max === undefined) {
    expect(found).toBeUndefined()
    return
  }
  expect(found?.max).toBeCloseTo(max, 6)
  expect(found?.mean).toBeCloseTo(sorted.reduce((so, value) => so + value, 0) / sorted.length, 4)
  for (const [name, share] of [
    ['p50', 0.5],
    ['p95', 0.95],
    ['p99', 0.99],
  ] as const) {
    const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0
    const ratio = (found?.[name] ?? 0) / exact
    expect(ratio).toBeGreaterThan(1 / WIDTH)
    expect(ratio).toBeLessThan(WIDTH)
  }
}

function expectMeasures(found: Measures | undefined, list: readonly RequestRecord[]): void {
  expect(found).toMatchObject(measures(list))
  expect(found?.cost).toBeCloseTo(
    sum(list, ({ exchange }) => exchange.llm?.cost?.total),
    6,
  )
  expectPercentiles(
    found?.durationMs,
    list.map(({ durationMs }) => durationMs),
  )
  expectPercentiles(
    found?.firstTokenMs,
    list.map(({ firstTokenMs }) => firstTokenMs).filter((value) => value !== undefined),
  )
}

const groupOf = (row: RequestRecord, fields: readonly GroupField[]) =>
  Object.fromEntries(
    fields.filter((field) => row.fields[field] !== null).map((field) => [field, String(row.fields[field])]),
  )

const fits = (row: RequestRecord, { failed, ...fields }: SummaryFilters) =>
  (failed === undefined || row.failed === failed) &&
  Object.entries(fields).every(([field, wanted]) =>
    (wanted as readonly unknown[]).includes(row.fields[field as GroupField]),
  )

/** What the query should find, computed from the requests themselves. */
function partition({ groupBy, filters = {}, range }: SummaryQuery, bucketMs: number) {
  const groups = new Map<string, RequestRecord[]>()
  const buckets = new Map<string, RequestRecord[]>()
  const all = rows.filter(
    (row) => row.completedAt >= range.from && row.completedAt < range.to && fits(row, filters),
  )
  for (const row of all) {
    const group = JSON.stringify(groupOf(row, groupBy))
    const start = Math.floor(row.completedAt / bucketMs) * bucketMs
    groups.set(group, [...(groups.get(group) ?? []), row])
    buckets.set(`${start} ${group}`, [...(buckets.get(`${start} ${group}`) ?? []), row])
  }
  return { all, groups, buckets }
}

const day = { from: now - DAY_MS, to: now + 1 }
const week = { from: now - 7 * DAY_MS, to: now + 1 }

const QUERIES: readonly (readonly [name: string, query: SummaryQuery])[] = [
  ['all', { range: week, bucketMs: HOUR_MS, groupBy: [] }],
  ['a day by minutes', { range: day, bucketMs: MINUTE_MS, groupBy: [] }],
  ['a day by seven minutes', { range: day, bucketMs: 7 * MINUTE_MS, groupBy: ['protocol'] }],
  ['a day by hours', { range: day, bucketMs: HOUR_MS, groupBy: ['protocol'] }],
  ['a week by five hours', { range: week, bucketMs: 5 * HOUR_MS, groupBy: ['provider'] }],
  ['a week by days', { range: week, bucketMs: DAY_MS, groupBy: ['requestModel'] }],
  ['a week by two days', { range: week, bucketMs: 2 * DAY_MS, groupBy: [] }],
  ...GROUP_FIELDS.map(
    (field) => [`by ${field}`, { range: week, bucketMs: DAY_MS, groupBy: [field] }] as const,
  ),
  ['by two fields', { range: week, bucketMs: DAY_MS, groupBy: ['provider', 'outcome'] }],
  ['of those that failed', { range: week, bucketMs: HOUR_MS, groupBy: [], filters: { failed: true } }],
  ['of those that did not', { range: week, bucketMs: DAY_MS, groupBy: ['user'], filters: { failed: false } }],
  [
    'of two statuses',
    { range: week, bucketMs: DAY_MS, groupBy: ['httpStatus'], filters: { httpStatus: [429, 502] } },
  ],
  [
    'of a user',
    {
      range: day,
      bucketMs: 5 * MINUTE_MS,
      groupBy: ['requestModel'],
      filters: { user: ['user-1', 'user-2'] },
    },
  ],
  [
    'of a provider',
    { range: week, bucketMs: DAY_MS, groupBy: [], filters: { provider: ['openai'], protocol: ['llm'] } },
  ],
  ['of nothing', { range: week, bucketMs: DAY_MS, groupBy: ['user'], filters: { user: [] } }],
  [
    'of a time without requests',
    { range: { from: now - 90 * DAY_MS, to: now - 80 * DAY_MS }, bucketMs: DAY_MS, groupBy: ['user'] },
  ],
  ['of nobody', { range: week, bucketMs: DAY_MS, groupBy: ['user'], filters: { user: ['nobody'] } }],
]

describeStores('a summary', (place) => {
  let open: OpenStore

  beforeAll(async () => {
    open = await openStore(await place.newUrl())
    for (const [index, record] of records.entries()) {
      open.store.record(record)
      // Several transactions, which add to what is there.
      if (index % 100 === 0) await open.store.status()
    }
  })

  afterAll(() => open.store.close(10_000))

  test.each(QUERIES)('agrees with the requests: %s', async (_, query) => {
    const found = await open.store.summary(query)
    const { all, groups, buckets } = partition({ ...query, range: found.range }, found.bucketMs)
    expect(found.range.from).toBeLessThanOrEqual(query.range.from)
    expect(found.range.to).toBeGreaterThanOrEqual(query.range.to)
    expect(found.bucketMs).toBeGreaterThanOrEqual(query.bucketMs)

    expectMeasures(found.total, all)
    expect(found.groups).toHaveLength(groups.size)
    for (const group of found.groups) expectMeasures(group, groups.get(nameOf(query, group.group)) ?? [])
    expect(found.buckets).toHaveLength(buckets.size)
    for (const bucket of found.buckets) {
      expectMeasures(bucket, buckets.get(`${bucket.start} ${nameOf(query, bucket.group)}`) ?? [])
    }
    const requests = found.groups.map((group) => group.requests)
    expect(requests).toEqual(requests.toSorted((one, other) => other - one))
    const starts = found.buckets.map(({ start }) => start)
    expect(starts).toEqual(starts.toSorted((one, other) => one - other))
  })

  test('keeps to minutes at the edges of a range', async () => {
    const query = { range: day, bucketMs: HOUR_MS, groupBy: [] }
    const { range } = await open.store.summary(query)
    expect(range.from).toBe(Math.floor(day.from / MINUTE_MS) * MINUTE_MS)
  })

  test('shows fewer groups where there are many buckets', async () => {
    const query = { range: day, groupBy: ['user' as const, 'requestModel' as const] }
    const few = await open.store.summary({ ...query, bucketMs: HOUR_MS })
    const many = await open.store.summary({ ...query, bucketMs: MINUTE_MS })
    expect(few.groups.length).toBeGreaterThan(10)
    expect(many.groups).toHaveLength(5)
    expect(many.groups.at(-1)).toMatchObject({ group: { user: '…', requestModel: '…' } })
    expect(many.groups.map(({ requests }) => requests).slice(0, 4)).toEqual(
      few.groups.map(({ requests }) => requests).slice(0, 4),
    )
    expect(many.total).toMatchObject({ requests: few.total.requests, inputTokens: few.total.inputTokens })
  })

  test('puts what is beyond two hundred groups together', async () => {
    const { store } = await openStore(await place.newUrl())
    const [record] = records
    if (record === undefined) throw new Error('no record')
    for (let index = 0; index < 300; index += 1) {
      const times = index < 10 ? 2 : 1
      for (let time = 0; time < times; time += 1) {
        store.record({
          ...record,
          exchange: { ...record.exchange, user: `many-${index}`, startedAtEpochMs: now },
        })
      }
    }
    const range = { from: now - DAY_MS, to: now + DAY_MS }
    const found = await store.summary({ range, bucketMs: DAY_MS, groupBy: ['user', 'protocol'] })
    expect(found.groups).toHaveLength(201)
    expect(found.groups[0]?.requests).toBe(2)
    expect(found.groups.at(-1)).toMatchObject({ requests: 100, group: { user: '…', protocol: '…' } })
    expect(found.buckets).toHaveLength(201)
    expect(found.total.requests).toBe(310)
    await store.close(10_000)
  })
})

/** Written as `partition` writes it: the fields in the query's order. */
function nameOf({ groupBy }: SummaryQuery, group: Readonly<Partial<Record<GroupField, string>>>): string {
  return JSON.stringify(
    Object.fromEntries(groupBy.filter((field) => field in group).map((field) => [field, group[field]])),
  )
}

describe('a summary of very many combinations', () => {
  test('folds what clients choose, and keeps the sums', async () => {
    const { store } = await openStore('sqlite::memory:')
    const [record] = records
    if (record === undefined) throw new Error('no record')
    for (let index = 0; index < 14_000; index += 1) {
      const llm = record.exchange.llm && { ...record.exchange.llm, requestModel: `model-${index}` }
      store.record({
        ...record,
        exchange: { ...record.exchange, llm, user: `user-${index}`, backend: 'one', startedAtEpochMs: now },
      })
    }
    const range = { from: now - DAY_MS, to: now + DAY_MS }
    const byUser = await store.summary({
      range,
      bucketMs: DAY_MS,
      groupBy: ['backend'],
      filters: { user: ['…'] },
    })
    expect(byUser.total.requests).toBe(12_000)
    const all = await store.summary({ range, bucketMs: DAY_MS, groupBy: ['backend'] })
    expect(all.groups).toHaveLength(1)
    expect(all.groups[0]).toMatchObject({ requests: 14_000, group: { backend: 'one' } })
    const values = await store.values(range)
    expect(values.requestModel).toHaveLength(500)
    await store.close(10_000)
  })
})
