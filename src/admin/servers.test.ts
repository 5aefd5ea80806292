import { connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { Address } from '../core/schema.ts'
import { type AdminSources, openSideServers, type SideLimits, type SideServers } from './servers.ts'

const opened: SideServers[] = []
afterEach(() => Promise.all(opened.splice(0).map((servers) => servers.close())))

const FREE: Address = { host: '127.0.0.1', port: 0 }
const ALL = { admin: FREE, stats: FREE, readiness: FREE }

async function open(
  change: Partial<AdminSources> = {},
  addresses: Partial<typeof ALL> = {},
  limits?: SideLimits,
) {
  const servers = await openSideServers(
    { ...ALL, ...addresses },
    {
      metrics: () => ({ contentType: 'text/plain; version=0.0.4', pieces: ['a 1\n', 'b 2\n'] }),
      notReady: () => undefined,
      admin: (_request, response) => void response.end('admin\n'),
      ...change,
    },
    limits,
  )
  opened.push(servers)
  return servers
}

const ask = async (port: number | undefined, path: string, init?: RequestInit) => {
  const reply = await fetch(`http://127.0.0.1:${port}${path}`, init)
  return {
    status: reply.status,
    type: reply.headers.get('content-type'),
    allow: reply.headers.get('allow'),
    body: await reply.text(),
  }
}

describe('metrics', () => {
  test.each(['/metrics', '/stats/prometheus', '/metrics?format=x'])('it serves them on %s', async (path) => {
    const { ports } = await open()
    expect(await ask(ports.stats, path)).toMatchObject({
      status: 200,
      type: 'text/plain; version=0.0.4',
      body: 'a 1\nb 2\n',
    })
  })

  test('it passes on what the scraper accepts', async () => {
    let accepted: string | undefined
    const { ports } = await open({
      metrics: (accept) => {
        accepted = accept
        return { contentType: 'text/plain', pieces: [] }
      },
    })
    await ask(ports.stats, '/metrics', { headers: { accept: 'application/openmetrics-text' } })
    expect(accepted).toBe('application/openmetrics-text')
  })

  test('it writes a large scrape whole', async () => {
    const pieces = Array.from({ length: 2000 }, (_, index) => `series_${index} ${'1'.repeat(1000)}\n`)
    const { ports } = await open({ metrics: () => ({ contentType: 'text/plain', pieces }) })
    expect((await ask(ports.stats, '/metrics')).body).toBe(pieces.join(''))
  })

  test('it makes no more pieces for a scraper that has left', async () => {
    let made = 0
    let ended = () => {}
    const end = new Promise<void>((resolve) => {
      ended = resolve
    })
    function* endless() {
      try {
        for (;;) {
          made++
          yield 'x'.repeat(65_536)
        }
      } finally {
        ended()
      }
    }
    const { ports } = await open({ metrics: () => ({ contentType: 'text/plain', pieces: endless() }) })
    const leaving = new AbortController()
    const reply = await fetch(`http://127.0.0.1:${ports.stats}/metrics`, { signal: leaving.signal })
    await reply.body?.getReader().read()
    leaving.abort()
    await end
    expect(made).toBeGreaterThan(0)
  })

  test('it answers HEAD without a body', async () => {
    const { ports } = await open()
    expect(await ask(ports.stats, '/metrics', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' })
  })
})

describe('readiness', () => {
  test('it is ready, or says why not', async () => {
    let reason: string | undefined
    const { ports } = await open({ notReady: () => reason })
    expect(await ask(ports.readiness, '/healthz/ready')).toMatchObject({ status: 200, body: 'ready\n' })
    reason = 'draining'
    expect(await ask(ports.readiness, '/healthz/ready')).toMatchObject({
      status: 503,
      body: 'not ready: draining\n',
    })
  })
})

test('it hands everything on the admin port to the admin handler', async () => {
  const { ports } = await open()
  for (const path of ['/', '/config_dump', '/api/runtime'])
    expect((await ask(ports.admin, path)).body).toBe('admin\n')
  expect((await ask(ports.stats, '/config_dump')).status).toBe(404)
  expect((await ask(ports.readiness, '/config_dump')).status).toBe(404)
})

describe.each([
  { door: 'stats' as const, path: '/metrics' },
  { door: 'readiness' as const, path: '/healthz/ready' },
])('the $door door', ({ door, path }) => {
  test('it answers 405 to other methods', async () => {
    const { ports } = await open()
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
      expect(await ask(ports[door], path, { method })).toMatchObject({ status: 405, allow: 'GET, HEAD' })
  })

  test('it answers 404 on other paths, and names its own', async () => {
    const { ports } = await open()
    for (const other of ['/', '/other', `${path}/`, '/__proto__', '/constructor']) {
      const { status, body } = await ask(ports[door], other)
      expect([status, body]).toEqual([404, expect.stringContaining(path)])
    }
  })

  test('it can be off', async () => {
    const { ports } = await open({}, { [door]: 'off' })
    expect(ports[door]).toBeUndefined()
    expect(Object.values(ports).filter((port) => port !== undefined)).toHaveLength(2)
  })
})

describe('connections that ask for nothing', () => {
  const sockets: Socket[] = []
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
  })

  /** Connects and sends the beginning of a request. */
  async function begin(port = 0, head = 'GET / HTTP/1.1\r\nHost: loc'): Promise<Socket> {
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {}).resume()
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.write(head)
    return socket
  }
  const SHORT: SideLimits = {
    maxConnections: { admin: 5, stats: 5, readiness: 5 },
    headersTimeoutMs: 100,
    requestTimeoutMs: 200,
    checkingMs: 20,
  }
  const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve))

  test.each([
    { door: 'admin', most: 200 },
    { door: 'stats', most: 100 },
    { door: 'readiness', most: 100 },
  ] as const)('it holds no more than $most of them on the $door port', async ({ door, most }) => {
    const { ports } = await open()
    const all = await Promise.all(Array.from({ length: most + 20 }, () => begin(ports[door])))
    await expect.poll(() => all.filter(({ destroyed }) => destroyed).length).toBe(20)
  })

  test.each([
    { name: 'half a head', head: 'GET / HTTP/1.1\r\nHost: loc' },
    { name: 'nothing', head: '' },
    { name: 'half a body', head: 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc' },
  ])('it closes one that sends $name, and takes others again', async ({ head }) => {
    const admin: AdminSources['admin'] = (request, response) => {
      request.resume().on('end', () => response.end('admin\n'))
    }
    const { ports } = await open({ admin }, {}, SHORT)
    await Promise.all(
      (await Promise.all(Array.from({ length: 5 }, () => begin(ports.admin, head)))).map(closed),
    )
    expect((await ask(ports.admin, '/')).status).toBe(200)
  })

  test('it lets an answer take its time', async () => {
    const { ports } = await open(
      {
        async admin(_request, response) {
          for (let index = 0; index < 10; index++) {
            response.write('x')
            await new Promise((resolve) => setTimeout(resolve, 60))
          }
          response.end()
        },
      },
      {},
      SHORT,
    )
    expect((await ask(ports.admin, '/')).body).toBe('xxxxxxxxxx')
  })
})

describe('opening and closing', () => {
  test('it fails when a port is taken, and leaves none open', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const address = taken.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const free = createServer()
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve))
    const other = free.address()
    const statsPort = typeof other === 'object' ? (other?.port ?? 0) : 0
    await new Promise((resolve) => free.close(resolve))
    const stats = { host: '127.0.0.1', port: statsPort }
    await expect(open({}, { stats, admin: { host: '127.0.0.1', port } })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    })
    await expect(fetch(`http://127.0.0.1:${statsPort}/metrics`)).rejects.toThrow()
    await new Promise((resolve) => taken.close(resolve))
  })

  test('it closes at once, with connections kept alive', async () => {
    const { ports, close } = await open()
    await ask(ports.stats, '/metrics')
    await close()
    await expect(fetch(`http://127.0.0.1:${ports.stats}/metrics`)).rejects.toThrow()
  })
})
