import { afterAll, beforeAll, expect, test } from 'vitest'
import { seeded } from './exchanges.fixture.ts'
import { describeStores, type OpenKeeper, openKeeper } from './stores.fixture.ts'
import type { HistoryQuery, MetricHistory, MetricSample } from './types.ts'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const now = Date.now()

const random = seeded(11)
const LABELS = ['route="a"', 'route="b"', '']

/** Dense in the last hour, sparse in the days before; two gateways, one of which comes later. */
const samples: readonly MetricSample[] = [
  ...Array.from({ length: 360 }, (_, index) => now - index * 10 * SECOND_MS),
  ...Array.from({ length: 300 }, (_, index) => now - HOUR_MS - index * 7 * MINUTE_MS),
  ...Array.from({ length: 100 }, (_, index) => now - 2 * DAY_MS - index * 47 * MINUTE_MS),
].flatMap((at, index) =>
  (index % 3 === 0 ? ['one'] : ['one', 'two']).map((instance) => ({
    at: at - Math.floor(random() * 5000),
    instance,
    increments: LABELS.filter(() => random() < 0.5).map((labels) => ({
      name: 'requests_total',
      labels,
      value: Math.ceil(random() * 9),
    })),
    levels: LABELS.map((labels) => ({ name: 'in_flight', labels, value: random() * 100 })),
  })),
)

/** The same, from the samples themselves. */
function expected({ range, metrics }: HistoryQuery, step: number): readonly MetricHistory[] {
  const names = Object.keys(metrics)
  const sums = new Map<string, Map<number, number>>()
  const means = new Map<string, Map<number, Map<string, number[]>>>()
  for (const { at, instance, increments, levels } of samples) {
    const start = Math.floor(at / step) * step
    if (start + step <= range.from || at >= range.to) continue
    for (const { name, labels, value } of increments) {
      if (!names.includes(name)) continue
      const points = sums.get(`${name}|${labels}`) ?? new Map()
      sums.set(`${name}|${labels}`, points.set(start, (points.get(start) ?? 0) + value))
    }
    for (const { name, labels, value } of levels) {
      if (!names.includes(name)) continue
      const points = means.get(`${name}|${labels}`) ?? new Map()
      const instances = points.get(start) ?? new Map()
      means.set(
        `${name}|${labels}`,
        points.set(start, instances.set(instance, [...(instances.get(instance) ?? []), value])),
      )
    }
  }
  const series = [
    ...[...sums].map(([key, points]) => ({ kind: 'increment' as const, key, points: [...points] })),
    ...[...means].map(([key, points]) => ({
      kind: 'level' as const,
      key,
      points: [...points].map(([start, instances]) => {
        const total = [...instances.values()].reduce(
          (so, values) => so + values.reduce((one, other) => one + other, 0) / values.length,
          0,
        )
        return [start, total] as const
      }),
    })),
  ]
  return series
    .map(({ kind, key, points }) => {
      const [name = '', labels = ''] = key.split('|')
      return { kind, name, labels, points: points.sort(([one], [other]) => one - other) }
    })
    .sort((one, other) =>
      one.kind + one.name + one.labels < other.kind + other.name + other.labels ? -1 : 1,
    )
}

const both = { requests_total: ['route'], in_flight: ['route'] }

