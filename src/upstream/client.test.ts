/** Answers, faults and pools. Limits and back-pressure: `client-limits.test.ts`. */
import { constants } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { UpstreamTarget, UpstreamTls } from '../core/upstream.ts'
import { callTo, type RawServer, rawServer, upstreamsWith } from './client.fixture.ts'
import type { UpstreamSettings } from './client.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function serve(answer: string | ((socket: Socket) => void)): Promise<RawServer> {
  const server = await rawServer(answer)
  closing.push(server.close)
  return server
}
function upstreams(change: Partial<UpstreamSettings> = {}) {
  const made = upstreamsWith(change)
  closing.push(made.close)
  return made
}

const OK = 'HTTP/1.1 200 OK\r\nX-A: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 5\r\n\r\nhello'

describe('an answer', () => {
  test('it is handed on with its head, and noted in the attempt', async () => {
    const { target, heads } = await serve(OK)
    const called = await callTo(upstreams(), target, {
      path: '/a?b=1',
      headers: { host: 'x.test', 'x-b': ['1', '2'] },
    }).over
    expect(called).toMatchObject({
      told: ['head', 'data', 'end'],
      status: 200,
      headers: { 'x-a': '1', 'set-cookie': ['a=1', 'b=2'], 'content-length': '5' },
      body: 'hello',
    })
    expect(called.attempt).toMatchObject({ status: 200, errorType: undefined, connectMs: expect.any(Number) })
    const { startedAt, headAt = 0, endedAt = 0 } = called.attempt
    expect(startedAt <= headAt && headAt <= endedAt).toBe(true)
    expect(heads[0]).toMatch(/^GET \/a\?b=1 HTTP\/1\.1\r\n/)
    expect(heads[0]).toMatch(/\r\nhost: x\.test(\r\n|$)/i)
    expect(heads[0]?.match(/x-b: \d/gi)).toEqual(['x-b: 1', 'x-b: 2'])
  })

  test.each([
    {
      name: 'chunks',
      text: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n',
    },
    { name: 'an early hint', text: `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}` },
  ])('it may come with $name', async ({ text }) => {
    const { target } = await serve(text)
    expect(await callTo(upstreams(), target).over).toMatchObject({
      status: 200,
      body: 'hello',
      told: ['head', 'data', 'end'],
    })
  })

  test('it may end with its connection when it promises no length', async () => {
    const { target } = await serve((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nhello'))
    expect(await callTo(upstreams(), target).over).toMatchObject({
      body: 'hello',
      told: ['head', 'data', 'end'],
    })
  })

  test.each([
    { status: 401, errorType: 'provider_auth' },
    { status: 404, errorType: 'provider_not_found' },
    { status: 429, errorType: 'provider_rate_limited' },
    { status: 500, errorType: 'provider_server_error' },
    { status: 529, errorType: 'provider_overloaded' },
  ])('it is noted as $errorType with status $status', async ({ status, errorType }) => {
    const { target } = await serve(`HTTP/1.1 ${status} X\r\ncontent-length: 0\r\n\r\n`)
    const { attempt, told } = await callTo(upstreams(), target).over
    expect(attempt).toMatchObject({ status, errorType })
    expect(told).toEqual(['head', 'end'])
  })

  test.each([
    { name: 'a buffer', body: () => Buffer.from('{}') },
    { name: 'a stream', body: () => Readable.from([Buffer.from('{'), Buffer.from('}')]) },
  ])('it answers a body that is $name', async ({ body }) => {
    const { target, heads } = await serve(OK)
    expect(await callTo(upstreams(), target, { method: 'POST', body: body() }).over).toMatchObject({
      body: 'hello',
    })
    expect(heads[0]).toMatch(/content-length: 2|transfer-encoding: chunked/i)
  })
})

describe('a fault', () => {
  const nobody: UpstreamTarget = { host: '127.0.0.1', port: 1, tls: undefined, connectTimeoutMs: undefined }

  test.each([
    { name: 'a refused connection', target: nobody },
    { name: 'a name that nobody has', target: { ...nobody, host: 'no-such-host.invalid' } },
  ])('it is upstream_connect: $name', async ({ target }) => {
    const { error, told, attempt } = await callTo(upstreams(), target).over
    expect(error).toMatchObject({ code: 'upstream_connect', status: 503, cause: expect.any(Error) })
    expect(told).toEqual(['error'])
    expect(attempt).toMatchObject({ errorType: 'provider_connect', status: undefined, connectMs: undefined })
  })

  test.each<{ name: string; answer: (socket: Socket) => void; told: string[] }>([
    { name: 'a reset before the head', answer: (socket) => socket.resetAndDestroy(), told: ['error'] },
    { name: 'an end before the head', answer: (socket) => socket.end(), told: ['error'] },
    {
      name: 'an end within the head',
      answer: (socket) => socket.end('HTTP/1.1 200 OK\r\nx-a: '),
      told: ['error'],
    },
    {
      name: 'an end before the promised length',
      answer: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello'),
      told: ['head', 'data', 'error'],
    },
    {
      name: 'an end within chunks',
      answer: (socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'),
      told: ['head', 'data', 'error'],
    },
    {
      name: 'a reset after the head',
      answer: (socket) =>
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello', () =>
          setImmediate(() => socket.resetAndDestroy()),
        ),
      told: ['head', 'data', 'error'],
    },
  ])('it is upstream_reset: $name', async ({ answer, told }) => {
    const { target } = await serve(answer)
    const called = await callTo(upstreams(), target).over
    expect(called.error).toMatchObject({ code: 'upstream_reset', status: 503 })
    expect(called.attempt).toMatchObject({ errorType: 'provider_reset' })
    expect(called.told.filter((word) => word !== 'data')).toEqual(told.filter((word) => word !== 'data'))
  })

  test('it is upstream_reset, and no connect timeout, when a connection that stood dies of silence', async () => {
    const { target } = await serve(() => {})
    const body = new Readable({
      read() {
        this.destroy(Object.assign(new Error('read ETIMEDOUT'), { code: 'ETIMEDOUT' }))
      },
    })
    const { error } = await callTo(upstreams(), target, { method: 'POST', body }).over
    expect(error).toMatchObject({ code: 'upstream_reset' })
  })

  test.each([
    { name: 'no HTTP', text: 'SSH-2.0-OpenSSH_9.6\r\n' },
    { name: 'a status that is none', text: 'HTTP/1.1 abc\r\n\r\n' },
    { name: 'an endless head', text: `HTTP/1.1 200 OK\r\nx-a: ${'x'.repeat(300_000)}\r\n\r\n` },
    {
      name: 'a chunk size that is none',
      text: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
    },
    { name: 'a length that is none', text: 'HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello' },
  ])('it is upstream_bad_response: $name', async ({ text }) => {
    const { target } = await serve(text)
    const { error, attempt } = await callTo(upstreams(), target).over
    expect(error).toMatchObject({ code: 'upstream_bad_response', status: 502 })
    expect(attempt).toMatchObject({ errorType: 'provider_bad_response' })
  })

  test.each([
    { name: 'a header of two lines', change: { headers: { 'x-a': 'one\r\ntwo' } } },
    { name: 'a path with a space', change: { path: '/a b' } },
    { name: 'a method that is none', change: { method: 'GE T' } },
  ])('it is bad_request where the request cannot go on the wire: $name', async ({ change }) => {
    const { target, sockets } = await serve(OK)
    const { error, told } = await callTo(upstreams(), target, change).over
    expect(error).toMatchObject({ code: 'bad_request', status: 400 })
    expect(told).toEqual(['error'])
    expect(sockets).toHaveLength(0)
  })
})

describe('TLS', () => {
  const pem = (name: string) =>
    readFileSync(new URL(`../../test/fixtures/tls/${name}`, import.meta.url), 'utf8')
  const server = createSecureServer({ cert: pem('one.pem'), key: pem('one.key') }, (_request, response) =>
    response.end('hello'),
  )
  let port: number

  beforeAll(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })
  afterAll(() => void server.close())

  const call = (tls: UpstreamTls | undefined) =>
    callTo(upstreams(), { host: '127.0.0.1', port, tls, connectTimeoutMs: undefined }).over

  test.each<{ name: string; tls: UpstreamTls }>([
    { name: 'a root and a name that fit', tls: { ca: pem('ca.pem'), servername: 'one.test' } },
    { name: 'another name that is not looked at', tls: { ca: pem('ca.pem'), insecureHost: true } },
    { name: 'no verification at all', tls: { insecure: true } },
  ])('it connects with $name', async ({ tls }) => {
    expect(await call(tls)).toMatchObject({ body: 'hello', error: undefined })
  })

  test('it keeps its connection, and the name that it verifies, whatever Host the requests name', async () => {
    let connections = 0
    const pool = upstreams({ onConnected: () => void connections++ })
    const tls = { ca: pem('ca.pem'), servername: 'one.test' }
    const target = { host: '127.0.0.1', port, tls, connectTimeoutMs: undefined }
    for (const host of ['one.test', 'two.test', '127.0.0.1']) {
      expect(await callTo(pool, target, { headers: { host } }).over).toMatchObject({ body: 'hello' })
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(connections).toBe(1)
    const { error } = await callTo(
      pool,
      { ...target, tls: { ca: pem('ca.pem') } },
      { headers: { host: 'one.test' } },
    ).over
    expect(error).toMatchObject({ code: 'upstream_connect' })
  })

  test.each<{ name: string; tls: UpstreamTls | undefined; code: string }>([
    {
      name: 'a name that does not fit',
      tls: { ca: pem('ca.pem'), servername: 'two.test' },
      code: 'upstream_connect',
    },
    { name: 'a name that is not there', tls: { ca: pem('ca.pem') }, code: 'upstream_connect' },
    { name: 'a root that is not trusted', tls: { servername: 'one.test' }, code: 'upstream_connect' },
    {
      name: 'a root that is not trusted, whatever the name',
      tls: { insecureHost: true },
      code: 'upstream_connect',
    },
    { name: 'plain text to a TLS port', tls: undefined, code: 'upstream_reset' },
  ])('it does not connect with $name', async ({ tls, code }) => {
    expect((await call(tls)).error).toMatchObject({ code })
  })

  test('a session that is refused is not tried again', async () => {
    const options = { maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET } as const
    const other = createSecureServer({ cert: pem('one.pem'), key: pem('one.key'), ...options })
    closing.push(() => other.close())
    const known = new Set<string>()
    let refused = 0
    other.on('request', (_request, response) => response.writeHead(200, { connection: 'close' }).end('hello'))
    other.on('newSession', (id: Buffer, _data, done) => {
      known.add(id.toString('hex'))
      done()
    })
    other.on('resumeSession', (id: Buffer, done) => {
      if (!known.has(id.toString('hex'))) return done(null, null)
      refused++
      done(new Error('not this one'), null)
    })
    other.listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port: otherPort } = other.address() as AddressInfo
    const target = {
      host: '127.0.0.1',
      port: otherPort,
      tls: { insecure: true },
      connectTimeoutMs: undefined,
    }
    const pool = upstreams()
    const codes: (string | undefined)[] = []
    for (let call = 0; call < 3; call++) codes.push((await callTo(pool, target).over).error?.code)
    expect([codes, refused]).toEqual([[undefined, 'upstream_connect', undefined], 1])
  })

  test('it does not connect to a port that speaks no TLS', async () => {
    const { target } = await serve((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const { error } = await callTo(upstreams(), { ...target, tls: { insecure: true }, connectTimeoutMs: 500 })
      .over
    expect(error?.code).toMatch(/^(upstream_connect|connect_timeout)$/)
  })
})
