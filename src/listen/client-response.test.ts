import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { collect, open, send } from '../../test/support/wire.ts'
import { beginExchange, type Exchange } from '../core/exchange.ts'
import { ClientResponse } from './client-response.ts'

type Answer = (client: ClientResponse, exchange: Exchange, response: ServerResponse) => void

let url: string
let port: number
let answer: Answer
const server = createServer((request, response) => {
  const exchange = beginExchange({
    trace: {
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      parentSpanId: undefined,
      sampled: false,
      traceState: undefined,
    },
    clientAddress: '',
    method: request.method ?? '',
    host: '',
    path: '/',
    query: '',
    httpVersion: '1.1',
    scheme: 'http',
    userAgent: undefined,
    bind: 'bind/0',
  })
  answer(new ClientResponse(response, exchange), exchange, response)
})

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
  url = `http://127.0.0.1:${port}`
})
afterAll(() => {
  server.close()
  server.closeAllConnections()
})

/** The reply to one request that `how` answers, and what the exchange knows of it. */
async function replied(how: Answer, method = 'GET') {
  let exchange: Exchange | undefined
  answer = (client, its, response) => {
    exchange = its
    how(client, its, response)
  }
  const reply = await send(url, { method })
  return { ...reply, exchange }
}

describe('reply', () => {
  test.each([
    { name: 'an empty one', body: Buffer.alloc(0) },
    { name: 'text', body: Buffer.from('é…🙂') },
    {
      name: 'every byte there is, in a small one',
      body: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    },
    { name: 'a large one', body: Buffer.alloc(1_000_000, 'é') },
  ])('it sends a body as it is: $name', async ({ body }) => {
    const collected: Buffer[] = []
    let exchange: Exchange | undefined
    answer = (client, its) => {
      exchange = its
      client.reply(201, { 'x-a': ['1', '2'] }, body)
    }
    const response = await open(url)
    for await (const piece of response) collected.push(piece)
    expect(Buffer.concat(collected).equals(body)).toBe(true)
    expect(response.statusCode).toBe(201)
    expect(response.headers).toMatchObject({ 'content-length': String(body.length), 'x-a': '1, 2' })
    expect(exchange).toMatchObject({ status: 201, responseBytes: body.length })
  })

  test('it tells the trace', async () => {
    const { headers } = await replied((client) => client.reply(200, {}, Buffer.from('x')))
    expect(headers['x-trace-id']).toBe('a'.repeat(32))
  })

  test.each([
    { status: 204, method: 'GET' },
    { status: 304, method: 'GET' },
    { status: 200, method: 'HEAD' },
  ])('it sends no body with status $status to $method', async ({ status, method }) => {
    const { body, headers, exchange } = await replied(
      (client) => client.reply(status, {}, Buffer.from('x')),
      method,
    )
    expect(body).toBe('')
    expect(headers).not.toHaveProperty('content-length')
    expect(exchange?.responseBytes).toBe(0)
  })
})

describe('a body in pieces', () => {
  test('it is sent as it comes, and counted', async () => {
    const { body, exchange } = await replied((client) => {
      client.begin(200, { 'content-type': 'text/event-stream' })
      client.write(Buffer.from('data: é\n\n'), undefined)
      client.write(Buffer.from('data: b\n\n'), undefined)
      client.end(Buffer.from('data: c\n\n'))
      client.end(Buffer.from('too late'))
    })
    expect(body).toBe('data: é\n\ndata: b\n\ndata: c\n\n')
    expect(exchange?.responseBytes).toBe(Buffer.byteLength(body))
  })

  test('it ends the response with the last byte that was promised', async () => {
    let states: unknown[] = []
    const { body, broken } = await replied((client) => {
      client.begin(200, { 'content-length': '6' })
      client.write(Buffer.from('abc'), undefined)
      states = [client.hasPromisedLength, client.isEnded]
      client.write(Buffer.from('def'), undefined)
      states.push(client.isEnded)
      client.end()
    })
    expect([body, broken]).toEqual(['abcdef', false])
    expect(states).toEqual([true, false, true])
  })

  test('it can be cut', async () => {
    const { body, broken } = await replied((client) => {
      client.begin(200, {})
      client.write(Buffer.from('abc'), undefined)
      setImmediate(() => client.destroy())
    })
    expect([body, broken]).toEqual(['abc', true])
  })

  test('it shows its head before there is a byte', async () => {
    let finish = () => {}
    answer = (client) => {
      client.begin(200, { 'x-a': '1' })
      client.flushHead()
      finish = () => client.end(Buffer.from('done'))
    }
    const response = await open(url)
    expect(response.headers['x-a']).toBe('1')
    finish()
    expect((await collect(response)).body).toBe('done')
  })

  test('it closes the connection behind it when it is told to', async () => {
    const { headers } = await replied((client) => {
      client.closeAfterwards()
      client.reply(200, {}, Buffer.from('x'))
    })
    expect(headers.connection).toBe('close')
  })
})

test.each([
  { name: 'a value of two lines', headers: { 'x-a': 'one\r\ntwo' } },
  { name: 'a name with a space', headers: { 'x a': '1' } },
])('it throws on $name, and can still answer', async ({ headers }) => {
  let thrown: unknown
  const reply = await replied((client) => {
    try {
      client.begin(200, headers)
    } catch (error) {
      thrown = error
    }
    client.reply(502, {}, Buffer.from('bad'))
  })
  expect(thrown).toMatchObject({ code: 'upstream_bad_response' })
  expect(reply).toMatchObject({ status: 502, body: 'bad', exchange: { status: 502 } })
})

describe('back-pressure', () => {
  const PIECE = Buffer.alloc(1024 * 1024, 'x')

  test('it stops the source while the client does not read, and starts it again', async () => {
    const calls: string[] = []
    const paused = Promise.withResolvers<void>()
    const source = {
      pause() {
        calls.push('pause')
        paused.resolve()
      },
      resume: () => void calls.push('resume'),
    }
    const ended = Promise.withResolvers<Exchange>()
    answer = (client, exchange, response) => {
      response.once('close', () => {
        client.closed()
        ended.resolve(exchange)
      })
      client.begin(200, {})
      for (let piece = 0; piece < 16; piece++) client.write(PIECE, source)
      response.once('drain', () => client.end())
    }
    const response = await open(url)
    await paused.promise
    expect(calls).toEqual(['pause'])
    const { body } = await collect(response)
    expect(body.length).toBe(16 * PIECE.length)
    expect(calls).toEqual(['pause', 'resume'])
    const exchange = await ended.promise
    expect(exchange.stalledMs).toBeGreaterThan(0)
    expect(exchange.responseBytes).toBe(16 * PIECE.length)
  })

  test('it counts a stall that ends with the client', async () => {
    const paused = Promise.withResolvers<void>()
    const ended = Promise.withResolvers<Exchange>()
    answer = (client, exchange, response) => {
      response.once('close', () => {
        client.closed()
        expect(client.isSent).toBe(false)
        ended.resolve(exchange)
      })
      client.begin(200, {})
      const source = { pause: () => paused.resolve(), resume() {} }
      for (let piece = 0; piece < 16; piece++) client.write(PIECE, source)
    }
    const socket = connect(port, '127.0.0.1')
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    await paused.promise
    socket.destroy()
    expect((await ended.promise).stalledMs).toBeGreaterThan(0)
  })
})
