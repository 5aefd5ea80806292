/** What expressions in the configuration make of log, metrics and traces, from a request to the line, the sample and the span. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { LogGot } from '../src/admin/api-types.ts'
import { loadConfig } from '../src/config/load.ts'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { askFor, clientOf } from './admin/lab.fixture.ts'
import { type Collector, startCollector } from './support/collector.ts'
import { chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { send, sendJson } from './support/wire.ts'

let provider: SimulatedProvider
let collector: Collector
const opened: RunningGateway[] = []

beforeAll(async () => {
  provider = await startSimulatedOpenAI()
  collector = await startCollector()
})

afterEach(async () => {
  for (const gateway of opened.splice(0)) await gateway.close()
})

afterAll(async () => {
  await provider.close()
  await collector.close()
})

const KEYS = {
  keys: [
    { key: 'key-of-red', metadata: { user: 'ann', team: 'red' } },
    { key: 'key-of-blue', metadata: { user: 'bob', team: 'blue' } },
  ],
  location: { header: { name: 'x-caller' } },
}

const yaml = (more: Readonly<Record<string, unknown>>) =>
  gatewayWith(
    [
      {
        name: 'plain',
        matches: under('/plain'),
        policies: { directResponse: { status: 204, headers: { 'x-made': '"here"' } } },
      },
      {
        name: 'chat',
        matches: under('/v1'),
        policies: { apiKey: KEYS },
        backends: [openAIBackend(provider)],
      },
    ],
    more,
  )

async function run(more: Readonly<Record<string, unknown>>): Promise<RunningGateway> {
  const gateway = await runGateway(yaml(more))
  opened.push(gateway)
  return gateway
}

async function reload({ gateway }: RunningGateway, more: Readonly<Record<string, unknown>>): Promise<void> {
  const loaded = loadConfig({ text: yaml(more), file: 'test.yaml', environment: {} })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  await gateway.reload(loaded.config)
}

const chat = (gateway: RunningGateway, key = 'key-of-red', headers: Readonly<Record<string, string>> = {}) =>
  sendJson(`${gateway.url}/v1/chat/completions`, chatBody(), {
    'x-caller': key,
    authorization: 'Bearer sk-test',
    ...headers,
  })

describe.each([
  {
    name: 'frontendPolicies.accessLog',
    of: (filter: string, add: object, remove: readonly string[]) => ({
      frontendPolicies: { accessLog: { filter, add, remove } },
    }),
  },
  {
    name: 'frontendPolicies.logging',
    of: (filter: string, add: object, remove: readonly string[]) => ({
      frontendPolicies: { logging: { filter, add, remove } },
    }),
  },
  {
    name: 'config.logging',
    of: (filter: string, add: object, remove: readonly string[]) => ({
      config: { logging: { filter, fields: { add, remove } } },
    }),
  },
])('$name', ({ of }) => {
  test('says which requests get a line, and what it tells', async () => {
    const gateway = await run(
      of(
        'request.path != "/plain/quiet" && request.headers["x-seen"] == "yes"',
        {
          team: 'apiKey.team',
          caller: 'request.headers["x-caller"]',
          made: 'response.headers["x-made"]',
          code: 'response.code',
          tokens: 'llm.totalTokens',
          'http.path': '"(" + request.path + ")"',
          route: 'jwt.route',
        },
        ['src.addr', 'span.id'],
      ),
    )
    const seen = { 'x-seen': 'yes' }
    await send(`${gateway.url}/plain/quiet`, { headers: seen })
    await send(`${gateway.url}/plain`)
    await send(`${gateway.url}/plain`, { headers: seen })
    await chat(gateway, 'key-of-blue', seen)
    await chat(gateway, 'nobody', seen)
    await send(`${gateway.url}/nowhere`, { headers: seen })
    const records = await gateway.recorded(4)
    const told = records.map(({ team, caller, made, code, tokens, 'http.path': path }) => ({
      ...{ team, caller, made, code, path },
      hasTokens: Number(tokens) > 0,
    }))
    expect(told).toEqual([
      { made: 'here', code: 204, path: '(/plain)', hasTokens: false },
      { team: 'blue', code: 200, path: '(/v1/chat/completions)', hasTokens: true },
      { code: 401, path: '(/v1/chat/completions)', hasTokens: false },
      { code: 404, path: '(/nowhere)', hasTokens: false },
    ])
    for (const record of records)
      for (const name of ['src.addr', 'span.id', 'route']) expect(record).not.toHaveProperty([name])
    // Metrics tell of every request.
    expect(await gateway.metric('agentgateway_requests_total')).toBe(6)
    expect(gateway.records()).toHaveLength(4)
  })
})

test('an expression that fails costs its field, and is told once, at debug', async () => {
  const gateway = await run({
    config: { logging: { level: 'debug' } },
    frontendPolicies: { accessLog: { add: { claim: 'jwt.sub', path: 'request.path' } } },
  })
  for (let round = 0; round < 3; round++) await send(`${gateway.url}/plain`)
  const records = await gateway.recorded(3)
  expect(records.map(({ claim, path }) => [claim, path])).toEqual(Array(3).fill([undefined, '/plain']))
  const told = gateway.log().match(/.*an expression has no value.*/g)
  expect(told?.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({
      level: 'debug',
      place: 'access log.claim',
      problem: expect.stringContaining('jwt'),
    }),
  ])
})

