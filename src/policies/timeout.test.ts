import { expect, test } from 'vitest'
import { timeoutSchema, timeouts } from './timeout.ts'

const NONE_SAID = { requestMs: 0, firstByteMs: 600_000, idleMs: 600_000, totalMs: 0 }

test.each([
  { name: 'has its defaults', config: undefined, limits: {} },
  { name: 'has its defaults where nothing is said', config: {}, limits: {} },
  { name: 'takes requestTimeout', config: { requestTimeout: '10m' }, limits: { requestMs: 600_000 } },
  {
    name: 'takes backendRequestTimeout',
    config: { backendRequestTimeout: '1.5s' },
    limits: { firstByteMs: 1500 },
  },
  { name: 'takes idleTimeout', config: { idleTimeout: '30s' }, limits: { idleMs: 30_000 } },
  { name: 'takes totalTimeout', config: { totalTimeout: '1h' }, limits: { totalMs: 3_600_000 } },
  {
    name: 'turns limits off with 0s',
    config: { backendRequestTimeout: '0s', idleTimeout: '0s' },
    limits: { firstByteMs: 0, idleMs: 0 },
  },
])('it $name', ({ config, limits }) => {
  expect(timeouts(config && timeoutSchema.parse(config))).toEqual({ ...NONE_SAID, ...limits })
})

test.each([{ requestTimeout: 10 }, { requestTimeout: '10' }, { requestTimeout: '-1s' }, { request: '1s' }])(
  'it refuses %j',
  (config) => {
    expect(timeoutSchema.safeParse(config).success).toBe(false)
  },
)
