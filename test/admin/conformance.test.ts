/** What the admin port really answers is what `docs/admin-api.yaml` promises, and the other way round. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LogEntry } from '../../src/admin/api-types.ts'
import { eventsIn, open, type Reply, send } from '../support/wire.ts'
import { type AdminLab, askApi, CHAT, call, sendEverything, startAdminLab } from './lab.fixture.ts'
import {
  answerFaults,
  document,
  examples,
  faults,
  operationOf,
  operations,
  schemaNamed,
} from './schema.fixture.ts'

let lab: AdminLab
let logs: readonly LogEntry[]
const called = new Set<string>()

beforeAll(async () => {
  lab = await startAdminLab()
  await sendEverything(lab)
  logs = await lab.client.all()
})
afterAll(() => lab?.close())

/** Asks, and fails unless the document has the answer. */
async function ask(
  method: string,
  path: string,
  {
    body,
    headers = {},
  }: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Reply> {
  const reply = await send(`${lab.gateway.adminUrl}${path}`, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  expect(answerFaults(method, path, reply)).toEqual([])
  const found = operationOf(method, path)
  called.add(`${found?.method} ${found?.path}`)
  return reply
}

describe('the document', () => {
  test('it is of OpenAPI 3.1 and names each operation once', () => {
    expect(document.openapi).toMatch(/^3\.1\./)
    const ids = operations.flatMap(({ operation }) => operation.operationId ?? [])
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('it has references that lead somewhere', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(
      ([, path = '']) => path,
    )
    const lost = references.filter((path) => {
      let place: unknown = document
      for (const key of path.split('/')) place = (place as Record<string, unknown> | undefined)?.[key]
      return place === undefined
    })
    expect(lost).toEqual([])
  })

  test.each(Object.keys(document.components.schemas))('it has a schema %s that can be read', (name) => {
    expect(Array.isArray(faults(schemaNamed(name), 0))).toBe(true)
  })

  test.each(examples)('it has an example for $name that fits its schema', ({ schema, value }) => {
    expect(faults(schema, value)).toEqual([])
  })

  test('it says of each call which errors it has', () => {
    const lacking = operations.flatMap(({ path, method, operation: { responses, requestBody } }) => {
      const isGateway = path.startsWith('/api/gateway')
      const isOpen = path === '/api/session'
      const wanted = ['403', ...(isOpen ? [] : ['401']), ...(isGateway ? [] : ['405'])]
      if (requestBody !== undefined && !isGateway) wanted.push('400', '413', '415')
      if (/logs|traces\/|overview/.test(path)) wanted.push('503')
      if (path.includes('{')) wanted.push('404')
      return wanted
        .filter((status) => responses[status] === undefined)
        .map((status) => `${method} ${path} ${status}`)
    })
    expect(lacking).toEqual([])
  })
})

describe('state', () => {
  test.each([
    '/api/session',
    '/api/runtime',
    '/api/config',
    '/api/config/effective',
    '/config_dump',
    '/api/mcp',
    '/api/costs/models',
    '/api/v3/services',
    '/api/overview',
  ])('it answers GET %s as promised', async (path) => {
    expect((await ask('GET', path)).status).toBe(200)
  })

  test.each(['15m', '1h', '6h', '24h', '7d', '30d'])(
    'it answers the overview of %s as promised',
    async (range) => {
      expect((await ask('GET', `/api/overview?range=${range}`)).status).toBe(200)
    },
  )

  test('it signs in and out where nobody has to', async () => {
    expect((await ask('POST', '/api/session', { body: { token: 'any' } })).status).toBe(200)
    expect((await ask('DELETE', '/api/session')).status).toBe(200)
  })
})

describe('logs and traces', () => {
  test('it finds entries as promised, with all that may be in them', async () => {
    const { body } = await ask('POST', '/api/logs/search', { body: { includeAttributes: true, limit: 500 } })
    const keys = new Set((JSON.parse(body) as { logs: object[] }).logs.flatMap((log) => Object.keys(log)))
    for (const key of [
      'usage',
      'cost',
      'genAi',
      'mcp',
      'error',
      'errorType',
      'firstTokenMs',
      'attributes',
      'key',
    ])
      expect([key, keys.has(key)]).toEqual([key, true])
    const page = await ask('POST', '/api/logs/search', { body: { limit: 2 } })
    expect(JSON.parse(page.body)).toMatchObject({ nextCursor: expect.stringContaining('|') })
  })

  test('it opens every entry as promised', async () => {
    for (const { id } of logs)
      expect((await ask('POST', '/api/logs/get', { body: { id, includePayload: true } })).status).toBe(200)
    const unknown = await ask('POST', '/api/logs/get', { body: { id: 'unknown' } })
    expect(JSON.parse(unknown.body)).toEqual({ log: null, spans: [] })
  })

  test('it has every trace as promised', async () => {
    for (const { traceId } of logs) {
      expect((await ask('GET', `/api/traces/${traceId}`)).status).toBe(200)
      expect((await ask('GET', `/api/v3/traces/${traceId}`)).status).toBe(200)
    }
    expect((await ask('POST', '/api/traces/search', { body: {} })).status).toBe(200)
  })

  test('it adds up as promised', async () => {
    expect((await ask('POST', '/api/logs/analytics/summary', { body: {} })).status).toBe(200)
    const fields = ['provider', 'httpStatus', 'operation'].map((field) => ({ field }))
    const groupBy = [...fields, { field: 'attributes', key: 'agentgateway.key' }]
    expect((await ask('POST', '/api/logs/analytics/summary', { body: { groupBy } })).status).toBe(200)
  })

  test('it tells events of the tail as promised', async () => {
    const leave = new AbortController()
    const stream = await open(`${lab.gateway.adminUrl}/api/logs/tail`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ includeAttributes: true }),
      signal: leave.signal,
    })
    expect([stream.statusCode, stream.headers['content-type']]).toEqual([200, 'text/event-stream'])
    await call(lab, { path: CHAT, body: {} })
    let text = ''
    stream.setEncoding('utf8')
    for await (const piece of stream) {
      text += piece
      if (eventsIn(text).length > 0 && text.endsWith('\n\n')) break
    }
    leave.abort()
    const [first] = eventsIn(text)
    expect(first?.event).toBe('log')
    expect(faults(schemaNamed('TailLog'), JSON.parse(first?.data ?? ''))).toEqual([])
    called.add('POST /api/logs/tail')
  })
})

