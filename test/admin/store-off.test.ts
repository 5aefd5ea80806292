/** Without a store there is less to tell, and the rest works. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Runtime } from '../../src/admin/api-types.ts'
import { chatBody } from '../support/configuration.ts'
import { type AdminLab, askApi, askFor, CHAT, call, KEY, startAdminLab } from './lab.fixture.ts'
import { answerFaults } from './schema.fixture.ts'

let lab: AdminLab
beforeAll(async () => {
  lab = await startAdminLab({ database: { url: 'off' } })
  await call(lab, { path: CHAT, body: chatBody() })
  await lab.gateway.recorded(1)
})
afterAll(() => lab?.close())

const TRACE = '0'.repeat(32)

test.each<{ method: string; path: string; body?: unknown }>([
  { method: 'POST', path: '/api/logs/search', body: {} },
  { method: 'POST', path: '/api/logs/get', body: { id: 'x' } },
  { method: 'POST', path: '/api/logs/tail', body: {} },
  { method: 'POST', path: '/api/logs/analytics/summary', body: {} },
  { method: 'POST', path: '/api/traces/search', body: {} },
  { method: 'GET', path: `/api/traces/${TRACE}` },
  { method: 'GET', path: `/api/v3/traces/${TRACE}` },
  { method: 'GET', path: '/api/overview' },
])('it says with 503 why there is nothing at $path', async ({ method, path, body }) => {
  const reply = await askApi(lab.gateway.adminUrl, path, body)
  expect([reply.status, answerFaults(method, path, reply)]).toEqual([503, []])
  expect((JSON.parse(reply.body) as { error: string }).error).toMatch(/kept.*config\.database\.url/)
})

test.each(['/api/logs/search', '/api/logs/analytics/summary'])(
  'it still refuses what is wrong at %s',
  async (path) => {
    expect((await askApi(lab.gateway.adminUrl, path, { unknown: 1 })).status).toBe(400)
  },
)

test('it has no store among what runs', async () => {
  const runtime = await askFor<Runtime>(lab.gateway.adminUrl, '/api/runtime')
  expect(Object.keys(runtime)).not.toContain('store')
  expect(runtime.requestsInFlight).toBe(0)
})

test.each([
  '/api/session',
  '/api/config',
  '/api/config/effective',
  '/config_dump',
  '/api/mcp',
  '/api/costs/models',
  '/api/v3/services',
])('it answers %s', async (path) => {
  const reply = await askApi(lab.gateway.adminUrl, path)
  expect([reply.status, answerFaults('GET', path, reply)]).toEqual([200, []])
})

test('it passes requests on to the gateway', async () => {
  const path = `/api/gateway/${new URL(lab.gateway.url).port}${CHAT}`
  const reply = await askApi(lab.gateway.adminUrl, path, chatBody(), {
    'x-gateway-authorization': `Bearer ${KEY}`,
  })
  expect([reply.status, answerFaults('POST', path, reply)]).toEqual([200, []])
})

describe('a store that cannot be', () => {
  test.each(['mysql://localhost/x', 'sqlite:/dev/null/requests.db', 'sqlite:'])(
    'it is refused at the start: %s',
    async (url) => {
      await expect(startAdminLab({ database: { url } })).rejects.toThrow(/\S/)
    },
  )
})
