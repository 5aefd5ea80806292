import { expect, test } from 'vitest'
import { choose } from './choose.ts'
import { Health } from './health.ts'

const member = (name: string, health?: Health) => ({ name, health: health ?? new Health() })
const [a, b, c] = [member('a'), member('b'), member('c')]
const chances = { now: 0, random: () => 0 }

function evicted(until: number): Health {
  const health = new Health()
  health.fail(health.begin(0), 0, until)
  return health
}

test('the first tier is asked, then the next', () => {
  expect(choose([[a], [b]], new Set(), chances)).toBe(a)
  expect(choose([[a], [b]], new Set([a]), chances)).toBe(b)
  expect(choose([[a], [b]], new Set([a, b]), chances)).toBeUndefined()
})

test('a tier in which all are evicted is passed over', () => {
  expect(choose([[member('x', evicted(5000))], [b]], new Set(), chances)).toBe(b)
})

test('where all are evicted, the one that is back first is asked', () => {
  const [late, soon] = [member('late', evicted(9000)), member('soon', evicted(5000))]
  expect(choose([[late], [soon]], new Set(), chances)).toBe(soon)
  expect(choose([[late], [soon]], new Set([soon]), chances)).toBe(late)
})

test('of two that are drawn the better is asked; two that are drawn are never the same', () => {
  const health = new Health()
  health.succeed(health.begin(0), 1000)
  const slow = member('slow', health)
  const counts = new Map<string, number>()
  for (let first = 0; first < 3; first += 1) {
    for (let second = 0; second < 2; second += 1) {
      const draws = [(first + 0.5) / 3, (second + 0.5) / 2]
      const chosen = choose([[slow, a, c]], new Set(), { now: 0, random: () => draws.shift() ?? 0 })
      counts.set(chosen?.name ?? '', (counts.get(chosen?.name ?? '') ?? 0) + 1)
    }
  }
  expect(Object.fromEntries(counts)).toEqual({ a: 3, c: 3 })
})

test('one without an alternative needs no health', () => {
  const only = { name: 'only', health: undefined }
  expect(choose([[only]], new Set(), chances)).toBe(only)
})
