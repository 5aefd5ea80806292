/** The search: every filter, every page, and a plain word for what cannot be asked. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ApiFilters, LogEntry, LogsFound, LogsSearch } from '../../src/admin/api-types.ts'
import { chatBody, messagesBody } from '../support/configuration.ts'
import {
  type AdminLab,
  askApi,
  BILLED,
  CHAT,
  call,
  MESSAGES,
  sendEverything,
  startAdminLab,
  UNBILLED,
} from './lab.fixture.ts'

const MANY = 240

let lab: AdminLab
/** The newest first. */
let logs: readonly LogEntry[]

beforeAll(async () => {
  lab = await startAdminLab()
  await sendEverything(lab)
  for (const user of ['alice', 'bob'])
    await call(lab, {
      path: CHAT,
      body: { ...chatBody(), user },
      headers: {
        'user-agent': 'openai-python/1.2.3 (linux)',
        authorization: `Bearer sk-of-${user}-0123456789`,
      },
    })
  await call(lab, {
    path: MESSAGES,
    body: { ...messagesBody(), metadata: { user_id: 'alice' } },
    headers: { 'user-agent': 'Anthropic/JS 0.9' },
  })
  await call(lab, { path: CHAT, body: chatBody(), script: { firstDelayMs: 120 } })
  // At once, so that many end in the same millisecond.
  await Promise.all(Array.from({ length: MANY }, () => call(lab, { path: '/nowhere', body: {} })))
  await lab.gateway.recorded(BILLED.length + UNBILLED + 4 + MANY)
  logs = await lab.client.all()
})
afterAll(() => lab?.close())

const idsOf = (entries: readonly LogEntry[]) => entries.map(({ id }) => id)
const find = (filters: ApiFilters) => lab.client.all({ filters, limit: 500 })
const holds = (text: string) => (value: string | undefined) => value?.toLowerCase().includes(text) === true

interface Row {
  readonly name: string
  readonly filters: ApiFilters
  readonly fits: (log: LogEntry) => boolean
  /** Nothing is to be found. */
  readonly none?: true
}

