/** Gateways, what stands behind them, and the doctor run against it: in this process, on free ports. */
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../../src/demo/provider.ts'
import { type DoctorOptions, examine } from '../../src/doctor/doctor.ts'
import type { Addresses, HopName, HopResult } from '../../src/doctor/hops.ts'
import { startCollector } from './collector.ts'
import { gatewayWith, openAIBackend, under } from './configuration.ts'
import { type RunningGateway, runGateway } from './gateway.ts'
import { type GrafanaOptions, startGrafana } from './grafana.ts'
import {
  type Handler,
  type JaegerOptions,
  type PrometheusOptions,
  startJaeger,
  startPrometheus,
  startServer,
} from './stand-ins.ts'

export const PROVISIONING = fileURLToPath(
  new URL('../../observability/grafana/provisioning', import.meta.url),
)
export const KEY = 'sk-test-0123456789abcdef'
export const PASSWORD = 'correct horse battery'
/** Nothing listens on port 1. */
export const CLOSED = 'http://127.0.0.1:1'
export const NOWHERE: Addresses = {
  gateway: CLOSED,
  metrics: CLOSED,
  console: CLOSED,
  prometheus: CLOSED,
  collector: '127.0.0.1:1',
  jaeger: CLOSED,
  grafana: CLOSED,
}
export const STACK = ['prometheus', 'collector', 'jaeger', 'grafana'] as const

/** Set by `useDoctorLab()`. */
export let provider: SimulatedProvider
export const opened: { close: () => unknown }[] = []

/** Closes after each test what it opened. */
export function useDoctorLab(): void {
  beforeAll(async () => {
    provider = await startSimulatedOpenAI()
  })
  afterEach(async () => {
    for (const one of opened.splice(0).reverse()) await one.close()
    provider.clear()
  })
  afterAll(() => provider.close())
}

export async function open<T extends { close: () => unknown }>(starting: Promise<T>): Promise<T> {
  const started = await starting
  opened.push(started)
  return started
}

export const serve = (handler: Handler) => open(startServer(handler))
export const serveText = (text: string) => serve((_request, response) => void response.end(text))
/** Takes requests and never answers. */
export const serveSilence = () => serve(() => {})

interface RunOptions {
  /** Where the spans go; undefined: tracing is off. */
  readonly collectorUrl?: string
  readonly upstream?: { readonly port: number }
}

export const run = ({ collectorUrl, upstream = provider }: RunOptions = {}): Promise<RunningGateway> =>
  open(
    runGateway(
      gatewayWith(
        [{ name: 'chat', matches: under('/v1'), backends: [openAIBackend(upstream)] }],
        collectorUrl === undefined ? {} : { config: { tracing: { otlpEndpoint: collectorUrl } } },
      ),
    ),
  )

export type Asked = Partial<Omit<DoctorOptions, 'addresses' | 'skip'>> & {
  readonly gateway?: RunningGateway
  readonly at?: Partial<Addresses>
  readonly skip?: readonly HopName[]
}

type Report = Readonly<Record<HopName, HopResult>> & { readonly traceId: string }

/** What is named in `at` is named on the command line, the rest are defaults where nothing listens. */
export async function examined({ gateway, at = {}, skip = [], ...more }: Asked): Promise<Report> {
  const { traceId, results } = examine({
    addresses: {
      ...NOWHERE,
      ...(gateway && { gateway: gateway.url, metrics: gateway.statsUrl }),
      ...at,
    },
    named: new Set(Object.keys(at)),
    skip: new Set(skip),
    model: undefined,
    timeoutMs: 10_000,
    startingMs: 0,
    keys: { openAI: KEY, anthropic: undefined },
    grafana: { user: 'admin', password: 'admin' },
    version: '0.0.0-test',
    ...more,
  })
  const hops: HopResult[] = []
  for await (const hop of results) hops.push(hop)
  expect(JSON.stringify(hops)).not.toContain(KEY)
  expect(JSON.stringify(hops)).not.toContain(PASSWORD)
  return { ...Object.fromEntries(hops.map((hop) => [hop.hop, hop])), traceId } as Report
}

export const statuses = (report: Report, hops: readonly HopName[] = STACK) =>
  hops.map((hop) => report[hop].status)
export const matching = (pattern: RegExp) => expect.stringMatching(pattern)
export const ok = (detail: RegExp) => ({ status: 'ok', detail: matching(detail) })
export const failure = (detail: RegExp, advice: RegExp) => ({
  status: 'failed',
  detail: matching(detail),
  advice: matching(advice),
})

export interface StackOptions {
  readonly prometheus?: Partial<PrometheusOptions>
  readonly jaeger?: Partial<JaegerOptions>
  readonly grafana?: Partial<GrafanaOptions>
}

/** A gateway with everything behind it. */
export async function stack(options: StackOptions = {}) {
  const collector = await open(startCollector())
  const gateway = await run({ collectorUrl: collector.url })
  const prometheus = await open(
    startPrometheus({
      statsUrl: gateway.statsUrl,
      otherTargets: [collectorTarget()],
      query: (promql) => (promql.includes('accepted_spans') ? collector.spans.length : undefined),
      ...options.prometheus,
    }),
  )
  const jaeger = await open(startJaeger({ spans: () => collector.spans, ...options.jaeger }))
  const grafana = await open(
    startGrafana({
      folder: PROVISIONING,
      prometheusUrl: prometheus.url,
      jaegerUrl: jaeger.url,
      ...options.grafana,
    }),
  )
  const at = {
    prometheus: prometheus.url,
    collector: `127.0.0.1:${collector.port}`,
    jaeger: jaeger.url,
    grafana: grafana.url,
  }
  return { gateway, at, collector }
}

const collectorTarget = () => ({
  labels: { job: 'otel-collector', instance: 'otel-collector:8888' },
  scrapeUrl: 'http://otel-collector:8888/metrics',
  health: 'up',
  lastError: '',
  lastScrape: new Date().toISOString(),
})
