/** The whole stack, running: docker-compose.yml's services as far as their programs can be had. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ComponentName, componentPath } from './components.ts'
import { addressOf, type Compose, createCompose, type Running } from './compose.ts'

export const GATEWAY = [
  process.execPath,
  fileURLToPath(new URL('../../src/cli/agentgateway.ts', import.meta.url)),
]

/** The binary that was built, else the one that is installed. */
function programOf(name: ComponentName): string | undefined {
  return componentPath(name) ?? (spawnSync(name, ['--version']).status === 0 ? name : undefined)
}

export const has = {
  prometheus: programOf('prometheus') !== undefined,
  collector: programOf('otelcol') !== undefined,
  jaeger: programOf('jaeger') !== undefined,
} as const
/** Without both no trace gets to its end. */
export const hasTraces = has.collector && has.jaeger

for (const [name, isHere] of Object.entries(has)) {
  if (!isHere) process.stdout.write(`${name} cannot be had here: its part of the stack is not tested\n`)
}

export const urls = {
  gateway: `http://${addressOf('agentgateway')}:3000`,
  /** The same gateway's port in front of the simulated providers. */
  demo: `http://${addressOf('agentgateway')}:3100`,
  stats: `http://${addressOf('agentgateway')}:15020`,
  readiness: `http://${addressOf('agentgateway')}:15021`,
  prometheus: `http://${addressOf('prometheus')}:9090`,
  collector: `${addressOf('otel-collector')}:4317`,
  collectorHealth: `http://${addressOf('otel-collector')}:13133`,
  jaeger: `http://${addressOf('jaeger')}:16686`,
} as const

export interface Stack {
  readonly stop: (service: string) => Promise<void>
  readonly start: (service: string) => Promise<void>
  readonly log: (service: string) => string
  readonly close: () => Promise<void>
}

interface Part {
  readonly program: readonly string[] | undefined
  /** Answers once it is ready, with a status below 500. Undefined: it serves nothing. */
  readonly readyUrl: string | undefined
  readonly args?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

/** Where `agentgateway` is found by its name, as in the image: the gateway starts the demo's MCP servers by it. */
function commandFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'agentgateway-command-'))
  const file = join(folder, 'agentgateway')
  writeFileSync(file, `#!/bin/sh\nexec ${GATEWAY.map((word) => `'${word}'`).join(' ')} "$@"\n`, {
    mode: 0o755,
  })
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}
const COMMAND_FOLDER = commandFolder()

function partOf(service: string): Part {
  const binary = (name: ComponentName) => {
    const path = programOf(name)
    return path === undefined ? undefined : [path]
  }
  switch (service) {
    case 'agentgateway':
      return {
        program: GATEWAY,
        readyUrl: `${urls.readiness}/healthz/ready`,
        environment: { PATH: [COMMAND_FOLDER, process.env.PATH].join(delimiter) },
      }
    case 'demo-providers':
      return { program: GATEWAY, readyUrl: `http://${addressOf(service)}:9101/v1/models` }
    case 'demo-traffic':
      return { program: GATEWAY, readyUrl: undefined }
    case 'otel-collector':
      return { program: binary('otelcol'), readyUrl: urls.collectorHealth }
    case 'jaeger':
      return { program: binary('jaeger'), readyUrl: `http://${addressOf('jaeger')}:13133/status` }
    case 'prometheus': {
      const listen = `--web.listen-address=${addressOf('prometheus')}:9090`
      return { program: binary('prometheus'), readyUrl: `${urls.prometheus}/-/ready`, args: [listen] }
    }
    default:
      throw new Error(`no program for ${service}`)
  }
}

const START_MS = 60_000

const ask = async (url: string) => {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
  await response?.arrayBuffer().catch(() => {})
  return response
}

async function answers(url: string, one: Running): Promise<void> {
  const deadline = Date.now() + START_MS
  for (;;) {
    if (Date.now() > deadline) throw new Error(`${one.service} is not ready after ${START_MS / 1000} s`)
    if (one.process.exitCode !== null || one.process.signalCode !== null)
      throw new Error(`${one.service} ended:\n${readFileSync(one.logFile, 'utf8').slice(-2000)}`)
    const response = await ask(url)
    if (response !== undefined && response.status < 500) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** In this order; what has no program is left out. More can be started later. */
export async function startStack(services: readonly string[]): Promise<Stack> {
  const compose: Compose = createCompose()
  const running = new Map<string, Running>()

  async function start(service: string): Promise<void> {
    const { program, readyUrl, args = [], environment = {} } = partOf(service)
    if (program === undefined) return
    if (readyUrl !== undefined && (await ask(readyUrl)) !== undefined)
      throw new Error(`somebody answers at ${readyUrl} already: another run that has not ended?`)
    const one = compose.start(service, program, {
      args,
      environment: { LOG_FORMAT: 'json', ...environment },
    })
    running.set(service, one)
    if (readyUrl !== undefined) await answers(readyUrl, one)
  }

  try {
    for (const service of services) await start(service)
  } catch (error) {
    await compose.close()
    throw error
  }
  return {
    start,
    async stop(service) {
      await running.get(service)?.stop()
    },
    log(service) {
      const one = running.get(service)
      return one === undefined ? '' : readFileSync(one.logFile, 'utf8')
    },
    close: () => compose.close(),
  }
}
