import { describe, expect, test } from 'vitest'
import { renderMetrics } from './exposition.ts'
import { createRegistry, OVERFLOW, type Registry } from './registry.ts'
import { LabelTree } from './registry-series.ts'

const text = (registry: Registry) => [...renderMetrics(registry, 'text')].join('')
const lines = (registry: Registry, start: string) =>
  text(registry)
    .split('\n')
    .filter((line) => line.startsWith(start))

describe('a series', () => {
  test('is the same for the same labels, by position and by name', () => {
    const family = createRegistry().counter({ name: 'a_total', help: 'A.', labels: ['x', 'y'] })
    const series = family.child('1', '2')
    expect(family.child('1', '2')).toBe(series)
    expect(family.childOf({ y: '2', x: '1' })).toBe(series)
    expect(family.child('2', '1')).not.toBe(series)
    // Joined by any separator, these two could be mistaken for one another.
    expect(family.child('1,', '2')).not.toBe(family.child('1', ',2'))
  })

  test.each([
    { name: 'cuts long values', value: 'x'.repeat(300), printed: 'x'.repeat(256) },
    { name: 'replaces NUL', value: 'a\0b', printed: 'a\ufffdb' },
    { name: 'replaces lone surrogates', value: 'a\ud800b', printed: 'a\ufffdb' },
  ])('$name, and is one with its printed twin', ({ value, printed }) => {
    const registry = createRegistry()
    const family = registry.counter({ name: 'a_total', help: 'A.', labels: ['x'] })
    family.child(value).inc()
    family.child(value).inc()
    family.child(printed).inc()
    expect(lines(registry, 'a_total')).toEqual([`a_total{x="${printed}"} 3`])
  })
})

describe('a counter', () => {
  test.each([
    { by: 1, value: 1 },
    { by: 0.5, value: 0.5 },
    { by: 0, value: 0 },
    { by: -1, value: 0 },
    { by: Number.NaN, value: 0 },
    { by: Infinity, value: 0 },
  ])('grows by $by to $value', ({ by, value }) => {
    const counter = createRegistry().counter({ name: 'a_total', help: 'A.' }).child()
    counter.inc(by)
    expect(counter.value).toBe(value)
  })
})

describe('a histogram', () => {
  const histogram = () =>
    createRegistry()
      .histogram({ name: 'a', help: 'A.', buckets: [1, 2] })
      .child()

  test.each([
    { value: 0, counts: [1, 0, 0] },
    { value: 1, counts: [1, 0, 0] },
    { value: 1.5, counts: [0, 1, 0] },
    { value: 2, counts: [0, 1, 0] },
    { value: 3, counts: [0, 0, 1] },
    { value: Number.NaN, counts: [0, 0, 0] },
    { value: Infinity, counts: [0, 0, 0] },
  ])('puts $value where it belongs', ({ value, counts }) => {
    const series = histogram()
    series.observe(value)
    expect([...series.counts]).toEqual(counts)
    expect(series.sum).toBe(Number.isFinite(value) ? value : 0)
  })

  test('keeps the last exemplar of each bucket', () => {
    const series = histogram()
    series.observe(0.5, 'first', 1)
    series.observe(0.6, 'second', 2)
    series.observe(0.7)
    series.observe(9, 'third', 3)
    expect(series.exemplars?.[0]).toEqual({ traceId: 'second', value: 0.6, atEpochMs: 2 })
    expect(series.exemplars?.[1]).toBeUndefined()
    expect(series.exemplars?.[2]).toEqual({ traceId: 'third', value: 9, atEpochMs: 3 })
  })

  test('adds what was counted elsewhere, and refuses counts of other buckets', () => {
    const series = histogram()
    series.observe(1.5)
    series.merge(Uint32Array.of(1, 2, 3), 20)
    series.merge([7, 7], 20)
    series.merge([7, 7, 7], Number.NaN)
    expect([...series.counts]).toEqual([1, 3, 3])
    expect(series.sum).toBe(21.5)
  })
})