const FILTERS: readonly Row[] = [
  { name: 'a status', filters: { httpStatus: [500] }, fits: ({ httpStatus }) => httpStatus === 500 },
  {
    name: 'one of two statuses',
    filters: { httpStatus: [429, 503] },
    fits: ({ httpStatus }) => [429, 503].includes(httpStatus),
  },
  {
    name: 'a provider',
    filters: { provider: ['anthropic'] },
    fits: ({ genAi }) => genAi?.providerName === 'anthropic',
  },
  {
    name: 'a model that was asked for',
    filters: { requestModel: ['gpt-4o'] },
    fits: ({ genAi }) => genAi?.requestModel === 'gpt-4o',
  },
  {
    name: 'a model that answered',
    filters: { responseModel: ['gpt-4o-2024-08-06'] },
    fits: ({ genAi }) => genAi?.responseModel === 'gpt-4o-2024-08-06',
  },
  { name: 'no payload', filters: { hasPayload: false }, fits: ({ hasPayload }) => !hasPayload },
  { name: 'a payload', filters: { hasPayload: true }, fits: ({ hasPayload }) => hasPayload, none: true },
  {
    name: 'a user',
    filters: { attributes: { 'agentgateway.user': 'alice' } },
    fits: ({ user }) => user === 'alice',
  },
  {
    name: 'one of two users',
    filters: { attributes: { 'agentgateway.user': ['alice', 'bob'] } },
    fits: ({ user }) => user !== undefined,
  },
  {
    name: 'a user agent',
    filters: { attributes: { 'user_agent.name': 'openai-python' } },
    fits: ({ userAgent }) => userAgent === 'openai-python/1.2.3 (linux)',
  },
  {
    name: 'a group',
    filters: { attributes: { 'agentgateway.group': 'staff' } },
    fits: () => false,
    none: true,
  },
  { name: 'a protocol', filters: { protocol: ['mcp'] }, fits: ({ protocol }) => protocol === 'mcp' },
  {
    name: 'an outcome',
    filters: { outcome: ['client_abort'] },
    fits: ({ outcome }) => outcome === 'client_abort',
  },
  {
    name: "an error's type",
    filters: { errorType: ['provider_rate_limited'] },
    fits: ({ errorType }) => errorType === 'provider_rate_limited',
  },
  { name: 'a backend', filters: { backend: ['anthropic'] }, fits: ({ backend }) => backend === 'anthropic' },
  { name: 'a route', filters: { route: ['default/plain'] }, fits: ({ route }) => route === 'default/plain' },
  { name: 'a target', filters: { target: ['tools'] }, fits: ({ mcp }) => mcp?.target === 'tools' },
  {
    name: 'an operation',
    filters: { operation: ['tools/call echo'] },
    fits: ({ operation }) => operation === 'tools/call echo',
  },
  { name: 'failure', filters: { failed: true }, fits: ({ failed }) => failed },
  { name: 'success', filters: { failed: false }, fits: ({ failed }) => !failed },
  {
    name: 'a duration at least',
    filters: { minDurationMs: 100 },
    fits: ({ durationMs }) => durationMs >= 100,
  },
  { name: 'a duration at most', filters: { maxDurationMs: 5 }, fits: ({ durationMs }) => durationMs <= 5 },
  {
    name: 'a duration between',
    filters: { minDurationMs: 2, maxDurationMs: 100 },
    fits: ({ durationMs }) => durationMs >= 2 && durationMs <= 100,
  },
  { name: 'a text in the path', filters: { text: 'nowhere' }, fits: ({ path }) => path === '/nowhere' },
  { name: 'a text in capitals', filters: { text: 'NOWHERE' }, fits: ({ path }) => path === '/nowhere' },
  {
    name: "a text in a model's name",
    filters: { text: 'made-by-us' },
    fits: ({ genAi }) => genAi?.requestModel === 'made-by-us',
  },
  {
    name: "a text in a tool's name",
    filters: { text: 'greet' },
    fits: ({ mcp }) => mcp?.resource === 'greet',
  },
  {
    name: 'a text in the user agent',
    filters: { text: 'anthropic/js' },
    fits: ({ userAgent }) => holds('anthropic/js')(userAgent),
  },
  {
    name: 'a text in the error',
    filters: { text: 'rate limit' },
    fits: ({ error, attempts }) =>
      [error, ...attempts.map(({ errorMessage }) => errorMessage)].some(holds('rate limit')),
  },
  { name: 'a wildcard, taken at its word', filters: { text: '%' }, fits: () => false, none: true },
  { name: 'another wildcard', filters: { text: 'n_where' }, fits: () => false, none: true },
  { name: 'quotes', filters: { text: `'"; --` }, fits: () => false, none: true },
  {
    name: 'several things at once',
    filters: { provider: ['openai'], httpStatus: [200], failed: false, text: 'chat' },
    fits: ({ genAi, httpStatus, failed, path }) =>
      genAi?.providerName === 'openai' && httpStatus === 200 && !failed && path.includes('chat'),
  },
  { name: 'an empty list', filters: { provider: [] }, fits: () => false, none: true },
  { name: 'a value that never was', filters: { backend: ['nobody'] }, fits: () => false, none: true },
  { name: 'nothing', filters: {}, fits: () => true },
]

describe('filters', () => {
  test.each(FILTERS)('it finds by $name', async ({ filters, fits, none = false }) => {
    const expected = logs.filter(fits)
    expect(expected.length > 0).toBe(!none)
    expect(idsOf(await find(filters))).toEqual(idsOf(expected))
  })

  test('it finds by trace, by key and by each value of its own', async () => {
    for (const { id, traceId, key } of logs.slice(-30)) {
      expect(idsOf(await find({ traceId }))).toContain(id)
      if (key === undefined) continue
      const found = await find({ attributes: { 'agentgateway.key': key } })
      expect(found.every((one) => one.key === key)).toBe(true)
      expect(idsOf(found)).toContain(id)
    }
  })

  test('it finds every entry by its own type of error', async () => {
    for (const log of logs.filter(({ failed }) => failed)) {
      const found = await find({ errorType: [log.errorType ?? 'none'] })
      expect([log.operation, idsOf(found).includes(log.id)]).toEqual([log.operation, true])
    }
  })

  test('it tells two keys apart and the same key by the same name', () => {
    const keyOf = (user: string) =>
      logs.find((log) => log.user === user && log.genAi?.providerName === 'openai')?.key
    expect(keyOf('alice')).toMatch(/^[0-9a-f]{8}$/)
    expect(keyOf('alice')).not.toBe(keyOf('bob'))
    const others = logs.filter(({ protocol, user }) => protocol === 'llm' && user === undefined)
    expect(new Set(others.map(({ key }) => key)).size).toBe(1)
  })
})

