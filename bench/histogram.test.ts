import { expect, test } from 'vitest'
import { durations, together } from './histogram.ts'

function of(...ms: readonly number[]) {
  const found = durations()
  for (const one of ms) found.record(one)
  return found
}

test('percentiles are right to a thousandth, from microseconds to a minute', () => {
  for (const ms of [0.001, 0.0137, 0.25, 1, 9.87, 123.4, 4567, 59_999]) {
    const { p50Ms, maxMs, count } = of(ms).summary()
    expect(Math.abs(p50Ms - ms) / ms, `${ms} ms`).toBeLessThanOrEqual(0.001)
    expect(maxMs).toBe(p50Ms)
    expect(count).toBe(1)
  }
})

test('a percentile is the value that this share of the durations does not exceed', () => {
  const thousand = of(...Array.from({ length: 1000 }, (_, index) => (index + 1) / 10))
  expect(thousand.percentileMs(0.5)).toBeCloseTo(50, 0)
  expect(thousand.percentileMs(0.99)).toBeCloseTo(99, 0)
  expect(thousand.percentileMs(0.999)).toBeCloseTo(99.9, 0)
})

test('rounds add up', () => {
  const sum = together([of(1, 2), of(3), of()])
  expect(sum.count()).toBe(3)
  expect(sum.percentileMs(0.5)).toBeCloseTo(2, 2)
})

test('what cannot be is kept as the nearest that can', () => {
  const { count, p50Ms, maxMs } = of(-3, -2, 500_000).summary()
  expect({ count, p50Ms }).toEqual({ count: 3, p50Ms: 0 })
  expect(maxMs).toBeCloseTo(60_000, -2)
})

test('of nothing there is no percentile', () => {
  expect(durations().percentileMs(0.5)).toBeNaN()
})
