/** Nobody is sent more than he reads: neither a slow client nor a slow upstream fills the gateway's memory. */
import { once } from 'node:events'
import { type ClientRequest, createServer, type IncomingMessage, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import {
  chatBody,
  gatewayWith,
  hostBackend,
  messagesBody,
  openAIBackend,
  under,
} from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { collect, open, type Reply, sendJson } from './support/wire.ts'

const MEGABYTE = 1024 * 1024
const SIZE = 16 * MEGABYTE
/** Socket buffers of the system and of Node, on both connections; the system's grow to some megabytes. */
const BUFFERS = 12 * MEGABYTE

let provider: SimulatedProvider
let reader: Server
let gateway: RunningGateway
/** Requests that the upload's upstream has not begun to read. */
const unread: IncomingMessage[] = []

beforeAll(async () => {
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
      { matches: under('/v1'), backends: [openAIBackend(provider)] },
      {
        matches: under('/upload'),
        backends: [{ host: `127.0.0.1:${port}` }],
      },
      {
        matches: under('/plain'),
        policies: { urlRewrite: { path: { prefix: '/' } }, timeout: { idleTimeout: '500ms' } },
        backends: [hostBackend(provider)],
      },
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
  await provider.close()
  reader.closeAllConnections()
  reader.close()
})

afterEach(() => provider.clear())

const WAYS = [
  { way: 'as it comes', path: '/v1/chat/completions', body: chatBody({ stream: true }) },
  {
    way: 'translated',
    path: '/v1/messages',
    body: { ...messagesBody({ stream: true, model: 'gpt-4o-mini' }), max_tokens: SIZE },
  },
  { way: 'on a plain route', path: '/plain/v1/chat/completions', body: chatBody({ stream: true }) },
]
type Way = (typeof WAYS)[number]

const headersFor = (script: Script) => ({
  'content-type': 'application/json',
  authorization: 'Bearer sk-test',
  'x-simulate': JSON.stringify(script),
})

const CHUNKS = 256
const LARGE: Script = { textBytes: SIZE, chunks: CHUNKS }

/** A client that reads nothing beyond the head. */
function startSlow({ path, body }: Way, script: Script): Promise<IncomingMessage> {
  return open(`${gateway.url}${path}`, { headers: headersFor(script), body: JSON.stringify(body) })
}

const readFast = ({ path, body }: Way, script: Script): Promise<Reply> =>
  sendJson(`${gateway.url}${path}`, body, headersFor(script))

/** Event streams of that size: long enough for the slow one to have ended as well, had nobody stopped it. */
async function outlast(way: Way, script: Script): Promise<number> {
  const reply = await readFast(way, script)
  expect(reply.body.length).toBeGreaterThan(SIZE)
  return reply.body.length
}

describe.each(WAYS)('a stream $way', (way) => {
  test('it stops the provider while the client does not read, and goes on when it does', async () => {
    const before = gateway.records().length
    const slow = await startSlow(way, LARGE)
    await provider.waitFor(() => provider.waitingForDrain === 1)
    const length = await outlast(way, LARGE)
    expect({ waiting: provider.waitingForDrain, open: provider.openStreams }).toEqual({ waiting: 1, open: 1 })

    const { body, broken } = await collect(slow)
    expect(broken).toBe(false)
    expect(Math.abs(body.length - length)).toBeLessThan(length / 100)
    const records = (await gateway.recorded(before + 2)).slice(before)
    expect(records.map(({ outcome }) => outcome)).toEqual(['completed', 'completed'])
    expect(Number.parseFloat(String(records[1]?.stalled))).toBeGreaterThan(0)
  })

  test('it has taken no more than the buffers hold when such a client leaves', async () => {
    const slow = await startSlow(way, LARGE)
    await provider.waitFor(() => provider.waitingForDrain === 1)
    await outlast(way, LARGE)
    slow.destroy()
    const calls = await provider.waitFor((seen) => seen.length === 2)
    const left = calls.find(({ aborted }) => aborted)
    console.log(left?.deltas)
    expect(((left?.deltas ?? Infinity) / CHUNKS) * SIZE).toBeLessThan(BUFFERS)
  })
})

test('it does not unpack more of a compressed stream than the client reads', async () => {
  const [way] = WAYS
  if (way === undefined) throw new Error('no way')
  const script: Script = { ...LARGE, gzip: true }
  await readFast(way, script)
  const before = heldBytes()
  const slow = await startSlow(way, script)
  await outlast(way, script)
  expect(heldBytes() - before).toBeLessThan(BUFFERS)

  expect((await collect(slow)).body.length).toBeGreaterThan(SIZE)
})

/** Bytes in buffers of this process, after a collection of garbage. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  const collectGarbage: unknown = runInNewContext('gc')
  if (typeof collectGarbage === 'function') collectGarbage()
  return process.memoryUsage().arrayBuffers
}

test('it does not take a slow reader for a silent upstream', async () => {
  const [, , plain] = WAYS
  if (plain === undefined) throw new Error('no way')
  const slow = await startSlow(plain, LARGE)
  await provider.waitFor(() => provider.waitingForDrain === 1)
  // Two that are silent in fact are cut by the same limit, one after the other: meanwhile it has passed for the slow one.
  for (const _ of [1, 2])
    expect(await readFast(plain, { fault: 'stall', afterChunks: 1 })).toMatchObject({ broken: true })

  const { body, broken } = await collect(slow)
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
  const fast = upload('/upload/fast')
  await fast.done
  expect(slow.sent.accepted).toBeLessThan(BUFFERS)

  unread[0]?.resume()
  const [, answer] = await slow.done
  expect(answer).toMatchObject({ status: 200, body: 'read' })
})
