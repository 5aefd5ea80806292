import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { finished, httpExchange, randomFinished, seeded } from './exchanges.fixture.ts'
import { RUN } from './migrations.ts'
import { describeStores, openStore } from './stores.fixture.ts'
import {
  type Cursor,
  type Filters,
  type Finished,
  GROUP_FIELDS,
  type Store,
  type StoredRequest,
} from './types.ts'

const now = Date.now()
const ids = (requests: readonly StoredRequest[]) => requests.map(({ id }) => id)

describeStores('a search', (place) => {
  let store: Store

  beforeEach(async () => {
    store = (await openStore(await place.newUrl())).store
  })

  afterEach(() => store.close(10_000))

  describe('with requests of every kind', () => {
    const random = seeded(7)
    const records = Array.from({ length: 400 }, (_, index) => {
      const record = randomFinished(random, now - index * 1000)
      return index % 10 === 0 ? { ...record, payload: { request: 'x', response: 'y' } } : record
    })
    const rows: { record: Finished; duration: number }[] = records.map((record) => ({
      record,
      duration: (record.exchange.endedAt ?? 0) - record.exchange.startedAt,
    }))
    // Between two durations: they are kept in nanoseconds.
    const slowest = rows.map(({ duration }) => duration).sort((one, other) => other - one)
    const slow = ((slowest[20] ?? 0) + (slowest[21] ?? 0)) / 2

    type Fits = (row: (typeof rows)[number]) => boolean
    const FILTERS: readonly (readonly [Filters, Fits])[] = [
      [{ protocol: ['mcp', 'http'] }, ({ record }) => record.exchange.protocol !== 'llm'],
      [{ provider: ['openai'] }, ({ record }) => record.exchange.llm?.provider === 'openai'],
      [{ requestModel: ['gpt-4o'] }, ({ record }) => record.exchange.llm?.requestModel === 'gpt-4o'],
      [
        { responseModel: ['gpt-4o-2026'] },
        ({ record }) => record.exchange.llm?.responseModel === 'gpt-4o-2026',
      ],
      [{ httpStatus: [429, 502] }, ({ record }) => record.exchange.status !== 200],
      [{ outcome: ['upstream_error'] }, ({ record }) => record.exchange.outcome === 'upstream_error'],
      [
        { errorType: ['provider_rate_limited'] },
        ({ record }) => record.exchange.errorType === 'provider_rate_limited',
      ],
      [{ backend: ['mcp'] }, ({ record }) => record.exchange.backend === 'mcp'],
      [{ route: ['default/chat'] }, ({ record }) => record.exchange.route === 'default/chat'],
      [{ target: ['everything'] }, ({ record }) => record.exchange.mcp !== undefined],
      [
        { user: ['user-1', 'user-2'] },
        ({ record }) => ['user-1', 'user-2'].includes(record.exchange.user ?? ''),
      ],
      [{ key: ['key-0'] }, ({ record }) => record.exchange.key === 'key-0'],
      [{ group: ['team-1'] }, ({ record }) => record.exchange.group === 'team-1'],
      [
        { userAgentName: ['OpenAI'] },
        ({ record }) => record.exchange.userAgent?.startsWith('OpenAI') === true,
      ],
      [{ operation: ['tools/call echo'] }, ({ record }) => record.operation === 'tools/call echo'],
      [{ traceId: records[17]?.exchange.trace.traceId ?? '' }, ({ record }) => record === records[17]],
      [{ hasPayload: true }, ({ record }) => record.payload !== undefined],
      [{ hasPayload: false }, ({ record }) => record.payload === undefined],
      [{ failed: true }, ({ record }) => record.failed],
      [{ failed: false }, ({ record }) => !record.failed],
      [{ failed: true, hasPayload: true }, ({ record }) => record.failed && record.payload !== undefined],
      [{ failed: true, hasPayload: false }, ({ record }) => record.failed && record.payload === undefined],
      [{ traceId: records[17]?.exchange.trace.traceId ?? '', failed: true }, () => false],
      [{ minDurationMs: slow }, ({ duration }) => duration >= slow],
      [{ maxDurationMs: slow }, ({ duration }) => duration <= slow],
      [{ text: 'CHAT/completions' }, ({ record }) => record.exchange.path.includes('chat')],
      [{ text: 'overLOADED' }, ({ record }) => record.exchange.errorMessage !== undefined],
      [
        { text: records[5]?.exchange.trace.traceId.slice(3, 20) ?? '' },
        ({ record }) => record === records[5],
      ],
      [{ text: 'claude-code' }, ({ record }) => record.exchange.mcp !== undefined],
      [{ text: 'echo' }, ({ record }) => record.exchange.mcp !== undefined],
      [{ text: '%' }, () => false],
      [{ text: '_' }, () => false],
      [{ user: [] }, () => false],
      [
        { protocol: ['llm'], failed: true },
        ({ record }) => record.exchange.protocol === 'llm' && record.failed,
      ],
    ]

    beforeEach(() => {
      for (const record of records) store.record(record)
    })

    test('finds those that a filter fits', async () => {
      for (const [filters, fits] of FILTERS) {
        const { requests, next } = await store.search({ limit: 1000, filters })
        const wanted = rows.filter(fits).map(({ record }) => record.exchange.trace.spanId)
        expect([filters, requests.map(({ exchange }) => exchange.trace.spanId)]).toEqual([filters, wanted])
        expect(next).toBeUndefined()
      }
    })

    test('heeds a range, its end excluded', async () => {
      const range = { from: now - 20_000, to: now - 10_000 }
      const { requests } = await store.search({ limit: 100, range })
      expect(requests.map(({ completedAt }) => (now - completedAt) / 1000)).toEqual([
        11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
      ])
    })

    test('names the values that occur', async () => {
      const values = await store.values({ from: now - 86_400_000, to: now + 1 })
      expect(Object.keys(values).sort()).toEqual([...GROUP_FIELDS].sort())
      expect(values.provider).toEqual(['anthropic', 'mistral', 'openai'])
      expect(values.httpStatus).toEqual(['200', '429', '502'])
      const users = [
        ...new Set(records.map(({ exchange }) => exchange.user).filter((user) => user !== undefined)),
      ]
      expect(values.user).toEqual(users.sort())
      expect((await store.values({ from: 0, to: now - 40 * 86_400_000 })).provider).toEqual([])
    })
  })

  test('finds all of a trace, however many requests were kept in between', async () => {
    const { trace } = httpExchange({ completedAt: now })
    const count = 2 * RUN + 100
    const wanted = new Set([0, RUN, RUN + 1, count - 1])
    for (let index = 0; index < count; index += 1) {
      const exchange = httpExchange({ completedAt: now + index, path: `/${index}` })
      store.record(finished(wanted.has(index) ? { ...exchange, trace } : exchange))
    }
    const paths = [...wanted].map((index) => `/${index}`)
    const found = await store.trace(trace.traceId)
    expect(found.map(({ exchange }) => exchange.path)).toEqual(paths)

    const met: string[] = []
    let before: Cursor | undefined
    do {
      const filters = { traceId: trace.traceId }
      const page = await store.search({ limit: 1, filters, ...(before && { before }) })
      met.push(...page.requests.map(({ exchange }) => exchange.path))
      before = page.next
    } while (before !== undefined)
    expect(met).toEqual(paths.toReversed())
    const range = { from: now + RUN, to: now + RUN + 1 }
    const { requests } = await store.search({ limit: 9, range, filters: { traceId: trace.traceId } })
    expect(requests.map(({ exchange }) => exchange.path)).toEqual([`/${RUN}`])
  })

  test('goes page by page through more of a trace than one search judges, and meets each once', async () => {
    const { trace } = httpExchange({ completedAt: now })
    const count = 5300
    for (let index = 0; index < count; index += 1) {
      // Kept in another order than that of their completion.
      const completedAt = now + (index % 2 === 0 ? index : count - index)
      store.record(finished({ ...httpExchange({ completedAt }), trace }))
    }
    const met: string[] = []
    let before: Cursor | undefined
    do {
      const filters = { traceId: trace.traceId }
      const page = await store.search({ limit: 900, filters, ...(before && { before }) })
      met.push(...ids(page.requests))
      before = page.next
    } while (before !== undefined)
    expect(new Set(met).size).toBe(count)
    expect(met).toEqual(met.toSorted().toReversed())
  })

  describe('with requests that completed at the same time', () => {
    beforeEach(() => {
      for (let index = 0; index < 60; index += 1) {
        store.record(finished(httpExchange({ completedAt: now + Math.floor(index / 20) })))
      }
    })

    test('goes through them page by page and meets each once', async () => {
      const { requests: all } = await store.search({ limit: 100 })
      expect(all).toHaveLength(60)
      const met: string[] = []
      let before: Cursor | undefined
      do {
        const page = await store.search({ limit: 7, ...(before && { before }) })
        met.push(...ids(page.requests))
        before = page.next
      } while (before !== undefined)
      expect(met).toEqual(ids(all))
    })

    test('follows from a request, page by page', async () => {
      const { requests: all } = await store.search({ limit: 100 })
      const start = all[30]
      if (start === undefined) throw new Error('nothing found')
      const first = await store.follow({ limit: 20, after: start })
      expect(ids(first.requests)).toEqual(ids(all.slice(10, 30).reverse()))
      expect(first.more).toBe(true)
      store.record(finished(httpExchange({ completedAt: now + 10 })))
      const rest = await store.follow({ limit: 20, after: first.after })
      expect(ids(rest.requests).slice(0, 10)).toEqual(ids(all.slice(0, 10).reverse()))
      expect(rest.requests).toHaveLength(11)
      expect(rest.more).toBe(false)
    })

    test('tells followers of what completed long ago and was recorded late', async () => {
      const start = await store.follow({ limit: 10 })
      expect(start.requests).toEqual([])
      for (const path of ['/late', '/later']) {
        store.record(finished(httpExchange({ completedAt: now - 3_600_000, path })))
      }
      const { requests, after, more } = await store.follow({ limit: 10, after: start.after })
      expect(requests.map(({ exchange }) => exchange.path)).toEqual(['/late', '/later'])
      expect(more).toBe(false)
      expect((await store.follow({ limit: 10, after })).requests).toEqual([])
    })

    test('heeds filters while following, and goes on from what is not there any more', async () => {
      const after = { completedAt: now, id: '0'.repeat(20) }
      store.record(finished(httpExchange({ completedAt: now, path: '/x' }), { failed: true }))
      const { requests } = await store.follow({ limit: 10, after, filters: { failed: true, text: '/X' } })
      expect(requests.map(({ exchange }) => exchange.path)).toEqual(['/x'])
    })

    test('takes a time for a cursor', async () => {
      const { requests } = await store.search({ limit: 100, before: { completedAt: now + 1, id: '' } })
      expect(requests).toHaveLength(20)
    })
  })
})
