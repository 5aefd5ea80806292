import { expect, test } from 'vitest'
import { finished, httpExchange } from '../store/exchanges.fixture.ts'
import { readRecords } from '../store/record.ts'
import { createReporting } from '../telemetry/metrics-report.ts'
import { createRegistry } from '../telemetry/registry.ts'
import { linkedPair } from './link.fixture.ts'
import type { Questions, Report, Told } from './messages.ts'
import { createReporter } from './reporter.ts'

const { exchange } = finished(httpExchange({ completedAt: 1e12 }))

function worker() {
  const { one, other, sent } = linkedPair<Questions, Told>()
  const reporting = createReporting()
  const registry = createRegistry({ onSeries: reporting.onSeries })
  const requests = registry.counter({ name: 'requests_total', help: 'R.' }).child()
  /** Of the log: put together when the event loop comes round, or when they are asked for. */
  let unwritten: string[] = []
  const reporter = createReporter(
    one,
    reporting,
    () => expect.unreachable(),
    () => {
      const lines = unwritten
      unwritten = []
      for (const line of lines) reporter.write(line)
    },
  )
  const reports: Report[] = []
  let wake = () => {}
  other.onTell('report', (report) => {
    reports.push(report)
    wake()
  })
  return {
    reporter,
    reports,
    sent,
    request() {
      requests.inc()
      unwritten.push('a line\n')
      reporter.keep(exchange, undefined)
    },
    async reported(requests: number) {
      while (reports.reduce((sum, { log }) => sum + (log?.lines ?? 0), 0) < requests)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    },
  }
}

test('metrics, lines and records of the same requests go together', async () => {
  const { reporter, reports, request, reported } = worker()
  request()
  request()
  await reported(2)
  request()
  await reported(3)
  reporter.close()
  expect(
    reports.map(({ metrics, log, records }) => ({
      values: metrics?.values,
      log: Buffer.from(log?.bytes ?? []).toString(),
      records: records.flatMap(({ tapes }) => tapes.flatMap(readRecords)).length,
    })),
  ).toEqual([
    { values: new Float64Array([0, 1, 2]), log: 'a line\na line\n', records: 2 },
    { values: new Float64Array([0, 1, 3]), log: 'a line\n', records: 1 },
  ])
})

test('what comes while a report is on its way goes with the next one', async () => {
  const { reporter, reports, request, reported } = worker()
  request()
  reporter.report()
  for (let count = 0; count < 10; count++) request()
  expect(reports).toHaveLength(0)
  await reported(11)
  reporter.close()
  expect(reports.map(({ log }) => log?.lines)).toEqual([1, 10])
})
