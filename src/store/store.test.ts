import { afterEach, beforeEach, expect, test } from 'vitest'
import type { McpFacts } from '../core/exchange.ts'
import { finished, httpExchange, llmExchange, mcpExchange } from './exchanges.fixture.ts'
import { writeRecord } from './record.ts'
import { describeStores, type OpenStore, openKeeper, openStore } from './stores.fixture.ts'
import type { Finished, Store } from './types.ts'

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
    expect(before).toMatchObject({ requests: 0, dropped: 0, schemaVersion: 1 })
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
    const { keeper } = await openKeeper(url, { retention: { ageMs: 3_600_000, bytes: 0 }, now: () => now })
    const records = Array.from({ length: 4100 }, (_, index) =>
      writeRecord(
        finished(httpExchange({ completedAt: now - index * 1000 }), {
          payload: { request: 'x', response: 'y' },
        }),
      ),
    )
    await keeper.write({ records, samples: [] })
    await keeper.retain()
    expect(await keeper.answer({ method: 'status', query: undefined })).toMatchObject({
      requests: 3601,
      oldest: now - 3_600_000,
    })
    await keeper.close()
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
