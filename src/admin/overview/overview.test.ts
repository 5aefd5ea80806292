import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Labels, MetricLabels } from '../../core/labels.ts'
import { llmExchange } from '../../store/exchanges.fixture.ts'
import { createStore } from '../../store/store.ts'
import type { MetricHistory, Store } from '../../store/types.ts'
import { watchGrowth } from '../../telemetry/metric-history.ts'
import { createMetrics } from '../../telemetry/metrics.ts'
import { createRegistry } from '../../telemetry/registry.ts'
import type { Overview } from '../api-types.ts'
import { HOUR_METRICS, KEPT_METRICS, RANGE_METRICS } from './metrics.ts'
import { overviewRoutes, ROWS } from './overview.ts'
import type { View } from './view.ts'

const LABEL_SETS = 40
const MINUTE_MS = 60_000

let store: Store
/** What the store's worker has sent to this thread. */
let answers: (readonly MetricHistory[])[] = []
let counting: Store
let clock = Date.now()

/** A quarter of an hour of requests with so many combinations of labels. */
beforeAll(async () => {
  store = await createStore({
    url: 'sqlite::memory:',
    maxConnections: 1,
    retention: { ageMs: Number.MAX_SAFE_INTEGER, bytes: 0 },
    onDropped() {},
    log() {},
  })
  counting = {
    ...store,
    async history(query) {
      const found = await store.history(query)
      answers.push(found)
      return found
    },
  }
  const registry = createRegistry()
  const metrics = createMetrics({ registry, version: 'x', removed: undefined })
  const growth = watchGrowth(registry, KEPT_METRICS)
  for (let at = clock - 15 * MINUTE_MS; at < clock; at += 10_000) {
    for (let index = 0; index < LABEL_SETS; index++)
      for (const model of ['one', 'two']) {
        const exchange = llmExchange({ completedAt: at }, { requestModel: model, responseModel: model })
        metrics.finished({ ...exchange, route: `route-${index % 8}`, backend: `backend-${index % 5}` })
      }
    store.sample({ at, instance: 'one', ...growth() })
  }
})
afterAll(() => store.close(2000))

function routes() {
  const [route] = overviewRoutes({
    store: () => counting,
    sampleNow() {},
    bounds: () => [],
    now: () => clock,
  })
  return async (range: string): Promise<Overview> => {
    let body = ''
    const response = { setHeader() {}, writeHead() {}, end: (text: string) => (body = text) }
    await route?.handler(
      { url: `/api/overview?range=${range}` } as never,
      response as never as ServerResponse,
      new AbortController().signal,
    )
    return JSON.parse(body)
  }
}

const pointsIn = (histories: readonly MetricHistory[]) =>
  histories.reduce((sum, { points }) => sum + points.length, 0)

test.each(['15m', '1h', '6h', '24h', '7d', '30d'])(
  'it is handed no more than what is shown of %s, however many labels there are',
  async (range) => {
    answers = []
    const { rows } = await routes()(range)
    const requests = rows.flatMap(({ panels }) => panels).find(({ title }) => title === 'Requests by backend')
    expect(requests?.series).toHaveLength(5)
    const points = answers.reduce((sum, histories) => sum + pointsIn(histories), 0)
    // Apart by all their labels the buckets alone would be ten times as many.
    expect(points).toBeGreaterThan(0)
    expect(points).toBeLessThan(15_000)
    for (const { name, labels } of answers.flat())
      if (name.endsWith('_bucket')) expect(labels).toMatch(/^(?:method="[^"]*",)?le="[^"]*"$/)
  },
)

test('it computes once for all who look at the same range at the same time', async () => {
  const ask = routes()
  answers = []
  const overviews = await Promise.all(['15m', '15m', '15m', '15m'].map(ask))
  expect(answers).toHaveLength(2)
  expect(new Set(overviews.map((one) => JSON.stringify(one))).size).toBe(1)
  await ask('15m')
  expect(answers).toHaveLength(2)
  await ask('1h')
  expect(answers).toHaveLength(4)
  clock += 3000
  await ask('15m')
  expect(answers).toHaveLength(6)
})

test('it asks again after a failure', async () => {
  const works = counting
  const ask = routes()
  counting = { ...works, history: () => Promise.reject(new Error('away')) }
  await expect(ask('15m')).rejects.toThrow('away')
  counting = works
  expect((await ask('15m')).hasData).toBe(true)
})

describe('what panels read', () => {
  const read = { range: new Map<string, Set<string>>(), hour: new Map<string, Set<string>>() }

  /** Every metric has one series, with whatever label is asked for. */
  function recordingView(into: Map<string, Set<string>>): View {
    return {
      steps: 1,
      stepSeconds: 10,
      bounds: () => [1],
      series(name, where = () => true) {
        const asked = into.get(name) ?? new Set<string>()
        into.set(name, asked)
        const labels: Labels = new Proxy(
          {},
          {
            get(_, label) {
              asked.add(String(label))
              return label === 'le' ? '1' : 'x'
            },
          },
        )
        const series = { name, labels, points: [[0, 1]] as const }
        where(labels)
        return [series]
      },
    }
  }

  const sorted = (asked: ReadonlyMap<string, ReadonlySet<string>>) =>
    Object.fromEntries([...asked].map(([name, labels]) => [name, [...labels].sort()]))
  const tabled = (metrics: MetricLabels) =>
    Object.fromEntries(Object.entries(metrics).map(([name, labels]) => [name, [...labels].sort()]))

  beforeAll(() => {
    const views = { range: recordingView(read.range), hour: recordingView(read.hour) }
    for (const { panels } of ROWS) for (const panel of panels) panel.show(views)
  })

  test('it is what is asked for, and nothing else', () => {
    expect(sorted(read.range)).toEqual(tabled(RANGE_METRICS))
    expect(sorted(read.hour)).toEqual(tabled(HOUR_METRICS))
  })

  test('it is what is kept', () => {
    for (const [name, labels] of [...Object.entries(RANGE_METRICS), ...Object.entries(HOUR_METRICS)])
      expect(KEPT_METRICS[name]).toEqual(expect.arrayContaining([...labels]))
  })
})
