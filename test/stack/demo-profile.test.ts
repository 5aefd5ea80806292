/**
 * `docker-compose --profile demo up`, natively: every panel, rule and query of the shipped dashboard finds in a real
 * Prometheus what it asks for, and `doctor` finds every hop; then a part is taken away, and it says which.
 *
 * Grafana is a stand-in that reads the shipped provisioning: see test/support/grafana.ts for what that cannot prove.
 */
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  comparedOperands,
  interpolate,
  type PanelQuery,
  queriesOf,
  rulesOf,
} from '../../dashboards/promql.ts'
import { runTraffic } from '../../src/demo/traffic.ts'
import { MIX } from '../../src/demo/traffic-mix.ts'
import { startGrafana } from '../support/grafana.ts'
import type { StandIn } from '../support/stand-ins.ts'
import { componentPath } from './components.ts'
import { OBSERVABILITY } from './compose.ts'
import { number, query, queryRange, rules, type Series, until } from './prometheus-api.ts'
import { GATEWAY, has, hasTraces, type Stack, startStack, urls } from './stack.ts'

const DASHBOARD = join(OBSERVABILITY, 'grafana/provisioning/dashboards/agentgateway.json')
const RULES = join(OBSERVABILITY, 'prometheus/rules')
const panels = queriesOf(JSON.parse(readFileSync(DASHBOARD, 'utf8')))
const alerts = readdirSync(RULES)
  .filter((file) => file.endsWith('.yml'))
  .flatMap((file) => rulesOf(readFileSync(join(RULES, file), 'utf8')))
  .filter(({ kind }) => kind === 'alert')

const plain = (expr: string) => interpolate(expr, { rateInterval: '20s' })
const finite = (series: readonly Series[]) =>
  series.flatMap(({ values }) => values.map(([, value]) => value)).filter(Number.isFinite)

/** Queries of what does not happen here, all of whose values are 0: MCP, retries, and what would be trouble. */
const ZERO = new Set([
  'MCP sessions A',
  'MCP reconnects A',
  'Retries A',
  'Dropped telemetry A',
  'Series overflow A',
  'Configuration reloads A',
  'Stalled streams A',
  'Worker processes A',
  'Worker processes B',
  'Trace collector B',
  'Trace collector D',
])
/** Not drawn, or told in words, as long as there is nothing of the kind: other classes of status, missing prices, budgets, groups, guards. */
const NONE = new Set([
  'Requests by status code D',
  'Unpriced requests A',
  'Budgets A',
  'Taken from budgets A',
  'Requests beyond budgets A',
  'Providers of groups A',
  'Provider evictions A',
  'Prompt guard checks A',
])
/** Sampled, or happening, too seldom to be caught above 0 for certain. */
const MAYBE = new Set(['Trace collector E', 'Garbage-collection pauses A'])

let stack: Stack
let grafana: StandIn

beforeAll(async () => {
  stack = await startStack(['jaeger', 'otel-collector', 'demo-providers', 'agentgateway', 'prometheus'])
  grafana = await startGrafana({
    folder: join(OBSERVABILITY, 'grafana/provisioning'),
    prometheusUrl: urls.prometheus,
    jaegerUrl: urls.jaeger,
  })
  if (has.prometheus) await until('sum(up{job="agentgateway"})', (value) => value === 1)
  // All that the dashboard tells of, twice, and scraped in between: a rate sees what is added to a series.
  for (const seed of [1, 2]) {
    await runTraffic({ gatewayUrl: urls.demo, once: true, seed })
    if (has.prometheus)
      await until('sum(agentgateway_requests_total)', (value) => value === seed * MIX.length)
  }
})

afterAll(async () => {
  await grafana?.close()
  await stack?.close()
})

describe.runIf(has.prometheus)('the dashboard', () => {
  test('counts to the request, also the first of their kind', async () => {
    const panel = panels.find((one) => one.panel === 'Total requests (1h)')
    expect(await number(plain(panel?.expr ?? ''))).toBe(2 * MIX.length)
    await stack.start('demo-traffic')
    await until('sum(agentgateway_requests_total)', (value) => value !== undefined && value > 2 * MIX.length)
  })

  const ofTraces = panels.filter(({ panel }) => /^(Trace collector|Dropped telemetry)$/.test(panel))
  const ofRequests = panels.filter((one) => !ofTraces.includes(one))

  test.each(ofRequests)('$panel ($refId)', answers)
  test.runIf(hasTraces).each(ofTraces)('$panel ($refId)', answers)

  async function answers({ panel, refId, expr, instant }: PanelQuery): Promise<void> {
    const end = Date.now() / 1000
    const series = instant
      ? await query(plain(expr), end)
      : await queryRange(plain(expr), { start: end - 60, end, step: 5 })
    const values = finite(series)
    if (NONE.has(`${panel} ${refId}`)) return void expect(values, plain(expr)).toEqual([])
    expect(values.length, plain(expr)).toBeGreaterThan(0)
    if (ZERO.has(`${panel} ${refId}`)) expect(new Set(values), plain(expr)).toEqual(new Set([0]))
    else if (!MAYBE.has(`${panel} ${refId}`)) expect(Math.max(...values), plain(expr)).toBeGreaterThan(0)
  }
})

