import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Exchange, McpFacts } from '../core/exchange.ts'
import { finished, httpExchange, llmExchange, mcpExchange } from './exchanges.fixture.ts'
import { MIGRATIONS } from './migrations.ts'
import { describeStores, type OpenStore, openKeeper, openStore } from './stores.fixture.ts'
import type { Finished, Store, Summary } from './types.ts'

const SECRET = 'sk-abcdefghijklmnop'
const now = Date.now()

const failedMcp: McpFacts = (() => {
  const exchange = mcpExchange({ completedAt: now })
  const mcp = exchange.mcp
  const [operation] = mcp?.operations ?? []
  const [call] = mcp?.calls ?? []
  if (mcp === undefined || operation === undefined || call === undefined) throw new Error('no call')
  const other = {
    ...operation,
    method: 'resources/read',
    resource: `file:///x?key=${SECRET}`,
    target: 'files',
    errorType: 'tool_error' as const,
    errorMessage: `refused: ${SECRET}`,
  }
  return {
    ...mcp,
    operations: [operation, other],
    calls: [call, { ...call, operation: other, errorType: 'tool_error', errorMessage: `said ${SECRET}` }],
  }
})()

const broken = httpExchange({ completedAt: now })

const KINDS: readonly { readonly name: string; readonly record: Finished }[] = [
  { name: 'an LLM stream with usage and cost', record: finished(llmExchange({ completedAt: now })) },
  {
    name: 'one with payloads',
    record: finished(llmExchange({ completedAt: now }), {
      payload: { request: '{"a":"ü"}', response: 'data: [DONE]\n' },
    }),
  },
  {
    name: 'one with half a payload',
    record: finished(llmExchange({ completedAt: now }), { payload: { request: 'x', response: undefined } }),
  },
  {
    name: 'MCP with a call',
    record: finished(mcpExchange({ completedAt: now }), { operation: 'tools/call echo' }),
  },
  {
    name: 'MCP with several operations and calls',
    record: finished(mcpExchange({ completedAt: now }, failedMcp), { failed: true }),
  },
  { name: 'plain HTTP', record: finished(httpExchange({ completedAt: now })) },
  {
    name: 'one that failed',
    record: finished(
      {
        ...broken,
        status: 502,
        outcome: 'upstream_error',
        errorType: 'provider_reset',
        errorMessage: `reset: ${SECRET}`,
        attempts: broken.attempts.map((attempt) => ({ ...attempt, errorMessage: `reset: ${SECRET}` })),
      },
      { failed: true },
    ),
  },
  {
    name: 'one that the client left',
    record: finished({
      ...broken,
      status: 499,
      endedAt: undefined,
      outcome: 'client_abort',
      userAgent: undefined,
    }),
  },
  {
    name: 'texts that are hard to keep',
    record: finished(
      { ...broken, user: 'a\0b', path: '/%\\_\'"', userAgent: '\ud800 x' },
      { operation: '𝕏 "quoted"' },
    ),
  },
]

/** What comes back of what was recorded: its clock begins with it, and is read in nanoseconds. */
function kept({ exchange }: Finished): unknown {
  const text = JSON.stringify({ ...exchange, query: '', chunkDelayCounts: undefined }, (name, value) =>
    typeof value === 'number' && name.endsWith('At')
      ? Math.round((value - exchange.startedAt) * 1e6) / 1e6
      : value,
  )
  return JSON.parse(text.replaceAll(SECRET, '[redacted]'))
}

