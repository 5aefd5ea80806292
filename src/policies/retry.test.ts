import { describe, expect, test } from 'vitest'
import { retry, retryAfterMs, retrySchema, waitMs } from './retry.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')

test.each([
  ['2', 2000],
  ['0', 0],
  [' 7 ', 7000],
  ['Thu, 01 Jan 2026 00:00:05 GMT', 5000],
  ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
  ['soon', undefined],
  ['-1', undefined],
  ['', undefined],
  ['99999999999999999999', undefined],
])('Retry-After %j', (value, ms) => {
  expect(retryAfterMs({ 'retry-after': value }, NOW)).toBe(ms)
})

test('no Retry-After', () => {
  expect(retryAfterMs({}, NOW)).toBeUndefined()
})

describe('the wait before another attempt', () => {
  const policy = retry(retrySchema.parse({ backoff: '1s' }))
  const wait = (attempt: number, retryAfter?: number, random = 1) =>
    waitMs(policy, { attempt, retryAfter }, () => random)

  test('doubles, up to ten seconds', () => {
    expect([1, 2, 3, 4, 5, 50].map((attempt) => wait(attempt))).toEqual([
      1000, 2000, 4000, 8000, 10_000, 10_000,
    ])
  })

  test('is drawn at random below that', () => {
    expect([wait(2, undefined, 0), wait(2, undefined, 0.25)]).toEqual([0, 500])
  })

  test('is no shorter than what was asked for, up to half a minute', () => {
    expect([wait(1, 5000), wait(3, 1), wait(1, 30_000), wait(1, 30_001)]).toEqual([
      5000,
      4000,
      30_000,
      undefined,
    ])
  })
})

test.each([
  { attempts: 0 },
  { attempts: 1.5 },
  { codes: [] },
  { codes: [200] },
  { condition: 'response.status == 1' },
  { condition: 'response.code ==' },
  { precondition: 'response.code == 500' },
  { backoff: 5 },
  { on: '5xx' },
])('refuses %j', (config) => {
  expect(retrySchema.safeParse(config).success).toBe(false)
})

test('a condition alone says after what', () => {
  const { codes } = retrySchema.parse({ codes: [], condition: 'response.code == 409' })
  expect(codes).toEqual([])
})
