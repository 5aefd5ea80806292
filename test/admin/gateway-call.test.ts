/** `/api/gateway/{port}/…`: the console as a client of the gateway, with nothing of the console's own on the way. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TraceGot } from '../../src/admin/api-types.ts'
import { type SimulatedProvider, startSimulatedOpenAI } from '../../src/demo/provider.ts'
import { scriptHeader } from '../../src/demo/script.ts'
import { chatBody, gatewayWith, hostBackend, openAIBackend, under } from '../support/configuration.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { eventually, initialize } from '../support/mcp-lab.ts'
import { eventsIn, open, type Reply, send, sendBytes } from '../support/wire.ts'
import { type AdminLab, askApi, CHAT, startAdminLab } from './lab.fixture.ts'

const TOKEN = 'a-token-for-tests-0123456789'
const MIB = 1024 * 1024

let provider: SimulatedProvider
let gateway: RunningGateway
/** What arrives at a plain backend. */
const arrived: { readonly url: string; readonly headers: IncomingHttpHeaders; readonly body: Buffer }[] = []
/** Answers of the plain backend that the other side has left. */
let leftBehind = 0
let cookie = ''

const backend = createServer(async (incoming, response) => {
  response.on('close', () => {
    if (!response.writableFinished) leftBehind++
  })
  const body = await buffer(incoming).catch(() => undefined)
  if (body === undefined) return
  arrived.push({ url: incoming.url ?? '', headers: incoming.headers, body })
  const query = new URL(incoming.url ?? '', 'http://backend').searchParams
  response.setHeader('x-backend', 'yes')
  response.setHeader('set-cookie', ['agentgateway_session=stolen; Path=/', 'other=1'])
  response.setHeader('content-security-policy', 'default-src *')
  response.setHeader('access-control-allow-origin', '*')
  if (query.has('cut')) {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half')
    setImmediate(() => response.destroy())
  } else if (query.has('endless')) {
    response.write('x')
  } else response.end(query.has('echo') ? body : `${body.length}`)
})

beforeAll(async () => {
  provider = await startSimulatedOpenAI()
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve))
  gateway = await runGateway(
    gatewayWith(
      [
        { name: 'chat', matches: under('/v1'), backends: [openAIBackend(provider)] },
        {
          name: 'shared',
          matches: under('/shared'),
          policies: { cors: { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'] } },
          backends: [hostBackend(backend.address() as AddressInfo)],
        },
        {
          name: 'plain',
          matches: under('/plain'),
          backends: [hostBackend(backend.address() as AddressInfo)],
        },
      ],
      { config: { database: { url: 'sqlite::memory:' }, adminToken: TOKEN } },
    ),
  )
  const signedIn = await askApi(gateway.adminUrl, '/api/session', { token: TOKEN })
  cookie = signedIn.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
})
afterAll(async () => {
  await gateway?.close()
  await provider?.close()
  backend.closeAllConnections()
  await new Promise((resolve) => backend.close(resolve))
})

const place = (path: string) => `${gateway.adminUrl}/api/gateway/${new URL(gateway.url).port}${path}`
const own = () => ({ authorization: `Bearer ${TOKEN}`, cookie, 'content-type': 'application/json' })

