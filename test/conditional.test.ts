/** Policies that meet some requests in one form and others in another. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { gatewayWith } from './support/configuration.ts'
import { type Echo, startEcho } from './support/echo.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { send } from './support/wire.ts'

let upstream: Echo
let authz: Echo
let gateway: RunningGateway

const isInside = 'request.path.startsWith("/inside")'

beforeAll(async () => {
  upstream = await startEcho('upstream')
  authz = await startEcho('authz')
  const policies = {
    extAuthz: {
      conditional: [{ condition: isInside, host: authz.address, protocol: { http: { path: '/check' } } }],
    },
    localRateLimit: {
      conditional: [
        { condition: isInside, maxTokens: 1, tokensPerFill: 1, fillInterval: '1h' },
        { maxTokens: 100, tokensPerFill: 1, fillInterval: '1h' },
      ],
    },
    transformations: {
      conditional: [
        { condition: isInside, response: { set: { 'x-form': '"inside"' } } },
        { response: { set: { 'x-form': '"outside"' } } },
      ],
    },
    directResponse: { conditional: [{ condition: 'request.method == "DELETE"', status: 405 }] },
  }
  gateway = await runGateway(gatewayWith([{ policies, backends: [{ host: upstream.address }] }]))
})

afterAll(async () => {
  await gateway.close()
  upstream.close()
  authz.close()
})

test.each([
  { method: 'GET', path: '/', status: 200, form: 'outside', limit: '100', asked: 0 },
  { method: 'GET', path: '/inside', status: 200, form: 'inside', limit: '1', asked: 1 },
  { method: 'GET', path: '/inside', status: 429, form: undefined, limit: '1', asked: 1 },
  { method: 'DELETE', path: '/', status: 405, form: 'outside', limit: '100', asked: 0 },
])('$method $path: $status', async ({ method, path, status, form, limit, asked }) => {
  const before = authz.asked.length
  const answer = await send(gateway.url + path, { method })
  expect(answer.status).toBe(status)
  expect([answer.headers['x-form'], answer.headers['x-ratelimit-limit']]).toEqual([form, limit])
  expect(authz.asked.length - before).toBe(asked)
})
