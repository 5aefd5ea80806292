/** Upstreams that do not keep to the protocol, or leave in the middle of it: nobody gets what is another's. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import { beginAttempt } from '../core/exchange.ts'
import type { UpstreamRequest, UpstreamTarget } from '../core/upstream.ts'
import { type Called, callTo, type RawServer, rawServer, upstreamsWith } from './client.fixture.ts'
import type { UpstreamSettings } from './client.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function serve(answer: string | ((socket: Socket, path: string) => void)): Promise<RawServer> {
  const server: RawServer = await rawServer(
    typeof answer === 'string'
      ? answer
      : (socket) => answer(socket, server.heads.at(-1)?.split(' ')[1] ?? ''),
  )
  closing.push(server.close)
  return server
}
function upstreams(change: Partial<UpstreamSettings> = {}) {
  const made = upstreamsWith(change)
  closing.push(made.close)
  return made
}
const turn = () => new Promise((resolve) => setImmediate(resolve))
async function until(ask: () => boolean): Promise<void> {
  while (!ask()) await turn()
}

/** Says which request it answers. */
const answerTo = (path: string, more = '') =>
  `HTTP/1.1 200 OK\r\n${more}content-length: ${path.length}\r\n\r\n${path}`
const EVIL = answerTo('evil')
const POST = (body: UpstreamRequest['body']) => ({ method: 'POST', body })

