/** What routes make of headers, paths and answers by expressions. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { gatewayWith, under } from './support/configuration.ts'
import { type Echo, startEcho } from './support/echo.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { send } from './support/wire.ts'

let upstream: Echo
let gateway: RunningGateway

beforeAll(async () => {
  upstream = await startEcho('upstream')
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
    gatewayWith([
      { policies: { apiKey, transformations: { request, response } }, backends },
      {
        matches: under('/direct'),
        policies: { transformations: { response }, directResponse: { status: 202 } },
      },
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
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
