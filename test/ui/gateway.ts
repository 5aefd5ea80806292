/** The demo as `npm run demo` wires it, on free ports and with its parts at hand: what the console is looked at with. */
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'
import type { LogEntry, LogsFound } from '../../src/admin/api-types.ts'
import { demoConfig } from '../../src/cli/demo-config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { settings } from '../../src/config/settings.ts'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../../src/demo/provider.ts'
import { type Script, scriptHeader } from '../../src/demo/script.ts'
import { runTraffic, type Sent } from '../../src/demo/traffic.ts'
import { type Gateway, startGateway } from '../../src/gateway.ts'
import { createLogger, parseLevels } from '../../src/telemetry/logger.ts'

const PROGRAM = fileURLToPath(new URL('../../src/cli/agentgateway.ts', import.meta.url))

export interface DemoGateway {
  readonly gateway: Gateway
  readonly openAI: SimulatedProvider
  readonly anthropic: SimulatedProvider
  /** Of the clients' port. */
  readonly port: number
  readonly url: string
  readonly adminUrl: string
  /** The console's page below `/ui`: `ui('/requests?live=1')`. */
  readonly ui: (path: string) => string
  readonly metricsUrl: string
  /** Access lines, read. */
  readonly records: Readonly<Record<string, unknown>>[]
  /** Every request of the demo's mix, once; resolves when all of them are recorded. */
  readonly sendMix: () => Promise<readonly Sent[]>
  /** The API's answer to a POST of JSON. */
  readonly ask: <T>(path: string, body: unknown) => Promise<T>
  /** The record of a trace's request, once it is kept. */
  readonly recordOf: (traceId: string) => Promise<LogEntry>
  readonly chat: (wish?: ChatWish) => Promise<Response>
  readonly close: () => Promise<void>
}

interface ChatWish {
  readonly path?: string
  readonly model?: string
  readonly body?: Readonly<Record<string, unknown>>
  /** How the provider answers. */
  readonly script?: Script
  readonly headers?: Readonly<Record<string, string>>
}

interface Parts {
  readonly openAI: SimulatedProvider
  readonly anthropic: SimulatedProvider
}

export interface DemoGatewayOptions {
  /** The demo's, unless it is written here. */
  readonly config?: (parts: Parts) => string
  readonly environment?: Readonly<Record<string, string>>
  readonly databaseUrl?: string
}

export const demoText = ({ openAI, anthropic }: Parts): string =>
  demoConfig({
    port: 0,
    openAI: openAI.port,
    anthropic: anthropic.port,
    command: [process.execPath, ...process.execArgv, PROGRAM],
  })

const FREE_PORTS = { STATS_ADDR: '127.0.0.1:0', READINESS_ADDR: '127.0.0.1:0', ADMIN_ADDR: '127.0.0.1:0' }

/** Throws with every problem when the configuration is not valid. */
function readConfig(text: string, environment: Readonly<Record<string, string>> = FREE_PORTS) {
  const loaded = loadConfig({ text, file: '<demo>', environment })
  if (loaded.ok) return loaded.config
  throw new Error(loaded.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'))
}

export async function startDemoGateway(options: DemoGatewayOptions = {}): Promise<DemoGateway> {
  const { config: textOf = demoText, databaseUrl = 'sqlite::memory:' } = options
  const openAI = await startSimulatedOpenAI()
  const anthropic = await startSimulatedAnthropic()
  const environment = { ...FREE_PORTS, ...options.environment }
  const config = readConfig(textOf({ openAI, anthropic }), environment)
  const records: Readonly<Record<string, unknown>>[] = []
  let wake = () => {}
  const resolved = { ...settings(config, environment), logFormat: 'json' as const }
  const gateway = await startGateway({
    config,
    settings: resolved,
    environment,
    version: '0.0.0-test',
    readText: () => '',
    logger: createLogger({
      levels: parseLevels('error,request=info'),
      format: 'text',
      write: (line) => void process.stderr.write(line),
    }),
    databaseUrl,
    source: '<demo>',
    isDemo: true,
    accessLog: {
      write(line) {
        records.push(JSON.parse(line))
        wake()
      },
      flush: () => Promise.resolve(true),
    },
  })
  const { binds, admin, stats } = gateway.ports()
  const port = binds[0] ?? 0
  const url = `http://127.0.0.1:${port}`
  const adminUrl = `http://127.0.0.1:${admin}`

  const authorization =
    resolved.adminToken === undefined ? undefined : { authorization: `Bearer ${resolved.adminToken}` }

  async function ask<T>(path: string, body: unknown): Promise<T> {
    const response = await fetch(`${adminUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as T
  }

  return {
    gateway,
    openAI,
    anthropic,
    port,
    url,
    adminUrl,
    ui: (path) => `${adminUrl}/ui${path}`,
    metricsUrl: `http://127.0.0.1:${stats}/metrics`,
    records,
    async sendMix() {
      const before = records.length
      const sent = await runTraffic({ gatewayUrl: url, once: true })
      while (records.length < before + sent.length)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      return sent
    },
    ask,
    recordOf: (traceId) =>
      vi.waitFor(
        async () => {
          const { logs } = await ask<LogsFound>('/api/logs/search', { filters: { traceId } })
          if (logs[0] === undefined) throw new Error(`no record of ${traceId} is kept`)
          return logs[0]
        },
        { timeout: 10_000 },
      ),
    chat: ({ path = '/v1/chat/completions', model = 'gpt-4o-mini', body, script, headers } = {}) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: 'Bearer demo',
          ...(script !== undefined && { 'x-simulate': scriptHeader(script) }),
          ...headers,
        },
        body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }], ...body }),
      }),
    async close() {
      await gateway.close()
      await Promise.all([openAI.close(), anthropic.close()])
    },
  }
}
