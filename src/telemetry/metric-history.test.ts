import { expect, test } from 'vitest'
import type { MetricLabels } from '../core/labels.ts'
import { watchGrowth } from './metric-history.ts'
import { createRegistry } from './registry.ts'

const ALL = {
  r_total: ['a'],
  s_bucket: ['a', 'le'],
  s_count: ['a'],
  s_sum: ['a'],
  o: ['a'],
  c_total: [],
}

function setUp(metrics: MetricLabels = ALL) {
  const registry = createRegistry()
  const requests = registry.counter({ name: 'r_total', help: 'R.', labels: ['a'] })
  const seconds = registry.histogram({ name: 's', help: 'S.', labels: ['a'], buckets: [0.1, 1] })
  const open = registry.gauge({ name: 'o', help: 'O.', labels: ['a'] })
  let read = 5
  registry.counter({ name: 'c_total', help: 'C.', collect: () => read })
  const look = watchGrowth(registry, metrics)
  const told = ({ increments, levels }: ReturnType<typeof look>) => ({
    increments: Object.fromEntries(
      increments.map(({ name, labels, value }) => [`${name}{${labels}}`, value]),
    ),
    levels: Object.fromEntries(levels.map(({ name, labels, value }) => [`${name}{${labels}}`, value])),
  })
  return { requests, seconds, open, grow: (by: number) => (read += by), look: () => told(look()) }
}

test('it tells at first of all, then of what has grown, and of what rests nothing', () => {
  const { requests, seconds, open, grow, look } = setUp()
  requests.child('x').inc(2)
  seconds.child('x').observe(0.05)
  seconds.child('x').observe(7)
  open.child('x').set(3)
  expect(look()).toEqual({
    increments: {
      'r_total{a="x"}': 2,
      's_bucket{a="x",le="0.1"}': 1,
      's_bucket{a="x",le="+Inf"}': 1,
      's_count{a="x"}': 2,
      's_sum{a="x"}': 7.05,
      'c_total{}': 5,
    },
    levels: { 'o{a="x"}': 3 },
  })
  expect(look()).toEqual({ increments: {}, levels: { 'o{a="x"}': 3 } })
  requests.child('x').inc()
  requests.child('y').inc(4)
  seconds.child('x').observe(0.5)
  grow(2)
  expect(look().increments).toEqual({
    'r_total{a="x"}': 1,
    'r_total{a="y"}': 4,
    's_bucket{a="x",le="1.0"}': 1,
    's_count{a="x"}': 1,
    's_sum{a="x"}': 0.5,
    'c_total{}': 2,
  })
})

test('it adds up what differs in labels that nobody reads, and tells of no other metric', () => {
  const { requests, seconds, open, look } = setUp({ r_total: [], s_bucket: ['le'], o: [] })
  for (const label of ['x', 'y']) {
    requests.child(label).inc(2)
    seconds.child(label).observe(0.05)
    open.child(label).set(3)
  }
  expect(look()).toEqual({
    increments: { 'r_total{}': 4, 's_bucket{le="0.1"}': 2 },
    levels: { 'o{}': 6 },
  })
  requests.child('x').inc()
  expect(look().increments).toEqual({ 'r_total{}': 1 })
})

test('it tells no secret that is in a label', () => {
  const { requests, seconds, look } = setUp()
  requests.child('sk-proj-abcdefghij0123456789').inc(2)
  requests.child('sk-proj-klmnopqrst0123456789').inc(3)
  seconds.child('sk-proj-abcdefghij0123456789').observe(0.05)
  expect(look().increments).toMatchObject({
    'r_total{a="[redacted]"}': 5,
    's_bucket{a="[redacted]",le="0.1"}': 1,
  })
})

test('it tells nothing of a gauge that was withdrawn', () => {
  const { open, look } = setUp()
  const gauge = open.child('x')
  gauge.set(1)
  gauge.withdraw()
  expect(look().levels).toEqual({})
})

test('its increments add up to the totals, whenever it looks', () => {
  const { requests, seconds, look } = setUp()
  const sums = new Map<string, number>()
  const collect = () => {
    for (const [name, value] of Object.entries(look().increments))
      sums.set(name, (sums.get(name) ?? 0) + value)
  }
  for (let index = 0; index < 50; index++) {
    requests.child(`k${index % 3}`).inc(index)
    seconds.child('x').observe(index / 20)
    if (index % 7 === 0) collect()
  }
  collect()
  expect(['k0', 'k1', 'k2'].map((key) => sums.get(`r_total{a="${key}"}`))).toEqual(
    ['k0', 'k1', 'k2'].map((key) => requests.child(key).value),
  )
  expect(sums.get('s_count{a="x"}')).toBe(50)
  expect(sums.get('s_sum{a="x"}')).toBeCloseTo(seconds.child('x').sum, 9)
})
