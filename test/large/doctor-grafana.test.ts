/** The doctor at Grafana, and a real Prometheus before it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { HopName } from '../../src/doctor/hops.ts'
import { startCollector } from '../support/collector.ts'
import {
  CLOSED,
  examined,
  failure,
  ok,
  open,
  opened,
  PASSWORD,
  PROVISIONING,
  run,
  type StackOptions,
  serve,
  stack,
  useDoctorLab,
} from '../support/doctor-lab.ts'
import { freePort } from '../support/free-port.ts'
import { startGrafana } from '../support/grafana.ts'
import { startJaeger } from '../support/stand-ins.ts'

useDoctorLab()

describe('grafana:', () => {
  const folder = mkdtempSync(join(tmpdir(), 'agentgateway-doctor-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  /** The provisioning of the repository, changed. */
  function provisioning(name: string, change: (copy: string) => void): string {
    const copy = join(folder, name)
    cpSync(PROVISIONING, copy, { recursive: true })
    change(copy)
    return copy
  }
  const withoutDashboard = provisioning('no-dashboard', (copy) =>
    rmSync(join(copy, 'dashboards'), { recursive: true }),
  )
  const withEmptyDashboard = provisioning('no-panel', (copy) => {
    rmSync(join(copy, 'dashboards'), { recursive: true })
    mkdirSync(join(copy, 'dashboards'))
    writeFileSync(
      join(copy, 'dashboards', 'a.json'),
      '{"uid": "agentgateway", "title": "Mine", "panels": []}',
    )
  })
  const withoutSources = provisioning('no-sources', (copy) =>
    rmSync(join(copy, 'datasources'), { recursive: true }),
  )

  test.each<{ name: string; stack: StackOptions; detail: RegExp; advice: RegExp }>([
    {
      name: 'the wrong password',
      stack: { grafana: { password: PASSWORD } },
      detail: /^it refuses the login of admin$/,
      advice:
        /GF_SECURITY_ADMIN_PASSWORD.*only while its volume is new.*grafana cli admin reset-admin-password/,
    },
    {
      name: 'no dashboard',
      stack: { grafana: { folder: withoutDashboard } },
      detail: /^the dashboard agentgateway is not there$/,
      advice: /provisioning\/dashboards/,
    },
    {
      name: 'a dashboard without our panel',
      stack: { grafana: { folder: withEmptyDashboard } },
      detail: /^the dashboard agentgateway has no panel “Request rate”/,
      advice: /provisioning\/dashboards/,
    },
    {
      name: 'no data source',
      stack: { grafana: { folder: withoutSources } },
      detail:
        /^its data source prometheus does not answer: POST \/api\/ds\/query answered 404: .*Data source not found/,
      advice: /http:\/\/prometheus:9090/,
    },
    {
      name: 'a data source that leads nowhere',
      stack: { grafana: { prometheusUrl: CLOSED } },
      detail: /^its data source prometheus does not answer: .*connection refused/,
      advice: /http:\/\/prometheus:9090/,
    },
    {
      name: 'no data',
      stack: { prometheus: { query: (promql) => (promql.startsWith('sum(rate(') ? Number.NaN : undefined) } },
      detail: /^the panel “Request rate” has no data$/,
      advice: /two scrapes/,
    },
    {
      name: 'a Jaeger that leads nowhere',
      stack: { grafana: { jaegerUrl: CLOSED } },
      detail: /^its data source jaeger does not work: .*Jaeger does not answer/,
      advice: /http:\/\/jaeger:16686/,
    },
  ])('$name', async ({ stack: options, detail, advice }) => {
    const { gateway, at } = await stack(options)
    const skip: HopName[] = [
      'prometheus',
      'collector',
      ...(detail.source.includes('jaeger') ? [] : ['jaeger' as const]),
    ]
    const report = await examined({ gateway, at, skip, timeoutMs: 1500 })
    expect(report.grafana).toMatchObject(failure(detail, advice))
  })

  test('it logs in as it is told', async () => {
    const { gateway, at } = await stack({ grafana: { user: 'me', password: PASSWORD } })
    const report = await examined({
      gateway,
      at: { grafana: at.grafana },
      skip: ['prometheus', 'collector', 'jaeger'],
      grafana: { user: 'me', password: PASSWORD },
    })
    expect(report.grafana).toMatchObject({ status: 'ok' })
  })
})

