/** A real gateway in this process, on free ports, with everything that it emits at hand. */
import { readFileSync } from 'node:fs'
import { loadConfig } from '../../src/config/load.ts'
import { settings } from '../../src/config/settings.ts'
import { type Gateway, startGateway } from '../../src/gateway.ts'
import { createLogger, parseLevels } from '../../src/telemetry/logger.ts'

export interface RunningGateway {
  readonly gateway: Gateway
  /** Of the first bind. */
  readonly url: string
  readonly statsUrl: string
  readonly readinessUrl: string
  readonly adminUrl: string
  /** Everything that went to the log, application and access lines alike. */
  readonly log: () => string
  /** Access lines as objects (the format is JSON unless the configuration says otherwise). */
  readonly records: () => Readonly<Record<string, unknown>>[]
  /** Resolves with the first `count` access lines, once there are that many. */
  readonly recorded: (count: number) => Promise<Readonly<Record<string, unknown>>[]>
  readonly metrics: (accept?: string) => Promise<string>
  /** The sum of a family's samples whose labels include `labels`. */
  readonly metric: (name: string, labels?: Readonly<Record<string, string>>) => Promise<number>
  readonly close: () => Promise<void>
}

const FREE_PORTS = {
  STATS_ADDR: '127.0.0.1:0',
  READINESS_ADDR: '127.0.0.1:0',
  ADMIN_ADDR: '127.0.0.1:0',
  LOG_FORMAT: 'json',
}

/** Throws with every problem when the configuration is not valid. */
export async function runGateway(
  yaml: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<RunningGateway> {
  const variables = { ...FREE_PORTS, ...environment }
  const loaded = loadConfig({ text: yaml, file: 'test.yaml', environment: variables })
  if (!loaded.ok)
    throw new Error(
      loaded.problems.map((one) => `${one.line}:${one.column} ${one.path}: ${one.message}`).join('\n'),
    )
  let text = ''
  let waiting: (() => void)[] = []
  const write = (line: string) => {
    text += line
    const woken = waiting
    waiting = []
    for (const wake of woken) wake()
  }
  const resolved = settings(loaded.config, variables)
  const gateway = await startGateway({
    config: loaded.config,
    settings: resolved,
    environment: variables,
    version: '0.0.0-test',
    readText: (path) => readFileSync(path, 'utf8'),
    logger: createLogger({ levels: parseLevels(resolved.logLevel), format: resolved.logFormat, write }),
    accessLog: { write, flush: () => Promise.resolve(true) },
    databaseUrl: 'off',
    source: 'test.yaml',
  })
  const ports = gateway.ports()
  const records = () =>
    text
      .split('\n')
      .filter((line) => line.includes('"scope":"request"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  const metrics = async (accept = 'text/plain') => {
    const response = await fetch(`http://127.0.0.1:${ports.stats}/metrics`, { headers: { accept } })
    return response.text()
  }
  return {
    gateway,
    url: `http://127.0.0.1:${ports.binds[0]}`,
    statsUrl: `http://127.0.0.1:${ports.stats}`,
    readinessUrl: `http://127.0.0.1:${ports.readiness}`,
    adminUrl: `http://127.0.0.1:${ports.admin}`,
    log: () => text,
    records,
    async recorded(count) {
      for (;;) {
        const found = records()
        if (found.length >= count) return found.slice(0, count)
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
    metrics,
    async metric(name, labels = {}) {
      let sum = 0
      for (const line of (await metrics()).split('\n')) {
        if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue
        if (Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
          sum += Number(line.split(' ').at(-1))
      }
      return sum
    },
    close: () => gateway.close(),
  }
}
