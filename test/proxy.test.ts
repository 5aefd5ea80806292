/** Host backends: an honest reverse proxy, with the policies of routes and backends. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gatewayWith, under } from './support/configuration.ts'
import { type Echo, type Echoed, startEcho } from './support/echo.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { type Ask, send } from './support/wire.ts'

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-proxy-'))
let one: Echo
let two: Echo
let gateway: RunningGateway

beforeAll(async () => {
  one = await startEcho('one')
  two = await startEcho('two')
  writeFileSync(join(directory, 'key'), '  sk-from-file\n')
  const to = (echo: Echo, policies: object = {}) => ({ host: echo.address, policies })
  const route = (path: string, policies: object, backend: object = to(one)) => ({
    matches: under(path),
    policies,
    backends: [backend],
  })
  gateway = await runGateway(
    gatewayWith(
      [
        { backends: [to(one)] },
        { matches: under('/named'), backends: [{ backend: 'second' }] },
        { matches: under('/slash-named'), backends: [{ backend: '/second' }] },
        {
          matches: under('/weights'),
          backends: [
            { ...to(one), weight: 3 },
            { ...to(two), weight: 1 },
            { host: '127.0.0.1:1', weight: 0 },
          ],
        },
        route('/modify', {
          requestHeaderModifier: { set: { 'x-set': 'ours' }, add: { 'x-add': 'ours' }, remove: ['x-remove'] },
          responseHeaderModifier: {
            set: { 'x-set': 'ours' },
            add: { 'x-add': 'ours' },
            remove: ['x-remove'],
          },
        }),
        {
          matches: under('/backend-modify'),
          backends: [
            to(one, {
              requestHeaderModifier: { set: { 'x-set': 'ours' } },
              responseHeaderModifier: { set: { 'x-set': 'ours' } },
            }),
          ],
        },
        route('/full', { urlRewrite: { path: { full: '/elsewhere' } } }),
        route('/prefix', { urlRewrite: { path: { prefix: '/new' } } }),
        route('/root', { urlRewrite: { path: { prefix: '/' } } }),
        route('/authority-none', { urlRewrite: { authority: 'none' } }),
        route('/authority-full', { urlRewrite: { authority: { full: 'full.example:81' } } }),
        route('/authority-host', { urlRewrite: { authority: { host: 'host.example' } } }),
        route('/authority-port', { urlRewrite: { authority: { port: 82 } } }),
        route('/direct', { directResponse: { status: 418, body: 'short and stout' } }),
        route('/direct-expression', {
          directResponse: {
            status: 200,
            bodyExpression: '{"asked": request.path}',
            headers: { 'content-type': '"application/json"', 'x-a': 'jwt.sub' },
          },
        }),
        route('/redirect', { requestRedirect: { scheme: 'https', path: { prefix: '/new' }, status: 308 } }),
        route('/key', { backendAuth: { key: 'sk-inline' } }),
        route('/file', { backendAuth: { key: { file: join(directory, 'key') } } }),
        route('/located', {
          backendAuth: {
            key: { value: 'sk-located', location: { header: { name: 'x-token', prefix: 'Token ' } } },
          },
        }),
        {
          matches: under('/backend-key'),
          policies: { backendAuth: { key: 'sk-route' } },
          backends: [to(one, { backendAuth: { key: 'sk-backend' } })],
        },
      ],
      { backends: [{ name: 'second', host: two.address }] },
    ),
  )
})

afterAll(async () => {
  await gateway.close()
  one.close()
  two.close()
  rmSync(directory, { recursive: true })
})

const ask = (path: string, more: Ask = {}) => send(`${gateway.url}${path}`, more)

async function echoed(path: string, more: Ask = {}): Promise<Echoed> {
  const { status, body } = await ask(path, more)
  expect(status).toBe(200)
  return JSON.parse(body) as Echoed
}

test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])(
  'it forwards %s as it is',
  async (method) => {
    const before = gateway.records().length
    const body = method === 'GET' ? undefined : 'grüße'
    const seen = await echoed('/a/b%20c?d=e&d=%2F', {
      method,
      body,
      headers: { 'x-one': 'eins', 'content-type': 'text/x' },
    })
    expect(seen).toMatchObject({ method, path: '/a/b%20c?d=e&d=%2F', body: body ?? '' })
    expect(seen.headers).toMatchObject({ 'x-one': 'eins', 'content-type': 'text/x', host: one.address })
    const record = (await gateway.recorded(before + 1))[before]
    expect(record).toMatchObject({
      outcome: 'completed',
      'http.path': '/a/b%20c',
      protocol: 'http',
      backend: one.address,
    })
  },
)

test('it forwards a chunked upload', async () => {
  const seen = await echoed('/', {
    method: 'POST',
    body: 'piece',
    headers: { 'transfer-encoding': 'chunked' },
  })
  expect(seen).toMatchObject({ method: 'POST', body: 'piece' })
})

test.each([
  { name: 'an error', answer: { status: 404, body: 'not here' } },
  {
    name: 'a redirect, unfollowed',
    answer: { status: 302, headers: { location: 'http://nowhere.example/' }, body: '' },
  },
  { name: 'no content', answer: { status: 204, body: '' } },
  { name: 'not modified', answer: { status: 304, headers: { etag: '"1"' }, body: '' } },
  { name: 'repeated headers', answer: { headers: { 'set-cookie': ['a=1', 'b=2'] }, body: 'x' } },
  { name: 'a compressed body', answer: { headers: { 'content-encoding': 'br' }, body: 'not unpacked' } },
])('it hands on $name', async ({ answer }) => {
  const reply = await ask('/', { headers: { 'x-answer': JSON.stringify(answer) } })
  const { status = 200, headers = {}, body } = answer as { status?: number; headers?: object; body: string }
  expect(reply).toMatchObject({ status, headers, body, broken: false })
})

test('it answers HEAD with the head alone', async () => {
  const reply = await ask('/', {
    method: 'HEAD',
    headers: { 'x-answer': '{"headers":{"content-length":"7"}}' },
  })
  expect(reply).toMatchObject({ status: 200, body: '', broken: false, headers: { 'content-length': '7' } })
})

test('it forwards no header that is for one hop only, in either direction', async () => {
  const hop = {
    connection: 'keep-alive, x-private',
    'x-private': 'between us',
    'keep-alive': 'timeout=7',
    'proxy-authorization': 'Basic eA==',
    'proxy-connection': 'keep-alive',
    te: 'trailers',
    upgrade: 'h2c',
  }
  const { connection: _, te: __, upgrade: ___, ...private_ } = hop
  const answer = {
    headers: { connection: 'x-private', ...private_, 'proxy-authenticate': 'Basic', 'x-public': 'yes' },
  }
  const before = one.asked.length
  const reply = await ask('/', { headers: { ...hop, 'x-public': 'yes', 'x-answer': JSON.stringify(answer) } })
  const seen = one.asked[before]
  expect(reply.headers).toMatchObject({ 'x-public': 'yes' })
  expect(seen?.headers).toMatchObject({ 'x-public': 'yes' })
  const names = [
    'x-private',
    'proxy-authorization',
    'proxy-authenticate',
    'proxy-connection',
    'te',
    'upgrade',
  ]
  expect(names.filter((name) => seen?.headers[name] !== undefined)).toEqual([])
  expect(names.filter((name) => reply.headers[name] !== undefined)).toEqual([])
  expect(seen?.headers['keep-alive']).toBeUndefined()
  expect(reply.headers['keep-alive']).not.toBe('timeout=7')
})

test.each(['/named', '/slash-named'])('it finds a backend by its name: %s', async (path) => {
  expect((await echoed(path)).name).toBe('two')
})

test('it shares requests by weight, and sends none to weight 0', async () => {
  const names = await Promise.all(Array.from({ length: 400 }, async () => (await echoed('/weights')).name))
  const share = names.filter((name) => name === 'one').length / names.length
  // 3 of 4; five standard deviations to either side.
  expect(share).toBeGreaterThan(0.75 - 0.11)
  expect(share).toBeLessThan(0.75 + 0.11)
})

describe('header modifiers', () => {
  const headers = { 'x-set': 'theirs', 'x-add': 'theirs', 'x-remove': 'theirs' }

  test('set, add and remove on the request and on the response', async () => {
    const reply = await ask('/modify', { headers: { ...headers, 'x-answer': JSON.stringify({ headers }) } })
    expect(reply.headers).toMatchObject({ 'x-set': 'ours', 'x-add': 'theirs, ours' })
    expect(reply.headers).not.toHaveProperty('x-remove')
    const seen = JSON.parse(reply.body) as Echoed
    expect(seen.headers).toMatchObject({ 'x-set': 'ours', 'x-add': 'theirs, ours' })
    expect(seen.headers).not.toHaveProperty('x-remove')
  })

  test('work on a backend as well', async () => {
    const reply = await ask('/backend-modify', { headers })
    expect(reply.headers['x-set']).toBe('ours')
    expect(JSON.parse(reply.body)).toMatchObject({ headers: { 'x-set': 'ours', 'x-add': 'theirs' } })
  })
})

test.each([
  { asked: '/full/x?q=1', path: '/elsewhere?q=1' },
  { asked: '/prefix', path: '/new' },
  { asked: '/prefix/x/y?q=1', path: '/new/x/y?q=1' },
  { asked: '/root', path: '/' },
  { asked: '/root/x', path: '/x' },
])('it rewrites $asked to $path', async ({ asked, path }) => {
  expect((await echoed(asked)).path).toBe(path)
})

test.each([
  { path: '/authority-none', host: 'client.example:80' },
  { path: '/authority-full', host: 'full.example:81' },
  { path: '/authority-host', host: 'host.example:80' },
  { path: '/authority-port', host: 'client.example:82' },
])('it sends the authority $host at $path', async ({ path, host }) => {
  const seen = await echoed(path, { headers: { host: 'client.example:80' } })
  expect(seen.headers.host).toBe(host)
})

test('a direct response says what an expression makes', async () => {
  const reply = await ask('/direct-expression')
  expect(reply).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } })
  expect(JSON.parse(reply.body)).toEqual({ asked: '/direct-expression' })
})

test('a redirect sends the client elsewhere', async () => {
  const reply = await ask('/redirect/a?b=c')
  expect(reply).toMatchObject({ status: 308, headers: { location: 'https://127.0.0.1/new/a?b=c' }, body: '' })
})

test('it answers by itself where it is told to', async () => {
  const asked = one.asked.length
  const reply = await ask('/direct', { body: 'x'.repeat(100_000) })
  expect(reply).toMatchObject({ status: 418, body: 'short and stout' })
  expect(reply.headers['x-trace-id']).toMatch(/^[0-9a-f]{32}$/)
  expect(one.asked).toHaveLength(asked)
})

test.each([
  { path: '/key', headers: { authorization: 'Bearer sk-inline' } },
  { path: '/file', headers: { authorization: 'Bearer sk-from-file' } },
  { path: '/located', headers: { 'x-token': 'Token sk-located' } },
  { path: '/backend-key', headers: { authorization: 'Bearer sk-backend' } },
])('it presents its own credential at $path', async ({ path, headers }) => {
  const seen = await echoed(path, {
    headers: { authorization: 'Bearer of-the-client', 'x-token': 'of-the-client' },
  })
  expect(seen.headers).toMatchObject(headers)
})
