/**
 * A worker process: it serves what comes in at its ports, and says what became of it to the primary.
 *
 * It ends when it is told to, or when the primary is gone: then after what is under way.
 */
import { type Binds, createBinds, type PreparedBinds } from '../binds.ts'
import type { ReadText } from '../compile-upstream.ts'
import { createDataPlane, type DataPlane, metricsOf, type Next } from '../data-plane.ts'
import { createLogger, parseLevels } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createReporting } from '../telemetry/metrics-report.ts'
import { createRegistry } from '../telemetry/registry.ts'
import type { Link } from './link.ts'
import type { ConfigAndFiles, Questions, Start, Told } from './messages.ts'
import { createReporter, type Reporter } from './reporter.ts'

export interface WorkerOptions {
  readonly link: Link<Questions, Told>
  /** For files that the primary has not read. */
  readonly readText: ReadText
}

export interface WorkerProcess {
  /** Something that nobody expected, and that the process survives. */
  readonly unexpected: (error: unknown) => void
  /** Last words: sends what is not reported yet, without the event loop. */
  readonly reportNow: () => void
  /** Everything is done, and the process can end. */
  readonly ended: Promise<void>
}

interface Serving {
  readonly plane: DataPlane
  readonly binds: Binds
  readonly reporter: Reporter
  readonly unexpected: (error: unknown) => void
}

export function createWorker({ link, readText }: WorkerOptions): WorkerProcess {
  let files: ReadonlyMap<string, string> = new Map()
  let serving: Serving | undefined
  let prepared: { readonly next: Next; readonly binds: PreparedBinds } | undefined
  let ending: Promise<void> | undefined

  async function prepare({ plane, binds }: Serving, given: ConfigAndFiles): Promise<void> {
    files = given.files
    const next = plane.prepare(given.config)
    prepared = { next, binds: await binds.prepare(next.binds) }
  }

  function adopt(): void {
    prepared?.binds.adopt()
    prepared?.next.adopt()
    prepared = undefined
  }

  let ports: Start['ports'] = {}

  link.onAsk('start', async (start) => {
    ports = start.ports
    files = start.first.files
    const made = serve(start, link, {
      readText: (path) => files.get(path) ?? readText(path),
      portFor: (key) => ports[key],
    })
    serving = made
    if (start.current === undefined) {
      const initial = made.plane.initial()
      prepared = { next: initial, binds: await made.binds.prepare(initial.binds) }
    } else await prepare(made, start.current)
    adopt()
  })
  link.onAsk('prepare', async (next) => {
    ports = next.ports
    if (serving !== undefined) await prepare(serving, next)
  })
  link.onAsk('adopt', adopt)
  link.onAsk('abandon', () => {
    prepared?.binds.abandon()
    prepared = undefined
  })
  link.onAsk('alive', () => {})
  link.onAsk('report', () => serving?.reporter.report())

  async function end(): Promise<void> {
    if (serving === undefined) return
    const { plane, binds, reporter } = serving
    await plane.drain(binds)
    await plane.close()
    reporter.close()
    reporter.report()
  }

  link.onAsk('drain', () => {
    ending ??= end()
    return ending
  })

  return {
    unexpected: (error) => serving?.unexpected(error),
    reportNow() {
      serving?.reporter.report()
      link.flush()
    },
    ended: link.closed.then(() => {
      ending ??= end()
      return ending
    }),
  }
}

interface Surroundings {
  readonly readText: ReadText
  readonly portFor: (key: string) => number | undefined
}

function serve(start: Start, link: Link<Questions, Told>, { readText, portFor }: Surroundings): Serving {
  const { settings, environment, version } = start
  const { config } = start.first
  let metrics: Metrics | undefined
  const reporting = createReporting()
  let tell = () => {}
  const reporter = createReporter(
    link,
    reporting,
    (signal, count) => metrics?.telemetryDropped(signal, count),
    () => tell(),
  )
  const logger = createLogger({
    levels: parseLevels(settings.logLevel),
    format: settings.logFormat,
    write: reporter.write,
  })
  const registry = createRegistry({ onSeries: reporting.onSeries })
  metrics = metricsOf(config, { registry, version, logger })
  const plane = createDataPlane({
    config,
    settings,
    environment,
    version,
    readText,
    logger,
    accessLog: reporter,
    registry,
    metrics,
    keep: start.keeps ? reporter.keep : undefined,
    primary: { link, reception: start.reception },
  })
  tell = plane.tell
  const binds = createBinds({
    settings,
    reusePort: start.reusePort,
    portFor,
    onRequest: plane.begin,
    onBadRequest: plane.refused,
    onConnection: plane.connected,
  })
  plane.onFinished(binds.closeIdle)
  return {
    plane,
    binds,
    reporter,
    unexpected: (error) =>
      logger.error('gateway', 'unexpected error', {
        error: error instanceof Error ? error : new Error(String(error)),
      }),
  }
}
