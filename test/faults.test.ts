/** Whatever a provider does: the right status, an error that the client's SDK can show, one record, and life goes on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import {
  anthropicBackend,
  chatBody,
  gatewayWith,
  hostBackend,
  messagesBody,
  openAIBackend,
} from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { eventsIn, type Reply, sendJson } from './support/wire.ts'

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let gateway: RunningGateway

const has = (name: string, exact: string) => ({ name, value: { exact } })

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  const backends = {
    openai: openAIBackend(openAI),
    anthropic: anthropicBackend(anthropic),
    plain: hostBackend(openAI),
  }
  const routes = Object.entries(backends).flatMap(([name, backend]) => [
    { matches: [{ headers: [has('x-backend', name)] }], backends: [backend] },
    {
      matches: [{ headers: [has('x-backend', name), has('x-limits', 'short')] }],
      policies: { timeout: { backendRequestTimeout: '100ms', idleTimeout: '100ms' } },
      backends: [backend],
    },
  ])
  gateway = await runGateway(gatewayWith(routes))
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await anthropic.close()
})

/** What the client and the record say. `told` = where the error is: in the body, in the stream, or only in the break. */
interface Expected {
  readonly status: number
  readonly outcome: string
  readonly errorType?: string
  readonly told?: 'body' | 'event' | 'break'
}

interface Row {
  readonly fault: string
  readonly script: Script
  /** On the routes with limits of 100 ms. */
  readonly short?: boolean
  readonly unary: Expected
  readonly stream: Expected
  readonly plainUnary: Expected
  readonly plainStream: Expected
}

const FINE: Expected = { status: 200, outcome: 'completed' }

const failed = (status: number, errorType: string, outcome = 'upstream_error'): Expected => ({
  status,
  outcome,
  errorType,
  told: 'body',
})

/** After the head only the stream itself can tell. */
const cut = (
  errorType: string,
  outcome = 'upstream_midstream_error',
  told: Expected['told'] = 'event',
): Expected => ({ status: 200, outcome, errorType, told })

const broken = (errorType: string, outcome?: string) => cut(errorType, outcome, 'break')

const everywhere = (expected: Expected) => ({
  unary: expected,
  stream: expected,
  plainUnary: expected,
  plainStream: expected,
})

/** A plain route hands on what the upstream says: to the gateway a 4xx of it is an answer. */
const answered = (status: number, errorType: string) => {
  const plain = status >= 500 ? { ...failed(status, errorType), told: undefined } : { ...FINE, status }
  return {
    unary: failed(status, errorType),
    stream: failed(status, errorType),
    plainUnary: plain,
    plainStream: plain,
  }
}

const ROWS: readonly Row[] = [
  {
    fault: 'a reset before the head',
    script: { fault: 'reset' },
    ...everywhere(failed(503, 'provider_reset')),
  },
  {
    fault: 'a reset in the body',
    script: { fault: 'reset', afterChunks: 2, chunks: 6 },
    unary: failed(503, 'provider_reset'),
    stream: cut('provider_reset'),
    plainUnary: broken('provider_reset'),
    plainStream: broken('provider_reset'),
  },
  {
    fault: 'bytes that are not HTTP',
    script: { fault: 'garbage-http' },
    ...everywhere(failed(502, 'provider_bad_response')),
  },
  {
    fault: 'a body that is garbage',
    script: { fault: 'garbage', afterChunks: 2, chunks: 6 },
    unary: failed(502, 'provider_bad_response'),
    stream: cut('provider_bad_response'),
    plainUnary: FINE,
    plainStream: FINE,
  },
  {
    fault: 'a body that is shorter than promised',
    script: { fault: 'truncate', afterChunks: 2, chunks: 6 },
    unary: failed(503, 'provider_reset'),
    stream: cut('provider_bad_response'),
    plainUnary: broken('provider_reset'),
    plainStream: FINE,
  },
  {
    fault: 'an error event in the stream',
    script: { fault: 'midstream-error', afterChunks: 2, chunks: 6 },
    unary: failed(500, 'provider_server_error'),
    stream: cut('provider_stream_error'),
    plainUnary: { ...failed(500, 'provider_server_error'), told: undefined },
    plainStream: FINE,
  },
  {
    fault: 'silence',
    script: { fault: 'never' },
    short: true,
    ...everywhere(failed(504, 'provider_timeout', 'timeout')),
  },
  {
    fault: 'silence before the head',
    script: { fault: 'stall', beforeHead: true },
    short: true,
    ...everywhere(failed(504, 'provider_timeout', 'timeout')),
  },
  {
    fault: 'silence after the head',
    script: { fault: 'stall', afterChunks: 2, chunks: 6 },
    short: true,
    unary: failed(504, 'provider_idle_timeout', 'timeout'),
    stream: cut('provider_idle_timeout', 'timeout'),
    plainUnary: broken('provider_idle_timeout', 'timeout'),
    plainStream: broken('provider_idle_timeout', 'timeout'),
  },
  { fault: 'an answer without usage', script: { fault: 'missing-usage' }, ...everywhere(FINE) },
  { fault: 'a head of 64 kB', script: { fault: 'bigheaders' }, ...everywhere(FINE) },
  { fault: 'a head in pieces', script: { fault: 'slow-headers', chunkDelayMs: 2 }, ...everywhere(FINE) },
  { fault: 'a gzipped answer', script: { gzip: true }, ...everywhere(FINE) },
  { fault: '400', script: { status: 400 }, ...answered(400, 'provider_invalid_request') },
  { fault: '401', script: { status: 401 }, ...answered(401, 'provider_auth') },
  { fault: '404', script: { status: 404 }, ...answered(404, 'provider_not_found') },
  { fault: '429', script: { status: 429, retryAfterSeconds: 7 }, ...answered(429, 'provider_rate_limited') },
  { fault: '500', script: { status: 500 }, ...answered(500, 'provider_server_error') },
  { fault: '503', script: { status: 503 }, ...answered(503, 'provider_overloaded') },
  { fault: '529', script: { status: 529 }, ...answered(529, 'provider_overloaded') },
  {
    fault: 'an error that is no JSON',
    script: { status: 502, errorBody: '<html><h1>502 Bad Gateway</h1></html>' },
    ...answered(502, 'provider_server_error'),
  },
]

