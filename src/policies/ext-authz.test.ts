import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import type { Headers } from '../core/headers.ts'
import type { Ask, WholeAnswer } from '../core/upstream.ts'
import { extAuthz, extAuthzSchema } from './ext-authz.ts'
import type { RequestHead } from './policy.ts'
import { requestHead } from './request-head.fixture.ts'

type Input = z.input<typeof extAuthzSchema>
type Http = NonNullable<Input['protocol']['http']>
type Question = Parameters<Ask>[1]

interface Answering {
  readonly status?: number
  readonly headers?: Headers
  readonly body?: string
}

const service = { host: 'authz.test', port: 9000, tls: undefined, connectTimeoutMs: undefined }

function lab(http: Http, rest: Partial<Input> = {}, answering: Answering | 'down' = {}) {
  const questions: Question[] = []
  let now = 0
  const config = extAuthzSchema.parse({ host: 'authz.test:9000', ...rest, protocol: { http } })
  const ask: Ask = async (_, question) => {
    questions.push(question)
    if (answering === 'down') throw new Error('refused')
    const { status = 200, headers = {}, body = '' } = answering
    return { status, headers, body: Buffer.from(body) } satisfies WholeAnswer
  }
  const policy = extAuthz(config, service, { ask, now: () => now })
  return {
    questions,
    pass: async (head: RequestHead = requestHead()) => {
      await policy.onRequest?.(head)
      return head
    },
    refusal: (head: RequestHead = requestHead()) =>
      Promise.resolve(policy.onRequest?.(head)).then(
        () => undefined,
        (error: unknown) => error,
      ),
    wait: (milliseconds: number) => {
      now += milliseconds
    },
  }
}

test('it asks for the path of the request, with what it is about', async () => {
  const { questions, pass } = lab(
    { addRequestHeaders: { 'X-User': 'jwt.sub', 'x-cookie': 'null', 'x-forwarded-for': '"1.2.3.4"' } },
    { includeRequestHeaders: ['Authorization', 'x-cookie'] },
  )
  const headers = { authorization: 'Bearer a', 'x-cookie': 'c', 'x-other': 'o', 'x-forwarded-uri': '/other' }
  await pass(requestHead({ headers, jwt: { sub: 'ann' } }))
  expect(questions).toStrictEqual([
    {
      method: 'GET',
      path: '/',
      body: null,
      headers: {
        'accept-encoding': 'identity',
        authorization: 'Bearer a',
        host: 'authz.test:9000',
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-host': 'gateway.test:3000',
        'x-forwarded-method': 'GET',
        'x-forwarded-proto': 'http',
        'x-forwarded-uri': '/',
        'x-user': 'ann',
      },
    },
  ])
})

test.each([
  { path: '/check', asked: '/check' },
  { path: '"/check" + request.path', asked: '/check/' },
])('it asks for $asked by $path', async ({ path, asked }) => {
  const { questions, pass } = lab({ path })
  await pass()
  expect(questions[0]?.path).toBe(asked)
})

test.each([
  { path: 'jwt.sub' },
  { path: '"no-slash"' },
  { path: '"/a\\r\\nx-evil: 1"' },
  { path: '"/\\u2603"' },
])('it refuses whom it cannot ask about by $path, even where failures pass', async ({ path }) => {
  const { questions, refusal } = lab({ path }, { failureMode: 'allow' })
  expect(await refusal()).toMatchObject({ code: 'ext_authz_denied', status: 403 })
  expect(questions).toEqual([])
})

describe('headers of the answer', () => {
  const http = { includeResponseHeaders: ['X-User'] }
  const spoofed = () => requestHead({ headers: { 'x-user': 'admin' } })

  test.each<{ name: string; answering: Answering | 'down'; after: Headers }>([
    { name: 'the service names', answering: { headers: { 'x-user': 'ann' } }, after: { 'x-user': 'ann' } },
    { name: 'the service leaves out', answering: { headers: { 'x-a': 'b' } }, after: {} },
    { name: 'a failure leaves out', answering: 'down', after: {} },
  ])('what $name takes the place of the client’s', async ({ answering, after }) => {
    const { pass } = lab(http, { failureMode: 'allow' }, answering)
    expect((await pass(spoofed())).headers).toEqual(after)
  })
})

