import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { address, durationMs, endpoint, orEmpty, secret, workerCount, workerThreads } from './schema.ts'

describe('durationMs', () => {
  test.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['1m30s', 90_000],
    ['2h', 7_200_000],
    ['1h1m1s1ms', 3_661_001],
    ['1.5h', 5_400_000],
    ['0.25s', 250],
    ['0s', 0],
    ['1500us', 1.5],
    ['2µs', 0.002],
  ])('it reads %s as %d ms', (text, milliseconds) => {
    expect(durationMs.parse(text)).toBeCloseTo(milliseconds, 9)
  })

  test.each(['', '10', '10 s', '-1s', '+1s', 's', '1d', '1S', '1s ', '1e3s', '1s30', 10, null])(
    'it refuses %j',
    (text) => {
      expect(durationMs.safeParse(text).success).toBe(false)
    },
  )
})

describe('address', () => {
  test.each([
    ['off', 'off'],
    [':15020', { host: undefined, port: 15_020 }],
    [':0', { host: undefined, port: 0 }],
    ['localhost:15000', { host: 'localhost', port: 15_000 }],
    ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['[::]:65535', { host: '::', port: 65_535 }],
  ])('it reads %s', (text, expected) => {
    expect(address.parse(text)).toEqual(expected)
  })

  test.each([
    '',
    '80',
    'localhost',
    ':65536',
    '::1:80',
    '[::1]',
    'http://a:80',
    'a b:80',
    'unix:/run/a',
    'OFF',
  ])('it refuses %j', (text) => {
    expect(address.safeParse(text).success).toBe(false)
  })
})

describe('endpoint', () => {
  test.each(['api.openai.com:443', '127.0.0.1:1', 'localhost:65535', '[2001:db8::1]:443'])(
    'it takes %s',
    (text) => {
      expect(endpoint.parse(text)).toBe(text)
    },
  )

  test.each([
    'api.openai.com',
    ':443',
    'a:',
    'a:b',
    'http://a:80',
    'a:80/v1',
    'a b:80',
    '::1:80',
    'a:65536',
    'a:0',
  ])('it refuses %j', (text) => {
    expect(endpoint.safeParse(text).success).toBe(false)
  })
})

test.each(['sk-1', { file: 'key.txt' }])('a secret may be %j', (value) => {
  expect(secret.parse(value)).toEqual(value)
})

test.each(['', { file: '' }, { file: 'a', more: 1 }, 1, null])('a secret may not be %j', (value) => {
  expect(secret.safeParse(value).success).toBe(false)
})

test.each([
  { value: null, expected: {} },
  { value: undefined, expected: {} },
  { value: { a: 1 }, expected: { a: 1 } },
])('orEmpty reads $value as $expected', ({ value, expected }) => {
  expect(orEmpty(z.strictObject({ a: z.number().optional() })).parse(value)).toEqual(expected)
})

test.each([
  { threads: 1, expected: 1 },
  { threads: '16', expected: 16 },
  { threads: 256, expected: 256 },
  { threads: 'auto', expected: 6 },
  { threads: '50%', expected: 3 },
  { threads: '99%', expected: 5 },
  { threads: '1%', expected: 1 },
  { threads: '100%', expected: 6 },
])('of 6 processors $threads are $expected workers', ({ threads, expected }) => {
  expect(workerCount(workerThreads.parse(threads), 6)).toBe(expected)
})

test.each([0, -1, 1.5, 257, '0', '', 'all', '0%', '101%', '1.5', '1e1', true])(
  '%j is no number of workers',
  (value) => {
    expect(workerThreads.safeParse(value).success).toBe(false)
  },
)
