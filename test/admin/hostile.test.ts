/** Whatever comes, the admin port answers with a reason that is not its own fault, and lives on. */
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { chatBody } from '../support/configuration.ts'
import { type Reply, send, sendBytes } from '../support/wire.ts'
import { type AdminLab, askApi, CHAT, call, startAdminLab } from './lab.fixture.ts'
import { operations } from './schema.fixture.ts'

const RUNS = 2000
const TIMEOUT_MS = 120_000

let lab: AdminLab
const faults: unknown[] = []
const note = (fault: unknown) => faults.push(fault)
beforeAll(async () => {
  process.on('uncaughtExceptionMonitor', note)
  lab = await startAdminLab()
  await call(lab, { path: CHAT, body: chatBody() })
  await lab.gateway.recorded(1)
})
afterAll(async () => {
  process.off('uncaughtExceptionMonitor', note)
  await lab?.close()
})

const POSTS = operations
  .filter(({ method, path }) => method === 'POST' && !path.startsWith('/api/gateway'))
  .map(({ path }) => path)

let read = 0

/** What the log complains of since the last time. */
function complaints(): readonly string[] {
  const text = lab.gateway.log().slice(read)
  read += text.length
  return text.split('\n').filter((line) => line.includes('"level":"error"'))
}

async function expectAlive() {
  expect((await askApi(lab.gateway.adminUrl, '/api/runtime')).status).toBe(200)
  expect((await call(lab, { path: '/nowhere', body: {} })).status).toBe(404)
  expect(complaints()).toEqual([])
  expect(faults).toEqual([])
}

afterEach(() => void complaints())

describe.each(POSTS)('%s', (path) => {
  test('it refuses ten megabytes', async () => {
    const reply = await askApi(lab.gateway.adminUrl, path, { text: 'x'.repeat(10 * 1024 * 1024) })
    expect(reply.status).toBe(413)
    expect(JSON.parse(reply.body)).toEqual({ error: expect.stringMatching(/\S/) })
  })

  test('it refuses ten megabytes that nobody announced', async () => {
    const reply = await send(`${lab.gateway.adminUrl}${path}`, {
      headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
      body: `{"a":"${'x'.repeat(10 * 1024 * 1024)}"}`,
    })
    expect(reply.status).toBe(413)
  })

  test.each([
    '{',
    'null',
    '[]',
    '"x"',
    '5',
    'undefined',
    '{"a":}',
    '\u0000',
    '{"__proto__":{"limit":1},"x":1}',
    '['.repeat(100_000),
    '{"a":'.repeat(50_000),
    '\ufeff{}x',
    Buffer.from([0xff, 0xfe, 0x7b]),
  ])('it refuses with 400 what is not its JSON (row %#)', async (body) => {
    const reply = await send(`${lab.gateway.adminUrl}${path}`, {
      headers: { 'content-type': 'application/json' },
      body,
    })
    expect(reply.status).toBe(400)
    const { error } = JSON.parse(reply.body) as { error: string }
    expect(error.length).toBeLessThan(1000)
  })
})

