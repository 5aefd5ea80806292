/** Metrics, spans and access log after a day's worth of everything: they tell of each message alike, and count alike. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Collector, type Span, startCollector } from '../support/collector.ts'
import { freePort } from '../support/free-port.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { connectClient, stdioTarget } from '../support/mcp.ts'
import {
  callOf,
  eventually,
  initialize,
  type Json,
  type Lab,
  post,
  postRaw,
  request,
  startLab,
} from '../support/mcp-lab.ts'
import { childrenOf, modern, STDIO_SERVER } from './lab.fixture.ts'

/** What is to be told of one message. */
interface Expected {
  readonly method: string
  readonly target?: string
  readonly type?: 'tool' | 'prompt' | 'resource'
  /** As its server knows it. */
  readonly name?: string
  /** The client's own words: no label. */
  readonly isMadeUp?: true
  /** One of them, where it depends on the time. */
  readonly errors?: readonly string[]
  /** A notification. */
  readonly isNotification?: true
  /** Nobody waits for an answer any more. */
  readonly isUnanswered?: true
}

interface Told {
  readonly expected: Expected
  readonly traceId: string
}

interface Act extends Expected {
  readonly params?: Json
  readonly times?: number
}

const tool = (target: string, name: string, more: Partial<Act> = {}): Act => ({
  method: 'tools/call',
  params: { name: `${target}_${name}`, arguments: {} },
  target,
  type: 'tool',
  name,
  ...more,
})

/** What both clients do. */
const COMMON: readonly Act[] = [
  { method: 'tools/list', times: 2 },
  { method: 'prompts/list' },
  { method: 'resources/list' },
  { method: 'resources/templates/list' },
  tool('one', 'echo', { times: 3 }),
  tool('two', 'echo', { times: 2 }),
  tool('pipe', 'meta', { times: 2 }),
  tool('one', 'fail', { errors: ['tool_error'], times: 2 }),
  tool('pipe', 'fail', { errors: ['tool_error'] }),
  tool('two', 'throw', { errors: ['mcp_error'], times: 2 }),
  tool('pipe', 'throw', { errors: ['mcp_error'] }),
  tool('one', 'roots', { errors: ['denied'], times: 2 }),
  tool('one', 'made_up', { errors: ['invalid_request', 'mcp_error'], isMadeUp: true }),
  {
    method: 'tools/call',
    params: { name: 'nobody_made_up', arguments: {} },
    type: 'tool',
    errors: ['invalid_request'],
  },
  { method: 'tools/call', params: { arguments: {} }, errors: ['invalid_request'] },
  tool('dead', 'echo', { errors: ['transport_error', 'unavailable'], isMadeUp: true, times: 2 }),
  tool('two', 'hang', { errors: ['timeout'] }),
  {
    method: 'resources/read',
    params: { uri: 'one+memo:status' },
    target: 'one',
    type: 'resource',
    name: 'memo:status',
    times: 2,
  },
  {
    method: 'resources/read',
    params: { uri: 'two+memo:none' },
    target: 'two',
    type: 'resource',
    name: 'memo:none',
    isMadeUp: true,
    // Where there are rules, what is not listed is as unknown as what is denied.
    errors: ['mcp_error', 'invalid_request'],
  },
  { method: 'prompts/get', params: { name: 'two_greet' }, target: 'two', type: 'prompt', name: 'greet' },
  { method: 'made/up', errors: ['invalid_request', 'mcp_error'] },
]

let one: Lab
let two: Lab
let collector: Collector
let gateway: RunningGateway
let metrics: string
let spans: readonly Span[] = []
/** By the gateway's own count. */
let openSessions: { readonly during: number; readonly after: number }
let inFlight: number
let exchanges: number
const told: Told[] = []

/** Adds what is to be expected of a message, and gives the answer's trace. */
const note = (expected: Expected, answer: { readonly headers: Headers }) => {
  told.push({ expected, traceId: answer.headers.get('x-trace-id') ?? 'none' })
}

