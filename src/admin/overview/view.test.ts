import { describe, expect, test } from 'vitest'
import type { MetricHistory } from '../../store/types.ts'
import { groups, is, quantiles, sums, total, totalsBy, viewOf } from './view.ts'

const RANGE = { from: 1000, stepMs: 10, steps: 3 }
const BOUNDS = [0.1, 0.5, 1]

const history = (name: string, labels: string, ...points: [number, number][]): MetricHistory => ({
  name,
  labels,
  kind: 'increment',
  points,
})
const view = (...all: MetricHistory[]) => viewOf(all, RANGE, () => BOUNDS)

describe('sums', () => {
  const seen = view(
    history('a', 'x="1"', [1000, 2], [1020, 3]),
    history('a', 'x="2"', [1000, 5], [990, 100], [1030, 100]),
    history('b', '', [1010, 7]),
  )

  test('it adds series up by step, and leaves out what is outside of the range', () => {
    expect([...sums(seen, 'a')]).toEqual([7, 0, 3])
    expect([...sums(seen, 'a', is('x', '1'))]).toEqual([2, 0, 3])
    expect(total(seen, 'a')).toBe(10)
    expect(total(seen, 'missing')).toBe(0)
  })

  test('it groups by a label, the largest first', () => {
    expect(totalsBy(seen, 'a', ({ x = '' }) => x)).toEqual([
      { label: '1', value: 5 },
      { label: '2', value: 5 },
    ])
    expect([...groups(seen, 'a', ({ x = '' }) => x).keys()]).toEqual(['1', '2'])
  })
})

describe('quantiles', () => {
  const bucket = (le: string, ...points: [number, number][]) => history('h_bucket', `le="${le}"`, ...points)

  test.each([
    { name: 'nothing is told where nothing was', points: [], quantile: 0.5, expected: null },
    { name: 'it is in the middle of the only bucket', points: [['0.5', 4]], quantile: 0.5, expected: 0.3 },
    { name: 'the first bucket begins at 0', points: [['0.1', 2]], quantile: 0.5, expected: 0.05 },
    {
      name: 'an empty bucket in between counts',
      points: [
        ['0.1', 1],
        ['1', 1],
      ],
      quantile: 0.75,
      expected: 0.75,
    },
    { name: 'beyond all buckets it is the last bound', points: [['+Inf', 3]], quantile: 0.99, expected: 1 },
  ] as const)('$name', ({ points, quantile, expected }) => {
    const seen = view(...points.map(([le, count]) => bucket(le, [1010, count])))
    const [found = []] = quantiles(seen, 'h', [quantile])
    expect([found[0], found[2]]).toEqual([null, null])
    if (expected === null) expect(found[1]).toBeNull()
    else expect(found[1]).toBeCloseTo(expected, 12)
  })
})