test.each<{ name: string; body: unknown }>([
  { name: 'constructor', body: { filters: { constructor: ['x'] } } },
  { name: 'a prototype', body: '{"filters":{"__proto__":["x"]}}' },
  { name: 'a prototype of attributes', body: '{"filters":{"attributes":{"__proto__":"x"}}}' },
  { name: 'an inherited attribute', body: { filters: { attributes: { toString: 'x' } } } },
  { name: 'a cursor from the future', body: { cursor: '+275760-09-13T00:00:00.000Z|x' } },
  { name: 'a cursor before time', body: { cursor: '-271821-04-20T00:00:00.000Z|x' } },
  { name: 'a cursor in bytes', body: { cursor: `2026-01-31T12:00:00Z|${'\u0000'}` } },
  {
    name: 'a long list',
    body: { filters: { provider: Array.from({ length: 40_000 }, (_, index) => `p${index}`) } },
  },
  {
    name: 'many statuses',
    body: { filters: { httpStatus: Array.from({ length: 100_000 }, (_, index) => index) } },
  },
  { name: 'a status beyond counting', body: { filters: { httpStatus: [1e300, -5] } } },
  { name: 'a lone surrogate', body: '{"filters":{"text":"\\ud800"}}' },
  { name: 'a character 0', body: { filters: { text: '\u0000', route: ['\u0000'] } } },
  { name: 'a duration beyond counting', body: { filters: { minDurationMs: 1.7e308 } } },
  { name: 'an expression', body: { filters: { text: `${'a'.repeat(400)}!${'(a+)+$'.repeat(10)}` } } },
])('it takes or refuses $name, and does not break', async ({ body }) => {
  for (const path of ['/api/logs/search', '/api/traces/search', '/api/logs/analytics/summary']) {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const begun = performance.now()
    const { status } = await send(`${lab.gateway.adminUrl}${path}`, {
      headers: { 'content-type': 'application/json' },
      body: text,
    })
    expect([path, status === 200 || status === 400]).toEqual([path, true])
    expect(performance.now() - begun).toBeLessThan(5000)
  }
  await expectAlive()
})

// PostgreSQL has no place for these.
test.each<{ path: string; body: object; field: string }>([
  { path: '/api/logs/get', body: { id: 'a\0b' }, field: 'id' },
  { path: '/api/logs/search', body: { filters: { text: 'a\0' } }, field: 'filters.text' },
  { path: '/api/logs/search', body: { filters: { traceId: '\0' } }, field: 'filters.traceId' },
  { path: '/api/logs/search', body: { filters: { route: ['x', '\0'] } }, field: 'filters.route.1' },
  { path: '/api/logs/search', body: { cursor: '2026-01-31T12:00:00Z|\0' }, field: 'cursor' },
  { path: '/api/logs/tail', body: { filters: { httpStatus: [9e9] } }, field: 'filters.httpStatus.0' },
  { path: '/api/traces/search', body: { filters: { httpStatus: [200, -1] } }, field: 'filters.httpStatus.1' },
  {
    path: '/api/logs/analytics/summary',
    body: { filters: { requestModel: ['a\0'] } },
    field: 'filters.requestModel.0',
  },
  {
    path: '/api/logs/analytics/summary',
    body: { filters: { attributes: { 'agentgateway.user': 'a\0' } } },
    field: 'filters.attributes.agentgateway.user.0',
  },
])('it refuses $field that no request can have, by its name', async ({ path, body, field }) => {
  const reply = await askApi(lab.gateway.adminUrl, path, body)
  expect(reply.status).toBe(400)
  const { error } = JSON.parse(reply.body) as { error: string }
  expect(error).toMatch(new RegExp(`^${field.replaceAll('.', '\\.')}: \\S`))
})

test.each<{ name: string; body: unknown }>([
  { name: 'the beginning of time', body: { timeRange: { from: '0001-01-01T00:00:00Z' } } },
  {
    name: 'the end of time',
    body: { timeRange: { from: '2026-01-01T00:00:00Z', to: '9999-12-31T23:59:59Z' } },
  },
  {
    name: 'all of time by the second',
    body: {
      timeRange: { from: '0001-01-01T00:00:00Z' },
      bucketSeconds: 1,
      groupBy: [{ field: 'operation' }],
    },
  },
  {
    name: 'one instant',
    body: {
      timeRange: { from: '2026-01-01T00:00:00.000Z', to: '2026-01-01T00:00:00.001Z' },
      bucketCount: 500,
    },
  },
  { name: 'buckets of an age', body: { bucketSeconds: Number.MAX_SAFE_INTEGER } },
  {
    name: 'the same group four times',
    body: { groupBy: Array.from({ length: 4 }, () => ({ field: 'route' })) },
  },
  { name: 'five groups', body: { groupBy: Array.from({ length: 5 }, () => ({ field: 'route' })) } },
])('it takes or refuses a summary of $name', async ({ body }) => {
  const begun = performance.now()
  const { status, body: text } = await askApi(lab.gateway.adminUrl, '/api/logs/analytics/summary', body)
  expect([status, [200, 400].includes(status) ? '' : text]).toEqual([status, ''])
  expect(performance.now() - begun).toBeLessThan(5000)
  if (status === 200)
    expect((JSON.parse(text) as { buckets: unknown[] }).buckets.length).toBeLessThanOrEqual(1000)
  await expectAlive()
})

