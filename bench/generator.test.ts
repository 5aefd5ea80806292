import { expect, test } from 'vitest'
import { failures, pacedLimit, saturationLimit, tailLimit } from './generator.ts'

test.each([
  { name: 'in time, and half a CPU', lagMs: 0.1, loadBusyShare: 0.5, limit: [] },
  { name: 'in time, where nobody counts CPUs', lagMs: 0.1, loadBusyShare: undefined, limit: [] },
  {
    name: 'late',
    lagMs: 0.3,
    loadBusyShare: 0.5,
    limit: ['x: the generator was 0.30 ms late (p50), more than 0.25 ms'],
  },
  {
    name: 'out of CPU',
    lagMs: 0.1,
    loadBusyShare: 0.95,
    limit: ['x: the CPU of generator and upstream was 95% busy'],
  },
])('a paced generator that is $name: $limit', ({ lagMs, loadBusyShare, limit }) => {
  const lags = { percentileMs: (share: number) => (share === 0.5 ? lagMs : 9) }
  expect(pacedLimit('x', { lags, loadBusyShare })).toEqual(limit)
})

test('for the last percent, the last percent of what it was late counts', () => {
  const lags = { percentileMs: (share: number) => (share === 0.99 ? 1.5 : 0.1) }
  expect(tailLimit('x', { lags })).toEqual(['x: the generator was 1.50 ms late (p99), more than 1 ms'])
  expect(tailLimit('x', { lags }, 2)).toEqual([])
})

test.each([
  { name: 'a full CPU', busyShare: 0.97, othersShare: 0.02, direct: 110, limit: [] },
  { name: 'what is left goes to others', busyShare: 0.82, othersShare: 0.1, direct: 300, limit: [] },
  {
    name: 'a CPU with room',
    busyShare: 0.75,
    othersShare: 0.05,
    direct: 300,
    limit: ['x: its CPU was only 80% busy'],
  },
  {
    name: 'a CPU that others want',
    busyShare: 0.7,
    othersShare: 0.3,
    direct: 300,
    limit: ['x: other programs took 30% of its CPU'],
  },
  {
    name: 'no slower than the direct path',
    busyShare: 0.97,
    othersShare: 0.02,
    direct: 100,
    limit: ['x: no slower than the direct path, 100/s'],
  },
  { name: 'nobody counts, headroom', busyShare: undefined, othersShare: undefined, direct: 126, limit: [] },
  {
    name: 'nobody counts, no headroom',
    busyShare: undefined,
    othersShare: undefined,
    direct: 124,
    limit: ['x: the direct path bears 124/s, less than 1.25 times as much'],
  },
])('at saturation, $name: $limit', ({ busyShare, othersShare, direct, limit }) => {
  expect(saturationLimit('x', { rate: 100, busyShare, othersShare }, direct)).toEqual(limit)
})

test('requests that failed are told', () => {
  expect(failures('x', 0)).toEqual([])
  expect(failures('x', 3)).toEqual(['x: 3 requests failed'])
})
