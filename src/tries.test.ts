/** What an answer means, and whether there is another attempt in the time that is left for it. */
import { expect, test } from 'vitest'
import type { ForwardingBackend } from './compile.ts'
import { compileCel } from './core/cel.ts'
import { ANSWER_NAMES } from './core/request-names.ts'
import { retry } from './policies/retry.ts'
import { Tries } from './tries.ts'

const backend = { health: undefined } as ForwardingBackend

test.each([
  { name: 'a pause that ends in time', random: 0.5, deadline: 1051, delayMs: 50 },
  { name: 'a pause that does not', random: 0.5, deadline: 1050, delayMs: undefined },
  { name: 'a Retry-After that is over in time', retryAfter: 9000, deadline: 10_001, delayMs: 9000 },
  { name: 'one that is not', retryAfter: 9000, deadline: 10_000, delayMs: undefined },
  {
    name: 'one of a request that may take any time',
    retryAfter: 30_000,
    deadline: Infinity,
    delayMs: 30_000,
  },
  { name: 'no time left', random: 0, deadline: 1000, delayMs: undefined },
])('$name', ({ random = 0, retryAfter, deadline, delayMs }) => {
  const clockwork = { now: () => 1000, random: () => random, deadline }
  const tries = new Tries(
    { tiers: [[backend]] },
    retry({ attempts: 2, backoff: 100, codes: [503] }),
    clockwork,
  )
  tries.begin(backend)
  tries.failed(retryAfter)
  expect(tries.next(retryAfter)).toEqual(delayMs === undefined ? undefined : { backend, delayMs })
})

test('another upstream is asked at once, whatever the first one asks for', () => {
  const other = { ...backend }
  const clockwork = { now: () => 1000, random: () => 0, deadline: 1001 }
  const tries = new Tries({ tiers: [[backend], [other]] }, retry(undefined), clockwork)
  tries.begin(backend)
  tries.failed(60_000)
  expect(tries.next(60_000)).toEqual({ backend: other, delayMs: 0 })
})

test.each([
  { status: 200, verdict: { isRetried: false, hasFailed: false } },
  { status: 404, verdict: { isRetried: false, hasFailed: false } },
  { status: 429, verdict: { isRetried: true, hasFailed: true } },
  { status: 501, verdict: { isRetried: false, hasFailed: true } },
])('$status by itself tells $verdict; an expression wants more', ({ status, verdict }) => {
  const clockwork = { now: () => 0, random: () => 0, deadline: Infinity }
  const judging = (asked: ForwardingBackend, condition?: string) => {
    const tries = new Tries(
      { tiers: [[asked]] },
      retry({ attempts: 1, backoff: 1, codes: [429], condition }),
      clockwork,
    )
    tries.begin(asked)
    return tries.judge(status)
  }
  expect(judging(backend)).toEqual(verdict)
  expect(judging(backend, 'response.code == 404')).toBeUndefined()
  const unhealthy = compileCel('response.code == 404', ANSWER_NAMES)
  expect(judging({ ...backend, unhealthy })).toBeUndefined()
})