describe('labels', () => {
  const labels = (add: object) => ({ config: { metrics: { fields: { add } } } })

  test('tell requests, models and times apart', async () => {
    const gateway = await run(labels({ team: 'apiKey.team', code: 'response.code' }))
    await chat(gateway, 'key-of-red')
    await chat(gateway, 'key-of-blue')
    await chat(gateway, 'key-of-blue')
    await chat(gateway, 'nobody')
    await gateway.recorded(4)
    const count = (team: string, name = 'agentgateway_requests_total') => gateway.metric(name, { team })
    expect([await count('red'), await count('blue'), await count('unknown')]).toEqual([1, 2, 1])
    expect(await gateway.metric('agentgateway_requests_total', { code: '401', status: '401' })).toBe(1)
    const models = 'agentgateway_gen_ai_server_request_duration_count'
    expect([await count('red', models), await count('blue', models)]).toEqual([1, 2])
    expect(await gateway.metric(models)).toBe(3)
    expect(await count('blue', 'agentgateway_overhead_seconds_count')).toBe(2)
  })

  test('that are too many overflow, and the log says so once', async () => {
    const gateway = await run(labels({ agent: 'request.headers["x-agent"]' }))
    for (let index = 0; index < 102; index++)
      await send(`${gateway.url}/plain`, { headers: { 'x-agent': `agent-${index}` } })
    await gateway.recorded(102)
    expect(await gateway.metric('agentgateway_requests_total')).toBe(102)
    expect(await gateway.metric('agentgateway_requests_total', { agent: '_overflow' })).toBe(2)
    expect(await gateway.metric('agentgateway_metric_label_overflow_total', { label: 'agent' })).toBe(2)
    expect(gateway.log().match(/more values than it may/g)).toHaveLength(1)
  })

  test('get other expressions by a reload; which there are stays', async () => {
    const gateway = await run(labels({ team: '"old"', kept: '"kept"' }))
    await send(`${gateway.url}/plain`)
    await reload(gateway, labels({ team: '"new"', other: '"other"' }))
    await send(`${gateway.url}/plain`)
    await gateway.recorded(2)
    const count = (team: string) => gateway.metric('agentgateway_requests_total', { team, kept: 'kept' })
    expect([await count('old'), await count('new')]).toEqual([1, 1])
    expect(await gateway.metrics()).not.toContain('other="')
    expect(gateway.log()).toContain('config.metrics.fields.add.kept, config.metrics.fields.add.other')
  })
})

test('a reload exchanges filter and fields, also for a request that is under way', async () => {
  const add = (a: string) => ({ frontendPolicies: { accessLog: { add: { a } } } })
  const gateway = await run(add('"old"'))
  await send(`${gateway.url}/plain`)
  await reload(gateway, add('"new " + request.path'))
  await send(`${gateway.url}/plain`)
  await reload(gateway, {})
  await send(`${gateway.url}/plain`)
  const records = await gateway.recorded(3)
  expect(records.map(({ a }) => a)).toEqual(['old', 'new /plain', undefined])
  expect(gateway.log()).not.toContain('at the next start')
})

