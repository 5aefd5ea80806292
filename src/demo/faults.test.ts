import { once } from 'node:events'
import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { Agent, request } from 'undici'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedAnthropic, startSimulatedOpenAI } from './provider.ts'
import { type Script, scriptHeader } from './script.ts'

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** What a promise was rejected with. */
const failure = (sent: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(sent).then(
    () => Promise.reject(new Error('expected a failure')),
    (error: unknown) => error,
  )

const saying = (message: string | RegExp): unknown =>
  typeof message === 'string' ? message : expect.stringMatching(message)

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
// Nothing is reused: a connection that one test broke must not surprise the next.
const agent = new Agent({ pipelining: 0 })
beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
})
afterEach(() => {
  openAI.clear()
  anthropic.clear()
})
afterAll(async () => {
  await agent.close()
  await openAI.close()
  await anthropic.close()
})

function send(script: Script, more: object = {}) {
  return request(`${openAI.url}/v1/chat/completions`, {
    method: 'POST',
    dispatcher: agent,
    headers: {
      authorization: 'Bearer sk',
      'content-type': 'application/json',
      'x-simulate': scriptHeader(script),
    },
    body: JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }], ...more }),
  })
}

const STREAM = { stream: true, stream_options: { include_usage: true } }

/** What arrived before the stream ended or broke. */
async function readAll(body: AsyncIterable<Uint8Array>) {
  const pieces: Uint8Array[] = []
  try {
    for await (const piece of body) pieces.push(piece)
    return { bytes: Buffer.concat(pieces), error: undefined }
  } catch (error) {
    return { bytes: Buffer.concat(pieces), error }
  }
}

const deltasIn = (bytes: Buffer) => bytes.toString().split('"delta":{"content":"word').length - 1
const TEXT = { text: 'word'.repeat(10), chunks: 10 }

test.each<{ name: string; script: Script; more: object; error: string | RegExp }>([
  {
    name: 'a reset before the head',
    script: { fault: 'reset' },
    more: {},
    error: /ECONNRESET|other side closed/,
  },
  {
    name: 'a reset before the head of a stream',
    script: { fault: 'reset' },
    more: STREAM,
    error: /ECONNRESET|other side closed/,
  },
  { name: 'what is not HTTP', script: { fault: 'garbage-http' }, more: {}, error: /Expected HTTP/ },
  { name: 'a head that is too big', script: { fault: 'bigheaders' }, more: {}, error: /Headers Overflow/ },
])('breaks with $name', async ({ script, more, error }) => {
  expect(await failure(send(script, more))).toMatchObject({ message: saying(error) })
  const [call] = await openAI.waitFor((calls) => calls.length === 1)
  expect(call).toMatchObject({ inputTokens: 8 })
})

test.each<{ name: string; script: Script; end: object; aborted: boolean }>([
  {
    name: 'reset',
    script: { ...TEXT, fault: 'reset', afterChunks: 3 },
    end: { code: 'UND_ERR_SOCKET' },
    aborted: false,
  },
  { name: 'truncate', script: { ...TEXT, fault: 'truncate', afterChunks: 3 }, end: {}, aborted: false },
  {
    name: 'midstream-error',
    script: { ...TEXT, fault: 'midstream-error', afterChunks: 3 },
    end: {},
    aborted: false,
  },
  { name: 'garbage', script: { ...TEXT, fault: 'garbage', afterChunks: 3 }, end: {}, aborted: false },
] as const)('cuts a stream after its third delta: $name', async ({ script, aborted }) => {
  const { statusCode, body } = await send(script, STREAM)
  const { bytes, error } = await readAll(body)
  expect(statusCode).toBe(200)
  expect(deltasIn(bytes)).toBe(3)
  expect(error === undefined).toBe(script.fault !== 'reset')
  expect(bytes.toString()).not.toContain('[DONE]')
  const [call] = await openAI.waitFor((calls) => calls.length === 1)
  expect(call).toMatchObject({
    inputTokens: 8,
    outputTokens: 3,
    deltas: 3,
    completed: false,
    aborted,
    status: 200,
  })
})

const LATE_RESET: Script = { ...TEXT, fault: 'reset', afterChunks: 2, chunkDelayMs: 30 }

