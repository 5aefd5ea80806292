/**
 * The candidates: the upstream itself, nginx in front of it, the gateway with and without what it has beside, and other
 * gateways.
 *
 * Each cell opens its own, so every measurement is of a fresh process that has served nothing but this cell's traffic;
 * only other gateways are as they were found.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProviderScript } from './children/provider.ts'
import { connect, local } from './connection.ts'
import { nginxProxy } from './nginx.ts'
import { type Child, freePort, type Place, type Stage, waitFor } from './processes.ts'
import { CHAT, jsonRequest, type Site } from './requests.ts'
import type { Settings } from './settings.ts'

/** How a gateway of ours differs from `gateway`, which has all that it does by default, and traces. */
export interface Variant {
  readonly name: string
  readonly without?: 'store' | 'telemetry'
  readonly workers?: number
  /** Default: the CPU that is for it alone. */
  readonly on?: Place
  /** Where requests go; default: to the provider that speaks what the client speaks. */
  readonly routing?: (upstreamPort: number) => Routing
}

export const GATEWAY: Variant = { name: 'gateway' }
export const STORE_OFF: Variant = { name: 'gateway, store off', without: 'store' }
export const ALL_OFF: Variant = { name: 'gateway, telemetry off', without: 'telemetry' }
export const TRANSLATING: Variant = {
  name: 'gateway, translating',
  routing: (port) => chat(port, 'anthropic'),
}

export interface Target {
  readonly name: string
  readonly site: Site
  /** Undefined for `direct` and for other gateways. */
  readonly proxy: Child | undefined
  /** Of our gateway's metrics. */
  readonly statsPort: number | undefined
}

export interface OwnTarget extends Target {
  readonly proxy: Child
  readonly statsPort: number
  /** Of what `children/probe.ts` answers; nobody listens there unless it was asked for. */
  readonly probePort: number
}

export interface Setup {
  readonly stage: Stage
  /** Where the gateway's traces go. */
  readonly collectorPort: number
}

const node = process.execPath
const BASE = '/v1'

export const localSite = (port: number): Site => ({ ...local(port), base: BASE })

export async function startCollector(stage: Stage): Promise<number> {
  const command = [node, join(stage.source, 'bench/children/trace-sink.ts')] as const
  const child = stage.start({ name: 'collector', command, on: 'upstream' })
  return Number(await child.firstLine())
}

export interface Upstream {
  readonly port: number
  readonly child: Child
}

interface ProviderOptions extends ProviderScript {
  readonly port?: number | undefined
  readonly openFiles?: number
}

export async function startProvider(
  stage: Stage,
  { port = 0, openFiles, ...script }: ProviderOptions = {},
): Promise<Upstream> {
  const file = join(stage.source, 'bench/children/provider.ts')
  const child = stage.start({
    name: 'provider',
    command: [node, file, JSON.stringify(script), String(port)],
    on: 'upstream',
    givesWay: true,
    ...(openFiles !== undefined && { openFiles }),
  })
  return { port: Number(await child.firstLine()), child }
}

/** What the configuration says beside where telemetry goes. */
export type Routing = (port: number) => object

const PROVIDERS = {
  openAI: { name: 'openai', provider: { openAI: {} } },
  anthropic: { name: 'anthropic', provider: { anthropic: { model: 'claude-haiku-4-5' } } },
} as const

const backend = (
  upstreamPort: number,
  provider: keyof typeof PROVIDERS,
  bases: readonly string[] = [BASE],
) => ({
  ai: {
    ...PROVIDERS[provider],
    hostOverride: `127.0.0.1:${upstreamPort}`,
    policies: {
      backendAuth: { key: 'sk-of-the-gateway' },
      ai: {
        routes: {
          ...Object.fromEntries(bases.map((base) => [`${base}${CHAT}`, 'completions'])),
          '*': 'passthrough',
        },
      },
    },
  },
})

export const chat =
  (
    upstreamPort: number,
    provider: keyof typeof PROVIDERS = 'openAI',
    bases: readonly string[] = [BASE],
  ): Routing =>
  (port) => ({
    binds: [
      {
        port,
        listeners: [
          {
            routes: [
              {
                matches: bases.map((base) => ({ path: { pathPrefix: base } })),
                backends: [backend(upstreamPort, provider, bases)],
              },
            ],
          },
        ],
      },
    ],
  })

/** A route for each name, chosen by the header `x-route`. */
export const manyRoutes =
  (upstreamPort: number, names: readonly string[]): Routing =>
  (port) => ({
    binds: [
      {
        port,
        listeners: [
          {
            routes: names.map((name) => ({
              name,
              matches: [
                { path: { pathPrefix: BASE }, headers: [{ name: 'x-route', value: { exact: name } }] },
              ],
              backends: [backend(upstreamPort, 'openAI')],
            })),
          },
        ],
      },
    ],
  })

