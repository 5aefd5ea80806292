import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { watchPulse } from './pulse.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

test('who has been asked ten times and said nothing is silent', () => {
  const [ask, onSilent] = [vi.fn(), vi.fn()]
  watchPulse(ask, onSilent)
  vi.advanceTimersByTime(10_999)
  expect(ask).toHaveBeenCalledTimes(10)
  expect(onSilent).not.toHaveBeenCalled()
  vi.advanceTimersByTime(60_000)
  expect(ask).toHaveBeenCalledTimes(10)
  expect(onSilent).toHaveBeenCalledTimes(1)
})

test('who says something now and then is not', () => {
  const onSilent = vi.fn()
  const pulse = watchPulse(() => {}, onSilent)
  for (let times = 0; times < 10; times++) {
    vi.advanceTimersByTime(10_000)
    pulse.heard()
  }
  expect(onSilent).not.toHaveBeenCalled()
  pulse.stop()
  vi.advanceTimersByTime(60_000)
  expect(onSilent).not.toHaveBeenCalled()
})