describe('traces', () => {
  const spansOf = (route: string, count: number) =>
    collector
      .waitFor((spans) => spans.filter((span) => span.attributes['test.run'] === route).length >= count)
      .then((spans) => spans.filter((span) => span.attributes['test.run'] === route))

  test('have attributes by expressions, a name, a filter and a resource', async () => {
    const gateway = await run({
      frontendPolicies: {
        tracing: {
          host: `127.0.0.1:${collector.port}`,
          randomSampling: true,
          filter: 'request.headers["x-quiet"] != "1"',
          attributes: {
            'test.run': '"attributes"',
            'span.name': 'request.method + " of " + apiKey.team',
            team: 'apiKey.team',
            tokens: 'llm.totalTokens',
            list: '["a", "b"]',
            'url.path': '"hidden"',
            'agentgateway.bind': 'jwt.absent',
          },
          remove: ['client.address', 'server.address'],
          resources: { zone: '"z-" + string(1)' },
        },
      },
    })
    const send = (quiet: string) => chat(gateway, 'key-of-red', { 'x-quiet': quiet })
    await send('1')
    await send('0')
    await gateway.recorded(2)
    opened.splice(0)
    await gateway.close()
    const [server, ...others] = await spansOf('attributes', 1)
    expect(others).toEqual([])
    expect(server).toMatchObject({
      kind: 'server',
      name: 'POST of red',
      attributes: { team: 'red', list: '["a","b"]', 'url.path': 'hidden' },
      resource: { zone: 'z-1' },
    })
    expect(Number(server?.attributes.tokens)).toBeGreaterThan(0)
    for (const name of ['client.address', 'server.address', 'agentgateway.bind', 'span.name'])
      expect(server?.attributes).not.toHaveProperty([name])
    const tree = collector.spans.filter(({ traceId }) => traceId === server?.traceId)
    expect(tree).toHaveLength(3)
    for (const { attributes } of tree) expect(attributes).not.toHaveProperty(['server.address'])
  })

  test('are sampled by expressions of the head, which a reload exchanges', async () => {
    const tracing = (randomSampling: string, fields: object) => ({
      config: {
        tracing: {
          otlpEndpoint: collector.url,
          randomSampling,
          clientSampling: 'request.path == "/plain"',
          fields,
        },
      },
    })
    const fields = (run: string) => ({ add: { 'test.run': `"${run}"`, path: 'request.path' } })
    const gateway = await run(tracing('request.headers["x-debug"] == "1"', fields('before')))
    const ask = (path: string, headers: Readonly<Record<string, string>>) =>
      send(`${gateway.url}${path}`, { headers })
    await ask('/plain/a', { 'x-debug': '1' })
    await ask('/plain/b', { 'x-debug': '0' })
    await ask('/plain/c', {})
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    await ask('/plain', { traceparent })
    await ask('/plain/d', { traceparent, 'x-debug': '1' })
    await gateway.recorded(5)
    await reload(gateway, tracing('request.path.endsWith("b") ? 1.0 : 0.0', fields('after')))
    await ask('/plain/a', { 'x-debug': '1' })
    await ask('/plain/b', { 'x-debug': '0' })
    await gateway.recorded(7)
    expect(gateway.log()).not.toContain('at the next start')
    opened.splice(0)
    await gateway.close()
    const paths = async (run: string, count: number) =>
      (await spansOf(run, count)).map(({ attributes }) => attributes.path).toSorted()
    expect(await paths('before', 2)).toEqual(['/plain', '/plain/a'])
    expect(await paths('after', 1)).toEqual(['/plain/b'])
  })
})