async function stateful(url: string) {
  let requests = 0
  const begun = await post(url, initialize())
  note({ method: 'initialize' }, begun)
  const session = {
    'mcp-session-id': begun.headers.get('mcp-session-id') ?? '',
    'mcp-protocol-version': '2025-11-25',
  }
  const notify = async (method: string, params: Json = {}) =>
    note({ method, isNotification: true }, await post(url, { jsonrpc: '2.0', method, params }, session))
  await notify('notifications/initialized')
  requests += 2
  let id = 0
  for (const { times = 1, params, ...expected } of COMMON)
    for (let index = 0; index < times; index++) {
      note(expected, await post(url, request(++id, expected.method, params), session))
      requests++
    }
  note({ method: 'ping' }, await post(url, request(++id, 'ping'), session))
  note(
    { method: 'resources/subscribe', target: 'one', type: 'resource', name: 'memo:status' },
    await post(url, request(++id, 'resources/subscribe', { uri: 'one+memo:status' }), session),
  )
  note(
    { method: 'logging/setLevel' },
    await post(url, request(++id, 'logging/setLevel', { level: 'debug' }), session),
  )
  await notify('notifications/roots/list_changed')
  requests += 4

  // Cancelled by the client: it gets no answer.
  const cancelled = postRaw(url, callOf('c', 'one_hold', { label: 'cancelled' }), session)
  await one.happened(/^called hold/)
  await notify('notifications/cancelled', { requestId: 'c', reason: 'enough' })
  const response = await cancelled
  await response.text()
  note(
    {
      method: 'tools/call',
      target: 'one',
      type: 'tool',
      name: 'hold',
      errors: ['cancelled'],
      isUnanswered: true,
    },
    response,
  )
  requests += 2

  // The client leaves, and the call goes on.
  const leave = new AbortController()
  const left = await postRaw(url, callOf('l', 'two_hold', { label: 'left' }), session, {
    signal: leave.signal,
  })
  await two.happened(/^called hold/)
  note({ method: 'tools/call', target: 'two', type: 'tool', name: 'hold' }, left)
  leave.abort()
  await left.text().catch(() => {})
  two.release('left')
  requests++
  return { session, requests }
}

async function batch(url: string) {
  const begun = await post(url, {
    ...initialize(),
    params: { ...initialize().params, protocolVersion: '2025-03-26' },
  })
  note({ method: 'initialize' }, begun)
  const session = {
    'mcp-session-id': begun.headers.get('mcp-session-id') ?? '',
    'mcp-protocol-version': '2025-03-26',
  }
  const answer = await post(
    url,
    [callOf(1, 'one_echo'), { jsonrpc: '2.0', method: 'notifications/initialized' }, callOf(2, 'two_throw')],
    session,
  )
  note(tool('one', 'echo'), answer)
  note({ method: 'notifications/initialized', isNotification: true }, answer)
  note(tool('two', 'throw', { errors: ['mcp_error'] }), answer)
  return { session, requests: 2, traceId: answer.headers.get('x-trace-id') ?? 'none' }
}

async function stateless(url: string) {
  let requests = 0
  let id = 0
  const ask = (method: string, params: Json = {}, more: RequestInit = {}) => {
    const { message, headers } = modern(++id, method, params)
    requests++
    return postRaw(url, message, headers, more)
  }
  const answered = async (method: string, params?: Json) => {
    const response = await ask(method, params)
    await response.text()
    return response
  }
  note({ method: 'server/discover' }, await answered('server/discover'))
  for (const { times = 1, params, ...expected } of COMMON)
    for (let index = 0; index < times; index++) note(expected, await answered(expected.method, params))
  // A client without a session that leaves gives its call up.
  const leave = new AbortController()
  const calls = two.events.filter((event) => event === 'called hold').length
  const left = await ask(
    'tools/call',
    { name: 'two_hold', arguments: { label: 'given up' } },
    { signal: leave.signal },
  )
  await eventually(
    () => two.events.filter((event) => event === 'called hold').length,
    (count) => count > calls,
  )
  note(tool('two', 'hold', { errors: ['cancelled'], isUnanswered: true }), left)
  leave.abort()
  await left.text().catch(() => {})
  return { requests }
}

let batchTrace: string