const isPresent = spawnSync('prometheus', ['--version']).status === 0
if (!isPresent)
  process.stdout.write(
    'prometheus is not installed (Debian package `prometheus`): the doctor is not tried with it\n',
  )

describe.runIf(isPresent)('a real Prometheus', () => {
  const folder = mkdtempSync(join(tmpdir(), 'agentgateway-doctor-prometheus-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  /** Its process; the doctor itself waits until it is ready. */
  function startReal(port: number, targets: Readonly<Record<string, string>>): ChildProcess {
    const jobs = Object.entries(targets).map(
      ([job, url]) => `  - {job_name: ${job}, static_configs: [{targets: ["${new URL(url).host}"]}]}\n`,
    )
    const file = join(folder, `${port}.yml`)
    writeFileSync(file, `global: {scrape_interval: 1s}\nscrape_configs:\n${jobs.join('')}`)
    const options = [`--config.file=${file}`, `--storage.tsdb.path=${folder}/${port}`]
    const listen = `--web.listen-address=127.0.0.1:${port}`
    const child = spawn('prometheus', [...options, listen, '--enable-feature=exemplar-storage'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    opened.push({
      close() {
        child.kill()
        return new Promise((resolve) => child.once('exit', resolve))
      },
    })
    return child
  }

  const isReady = (child: ChildProcess) =>
    new Promise<void>((resolve) => {
      let log = ''
      child.stderr?.on('data', (text: Buffer) => {
        log += text
        if (log.includes('ready to receive web requests')) resolve()
      })
    })

  test('it sees the scrape, the exemplar, the collector and the panel through it', async () => {
    const collector = await open(startCollector())
    const gateway = await run({ collectorUrl: collector.url })
    const counters = await serve((_request, response) => {
      response.setHeader('content-type', 'text/plain; version=0.0.4')
      response.end(`# TYPE otelcol_receiver_accepted_spans_total counter
otelcol_receiver_accepted_spans_total{receiver="otlp",transport="grpc"} ${collector.spans.length}
`)
    })
    const port = await freePort()
    await isReady(startReal(port, { agentgateway: gateway.statsUrl, 'otel-collector': counters.url }))
    const url = `http://127.0.0.1:${port}`
    const jaeger = await open(startJaeger({ spans: () => collector.spans }))
    const grafana = await open(
      startGrafana({ folder: PROVISIONING, prometheusUrl: url, jaegerUrl: jaeger.url }),
    )
    const at = {
      prometheus: url,
      collector: `127.0.0.1:${collector.port}`,
      jaeger: jaeger.url,
      grafana: grafana.url,
    }
    const report = await examined({ gateway, at, timeoutMs: 20_000 })
    expect(report).toMatchObject({
      prometheus: ok(/after the request: 1 request in all, and an exemplar with our trace id$/),
      jaeger: ok(/3 spans/),
      grafana: ok(/requests\/s\)?$/),
    })
    expect(report.collector.status).toBe('ok')
    // Its targets are known by now, and so the counters from before the request.
    const second = await examined({ gateway, at, timeoutMs: 20_000 })
    expect(second.collector).toMatchObject(ok(/takes traces, accepted 3 spans since the request$/))
  })

  test('it repeats what Prometheus says of a target that is down', async () => {
    const port = await freePort()
    await isReady(startReal(port, { agentgateway: CLOSED }))
    const report = await examined({
      gateway: await run(),
      at: { prometheus: `http://127.0.0.1:${port}` },
      skip: ['collector', 'jaeger', 'grafana'],
    })
    expect(report.prometheus).toMatchObject(failure(/is down: .*connection refused/, /prometheus\.yml/))
  })
})