describeStores('the history of metrics', (place) => {
  let open: OpenKeeper

  beforeAll(async () => {
    open = await openKeeper(await place.newUrl(), { now: () => now })
    // Several transactions, which add to what is there.
    for (let at = 0; at < samples.length; at += 100) {
      const part = samples.slice(at, at + 100).map((sample) => JSON.stringify(sample))
      await open.write({ samples: part })
    }
  })

  afterAll(() => open.keeper.close())

  test.each([
    { name: 'ten seconds of the last hour', ago: HOUR_MS, stepMs: 1, step: 10 * SECOND_MS },
    { name: 'half minutes of the last hour', ago: HOUR_MS, stepMs: 30 * SECOND_MS, step: 30 * SECOND_MS },
    { name: 'minutes of the last hour', ago: HOUR_MS, stepMs: MINUTE_MS, step: MINUTE_MS },
    {
      name: 'minutes of a day, although finer was asked for',
      ago: DAY_MS,
      stepMs: 10 * SECOND_MS,
      step: MINUTE_MS,
    },
    { name: 'hours of a day', ago: DAY_MS, stepMs: HOUR_MS, step: HOUR_MS },
    { name: 'quarters of an hour of five days', ago: 5 * DAY_MS, stepMs: MINUTE_MS, step: 15 * MINUTE_MS },
    { name: 'six hours of five days', ago: 5 * DAY_MS, stepMs: 6 * HOUR_MS, step: 6 * HOUR_MS },
    { name: 'two hours of ten days', ago: 10 * DAY_MS, stepMs: MINUTE_MS, step: 2 * HOUR_MS },
  ])('gives $name', async ({ ago, stepMs, step }) => {
    const query = { range: { from: now - ago, to: now + MINUTE_MS }, stepMs, metrics: both }
    const found = (await open.keeper.answer({ method: 'history', query })) as readonly MetricHistory[]
    const wanted = expected(query, step)
    expect(found.map(({ kind, name, labels }) => [kind, name, labels])).toEqual(
      wanted.map(({ kind, name, labels }) => [kind, name, labels]),
    )
    for (const [index, { points }] of found.entries()) {
      const exact = wanted[index]?.points ?? []
      expect(points.map(([start]) => start)).toEqual(exact.map(([start]) => start))
      for (const [at, [, value]] of points.entries()) expect(value).toBeCloseTo(exact[at]?.[1] ?? 0, 6)
    }
  })

  test('adds up what differs in labels that were not asked for', async () => {
    const range = { from: now - HOUR_MS, to: now + MINUTE_MS }
    const ask = async (metrics: HistoryQuery['metrics']) =>
      (await open.keeper.answer({
        method: 'history',
        query: { range, stepMs: MINUTE_MS, metrics },
      })) as readonly MetricHistory[]
    const apart = await ask(both)
    const together = await ask({ requests_total: [], in_flight: ['other'] })
    expect(together.map(({ name, labels }) => [name, labels])).toEqual([
      ['requests_total', ''],
      ['in_flight', ''],
    ])
    for (const { name, points } of together) {
      const sums = new Map<number, number>()
      for (const [start, value] of apart.filter((one) => one.name === name).flatMap((one) => one.points))
        sums.set(start, (sums.get(start) ?? 0) + value)
      expect(points.map(([start]) => start)).toEqual([...sums.keys()].sort())
      for (const [start, value] of points) expect(value).toBeCloseTo(sums.get(start) ?? 0, 6)
    }
  })

  test('gives nothing where nothing was asked for, or is there', async () => {
    const range = { from: now - HOUR_MS, to: now }
    for (const metrics of [{}, { no_such_metric: ['route'] }] as HistoryQuery['metrics'][]) {
      expect(await open.keeper.answer({ method: 'history', query: { range, stepMs: 1, metrics } })).toEqual(
        [],
      )
    }
  })

  test('lets go of what is too old for its tier', async () => {
    const url = await place.newUrl()
    const first = await openKeeper(url, { now: () => now })
    const level = { name: 'level', labels: '', value: 1 }
    const sample = { at: now, instance: 'one', increments: [], levels: [level] }
    await first.write({ samples: [JSON.stringify(sample)] })
    await first.keeper.close()

    const steps = async (later: number) => {
      const { keeper } = await openKeeper(url, { now: () => now + later })
      await keeper.retain()
      await keeper.close()
      // Asked as if no time had passed: the finest tier is looked at first.
      const { keeper: reader } = await openKeeper(url, { now: () => now })
      const found = await Promise.all(
        [1, MINUTE_MS, 15 * MINUTE_MS, 2 * HOUR_MS].map(async (stepMs) => {
          const query = { range: { from: now - 1, to: now + 1 }, stepMs, metrics: { level: [] } }
          return ((await reader.answer({ method: 'history', query })) as readonly MetricHistory[]).length
        }),
      )
      await reader.close()
      return found
    }
    expect(await steps(HOUR_MS)).toEqual([1, 1, 1, 1])
    expect(await steps(3 * HOUR_MS)).toEqual([0, 1, 1, 1])
    expect(await steps(3 * DAY_MS)).toEqual([0, 0, 1, 1])
    expect(await steps(10 * DAY_MS)).toEqual([0, 0, 0, 1])
    expect(await steps(400 * DAY_MS)).toEqual([0, 0, 0, 0])
  })
})
