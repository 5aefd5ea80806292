import { expect, test } from 'vitest'
import { shuffled, slope, spread, spreadOf } from './statistics.ts'

test.each([
  { samples: [3, 1, 2], median: 2 },
  { samples: [4, 1, 3, 2], median: 2.5 },
  { samples: [7], median: 7 },
])('the median of $samples is $median', ({ samples, median }) => {
  expect(spread(samples)).toEqual({ median, min: Math.min(...samples), max: Math.max(...samples) })
})

test('a figure that nobody counted has no spread', () => {
  expect(spreadOf([undefined, undefined])).toBeUndefined()
  expect(spreadOf([undefined, 2])).toEqual({ median: 2, min: 2, max: 2 })
})

test('a slope is what one more costs', () => {
  const points = [0, 10, 20].map((x) => ({ x, y: 5 + 3 * x }))
  expect(slope(points)).toBeCloseTo(3)
})

test('an order has each once, and is not always the same', () => {
  const items = Array.from({ length: 20 }, (_, index) => index)
  const orders = Array.from({ length: 5 }, () => shuffled(items))
  for (const order of orders) expect(order.toSorted((a, b) => a - b)).toEqual(items)
  expect(new Set(orders.map(String)).size).toBeGreaterThan(1)
})