test.each<{
  name: string
  http?: Http
  answering: Answering
  status: number
  headers: object
  body?: string
}>([
  {
    name: 'its words',
    http: { includeResponseHeaders: ['x-why'] },
    answering: {
      status: 401,
      headers: {
        'www-authenticate': 'Bearer',
        'content-type': 'text/html',
        'content-length': '4',
        'set-cookie': ['a=1', 'b=2'],
        'x-why': 'late',
        'x-internal': 'secret',
      },
      body: 'late',
    },
    status: 401,
    headers: {
      'www-authenticate': 'Bearer',
      'content-type': 'text/html',
      'set-cookie': ['a=1', 'b=2'],
      'x-why': 'late',
    },
    body: 'late',
  },
  {
    name: 'none of the words that it does not have',
    answering: { status: 403, headers: { 'content-type': 'text/html' } },
    status: 403,
    headers: {},
  },
  {
    name: 'its redirect',
    answering: { status: 302, headers: { location: 'https://login.test/' } },
    status: 302,
    headers: { location: 'https://login.test/' },
  },
  {
    name: 'the configured redirect',
    http: { redirect: '"https://login.test/?back=" + request.path' },
    answering: { status: 401, headers: { 'set-cookie': 'a=1' }, body: 'no' },
    status: 302,
    headers: { location: 'https://login.test/?back=/', 'set-cookie': 'a=1' },
  },
  {
    name: 'no redirect that another header would hide in',
    http: { redirect: '"/login\\r\\nx-evil: 1"' },
    answering: { status: 401 },
    status: 401,
    headers: {},
  },
  {
    name: 'no redirect where logging in does not help',
    http: { redirect: '"/login"' },
    answering: { status: 403 },
    status: 403,
    headers: {},
  },
])('who is denied gets $name', async ({ http = {}, answering, status, headers, body }) => {
  const error = await lab(http, { failureMode: 'allow' }, answering).refusal()
  expect(error).toMatchObject({ code: 'ext_authz_denied', reply: { status } })
  expect(error).toHaveProperty('reply.headers', headers)
  expect(error).toHaveProperty('reply.body', body === undefined ? undefined : Buffer.from(body))
})

test.each<{ failureMode?: Input['failureMode']; answering: Answering | 'down'; status: number | undefined }>([
  { answering: 'down', status: 403 },
  { answering: { status: 503, body: 'stack trace' }, status: 403 },
  { failureMode: 'deny', answering: 'down', status: 403 },
  { failureMode: { denyWithStatus: 503 }, answering: 'down', status: 503 },
  { failureMode: 'allow', answering: 'down', status: undefined },
  { failureMode: 'allow', answering: { status: 500 }, status: undefined },
])('a failure with $failureMode: $status', async ({ failureMode, answering, status }) => {
  const error = await lab({}, { failureMode }, answering).refusal()
  if (status === undefined) expect(error).toBeUndefined()
  else
    expect(error).toMatchObject({
      code: 'ext_authz_unavailable',
      status,
      message: 'external authorization failed',
    })
})

describe('the cache', () => {
  const cache = { key: 'request.headers["authorization"]', ttl: '1m', maxEntries: 2 }
  const http = { includeResponseHeaders: ['x-user'] }
  const by = (authorization: string | undefined) => requestHead({ headers: { authorization } })

  test('knows who may pass, and with what', async () => {
    const { questions, pass, wait } = lab(http, { cache }, { headers: { 'x-user': 'ann' } })
    await pass(by('a'))
    wait(59_999)
    expect((await pass(by('a'))).headers['x-user']).toBe('ann')
    expect(questions).toHaveLength(1)
    wait(1)
    await pass(by('a'))
    expect(questions).toHaveLength(2)
  })

  test('keeps people apart', async () => {
    const { questions, pass } = lab(http, { cache: { ...cache, key: [cache.key, 'request.method'] } })
    for (const who of ['a', 'b']) await pass(by(who))
    expect(questions).toHaveLength(2)
  })

  test('forgets the oldest', async () => {
    const { questions, pass } = lab(http, { cache })
    for (const who of ['a', 'b', 'c', 'c', 'b', 'a']) await pass(by(who))
    expect(questions).toHaveLength(4)
  })

  test('knows nobody without a key', async () => {
    const { questions, pass } = lab(http, { cache })
    for (const who of [undefined, undefined]) await pass(by(who))
    expect(questions).toHaveLength(2)
  })

  test.each<Answering | 'down'>([{ status: 403 }, { status: 500 }, 'down'])(
    'remembers no %j',
    async (answering) => {
      const { questions, refusal } = lab(http, { cache, failureMode: 'deny' }, answering)
      for (const who of ['a', 'a']) await refusal(by(who))
      expect(questions).toHaveLength(2)
    },
  )
})

const http = {}
test.each([
  { host: 'a:1' },
  { host: 'a', protocol: { http } },
  { host: 'a:1', protocol: { http: { path: '/a b' } } },
  { host: 'a:1', protocol: { http: { path: 'no such' } } },
  { host: 'a:1', protocol: { http: { includeResponseHeaders: ['host'] } } },
  { host: 'a:1', protocol: { http: { addRequestHeaders: { 'transfer-encoding': '"chunked"' } } } },
  { host: 'a:1', protocol: { http }, includeRequestHeaders: ['content-length'] },
  { host: 'a:1', protocol: { http }, failureMode: { denyWithStatus: 200 } },
  { host: 'a:1', protocol: { http }, cache: { ttl: '1m' } },
  { host: 'a:1', protocol: { http }, cache: { key: 'request.path', ttl: '0s' } },
])('it refuses %j', (config) => {
  expect(extAuthzSchema.safeParse(config).success).toBe(false)
})
