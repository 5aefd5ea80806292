/** Servers over HTTP that break off, answer nonsense or send the gateway elsewhere. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../../support/gateway.ts'
import { initializeRequest, openSession, post, type Session } from './client.fixture.ts'
import { type HostileServer, type Misbehaviour, startHostileServer } from './http-server.fixture.ts'

let server: HostileServer
let elsewhere: HostileServer
let gateway: RunningGateway

beforeEach(async () => {
  ;[server, elsewhere] = await Promise.all([startHostileServer(), startHostileServer()])
  gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: web, mcp: {host: "${server.url}"}, connectTimeout: 1s, requestTimeout: 1s}
`)
})
afterEach(async () => {
  await gateway.close()
  await Promise.all([server.close(), elsewhere.close()])
})

type Act = (id: unknown, response: Parameters<Misbehaviour>[1], request: Parameters<Misbehaviour>[2]) => void

const withStatus =
  (status: number, headers: Record<string, string> = {}, body = ''): Act =>
  (_id, response) =>
    void response.writeHead(status, headers).end(body)

const SSE = { 'content-type': 'text/event-stream' }
const JSON_TYPE = { 'content-type': 'application/json' }
const CHALLENGE = 'Bearer resource_metadata="https://auth.example/.well-known/oauth-protected-resource"'

const ACTS: readonly { readonly name: string; readonly act: Act; readonly status?: number }[] = [
  { name: '500', act: withStatus(500, {}, 'boom') },
  { name: '500 with HTML', act: withStatus(500, { 'content-type': 'text/html' }, '<h1>no</h1>') },
  { name: '404', act: withStatus(404) },
  { name: '401', act: withStatus(401, { 'www-authenticate': CHALLENGE }), status: 401 },
  { name: '403', act: withStatus(403) },
  { name: '429', act: withStatus(429, { 'retry-after': '3' }) },
  { name: '204', act: withStatus(204) },
  { name: '202 for a request', act: withStatus(202) },
  { name: 'HTML with 200', act: withStatus(200, { 'content-type': 'text/html' }, '<h1>welcome</h1>') },
  { name: 'HTML that calls itself JSON', act: withStatus(200, JSON_TYPE, '<h1>welcome</h1>') },
  { name: 'nothing that calls itself JSON', act: withStatus(200, JSON_TYPE) },
  { name: 'no content type', act: withStatus(200, {}, '{}') },
  { name: 'JSON null', act: withStatus(200, JSON_TYPE, 'null') },
  { name: 'an empty batch', act: withStatus(200, JSON_TYPE, '[]') },
  {
    name: 'JSON with a wrong id',
    act: withStatus(200, JSON_TYPE, '{"jsonrpc":"2.0","id":"other","result":{}}'),
  },
  {
    name: 'a result that is a text',
    act: (id, response) =>
      void response.writeHead(200, JSON_TYPE).end(JSON.stringify({ jsonrpc: '2.0', id, result: 'x' })),
  },
  { name: 'events that are no JSON', act: withStatus(200, SSE, 'data: hello\n\ndata: {\n\n') },
  { name: 'a stream that ends without the answer', act: withStatus(200, SSE, ': hello\n\n') },
  {
    name: 'a stream that is cut in mid-event',
    act: (id, response) => {
      response.writeHead(200, SSE)
      response.write(`data: {"jsonrpc":"2.0","id":${JSON.stringify(id)},"resu`, () => response.destroy())
    },
  },
  {
    name: 'a stream that never ends',
    act: (_id, response) => {
      response.writeHead(200, SSE)
      response.write(': hello\n\n')
    },
  },
  {
    name: 'half of a JSON body, and silence',
    act: (_id, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-length': '100' })
      response.write('{"jsonrpc":')
    },
  },
  { name: 'nothing at all', act: () => {} },
  { name: 'a reset', act: (_id, _response, request) => request.socket.resetAndDestroy() },
  {
    name: 'no HTTP',
    act: (_id, _response, request) => {
      request.socket.end('hello, this is no HTTP\r\n\r\n')
    },
  },
  {
    name: 'endless headers',
    act: (_id, _response, request) => {
      const { socket } = request
      socket.write('HTTP/1.1 200 OK\r\n')
      const more = () => {
        for (let index = 0; index < 100 && !socket.destroyed; index++)
          socket.write(`x-${index}: ${'h'.repeat(1000)}\r\n`)
        if (!socket.destroyed) setImmediate(more)
      }
      more()
    },
  },
]

/** What the gateway says of a failure is a message, and nothing of the server's own page. */
function expectFailure(answer: Awaited<ReturnType<Session['call']>>, id: unknown) {
  expect(answer.messages).toHaveLength(1)
  expect(answer.messages[0]).toMatchObject({
    jsonrpc: '2.0',
    id,
    error: { code: expect.any(Number), message: expect.any(String) },
  })
  expect(answer.body).not.toContain('<h1>')
}

