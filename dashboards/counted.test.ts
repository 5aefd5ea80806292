/** By promtool: the same engine as Prometheus, with samples as we like them. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { countedInHour } from './counted.ts'

const isPresent = spawnSync('promtool', ['--version']).status === 0
if (!isPresent)
  process.stdout.write('promtool is not installed (Debian package `prometheus`): counts untested\n')

interface Scenario {
  readonly name: string
  /** One value a minute from minute 0 on, in promtool's notation; `_` is no sample, `stale` the series' end. */
  readonly series: Readonly<Record<string, string>>
  /** Seconds since 1970, that is since minute 0; negative: before. */
  readonly startedAt?: string
  readonly atMinute: number
  readonly counted: number
  readonly tolerance?: number
}

const A = 'x_total{job="g",instance="1",status="200"}'
const B = 'x_total{job="g",instance="1",status="500"}'
const started = 'process_start_time_seconds{job="g",instance="1"}'

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'one request, one scrape',
    series: { [started]: '0x3', [A]: '_x2 1' },
    atMinute: 3,
    counted: 1,
  },
  {
    name: 'three requests soon after the start',
    series: { [started]: '0x5', [A]: '_x2 1 2 3' },
    atMinute: 5,
    counted: 3,
  },
  {
    name: 'series that are born later than their process',
    series: { [started]: '0x200', [A]: '5+1x200', [B]: '_x170 2x30' },
    atMinute: 200,
    counted: 62,
  },
  {
    name: 'a steady rate over many hours',
    series: { [started]: '0x300', [A]: '0+7x300' },
    atMinute: 300,
    counted: 420,
  },
  {
    name: 'nothing within the hour',
    series: { [started]: '0x300', [A]: '0+7x100 700x200' },
    atMinute: 300,
    counted: 0,
  },
  {
    name: 'an instance that is gone',
    series: { [started]: '0x30 stale', [A]: '4+1x30 stale' },
    atMinute: 50,
    counted: 34,
  },
  {
    name: 'an instance that took the place of another',
    series: {
      [started]: '0x150 stale',
      [A]: '0+1x150 stale',
      [started.replace('1', '2')]: '_x150 9000x50',
      [A.replace('1', '2')]: '_x151 3+1x48',
    },
    atMinute: 200,
    // Of the old 150 - 140, of the new all.
    counted: 10 + 51,
  },
  {
    name: 'a process that counted long before Prometheus came',
    series: { [started]: '-360000x30', [A]: '1000000+2x30' },
    atMinute: 30,
    counted: 60,
  },
  {
    name: 'a long pause of Prometheus',
    series: { [started]: '-360000x100 _x60 -360000x40', [A]: '5000+1x100 _x60 9000+2x40' },
    atMinute: 200,
    counted: 78,
  },
  {
    name: 'a restart',
    series: { [started]: '0x170 stale 10260x28', [A]: '0+1x170 stale 1+2x28', [B]: '_x175 1x24' },
    atMinute: 200,
    // 170 - 140 before, 57 after, of the other series 1; increase() stretches what it saw by half a minute.
    counted: 88,
    tolerance: 1,
  },
  {
    name: 'a restart soon after the first start',
    series: { [started]: '0x10 stale 660x19', [A]: '3 5 7x8 stale 4+1x19' },
    atMinute: 30,
    counted: 7 + 23,
    tolerance: 1,
  },
]

function value(query: string, { series, atMinute }: Scenario): number {
  const folder = mkdtempSync(join(tmpdir(), 'agentgateway-promtool-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'test.yml')
  const input = Object.entries(series).map(([name, values]) => ({ series: name, values }))
  const expected = { expr: query, eval_time: `${atMinute}m`, exp_samples: [{ labels: '{}', value: -1 }] }
  const tests = [{ interval: '1m', input_series: input, promql_expr_test: [expected] }]
  writeFileSync(file, stringify({ rule_files: [], tests }))
  const { stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' })
  // The expectation is wrong on purpose: promtool then tells what it got.
  const [, got] = /got:\s*\{\} (\S+)/.exec(stdout + stderr) ?? []
  return Number(got ?? expect.fail(stdout + stderr))
}

describe.runIf(isPresent)('the requests of an hour', () => {
  test.each(SCENARIOS)('it counts $name', (scenario) => {
    const off = value(`sum(${countedInHour('x_total')})`, scenario) - scenario.counted
    expect(Math.abs(off)).toBeLessThanOrEqual(scenario.tolerance ?? 0)
  })
})
