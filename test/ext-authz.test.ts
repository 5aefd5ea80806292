/** A real service decides who may pass; others that answer nonsense, too much or nothing. */
import OpenAI, { PermissionDeniedError } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { type RawServer, rawServer } from '../src/upstream/client.fixture.ts'
import { chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { type Echo, startEcho } from './support/echo.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { open, send } from './support/wire.ts'

let upstream: Echo
let authz: Echo
let openAI: SimulatedProvider
let gateway: RunningGateway
const hostile: Record<string, RawServer> = {}

const MEGABYTE = Buffer.alloc(1024 * 1024, 'x')

/** Ways of an authorization service that is broken, or not ours. */
const HOSTILE: Record<string, Parameters<typeof rawServer>[0]> = {
  garbage: 'you shall not pass\r\n\r\n',
  silence: (socket) => socket.destroy(),
  half: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'),
  injection: 'HTTP/1.1 200 OK\r\nx-user: ann\u0000\r\ncontent-length: 0\r\n\r\n',
  flood: (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n')
    const pour = () => {
      while (socket.writable && socket.write(MEGABYTE));
    }
    socket.on('drain', pour)
    pour()
  },
  stall: () => {},
  bytes: 'HTTP/1.1 403 No\r\nx-user: \u00e2\u0098\u0083\r\ncontent-length: 2\r\n\r\nno',
}

beforeAll(async () => {
  upstream = await startEcho('upstream')
  authz = await startEcho('authz')
  openAI = await startSimulatedOpenAI()
  const extAuthz = {
    host: authz.address,
    protocol: { http: { path: '"/check" + request.path', includeResponseHeaders: ['x-user'] } },
    includeRequestHeaders: ['authorization', 'x-answer'],
  }
  const clean = { requestHeaderModifier: { remove: ['x-answer'] } }
  const backends = [{ host: upstream.address }]
  for (const [name, answer] of Object.entries(HOSTILE)) hostile[name] = await rawServer(answer)
  gateway = await runGateway(
    gatewayWith([
      { policies: { extAuthz, ...clean }, backends },
      { matches: under('/v1'), policies: { extAuthz, ...clean }, backends: [openAIBackend(openAI)] },
      ...Object.entries(hostile).map(([name, { target }]) => ({
        matches: under(`/${name}`),
        policies: { extAuthz: { ...extAuthz, host: `127.0.0.1:${target.port}` } },
        backends,
      })),
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  upstream.close()
  authz.close()
  for (const { close } of Object.values(hostile)) close()
})

const answering = (answer: object) => ({ 'x-answer': JSON.stringify(answer) })

test('whom the service knows passes, with what it says of him', async () => {
  const headers = {
    authorization: 'Bearer a',
    'x-user': 'admin',
    ...answering({ headers: { 'x-user': 'ann' } }),
  }
  const answer = await send(`${gateway.url}/a?b=c`, { method: 'POST', headers, body: 'd' })
  expect(answer.status).toBe(200)
  expect(upstream.asked.at(-1)).toMatchObject({ path: '/a?b=c', body: 'd', headers: { 'x-user': 'ann' } })
  expect(authz.asked.at(-1)).toMatchObject({
    method: 'GET',
    path: '/check/a',
    body: '',
    headers: {
      authorization: 'Bearer a',
      host: authz.address,
      'x-forwarded-method': 'POST',
      'x-forwarded-uri': '/a?b=c',
      'x-forwarded-host': new URL(gateway.url).host,
      'x-forwarded-proto': 'http',
      'x-forwarded-for': '127.0.0.1',
    },
  })
})

test('whom it does not gets its answer, and no upstream is asked', async () => {
  const asked = upstream.asked.length
  const page = {
    status: 401,
    headers: { 'set-cookie': ['a=1', 'b=2'], 'x-internal': 's' },
    body: 'log in',
  }
  const answer = await send(`${gateway.url}/denied`, { headers: answering(page) })
  expect(answer).toMatchObject({ status: 401, body: page.body, headers: { 'set-cookie': ['a=1', 'b=2'] } })
  expect(answer.headers).not.toHaveProperty('x-internal')
  expect(upstream.asked.length).toBe(asked)
})

test('a redirect is the client’s to follow', async () => {
  const location = 'https://login.example/'
  const answer = await send(gateway.url, { headers: answering({ status: 302, headers: { location } }) })
  expect(answer).toMatchObject({ status: 302, headers: { location } })
})

test('clients of models are told in their own API', async () => {
  const client = (answer: object) =>
    new OpenAI({
      apiKey: 'a',
      baseURL: `${gateway.url}/v1`,
      maxRetries: 0,
      defaultHeaders: answering(answer),
    })
  await client({}).chat.completions.create(chatBody() as never)
  await expect(
    client({ status: 403, body: '' }).chat.completions.create(chatBody() as never),
  ).rejects.toThrow(PermissionDeniedError)
  expect(openAI.calls.length).toBe(1)
})

describe('a service that fails', () => {
  test.each(['garbage', 'silence', 'half', 'injection', 'flood'])('by %s lets nobody pass', async (name) => {
    const asked = upstream.asked.length
    const answer = await send(`${gateway.url}/${name}`)
    expect(answer).toMatchObject({ status: 403, body: 'external authorization failed' })
    expect(upstream.asked.length).toBe(asked)
  })

  test('of manners is passed on as it is', async () => {
    const answer = await send(`${gateway.url}/bytes`)
    expect(answer).toMatchObject({ status: 403, body: 'no' })
    expect(Buffer.from(String(answer.headers['x-user']), 'latin1').toString()).toBe('\u2603')
  })

  test('with a flood is cut off', () => {
    for (const socket of hostile.flood?.sockets ?? [])
      expect(socket.bytesWritten).toBeLessThan(64 * 1024 * 1024)
  })

  test('by silence keeps nobody who leaves', async () => {
    const leaving = new AbortController()
    const asked = open(`${gateway.url}/stall`, { signal: leaving.signal }).catch((error: unknown) => error)
    while (hostile.stall?.heads.length !== 1) await new Promise(setImmediate)
    leaving.abort()
    await asked
    const records = await gateway.recorded(gateway.records().length + 1)
    expect(records.at(-1)).toMatchObject({ 'http.status': 499 })
  })

  test('is in the record', async () => {
    const record = gateway.records().find((one) => String(one['http.path']).startsWith('/flood'))
    expect(record).toMatchObject({ 'http.status': 403, reason: 'Authorization' })
    expect(record?.error).toMatch(/^external authorization failed: .*exceeds 1048576 bytes/)
  })
})
