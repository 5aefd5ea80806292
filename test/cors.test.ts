/** Cross-origin requests: what a browser is told, and what never reaches the upstream. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { gatewayWith } from './support/configuration.ts'
import { type Echo, startEcho } from './support/echo.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { type Ask, send } from './support/wire.ts'

let upstream: Echo
let gateway: RunningGateway

beforeAll(async () => {
  upstream = await startEcho('upstream')
  const cors = {
    allowOrigins: ['https://app.example', 'https://*.team.example'],
    allowMethods: ['GET', 'POST'],
    allowHeaders: ['content-type'],
    exposeHeaders: ['x-trace-id'],
    allowCredentials: true,
    maxAge: '10m',
  }
  gateway = await runGateway(gatewayWith([{ policies: { cors }, backends: [{ host: upstream.address }] }]))
})

afterAll(async () => {
  await gateway.close()
  upstream.close()
})

const ask = (more: Ask) => send(gateway.url, more)

const preflight = (origin: string): Ask => ({
  method: 'OPTIONS',
  headers: {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'content-type',
  },
})

test.each(['https://app.example', 'https://a.team.example'])(
  'answers the preflight of %s',
  async (origin) => {
    const asked = upstream.asked.length
    const { status, headers } = await ask(preflight(origin))
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': expect.stringContaining('POST'),
      'access-control-allow-headers': expect.stringContaining('content-type'),
      'access-control-max-age': '600',
    })
    expect(upstream.asked).toHaveLength(asked)
  },
)

test.each(['https://evil.example', 'https://app.example.evil.example', 'null'])(
  'it gives %s no permission',
  async (origin) => {
    expect((await ask(preflight(origin))).headers).not.toHaveProperty('access-control-allow-origin')
    expect((await ask({ headers: { origin } })).headers).not.toHaveProperty('access-control-allow-origin')
  },
)

test('it marks the answer to an allowed origin', async () => {
  const { headers } = await ask({ headers: { origin: 'https://app.example' } })
  expect(headers).toMatchObject({
    'access-control-allow-origin': 'https://app.example',
    'access-control-expose-headers': 'x-trace-id',
    vary: expect.stringMatching(/origin/i),
  })
})
