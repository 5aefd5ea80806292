import { expect, test } from 'vitest'
import { largest, lonelyPoints, stackSeries, withRest } from './stack.ts'

const a = { label: 'a', points: [1, null, 3] }
const b = { label: 'b', points: [10, 10, null] }
const c = { label: 'c', points: [0, 0, 1] }

test('puts series on top of each other', () => {
  expect(stackSeries([a, b], () => true)).toEqual([
    [1, 0, 3],
    [11, 10, 3],
  ])
})

test('leaves out of the stack what is switched off', () => {
  expect(stackSeries([a, b], (index) => index === 1)).toEqual([
    [0, 0, 0],
    [10, 10, 0],
  ])
})

test('keeps the largest in their order', () => {
  expect(largest([c, a, b], 2)).toEqual({ shown: [a, b], hidden: 1 })
})

test('sums up the others', () => {
  expect(withRest([a, b, c], 1)).toEqual([b, { label: '2 others', points: [1, 0, 4] }])
  expect(withRest([a, b], 5)).toEqual([a, b])
})

test.each([
  [
    [1, null, 2, 3, null, 4],
    [0, 5],
  ],
  [[null, null], []],
  [[1], [0]],
  [[1, 2], []],
])('finds in %j the points without neighbours', (points, found) => {
  expect(lonelyPoints(points)).toEqual(found)
})