beforeAll(async () => {
  one = await startLab({ name: 'one' })
  two = await startLab({ name: 'two' })
  collector = await startCollector()
  gateway = await runGateway(`
config: {tracing: {otlpEndpoint: "${collector.url}", randomSampling: true}}
mcp:
  port: 0
  policies:
    mcpAuthorization: {rules: [{deny: 'mcp.tool.name == "roots"'}]}
  targets:
  - {name: one, mcp: {host: "${one.url}"}}
  - {name: two, mcp: {host: "${two.url}"}, requestTimeout: 1s}
  - {name: pipe, ${stdioTarget(STDIO_SERVER)}}
  - {name: dead, mcp: {host: "http://127.0.0.1:${await freePort()}/mcp"}}
`)
  const url = `${gateway.url}/mcp`
  const [first, second, third] = await Promise.all([stateful(url), batch(url), stateless(url)])
  batchTrace = second.traceId
  const during = await gateway.metric('agentgateway_mcp_sessions_active')
  for (const { session } of [first, second])
    await fetch(url, { method: 'DELETE', headers: session }).then((response) => response.text())
  exchanges = first.requests + second.requests + third.requests + 2
  await gateway.recorded(exchanges)
  inFlight = await eventually(
    () => gateway.metric('agentgateway_requests_in_flight'),
    (count) => count === 0,
  )
  openSessions = { during, after: await gateway.metric('agentgateway_mcp_sessions_active') }
  metrics = await gateway.metrics()
  await gateway.close()
  spans = collector.spans
})
afterAll(async () => {
  await Promise.all([one?.stop(), two?.stop(), collector?.close()])
})

interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

function samplesOf(name: string): Sample[] {
  return metrics.split('\n').flatMap((line) => {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) return []
    const labels = Object.fromEntries(
      [...line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [label, value] as const),
    ) as Record<string, string>
    return [{ labels, value: Number(line.split(' ').at(-1)) }]
  })
}

const sum = (samples: readonly Sample[]) => samples.reduce((total, { value }) => total + value, 0)

function counted(name: string, by: readonly string[]): Record<string, number> {
  const all: Record<string, number> = {}
  for (const { labels, value } of samplesOf(name)) {
    const key = by.map((label) => labels[label]).join(' ')
    all[key] = (all[key] ?? 0) + value
  }
  return all
}

function tally(keys: readonly string[]): Record<string, number> {
  const all: Record<string, number> = {}
  for (const key of keys) all[key] = (all[key] ?? 0) + 1
  return all
}

const recordOf = (traceId: string) => gateway.records().find((record) => record['trace.id'] === traceId)
const serverOf = (traceId: string) => spans.find((span) => span.kind === 'server' && span.traceId === traceId)
const isOfBatch = ({ traceId }: Told) => traceId === batchTrace

/** What the log says went wrong, else nothing. */
const errorOf = (traceId: string) => recordOf(traceId)?.['mcp.error.type'] as string | undefined
/** Of a batch the log tells of one message only. */
const errorTold = (one: Told) =>
  isOfBatch(one) ? (one.expected.errors?.[0] ?? 'none') : (errorOf(one.traceId) ?? 'none')

const labelOf = ({ name, isMadeUp }: Expected) => (name === undefined || isMadeUp ? 'unknown' : name)
const statusOf = (errorType: string) =>
  errorType === 'none' ? 'ok' : errorType === 'denied' ? 'denied' : 'error'
const knownMethod = ({ method }: Expected) => (method === 'made/up' ? '_other' : method)
/** What is there must not be told from what is denied, but counts apart. */
const hasReached = (errorType: string) => !['denied', 'invalid_request'].includes(errorType)