describe('bytes that nobody asked for', () => {
  const afterwards: Record<string, (path: string) => string> = {
    'another response': (path) => answerTo(path) + EVIL,
    'another response after chunks': (path) =>
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${path.length}\r\n${path}\r\n0\r\n\r\n${EVIL}`,
    'a line end': (path) => `${answerTo(path)}\r\n`,
    'a half of a head': (path) => `${answerTo(path)}HTTP/1.1 200 OK\r\nx-a: `,
    'a body that 204 does not have': () => 'HTTP/1.1 204 X\r\ncontent-length: 4\r\n\r\nevil',
    'a body that 304 does not have': () => 'HTTP/1.1 304 X\r\n\r\nevil',
  }
  test.each(Object.keys(afterwards))('the next request has another connection: %s', async (name) => {
    const { target, sockets } = await serve((socket, path) =>
      socket.write(path === '/1' ? (afterwards[name]?.(path) ?? '') : answerTo(path)),
    )
    const pool = upstreams({ poolMaxSize: 1 })
    const [first, second] = await Promise.all(['/1', '/2'].map((path) => callTo(pool, target, { path }).over))
    expect(first?.error).toBeUndefined()
    expect(first?.body === '' || first?.body === '/1').toBe(true)
    expect(second).toMatchObject({ status: 200, body: '/2', error: undefined })
    expect(sockets).toHaveLength(2)
  })

  test('HEAD has no body, and its connection no other request', async () => {
    const { target, sockets, heads } = await serve((socket, path) =>
      socket.write(path === '/1' ? answerTo('evil') : answerTo(path)),
    )
    const pool = upstreams({ poolMaxSize: 1 })
    const [first, second] = await Promise.all([
      callTo(pool, target, { path: '/1', method: 'HEAD' }).over,
      callTo(pool, target, { path: '/2' }).over,
    ])
    expect([first.body, second.body]).toEqual(['', '/2'])
    expect(heads[0]).toMatch(/\r\nconnection: close(\r\n|$)/)
    expect(sockets).toHaveLength(2)
  })

  test('what comes while a connection is idle ends it', async () => {
    const { target, sockets } = await serve((socket, path) => socket.write(answerTo(path)))
    const pool = upstreams()
    await callTo(pool, target, { path: '/1' }).over
    sockets[0]?.write(EVIL)
    await until(() => sockets[0]?.destroyed === true || sockets[0]?.readableEnded === true)
    expect(await callTo(pool, target, { path: '/2' }).over).toMatchObject({ body: '/2' })
    expect(sockets).toHaveLength(2)
  })

  test('what has come before the next request is made is not its answer', async () => {
    const { target, sockets } = await serve((socket, path) => socket.write(answerTo(path)))
    const pool = upstreams()
    for (let round = 0; round < 20; round++) {
      await callTo(pool, target, { path: '/1' }).over
      // The bytes are at the other end when this is done: nobody has read them yet.
      const socket = sockets.at(-1)
      await new Promise((resolve) => socket?.write(EVIL, resolve))
      const next = await callTo(pool, target, { path: '/2' }).over
      expect(next).toMatchObject({ body: '/2', error: undefined })
    }
  })

  test('what comes before the first request on a connection ends it', async () => {
    let greet = true
    const server = createServer((socket) => {
      socket.on('error', () => {})
      if (greet) socket.write('220 ready\r\n')
      greet = false
      socket.on('data', () => socket.write(answerTo('/')))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(() => server.close())
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const target: UpstreamTarget = { host: '127.0.0.1', port, tls: undefined, connectTimeoutMs: undefined }
    const pool = upstreams()
    const { error } = await callTo(pool, target).over
    expect(error).toMatchObject({ code: 'upstream_bad_response' })
    expect(await callTo(pool, target).over).toMatchObject({ body: '/' })
  })
})

describe('a response that comes in pieces', () => {
  const TEXT = `HTTP/1.1 103 X\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-a: b\r\n\r\n5\r\nhello\r\n0\r\nt: u\r\n\r\n`
  test('it is the same wherever it is cut, and its connection serves the next', async () => {
    let cut = 1
    const { target, sockets } = await serve((socket) => {
      const at = cut
      socket.write(TEXT.slice(0, at))
      setImmediate(() => socket.write(TEXT.slice(at)))
    })
    const pool = upstreams()
    for (; cut < TEXT.length; cut++) {
      const { status, headers, body, error } = await callTo(pool, target).over
      expect({ cut, status, headers, body, error }).toEqual({
        cut,
        status: 200,
        headers: { 'transfer-encoding': 'chunked', 'x-a': 'b' },
        body: 'hello',
        error: undefined,
      })
    }
    expect(sockets).toHaveLength(1)
  })
})

describe('a response that is refused', () => {
  test.each([
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\nevil',
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding : chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 4\n\nevil',
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nevil',
    'HTTP/1.1 100 Continue\r\n\r\n'.repeat(20_000),
    `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(60_000)}`,
  ])('its connection is closed, and the next request has another', async (text) => {
    const { target, sockets } = await serve((socket, path) =>
      socket.write(path === '/1' ? text : answerTo(path)),
    )
    const pool = upstreams({ poolMaxSize: 1 })
    const [first, second] = await Promise.all(['/1', '/2'].map((path) => callTo(pool, target, { path }).over))
    expect(first).toMatchObject({ status: undefined, body: '', error: { code: 'upstream_bad_response' } })
    expect(first?.attempt).toMatchObject({ errorType: 'provider_bad_response' })
    expect(second).toMatchObject({ body: '/2', error: undefined })
    await until(() => sockets[0]?.destroyed === true)
  })

  test('what was told of it before it went wrong stays told', async () => {
    const { target } = await serve('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n+1\r\nx')
    const called = await callTo(upstreams(), target).over
    expect(called).toMatchObject({ told: ['head', 'data', 'error'], body: 'ok' })
    expect(called.error).toMatchObject({ code: 'upstream_bad_response' })
  })
})

describe('an upstream that leaves', () => {
  const stages = {
    'before the head': '',
    'within the status line': 'HTTP/1.',
    'within the head': 'HTTP/1.1 200 OK\r\nx-a',
    'after a response that is not final': 'HTTP/1.1 103 X\r\n\r\n',
    'after the head': 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n',
    'within the body': 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell',
    'within the body of a connection that would close':
      'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhell',
    'within a size': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5',
    'within a chunk': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel',
    'before the last chunk': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n',
    'before the last line end': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n',
    'within trailers': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\r\n',
  }
  const ways = {
    'an end': (socket: Socket, text: string) => void socket.end(text),
    'a reset': (socket: Socket, text: string) =>
      text === ''
        ? socket.resetAndDestroy()
        : socket.write(text, () => setImmediate(() => socket.resetAndDestroy())),
  }
  const rows = Object.entries(stages).flatMap(([stage, text]) =>
    Object.entries(ways).map(([way, leave]) => ({ stage, text, way, leave })),
  )
  test.each(rows)('it is upstream_reset, and never the end: $way $stage', async ({ text, leave }) => {
    const { target } = await serve((socket) => leave(socket, text))
    const called = await callTo(upstreams(), target).over
    expect(called.error).toMatchObject({ code: 'upstream_reset' })
    expect(called.told.at(-1)).toBe('error')
  })

  test('a reset is no end of a body without a length', async () => {
    const { target } = await serve((socket) => ways['a reset'](socket, 'HTTP/1.1 200 OK\r\n\r\nhello'))
    expect((await callTo(upstreams(), target).over).error).toMatchObject({ code: 'upstream_reset' })
  })

  test('it may leave a connection that is idle', async () => {
    const { target, sockets } = await serve((socket, path) => socket.write(answerTo(path)))
    const pool = upstreams()
    for (const leave of [
      (socket?: Socket) => socket?.end(),
      (socket?: Socket) => socket?.resetAndDestroy(),
    ]) {
      await callTo(pool, target, { path: '/1' }).over
      leave(sockets.at(-1))
      expect(await callTo(pool, target, { path: '/2' }).over).toMatchObject({ body: '/2', error: undefined })
    }
  })

  test('a request that was sent on a connection that closes is not sent again', async () => {
    const { target, heads } = await serve((socket, path) => {
      if (path === '/1') socket.write(answerTo(path))
      else socket.end()
    })
    const pool = upstreams()
    await callTo(pool, target, { path: '/1' }).over
    const { error, attempt } = await callTo(pool, target, { path: '/2', ...POST(Buffer.from('x')) }).over
    expect(error).toMatchObject({ code: 'upstream_reset' })
    expect(attempt.connectMs).toBeUndefined()
    expect(heads.filter((head) => head.includes('/2'))).toHaveLength(1)
  })
})

describe('a connection that says how long it stays', () => {
  test.each([
    { kept: 'timeout=1', connections: 2 },
    { kept: 'timeout=2, max=100', connections: 2 },
    { kept: 'timeout=60', connections: 1 },
    { kept: 'max=5', connections: 1 },
  ])('it is used again only where that is far: $kept', async ({ kept, connections }) => {
    const { target, sockets } = await serve((socket, path) =>
      socket.write(answerTo(path, `keep-alive: ${kept}\r\n`)),
    )
    const pool = upstreams()
    await callTo(pool, target).over
    await turn()
    await callTo(pool, target).over
    expect(sockets).toHaveLength(connections)
  })

  test('it is closed when it said, whatever others have said before it', async () => {
    const { target, sockets } = await serve((socket, path) =>
      socket.write(answerTo(path, path === '/long' ? 'keep-alive: timeout=500\r\n' : '')),
    )
    const pool = upstreams({ poolIdleMs: 1 })
    const calls = ['/long', '/short'].map((path) => callTo(pool, target, { path }).over)
    await Promise.all(calls)
    await until(() => sockets.some((socket) => socket.readableEnded || socket.destroyed))
    expect(sockets.filter((socket) => !socket.readableEnded && !socket.destroyed)).toHaveLength(1)
  })

  test('it is closed when nobody has used it for long enough', async () => {
    const { target, sockets } = await serve((socket, path) => socket.write(answerTo(path)))
    await callTo(upstreams({ poolIdleMs: 1 }), target).over
    await until(() => sockets[0]?.readableEnded === true || sockets[0]?.destroyed === true)
  })
})

describe('an upload', () => {
  /** What comes in, head and body. */
  async function sink(answer: (socket: Socket, received: string) => void) {
    const all: string[] = []
    const server = createServer((socket) => {
      const index = all.push('') - 1
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        all[index] += bytes.toString('latin1')
        answer(socket, all[index] ?? '')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(() => server.close())
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const target: UpstreamTarget = { host: '127.0.0.1', port, tls: undefined, connectTimeoutMs: undefined }
    return { target, all }
  }
  const whole = (socket: Socket, received: string) => {
    if (/\r\n0\r\n\r\n$|\r\n\r\nhello$|\r\n\r\nx{300000}$/.test(received)) socket.write(answerTo('/'))
  }

  test.each<{ name: string; change: () => Partial<UpstreamRequest>; body: string }>([
    {
      name: 'in chunks',
      change: () => POST(Readable.from([Buffer.from('he'), Buffer.alloc(0), Buffer.from('llo')])),
      body: '2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n',
    },
    { name: 'in no chunks', change: () => POST(Readable.from([])), body: '0\r\n\r\n' },
    {
      name: 'of the length that it promises',
      change: () => ({
        ...POST(Readable.from([Buffer.from('he'), Buffer.from('llo')])),
        headers: { host: 'h', 'content-length': '5' },
      }),
      body: 'hello',
    },
    { name: 'that is small', change: () => POST(Buffer.from('hello')), body: 'hello' },
    { name: 'that is large', change: () => POST(Buffer.alloc(3e5, 'x')), body: 'x'.repeat(3e5) },
  ])('it goes out $name', async ({ change, body }) => {
    const { target, all } = await sink(whole)
    expect(await callTo(upstreams(), target, change()).over).toMatchObject({ body: '/', error: undefined })
    expect(all[0]?.slice(all[0].indexOf('\r\n\r\n') + 4)).toBe(body)
  })

  test.each([
    { name: 'longer', promised: '4', sent: '' },
    { name: 'shorter', promised: '6', sent: 'hello' },
  ])(
    'it is bad_request where it is $name than it says, and nothing follows it',
    async ({ promised, sent }) => {
      const { target, all } = await sink(() => {})
      const request = {
        ...POST(Readable.from([Buffer.from('hello')])),
        headers: { 'content-length': promised },
      }
      const { error } = await callTo(upstreams({ poolMaxSize: 1 }), target, request).over
      expect(error).toMatchObject({ code: 'bad_request' })
      await turn()
      expect(all[0] === undefined || sent.startsWith(all[0].split('\r\n\r\n')[1] ?? '')).toBe(true)
    },
  )

  test('its answer may come before it is over: nothing else is sent on its connection', async () => {
    const { target, all } = await sink((socket, received) => {
      if (received.includes('\r\n\r\n')) socket.write(answerTo(received.split(' ')[1] ?? ''))
    })
    const pool = upstreams({ poolMaxSize: 1 })
    const body = new PassThrough()
    body.write('x')
    const first = callTo(pool, target, { path: '/1', ...POST(body) })
    const second = callTo(pool, target, { path: '/2' })
    expect(await first.over).toMatchObject({ body: '/1', error: undefined })
    body.end('GET /evil HTTP/1.1\r\nhost: h\r\n\r\n')
    expect(await second.over).toMatchObject({ body: '/2', error: undefined })
    expect(all).toHaveLength(2)
    expect(all.join('')).not.toContain('evil')
  })

  test.each<{ name: string; leave: (body: PassThrough) => void }>([
    { name: 'fails', leave: (body) => body.destroy(new Error('gone')) },
    { name: 'is given up', leave: (body) => body.destroy() },
  ])('it ends its connection where it $name', async ({ leave }) => {
    const { target, all } = await sink(() => {})
    const body = new PassThrough()
    const called = callTo(upstreams(), target, POST(body))
    body.write('x')
    await until(() => all[0]?.endsWith('1\r\nx\r\n') === true)
    leave(body)
    expect((await called.over).error).toMatchObject({ code: 'upstream_reset' })
    await turn()
    expect(all[0]).not.toContain('0\r\n\r\n')
  })

  test('it waits for an upstream that does not read', async () => {
    const server = createServer((socket) => void socket.on('error', () => {}).pause())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(() => server.close())
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    let made = 0
    const body = new Readable({
      read() {
        made += 65_536
        this.push(made > 2 ** 28 ? null : Buffer.alloc(65_536))
      },
    })
    const target: UpstreamTarget = { host: '127.0.0.1', port, tls: undefined, connectTimeoutMs: undefined }
    const called = callTo(upstreams(), target, POST(body))
    let before = -1
    while (before !== made || made === 0) {
      before = made
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(made).toBeLessThan(2 ** 27)
    called.call.abort()
  })
})

describe('a handler that throws', () => {
  test.each(['onHead', 'onData'] as const)('it hears that its request is over: %s', async (step) => {
    const { target, sockets } = await serve((socket, path) => socket.write(answerTo(path)))
    const pool = upstreams()
    const attempt = beginAttempt('a', performance.now())
    const error = await new Promise((resolve) => {
      const handler = { onHead() {}, onData() {}, onEnd: () => resolve(undefined), onError: resolve }
      const request = { method: 'GET', path: '/1', headers: {}, body: null }
      const fail = () => {
        throw new Error('ours')
      }
      pool.send(target, request, { firstByteMs: 0, idleMs: 0 }, attempt, { ...handler, [step]: fail })
    })
    expect(error).toMatchObject({ code: 'upstream_reset', cause: { message: 'ours' } })
    expect(await callTo(pool, target, { path: '/2' }).over).toMatchObject({ body: '/2' })
    expect(sockets).toHaveLength(2)
  })
})

describe('waiting for a connection', () => {
  test('a pause that the end has overtaken does not stop the connection', async () => {
    const { target, sockets } = await serve((socket, path) => socket.write(answerTo(path)))
    const pool = upstreams()
    const first: Called = callTo(pool, target, { path: '/1' })
    await first.begun
    first.call.pause()
    await first.over
    await turn()
    expect(await callTo(pool, target, { path: '/2' }).over).toMatchObject({ body: '/2' })
    expect(sockets).toHaveLength(1)
  })

  test('each that cannot connect hears of it, however few may try at a time', async () => {
    const nobody: UpstreamTarget = { host: '127.0.0.1', port: 1, tls: undefined, connectTimeoutMs: undefined }
    const pool = upstreams({ poolMaxSize: 2 })
    const calls = await Promise.all(Array.from({ length: 7 }, () => callTo(pool, nobody).over))
    for (const { error } of calls) expect(error).toMatchObject({ code: 'upstream_connect' })
  })

  test('one that leaves leaves its turn to the next', async () => {
    const { target, heads } = await serve((socket, path) => socket.write(answerTo(path)))
    const pool = upstreams({ poolMaxSize: 1 })
    const calls = ['/1', '/2', '/3', '/4'].map((path) => callTo(pool, target, { path }))
    calls[0]?.call.abort()
    calls[2]?.call.abort()
    expect((await calls[1]?.over)?.body).toBe('/2')
    expect((await calls[3]?.over)?.body).toBe('/4')
    expect(heads).toHaveLength(2)
  })

  test('a name may have several addresses', async () => {
    const { target } = await serve((socket, path) => socket.write(answerTo(path)))
    const pool = upstreams()
    expect(await callTo(pool, { ...target, host: 'localhost' }).over).toMatchObject({ body: '/' })
    const { error } = await callTo(upstreams({ family: 6 }), { ...target, host: 'localhost' }).over
    expect(error).toMatchObject({ code: 'upstream_connect' })
  })

  test('a certificate that is none is upstream_connect', async () => {
    const { target } = await serve('')
    const tls = { cert: 'none', key: 'none' }
    const { error } = await callTo(upstreams(), { ...target, tls }).over
    expect(error).toMatchObject({ code: 'upstream_connect' })
  })
})
