/** Requests that are received whole before an upstream is asked. */
import { request as openRequest } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { type Echo, startEcho } from './support/echo.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { collect, send, sendJson } from './support/wire.ts'

let upstream: Echo
let openAI: SimulatedProvider
let gateway: RunningGateway

beforeAll(async () => {
  upstream = await startEcho('upstream')
  openAI = await startSimulatedOpenAI()
  const backends = [{ host: upstream.address }]
  const buffer = (failureMode: string) => ({ buffer: { request: { maxBytes: 1000, failureMode } } })
  gateway = await runGateway(
    gatewayWith([
      { policies: buffer('failClosed'), backends },
      { matches: under('/open'), policies: buffer('failOpen'), backends },
      {
        matches: under('/v1'),
        policies: buffer('failClosed'),
        backends: [openAIBackend(openAI, { backendAuth: { key: 'sk-owner' } })],
      },
      { matches: under('/retry'), policies: { retry: { attempts: 1 } }, backends },
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  upstream.close()
})

const CHUNKED = { 'transfer-encoding': 'chunked' }

test.each([
  { path: '/', length: 1000, headers: {}, status: 200 },
  { path: '/', length: 1000, headers: CHUNKED, status: 200 },
  { path: '/', length: 1001, headers: {}, status: 413 },
  { path: '/', length: 1001, headers: CHUNKED, status: 413 },
  { path: '/open', length: 1001, headers: {}, status: 200 },
  { path: '/open', length: 1001, headers: CHUNKED, status: 200 },
  { path: '/open', length: 1_000_000, headers: CHUNKED, status: 200 },
])('$length bytes to $path with $headers: $status', async ({ path, length, headers, status }) => {
  const asked = upstream.asked.length
  const body = 'x'.repeat(length)
  const answer = await send(gateway.url + path, { method: 'POST', headers, body })
  expect(answer.status).toBe(status)
  if (status === 413) {
    expect(answer.body).toBe('the body exceeds 1000 bytes')
    expect(upstream.asked.length).toBe(asked)
  } else expect(upstream.asked.at(-1)?.body).toBe(body)
})

test('no upstream is asked before the body is there', async () => {
  const asked = upstream.asked.length
  const request = openRequest(gateway.url, { method: 'POST', headers: CHUNKED, agent: false })
  const response = new Promise<Parameters<typeof collect>[0]>((resolve) => request.once('response', resolve))
  request.write('one ')
  // The gateway has the first piece before it answers another request.
  await send(`${gateway.url}/open`)
  expect(upstream.asked.length).toBe(asked + 1)
  request.end('two')
  expect((await collect(await response)).status).toBe(200)
  expect(upstream.asked.at(-1)).toMatchObject({ body: 'one two', headers: { 'content-length': '7' } })
})

test('models are asked no more than that, either', async () => {
  const text = 'x'.repeat(1000)
  const answer = await sendJson(`${gateway.url}/v1/chat/completions`, chatBody({ text }))
  expect(answer.status).toBe(413)
  expect((await sendJson(`${gateway.url}/v1/chat/completions`, chatBody())).status).toBe(200)
})

test('what is kept to be sent again stays as it came', async () => {
  const body = gzipSync('hello')
  const answer = await send(`${gateway.url}/retry`, { headers: { 'content-encoding': 'gzip' }, body })
  expect(answer.status).toBe(200)
  expect(upstream.asked.at(-1)?.headers).toMatchObject({
    'content-encoding': 'gzip',
    'content-length': String(body.length),
  })
})
