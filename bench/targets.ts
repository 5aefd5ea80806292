/**
 * The candidates: the upstream itself, nginx in front of it, and the gateway with and without its store and telemetry.
 *
 * Each cell opens its own, so every measurement is of a fresh process that has served nothing but this cell's traffic.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Script } from '../src/demo/script.ts'
import { connect } from './connection.ts'
import { nginxProxy } from './nginx.ts'
import { type Child, freePort, type Stage, waitFor } from './processes.ts'
import { JSON_REQUEST, PATH } from './requests.ts'

type GatewayName = 'gateway' | 'gateway, store off' | 'gateway, telemetry off'
export type TargetName = 'direct' | 'nginx' | GatewayName

export interface Target {
  readonly name: TargetName
  readonly port: number
  /** Undefined for `direct`. */
  readonly proxy: Child | undefined
  /** Of the gateway's metrics. */
  readonly statsPort: number | undefined
}

export interface Setup {
  readonly stage: Stage
  /** Where the gateway's traces go. */
  readonly collectorPort: number
}

const node = process.execPath

export async function startCollector(stage: Stage): Promise<number> {
  const command = [node, join(stage.source, 'bench/trace-sink.ts')] as const
  const child = stage.start({ name: 'collector', command, on: 'upstream' })
  return Number(await child.firstLine())
}

export interface Upstream {
  readonly port: number
  readonly child: Child
}

export async function startProvider(stage: Stage, script: Script): Promise<Upstream> {
  const command = [node, join(stage.source, 'bench/upstream.ts'), JSON.stringify(script)] as const
  const child = stage.start({ name: 'provider', command, on: 'upstream' })
  return { port: Number(await child.firstLine()), child }
}

/** What the configuration says beside where telemetry goes. */
type Routing = (port: number) => object

const chatRouting =
  (upstreamPort: number): Routing =>
  (port) => ({
    binds: [
      {
        port,
        listeners: [
          {
            routes: [
              {
                matches: [{ path: { pathPrefix: '/v1' } }],
                backends: [
                  {
                    ai: {
                      name: 'openai',
                      provider: { openAI: {} },
                      hostOverride: `127.0.0.1:${upstreamPort}`,
                      policies: {
                        backendAuth: { key: 'sk-of-the-gateway' },
                        ai: { routes: { [PATH]: 'completions', '*': 'passthrough' } },
                      },
                    },
                  },
                ],
              },
            ],
          },
        ],
      },
    ],
  })

/** Not waited for: a cold start begins here. */
export const spawnGateway = (setup: Setup, upstreamPort: number, name?: GatewayName) =>
  spawnConfigured(setup, chatRouting(upstreamPort), name)

export async function spawnConfigured(
  setup: Setup,
  routing: Routing,
  name: GatewayName = 'gateway',
): Promise<Target> {
  const ports = { port: await freePort(), statsPort: await freePort() }
  const file = join(setup.stage.directory, `gateway-${ports.port}.yaml`)
  const config = {
    adminAddr: 'off',
    readinessAddr: 'off',
    statsAddr: `127.0.0.1:${ports.statsPort}`,
    database: {
      url: name === 'gateway' ? `sqlite:${join(setup.stage.directory, `${ports.port}.db`)}` : 'off',
    },
    ...(name !== 'gateway, telemetry off'
      ? { tracing: { otlpEndpoint: `http://127.0.0.1:${setup.collectorPort}`, randomSampling: 0.1 } }
      : { logging: { level: 'off' } }),
  }
  writeFileSync(file, JSON.stringify({ config, ...routing(ports.port) }))
  const proxy = setup.stage.start({
    name: 'gateway',
    command: [node, setup.stage.main, '-f', file],
    on: 'proxy',
  })
  return { name, ...ports, proxy }
}

/** Asks until the first answer with status 200. */
export async function firstAnswer({ name, port, proxy }: Target, request = JSON_REQUEST): Promise<void> {
  await waitFor(`${name}: first answer`, async () => {
    const failure = proxy?.failure()
    if (failure !== undefined) throw new Error(failure)
    const connection = await connect(port).catch(() => undefined)
    if (connection === undefined) return undefined
    const status = await connection.request(request).finally(connection.close)
    if (status !== 200) throw new Error(`${name} answers with status ${status}`)
    return true
  })
}

export async function openTargets(
  setup: Setup,
  upstreamPort: number,
  names: readonly TargetName[],
): Promise<Target[]> {
  const targets: Target[] = []
  for (const name of names) {
    if (name === 'direct') targets.push({ name, port: upstreamPort, proxy: undefined, statsPort: undefined })
    else if (name === 'nginx') {
      const nginx = await nginxProxy(setup.stage, upstreamPort)
      if (nginx !== undefined) targets.push({ name, ...nginx, statsPort: undefined })
    } else targets.push(await spawnGateway(setup, upstreamPort, name))
  }
  for (const target of targets) await firstAnswer(target)
  return targets
}

export async function closeTargets(targets: readonly Target[]): Promise<void> {
  for (const { proxy } of targets) await proxy?.stop()
}

/** Spans and log lines that the gateway gave up, by its own count. */
export async function droppedTelemetry({ statsPort }: Target): Promise<number> {
  if (statsPort === undefined) return 0
  const response = await fetch(`http://127.0.0.1:${statsPort}/metrics`)
  const samples = (await response.text()).matchAll(/^agentgateway_telemetry_dropped_total\{[^}]*\} (\S+)/gm)
  return [...samples].reduce((sum, [, value]) => sum + Number(value), 0)
}
