import { describe, expect, test } from 'vitest'
import { type Format, renderMetrics } from './exposition.ts'
import { createReporting, type MetricsReport, mergeInto } from './metrics-report.ts'
import { createRegistry, type OnSeries, OVERFLOW } from './registry.ts'

/** The same families in every process. */
function families(onSeries?: OnSeries) {
  const registry = createRegistry({ ...(onSeries && { onSeries }), maxSeries: 3 })
  return {
    registry,
    requests: registry.counter({ name: 'requests_total', help: 'R.', labels: ['route', 'status'] }),
    cost: registry.counter({ name: 'cost_total', help: 'C.', constants: { gateway: 'one' } }),
    seconds: registry.histogram({ name: 'seconds', help: 'S.', labels: ['route'], buckets: [1, 2] }),
    inFlight: registry.gauge({ name: 'in_flight', help: 'F.' }),
    open: registry.gauge({ name: 'open', help: 'O.', labels: ['bind'] }),
    up: registry.gauge({ name: 'up', help: 'U.', labels: ['backend'], merge: 'min' }),
    heap: registry.gauge({ name: 'heap', help: 'H.', merge: 'max', collect: () => heap }),
    started: registry.gauge({ name: 'started', help: 'T.', merge: 'own', collect: () => heap }),
    cpu: registry.counter({ name: 'cpu_total', help: 'P.', collect: () => heap }),
  }
}

let heap = 1

function processes(count: number) {
  const primary = families()
  const workers = Array.from({ length: count }, () => {
    const reporting = createReporting()
    const merging = mergeInto(primary.registry)
    return {
      ...families(reporting.onSeries),
      reporting,
      /** Over a channel. */
      report(all = false): MetricsReport | undefined {
        const report = structuredClone(reporting.report(all))
        if (report !== undefined) merging.take(report)
        return report
      },
      merging,
    }
  })
  const text = (format: Format = 'text') => [...renderMetrics(primary.registry, format)].join('')
  const value = (name: string) => {
    const line = text()
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
    return line === undefined ? undefined : Number(line.split(' ').at(-1))
  }
  return { primary, workers, text, value }
}

