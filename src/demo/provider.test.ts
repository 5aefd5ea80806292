import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from './provider.ts'
import type { Script } from './script.ts'

let provider: SimulatedProvider
beforeAll(async () => {
  provider = await startSimulatedOpenAI()
})
afterEach(() => provider.clear())
afterAll(() => provider.close())

const HEADERS = { authorization: 'Bearer sk-test', 'content-type': 'application/json' }
const chat = (more: object = {}) =>
  JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }], ...more })

const post = (body: string, headers: Record<string, string> = {}) =>
  fetch(`${provider.url}/v1/chat/completions`, { method: 'POST', headers: { ...HEADERS, ...headers }, body })

/** A client that reads only when told to. */
async function openStream(script: Script): Promise<IncomingMessage> {
  const request = httpRequest(`${provider.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { ...HEADERS, 'x-simulate': JSON.stringify(script) },
    agent: false,
  })
  request.on('error', () => {})
  request.end(chat({ stream: true }))
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  return response
}

test('prefers the header to the queue and the queue to what it derives', async () => {
  provider.next({ text: 'queued' })
  const texts: string[] = []
  for (const headers of [{ 'x-simulate': '{"text":"scripted"}' }, {}, {}] as Record<string, string>[]) {
    const answer = (await (await post(chat(), headers)).json()) as {
      choices: { message: { content: string } }[]
    }
    texts.push(answer.choices[0]?.message.content ?? '')
  }
  expect(texts[0]).toBe('scripted')
  expect(texts[1]).toBe('queued')
  expect(texts[2]).toMatch(/^You asked: Hello\. /)
})

test('says what is wrong with a script', async () => {
  const response = await post(chat(), { 'x-simulate': '{"tekst":"x"}' })
  expect(response.status).toBe(400)
  expect(await response.text()).toContain('tekst')
})

test('keeps what it received', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const response = await post(chat(), { traceparent })
  await response.text()
  const [call] = await provider.waitFor((calls) => calls.length === 1)
  expect(call).toMatchObject({
    api: 'completions',
    model: 'gpt-4o-mini',
    responseModel: 'gpt-4o-mini-2024-07-18',
    status: 200,
    streamed: false,
    traceparent,
    body: chat(),
    path: '/v1/chat/completions',
    method: 'POST',
    completed: true,
    aborted: false,
    requestId: response.headers.get('x-request-id'),
    // 3 for the request, 4 for the message, 1 for "Hello".
    inputTokens: 8,
  })
  expect(call?.headers.authorization).toBe('Bearer sk-test')
})

test('bills the deltas that were generated when the caller leaves', async () => {
  const stream = await openStream({ chunks: 1000, outputTokens: 2000, chunkDelayMs: 1 })
  await provider.waitFor(() => provider.openStreams === 1)
  await once(stream, 'data')
  stream.destroy()
  const [call] = await provider.waitFor((calls) => calls.length === 1)
  expect(call).toMatchObject({ completed: false, aborted: true, inputTokens: 8, streamed: true })
  expect(call?.deltas).toBeLessThan(1000)
  expect(call?.outputTokens).toBe(2 * (call?.deltas ?? 0))
  expect(call?.abortedAfterMs).toBeGreaterThan(0)
  expect(provider.openStreams).toBe(0)
})

test('stops writing when the caller does not read', async () => {
  const stream = await openStream({ textBytes: 8_000_000, chunks: 800 })
  await provider.waitFor(() => provider.waitingForDrain === 1)
  expect(provider.calls).toHaveLength(0)
  stream.resume()
  const [call] = await provider.waitFor((calls) => calls.length === 1)
  expect(call).toMatchObject({ completed: true, deltas: 800, outputTokens: 2_000_000 })
  expect(provider.waitingForDrain).toBe(0)
})

test('serves a thousand streams at once', async () => {
  const bodies = await Promise.all(
    Array.from({ length: 1000 }, async () => {
      const response = await post(chat({ stream: true }), { 'x-simulate': '{"chunks":5,"chunkDelayMs":5}' })
      return response.text()
    }),
  )
  expect(bodies.every((body) => body.endsWith('data: [DONE]\n\n'))).toBe(true)
  await provider.waitFor((calls) => calls.length === 1000)
  expect(provider.totals).toMatchObject({
    calls: 1000,
    completed: 1000,
    aborted: 0,
    refused: 0,
    inputTokens: 8000,
  })
})

test('forgets the oldest calls but not the totals', async () => {
  const small = await startSimulatedOpenAI({ keptCalls: 2, defaults: { text: 'four' } })
  for (let call = 0; call < 7; call++) {
    const response = await fetch(`${small.url}/v1/chat/completions`, {
      method: 'POST',
      headers: HEADERS,
      body: chat(),
    })
    await response.text()
  }
  expect(small.calls.length).toBeLessThanOrEqual(4)
  expect(small.totals).toMatchObject({ calls: 7, outputTokens: 7 })
  await small.close()
})

test.each([
  { name: 'unary', more: {} },
  { name: 'streaming', more: { stream: true, stream_options: { include_usage: true } } },
])('answers the same bytes when fixed: $name', async ({ more }) => {
  const fixed = await startSimulatedOpenAI({ fixed: true, defaults: { text: 'Always this.' } })
  const bodies: string[] = []
  for (let call = 0; call < 3; call++) {
    const response = await fetch(`${fixed.url}/v1/chat/completions`, {
      method: 'POST',
      headers: HEADERS,
      body: chat(more),
    })
    bodies.push(await response.text())
  }
  expect(new Set(bodies).size).toBe(1)
  expect(bodies[0]).toContain('Always')
  await fixed.waitFor((calls) => calls.length === 3)
  expect(fixed.calls.map((call) => call.outputTokens)).toEqual([3, 3, 3])
  await fixed.close()
})

test('tells a rejected predicate apart from one that does not hold', async () => {
  const waiting = provider.waitFor(() => {
    throw new Error('a mistake in the test')
  })
  await expect(waiting).rejects.toThrow('a mistake in the test')
})

const CERTIFICATE = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUHcO+H3XP27924xfTuHz0Zr391c4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzIwMzI0MVoYDzIxMjYxMDMw
MjAzMjQxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQjAX9ecwcxk0FcJin5SJ0+kYumCDwOucC8X8GLn/QWBJhbbU2CKngc
pTSTcpa8EFEjSArTwZfyFJDMH+MIq40Lo28wbTAdBgNVHQ4EFgQUZHcxhpNMJfLQ
bCZ7bi6J8vb/1iEwHwYDVR0jBBgwFoAUZHcxhpNMJfLQbCZ7bi6J8vb/1iEwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAKh5JbJoDZrlIJ5yr/gIfBlwg9E9VHbjrkEiNicSX+zvAiEA
8JvBoJo5qGUDcrvj/L1HmIQE6vW6FBofbRx04oFsZQQ=
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgSsHwLqrriuQGak0l
2p62ORkEPJzVQwj63P6otlgtn1qhRANCAAQjAX9ecwcxk0FcJin5SJ0+kYumCDwO
ucC8X8GLn/QWBJhbbU2CKngcpTSTcpa8EFEjSArTwZfyFJDMH+MIq40L
-----END PRIVATE KEY-----
`,
}

test('speaks TLS', async () => {
  const secure = await startSimulatedOpenAI({ tls: CERTIFICATE })
  const sent = httpsRequest(`${secure.url}/v1/models`, {
    headers: HEADERS,
    ca: CERTIFICATE.cert,
    servername: 'localhost',
  }).end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  expect(response.statusCode).toBe(200)
  response.resume()
  await secure.close()
})
