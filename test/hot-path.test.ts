/**
 * What requests cost, by counts that are the same on every machine: memory that is taken, bytes that are copied, calls of the
 * kernel. A bound is what was counted and a quarter; whoever goes beyond it has made each request dearer.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Counted, Counting, Held } from './support/count-work.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'agentgateway-hot-path-'))

const MEGABYTE = 1024 * 1024
const message = (text: string) =>
  JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: text }] })
const SMALL = message('x'.repeat(1000))
const LARGE = message('x'.repeat(MEGABYTE))
const STREAMED = SMALL.replace('{', '{"stream":true,')

const answer = (text: string) =>
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'gpt-4o-mini-2024-07-18',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 250, completion_tokens: 250, total_tokens: 500 },
  })
const SMALL_ANSWER = answer('y'.repeat(1000))
const LARGE_ANSWER = answer('y'.repeat(MEGABYTE))

const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`
const chunk = (delta: object, more: object = {}) =>
  event({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'gpt-4o-mini-2024-07-18',
    choices: [{ index: 0, delta, finish_reason: null }],
    ...more,
  })
const CHUNK = chunk({ content: 'four words of text' })
const LAST_CHUNKS = `${event({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1_700_000_000,
  model: 'gpt-4o-mini-2024-07-18',
  choices: [],
  usage: { prompt_tokens: 250, completion_tokens: 2000, total_tokens: 2250 },
})}data: [DONE]\n\n`

/** The stream under way at the provider, which sends a chunk when the client has the one before. */
let stream: ServerResponse | undefined
let answerText = SMALL_ANSWER

const provider = createServer((request, response) => {
  let size = 0
  let isStream = false
  request.on('data', (piece: Buffer) => {
    isStream ||= size === 0 && piece.subarray(0, 200).includes('"stream":true')
    size += piece.length
  })
  request.on('end', () => {
    if (!isStream) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': answerText.length })
      return response.end(answerText)
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(chunk({ role: 'assistant', content: '' }))
    stream = response
  })
})

let gateway: ChildProcess
let port = 0