test('resets as long after the last delta as that came after the one before', async () => {
  const { body } = await send(LATE_RESET, STREAM)
  expect((await readAll(body)).error).toBeDefined()
  const [call] = await openAI.waitFor((calls) => calls.length === 1)
  expect(call).toMatchObject({ deltas: 2, outputTokens: 2, aborted: false })
  expect(call?.endedAfterMs).toBeGreaterThanOrEqual(3 * 29)
})

test('tells a caller that leaves before the reset from one that is reset', async () => {
  const { body } = await send({ ...LATE_RESET, afterChunks: 1, chunkDelayMs: 500 }, STREAM)
  body.on('error', () => {})
  let seen = ''
  for await (const piece of body) {
    seen += String(piece)
    // The provider's last words before the pause.
    if (seen.endsWith(': \n\n')) break
  }
  const [call] = await openAI.waitFor((calls) => calls.length === 1)
  expect(call).toMatchObject({ deltas: 1, outputTokens: 1, aborted: true, completed: false })
})

test.each<{ name: string; script: Script; more: object; status: number }>([
  { name: 'never answers', script: { fault: 'never' }, more: {}, status: 0 },
  { name: 'stalls before the head', script: { fault: 'stall', beforeHead: true }, more: STREAM, status: 0 },
])('$name', async ({ script, more, status }) => {
  const socket = connect(openAI.port, '127.0.0.1')
  const body = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }], ...more })
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk\r\ncontent-type: application/json\r\nx-simulate: ${JSON.stringify(script)}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  await openAI.waitFor(() => openAI.inFlight === 1)
  expect(openAI.calls).toHaveLength(0)
  socket.destroy()
  const [call] = await openAI.waitFor((calls) => calls.length === 1)
  expect(call).toMatchObject({ status, aborted: true, completed: false, inputTokens: 8, outputTokens: 0 })
  expect(socket.bytesRead).toBe(0)
})

test.each<{ name: string; script: Script; deltas: number }>([
  { name: 'after the head', script: { ...TEXT, fault: 'stall' }, deltas: 0 },
  { name: 'after two deltas', script: { ...TEXT, fault: 'stall', afterChunks: 2 }, deltas: 2 },
])('stalls $name', async ({ script, deltas }) => {
  const { statusCode, body } = await send(script, STREAM)
  expect(statusCode).toBe(200)
  let seen = ''
  if (deltas > 0) {
    for await (const piece of body) {
      seen += String(piece)
      if (deltasIn(Buffer.from(seen)) === deltas) break
    }
  }
  body.on('error', () => {})
  body.destroy()
  const [call] = await openAI.waitFor((calls) => calls.length === 1)
  expect(call).toMatchObject({ aborted: true, outputTokens: deltas, deltas })
})

test.each<{ name: string; script: Script; check: (bytes: Buffer, error: unknown) => void }>([
  {
    name: 'truncates the body',
    script: { fault: 'truncate' },
    check: (bytes, error) => {
      expect(bytes.length).toBeGreaterThan(0)
      expect(error).toBeDefined()
    },
  },
  {
    name: 'resets in the middle of the body',
    script: { fault: 'reset', afterChunks: 1 },
    check: (bytes, error) => {
      expect(() => JSON.parse(bytes.toString())).toThrow()
      expect(error).toBeDefined()
    },
  },
  {
    name: 'answers rubbish',
    script: { fault: 'garbage' },
    check: (bytes, error) => {
      expect(error).toBeUndefined()
      expect(() => JSON.parse(bytes.toString())).toThrow()
    },
  },
])('$name of a unary answer', async ({ script, check }) => {
  const { statusCode, body } = await send(script)
  expect(statusCode).toBe(200)
  const { bytes, error } = await readAll(body)
  check(bytes, error)
  const [call] = await openAI.waitFor((calls) => calls.length === 1)
  expect(call?.completed).toBe(false)
})

test('is whole without usage', async () => {
  const { body } = await send({ fault: 'missing-usage' })
  expect(await body.json()).not.toHaveProperty('usage')
  const streamed = await send({ fault: 'missing-usage' }, STREAM)
  expect(await streamed.body.text()).not.toContain('"prompt_tokens"')
  const calls = await openAI.waitFor((all) => all.length === 2)
  expect(calls.every((call) => call.completed && call.outputTokens > 0)).toBe(true)
})

