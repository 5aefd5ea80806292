/** Nobody is sent more than he reads: neither a slow client nor a slow upstream fills the gateway's memory. */
import { once } from 'node:events'
import { type ClientRequest, createServer, type IncomingMessage, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import {
  chatBody,
  gatewayWith,
  hostBackend,
  messagesBody,
  openAIBackend,
  under,
} from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { startTorrent, type Torrent } from './support/torrent.ts'
import { type Ask, collect, open, type Reply, send } from './support/wire.ts'

const MEGABYTE = 1024 * 1024
const SIZE = 24 * MEGABYTE
/** Socket buffers of the system and of Node, on both connections: the system's grow to some megabytes. */
const BUFFERS = 14 * MEGABYTE

let torrent: Torrent
let provider: SimulatedProvider
let reader: Server
let gateway: RunningGateway
/** Requests that the upload's upstream has not begun to read. */
const unread: IncomingMessage[] = []

beforeAll(async () => {
  torrent = await startTorrent(SIZE)
  provider = await startSimulatedOpenAI()
  reader = createServer((incoming, response) => {
    incoming.once('end', () => response.end('read'))
    if (incoming.url?.endsWith('/slow')) {
      unread.push(incoming)
      reader.emit('unread')
    } else incoming.resume()
  })
  await once(reader.listen(0, '127.0.0.1'), 'listening')
  const { port } = reader.address() as AddressInfo
  gateway = await runGateway(
    gatewayWith([
      { matches: under('/v1'), backends: [openAIBackend(torrent)] },
      { matches: under('/upload'), backends: [{ host: `127.0.0.1:${port}` }] },
      {
        matches: under('/plain'),
        policies: { timeout: { idleTimeout: '300ms' } },
        backends: [hostBackend(torrent)],
      },
      {
        matches: under('/silent'),
        policies: { timeout: { idleTimeout: '300ms' }, urlRewrite: { path: { prefix: '/' } } },
        backends: [hostBackend(provider)],
      },
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
  await provider.close()
  torrent.close()
  reader.closeAllConnections()
  reader.close()
})

const PLAIN = { way: 'on a plain route', path: '/plain', body: chatBody({ stream: true }) }
const WAYS = [
  { way: 'as it comes', path: '/v1/chat/completions', body: chatBody({ stream: true }) },
  {
    way: 'as it comes, with usage asked for',
    path: '/v1/chat/completions',
    body: { ...chatBody({ stream: true }), stream_options: { include_usage: true } },
  },
  { way: 'translated', path: '/v1/messages', body: messagesBody({ stream: true, model: 'gpt-4o-mini' }) },
  PLAIN,
]
type Way = (typeof WAYS)[number]

const askOf = ({ body }: Way, headers: Ask['headers'] = {}): Ask => ({
  headers: { 'content-type': 'application/json', authorization: 'Bearer sk-test', ...headers },
  body: JSON.stringify(body),
})

/** A client that reads nothing beyond the head; and where the provider stands with it. */
async function startSlow(way: Way, headers: Ask['headers'] = {}) {
  const place = torrent.streams.length
  const response = await open(`${gateway.url}${way.path}`, askOf(way, headers))
  return { response, written: () => torrent.streams[place] }
}

/** A whole stream for one who reads: time enough for any other to end as well, had nobody stopped it. */
async function readWhole(way: Way, headers: Ask['headers'] = {}): Promise<Reply> {
  const reply = await send(`${gateway.url}${way.path}`, askOf(way, headers))
  expect(reply.broken).toBe(false)
  expect(reply.body.length).toBeGreaterThan(SIZE)
  return reply
}

describe.each(WAYS)('a stream $way', (way) => {
  test('it stops the provider while the client does not read, and goes on when it does', async () => {
    const before = gateway.records().length
    const { response, written } = await startSlow(way)
    const { body: whole } = await readWhole(way)
    expect(written()).toMatchObject({ waiting: true, ended: undefined })
    expect(written()?.written).toBeLessThan(BUFFERS)

    const { body, broken } = await collect(response)
    expect(broken).toBe(false)
    expect(Math.abs(body.length - whole.length)).toBeLessThan(1000)
    const records = (await gateway.recorded(before + 2)).slice(before)
    expect(records.map(({ outcome }) => outcome)).toEqual(['completed', 'completed'])
    expect(Number.parseFloat(String(records[1]?.stalled))).toBeGreaterThan(0)
  })
})

test('it lets go of the provider when a client that does not read leaves', async () => {
  const { response, written } = await startSlow(PLAIN)
  await torrent.waitFor(() => written()?.waiting === true)
  response.destroy()
  await torrent.waitFor(() => written()?.ended === 'cut')
  expect(written()?.written).toBeLessThan(BUFFERS)
})

test.each(WAYS.slice(1, 3))(
  'it does not unpack more of a compressed stream $way than the client reads',
  async (way) => {
    const compressed = { 'x-gzip': '1' }
    const before = heldBytes()
    const { response } = await startSlow(way, compressed)
    await readWhole(way, compressed)
    expect(heldBytes() - before).toBeLessThan(BUFFERS)
    expect((await collect(response)).body.length).toBeGreaterThan(SIZE)
  },
)

/** Bytes in buffers of this process, after a collection of garbage. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  const collectGarbage: unknown = runInNewContext('gc')
  // Buffers are let go of at the collection after the one that finds them.
  for (const _ of [1, 2, 3]) if (typeof collectGarbage === 'function') collectGarbage()
  return process.memoryUsage().arrayBuffers
}

test('it does not take a slow reader for a silent upstream', async () => {
  const { response } = await startSlow(PLAIN)
  // Two that are silent in fact are cut by the same limit, one after the other: so long the slow one has waited.
  const stalled = askOf(PLAIN, { 'x-simulate': '{"fault":"stall"}' })
  for (const _ of [1, 2])
    expect(await send(`${gateway.url}/silent/v1/chat/completions`, stalled)).toMatchObject({ broken: true })

  const { body, broken } = await collect(response)
  expect(broken).toBe(false)
  expect(body).toContain('[DONE]')
})

/** Writes as fast as it is let; `accepted` is what has left this client. */
function upload(path: string) {
  const to = request(`${gateway.url}${path}`, { method: 'POST', agent: false })
  const sent = { accepted: 0 }
  const piece = Buffer.alloc(MEGABYTE, 'u')
  async function write() {
    for (let at = 0; at < SIZE; at += piece.length) {
      if (!to.write(piece)) await once(to, 'drain')
      sent.accepted += piece.length
    }
    to.end()
  }
  return { sent, done: Promise.all([write(), answerOf(to)]) }
}

async function answerOf(to: ClientRequest): Promise<Reply> {
  const [response] = (await once(to, 'response')) as [IncomingMessage]
  return collect(response)
}

test('it stops an upload while the upstream does not read, and goes on when it does', async () => {
  const arrived = once(reader, 'unread')
  const slow = upload('/upload/slow')
  await arrived
  await upload('/upload/fast').done
  expect(slow.sent.accepted).toBeLessThan(BUFFERS)

  unread[0]?.resume()
  const [, answer] = await slow.done
  expect(answer).toMatchObject({ status: 200, body: 'read' })
})