describeStores('a store', (place) => {
  let open: OpenStore
  let store: Store

  beforeEach(async () => {
    open = await openStore(await place.newUrl())
    store = open.store
  })

  afterEach(async () => {
    expect(await store.close(10_000)).toBe(true)
  })

  test.each(KINDS)('gives back what was recorded: $name', async ({ record }) => {
    store.record(record)
    const { requests, next } = await store.search({ limit: 10 })
    const [request] = requests
    expect(next).toBeUndefined()
    expect(request).toMatchObject({
      operation: record.operation,
      failed: record.failed,
      hasPayload: record.payload !== undefined,
    })
    expect(request?.exchange).toEqual(kept(record))
    const found = await store.get(request?.id ?? '')
    expect(found?.request).toEqual(request)
    expect(found?.payload).toEqual(record.payload)
    expect(await store.trace(record.exchange.trace.traceId)).toEqual(requests)
  })

  test('knows nothing of a request that is not there', async () => {
    expect(await store.get('none')).toBeUndefined()
    expect(await store.trace('0'.repeat(32))).toEqual([])
  })

  test('orders the requests of a trace by time', async () => {
    const records = [3, 1, 2].map((second) => {
      const exchange = httpExchange({ completedAt: now + second * 1000 })
      return finished({ ...exchange, trace: { ...exchange.trace, traceId: 'a'.repeat(32) } })
    })
    for (const record of records) store.record(record)
    const requests = await store.trace('a'.repeat(32))
    expect(requests.map(({ completedAt }) => completedAt - now)).toEqual([1000, 2000, 3000])
  })

  test('tells its state', async () => {
    const before = await store.status()
    expect(before).toMatchObject({ requests: 0, dropped: 0, schemaVersion: MIGRATIONS.length })
    expect(before.problem).toBeUndefined()
    expect(before.oldest).toBeUndefined()
    store.record(finished(httpExchange({ completedAt: now })))
    const after = await store.status()
    expect(after).toMatchObject({ requests: 1, oldest: now })
    expect(after.bytes).toBeGreaterThan(0)
    expect(after.url).not.toContain('secret')
  })

  test('takes nothing after its end, and counts that', async () => {
    await store.close(10_000)
    store.record(finished(httpExchange({ completedAt: now })))
    expect(open.dropped()).toBe(1)
    await expect(store.search({ limit: 1 })).rejects.toThrow('closed')
  })

  test('lets go of requests by age', async () => {
    const url = await place.newUrl()
    const { keeper, write } = await openKeeper(url, {
      retention: { ageMs: 3_600_000, bytes: 0 },
      now: () => now,
    })
    const records = Array.from({ length: 4100 }, (_, index) =>
      finished(httpExchange({ completedAt: now - index * 1000 }), {
        payload: { request: 'x', response: 'y' },
      }),
    )
    await write({ records })
    await keeper.retain()
    expect(await keeper.status()).toMatchObject({
      requests: 3601,
      oldest: now - 3_600_000,
    })
    await keeper.close()
  })

  test('refuses questions that are too many at once, and answers the rest', async () => {
    store.record(finished(llmExchange({ completedAt: now })))
    const query = {
      range: { from: now - 60_000, to: now + 60_000 },
      bucketMs: 60_000,
      groupBy: ['user' as const],
    }
    const answers = await Promise.allSettled(Array.from({ length: 60 }, () => store.summary(query)))
    const refused = answers.filter(({ status }) => status === 'rejected')
    expect(refused.length).toBeGreaterThan(20)
    for (const one of refused) expect(one).toMatchObject({ reason: { code: 'store_busy' } })
    for (const one of answers) if (one.status === 'fulfilled') expect(one.value.total.requests).toBe(1)
    expect((await store.search({ limit: 1 })).requests).toHaveLength(1)
  })

  test('lets nothing go by a clock that leapt', async () => {
    let clock = now
    const { keeper, write } = await openKeeper(await place.newUrl(), { now: () => clock, passed: () => 0 })
    await write({ records: [finished(llmExchange({ completedAt: now - 1000 }))] })
    const query = {
      range: { from: now - 3_600_000, to: now + 60_000 },
      bucketMs: 60_000,
      groupBy: ['user' as const],
    }
    for (const days of [3, 400]) {
      clock = now + days * 86_400_000
      await keeper.retain()
      clock = now
      const summary = (await keeper.answer({ method: 'summary', query })) as Summary
      expect(summary.groups).toMatchObject([{ requests: 1, group: { user: 'alice' } }])
    }
    expect(await keeper.status()).toMatchObject({ requests: 1 })
    await keeper.close()
  })

  test('knows what it has let go of', async () => {
    let clock = now
    let passed = 0
    const { keeper, write } = await openKeeper(await place.newUrl(), {
      now: () => clock,
      passed: () => passed,
    })
    const record = finished(llmExchange({ completedAt: now - 1000 }))
    await write({ records: [record] })
    passed = 400 * 86_400_000
    clock += passed
    await keeper.retain()
    await write({ records: [record] })
    clock = now
    const query = { range: { from: now - 86_400_000, to: now + 1 }, bucketMs: 60_000, groupBy: [] }
    const filters = { user: ['alice'] }
    clock = now
    await write({ records: [record] })
    const summary = (await keeper.answer({ method: 'summary', query: { ...query, filters } })) as Summary
    expect(summary.total.requests).toBe(1)
    await keeper.close()
  })

  test('adds up tokens without end', async () => {
    const exchange = llmExchange(
      { completedAt: now },
      {
        usage: {
          inputTokens: 5e15,
          outputTokens: 1e9,
          cacheReadTokens: 0,
          cacheWriteTokens: 0,
          reasoningTokens: 0,
        },
      },
    )
    for (let index = 0; index < 2000; index += 1) store.record(finished(exchange))
    const range = { from: now - 60_000, to: now + 60_000 }
    const { total } = await store.summary({ range, bucketMs: 60_000, groupBy: ['user'] })
    expect(total).toMatchObject({ requests: 2000, inputTokens: 2e12, outputTokens: 2e12 })
  })

  test('answers a search with a bearable number of characters', async () => {
    const long = Array.from({ length: 32 }, (_, index) => `${index} ${'y '.repeat(1000)}`)
    const exchange = llmExchange({ completedAt: now }, { parameters: { stopSequences: long } })
    const attempts = long.map((errorMessage) => ({
      ...(exchange.attempts[0] as Exchange['attempts'][number]),
      errorMessage,
    }))
    for (let index = 0; index < 300; index += 1) store.record(finished({ ...exchange, attempts }))
    const first = await store.search({ limit: 1000 })
    expect(first.requests.length).toBeLessThan(300)
    const rest = await store.search({ limit: 1000, ...(first.next && { before: first.next }) })
    expect(first.requests.length + rest.requests.length).toBe(300)
    expect(rest.next).toBeUndefined()
    const followed = await store.follow({ limit: 1000, after: 0 })
    expect(followed.requests.length).toBe(first.requests.length)
    expect(followed.more).toBe(true)
  })

  test('writes what is waiting at its end', async () => {
    const url = await place.newUrl()
    const { store: full, dropped } = await openStore(url)
    for (let index = 0; index < 12_000; index += 1) full.record(finished(httpExchange({ completedAt: now })))
    expect(await full.close(20_000)).toBe(true)
    expect(dropped()).toBe(0)
    const { store: again } = await openStore(url)
    expect((await again.status()).requests).toBe(12_000)
    await again.close(10_000)
  })

  test('is shared by several gateways', async () => {
    const url = await place.newUrl()
    const others = await Promise.all([openStore(url), openStore(url), openStore(url)])
    await Promise.all(
      others.map(async (other) => {
        for (let round = 0; round < 5; round += 1) {
          for (let index = 0; index < 100; index += 1) {
            other.store.record(finished(llmExchange({ completedAt: now })))
          }
          await other.store.status()
        }
      }),
    )
    const [one] = others
    expect(await one?.store.status()).toMatchObject({ requests: 1500 })
    const range = { from: now - 60_000, to: now + 60_000 }
    const summary = await one?.store.summary({ range, bucketMs: 60_000, groupBy: [] })
    expect(summary?.total).toMatchObject({ requests: 1500, inputTokens: 150_000, cost: 1125 })
    for (const other of others) {
      expect(other.dropped()).toBe(0)
      await other.store.close(10_000)
    }
  })
})