interface Speaker {
  readonly name: string
  readonly backend: 'openai' | 'anthropic' | 'plain'
  readonly format: 'openai' | 'anthropic'
}

const SPEAKERS: readonly Speaker[] = [
  { name: 'OpenAI client, OpenAI provider', backend: 'openai', format: 'openai' },
  { name: 'Anthropic client, Anthropic provider', backend: 'anthropic', format: 'anthropic' },
  { name: 'Anthropic client, OpenAI provider', backend: 'openai', format: 'anthropic' },
  { name: 'OpenAI client, Anthropic provider', backend: 'anthropic', format: 'openai' },
  { name: 'plain route', backend: 'plain', format: 'openai' },
]

function ask({ backend, format }: Speaker, stream: boolean, script: Script, short = false): Promise<Reply> {
  const model = backend === 'anthropic' ? 'claude-sonnet-4-5' : 'gpt-4o-mini'
  const [path, body] =
    format === 'openai'
      ? ['/v1/chat/completions', chatBody({ stream, model })]
      : ['/v1/messages', messagesBody({ stream, model })]
  return sendJson(`${gateway.url}${path}`, body, {
    authorization: 'Bearer sk-test',
    'anthropic-version': '2023-06-01',
    'x-backend': backend,
    'x-simulate': JSON.stringify(script),
    ...(short && { 'x-limits': 'short' }),
  })
}

const MESSAGE = expect.stringMatching(/\S/)

const errorIn = (format: Speaker['format']) =>
  format === 'openai'
    ? { error: { message: MESSAGE, type: MESSAGE } }
    : { type: 'error', error: { type: MESSAGE, message: MESSAGE } }

const ENDS = { openai: '[DONE]', anthropic: '"message_stop"' }

function expectTold(reply: Reply, { backend, format }: Speaker, { told }: Expected) {
  expect(reply.broken).toBe(told === 'break')
  if (told === 'body' && backend === 'plain') {
    expect(reply.headers['content-type']).toMatch(/^text\/plain/)
    expect(reply.body).toMatch(/^upstream call (failed|timeout)/)
  } else if (told === 'body') {
    expect(reply.headers['content-type']).toMatch(/^application\/json/)
    expect(JSON.parse(reply.body)).toMatchObject(errorIn(format))
  } else if (told === 'event') {
    const last = eventsIn(reply.body).at(-1)
    expect(reply.body).not.toContain(ENDS[format])
    expect(JSON.parse(last?.data ?? '')).toMatchObject(errorIn(format))
    if (format === 'anthropic') expect(last?.event).toBe('error')
  }
}

describe.each(SPEAKERS)('$name', (speaker) => {
  const cases = ROWS.flatMap((row) =>
    [false, true].map((stream) => {
      const plain = stream ? row.plainStream : row.plainUnary
      const llm = stream ? row.stream : row.unary
      return { ...row, stream, expected: speaker.backend === 'plain' ? plain : llm }
    }),
  ).map((one) => ({ ...one, how: one.stream ? 'stream' : 'unary' }))

  test.each(cases)('$fault ($how) -> $expected.status $expected.outcome', async (row) => {
    const { script, short, stream, expected } = row
    const before = gateway.records().length
    const reply = await ask(speaker, stream, script, short)
    const record = (await gateway.recorded(before + 1))[before]

    expect(reply.status).toBe(expected.status)
    expectTold(reply, speaker, expected)
    expect(record).toMatchObject({
      'http.status': expected.status,
      outcome: expected.outcome,
      'trace.id': reply.headers['x-trace-id'],
    })
    expect(record?.error_type).toBe(expected.errorType)

    const next = await ask(speaker, stream, {})
    expect(next).toMatchObject({ status: 200, broken: false })
    await gateway.recorded(before + 2)
    expect(gateway.records()).toHaveLength(before + 2)
  })
})

test('it has told metrics of each request exactly once, with the outcome that the log names', async () => {
  const records = gateway.records()
  const outcomes = Map.groupBy(records, ({ outcome }) => String(outcome))
  const counted = await Promise.all(
    [...outcomes].map(async ([outcome]) => [
      outcome,
      await gateway.metric('agentgateway_requests_total', { outcome }),
    ]),
  )
  expect(Object.fromEntries(counted)).toEqual(
    Object.fromEntries([...outcomes].map(([outcome, lines]) => [outcome, lines.length])),
  )
  expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
  expect(await gateway.metric('agentgateway_requests_total', { error_type: '_other' })).toBe(0)
})