const ask = (path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Reply> =>
  send(place(path), { headers: { ...own(), ...headers }, body: JSON.stringify(body) })

const chat = (script = {}, more = {}) => ({
  headers: {
    ...own(),
    'x-gateway-authorization': 'Bearer sk-test',
    'x-simulate': scriptHeader(script),
    ...more,
  },
  body: JSON.stringify(chatBody({ stream: true })),
})

describe('a chat', () => {
  test('it streams: the first piece is here before the last was sent', async () => {
    const script = { text: 'one two three four', chunks: 4, fault: 'stall' as const, afterChunks: 2 }
    const leave = new AbortController()
    const answer = await open(place('/v1/chat/completions'), { ...chat(script), signal: leave.signal })
    answer.on('error', () => {})
    expect(answer.headers['content-type']).toContain('text/event-stream')
    const [first] = (await once(answer, 'data')) as [Buffer]
    expect(first.toString()).toContain('data: ')
    expect(provider.openStreams).toBe(1)
    leave.abort()
    // The console left, hence the provider is left too.
    await provider.waitFor((calls) => calls.at(-1)?.aborted === true)
  })

  test('it is the answer that a client at the port gets, with its trace', async () => {
    const { status, headers, body, broken } = await send(
      place('/v1/chat/completions'),
      chat({ text: 'one two' }),
    )
    expect([status, broken]).toEqual([200, false])
    expect(eventsIn(body).at(-1)?.data).toBe('[DONE]')
    const traceId = String(headers['x-trace-id'])
    expect(traceId).toMatch(/^[0-9a-f]{32}$/)
    const trace = await askApi(gateway.adminUrl, `/api/traces/${traceId}`, undefined, own())
    expect((JSON.parse(trace.body) as TraceGot).requests).toMatchObject([
      { traceId, httpStatus: 200, streaming: true },
    ])
  })

  test('it takes the authorization that is meant for the gateway, and none of its own', async () => {
    await send(place('/v1/chat/completions'), chat())
    const { headers } = provider.calls.at(-1) ?? {}
    expect(headers?.authorization).toBe('Bearer sk-test')
    expect(JSON.stringify(headers)).not.toContain(TOKEN)
    expect(JSON.stringify(headers)).not.toContain(cookie)
    expect(headers?.['x-gateway-authorization']).toBeUndefined()
  })
})

describe('what goes along', () => {
  test('it hands on path, query, headers and body as they are', async () => {
    const url = '/plain/a%20b/../c//d?x=1&y=%2F&z='
    const reply = await ask(url, { a: 1 }, { 'x-own': 'yes', accept: 'text/x' })
    expect(reply.status).toBe(200)
    const last = arrived.at(-1)
    expect(last?.headers).toMatchObject({
      'x-own': 'yes',
      accept: 'text/x',
      'content-type': 'application/json',
    })
    expect(last?.url.endsWith('?x=1&y=%2F&z=')).toBe(true)
    expect(last?.body.toString()).toBe('{"a":1}')
    expect(reply.headers['x-backend']).toBe('yes')
  })

  test('it hands on nothing of the console', async () => {
    const headers = {
      origin: gateway.adminUrl,
      referer: `${gateway.adminUrl}/ui/`,
      'sec-fetch-site': 'same-origin',
      'sec-fetch-mode': 'cors',
    }
    await ask('/plain', {}, headers)
    const last = arrived.at(-1)
    for (const name of [
      'authorization',
      'cookie',
      'origin',
      'referer',
      'sec-fetch-site',
      'x-gateway-authorization',
    ])
      expect([name, last?.headers[name]]).toEqual([name, undefined])
    expect(last?.headers.host).not.toContain(new URL(gateway.adminUrl).port)
    expect(JSON.stringify(last?.headers)).not.toContain(TOKEN)
  })

  test.each(['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])('it takes %s', async (method) => {
    const { status, headers } = await send(place('/plain'), { method, headers: own() })
    expect([status, typeof headers['x-trace-id']]).toEqual([200, 'string'])
  })

  test.each(['/plain', '/shared'])('it lets the backend of %s set no cookie', async (path) => {
    expect((await ask(path)).headers['set-cookie']).toBeUndefined()
  })

  test('it lets no backend loosen the headers of the console', async () => {
    const { headers } = await ask('/plain')
    expect(headers['content-security-policy']).toMatch(/default-src 'none'/)
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(headers['x-frame-options']).toBe('DENY')
  })

  test.each(['/plain', '/shared'])('it lets the backend of %s allow no other origin', async (path) => {
    const { headers } = await ask(path, {}, { origin: gateway.adminUrl })
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  })

  test('it answers no page of another site, whatever the route allows', async () => {
    const foreign = { origin: 'https://evil.example', 'access-control-request-method': 'POST' }
    for (const method of ['OPTIONS', 'GET']) {
      const reply = await send(place('/shared'), { method, headers: { ...own(), ...foreign } })
      expect(reply.status).toBe(403)
      expect(Object.keys(reply.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
    }
  })

  test('it does not take what a form could send', async () => {
    const before = arrived.length
    const { status } = await ask('/plain', {}, { 'content-type': 'text/plain' })
    expect([status, arrived.length]).toEqual([415, before])
  })
})

test.each(['1', '0', '65536', '99999', 'x', '-1', '080', ''])('it knows no port %s', async (port) => {
  const reply = await send(`${gateway.adminUrl}/api/gateway/${port}/plain`, { headers: own() })
  expect(reply.status).toBe(404)
  expect(JSON.parse(reply.body)).toEqual({ error: expect.stringMatching(/\S/) })
})

test('it reaches none of the side doors', async () => {
  const { stats, readiness, admin } = gateway.gateway.ports()
  for (const port of [stats, readiness, admin, provider.port])
    expect((await send(`${gateway.adminUrl}/api/gateway/${port}/metrics`, { headers: own() })).status).toBe(
      404,
    )
})

test.each(['//evil.example/', '/@evil.example/', '/http://evil.example/'])(
  'it stays at the port with the path %s',
  async (path) => {
    const { status, headers } = await send(place(path), { headers: own() })
    expect([status, typeof headers['x-trace-id']]).toEqual([404, 'string'])
  },
)

describe('bodies', () => {
  test.each([1, 8])('it takes %i MiB there and back', async (size) => {
    const body = JSON.stringify({ text: 'x'.repeat(size * MIB) })
    const { status, body: told } = await send(place('/plain?echo'), { headers: own(), body })
    expect(status).toBe(200)
    expect(told.length).toBe(body.length)
  })

  test('it takes a body that is sent in pieces', async () => {
    const outgoing = request(place('/plain'), { method: 'POST', headers: own() })
    for (let piece = 0; piece < 20; piece++) outgoing.write('x'.repeat(50_000))
    outgoing.end()
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    let text = ''
    for await (const piece of answer) text += piece
    expect(text).toBe('1000000')
  })

  test('it keeps the answers of a keep-alive connection apart', async () => {
    const heads = ['/plain?1', '/plain?2'].map(
      (path, index) =>
        `GET /api/gateway/${new URL(gateway.url).port}${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n${index === 1 ? 'Connection: close\r\n' : ''}\r\n`,
    )
    const answer = await sendBytes(gateway.adminUrl, heads.join(''))
    expect(answer.match(/HTTP\/1\.1 200 /g)).toHaveLength(2)
  })
})

describe('ends', () => {
  test('it breaks off where the gateway breaks off', async () => {
    const { broken, body } = await send(place('/plain?cut'), { headers: own() })
    expect([broken, body]).toEqual([true, 'half'])
  })

  test('it leaves the backend when the console leaves', async () => {
    const before = leftBehind
    const leave = new AbortController()
    const answer = await open(place('/plain?endless'), { headers: own(), signal: leave.signal })
    answer.on('error', () => {})
    await once(answer, 'data')
    leave.abort()
    await eventually(
      () => leftBehind,
      (count) => count === before + 1,
    )
    await eventually(
      () => gateway.metric('agentgateway_requests_in_flight'),
      (count) => count === 0,
    )
  })

  test('it leaves the gateway when the console breaks off its request', async () => {
    const outgoing = request(place('/plain'), {
      method: 'POST',
      headers: { ...own(), 'content-length': '1000' },
    })
    outgoing.on('error', () => {})
    outgoing.write('half')
    await eventually(
      () => gateway.metric('agentgateway_requests_in_flight'),
      (count) => count === 1,
    )
    outgoing.destroy()
    await eventually(
      () => gateway.metric('agentgateway_requests_in_flight'),
      (count) => count === 0,
    )
    expect((await ask('/plain')).status).toBe(200)
  })
})

describe('MCP', () => {
  let lab: AdminLab
  beforeAll(async () => {
    lab = await startAdminLab()
  })
  afterAll(() => lab?.close())

  test('it holds a session as a client does', async () => {
    const { adminUrl, url } = lab.gateway
    const path = `/api/gateway/${new URL(url).port}/mcp`
    const accept = { accept: 'application/json, text/event-stream' }
    const begun = await askApi(adminUrl, path, initialize(), accept)
    expect(begun.status).toBe(200)
    const session = {
      ...accept,
      'mcp-session-id': String(begun.headers['mcp-session-id']),
      'mcp-protocol-version': '2025-11-25',
    }
    const listed = await askApi(adminUrl, path, { jsonrpc: '2.0', id: 1, method: 'tools/list' }, session)
    expect(listed.body).toContain('"echo"')
    const ended = await send(`${adminUrl}${path}`, { method: 'DELETE', headers: session })
    expect(ended.status).toBeLessThan(300)
    expect((await askApi(adminUrl, `/api/gateway/${new URL(url).port}${CHAT}`, chatBody())).status).toBe(401)
  })
})
