/**
 * `agentgateway demo`: the whole system on one machine, without a key: simulated providers, the gateway, and
 * gentle traffic through it. With `--once`, a proof: what was sent, counted and billed must be equal.
 */
import { loadConfig } from '../config/load.ts'
import { settings } from '../config/settings.ts'
import { type SimulatedProvider, startSimulatedAnthropic, startSimulatedOpenAI } from '../demo/provider.ts'
import { runTraffic, type Sent } from '../demo/traffic.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { createLogger, parseLevels } from '../telemetry/logger.ts'
import { type Audit, audit, readCounts } from './demo-audit.ts'
import { demoConfig } from './demo-config.ts'

export interface DemoOptions {
  readonly once: boolean
  readonly json: boolean
  /** Of the gateway; 0 takes a free one. With `once` every port is free. */
  readonly port: number
  readonly version: string
  /** The file that is run. */
  readonly program: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

interface Demo {
  readonly gateway: Gateway
  readonly providers: readonly SimulatedProvider[]
  /** Access lines, as JSON. */
  readonly lines: string[]
  readonly close: () => Promise<void>
}

/** The last lines only: a demo may run for days. */
const KEPT_LINES = 5000

/** `ports`: `fixed` are the documented ones, `free` lets many demos run side by side. */
async function startDemo(options: DemoOptions, ports: 'fixed' | 'free'): Promise<Demo> {
  const openAI = await startSimulatedOpenAI()
  const anthropic = await startSimulatedAnthropic()
  const providers = [openAI, anthropic]
  const environment =
    ports === 'fixed'
      ? options.environment
      : { STATS_ADDR: '127.0.0.1:0', READINESS_ADDR: '127.0.0.1:0', ADMIN_ADDR: '127.0.0.1:0' }
  const text = demoConfig({
    port: ports === 'fixed' ? options.port : 0,
    openAI: openAI.port,
    anthropic: anthropic.port,
    command: [process.execPath, ...process.execArgv, options.program],
  })
  const loaded = loadConfig({ text, file: '<demo>', environment })
  if (!loaded.ok)
    throw new Error(loaded.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'))
  const lines: string[] = []
  const resolved = { ...settings(loaded.config, environment), logFormat: 'json' as const }
  try {
    const gateway = await startGateway({
      config: loaded.config,
      settings: resolved,
      environment,
      version: options.version,
      readText: () => '',
      logger: createLogger({
        levels: parseLevels('info'),
        format: 'text',
        write: (line) => options.stderr.write(line),
      }),
      databaseUrl: 'sqlite::memory:',
      source: '<demo>',
      isDemo: true,
      accessLog: {
        write(line) {
          lines.push(line)
          if (lines.length > KEPT_LINES) lines.shift()
        },
        flush: () => Promise.resolve(true),
      },
    })
    return {
      gateway,
      providers,
      lines,
      async close() {
        await gateway.close()
        await Promise.all(providers.map((provider) => provider.close()))
      },
    }
  } catch (error) {
    await Promise.all(providers.map((provider) => provider.close()))
    throw error
  }
}

const gatewayUrl = ({ gateway }: Demo) => `http://127.0.0.1:${gateway.ports().binds[0]}`
const metricsUrl = ({ gateway }: Demo) => `http://127.0.0.1:${gateway.ports().stats}/metrics`

/** Every request that a client saw the end of has its record, and no provider has one open. */
async function settled(demo: Demo, requests: number): Promise<void> {
  while (demo.lines.length < requests) await new Promise((resolve) => setImmediate(resolve))
  await Promise.all(demo.providers.map((provider) => provider.waitFor(() => provider.inFlight === 0)))
}

async function once(options: DemoOptions): Promise<number> {
  const { stdout, stderr } = options
  const demo = await startDemo(options, 'free')
  const progress = stderr.isTTY === true && !options.json
  let done = 0
  const sent: readonly Sent[] = await runTraffic({
    gatewayUrl: gatewayUrl(demo),
    once: true,
    onSent: ({ planned }) => {
      done++
      if (progress) stderr.write(`\r\u001b[K${done} ${planned.name}`)
    },
  })
  if (progress) stderr.write('\r\u001b[K')
  await settled(demo, sent.length)
  const report = audit({
    sent,
    lines: demo.lines,
    providers: demo.providers,
    exposition: await readCounts(metricsUrl(demo)),
  })
  await demo.close()
  stdout.write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : table(report))
  return report.agrees ? 0 : 1
}

function table({ rows, unexpected, agrees }: Audit): string {
  const cells = [
    ['', 'sent', 'metrics', 'log', 'billed', ''],
    ...rows.map(({ name, sent, metrics, log, billed, equal }) => [
      name,
      ...[sent, metrics, log, billed].map((count) => (count === undefined ? '-' : String(count))),
      equal ? 'equal' : 'DIFFERENT',
    ]),
  ]
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const lines = cells.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || column === 5 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
  for (const { name, expected, saw } of unexpected)
    lines.push(`unexpected: ${name}: expected ${expected}, saw ${saw}`)
  lines.push(agrees ? 'sent, counted and billed agree' : 'sent, counted and billed do NOT agree')
  return `${lines.join('\n')}\n`
}

function welcome(demo: Demo): string {
  const { binds, stats, readiness, admin } = demo.gateway.ports()
  const [openAI, anthropic] = demo.providers
  return `AgentGateway demo: simulated providers, no key needed. Ctrl-C ends it.

  gateway      http://localhost:${binds[0]}
  metrics      http://localhost:${stats}/metrics
  readiness    http://localhost:${readiness}/healthz/ready
  console      http://localhost:${admin}/ui/
  MCP          http://localhost:${binds[0]}/mcp
  providers    ${openAI?.url} (as OpenAI), ${anthropic?.url} (as Anthropic)

Try it:
  curl http://localhost:${binds[0]}/v1/chat/completions -H 'Content-Type: application/json' -H 'Authorization: Bearer demo' \\
    -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}'

`
}

/** A line per interval; on a terminal the same line is written over. */
const INTERVAL_MS = { terminal: 500, pipe: 5000 }

async function endless(options: DemoOptions): Promise<number> {
  const { stdout } = options
  const demo = await startDemo(options, 'fixed')
  stdout.write(welcome(demo))
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  const terminal = stdout.isTTY === true
  const show = async () => {
    const counts = await readCounts(metricsUrl(demo))
    const line =
      `requests ${counts.requests}  errors ${counts.errors}  tokens in ${counts.input} out ${counts.output}` +
      `  cost $${counts.cost.toFixed(4)}  in flight ${counts.inFlight}`
    stdout.write(terminal ? `\r\u001b[K${line}` : `${line}\n`)
  }
  const timer = setInterval(
    () => void show().catch(() => {}),
    terminal ? INTERVAL_MS.terminal : INTERVAL_MS.pipe,
  )
  try {
    await runTraffic({ gatewayUrl: gatewayUrl(demo), signal: stop.signal })
  } finally {
    clearInterval(timer)
    await show().catch(() => {})
    stdout.write('\n')
    await demo.close()
  }
  return 0
}

/** Resolves with the exit status. */
export async function demo(options: DemoOptions): Promise<number> {
  try {
    return await (options.once ? once(options) : endless(options))
  } catch (error) {
    const inUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    const hint = inUse ? ' (is another gateway running? the demo wants 3000, 15000, 15020 and 15021)' : ''
    options.stderr.write(
      `agentgateway: the demo cannot start: ${error instanceof Error ? error.message : String(error)}${hint}\n`,
    )
    return 1
  }
}