test('a reload with a collector that is none is refused, and changes nothing', async () => {
  const gateway = await run({ frontendPolicies: { accessLog: { add: { a: '"old"' } } } })
  await expect(
    reload(gateway, {
      config: { tracing: { otlpEndpoint: 'ftp://x' } },
      frontendPolicies: { accessLog: { add: { a: '"new"' } } },
    }),
  ).rejects.toThrow(/expected http:/)
  await send(`${gateway.url}/plain`)
  expect(await gateway.recorded(1)).toMatchObject([{ a: 'old' }])
})

test('the database keeps what it is told to, and the console shows it; the line does not', async () => {
  const accessLog = (add: object) => ({
    config: { database: { url: 'sqlite::memory:' } },
    frontendPolicies: { accessLog: { database: { add } } },
  })
  const gateway = await run(
    accessLog({ team: 'apiKey.team', cost: 'llm.totalTokens * 2', 'http.status': '"mine"' }),
  )
  await chat(gateway)
  const kept = async () => {
    const admin = clientOf(gateway.adminUrl)
    const found = await admin.search({ includeAttributes: true })
    const [{ id } = { id: '' }] = found.logs
    const { log } = await askFor<LogGot>(gateway.adminUrl, '/api/logs/get', { id })
    expect(log?.attributes).toEqual(found.logs[0]?.attributes)
    return log?.attributes
  }
  const tokens = 2 * (await gateway.metric('agentgateway_gen_ai_client_token_usage_sum'))
  expect(await kept()).toMatchObject({
    team: 'red',
    cost: tokens,
    'http.status': 'mine',
    route: expect.any(String),
  })
  const [line] = await gateway.recorded(1)
  expect(line).toMatchObject({ 'http.status': 200 })
  expect(line).not.toHaveProperty('team')

  await reload(gateway, accessLog({ agent: 'request.headers["x-agent"]' }))
  await chat(gateway, 'key-of-blue', { 'x-agent': 'tests' })
  await gateway.recorded(2)
  const attributes = await kept()
  expect(attributes).toMatchObject({ agent: 'tests' })
  expect(attributes).not.toHaveProperty('team')
})

test('the database keeps the requests that it is told to, and no others; a reload says which', async () => {
  const keeping = (database: object) => ({
    config: { database: { url: 'sqlite::memory:' } },
    frontendPolicies: { accessLog: { database } },
  })
  const gateway = await run(keeping({ filter: 'request.headers["x-agent"] == "tests"' }))
  const kept = async () => (await clientOf(gateway.adminUrl).search()).logs.length
  await chat(gateway, 'key-of-red', { 'x-agent': 'tests' })
  await chat(gateway, 'key-of-red', { 'x-agent': 'others' })
  await chat(gateway)
  await gateway.recorded(3)
  expect(await kept()).toBe(1)
  expect(await gateway.metric('agentgateway_requests_total')).toBe(3)

  await reload(gateway, keeping({ filter: 'response.code >= 400' }))
  await chat(gateway, 'key-of-red', { 'x-agent': 'tests' })
  await chat(gateway, 'no key of ours')
  await gateway.recorded(5)
  expect(await kept()).toBe(2)

  await reload(gateway, keeping({}))
  await chat(gateway)
  await gateway.recorded(6)
  expect(await kept()).toBe(3)
})

test('a filter of the database that cannot be is refused at its place', () => {
  const text = yaml({ frontendPolicies: { accessLog: { database: { filter: 'request.body' } } } })
  const loaded = loadConfig({ text, file: 'test.yaml', environment: {} })
  expect(loaded.ok ? [] : loaded.problems).toMatchObject([
    { path: 'frontendPolicies.accessLog.database.filter' },
  ])
})

test.each([
  ['an expression that cannot be', { a: 'no such' }, 'frontendPolicies.accessLog.database.add.a'],
  ['what is no finished request’s', { a: 'request.body' }, 'frontendPolicies.accessLog.database.add.a'],
  [
    'more than there is room for',
    Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`a${index}`, '1'])),
    'frontendPolicies.accessLog.database.add',
  ],
])('the database is not told to keep %s', (_name, add, path) => {
  const text = yaml({ frontendPolicies: { accessLog: { database: { add } } } })
  const loaded = loadConfig({ text, file: 'test.yaml', environment: {} })
  expect(loaded.ok ? [] : loaded.problems).toMatchObject([{ path }])
})