test('it refuses heads that are too large, and lives on', async () => {
  const { status } = await send(`${lab.gateway.adminUrl}/api/runtime`, {
    headers: { 'x-long': 'x'.repeat(200_000) },
  })
  expect(status).toBe(431)
  await expectAlive()
})

test.each([
  'GET /api/runtime HTTP/9.9\r\n\r\n',
  'GARBAGE\r\n\r\n',
  '\u0000\u0001\u0002\r\n\r\n',
  'GET  HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET http://evil.example/api/runtime HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  'GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  'CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET /api/runtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n',
  'POST /api/logs/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'POST /api/logs/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n',
  'GET /api/runtime HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
  'GET /api/overview?range=%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  'GET //[ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  'GET /api/overview?range=1h#[ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
])('it survives %j', async (bytes) => {
  const answer = await sendBytes(lab.gateway.adminUrl, bytes)
  expect(answer).not.toMatch(/^HTTP\/1\.1 5/)
  await expectAlive()
})

test('it survives clients that break off at any byte', async () => {
  const body = JSON.stringify({ limit: 5 })
  const whole = `POST /api/logs/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const { port } = new URL(lab.gateway.adminUrl)
  await Promise.all(
    Array.from(
      { length: whole.length },
      (_, end) =>
        new Promise<void>((resolve) => {
          const socket = connect(Number(port), '127.0.0.1', () => {
            socket.write(whole.slice(0, end), () => socket.resetAndDestroy())
          })
          socket.on('error', () => {}).once('close', () => resolve())
        }),
    ),
  )
  await expectAlive()
})

describe('anything', () => {
  const paths = (): fc.Arbitrary<string> =>
    fc.oneof(
      fc.constantFrom(...operations.map(({ path }) => path)),
      fc
        .tuple(fc.constantFrom(...operations.map(({ path }) => path)), fc.webPath(), fc.webQueryParameters())
        .map(([path, more, query]) => `${path}${more}?${query}`),
      fc.webPath().map((path) => `/ui/${path}`),
      fc
        .tuple(fc.constantFrom('/api/traces/', '/api/v3/traces/', '/api/gateway/'), fc.string())
        .map(([prefix, text]) => prefix + encodeURIComponent(text)),
      fc
        .tuple(fc.constant(`/api/gateway/${new URL(lab.gateway.url).port}`), fc.webPath())
        .map(([prefix, path]) => prefix + path),
      fc
        .string({ unit: fc.constantFrom(...'/.%2e0aui?&=\\;:@[]{}~|^`"<>'.split('')) })
        .map((text) => `/${text}`),
    )

  const timeRange = fc.record(
    {
      from: fc.oneof(
        fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
        fc.string(),
      ),
      to: fc.oneof(
        fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
        fc.string(),
      ),
    },
    { requiredKeys: [] },
  )
  const texts = fc.oneof(fc.array(fc.string(), { maxLength: 4 }), fc.jsonValue())
  const searches = fc.record(
    {
      limit: fc.oneof(fc.integer({ min: 1, max: 500 }), fc.jsonValue()),
      cursor: fc.oneof(
        fc.date({ noInvalidDate: true }).map((date) => `${date.toISOString()}|x`),
        fc.string(),
      ),
      timeRange,
      filters: fc.record(
        {
          httpStatus: fc.oneof(fc.array(fc.integer()), fc.jsonValue()),
          provider: texts,
          route: texts,
          text: fc.string({ unit: 'binary' }),
          traceId: fc.string(),
          failed: fc.boolean(),
          minDurationMs: fc.double(),
          maxDurationMs: fc.double(),
          attributes: fc.dictionary(fc.constantFrom('agentgateway.user', 'user_agent.name', 'x'), texts),
        },
        { requiredKeys: [] },
      ),
      groupBy: fc.array(
        fc.record({
          field: fc.constantFrom('route', 'attributes', 'x'),
          key: fc.constantFrom('agentgateway.key', 'x', undefined),
        }),
      ),
      bucketCount: fc.oneof(fc.integer({ min: 1, max: 500 }), fc.jsonValue()),
      bucketSeconds: fc.oneof(fc.integer({ min: 1 }), fc.jsonValue()),
      id: fc.string(),
      includeAttributes: fc.boolean(),
      token: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )

  /** A tail never ends by itself: it is asked elsewhere. */
  const ask = async (
    method: string,
    path: string,
    type: string,
    body: string | undefined,
  ): Promise<Reply | undefined> => {
    if (path.startsWith('/api/logs/tail')) return undefined
    try {
      return await send(`${lab.gateway.adminUrl}${path}`, {
        method,
        headers: { ...(body !== undefined && { 'content-type': type }) },
        ...(body !== undefined && { body }),
        signal: AbortSignal.timeout(10_000),
      })
    } catch (error) {
      // What the client itself will not send.
      if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_'))
        return undefined
      throw error
    }
  }

  test(`it gives no 5xx to ${RUNS} requests of any kind`, { timeout: TIMEOUT_MS }, async () => {
    const methods = fc.constantFrom(
      'GET',
      'GET',
      'POST',
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
      'HEAD',
      'OPTIONS',
      'TRACE',
      'PROPFIND',
    )
    const types = fc.constantFrom(
      'application/json',
      'application/json',
      'application/json; charset=utf-16',
      'text/plain',
      '',
    )
    const bodies = fc.option(
      fc.oneof(
        fc.json(),
        searches.map((one) => JSON.stringify(one)),
        fc.string({ unit: 'binary' }),
      ),
      { nil: undefined },
    )
    await fc.assert(
      fc.asyncProperty(methods, paths(), types, bodies, async (method, path, type, body) => {
        const reply = await ask(method, path, type, body)
        // The gateway's own answers may be of any status.
        if (reply === undefined || reply.headers['x-trace-id'] !== undefined) return
        expect([method, path, body, reply.status]).toEqual([
          method,
          path,
          body,
          expect.toSatisfy((status: number) => status < 500),
        ])
        if (reply.status >= 400 && path.startsWith('/api') && method !== 'HEAD')
          expect(JSON.parse(reply.body)).toHaveProperty('error')
      }),
      { numRuns: RUNS / 2 },
    )
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...POSTS), searches, async (path, body) => {
        const reply = await ask('POST', path, 'application/json', JSON.stringify(body))
        if (reply !== undefined) expect([200, 400, 401]).toContain(reply.status)
      }),
      { numRuns: RUNS / 2 },
    )
    await expectAlive()
  })

  test('it fits what can be asked: well-formed searches are never refused', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const words = fc.array(fc.string(), { maxLength: 3 })
    const asked = fc.record(
      {
        limit: fc.integer({ min: 1, max: 500 }),
        filters: fc.record(
          {
            provider: words,
            requestModel: words,
            errorType: words,
            target: words,
            httpStatus: fc.array(fc.integer({ min: 0, max: 999 })),
            text: fc.string({ maxLength: 500 }),
            hasPayload: fc.boolean(),
          },
          { requiredKeys: [] },
        ),
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(asked, async (body) => {
        expect((await askApi(lab.gateway.adminUrl, '/api/logs/search', body)).status).toBe(200)
      }),
      { numRuns: 200 },
    )
  })
})