describe('order and pages', () => {
  test('it has the newest first', () => {
    const times = logs.map(({ completedAt }) => completedAt)
    expect(times).toEqual(times.toSorted().toReversed())
    expect(new Set(times).size).toBeLessThan(logs.length)
  })

  test.each([1, 2, 7, 100, 500])('it pages by %i to the end without loss or duplicates', async (limit) => {
    expect(idsOf(await lab.client.all({ limit }))).toEqual(idsOf(logs))
  })

  test.each([3, 50])('it pages by %i through what a filter lets pass', async (limit) => {
    const filters = { httpStatus: [404] }
    expect(idsOf(await lab.client.all({ limit, filters }))).toEqual(
      idsOf(logs.filter(({ httpStatus }) => httpStatus === 404)),
    )
  })

  test('it has a hundred on a page when nothing is said', async () => {
    expect((await lab.client.search()).logs).toHaveLength(100)
    expect((await lab.client.search({ limit: 500 })).nextCursor).toBeNull()
  })

  test('it goes on where a page ended although newer requests came', async () => {
    const first = await lab.client.search({ limit: 10 })
    await call(lab, { path: '/nowhere', body: {} })
    const { logs: next } = await lab.client.search({ limit: 10, cursor: first.nextCursor ?? '' })
    expect(idsOf([...first.logs, ...next])).toEqual(idsOf(logs.slice(0, 20)))
  })

  test('it finds within a range, its beginning included and its end excluded', async () => {
    const oldest = logs.at(-1)
    const from = logs.at(-8)?.completedAt ?? ''
    const to = logs.at(-15)?.completedAt ?? ''
    const found = await lab.client.all({ timeRange: { from, to } })
    expect(idsOf(found)).toEqual(
      idsOf(logs.filter(({ completedAt }) => completedAt >= from && completedAt < to)),
    )
    expect(found.length).toBeGreaterThan(0)
    expect(idsOf(await lab.client.all({ timeRange: { to: oldest?.completedAt ?? '' } }))).toEqual([])
    const sinceOldest = await lab.client.all({ timeRange: { from: oldest?.completedAt ?? '' } })
    expect(sinceOldest.length).toBeGreaterThanOrEqual(logs.length)
  })

  test('it takes times of other zones', async () => {
    const to = logs.at(-15)?.completedAt ?? ''
    const inIndia = new Date(Date.parse(to) + 5.5 * 3_600_000).toISOString().replace('Z', '+05:30')
    expect(idsOf(await lab.client.all({ timeRange: { to: inIndia } }))).toEqual(
      idsOf(await lab.client.all({ timeRange: { to } })),
    )
  })
})

describe('what an entry tells', () => {
  test('it has attributes only when they are asked for', async () => {
    const plain = await lab.client.search({ limit: 5 })
    expect(plain.logs.every(({ attributes }) => attributes === undefined)).toBe(true)
    const { logs: told } = await lab.client.search({ limit: 5, includeAttributes: true })
    for (const { attributes, traceId } of told) {
      const line = lab.gateway.records().find((record) => record['trace.id'] === traceId)
      expect(attributes).toEqual(line)
    }
  })

  test('it opens what it found, and null for what there is not', async () => {
    const [newest] = logs
    const { log, spans } = await lab.client.log(newest?.id ?? '')
    expect(log).toMatchObject({ ...newest })
    expect(log?.attributes).toMatchObject({ 'trace.id': newest?.traceId })
    expect(spans.length).toBeGreaterThan(0)
    for (const id of ['unknown', '0'.repeat(20), `${newest?.id}x`, "' or 1=1 --"])
      expect(await lab.client.log(id)).toEqual({ log: null, spans: [] })
  })
})

