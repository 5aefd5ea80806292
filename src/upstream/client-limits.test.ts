/** Waiting: limits, pauses, aborts; and the pools that are waited in. */
import type { Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
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
const turn = () => new Promise((resolve) => setImmediate(resolve))
async function until(ask: () => boolean): Promise<void> {
  while (!ask()) await turn()
}
const pass = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'
const HALF = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello'
const LIMIT = 100
/** How late a limit may strike. A loaded machine gets further tries. */
const LATE = 50
const TRIES = { retry: 5, timeout: 5000 }

describe('a limit', () => {
  const silent = () => serve(() => {})
  const mute = async () => {
    const { target } = await silent()
    return { ...target, tls: { insecure: true } }
  }

  test('it ends the wait for the head', TRIES, async () => {
    const { target, sockets } = await silent()
    const called = await callTo(upstreams(), target, {}, { firstByteMs: LIMIT, idleMs: 10_000 }).over
    expect(called.error).toMatchObject({ code: 'upstream_timeout', status: 504 })
    expect(called.attempt).toMatchObject({ errorType: 'provider_timeout', endedAt: expect.any(Number) })
    expect(called.ms).toBeGreaterThan(LIMIT - 2)
    expect(called.ms).toBeLessThan(LIMIT + LATE)
    await until(() => sockets[0]?.destroyed === true)
    expect(called.told).toEqual(['error'])
  })

  test('it ends a silence within the body', TRIES, async () => {
    const { target, sockets } = await serve(HALF)
    const called = await callTo(upstreams(), target, {}, { firstByteMs: 10_000, idleMs: LIMIT }).over
    expect(called.error).toMatchObject({ code: 'idle_timeout', status: 504 })
    expect(called.attempt).toMatchObject({ errorType: 'provider_idle_timeout', status: 200 })
    expect(called.told).toEqual(['head', 'data', 'error'])
    expect(called.ms).toBeGreaterThan(LIMIT - 2)
    expect(called.ms).toBeLessThan(LIMIT + LATE)
    await until(() => sockets[0]?.destroyed === true)
  })

  test.each([
    { name: 'of all upstreams', own: undefined, all: LIMIT },
    { name: 'of one upstream', own: LIMIT, all: 10_000 },
  ])('it ends the wait for a connection, TLS included: $name', TRIES, async ({ own, all }) => {
    const target = { ...(await mute()), connectTimeoutMs: own }
    const called = await callTo(upstreams({ connectTimeoutMs: all }), target).over
    expect(called.error).toMatchObject({ code: 'connect_timeout', status: 504 })
    expect(called.attempt).toMatchObject({ errorType: 'provider_connect_timeout', connectMs: undefined })
    expect(called.ms).toBeGreaterThan(LIMIT - 2)
    expect(called.ms).toBeLessThan(LIMIT + LATE)
  })

  test(
    'it counts the time until there is a connection: the attempt begins with the call',
    TRIES,
    async () => {
      const called = await callTo(upstreams(), await mute(), {}, { firstByteMs: LIMIT }).over
      expect(called.error).toMatchObject({ code: 'upstream_timeout' })
      expect(called.ms).toBeLessThan(LIMIT + LATE)
    },
  )

  test('it counts the time in the queue of a full pool', TRIES, async () => {
    const { target, heads } = await silent()
    const pool = upstreams({ poolMaxSize: 1 })
    const first = callTo(pool, target)
    await until(() => heads.length === 1)
    const second = await callTo(pool, target, {}, { firstByteMs: LIMIT }).over
    expect(second.error).toMatchObject({ code: 'upstream_timeout' })
    expect(second.ms).toBeLessThan(LIMIT + LATE)
    first.call.abort()
  })

  test('it does not end a body that keeps coming', async () => {
    const { target } = await serve(async (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n')
      for (let piece = 0; piece < 6; piece++) {
        await pass(LIMIT / 2)
        socket.write('x')
      }
    })
    const called = await callTo(upstreams(), target, {}, { firstByteMs: LIMIT, idleMs: LIMIT }).over
    expect(called).toMatchObject({ body: 'xxxxxx', error: undefined })
    expect(called.ms).toBeGreaterThan(2 * LIMIT)
  })

  test('it does not strike while nobody reads, and does again afterwards', async () => {
    const { target } = await serve(HALF)
    const called = callTo(upstreams(), target, {}, { idleMs: LIMIT })
    await called.begun
    called.call.pause()
    await pass(2.5 * LIMIT)
    expect(called.error).toBeUndefined()
    const resumedAt = performance.now()
    called.call.resume()
    await called.over
    expect(called.error).toMatchObject({ code: 'idle_timeout' })
    expect(performance.now() - resumedAt).toBeGreaterThan(LIMIT - 2)
  })

  test('it is none with 0', async () => {
    const { target } = await serve((socket) => void setTimeout(() => socket.write(OK), LIMIT))
    expect(await callTo(upstreams(), target).over).toMatchObject({ body: 'hello', error: undefined })
  })
})

describe('pause', () => {
  test('it stops the upstream, and loses no byte', async () => {
    const size = 32 * 1024 * 1024
    let written = 0
    const { target } = await serve((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
      const piece = Buffer.alloc(64 * 1024, 'x')
      const write = () => {
        while (written < size) {
          written += piece.length
          if (!socket.write(piece)) return void socket.once('drain', write)
        }
      }
      write()
    })
    const called = callTo(upstreams(), target)
    await called.begun
    called.call.pause()
    let before = -1
    while (before !== written) {
      before = written
      await pass(50)
    }
    expect(written).toBeLessThan(size)
    called.call.resume()
    expect((await called.over).body.length).toBe(size)
  })
})

describe('abort', () => {
  test.each([
    { name: 'before the head', answer: () => {}, ready: (heads: readonly string[]) => heads.length === 1 },
    { name: 'within the body', answer: HALF, ready: (_: readonly string[], body: string) => body !== '' },
  ])('it closes the connection at once, and nobody is told: $name', async ({ answer, ready }) => {
    const { target, sockets, heads } = await serve(answer)
    const called = callTo(upstreams(), target)
    await until(() => ready(heads, called.body))
    const told = [...called.told]
    called.call.abort()
    called.call.abort()
    await until(() => sockets[0]?.destroyed === true)
    expect(called.told).toEqual(told)
    expect(called.attempt).toMatchObject({ errorType: 'caller_abort', endedAt: expect.any(Number) })
  })

  test('it works before there is a connection: the request is never sent', async () => {
    const { target, heads, sockets } = await serve(OK)
    const pool = upstreams()
    const called = callTo(pool, target)
    called.call.abort()
    expect(await callTo(pool, target, { path: '/second' }).over).toMatchObject({ body: 'hello' })
    expect(heads.map((head) => head.split(' ')[1])).toEqual(['/second'])
    expect(called.told).toEqual([])
    expect(sockets.length).toBeGreaterThan(0)
  })

  test('it changes nothing after the end', async () => {
    const { target } = await serve(OK)
    const called = await callTo(upstreams(), target).over
    called.call.abort()
    called.call.resume()
    expect(called.attempt.errorType).toBeUndefined()
    expect(called.told).toEqual(['head', 'data', 'end'])
  })
})

describe('pools', () => {
  test('it uses a connection again, and says so in the attempt', async () => {
    const opened: string[] = []
    const { target, sockets } = await serve(OK)
    const pool = upstreams({
      onConnected: (transport, seconds) => void opened.push(`${transport} ${seconds >= 0}`),
    })
    const first = await callTo(pool, target).over
    await turn()
    const second = await callTo(pool, { ...target }).over
    expect(sockets).toHaveLength(1)
    expect(opened).toEqual(['plaintext true'])
    expect([first.attempt.connectMs, second.attempt.connectMs]).toEqual([expect.any(Number), undefined])
  })

  test('it opens no more connections than it may', async () => {
    const { target, sockets } = await serve(OK)
    const pool = upstreams({ poolMaxSize: 2 })
    const calls = await Promise.all(Array.from({ length: 10 }, () => callTo(pool, target).over))
    expect(calls.every(({ body }) => body === 'hello')).toBe(true)
    expect(sockets.length).toBeLessThanOrEqual(2)
  })

  test('it keeps the connections of targets that stay, and closes the others when their requests are done', async () => {
    const [kept, gone] = [await serve(OK), await serve(HALF)]
    const pool = upstreams()
    await callTo(pool, kept.target).over
    await turn()
    const running = callTo(pool, gone.target)
    await running.begun
    pool.retain([{ ...kept.target }])
    gone.sockets[0]?.write('world')
    expect(await running.over).toMatchObject({ body: 'helloworld', error: undefined })
    await until(() => gone.sockets[0]?.destroyed === true || gone.sockets[0]?.readableEnded === true)
    await callTo(pool, kept.target).over
    expect(kept.sockets).toHaveLength(1)
  })

  test('it still serves a request whose target is gone since', async () => {
    const { target } = await serve(OK)
    const pool = upstreams()
    await callTo(pool, target).over
    pool.retain([])
    expect(await callTo(pool, target).over).toMatchObject({ body: 'hello' })
  })

  test('it serves those that wait for their turn when their target goes, and closes then', async () => {
    let finish = () => {}
    const { target, sockets, heads } = await serve((socket) => {
      socket.write(HALF)
      finish = () => void socket.write('world')
    })
    const limited = {
      ...target,
      limits: { maxConnections: undefined, maxRequests: 1, maxPendingRequests: 2 },
    }
    const pool = upstreams()
    const calls = [0, 1, 2].map(() => callTo(pool, limited))
    await calls[0]?.begun
    pool.retain([])
    for (const called of calls) {
      await called.begun
      finish()
      expect(await called.over).toMatchObject({ body: 'helloworld', error: undefined })
    }
    expect(heads).toHaveLength(3)
    await until(() => sockets.every((socket) => socket.destroyed || socket.readableEnded))
  })

  test('it asks nobody any more when it closes, neither for those that wait for a connection nor for a turn', async () => {
    const { target, sockets, heads } = await serve(HALF)
    const limited = {
      ...target,
      limits: { maxConnections: 1, maxRequests: 2, maxPendingRequests: 3 },
    }
    const pool = upstreamsWith()
    const calls = [0, 1, 2, 3, 4].map(() => callTo(pool, limited))
    await calls[0]?.begun
    await pool.close()
    for (const called of calls) expect((await called.over).told.at(-1)).toBe('error')
    await until(() => sockets.every((socket) => socket.destroyed))
    const later = callTo(upstreams(), target)
    await later.begun
    expect([sockets.length, heads.length]).toEqual([2, 2])
    later.call.abort()
  })

  test('it serves those that wait for a connection when their target goes, and closes then', async () => {
    const { target, sockets, heads } = await serve(OK)
    const pool = upstreams({ poolMaxSize: 2 })
    const calls = [0, 1, 2, 3, 4].map(() => callTo(pool, target))
    pool.retain([])
    calls[3]?.call.abort()
    for (const at of [0, 1, 2, 4]) expect(await calls[at]?.over).toMatchObject({ body: 'hello' })
    expect(heads).toHaveLength(4)
    await until(() => sockets.every((socket) => socket.destroyed || socket.readableEnded))
  })

  test('it ends what is under way when it closes', async () => {
    const { target, sockets } = await serve(HALF)
    const pool = upstreamsWith()
    const called = callTo(pool, target)
    await called.begun
    await pool.close()
    expect((await called.over).told.at(-1)).toBe('error')
    await until(() => sockets[0]?.destroyed === true)
  })
})
