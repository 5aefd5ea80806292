/** `agentgateway run`: load, start, watch, and an orderly end. */
import { readFileSync } from 'node:fs'
import { availableParallelism, homedir } from 'node:os'
import { compile } from '../compile.ts'
import { DEFAULT_CONFIG } from '../config/default-config.ts'
import { formatProblems, problemsAsJson } from '../config/format.ts'
import { loadConfig, type Problem } from '../config/load.ts'
import { settings } from '../config/settings.ts'
import { watchFiles } from '../config/watch.ts'
import { ConfigProblem } from '../core/config-problem.ts'
import { workerCount } from '../core/schema.ts'
import { workerUrl } from '../core/worker-url.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { LogWriter } from '../telemetry/log-writer.ts'
import { createLogger, type Logger, parseLevels } from '../telemetry/logger.ts'
import type { ConfigChoice } from './arguments.ts'
import { defaultDatabase } from './data-directory.ts'
import { collectSeldom } from './garbage.ts'

export interface RunOptions {
  readonly source: ConfigChoice
  /** How many processes serve requests; undefined: as the configuration says. */
  readonly workers: number | undefined
  readonly platform: NodeJS.Platform
  readonly validateOnly: boolean
  readonly json: boolean
  readonly version: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

const FAILED = 1
const WRONG = 2

/** What ends a gateway, and the status that says so where nothing was under way yet. */
const ENDING = ['SIGTERM', 'SIGINT'] as const
const ENDED_BY: Partial<Record<NodeJS.Signals, number>> = { SIGTERM: 143, SIGINT: 130 }

const sourceName = (source: ConfigChoice) =>
  source.kind === 'file'
    ? source.file === '-'
      ? '<stdin>'
      : source.file
    : source.kind === 'inline'
      ? '<command line>'
      : '<default>'

function readSource(source: ConfigChoice): string {
  if (source.kind === 'inline') return source.text
  if (source.kind === 'default') return DEFAULT_CONFIG
  return readFileSync(source.file === '-' ? 0 : source.file, 'utf8')
}

/** Reads configured files and remembers which, for the watch. */
function fileReader() {
  const files = new Set<string>()
  return {
    files,
    readText(path: string): string {
      files.add(path)
      return readFileSync(path, 'utf8')
    },
  }
}

/** The text as a configuration that can be run: loaded, and compiled once to see that it can be put to use. */
function load(text: string, options: RunOptions) {
  const loaded = loadConfig({
    text,
    file: sourceName(options.source),
    environment: options.environment,
    home: homedir(),
  })
  if (!loaded.ok) return loaded
  const reader = fileReader()
  try {
    compile(loaded.config, reader.readText)
    return { ...loaded, files: reader.files }
  } catch (error) {
    if (error instanceof ConfigProblem) return { ok: false as const, problems: [loaded.placed(error)] }
    throw error
  }
}

function report(problems: readonly Problem[], text: string, options: RunOptions): void {
  const { stderr } = options
  if (options.json) stderr.write(`${problemsAsJson(problems)}\n`)
  else {
    stderr.write(
      formatProblems(problems, {
        text,
        colour: stderr.isTTY === true && options.environment.NO_COLOR === undefined,
      }),
    )
    stderr.write(
      `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'} in the configuration\n`,
    )
  }
}

const told = ({ file, line, column, path, message, hint }: Problem) => ({
  place: `${file}:${line}:${column}`,
  path,
  message: hint === undefined ? message : `${message} (${hint})`,
})

const describe = (error: unknown) => (error instanceof Error ? error.message : String(error))

function announce(gateway: Gateway, workers: number, options: RunOptions, logger: Logger): void {
  const { binds, stats, readiness, admin } = gateway.ports()
  logger.info('gateway', `agentgateway ${options.version} is ready`, {
    listening: binds.map((port) => `:${port}`).join(' ') || 'nowhere: the configuration has no binds',
    ...(workers > 1 && { workers }),
    ...(stats !== undefined && { metrics: `http://localhost:${stats}/metrics` }),
    ...(readiness !== undefined && { readiness: `http://localhost:${readiness}/healthz/ready` }),
    ...(admin !== undefined && { console: `http://localhost:${admin}/ui/` }),
  })
}

/** Resolves with the exit status. */
export async function run(options: RunOptions): Promise<number> {
  const { source, environment } = options
  let text: string
  try {
    text = readSource(source)
  } catch (error) {
    options.stderr.write(`agentgateway: cannot read the configuration: ${describe(error)}\n`)
    return WRONG
  }
  const loaded = load(text, options)
  if (!loaded.ok) {
    report(loaded.problems, text, options)
    return WRONG
  }
  if (options.validateOnly) {
    for (const warning of loaded.warnings) options.stderr.write(`warning: ${warning}\n`)
    options.stdout.write('Configuration is valid!\n')
    return 0
  }

  const resolved = settings(loaded.config, environment)
  let gateway: Gateway | undefined
  // Not left to the system, which would leave behind what is removed at the exit, and workers to find out by themselves.
  const stopEarly = (signal: NodeJS.Signals) => process.exit(ENDED_BY[signal])
  for (const signal of ENDING) process.on(signal, stopEarly)
  const accessLog = new LogWriter({ onDropped: (lines) => gateway?.logDropped(lines) })
  const logger = createLogger({
    levels: parseLevels(resolved.logLevel),
    format: resolved.logFormat,
    write: (line) => accessLog.write(line),
  })
  for (const warning of loaded.warnings) logger.warn('config', warning)
  if (source.kind === 'default')
    logger.info(
      'config',
      'no -f and no -c: OpenAI and Anthropic on port 3000, with the keys that clients send',
    )

  const count = options.workers ?? workerCount(resolved.workerThreads, availableParallelism())
  const reader = fileReader()
  const watched = source.kind === 'file' && source.file !== '-' ? [source.file] : []
  const watch = watchFiles([...watched, ...loaded.files], () => void reload())
  try {
    const database = resolved.database.url === undefined ? defaultDatabase(environment) : undefined
    if (database?.problem !== undefined)
      logger.warn('store', 'requests are kept in memory, and gone at the end', { problem: database.problem })
    gateway = await startGateway({
      config: loaded.config,
      settings: resolved,
      environment,
      version: options.version,
      readText: reader.readText,
      logger,
      accessLog,
      databaseUrl: database?.url ?? 'off',
      databaseFrom: database?.from,
      source: sourceName(source),
      workers:
        count === 1
          ? undefined
          : {
              count,
              entry: workerUrl('worker-process', import.meta.url),
              platform: options.platform,
              writeLines: (bytes, lines) => accessLog.writeAll(bytes, lines),
            },
    })
  } catch (error) {
    watch.close()
    await accessLog.flush(1000)
    if (error instanceof ConfigProblem) {
      report([loaded.placed(error)], text, options)
      return WRONG
    }
    options.stderr.write(`agentgateway: cannot start: ${describe(error)}\n`)
    return FAILED
  }
  const running = gateway
  running.warned(loaded.warnings)

  const refuse = (problem: Problem) =>
    logger.error('config', 'the new configuration is not valid: the running one stays in force', {
      place: `${problem.file}:${problem.line}:${problem.column}`,
      path: problem.path,
      problem: problem.message,
    })
  let reloading = Promise.resolve()
  function reload(): Promise<void> {
    reloading = reloading.then(async () => {
      let placed: ((problem: ConfigProblem) => Problem) | undefined
      try {
        const nextText = readSource(source)
        const next = load(nextText, options)
        if (!next.ok) {
          running.reloadFailed(next.problems.map(told))
          for (const problem of next.problems) refuse(problem)
          return
        }
        placed = next.placed
        await running.reload(next.config)
        watch.update([...watched, ...next.files])
        running.warned(next.warnings)
        for (const warning of next.warnings) logger.warn('config', warning)
        logger.info('config', 'configuration reloaded')
      } catch (error) {
        const problem = error instanceof ConfigProblem && placed !== undefined ? placed(error) : undefined
        running.reloadFailed([problem === undefined ? { message: describe(error) } : told(problem)])
        if (problem !== undefined) refuse(problem)
        else
          logger.error('config', 'the new configuration cannot be applied: the running one stays in force', {
            problem: describe(error),
          })
      }
    })
    return reloading
  }

  // One request's accident must not take the others' streams down with it.
  const survive = (error: unknown) =>
    logger.error('gateway', 'unexpected error', {
      error: error instanceof Error ? error : new Error(String(error)),
    })
  process.on('uncaughtException', survive)
  process.on('unhandledRejection', survive)

  const collectAsBefore = collectSeldom()
  announce(running, count, options, logger)
  const signal = await new Promise<string>((resolve) => {
    for (const signal of ENDING) {
      process.off(signal, stopEarly)
      process.once(signal, resolve)
    }
  })
  logger.info('gateway', `${signal}: draining`)
  const impatient = () => process.exit(ENDED_BY.SIGINT)
  // An orchestrator may say it twice; only a person at the keyboard wants it to be faster.
  process.on('SIGTERM', () => {})
  process.once('SIGINT', impatient)
  watch.close()
  collectAsBefore()
  await running.close()
  process.off('SIGINT', impatient)
  logger.info('gateway', 'stopped')
  await accessLog.flush(1000)
  return 0
}