describe('beyond the bound', () => {
  test('observations go to one series, and are counted', () => {
    const registry = createRegistry({ maxSeries: 2 })
    const counter = registry.counter({
      name: 'a_total',
      help: 'A.',
      labels: ['x'],
      constants: { gateway: 'g' },
    })
    const histogram = registry.histogram({ name: 'b', help: 'B.', labels: ['x', 'y'], buckets: [1] })
    for (const x of ['1', '2', '3', '4', '3', '1']) counter.child(x).inc(10)
    for (const x of ['1', '2', '3', '4']) histogram.child(x, 'y').observe(0.5)
    histogram.child('5', 'y').merge([2, 1], 4)

    expect(lines(registry, 'a_total')).toEqual([
      'a_total{x="1",gateway="g"} 20',
      'a_total{x="2",gateway="g"} 10',
      `a_total{x="${OVERFLOW}",gateway="g"} 30`,
    ])
    expect(lines(registry, 'b_count')).toEqual([
      'b_count{x="1",y="y"} 1',
      'b_count{x="2",y="y"} 1',
      `b_count{x="${OVERFLOW}",y="${OVERFLOW}"} 5`,
    ])
    expect(lines(registry, 'agentgateway_metric_overflow_total')).toEqual([
      'agentgateway_metric_overflow_total{family="a_total"} 3',
      'agentgateway_metric_overflow_total{family="b"} 5',
    ])
  })

  test('nothing is kept', () => {
    const registry = createRegistry()
    const family = registry.counter({ name: 'a_total', help: 'A.', labels: ['x'], maxSeries: 10 })
    for (let index = 0; index < 10_000; index++) family.child(String(index)).inc()
    expect(family.series()).toHaveLength(11)
  })

  test('a family may have its own bound', () => {
    const family = createRegistry({ maxSeries: 1 }).gauge({
      name: 'a',
      help: 'A.',
      labels: ['x'],
      maxSeries: 3,
    })
    for (const x of ['1', '2', '3', '4', '5']) family.child(x).add(1)
    expect(family.series().map(({ value }) => value)).toEqual([1, 1, 1, 2])
  })
})

test('values may be read at each scrape', () => {
  const registry = createRegistry()
  let depth = 3
  registry.gauge({ name: 'depth', help: 'D.', collect: () => depth })
  expect(lines(registry, 'depth')).toEqual(['depth 3'])
  depth = 4
  expect(lines(registry, 'depth')).toEqual(['depth 4'])
})

test.each([
  'agentgateway_a_seconds_total',
  'agentgateway_a_seconds',
  'agentgateway_a',
  'agentgateway_a_total',
  'a_seconds_total',
  'a_seconds',
  'a',
  'a_total',
])('hides a family named %s, before or after its registration', (name) => {
  const registry = createRegistry()
  const register = (metric: string) => registry.counter({ name: metric, help: 'A.', unit: 'seconds' })
  register('agentgateway_a_seconds_total')
  registry.hide([name])
  register('agentgateway_ab_seconds_total')
  expect(registry.families().map((family) => family.name)).toEqual([
    'agentgateway_metric_overflow_total',
    'agentgateway_ab_seconds_total',
  ])
})

describe('registration refuses', () => {
  test.each([
    { what: 'a counter without _total', name: 'a', type: 'counter' },
    { what: 'a gauge with _total', name: 'a_total', type: 'gauge' },
    { what: 'a reserved suffix', name: 'a_count', type: 'gauge' },
    { what: 'a bad character', name: 'a-b', type: 'gauge' },
    { what: "another family's name", name: 'taken_seconds', type: 'gauge' },
    { what: "another family's name without _total", name: 'taken_seconds_total', type: 'counter' },
  ] as const)('$what', ({ name, type }) => {
    const registry = createRegistry()
    registry.histogram({ name: 'taken_seconds', help: 'T.', buckets: [1] })
    expect(() => registry[type]({ name, help: 'A.' })).toThrow(/is no name for a|is already taken/)
  })

  test.each([
    { what: 'le', labels: ['le'] },
    { what: 'a reserved label', labels: ['__a'] },
    { what: 'a label twice', labels: ['a', 'a'] },
  ])('$what', ({ labels }) => {
    expect(() => createRegistry().histogram({ name: 'a', help: 'A.', labels, buckets: [1] })).toThrow()
  })

  test.each([[[1, 1]], [[2, 1]], [[Number.NaN]], [[1, Infinity]]])('buckets %j', (buckets) => {
    expect(() => createRegistry().histogram({ name: 'a', help: 'A.', buckets })).toThrow('buckets')
  })

  test('a labelled family that is read at each scrape', () => {
    expect(() => createRegistry().gauge({ name: 'a', help: 'A.', labels: ['x'], collect: () => 1 })).toThrow()
  })
})

test('a label tree counts its values and finds them again', () => {
  const tree = new LabelTree<number>()
  tree.set([], 0)
  tree.set(['a', 'b'], 1)
  tree.set(['a', 'c'], 2)
  tree.set(['a', 'c'], 3)
  expect(tree.size).toBe(3)
  expect([tree.get([]), tree.get(['a']), tree.get(['a', 'b']), tree.get(['a', 'c'])]).toEqual([
    0,
    undefined,
    1,
    3,
  ])
  expect(tree.get(['z', 'b'])).toBeUndefined()
})