interface GatewayOptions {
  readonly probed?: boolean
  readonly openFiles?: number
}

/** Not waited for: a cold start begins here. */
export const spawnGateway = (
  setup: Setup,
  upstreamPort: number,
  variant: Variant = GATEWAY,
  options?: GatewayOptions,
) => spawnConfigured(setup, (variant.routing ?? chat)(upstreamPort), variant, options)

export async function spawnConfigured(
  setup: Setup,
  routing: Routing,
  { name, without, workers, on = 'proxy' }: Variant = GATEWAY,
  { probed = false, openFiles }: GatewayOptions = {},
): Promise<OwnTarget> {
  const { stage, collectorPort } = setup
  const [port, statsPort, probePort] = [await freePort(), await freePort(), await freePort()]
  const file = join(stage.directory, `gateway-${port}.yaml`)
  const config = {
    adminAddr: 'off',
    readinessAddr: 'off',
    statsAddr: `127.0.0.1:${statsPort}`,
    database: {
      url: without === undefined ? `sqlite:${join(stage.directory, `${port}.db`)}` : 'off',
    },
    ...(without === 'telemetry'
      ? { logging: { level: 'off' } }
      : {
          logging: { format: 'json' },
          tracing: { otlpEndpoint: `http://127.0.0.1:${collectorPort}`, randomSampling: 0.1 },
        }),
  }
  writeFileSync(file, JSON.stringify({ config, ...routing(port) }))
  const probe = probed ? ['--import', `${stage.probeUrl}?port=${probePort}`] : []
  const parallel = workers === undefined ? [] : ['--workers', String(workers)]
  const proxy = stage.start({
    name: 'gateway',
    command: [node, ...probe, stage.main, '-f', file, ...parallel],
    on,
    ...(openFiles !== undefined && { openFiles }),
  })
  return { name, site: localSite(port), statsPort, probePort, proxy }
}

/** Asks until the first answer with status 200. */
export async function firstAnswer({ name, site, proxy }: Target): Promise<void> {
  await waitFor(`${name}: first answer`, async () => {
    const failure = proxy?.failure()
    if (failure !== undefined) throw new Error(failure)
    const connection = await connect(site).catch(() => undefined)
    if (connection === undefined) return undefined
    // A primary that looks whether a port is free listens there for a moment, and lets go of it.
    const status = await connection
      .request(jsonRequest(site))
      .catch(() => undefined)
      .finally(connection.close)
    if (status === undefined) return undefined
    if (status !== 200) throw new Error(`${name} answers with status ${status}`)
    return true
  })
}

export async function listening({ name, site }: Target): Promise<void> {
  await waitFor(`${name}: port`, () =>
    connect(site).then(
      (connection) => {
        connection.close()
        return true
      },
      () => undefined,
    ),
  )
}

export const direct = (port: number): Target => ({
  name: 'direct',
  site: localSite(port),
  proxy: undefined,
  statsPort: undefined,
})

/** The upstream, nginx where there is one, gateways of ours, and those that run already. */
export async function openTargets(
  setup: Setup,
  upstreamPort: number,
  variants: readonly Variant[],
  others: Settings['others'] = [],
): Promise<Target[]> {
  const nginx = await nginxProxy(setup.stage, upstreamPort)
  const targets: Target[] = [
    direct(upstreamPort),
    ...(nginx === undefined
      ? []
      : [{ name: 'nginx', site: localSite(nginx.port), proxy: nginx.proxy, statsPort: undefined }]),
  ]
  for (const variant of variants) targets.push(await spawnGateway(setup, upstreamPort, variant))
  for (const { name, ...site } of others) {
    targets.push({ name, site, proxy: undefined, statsPort: undefined })
  }
  for (const target of targets) await firstAnswer(target)
  return targets
}

export async function closeTargets(targets: readonly Target[]): Promise<void> {
  for (const { proxy } of targets) await proxy?.stop()
}

/** Spans, log lines and records that the gateway gave up, by its own count. */
export async function droppedTelemetry({ statsPort }: Target): Promise<number> {
  if (statsPort === undefined) return 0
  const response = await fetch(`http://127.0.0.1:${statsPort}/metrics`)
  const samples = (await response.text()).matchAll(/^agentgateway_telemetry_dropped_total\{[^}]*\} (\S+)/gm)
  return [...samples].reduce((sum, [, value]) => sum + Number(value), 0)
}