describe('the access log', () => {
  test('it has one line for each request, and one for each session that ended', () => {
    expect(gateway.records()).toHaveLength(exchanges)
    expect(told.filter(({ traceId }) => recordOf(traceId) === undefined)).toEqual([])
  })

  test('it tells of every message what it was', () => {
    const seen = told.filter((message) => !isOfBatch(message))
    const lines = seen.map(({ traceId, expected }) => {
      const record = recordOf(traceId)
      return {
        expected,
        method: record?.['mcp.method.name'],
        target: record?.['mcp.target'],
        type: record?.['mcp.resource.type'],
        name: record?.['gen_ai.tool.name'] ?? record?.['gen_ai.prompt.name'] ?? record?.['mcp.resource.uri'],
      }
    })
    expect(lines).toEqual(
      seen.map(({ expected }) => ({
        expected,
        method: expected.method,
        target: expected.target,
        type: expected.type,
        name: expected.name,
      })),
    )
  })

  test('it tells of every message why it failed', () => {
    const seen = told.filter((message) => !isOfBatch(message))
    expect(seen.map(({ traceId, expected }) => ({ expected, error: errorOf(traceId) }))).toEqual(
      seen.map(({ expected }) => ({
        expected,
        error: expected.errors === undefined ? undefined : expect.toBeOneOf([...expected.errors]),
      })),
    )
  })

  test('it tells of a batch how many messages it had, and of the first that failed', () => {
    expect(recordOf(batchTrace)).toMatchObject({
      'mcp.messages': 3,
      'mcp.method.name': 'tools/call',
      'mcp.target': 'two',
      'gen_ai.tool.name': 'throw',
      'mcp.error.type': 'mcp_error',
      'mcp.error.code': -32050,
    })
  })
})

describe('the spans', () => {
  test('it has one SERVER span for each line, with the ids of that line', () => {
    const servers = spans.filter(({ kind }) => kind === 'server')
    expect(servers.map(({ traceId, spanId }) => `${traceId} ${spanId}`).sort()).toEqual(
      gateway
        .records()
        .map((record) => `${record['trace.id']} ${record['span.id']}`)
        .sort(),
    )
  })

  test('it says on them what the lines say', () => {
    const pairs = gateway.records().map((record) => ({
      record,
      span: serverOf(String(record['trace.id']))?.attributes ?? {},
    }))
    const fields = [
      ['mcp.method.name', 'mcp.method.name'],
      ['mcp.target', 'agentgateway.mcp.target'],
      ['gen_ai.tool.name', 'gen_ai.tool.name'],
      ['gen_ai.prompt.name', 'gen_ai.prompt.name'],
      ['mcp.resource.uri', 'mcp.resource.uri'],
      ['mcp.session.id', 'mcp.session.id'],
      ['http.status', 'http.response.status_code'],
      ['outcome', 'agentgateway.outcome'],
    ] as const
    for (const [field, attribute] of fields)
      expect(pairs.map(({ span }) => [attribute, span[attribute]])).toEqual(
        pairs.map(({ record }) => [attribute, record[field]]),
      )
  })

  test('it has the error of the line on the SERVER span', () => {
    const seen = told.map(({ traceId }) => traceId)
    // A client that leaves is the request's affair, not the operation's.
    expect(seen.map((traceId) => serverOf(traceId)?.attributes['error.type'])).toEqual(
      seen.map((traceId) => errorOf(traceId) ?? recordOf(traceId)?.error_type),
    )
  })

  test('it has a CLIENT span of each call that reached a target, with the same error', () => {
    const calls = told.filter(
      (message) =>
        !isOfBatch(message) && message.expected.name !== undefined && hasReached(errorTold(message)),
    )
    const seen = calls.map(({ traceId, expected }) => {
      const server = serverOf(traceId)
      const own = childrenOf(spans, server).filter(
        ({ attributes, name }) =>
          name === server?.name && attributes['agentgateway.mcp.target'] === expected.target,
      )
      // What is known to be away is not asked.
      const isCalled = own.length === 1 || (own.length === 0 && expected.target === 'dead')
      return { expected, isCalled, errors: own.map(({ attributes }) => attributes['error.type']) }
    })
    expect(seen).toEqual(
      calls.map(({ traceId, expected }, index) => ({
        expected,
        isCalled: true,
        errors: seen[index]?.errors.map(() => errorOf(traceId)),
      })),
    )
  })
})