describe('what processes report', () => {
  test('counters are the sums of all, those that are gone included', () => {
    const { primary, workers, value } = processes(2)
    const [one, other] = workers
    primary.requests.child('a', '200').inc()
    one?.requests.child('a', '200').inc(2)
    other?.requests.child('a', '200').inc(4)
    other?.requests.child('b "\\', '500').inc(8)
    other?.cost.child().inc(0.5)
    one?.report()
    other?.report()
    expect(value('requests_total{route="a",status="200"}')).toBe(7)
    expect(value('requests_total{route="b \\"\\\\",status="500"}')).toBe(8)
    expect(value('cost_total{gateway="one"}')).toBe(0.5)
    one?.merging.gone()
    expect(value('requests_total{route="a",status="200"}')).toBe(7)
    other?.requests.child('a', '200').inc(16)
    other?.report()
    expect(value('requests_total{route="a",status="200"}')).toBe(23)
  })

  test('histograms are the sums, bucket by bucket', () => {
    const { primary, workers, text } = processes(2)
    primary.seconds.child('a').observe(0.5)
    workers[0]?.seconds.child('a').observe(1.5)
    workers[1]?.seconds.child('a').observe(0)
    workers[1]?.seconds.child('a').observe(100)
    for (const worker of workers) worker.report()
    workers[0]?.seconds.child('a').observe(2)
    for (const worker of workers) worker.report()
    expect(text()).toContain(
      [
        'seconds_bucket{route="a",le="1.0"} 2',
        'seconds_bucket{route="a",le="2.0"} 4',
        'seconds_bucket{route="a",le="+Inf"} 5',
        'seconds_sum{route="a"} 104',
        'seconds_count{route="a"} 5',
      ].join('\n'),
    )
  })

  test('gauges are the sums of those that are there', () => {
    const { workers, value } = processes(2)
    const [one, other] = workers
    one?.inFlight.child().add(3)
    other?.inFlight.child().add(2)
    other?.open.child('x').set(7)
    one?.report()
    other?.report()
    expect(value('in_flight')).toBe(5)
    expect(one?.merging.levelOf('in_flight')).toBe(3)
    other?.merging.gone()
    expect(value('in_flight')).toBe(3)
    expect(value('open{bind="x"}')).toBe(0)
    one?.inFlight.child().add(-3)
    one?.report()
    expect(value('in_flight')).toBe(0)
  })

  test('what is up is up everywhere, and withdrawn when nobody has it', () => {
    const { primary, workers, value } = processes(2)
    for (const { up } of [primary, ...workers]) up.child('a').set(1)
    for (const worker of workers) worker.report()
    expect(value('up{backend="a"}')).toBe(1)
    workers[0]?.up.child('a').set(0)
    workers[0]?.report()
    expect(value('up{backend="a"}')).toBe(0)
    workers[0]?.merging.gone()
    expect(value('up{backend="a"}')).toBe(1)
    for (const { up } of [primary, ...workers]) up.child('a').withdraw()
    workers[1]?.report()
    expect(value('up{backend="a"}')).toBe(undefined)
  })

  test('what is read when it is asked for is told when all is wanted', () => {
    const { workers, value } = processes(1)
    heap = 5
    workers[0]?.report(true)
    heap = 2
    expect(value('heap')).toBe(5)
    expect(value('started')).toBe(2)
    // What it was there, and what it is here.
    expect(value('cpu_total')).toBe(7)
    heap = 9
    expect(value('heap')).toBe(9)
    expect(workers[0]?.report(false)).toBe(undefined)
    heap = 1
  })

  test('an exemplar is that of the latest observation', () => {
    const { primary, workers, text } = processes(2)
    primary.seconds.child('a').observe(0.1, 'aa', 2000)
    workers[0]?.seconds.child('a').observe(0.2, 'bb', 3000)
    workers[1]?.seconds.child('a').observe(1.5, 'cc', 1000)
    workers[1]?.seconds.child('a').observe(0.3, 'dd', 1000)
    for (const worker of workers) worker.report(true)
    const lines = text('openmetrics').split('\n')
    expect(lines.filter((line) => line.includes('trace_id'))).toEqual([
      'seconds_bucket{route="a",le="1.0"} 3 # {trace_id="bb"} 0.2 3.000',
      'seconds_bucket{route="a",le="2.0"} 4 # {trace_id="cc"} 1.5 1.000',
    ])
  })

  test('only what changed is told, and what changed while it was told is told the next time', () => {
    const { workers } = processes(1)
    const [worker] = workers
    worker?.requests.child('a', '200').inc()
    worker?.requests.child('a', '200').inc()
    expect(worker?.reporting.hasChanges()).toBe(true)
    expect(worker?.report()).toEqual({
      added: [['requests_total', ['a', '200']]],
      values: new Float64Array([0, 1, 2]),
      exemplars: [],
    })
    expect(worker?.reporting.hasChanges()).toBe(false)
    expect(worker?.report()).toBe(undefined)
    worker?.requests.child('b', '200').inc()
    worker?.requests.child('a', '200').inc()
    expect(worker?.report()).toEqual({
      added: [['requests_total', ['b', '200']]],
      values: new Float64Array([1, 1, 1, 0, 1, 3]),
      exemplars: [],
    })
  })

  test('what has too many label sets here or there is one series, and the sums are right', () => {
    const { primary, workers, text, value } = processes(2)
    for (const [index, { requests, open }] of [primary, ...workers].entries())
      for (const route of ['a', 'b', 'c', 'd', 'e']) {
        requests.child(`${route}${index}`, '200').inc()
        open.child(`${route}${index}`).add(1)
      }
    for (const worker of workers) worker.report()
    const lines = text().split('\n')
    expect(lines.filter((line) => line.startsWith('requests_total{'))).toHaveLength(4)
    expect(value(`requests_total{route="${OVERFLOW}",status="${OVERFLOW}"}`)).toBe(12)
    expect(value(`open{bind="${OVERFLOW}"}`)).toBe(12)
    workers[0]?.merging.gone()
    expect(value(`open{bind="${OVERFLOW}"}`)).toBe(7)
  })

  test('a family that this process does not have is left out', () => {
    const primary = createRegistry()
    const requests = primary.counter({ name: 'requests_total', help: 'R.', labels: ['route', 'status'] })
    const reporting = createReporting()
    const worker = families(reporting.onSeries)
    worker.seconds.child('a').observe(1)
    worker.requests.child('a', '200').inc(3)
    const report = reporting.report(true)
    if (report !== undefined) mergeInto(primary).take(report)
    expect(requests.child('a', '200').value).toBe(3)
  })
})
