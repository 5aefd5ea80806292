import { expect, test } from 'vitest'
import {
  addEncoded,
  compacted,
  count,
  emptyCounts,
  encode,
  type Histogram,
  percentiles,
  slotOf,
} from './histogram.ts'

test.each([
  [-1, 0],
  [Number.NaN, 0],
  [0, 0],
  [0.5, 0],
  [1, 0],
  [1.1, 1],
  [2, 8],
  [1024, 80],
  [1023.9, 79],
  [1e30, 207],
])('puts %d ms into slot %d', (milliseconds, slot) => {
  expect(slotOf(milliseconds)).toBe(slot)
})

test('reads what it wrote, and what was appended to it', () => {
  const histogram: Histogram = new Map()
  for (const milliseconds of [1, 1, 1, 700, 1024, 1e30]) count(histogram, milliseconds)
  const text = encode(histogram)
  expect(text).toBe('aA3jDkAzH')

  const twice = emptyCounts()
  addEncoded(twice, text + text)
  expect([...twice.entries()].filter(([, times]) => times > 0)).toEqual(
    [...histogram].map(([slot, times]) => [slot, 2 * times]),
  )
  expect(compacted(text + text)).toBe('aA6jD2kA2zH2')
})

test('reads percentiles within the width of a slot, and none from nothing', () => {
  const histogram: Histogram = new Map()
  const values = Array.from({ length: 1000 }, (_, index) => index + 1)
  for (const value of values) count(histogram, value)
  const counts = emptyCounts()
  addEncoded(counts, encode(histogram))
  const found = percentiles(counts, 500_500, 1000)
  expect(found).toMatchObject({ max: 1000, mean: 500.5 })
  for (const [value, exact] of [
    [found?.p50, 500],
    [found?.p95, 950],
    [found?.p99, 990],
  ] as const) {
    expect((value ?? 0) / exact).toBeGreaterThan(2 ** (-1 / 8))
    expect((value ?? 0) / exact).toBeLessThan(2 ** (1 / 8))
  }
  expect(percentiles(emptyCounts(), 0, 0)).toBeUndefined()
})