describe('the metrics', () => {
  test('it counts every message by method, target, name, status and error type', () => {
    expect(
      counted('agentgateway_mcp_requests_total', ['method', 'server', 'resource', 'status', 'error_type']),
    ).toEqual(
      tally(
        told.map((message) => {
          const { expected } = message
          const error = errorTold(message)
          return [
            knownMethod(expected),
            expected.target ?? 'unknown',
            labelOf(expected),
            statusOf(error),
            error,
          ].join(' ')
        }),
      ),
    )
  })

  test('it times every request that was answered', () => {
    expect(
      counted('agentgateway_mcp_request_duration_seconds_count', ['method', 'server', 'status']),
    ).toEqual(
      tally(
        told
          .filter(({ expected: { isNotification, isUnanswered } }) => !isNotification && !isUnanswered)
          .map((message) =>
            [
              knownMethod(message.expected),
              message.expected.target ?? 'unknown',
              statusOf(errorTold(message)),
            ].join(' '),
          ),
      ),
    )
  })

  const reached = (method: string) =>
    told.filter(
      (message) =>
        message.expected.method === method &&
        message.expected.target !== undefined &&
        hasReached(errorTold(message)),
    )
  const placeOf = ({ expected }: Told) => `${expected.target} ${labelOf(expected)}`

  test('it counts the tools that were called, and those that failed', () => {
    expect(counted('tool_calls_total', ['server', 'name'])).toEqual(tally(reached('tools/call').map(placeOf)))
    expect(counted('tool_call_errors_total', ['server', 'name', 'error_type'])).toEqual(
      tally(
        reached('tools/call')
          .filter((message) => errorTold(message) !== 'none')
          .map((message) => `${placeOf(message)} ${errorTold(message)}`),
      ),
    )
  })

  test.each([
    { family: 'read_resource_calls_total', labels: ['server', 'uri'], method: 'resources/read' },
    { family: 'get_prompt_calls_total', labels: ['server', 'name'], method: 'prompts/get' },
  ])('it counts $method in $family', ({ family, labels, method }) => {
    expect(counted(family, labels)).toEqual(tally(reached(method).map(placeOf)))
  })

  test('it counts the lists', () => {
    expect(counted('list_calls_total', ['resource_type'])).toEqual({
      tool: 4,
      prompt: 2,
      resource: 2,
      resource_template: 2,
    })
  })

  test('it counts as many requests as there are lines', () => {
    expect(sum(samplesOf('agentgateway_requests_total'))).toBe(exchanges)
    expect(sum(samplesOf('agentgateway_request_duration_seconds_count'))).toBe(exchanges)
    expect(counted('agentgateway_requests_total', ['status', 'outcome', 'error_type'])).toEqual(
      tally(
        gateway
          .records()
          .map((record) => `${record['http.status']} ${record.outcome} ${record.error_type ?? 'none'}`),
      ),
    )
  })

  test('it is back to nothing in flight and no session', () => {
    expect(inFlight).toBe(0)
    expect(openSessions).toEqual({ during: 2, after: 0 })
  })

  test('it makes no label of what a client made up', () => {
    expect(metrics).not.toMatch(/made.?up/)
  })
})

test('it counts the same whether a client speaks streamable HTTP or SSE', async () => {
  const other = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: one, mcp: {host: "${one.url}"}}
  - {name: two, mcp: {host: "${two.url}"}}
`)
  const families = ['agentgateway_mcp_requests_total', 'agentgateway_mcp_request_duration_seconds_count']
  const seen = []
  let before: Record<string, number> = {}
  for (const transport of ['streamable', 'sse'] as const) {
    const client = await connectClient(other.url, transport)
    await client.listTools()
    await client.callTool({ name: 'one_echo', arguments: {} })
    await client.callTool({ name: 'one_fail', arguments: {} })
    await client.callTool({ name: 'two_throw', arguments: {} }).catch(() => {})
    await client.callTool({ name: 'nobody_x', arguments: {} }).catch(() => {})
    await client.ping()
    await client.close()
    const wanted = (lines: ReturnType<typeof other.records>) =>
      lines.filter((line) => line['mcp.method.name'] === 'ping').length
    await eventually(
      () => wanted(other.records()),
      (count) => count === seen.length + 1,
    )
    metrics = await other.metrics()
    const now: Record<string, number> = {}
    for (const family of families)
      for (const [key, value] of Object.entries(
        counted(family, ['method', 'server', 'resource', 'status', 'error_type']),
      ))
        now[`${family} ${key}`] = value - (before[`${family} ${key}`] ?? 0)
    seen.push(now)
    before = Object.fromEntries(Object.entries(now).map(([key, value]) => [key, value + (before[key] ?? 0)]))
  }
  await other.close()
  expect(seen[1]).toEqual(seen[0])
})