describe.each(ACTS)('a server that answers with $name', ({ act, status }) => {
  test('it fails the call, with one record, and goes on', async () => {
    const session = await openSession(gateway.url)
    await gateway.recorded(2)
    server.misbehave = ({ message }, response, request) => {
      if (message?.method !== 'tools/call') return false
      act(message.id, response, request)
      return true
    }
    const answer = await session.call('echo', { message: 'x' }, 'hit')
    expectFailure(answer, 'hit')
    if (status !== undefined) expect(answer.status).toBe(status)
    if (status === 401) expect(answer.headers['www-authenticate']).toBe(CHALLENGE)
    const [, , record] = await gateway.recorded(3)
    expect(record).toMatchObject({ 'mcp.method.name': 'tools/call', 'mcp.error.type': expect.any(String) })
    server.misbehave = () => false
    const later = await session.call('echo', { message: 'on' })
    // After a 404 the server may be taken to have forgotten the session.
    expect(JSON.stringify(later.messages)).toMatch(/"on"|error/)
    const fresh = await openSession(gateway.url)
    expect(await fresh.said('echo', { message: 'on' })).toBe('on')
    expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
  })

  test('it opens no session', async () => {
    server.misbehave = ({ message }, response, request) => {
      if (message?.method !== 'initialize') return false
      act(message.id, response, request)
      return true
    }
    const answer = await post(`${gateway.url}/mcp`, initializeRequest())
    expectFailure(answer, 'init')
    if (status === 401) {
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toBe(CHALLENGE)
    }
    expect(answer.headers['mcp-session-id']).toBeUndefined()
    expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(0)
    expect(await gateway.recorded(1)).toHaveLength(1)
  })
})

test.each([301, 302, 303, 307, 308])('it does not follow a redirect to another host: %i', async (code) => {
  const session = await openSession(gateway.url, { authorization: 'Bearer of-the-client' })
  server.misbehave = ({ message }, response) => {
    if (message?.method !== 'tools/call') return false
    response.writeHead(code, { location: elsewhere.url }).end()
    return true
  }
  const answer = await session.call('echo', { message: 'x' }, 'r')
  expectFailure(answer, 'r')
  expect(elsewhere.seen).toEqual([])
})

describe('legacy SSE', () => {
  test.each([
    { name: 'another host', endpoint: () => `http://127.0.0.1:${elsewhere.port}/messages?sessionId=1` },
    { name: 'another host, without a scheme', endpoint: () => `//127.0.0.1:${elsewhere.port}/messages` },
    { name: 'another scheme', endpoint: () => 'file:///etc/passwd' },
    { name: 'credentials of its own', endpoint: () => `http://a:b@127.0.0.1:${elsewhere.port}/` },
    { name: 'nowhere', endpoint: () => 'http://' },
  ])('it does not follow an endpoint that points at $name', async ({ endpoint }) => {
    server.misbehave = ({ method }, response) => {
      if (method !== 'GET') return false
      response.writeHead(200, SSE)
      response.write(`event: endpoint\ndata: ${endpoint()}\n\n`)
      return true
    }
    const own = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: old, sse: {host: "http://127.0.0.1:${server.port}/sse"}, connectTimeout: 1s}
`)
    try {
      const answer = await post(`${own.url}/mcp`, initializeRequest())
      expectFailure(answer, 'init')
      expect(elsewhere.seen).toEqual([])
      expect(await own.metric('agentgateway_mcp_sessions_active')).toBe(0)
    } finally {
      await own.close()
    }
  })
})

test('it keeps sessions of different clients apart, and passes on neither id', async () => {
  const [one, two] = await Promise.all([openSession(gateway.url), openSession(gateway.url)])
  await Promise.all([one.said('echo', { message: '1' }), two.said('echo', { message: '2' })])
  const upstream = server.saw('tools/call').map(({ headers }) => headers['mcp-session-id'])
  expect(new Set(upstream).size).toBe(2)
  expect(upstream).not.toContain(one.id)
  expect(upstream).not.toContain(two.id)
})
