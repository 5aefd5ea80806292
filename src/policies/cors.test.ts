import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import type { Headers } from '../core/headers.ts'
import { cors, corsSchema } from './cors.ts'
import { replyOf, requestHead } from './request-head.fixture.ts'

type Config = z.input<typeof corsSchema>

const ORIGIN = 'https://a.example'
const policyOf = (config: Config) => cors(corsSchema.parse(config))

const preflight = (config: Config, headers: Headers = {}, origin = ORIGIN) =>
  replyOf(
    policyOf(config),
    requestHead({
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', ...headers },
    }),
  )

/** What becomes of an upstream's headers. */
function marked(config: Config, requestHeaders: Headers, headers: Headers = {}): Headers {
  policyOf(config).onResponse?.(headers, requestHead({ headers: requestHeaders }), 200)
  return headers
}

describe('a preflight', () => {
  test('it is answered with everything that is allowed', () => {
    const config: Config = {
      allowOrigins: [ORIGIN],
      allowMethods: ['GET', 'POST'],
      allowHeaders: ['content-type', 'x-team'],
      allowCredentials: true,
      maxAge: '1h30s',
    }
    expect(preflight(config)).toEqual({
      status: 200,
      body: '',
      headers: {
        'access-control-allow-origin': ORIGIN,
        'access-control-allow-methods': 'GET, POST',
        'access-control-allow-headers': 'content-type, x-team',
        'access-control-allow-credentials': 'true',
        'access-control-max-age': '3630',
        vary: 'Origin',
      },
    })
  })

  test.each<{ name: string; config: Config; headers: Headers }>([
    {
      name: 'it leaves `*` as it is without credentials',
      config: { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], maxAge: 60 },
      headers: {
        'access-control-allow-origin': '*',
        'access-control-allow-methods': '*',
        'access-control-allow-headers': '*',
        'access-control-max-age': '60',
      },
    },
    {
      name: 'it echoes the request where `*` is no wildcard: with credentials',
      config: { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], allowCredentials: true },
      headers: {
        'access-control-allow-origin': ORIGIN,
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers': 'x-a, x-b',
        'access-control-allow-credentials': 'true',
        vary: 'Origin',
      },
    },
    {
      name: 'it says nothing about what is not configured',
      config: { allowOrigins: ['*'] },
      headers: { 'access-control-allow-origin': '*' },
    },
  ])('$name', ({ config, headers }) => {
    expect(preflight(config, { 'access-control-request-headers': 'x-a, x-b' })?.headers).toEqual(headers)
  })

  test('it refuses another origin without a word of permission', () => {
    const reply = preflight({ allowOrigins: [ORIGIN], allowMethods: ['*'] }, {}, 'https://b.example')
    expect(reply?.status).toBe(403)
    expect(Object.keys(reply?.headers ?? {}).filter((name) => name.startsWith('access-'))).toEqual([])
  })

  test.each([
    {
      name: 'another method',
      method: 'GET',
      headers: { origin: ORIGIN, 'access-control-request-method': 'GET' },
    },
    { name: 'no method asked for', method: 'OPTIONS', headers: { origin: ORIGIN } },
    { name: 'no origin', method: 'OPTIONS', headers: { 'access-control-request-method': 'GET' } },
  ])('it lets a request that is none pass: $name', ({ method, headers }) => {
    expect(policyOf({ allowOrigins: ['*'] }).onRequest?.(requestHead({ method, headers }))).toBeUndefined()
  })
})

test.each([
  { pattern: '*', origin: 'https://a.example', fits: true },
  { pattern: '*', origin: 'null', fits: true },
  { pattern: 'https://a.example', origin: 'https://a.example', fits: true },
  { pattern: 'https://a.example', origin: 'https://a.example:8443', fits: false },
  { pattern: 'https://a.example', origin: 'http://a.example', fits: false },
  { pattern: 'https://a.example', origin: 'https://a.example.evil.test', fits: false },
  { pattern: 'https://*.a.example', origin: 'https://x.a.example', fits: true },
  { pattern: 'https://*.a.example', origin: 'https://x.y.a.example', fits: true },
  { pattern: 'https://*.a.example', origin: 'https://a.example', fits: false },
  { pattern: 'https://*.a.example', origin: 'https://evila.example', fits: false },
  { pattern: 'https://*.a.example', origin: 'https://x.a.example.evil.test', fits: false },
  { pattern: 'http://localhost:*', origin: 'http://localhost:5173', fits: true },
  { pattern: 'https://aa*aa.example', origin: 'https://aa.example', fits: false },
])('the origin $origin by $pattern: $fits', ({ pattern, origin, fits }) => {
  const { 'access-control-allow-origin': allowed } = marked({ allowOrigins: [pattern] }, { origin })
  expect(allowed).toBe(fits ? (pattern === '*' ? '*' : origin) : undefined)
})

describe('a response', () => {
  test('it is marked, and overrules what the upstream said about origins', () => {
    const config: Config = { allowOrigins: [ORIGIN], exposeHeaders: ['x-a', 'x-b'], allowCredentials: true }
    expect(
      marked(config, { origin: ORIGIN }, { 'access-control-allow-origin': '*', vary: 'Accept' }),
    ).toEqual({
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'x-a, x-b',
      vary: ['Accept', 'Origin'],
    })
  })

  test.each([
    { name: 'a request without an origin', headers: {} },
    { name: 'another origin', headers: { origin: 'https://b.example' } },
  ])('it gives no permission to $name, but tells caches that the answer depends on it', ({ headers }) => {
    expect(marked({ allowOrigins: [ORIGIN] }, headers)).toEqual({ vary: 'Origin' })
  })

  test('it depends on no origin when all are allowed', () => {
    expect(marked({ allowOrigins: ['*'] }, {})).toEqual({})
  })

  test.each(['Origin', 'accept, origin', '*'])('it does not say twice that it varies: %s', (vary) => {
    expect(marked({ allowOrigins: [ORIGIN] }, { origin: ORIGIN }, { vary }).vary).toBe(vary)
  })
})