test.each([{ more: {} }, { more: STREAM }])('is whole behind a slow head: $more', async ({ more }) => {
  const { statusCode, body } = await send({ fault: 'slow-headers', chunkDelayMs: 1, text: 'At last' }, more)
  expect(statusCode).toBe(200)
  expect(await body.text()).toContain(' last')
  const [call] = await openAI.waitFor((calls) => calls.length === 1)
  expect(call).toMatchObject({ completed: true, aborted: false, status: 200 })
})

test.each<{ name: string; script: Script; expected: (plain: string) => string }>([
  { name: 'pieces of one byte', script: { splitBytes: 1 }, expected: (plain) => plain },
  { name: 'pieces of seven bytes', script: { splitBytes: 7 }, expected: (plain) => plain },
  { name: 'CRLF', script: { crlf: true }, expected: (plain) => plain.replaceAll('\n', '\r\n') },
  { name: 'no last blank line', script: { noFinalBlank: true }, expected: (plain) => plain.slice(0, -1) },
  {
    name: 'no [DONE]',
    script: { doneVariant: 'none' },
    expected: (plain) => plain.replace('data: [DONE]\n\n', ''),
  },
  {
    name: 'a narrow [DONE]',
    script: { doneVariant: 'data:[DONE]' },
    expected: (plain) => plain.replace('data: [DONE]', 'data:[DONE]'),
  },
  {
    name: 'comments',
    script: { comments: true },
    expected: (plain) => plain.replaceAll('data: ', ': ping\n\ndata: '),
  },
])('writes the same events with $name', async ({ script, expected }) => {
  const more = { stream: true, stream_options: { include_obfuscation: false } }
  const text = 'naïve 数据 🚀'
  const plain = await (await send({ text }, more)).body.text()
  const dressed = await (await send({ text, ...script }, more)).body.text()
  const same = (wire: string) => wire.replaceAll(/"id":"[^"]*"|"created":\d+/g, '')
  expect(same(dressed)).toBe(same(expected(plain)))
})

test.each([{ more: {} }, { more: STREAM }])('compresses: $more', async ({ more }) => {
  const { headers, body } = await send({ gzip: true, text: 'compressed' }, more)
  expect(headers['content-encoding']).toBe('gzip')
  const text = gunzipSync(Buffer.from(await body.arrayBuffer())).toString()
  expect(text).toContain('compressed')
})

test('fails in the middle of a stream in words that the clients know', async () => {
  const headers = { 'x-simulate': '{"fault":"midstream-error","afterChunks":2}' }
  const chat = new OpenAI({ apiKey: 'sk', baseURL: `${openAI.url}/v1`, maxRetries: 0 })
  const chatStream = await chat.chat.completions.create(
    { model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'Hi' }] },
    { headers },
  )
  expect(await failure(collect(chatStream))).toMatchObject({ type: 'server_error' })

  const responses = await chat.responses.create({ model: 'gpt-4o', stream: true, input: 'Hi' }, { headers })
  expect(await failure(collect(responses))).toMatchObject({ code: 'server_error' })

  const claude = new Anthropic({ apiKey: 'k', baseURL: anthropic.url, maxRetries: 0 })
  const messages = await claude.messages.create(
    { model: 'claude-haiku-5-5', max_tokens: 99, stream: true, messages: [{ role: 'user', content: 'Hi' }] },
    { headers },
  )
  expect(await failure(collect(messages))).toMatchObject({ type: 'overloaded_error' })
  const [call] = await anthropic.waitFor((calls) => calls.length === 1)
  // One token came with `message_start`.
  expect(call).toMatchObject({ completed: false, aborted: false, deltas: 2, outputTokens: 2 })
})

test('answers a unary request with 500 where a stream would fail midway', async () => {
  expect((await send({ fault: 'midstream-error' })).statusCode).toBe(500)
})

test('makes the caller wait for the head', async () => {
  const sent = send({ firstDelayMs: 30 })
  await openAI.waitFor(() => openAI.inFlight === 1)
  const { body } = await sent
  await body.dump()
  const [call] = await openAI.waitFor((calls) => calls.length === 1)
  expect(call?.endedAfterMs).toBeGreaterThanOrEqual(29)
})

test('closes what is open', async () => {
  const short = await startSimulatedOpenAI({ defaults: { fault: 'never' } })
  const socket = connect(short.port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const closed = once(socket, 'close')
  await short.close()
  await closed
})