describe('refusals', () => {
  const SEARCHES = ['/api/logs/search', '/api/logs/tail', '/api/traces/search']
  const ANALYTICS = '/api/logs/analytics/summary'

  test.each<{ name: string; body: unknown; says: RegExp; paths?: readonly string[] }>([
    { name: 'an unknown key', body: { limits: 5 }, says: /limits/ },
    { name: 'an unknown filter', body: { filters: { model: ['x'] } }, says: /model/ },
    { name: 'an unknown key of a range', body: { timeRange: { since: 'x' } }, says: /since/ },
    {
      name: 'an unknown attribute',
      body: { filters: { attributes: { 'http.method': 'GET' } } },
      says: /http\.method|agentgateway\.user/,
    },
    { name: 'a limit of none', body: { limit: 0 }, says: /limit/ },
    { name: 'a limit too high', body: { limit: 501 }, says: /limit/ },
    { name: 'a limit below none', body: { limit: -1 }, says: /limit/ },
    { name: 'half a limit', body: { limit: 1.5 }, says: /limit/ },
    { name: 'a limit in words', body: { limit: '10' }, says: /limit/ },
    { name: 'no filters', body: { filters: null }, says: /filters/ },
    { name: 'a filter that is no list', body: { filters: { provider: 'openai' } }, says: /provider/ },
    { name: 'a status in words', body: { filters: { httpStatus: ['200'] } }, says: /httpStatus/ },
    { name: 'a negative duration', body: { filters: { minDurationMs: -1 } }, says: /minDurationMs/ },
    { name: 'a cursor that is none', body: { cursor: 'abc' }, says: /cursor/ },
    { name: 'a cursor without an id', body: { cursor: '2026-01-31T12:00:00Z|' }, says: /cursor/ },
    { name: 'a cursor without a time', body: { cursor: 'yesterday|abc' }, says: /cursor/ },
    { name: 'an empty cursor', body: { cursor: '' }, says: /cursor/ },
    { name: 'a time that is none', body: { timeRange: { from: 'yesterday' } }, says: /from/ },
    { name: 'a day that is none', body: { timeRange: { from: '2026-02-31T00:00:00Z' } }, says: /from/ },
    { name: 'a time in numbers', body: { timeRange: { to: 1_700_000_000_000 } }, says: /to/ },
    {
      name: 'a range that ends before it begins',
      body: { timeRange: { from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' } },
      says: /from/,
    },
    {
      name: 'a range of nothing',
      body: { timeRange: { from: '2026-02-01T00:00:00Z', to: '2026-02-01T00:00:00Z' } },
      says: /from/,
    },
    { name: 'a list', body: [], says: /./ },
  ])('it refuses $name by name', async ({ body, says }) => {
    for (const path of SEARCHES) {
      const leave = AbortSignal.timeout(5000)
      const reply = await fetch(`${lab.gateway.adminUrl}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: leave,
      })
      expect([path, reply.status]).toEqual([path, 400])
      expect(((await reply.json()) as { error: string }).error).toMatch(says)
    }
  })

  test.each<{ name: string; body: unknown; says: RegExp }>([
    { name: 'an unknown field', body: { groupBy: [{ field: 'model' }] }, says: /field/ },
    {
      name: 'an attribute without its name',
      body: { groupBy: [{ field: 'attributes' }] },
      says: /key|groupBy/,
    },
    {
      name: 'an unknown attribute',
      body: { groupBy: [{ field: 'attributes', key: 'x' }] },
      says: /key|groupBy/,
    },
    { name: 'no buckets', body: { bucketCount: 0 }, says: /bucketCount/ },
    { name: 'too many buckets', body: { bucketCount: 501 }, says: /bucketCount/ },
    { name: 'buckets of no time', body: { bucketSeconds: 0 }, says: /bucketSeconds/ },
    { name: 'a filter that is none', body: { filters: { nothing: 1 } }, says: /nothing/ },
    {
      name: 'a range backwards',
      body: { timeRange: { from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' } },
      says: /from/,
    },
    {
      name: 'a range that begins in the future',
      body: { timeRange: { from: '2999-01-01T00:00:00Z' } },
      says: /from/,
    },
  ])('it refuses $name in a summary', async ({ body, says }) => {
    const { status, body: text } = await askApi(lab.gateway.adminUrl, ANALYTICS, body)
    expect(status).toBe(400)
    expect((JSON.parse(text) as { error: string }).error).toMatch(says)
  })

  test.each<{ filters: ApiFilters }>([
    { filters: { traceId: '0' } },
    { filters: { text: 'x' } },
    { filters: { hasPayload: true } },
    { filters: { minDurationMs: 5 } },
    { filters: { maxDurationMs: 5 } },
  ])('it heeds or refuses $filters in a summary, and never passes over it', async ({ filters }) => {
    const { status, body } = await askApi(lab.gateway.adminUrl, ANALYTICS, { filters })
    const fitting = (await find(filters)).length
    const [name = ''] = Object.keys(filters)
    if (status === 200) expect(JSON.parse(body)).toMatchObject({ total: { requests: fitting } })
    else expect([status, body]).toEqual([400, expect.stringContaining(name)])
  })

  test('it refuses to open nothing', async () => {
    for (const body of [{}, { id: '' }, { id: 5 }, { id: 'x', more: true }])
      expect((await askApi(lab.gateway.adminUrl, '/api/logs/get', body)).status).toBe(400)
  })
})

test('it keeps a page small in time although nothing fits', async () => {
  const search: LogsSearch = { filters: { text: 'never there' } }
  const reply = await askApi(lab.gateway.adminUrl, '/api/logs/search', search)
  expect((JSON.parse(reply.body) as LogsFound).logs).toEqual([])
})
