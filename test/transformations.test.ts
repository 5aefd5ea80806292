/** What routes make of headers, paths and answers by expressions. */

import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { type Echo, startEcho } from './support/echo.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { FIXTURE, initialize, post } from './support/mcp-lab.ts'
import { send, sendJson } from './support/wire.ts'

let upstream: Echo
let gateway: RunningGateway
let openAI: SimulatedProvider

beforeAll(async () => {
  upstream = await startEcho('upstream')
  openAI = await startSimulatedOpenAI()
  const rewriting = (body: string) => ({ transformations: { request: { body } } })
  const apiKey = { keys: [{ key: 'gw-ann', metadata: { user: 'ann' } }], mode: 'optional' }
  const request = {
    set: {
      'x-user': 'apiKey.user',
      ':path': '"/users/" + apiKey.user + request.path',
      ':authority': '"users.test"',
    },
    add: { 'x-note': 'request.headers["x-said"]' },
    remove: ['x-secret'],
    metadata: { who: 'apiKey.user + " at " + request.path' },
  }
  const response = {
    set: {
      'x-seen': 'request.method + " " + string(response.code)',
      'x-upstream': 'response.headers["etag"]',
      'x-who': 'metadata.who',
    },
    remove: ['server'],
  }
  const backends = [{ host: upstream.address }]
  gateway = await runGateway(
    gatewayWith(
      [
        { policies: { apiKey, transformations: { request, response } }, backends },
        {
          matches: under('/direct'),
          policies: { transformations: { response }, directResponse: { status: 202 } },
        },
        { matches: under('/text'), policies: rewriting('"<" + request.body + ">"'), backends },
        {
          matches: under('/v1'),
          policies: rewriting('{"model": "gpt-4o-mini", "messages": json(request.body).messages}'),
          backends: [openAIBackend(openAI, { backendAuth: { key: 'sk-owner' } })],
        },
        {
          matches: under('/mcp'),
          policies: rewriting('request.body.replace("mine", "ours")'),
          backends: [
            { mcp: { targets: [{ name: 'a', stdio: { cmd: process.execPath, args: [FIXTURE, 'a'] } }] } },
          ],
        },
      ],
      { frontendPolicies: { http: { maxBufferSize: 1000 } } },
    ),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  upstream.close()
})

test('the upstream and the client get what the expressions say', async () => {
  const headers = {
    'x-api-key': 'gw-ann',
    'x-secret': 'a',
    'x-said': 'hello',
    'x-answer': JSON.stringify({ status: 201, headers: { etag: 'e', server: 's' } }),
  }
  const answer = await send(`${gateway.url}/a?b=c`, { headers })
  expect(answer).toMatchObject({
    status: 201,
    headers: { 'x-seen': 'GET 201', 'x-upstream': 'e', 'x-who': 'ann at /a' },
  })
  expect(answer.headers).not.toHaveProperty('server')
  const asked = upstream.asked.at(-1)
  expect(asked).toMatchObject({
    path: '/users/ann/a',
    headers: { host: 'users.test', 'x-user': 'ann', 'x-note': 'hello' },
  })
  expect(asked?.headers).not.toHaveProperty('x-secret')
})

test('a stranger cannot say who he is', async () => {
  const answer = await send(`${gateway.url}/a`, { headers: { 'x-user': 'ann' } })
  expect(answer.status).toBe(200)
  expect(upstream.asked.at(-1)).toMatchObject({ path: '/a', headers: { host: 'users.test' } })
  expect(upstream.asked.at(-1)?.headers).not.toHaveProperty('x-user')
})

test('answers of the gateway itself are changed, too', async () => {
  const answer = await send(`${gateway.url}/direct`, { method: 'POST' })
  expect(answer).toMatchObject({ status: 202, headers: { 'x-seen': 'POST 202' } })
})

test.each<{ name: string; headers: Record<string, string>; body: string | Buffer }>([
  { name: 'as it is', headers: {}, body: 'hello' },
  { name: 'unpacked', headers: { 'content-encoding': 'gzip' }, body: gzipSync('hello') },
  { name: 'put together', headers: { 'transfer-encoding': 'chunked' }, body: 'hello' },
])('a body is changed $name', async ({ headers, body }) => {
  expect(await send(`${gateway.url}/text`, { method: 'POST', headers, body })).toMatchObject({ status: 200 })
  const asked = upstream.asked.at(-1)
  expect(asked).toMatchObject({ body: '<hello>', headers: { 'content-length': '7' } })
  expect(asked?.headers).not.toHaveProperty('content-encoding')
  expect(asked?.headers).not.toHaveProperty('transfer-encoding')
})

test('a request without a body is given none', async () => {
  expect(await send(`${gateway.url}/text`)).toMatchObject({ status: 200 })
  expect(upstream.asked.at(-1)).toMatchObject({ method: 'GET', body: '' })
})

test('a body that is too large to be changed is refused', async () => {
  const answer = await send(`${gateway.url}/text`, { method: 'POST', body: 'x'.repeat(1001) })
  expect(answer).toMatchObject({
    status: 413,
    body: 'failed to process the request: the body exceeds 1000 bytes',
  })
})

test('a model is asked what the expression makes', async () => {
  const messages = [{ role: 'user', content: 'Hi' }]
  const answer = await sendJson(`${gateway.url}/v1/chat/completions`, {
    model: 'other',
    user: 'me',
    messages,
  })
  expect(answer.status).toBe(200)
  expect(JSON.parse(openAI.calls.at(-1)?.body ?? '')).toEqual({ model: 'gpt-4o-mini', messages })
})

test('MCP servers are, too', async () => {
  const { messages } = await post(`${gateway.url}/mcp`, initialize({}, 'mine'))
  expect(messages).toMatchObject([{ id: 'ours', result: {} }])
})