beforeAll(async () => {
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  const upstream = `127.0.0.1:${(provider.address() as AddressInfo).port}`
  const config = {
    config: {
      adminAddr: 'off',
      readinessAddr: 'off',
      statsAddr: 'off',
      database: { url: 'off' },
      // Its port is told in the log; nothing else is.
      logging: { level: 'off,gateway=info' },
    },
    binds: [
      {
        port: 0,
        listeners: [
          {
            routes: [
              { backends: [{ ai: { name: 'openai', provider: { openAI: {} }, hostOverride: upstream } }] },
            ],
          },
        ],
      },
    ],
  }
  gateway = fork(here('../src/cli/main.ts'), ['-c', JSON.stringify(config)], {
    execArgv: ['--import', here('support/count-work.ts')],
    env: { ...process.env, LOG_FORMAT: 'json', AGENTGATEWAY_DATA_DIR: directory },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  let text = ''
  port = await new Promise<number>((resolve, reject) => {
    gateway.once('exit', (code) => reject(new Error(`the gateway ended with ${code}: ${text}`)))
    gateway.stdout?.on('data', (piece: Buffer) => {
      text += piece.toString()
      const found = /"listening":":(\d+)"/.exec(text)
      if (found !== null) resolve(Number(found[1]))
    })
  })
})

afterAll(async () => {
  const ended = once(gateway, 'exit')
  gateway.kill('SIGTERM')
  await ended
  provider.close()
  provider.closeAllConnections()
  rmSync(directory, { recursive: true })
})

/** A client on one connection: a lean one, as it shares the machine with what is counted. */
class Client {
  readonly #socket: Socket
  #received = ''
  #wake = () => {}

  constructor() {
    this.#socket = connect(port, '127.0.0.1').setNoDelay()
    this.#socket.setEncoding('latin1').on('data', (piece: string) => {
      this.#received += piece
      this.#wake()
    })
  }

  send(body: string): void {
    this.#received = ''
    this.#socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer sk-of-a-user\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
  }

  /** Resolves once what has come since the last request ends so. */
  async until(end: string): Promise<void> {
    while (!this.#received.endsWith(end)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Forgets what has come. */
  next(): void {
    this.#received = ''
  }

  /** Resolves once the gateway has closed it too, so that nothing of it is left there. */
  async close(): Promise<void> {
    const closed = once(this.#socket, 'close')
    this.#socket.end()
    await closed
  }
}

async function exchanges(body: string, reply: string, count: number): Promise<void> {
  answerText = reply
  const client = new Client()
  for (let done = 0; done < count; done++) {
    client.send(body)
    await client.until(reply.slice(-30))
  }
  await client.close()
}

async function streamOf(chunks: number): Promise<void> {
  const client = new Client()
  client.send(STREAMED)
  await client.until('\n\n\r\n')
  for (let sent = 0; sent < chunks; sent++) {
    client.next()
    stream?.write(CHUNK)
    await client.until('\n\n\r\n')
  }
  stream?.end(LAST_CHUNKS)
  await client.until('0\r\n\r\n')
  await client.close()
}

/** Reads and writes of the gateway's process, since its start. Linux counts them. */
function kernelCalls(): number | undefined {
  if (process.platform !== 'linux') return undefined
  const io = readFileSync(`/proc/${gateway.pid}/io`, 'utf8')
  const of = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1])
  return of('syscr') + of('syscw')
}

interface Work extends Counted {
  readonly calls: number | undefined
}

async function tell(what: Counting): Promise<unknown> {
  const answered = once(gateway, 'message')
  gateway.send(what)
  const [reply] = await answered
  return reply
}

/** For each of `count`. What runs for the first time does more: it has run before this counts. */
async function work(count: number, run: (count: number) => Promise<void>): Promise<Work> {
  await run(count)
  await tell('start')
  const before = kernelCalls()
  await run(count)
  const after = kernelCalls()
  const { allocated, copied } = (await tell('stop')) as Counted
  return {
    allocated: allocated / count,
    copied: copied / count,
    calls: before === undefined || after === undefined ? undefined : (after - before) / count,
  }
}

interface Bound {
  readonly name: string
  readonly count: number
  readonly run: (count: number) => Promise<void>
  readonly allocated: number
  readonly copied: number
  /** Of the kernel; undefined: what is large comes in as many pieces as it likes. */
  readonly calls: number | undefined
}

test.each<Bound>([
  {
    name: 'a chat request of 1 KB',
    count: 1000,
    run: (count) => exchanges(SMALL, SMALL_ANSWER, count),
    allocated: 46_500,
    // Of the request to the provider, with its head in one piece; of the provider's answer, out of the buffer of all sockets.
    copied: 9000,
    // The client's request, ours to the provider, its answer, ours.
    calls: 4,
  },
  {
    name: 'a chunk of a stream',
    count: 1000,
    run: streamOf,
    allocated: 6200,
    copied: 510,
    calls: 2,
  },
  {
    name: 'a prompt of 1 MB',
    count: 20,
    run: (count) => exchanges(LARGE, SMALL_ANSWER, count),
    allocated: 1.4 * MEGABYTE,
    // Once into one piece, once into the text that is read.
    copied: 2.5 * MEGABYTE,
    calls: undefined,
  },
  {
    name: 'an answer of 1 MB',
    count: 20,
    run: (count) => exchanges(SMALL, LARGE_ANSWER, count),
    allocated: 1.4 * MEGABYTE,
    // Once more out of the buffer that all sockets read into.
    copied: 3.7 * MEGABYTE,
    calls: undefined,
  },
])('$name', async ({ name, count, run, ...bounds }) => {
  const done = await work(count, run)
  const what = `${name}: ${JSON.stringify(done)}`
  expect(done.allocated, what).toBeLessThan(bounds.allocated)
  expect(done.copied, what).toBeLessThan(bounds.copied)
  // It is there: a counter that counts nothing would allow everything.
  expect(done.allocated, what).toBeGreaterThan(bounds.allocated / 4)
  expect(done.copied, what).toBeGreaterThan(bounds.copied / 4)
  if (bounds.calls === undefined || done.calls === undefined) return
  expect(done.calls, what).toBeGreaterThan(bounds.calls / 2)
  expect(done.calls, what).toBeLessThan(bounds.calls * 1.1)
})

/** How many streams of one prompt are under way at a time, and what each of them holds. */
async function heldBy(prompt: string): Promise<Held> {
  const count = 50
  const before = (await tell('hold')) as Held
  const clients = Array.from({ length: count }, () => new Client())
  const streams: ServerResponse[] = []
  for (const client of clients) {
    client.send(message(prompt).replace('{', '{"stream":true,'))
    await client.until('\n\n\r\n')
    if (stream !== undefined) streams.push(stream)
  }
  const after = (await tell('hold')) as Held
  for (const one of streams) one.end(LAST_CHUNKS)
  await Promise.all(clients.map((client) => client.until('0\r\n\r\n')))
  await Promise.all(clients.map((client) => client.close()))
  return { heap: (after.heap - before.heap) / count, buffers: (after.buffers - before.buffers) / count }
}

test('a stream under way holds what its client asked, once, and little else', async () => {
  const prompt = 'x'.repeat(100_000)
  await heldBy(prompt)
  const small = await heldBy('')
  const large = await heldBy(prompt)
  const what = JSON.stringify({ small, large })
  expect(small.heap, what).toBeLessThan(13_000)
  expect(small.heap, what).toBeGreaterThan(5000)
  expect(large.heap - small.heap, what).toBeLessThan(1.1 * prompt.length)
  expect(large.heap - small.heap, what).toBeGreaterThan(0.9 * prompt.length)
  expect(large.buffers, what).toBeLessThan(1000)
})
