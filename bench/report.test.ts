import { expect, test } from 'vitest'
import type { CellResult } from './cell.ts'
import { markdown, report } from './report.ts'
import { type Cell, exitStatus, judgedAims, type Results } from './results.ts'
import { spread } from './statistics.ts'

const measured: CellResult = {
  about: '1000 requests/s',
  table: { head: ['through', 'p50 ms'], rows: [['gateway', '0.2']] },
  aims: [{ what: 'added, p50', bound: { atMost: 0.25 }, unit: 'ms', value: spread([0.2]) }],
  behind: ["added: 0.2 ms against nginx's 0.1 ms"],
  dropped: [],
  invalid: [],
  figures: {},
}
const late = 'round 1: gateway: the generator was 9.00 ms late (p99), more than 1 ms'

function resultsOf(...cells: readonly Cell[]): Results {
  return {
    machine: {
      cores: 2,
      cpu: 'a CPU',
      memoryGiB: 4,
      system: 'Linux 6',
      node: 'v24.0.0',
      nginx: '1.22.1',
      wrk: undefined,
      gateway: '0.1.0',
      pinned: { proxy: 0, load: 1, upstream: 1 },
      loadAverage: 0.1,
    },
    settings: { seconds: 3, rounds: 5, quick: false, cells: ['latency'], others: [] },
    cells,
    tookSeconds: 60,
    othersShare: 0.01,
  }
}

const good = resultsOf({ name: 'latency', ...measured })
const bad = resultsOf({ name: 'latency', ...measured, invalid: [late] })
const skipped = resultsOf({ name: 'workers', skipped: 'no --workers', aims: measured.aims.map(unknown) })

function unknown(aim: CellResult['aims'][number]) {
  return { ...aim, value: undefined, note: 'no --workers' }
}

test('a run tells its circumstances, its figures and its aims', () => {
  const text = report(good)
  expect(text).toContain('2 cores, a CPU, 4 GiB, Linux 6')
  expect(text).toContain('agentgateway 0.1.0, Node v24.0.0, nginx 1.22.1, wrk -')
  expect(text).toMatch(/Latency at a fixed rate\n {2}1000 requests\/s\n {2}through {2}p50 ms\n/)
  expect(text).toMatch(/holds +added, p50 +<= 0.25 ms +0.200 ms/)
  expect(text).toContain('Where nginx is ahead')
  expect(exitStatus(good)).toBe(0)
})

test('where the generator was the limit, nothing is said for the gateway or against it', () => {
  const text = report(bad)
  expect(text).toContain('Latency at a fixed rate: INVALID')
  expect(text).toContain(`INVALID, not the candidate was measured: ${late}`)
  expect(text).toMatch(/not measured +added, p50 +<= 0.25 ms +- +latency is INVALID/)
  expect(text).not.toContain('Where nginx is ahead')
  expect(judgedAims(bad)).toMatchObject([{ cell: 'latency', verdict: 'not measured' }])
  expect(exitStatus(bad)).toBe(3)
})

test('a cell that was skipped says so, and is no failure', () => {
  expect(report(skipped)).toContain('Workers\n  skipped: no --workers\n')
  expect(report(skipped)).toMatch(/not measured +added, p50 +<= 0.25 ms +- +no --workers/)
  expect(exitStatus(skipped)).toBe(0)
})

test('an aim that is missed is a result like others', () => {
  const [aim] = measured.aims
  const missed = resultsOf({
    name: 'latency',
    ...measured,
    aims: aim === undefined ? [] : [{ ...aim, value: spread([0.3]) }],
  })
  expect(report(missed)).toMatch(/MISSED +added, p50/)
  expect(exitStatus(missed)).toBe(0)
})

test('in Markdown it is the same, in tables', () => {
  const text = markdown(bad)
  expect(text).toContain('| machine | 2 cores, a CPU, 4 GiB, Linux 6 |')
  expect(text).toContain('| not measured | added, p50 | <= 0.25 ms | - | latency is INVALID |')
  expect(text).toContain('## Latency at a fixed rate: INVALID')
  expect(text).toContain('| through | p50 ms |\n| --- | ---: |\n| gateway | 0.2 |\n')
})

test('other programs on the machine are told', () => {
  expect(report({ ...good, othersShare: 0.2 })).toContain('NOT ALONE')
  expect(report(good)).not.toContain('NOT ALONE')
})
