import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request as openRequest, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { connect as connectSecurely } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { send, sendBytes } from '../../test/support/wire.ts'
import type { GatewayError } from '../core/errors.ts'
import { type ListeningServer, listen, type ServerOptions, type TlsListener } from './server.ts'

const pem = (name: string) =>
  readFileSync(new URL(`../../test/fixtures/tls/${name}`, import.meta.url), 'utf8')
const certificate = (name: string, fits: TlsListener['fits']): TlsListener => ({
  cert: pem(`${name}.pem`),
  key: pem(`${name}.key`),
  hostname: undefined,
  fits,
})

const opened: ListeningServer[] = []
afterEach(async () => {
  for (const server of opened.splice(0)) {
    server.stop()
    server.destroy()
    await server.closed
  }
})

type Answer = (request: IncomingMessage, response: ServerResponse) => void
const hello: Answer = (request, response) => {
  request.resume()
  response.end(`hello ${request.url}`)
}

async function run(onRequest: Answer = hello, change: Partial<ServerOptions> = {}) {
  const refused: GatewayError[] = []
  const broken: GatewayError[] = []
  const connections: Socket[] = []
  const server = await listen({
    host: '127.0.0.1',
    port: 0,
    tls: undefined,
    idleMs: 60_000,
    onRequest(request, response) {
      onRequest(request, response)
      return { fail: (fault) => void broken.push(fault) }
    },
    onBadRequest: (fault) => refused.push(fault),
    onConnection: (socket) => connections.push(socket),
    ...change,
  })
  opened.push(server)
  return { server, url: `http://127.0.0.1:${server.port}`, refused, broken, connections }
}

describe('bytes that are no request', () => {
  test.each([
    { name: 'no HTTP at all', bytes: 'GET\r\n\r\n', status: 400, code: 'bad_request' },
    {
      name: 'a TLS greeting',
      bytes: Buffer.from([22, 3, 1, 0, 200, 1, 0, 0, 196]),
      status: 400,
      code: 'bad_request',
    },
    {
      name: 'a header without a colon',
      bytes: 'GET / HTTP/1.1\r\nhost: a\r\nnonsense\r\n\r\n',
      status: 400,
      code: 'bad_request',
    },
    {
      name: 'two lengths',
      bytes: 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
      status: 400,
      code: 'bad_request',
    },
    {
      name: 'a length beside chunks: the start of a smuggled request',
      bytes: 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      status: 400,
      code: 'bad_request',
    },
    {
      name: 'a head of more than 64 KiB',
      bytes: `GET / HTTP/1.1\r\nhost: a\r\nx-a: ${'x'.repeat(70_000)}\r\n\r\n`,
      status: 431,
      code: 'headers_too_large',
    },
    {
      name: 'CONNECT',
      bytes: 'CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\n\r\n',
      status: 405,
      code: 'method_not_allowed',
    },
  ])('it is told so, and the connection closed: $name', async ({ bytes, status, code }) => {
    const { url, refused, broken } = await run()
    const answer = await sendBytes(url, bytes)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [A-Z]`))
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    expect(head).toMatch(/connection: close/)
    expect(head).toContain(`content-length: ${Buffer.byteLength(body)}`)
    expect(refused.map((fault) => fault.code)).toEqual([code])
    expect(broken).toEqual([])
  })

  test('it is no request when it never becomes one', async () => {
    const { url, refused, connections } = await run()
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.write('GET / HT')
    await once(socket, 'connect')
    socket.resetAndDestroy()
    expect(await sendBytes(url, 'GET /after HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')).toContain(
      'hello /after',
    )
    expect([refused.length, connections.length]).toEqual([0, 2])
  })
})

describe('a request', () => {
  test('it may have a head of 60 KiB', async () => {
    const { url } = await run()
    const reply = await send(url, { headers: { 'x-a': 'x'.repeat(60 * 1024) } })
    expect(reply).toMatchObject({ status: 200, body: 'hello /' })
  })

  test.each([
    { name: 'without Host: the flow judges that', bytes: 'GET /a HTTP/1.1\r\nconnection: close\r\n\r\n' },
    { name: 'of HTTP/1.0', bytes: 'GET /a HTTP/1.0\r\n\r\n' },
    {
      name: 'with a wish that is not known',
      bytes: 'GET /a HTTP/1.1\r\nhost: a\r\nexpect: miracles\r\nconnection: close\r\n\r\n',
    },
    {
      name: 'to be upgraded',
      bytes: 'GET /a HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n',
    },
  ])('it is handed over $name', async ({ bytes }) => {
    const { url, refused } = await run()
    expect(await sendBytes(url, bytes)).toMatch(/^HTTP\/1.1 200 [\s\S]*hello \/a$/)
    expect(refused).toEqual([])
  })

  test('it may be one of several that come at once: answers keep the order', async () => {
    const late: (() => void)[] = []
    const { url } = await run((request, response) => {
      const answer = () => response.end(`[${request.url}]`)
      if (request.url === '/1') late.push(answer)
      else {
        answer()
        for (const first of late.splice(0)) first()
      }
    })
    const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: a\r\n${more}\r\n`
    const answer = await sendBytes(url, get('/1') + get('/2') + get('/3', 'connection: close\r\n'))
    expect(answer.match(/\[\/\d\]/g)).toEqual(['[/1]', '[/2]', '[/3]'])
  })

  test('it shares its connection with the next one', async () => {
    const { url, connections } = await run()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (const path of ['/1', '/2', '/3']) {
      const [response] = await once(openRequest(`${url}${path}`, { agent }).end(), 'response')
      response.resume()
      await once(response, 'end')
    }
    agent.destroy()
    expect(connections).toHaveLength(1)
  })
})

