/** Whatever a client sends: a clear error in its own API's shape, the right status, one record, and life goes on. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import {
  anthropicBackend,
  chatBody,
  hostBackend,
  openAIBackend,
  toYaml,
  under,
} from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { type Ask, send, sendBytes } from './support/wire.ts'

const LIMIT = 100_000

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let gateway: RunningGateway

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  gateway = await runGateway(
    toYaml({
      frontendPolicies: { http: { maxBufferSize: LIMIT } },
      binds: [
        {
          port: 0,
          listeners: [
            {
              hostname: '127.0.0.1',
              routes: [
                { matches: under('/v1/messages'), backends: [anthropicBackend(anthropic)] },
                { matches: under('/v1/chat'), backends: [openAIBackend(openAI)] },
                { matches: under('/v1/embeddings'), backends: [anthropicBackend(anthropic)] },
                { matches: under('/plain'), backends: [hostBackend(openAI)] },
                { matches: under('/nobody') },
                { matches: under('/closed'), backends: [{ host: '127.0.0.1:1' }] },
              ],
            },
          ],
        },
      ],
    }),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await anthropic.close()
})

async function expectOneRecordAndLife(before: number) {
  const answer = await send(`${gateway.url}/v1/chat/completions`, json(chatBody()))
  expect(answer.status).toBe(200)
  await gateway.recorded(before + 2)
  expect(gateway.records()).toHaveLength(before + 2)
  expect(await gateway.metric('agentgateway_requests_total')).toBe(before + 2)
}

const json = (body: unknown, headers: Ask['headers'] = {}): Ask => ({
  headers: { 'content-type': 'application/json', authorization: 'Bearer sk-test', ...headers },
  body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
})

interface Case {
  readonly name: string
  readonly ask: Ask
  readonly path?: string
  readonly status: number
  readonly says: string | RegExp
  readonly errorType?: string
}

const LLM_CASES: readonly Case[] = [
  { name: 'bad JSON', ask: json('{"model": '), status: 400, says: /^failed to process LLM request: .*JSON/ },
  { name: 'JSON that is no object', ask: json('[1]'), status: 400, says: /^failed to process LLM request: / },
  { name: 'an empty body', ask: { method: 'POST' }, status: 400, says: /^failed to process LLM request: / },
  {
    name: 'no model',
    ask: json({ messages: [] }),
    status: 400,
    says: 'failed to process LLM request: missing field: model not specified',
  },
  {
    name: 'a declared body over the limit',
    ask: json(chatBody({ text: 'x'.repeat(LIMIT) })),
    status: 413,
    says: /^failed to process LLM request: /,
    errorType: 'caller_too_large',
  },
  {
    name: 'a chunked body over the limit',
    ask: { ...json('x'.repeat(LIMIT * 4)), headers: { 'transfer-encoding': 'chunked' } },
    status: 413,
    says: /^failed to process LLM request: /,
    errorType: 'caller_too_large',
  },
  {
    name: 'a compressed body that grows over the limit',
    ask: json(gzipSync(Buffer.alloc(20_000_000)), { 'content-encoding': 'gzip' }),
    status: 413,
    says: /^failed to process LLM request: /,
    errorType: 'caller_too_large',
  },
  {
    name: 'an unknown encoding',
    ask: json('?', { 'content-encoding': 'rot13' }),
    status: 415,
    says: /^failed to process LLM request: .*rot13/,
  },
  {
    name: 'a body that is not what its encoding says',
    ask: json('not gzip', { 'content-encoding': 'gzip' }),
    status: 400,
    says: /^failed to process LLM request: /,
  },
  {
    name: 'the wrong method',
    ask: { method: 'GET' },
    status: 405,
    says: /GET/,
    errorType: 'caller_method_not_allowed',
  },
]

const FORMATS = [
  { format: 'OpenAI', path: '/v1/chat/completions', shape: {} },
  { format: 'Anthropic', path: '/v1/messages', shape: { type: 'error' } },
]

test.each(FORMATS.flatMap((format) => LLM_CASES.map((one) => ({ ...format, ...one }))))(
  'it answers $name in the shape of $format with $status',
  async ({ ask, path, shape, status, says, errorType }) => {
    const before = gateway.records().length
    const calls = openAI.calls.length + anthropic.calls.length
    const reply = await send(`${gateway.url}${path}`, ask)

    expect(reply.status).toBe(status)
    expect(reply.headers['content-type']).toMatch(/^application\/json/)
    const message = typeof says === 'string' ? says : expect.stringMatching(says)
    expect(JSON.parse(reply.body)).toMatchObject({ ...shape, error: { message, type: expect.any(String) } })
    if (status === 405) expect(reply.headers.allow).toBe('POST')
    const record = (await gateway.recorded(before + 1))[before]
    expect(record).toMatchObject({
      'http.status': status,
      outcome: 'rejected',
      error_type: errorType ?? 'caller_invalid_request',
      'trace.id': reply.headers['x-trace-id'],
    })
    expect(openAI.calls.length + anthropic.calls.length).toBe(calls)
    await expectOneRecordAndLife(before)
  },
)

test('it refuses what cannot be converted with 400, in the shape of the client', async () => {
  const before = gateway.records().length
  const reply = await send(
    `${gateway.url}/v1/embeddings`,
    json({ model: 'text-embedding-3-small', input: 'x' }),
  )
  expect(reply.status).toBe(400)
  expect(JSON.parse(reply.body)).toMatchObject({
    error: { message: expect.stringContaining('unsupported conversion') },
  })
  await expectOneRecordAndLife(before)
})

test.each([
  {
    name: 'no route',
    path: '/elsewhere',
    status: 404,
    says: 'route not found',
    errorType: 'caller_not_found',
  },
  {
    name: 'no listener',
    path: '/plain',
    headers: { host: 'other.example' },
    status: 404,
    says: 'listener not found',
    errorType: 'caller_not_found',
  },
  {
    name: 'no backend',
    path: '/nobody',
    status: 500,
    says: 'no valid backends',
    errorType: 'gateway_no_backend',
  },
  {
    name: 'a backend that refuses connections',
    path: '/closed',
    status: 503,
    says: /^upstream call failed: /,
    errorType: 'provider_connect',
  },
])('it answers $name as plain text with $status', async ({ path, headers, status, says, errorType }) => {
  const before = gateway.records().length
  const reply = await send(`${gateway.url}${path}`, { headers })
  expect(reply.status).toBe(status)
  expect(reply.headers['content-type']).toMatch(/^text\/plain/)
  expect(reply.body).toMatch(says)
  const record = (await gateway.recorded(before + 1))[before]
  expect(record).toMatchObject({ 'http.status': status, error_type: errorType })
  await expectOneRecordAndLife(before)
})

test.each([
  {
    name: '10 MB of headers',
    bytes: `GET /plain HTTP/1.1\r\nhost: 127.0.0.1\r\n${`x-pad: ${'p'.repeat(8000)}\r\n`.repeat(1250)}\r\n`,
    status: 431,
  },
  {
    name: 'one header of 10 MB',
    bytes: `GET / HTTP/1.1\r\nhost: a\r\nx: ${'p'.repeat(1e7)}\r\n\r\n`,
    status: 431,
  },
  { name: 'what is not HTTP', bytes: 'SSH-2.0-OpenSSH_9.9\r\n\r\n', status: 400 },
  { name: 'HTTP/2 without being asked', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: 400 },
  {
    name: 'two lengths at once',
    bytes:
      'POST /plain HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    status: 400,
  },
  { name: 'a request without host', bytes: 'GET /plain HTTP/1.1\r\nconnection: close\r\n\r\n', status: 400 },
  {
    name: 'CONNECT',
    bytes: 'CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n',
    status: 405,
  },
])(
  'it answers $name with $status, closes and keeps a record',
  { timeout: 5000 },
  async ({ bytes, status }) => {
    const before = gateway.records().length
    const answer = await sendBytes(gateway.url, bytes)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    await expectOneRecordAndLife(before)
    expect(gateway.records()[before]).toMatchObject({ 'http.status': status, outcome: 'rejected' })
  },
)

test('it records an upload that the client breaks off as its own doing', async () => {
  const before = gateway.records().length
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(gateway.url).port) })
  socket.write(
    'POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 50000\r\nexpect: 100-continue\r\n\r\n{"model":',
  )
  // "100 Continue": the gateway has begun with it.
  await once(socket, 'data')
  socket.resetAndDestroy()
  const record = (await gateway.recorded(before + 1))[before]
  expect(record).toMatchObject({ outcome: 'client_abort', error_type: 'caller_abort', 'http.status': 499 })
  await expectOneRecordAndLife(before)
})
