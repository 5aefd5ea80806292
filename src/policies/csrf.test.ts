import { describe, expect, test } from 'vitest'
import type { Headers } from '../core/headers.ts'
import { csrf, csrfSchema } from './csrf.ts'
import { requestHead } from './request-head.fixture.ts'

function passes(headers: Headers, { method = 'POST', host = 'gw.example' } = {}): boolean {
  const policy = csrf(
    csrfSchema.parse({ additionalOrigins: ['https://app.example', 'http://dev.example:8080'] }),
  )
  try {
    policy.onRequest?.(requestHead({ method, host, headers }))
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'csrf_rejected', message: 'CSRF validation failed' })
    return false
  }
}

const EVIL = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }

describe('by method', () => {
  test.each(['GET', 'HEAD', 'OPTIONS', 'TRACE'])('%s changes nothing', (method) => {
    expect(passes(EVIL, { method })).toBe(true)
  })
  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'get'])('%s is judged', (method) => {
    expect(passes(EVIL, { method })).toBe(false)
  })
})

test.each<{ name: string; headers: Headers; host?: string; passed: boolean }>([
  { name: 'no browser', headers: {}, passed: true },
  { name: 'the same origin', headers: { 'sec-fetch-site': 'same-origin' }, passed: true },
  { name: 'the user', headers: { 'sec-fetch-site': 'none' }, passed: true },
  { name: 'another site', headers: { 'sec-fetch-site': 'cross-site' }, passed: false },
  {
    name: 'a subdomain',
    headers: { 'sec-fetch-site': 'same-site', origin: 'https://x.gw.example' },
    passed: false,
  },
  { name: 'a word nobody knows', headers: { 'sec-fetch-site': 'x' }, passed: false },
  { name: 'a listed origin', headers: { ...EVIL, origin: 'https://app.example' }, passed: true },
  { name: 'a listed one, with its usual port', headers: { origin: 'https://APP.example:443' }, passed: true },
  { name: 'a listed one with a port', headers: { origin: 'http://dev.example:8080' }, passed: true },
  { name: 'a listed one without it', headers: { origin: 'http://dev.example' }, passed: false },
  { name: 'a listed one, in plain HTTP', headers: { origin: 'http://app.example' }, passed: false },
  {
    name: 'one that begins like a listed one',
    headers: { origin: 'https://app.example.evil.example' },
    passed: false,
  },
  { name: 'its own origin', headers: { origin: 'http://gw.example' }, passed: true },
  { name: 'its own behind TLS', headers: { origin: 'https://gw.example' }, passed: true },
  {
    name: 'its own with a port',
    headers: { origin: 'https://gw.example:8443' },
    host: 'gw.example:8443',
    passed: true,
  },
  { name: 'its own on another port', headers: { origin: 'https://gw.example:1' }, passed: false },
  {
    name: 'its own, if a browser denies it',
    headers: { ...EVIL, origin: 'http://gw.example' },
    passed: false,
  },
  { name: 'an opaque origin', headers: { origin: 'null' }, passed: false },
  { name: 'an opaque origin and no host', headers: { origin: 'null' }, host: '', passed: false },
  { name: 'two origins', headers: { origin: 'https://app.example, https://evil.example' }, passed: false },
])('from $name: $passed', ({ headers, host, passed }) => {
  expect(passes(headers, { host: host ?? 'gw.example' })).toBe(passed)
})

test.each(['app.example', 'https://app.example/', 'https://a.example/b', '*', ''])(
  '%s is no origin',
  (origin) => {
    expect(csrfSchema.safeParse({ additionalOrigins: [origin] }).success).toBe(false)
  },
)
