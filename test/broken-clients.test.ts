/** Clients that break HTTP itself: each request still has exactly one record, and the port can still be closed. */
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'

let provider: SimulatedProvider
let gateway: RunningGateway

beforeEach(async () => {
  provider = await startSimulatedOpenAI()
  gateway = await runGateway(`
binds:
  - port: 0
    listeners:
      - routes:
          - backends:
              - ai: {name: openai, provider: {openAI: {}}, hostOverride: "127.0.0.1:${provider.port}"}
`)
})

afterEach(async () => {
  await gateway.close()
  await provider.close()
})

/** A connection that never closes its own half. */
async function open(): Promise<{
  socket: Socket
  said: (pattern: RegExp) => Promise<string>
  ended: Promise<string>
}> {
  const socket = connect({ port: Number(new URL(gateway.url).port), host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  let wake = () => {}
  socket.on('data', (bytes) => {
    text += bytes
    wake()
  })
  socket.on('error', () => {})
  const ended = new Promise<string>((resolve) => {
    socket.once('end', () => resolve(text))
    socket.once('close', () => resolve(text))
  })
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  async function said(pattern: RegExp): Promise<string> {
    while (!pattern.test(text)) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return text
  }
  return { socket, said, ended }
}

const head = (more: string) =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-x\r\n${more}\r\n`
const chat = (body: object, script: object) => {
  const text = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }], ...body })
  return `${head(`x-simulate: ${JSON.stringify(script)}\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n`)}${text}`
}

test.each([
  { name: 'a broken chunk in the body', bytes: `${head('transfer-encoding: chunked\r\n')}zz\r\nnope\r\n` },
  { name: 'CONNECT', bytes: 'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n' },
  { name: 'no HTTP at all', bytes: 'hello\r\n\r\n' },
])('it answers $name once, with one record, and lets go of the connection', async ({ bytes }) => {
  const { socket, ended } = await open()
  socket.write(bytes)
  const reply = await ended
  expect(reply).toMatch(/^HTTP\/1\.1 4\d\d /)
  expect(reply.match(/HTTP\/1\.1/g)).toHaveLength(1)
  const [record] = await gateway.recorded(1)
  expect(record).toMatchObject({ outcome: 'rejected' })
  // Closing would wait for ever for a connection that was not let go of.
  await gateway.close()
  expect(gateway.records()).toHaveLength(1)
  socket.destroy()
})

test('it says nothing inside a running stream when garbage follows the request', async () => {
  const { socket, said, ended } = await open()
  socket.write(chat({ stream: true }, { chunks: 9, fault: 'stall', afterChunks: 3 }))
  await said(/"content":"[^"]/)
  socket.write('garbage, no HTTP\r\n\r\n')
  const text = await ended
  expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1)
  const [record] = await gateway.recorded(1)
  expect(record).toMatchObject({ outcome: 'client_abort', 'http.status': 200 })
  expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
})

test.each(['messages', 'tools'])(
  'it records a request whose %s are nested deeper than a stack is',
  async (key) => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const own = key === 'messages' ? '' : '"messages":[{"role":"user","content":"Hi"}],'
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer sk-x' },
      body: `{"model":"gpt-4o-mini","stream":true,${own}"${key}":${deep}}`,
    })
    await response.text()
    await gateway.recorded(1)
    expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
  },
)

test('it records a client that leaves in the middle of its upload as one that left', async () => {
  const { socket, ended } = await open()
  socket.write(`${head('content-length: 100\r\n')}{"model"`)
  await expect.poll(() => gateway.metric('agentgateway_requests_in_flight')).toBe(1)
  socket.end()
  await ended
  const [record] = await gateway.recorded(1)
  expect(record).toMatchObject({ outcome: 'client_abort', 'http.status': 499 })
  socket.destroy()
})