describe('nonsense behind a request', () => {
  const post = 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n'

  test('it is the fault of that request while nothing is answered', async () => {
    const { url, refused, broken } = await run((request, response) => {
      request.resume()
      request.socket.once('close', () => response.destroy())
    })
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.write(`${post}zz\r\n`)
    const [seen] = await until(() => broken.length > 0 && broken)
    socket.destroy()
    expect(seen?.code).toBe('bad_request')
    expect(refused).toEqual([])
  })

  test('it never gets into a running response', async () => {
    const { url, refused, broken } = await run((request, response) => {
      request.resume()
      response.writeHead(200, { 'content-length': '1000' })
      response.write('the beginning')
    })
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8')
    socket.write(post)
    await new Promise<void>((resolve) => {
      socket.on('data', (piece: string) => {
        answer += piece
        if (answer.includes('the beginning')) resolve()
      })
    })
    socket.on('error', () => {})
    socket.write('zz\r\n')
    await new Promise((resolve) => socket.once('close', resolve))
    expect(answer.endsWith('the beginning')).toBe(true)
    expect([refused, broken]).toEqual([[], []])
  })
})

describe('TLS', () => {
  const one = certificate('one', (name) => name === 'one.test')
  const wild = certificate('wild', (name) => name.endsWith('.wild.test'))
  const nameOf = async (port: number, servername: string): Promise<unknown> => {
    const socket = connectSecurely({
      host: '127.0.0.1',
      port,
      servername,
      ca: pem('ca.pem'),
      rejectUnauthorized: false,
    })
    await once(socket, 'secureConnect')
    const { subject } = socket.getPeerCertificate()
    socket.destroy()
    return subject.CN
  }

  test.each([
    { servername: 'one.test', name: 'one.test' },
    { servername: 'ONE.test', name: 'one.test' },
    { servername: 'a.wild.test', name: 'wild.test' },
    { servername: 'other.test', name: 'one.test' },
    { servername: '', name: 'one.test' },
  ])('it shows $servername the certificate of $name', async ({ servername, name }) => {
    const { server } = await run(hello, { tls: [one, wild] })
    expect(await nameOf(server.port, servername)).toBe(name)
  })

  test('it shows new certificates to the connections to come', async () => {
    const { server } = await run(hello, { tls: [one] })
    expect(await nameOf(server.port, 'a.wild.test')).toBe('one.test')
    server.setTls([wild])
    expect(await nameOf(server.port, 'a.wild.test')).toBe('wild.test')
    expect(await nameOf(server.port, 'other.test')).toBe('wild.test')
  })

  test('it does not start with a certificate that is none', async () => {
    await expect(run(hello, { tls: [{ ...one, cert: 'x' }] })).rejects.toThrow()
  })
})

describe('the end', () => {
  test('it takes no more connections, and lets the one that is busy finish', async () => {
    let finish = () => {}
    const { server, url } = await run((_request, response) => {
      response.write('half')
      finish = () => response.end(' whole')
    })
    const [response] = (await once(openRequest(url).end(), 'response')) as [IncomingMessage]
    server.stop()
    await expect(send(url)).rejects.toThrow()
    finish()
    let body = ''
    for await (const piece of response) body += piece
    expect(body).toBe('half whole')
    server.closeIdle()
    await server.closed
  })

  test('it closes whatever there is when it must', async () => {
    const { server, url, connections } = await run(() => {})
    const busy = sendBytes(url, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    const silent = sendBytes(url, '')
    await until(() => connections.length === 2 && connections)
    server.stop()
    server.destroy()
    await server.closed
    expect(await Promise.all([busy, silent])).toEqual(['', ''])
  })

  test('it fails to start on a port that is taken', async () => {
    const { server } = await run()
    await expect(run(hello, { port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})

/** Asks again with each turn of the event loop. */
async function until<T>(ask: () => T | false): Promise<T> {
  for (;;) {
    const answer = ask()
    if (answer !== false) return answer
    await new Promise((resolve) => setImmediate(resolve))
  }
}
