import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBuckets } from './buckets.ts'

const SHAPE = { capacity: 10, perFill: 2, intervalMs: 1000 }

function clock() {
  let now = 5000
  return {
    now: () => now,
    pass: (milliseconds: number) => {
      now += milliseconds
    },
  }
}

test('it is full at first, empties, and fills in steps', () => {
  const { now, pass } = clock()
  const buckets = createBuckets(SHAPE, now)
  const bucket = buckets.of('a')
  expect(buckets.take(bucket, 10)).toBe(true)
  expect(buckets.take(bucket, 1)).toBe(false)
  expect(buckets.hasInMs(bucket, 1)).toBe(1000)
  expect(buckets.hasInMs(bucket, 3)).toBe(2000)
  expect(buckets.fullInMs(bucket)).toBe(5000)
  pass(999)
  expect(buckets.take(bucket, 1)).toBe(false)
  pass(1)
  expect(buckets.take(bucket, 2)).toBe(true)
  expect(buckets.take(bucket, 1)).toBe(false)
  pass(1_000_000)
  expect(buckets.of('a').level).toBe(10)
})

test('half of a step that has passed is not lost', () => {
  const { now, pass } = clock()
  const buckets = createBuckets(SHAPE, now)
  buckets.take(buckets.of('a'), 10)
  pass(1500)
  expect(buckets.of('a').level).toBe(2)
  pass(500)
  expect(buckets.of('a').level).toBe(4)
})

test('what was owed is paid back before anybody gets more', () => {
  const { now, pass } = clock()
  const buckets = createBuckets(SHAPE, now)
  const bucket = buckets.of('a')
  buckets.settle(bucket, -14)
  expect(bucket.level).toBe(-4)
  pass(2000)
  expect(buckets.take(bucket, 1)).toBe(false)
  pass(1000)
  expect(buckets.take(bucket, 1)).toBe(true)
})

test('each key has its own', () => {
  const buckets = createBuckets(SHAPE, clock().now)
  buckets.take(buckets.of('a'), 10)
  expect(buckets.of('b').level).toBe(10)
  expect(buckets.of('a').level).toBe(0)
})

test('another shape keeps what was used', () => {
  const { now, pass } = clock()
  const buckets = createBuckets(SHAPE, now)
  buckets.take(buckets.of('a'), 7)
  buckets.reshape({ capacity: 20, perFill: 1, intervalMs: 500 })
  expect(buckets.of('a').level).toBe(13)
  buckets.reshape({ capacity: 5, perFill: 1, intervalMs: 500 })
  expect(buckets.of('a').level).toBe(5)
  buckets.take(buckets.of('a'), 5)
  pass(500)
  expect(buckets.of('a').level).toBe(1)
})

test('keys without end do not need memory without end, and nobody gains by making them up', () => {
  const { now, pass } = clock()
  const buckets = createBuckets(SHAPE, now)
  for (let index = 0; index < 10_000; index++) buckets.take(buckets.of(`key-${index}`), 10)
  // All that are too many share one.
  expect(buckets.take(buckets.of('late-1'), 10)).toBe(true)
  expect(buckets.take(buckets.of('late-2'), 1)).toBe(false)
  expect(buckets.of('key-5').level).toBe(0)
  pass(60_000)
  // The others are full again, and make room.
  expect(buckets.take(buckets.of('late-3'), 10)).toBe(true)
  expect(buckets.take(buckets.of('late-4'), 10)).toBe(true)
})

test('never more than the capacity at once, and never more than what was filled in all', () => {
  const step = fc.record({ passMs: fc.nat(5000), take: fc.integer({ min: 1, max: 12 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { now, pass } = clock()
      const began = now()
      const buckets = createBuckets(SHAPE, now)
      let taken = 0
      for (const { passMs, take } of steps) {
        pass(passMs)
        const bucket = buckets.of('a')
        expect(bucket.level).toBeLessThanOrEqual(SHAPE.capacity)
        if (buckets.take(bucket, take)) taken += take
        const filled = Math.floor((now() - began) / SHAPE.intervalMs) * SHAPE.perFill
        expect(taken).toBeLessThanOrEqual(SHAPE.capacity + filled)
      }
    }),
  )
})

test('long keys are told apart, and do not take the memory that they are long', () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const buckets = createBuckets(SHAPE, clock().now)
  // As one from the wire: not put together from parts that are there once.
  const long = (index: number) => Buffer.from(`${'x'.repeat(10_000)}${index}`).toString('latin1')
  collect()
  const before = process.memoryUsage().heapUsed
  for (let index = 0; index < 5000; index++) buckets.take(buckets.of(long(index)), 1 + (index % 2))
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000)
  expect([buckets.of(long(0)).level, buckets.of(long(1)).level]).toEqual([9, 8])
})

test('many keys that are too many do not look for room each', () => {
  let asked = 0
  const buckets = createBuckets({ capacity: 10, perFill: 1, intervalMs: 60_000 }, () => {
    asked += 1
    return 0
  })
  for (let index = 0; index < 10_000; index++) buckets.take(buckets.of(`key-${index}`), 1)
  asked = 0
  for (let index = 0; index < 1000; index++) buckets.of(`other-${index}`)
  expect(asked).toBeLessThan(20_000)
})