describe('errors', () => {
  const posts = operations.filter(
    ({ method, path, operation }) =>
      method === 'POST' && operation.requestBody !== undefined && !path.startsWith('/api/gateway'),
  )

  test.each(posts)('it refuses what is no JSON at $path as promised', async ({ path }) => {
    expect((await ask('POST', path, { body: '{"' })).status).toBe(400)
    expect((await ask('POST', path, { body: { unknownKey: 1 } })).status).toBe(400)
    expect((await ask('POST', path, { body: '[]' })).status).toBe(400)
    expect((await ask('POST', path, { body: 'null' })).status).toBe(400)
    expect((await ask('POST', path, { body: '{}', headers: { 'content-type': 'text/plain' } })).status).toBe(
      415,
    )
  })

  test.each(operations.filter(({ path }) => !path.startsWith('/api/gateway')))(
    'it refuses $method $path for another site as promised',
    async ({ method, path }) => {
      const url = path.replace('{traceId}', '0'.repeat(32))
      const body = method === 'POST' ? {} : undefined
      const headers = { origin: 'https://evil.example' }
      expect((await ask(method, url, { ...(body && { body }), headers })).status).toBe(403)
    },
  )

  test.each(Object.keys(document.paths).filter((path) => !path.startsWith('/api/gateway')))(
    'it refuses other methods at %s as promised',
    async (path) => {
      const url = path.replace('{traceId}', '0'.repeat(32))
      const reply = await send(`${lab.gateway.adminUrl}${url}`, { method: 'PUT' })
      const known = operations.find((one) => one.path === path)
      expect(reply.status).toBe(405)
      expect(answerFaults(known?.method ?? '', url, reply)).toEqual([])
      const allowed = String(reply.headers.allow)
        .split(', ')
        .filter((method) => method !== 'HEAD')
      // What is no id of a trace is refused by the call that takes one.
      const taken = path === '/api/traces/search' ? ['GET'] : []
      expect(allowed.toSorted()).toEqual(
        operations
          .filter((one) => one.path === path)
          .map(({ method }) => method)
          .concat(taken)
          .toSorted(),
      )
    },
  )

  test.each([
    { path: `/api/traces/${'0'.repeat(32)}`, status: 404 },
    { path: '/api/traces/xyz', status: 400 },
    { path: `/api/v3/traces/${'0'.repeat(32)}`, status: 404 },
    { path: '/api/v3/traces/xyz', status: 400 },
    { path: '/api/overview?range=2h', status: 400 },
    { path: '/api/overview?range=', status: 400 },
    { path: '/api/gateway/1/v1/models', status: 404 },
  ])('it answers GET $path with $status as promised', async ({ path, status }) => {
    expect((await ask('GET', path)).status).toBe(status)
  })
})

describe('the gateway behind it', () => {
  const place = (path: string) => `/api/gateway/${new URL(lab.gateway.url).port}${path}`

  test('it answers every method as promised', async () => {
    // Without a key: the answer is the provider's own.
    expect((await ask('POST', place(CHAT), { body: { model: 'gpt-4o', messages: [] } })).status).toBe(401)
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
      expect((await ask(method, place('/nowhere'))).status).toBe(404)
    const plain = { headers: { 'content-type': 'text/plain' }, body: 'x' }
    expect((await ask('POST', place('/nowhere'), plain)).status).toBe(415)
  })
})

/** Paths in the sources, as routes are written there: the constants of a table, not a list that a server gives. */
function routesInSources(): readonly string[] {
  const folder = fileURLToPath(new URL('../../src/', import.meta.url))
  const files = [
    'admin-port.ts',
    ...readdirSync(`${folder}admin`, { recursive: true }).map((name) => `admin/${name}`),
  ]
  const texts = files
    .filter((name) => name.endsWith('.ts') && !/test|types/.test(name))
    .map((name) => readFileSync(`${folder}${name}`, 'utf8'))
  const written = texts.flatMap((text) =>
    [...text.matchAll(/\bpath: '([^']+)'/g)].map(([, path = '']) => path),
  )
  return [...new Set(written)]
}

test('it has every route of the server in the document', () => {
  const inDocument = Object.keys(document.paths).map((path) => path.replace(/\{.*$/, '*'))
  const routes = routesInSources().filter((path) => path.startsWith('/api') || path === '/config_dump')
  expect(routes.toSorted()).toEqual(inDocument.toSorted())
})

test('it was asked every call of the document', () => {
  expect([...called].toSorted()).toEqual(operations.map(({ method, path }) => `${method} ${path}`).toSorted())
})

test('it answers paths that the document has not with 404', async () => {
  for (const path of [
    '/api',
    '/api/',
    '/api/logs',
    '/api/logs/search/',
    '/api/Runtime',
    '/api/traces',
    '/metrics',
  ])
    expect([path, (await askApi(lab.gateway.adminUrl, path)).status]).toEqual([path, 404])
})
