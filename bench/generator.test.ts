import { expect, test } from 'vitest'
import { failures, pacedLimit, saturationLimit } from './generator.ts'

test.each([
  { name: 'in time, and half a CPU', lagP99Ms: 0.4, loadBusyShare: 0.5, limit: [] },
  { name: 'in time, where nobody counts CPUs', lagP99Ms: 0.4, loadBusyShare: undefined, limit: [] },
  {
    name: 'late',
    lagP99Ms: 1.5,
    loadBusyShare: 0.5,
    limit: ['x: the generator was 1.50 ms late (p99), more than 1 ms'],
  },
  {
    name: 'out of CPU',
    lagP99Ms: 0.4,
    loadBusyShare: 0.95,
    limit: ['x: the CPU of generator and upstream was 95% busy'],
  },
])('a paced generator that is $name: $limit', ({ lagP99Ms, loadBusyShare, limit }) => {
  expect(pacedLimit('x', { lagP99Ms, loadBusyShare })).toEqual(limit)
})

test.each([
  { name: 'a full CPU', rate: 100, proxyCpuShare: 0.97, direct: 110, limits: false },
  { name: 'a CPU with room', rate: 100, proxyCpuShare: 0.8, direct: 300, limits: true },
  { name: 'no slower than the direct path', rate: 100, proxyCpuShare: 0.97, direct: 100, limits: true },
  { name: 'nobody counts, headroom', rate: 100, proxyCpuShare: undefined, direct: 126, limits: false },
  { name: 'nobody counts, no headroom', rate: 100, proxyCpuShare: undefined, direct: 124, limits: true },
])('at saturation, $name: $limits', ({ rate, proxyCpuShare, direct, limits }) => {
  expect(saturationLimit('x', { rate, proxyCpuShare }, direct)).toHaveLength(limits ? 1 : 0)
})

test('requests that failed are told', () => {
  expect(failures('x', 0)).toEqual([])
  expect(failures('x', 3)).toEqual(['x: 3 requests failed'])
})
