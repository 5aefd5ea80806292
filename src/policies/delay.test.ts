import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { delay, delaySchema } from './delay.ts'
import { requestHead } from './request-head.fixture.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test.each([
  { duration: '1m30s', milliseconds: 90_000 },
  { duration: 'request.headers["x-wait"]', milliseconds: 250 },
  { duration: 'string(duration("2s"))', milliseconds: 2000 },
])('$duration is $milliseconds ms', async ({ duration, milliseconds }) => {
  const policy = delay(delaySchema.parse({ duration }))
  let isOver = false
  const passing = Promise.resolve(policy.onRequest?.(requestHead({ headers: { 'x-wait': '250ms' } })))
  const over = passing.then(() => {
    isOver = true
  })
  await vi.advanceTimersByTimeAsync(milliseconds - 1)
  expect(isOver).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(isOver).toBe(true)
  await over
})

test.each(['0s', 'jwt.wait', '"soon"', '5', 'null', '"700h"'])('%s is no delay', (duration) => {
  expect(delay(delaySchema.parse({ duration })).onRequest?.(requestHead())).toBeUndefined()
})

test('nothing is left of a request whose client has gone', () => {
  const policy = delay(delaySchema.parse({ duration: '1h' }))
  const head = requestHead()
  policy.onRequest?.(head)
  policy.onFinished?.(head.exchange)
  expect(vi.getTimerCount()).toBe(0)
})

test.each([{}, { duration: 5 }, { duration: 'no such' }, { duration: '700h' }])('it refuses %j', (config) => {
  expect(delaySchema.safeParse(config).success).toBe(false)
})