test("the profile's own traffic ends as planned", async () => {
  await stack.stop('demo-traffic')
  const log = stack.log('demo-traffic')
  const [, sent, odd] = /sent (\d+), of which (\d+) did not end as planned/.exec(log) ?? []
  expect(Number(sent), log).toBeGreaterThan(0)
  expect(Number(odd), log).toBe(0)
})

describe.runIf(has.prometheus)('the rules', () => {
  /** What they measure is born with the trouble: nothing is measured while all is well. */
  const SILENT = new Set([
    'AgentGatewayInternalErrors',
    'AgentGatewayUnpricedTraffic',
    'AgentGatewayBudgetNearlySpent',
    'AgentGatewayGroupDown',
    'AgentGatewayBackendEvicted',
    'AgentGatewayCollectorCannotExport',
    'AgentGatewaySeriesOverflow',
  ])
  /** Made of five-minute steps, of which a young stack has none yet. */
  const YOUNG = /^agentgateway:slo_\w+:increase\d[hd]$/

  test('are evaluated without an error', async () => {
    for (const recorded of [
      'slo_availability_bad:ratio_rate3d',
      'slo_first_token_slow:ratio_rate3d',
      'cost_usd:increase1h',
    ])
      await until(`agentgateway:${recorded}`, (value) => value !== undefined)
    const found = await rules()
    const names = found.filter(({ type }) => type === 'alerting').map(({ name }) => name)
    expect(names.toSorted()).toEqual(alerts.map(({ name }) => name).toSorted())
    expect(found.filter(({ health, lastError }) => health !== 'ok' || lastError)).toEqual([])
  })

  // Two measure nothing but that something is absent.
  const measuring = alerts.filter(({ name }) => !/^AgentGateway(Absent|ModelMetricsMissing)$/.test(name))
  test.each(measuring)('what $name measures is there', async ({ name, expr }) => {
    const operands = comparedOperands(expr).filter((operand) => !YOUNG.test(operand))
    expect(operands.length).toBeGreaterThan(0)
    const measured = await Promise.all(operands.map(async (operand) => finite(await query(operand)).length))
    if (SILENT.has(name)) expect(measured, expr).toContain(0)
    else expect(Math.max(...measured), expr).toBeGreaterThan(0)
  })

  test.runIf(hasTraces)('nothing is absent or down', async () => {
    const firing = (await rules()).filter(({ state }) => state !== undefined && state !== 'inactive')
    expect(
      firing.map(({ name }) => name).filter((name) => /Absent|Down|Stale|Dropped|Overflow/.test(name)),
    ).toEqual([])
  })
})

interface Report {
  readonly ok: boolean
  readonly firstBroken: string | null
  readonly hops: readonly { readonly hop: string; readonly status: string; readonly detail: string }[]
}

/** The command as a user runs it, against the demo's port, for which no key is needed. */
async function doctor(...args: readonly string[]): Promise<Report & { readonly code: number | null }> {
  const [program = '', ...before] = GATEWAY
  const places = [
    `--gateway=${urls.demo}`,
    `--metrics=${urls.stats}`,
    `--prometheus=${urls.prometheus}`,
    `--collector=${urls.collector}`,
    `--jaeger=${urls.jaeger}`,
    `--grafana=${grafana.url}`,
  ]
  const child = spawn(program, [...before, 'doctor', ...places, '--json', '--timeout=20', ...args], {
    env: { PATH: process.env.PATH, OPENAI_API_KEY: 'demo', GF_SECURITY_ADMIN_PASSWORD: 'admin' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (bytes) => {
    output += bytes
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { ...(JSON.parse(output) as Report), code }
}

describe.runIf(has.prometheus && hasTraces)('doctor', () => {
  const statuses = ({ hops }: Report) => Object.fromEntries(hops.map(({ hop, status }) => [hop, status]))

  test('finds its request at every hop', async () => {
    const report = await doctor()
    expect(statuses(report), JSON.stringify(report, undefined, 2)).toEqual({
      gateway: 'ok',
      provider: 'ok',
      metrics: 'ok',
      // On this machine's loopback; a container has one of its own, and there it is absent.
      console: 'ok',
      prometheus: 'ok',
      collector: 'ok',
      jaeger: 'ok',
      grafana: 'ok',
    })
    expect(report).toMatchObject({ ok: true, code: 0 })
  })

  test.each([
    { service: 'jaeger', broken: 'jaeger' },
    { service: 'otel-collector', broken: 'collector' },
    { service: 'prometheus', broken: 'prometheus' },
    { service: 'demo-providers', broken: 'provider' },
  ])('names the hop that is gone: $service', async ({ service, broken }) => {
    await stack.stop(service)
    const report = await doctor('--timeout=8')
    expect(report).toMatchObject({ ok: false, firstBroken: broken, code: 1 })
    await stack.start(service)
  })
})

describe('docker-compose.yml', () => {
  const reader = componentPath('compose-go')
  test.runIf(reader !== undefined)('is read by the loader of `docker compose`', () => {
    const { status, stdout, stderr } = spawnSync(reader ?? '', ['-format', 'json', 'docker-compose.yml'], {
      cwd: OBSERVABILITY,
      encoding: 'utf8',
    })
    expect(status, stderr).toBe(0)
    const { services } = JSON.parse(stdout) as { services: Record<string, { image: string }> }
    expect(services.grafana?.image).toMatch(/^grafana\/grafana:/)
    expect(Object.keys(services)).toEqual(expect.arrayContaining(['agentgateway', 'demo-traffic', 'doctor']))
  })
})
