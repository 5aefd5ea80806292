/**
 * Worker processes, as the primary sees them: started, watched, replaced when they end, and told of each new
 * configuration, which all of them take or none.
 */
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BindPorts, hostFor, keysOf } from '../binds.ts'
import type { Bind } from '../compile.ts'
import type { Settings } from '../config/settings.ts'
import type { DataPlane, Doors } from '../data-plane.ts'
import type { Entrance, PreparedEntrance } from '../entrance.ts'
import type { Keeping } from '../keeping.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics, WorkerEnd } from '../telemetry/metrics.ts'
import { mergeInto } from '../telemetry/metrics-report.ts'
import type { Registry } from '../telemetry/registry.ts'
import { channelOf, createLink, type Link } from './link.ts'
import type { ConfigAndFiles, Questions, Start, Told } from './messages.ts'
import { exitOf, spawnWorker, spreadsConnections, type WorkerExit } from './processes.ts'
import { watchPulse } from './pulse.ts'
import { openReception, type Reception } from './reception.ts'
import { agreed, isClosed, within } from './waiting.ts'

/** What the command says of workers. */
export interface WorkersChoice {
  readonly count: number
  /** What they run. */
  readonly entry: URL
  readonly platform: NodeJS.Platform
  /** Takes whole lines for the log, so many. */
  readonly writeLines: (bytes: Uint8Array, lines: number) => void
}

export interface WorkersOptions extends WorkersChoice {
  /** Of this process: it serves what is not for workers. */
  readonly plane: DataPlane
  readonly settings: Settings
  readonly environment: Start['environment']
  readonly version: string
  readonly registry: Registry
  readonly metrics: Metrics
  readonly logger: Logger
  readonly keeping: Keeping
}

/** A worker that does not begin to serve within this time never will. */
const START_MS = 60_000
/** To compile a configuration, and to take it over. One that hangs is found out before. */
const CHANGE_MS = 30_000
/** To say what happened; a scrape waits no longer than this. */
const REPORT_MS = 1000
/** For the end of a worker that has nothing more to do. */
const END_MS = 5000
const FIRST_PAUSE_MS = 100
const LAST_PAUSE_MS = 10_000
/** One that has lived so long is replaced as quickly as the first. */
const LONG_LIFE_MS = 30_000

const IN_FLIGHT = 'agentgateway_requests_in_flight'

interface Worker {
  readonly pid: number | undefined
  readonly link: Link<Questions, Told>
  readonly disconnect: () => void
  /** It is gone, and all that it said has been heard. */
  readonly ended: Promise<WorkerExit>
  readonly inFlight: () => number
  /** What it measured is measured no more. */
  readonly forget: () => void
  readonly kill: () => void
  isServing: boolean
  isUnresponsive: boolean
}

export function createWorkers(options: WorkersOptions): Entrance {
  const { count, entry, platform, logger, metrics, registry, plane, settings, environment, version } = options
  const { store } = options.keeping
  const reusePort = spreadsConnections(platform)
  const workers = new Set<Worker>()
  const ending = new AbortController()
  let first: ConfigAndFiles | undefined
  let current: ConfigAndFiles | undefined
  let ports: BindPorts = {}
  /** Open as long as there may be workers. */
  let reception: Reception | undefined
  /** One worker starts at a time, and none while the configuration changes. */
  let turn: Promise<unknown> = Promise.resolve()

  function inTurn<T>(step: () => Promise<T>): Promise<T> {
    const done = turn.then(step)
    turn = done.catch(() => {})
    return done
  }

  const serving = () => [...workers].filter(({ isServing }) => isServing)

  function spawn(): Worker {
    const child = spawnWorker(entry, reusePort)
    const link: Link<Questions, Told> = createLink(channelOf(child))
    plane.countFor(link)
    const merging = mergeInto(registry)
    link.onTell('report', ({ metrics: changed, log, records }) => {
      if (changed !== undefined) merging.take(changed)
      if (log !== undefined) options.writeLines(log.bytes, log.lines)
      for (const batch of records) store?.take(batch)
    })
    const worker: Worker = {
      pid: child.pid,
      link,
      disconnect() {
        if (child.connected) child.disconnect()
      },
      inFlight: () => merging.levelOf(IN_FLIGHT),
      forget: merging.gone,
      // What it said last may be read after its end is known.
      ended: Promise.all([exitOf(child), link.closed]).then(([exit]) => exit),
      kill: () => void child.kill('SIGKILL'),
      isServing: false,
      isUnresponsive: false,
    }
    const pulse = watchPulse(
      // Whether it begins to serve at all is waited for by who has started it.
      () => (worker.isServing ? void link.ask('alive', undefined).catch(() => {}) : pulse.heard()),
      () => giveUp(worker),
    )
    child.on('message', pulse.heard)
    workers.add(worker)
    void worker.ended.then(() => {
      pulse.stop()
      workers.delete(worker)
      metrics.workersServing(serving().length)
    })
    return worker
  }

  function giveUp(worker: Worker): void {
    worker.isUnresponsive = true
    worker.kill()
  }

  /** Rejects when it cannot serve; then it is gone. */
  async function startOne(): Promise<Worker> {
    if (first === undefined || reception === undefined) throw new Error('there is no configuration yet')
    const worker = spawn()
    try {
      const started = worker.link.ask('start', {
        first,
        current: current === first ? undefined : current,
        settings,
        environment: { ...environment },
        version,
        keeps: store !== undefined,
        reception: reception.address,
        reusePort,
        ports,
      })
      await within(START_MS, started, 'a worker did not start')
    } catch (error) {
      worker.kill()
      const exit = await worker.ended
      worker.forget()
      if (!isClosed(error)) throw error
      throw new Error(`a worker process ended before it could serve: ${inWords(exit)}`, { cause: error })
    }
    worker.isServing = true
    metrics.workersServing(serving().length)
    return worker
  }

  async function replaceWhenGone(first: Worker): Promise<void> {
    let worker: Worker | undefined = first
    let pauseMs = FIRST_PAUSE_MS
    let startedAt = performance.now()
    for (;;) {
      if (worker !== undefined) {
        const exit = await worker.ended
        const requests = worker.inFlight()
        worker.forget()
        if (ending.signal.aborted) return
        const reason = endOf(worker, exit)
        metrics.workerRestarted(reason)
        if (performance.now() - startedAt >= LONG_LIFE_MS) pauseMs = FIRST_PAUSE_MS
        logger.warn('workers', 'a worker process ended: another takes its place', {
          reason,
          pid: worker.pid,
          ...(exit.code !== null && { code: exit.code }),
          ...(exit.signal !== null && { signal: exit.signal }),
          requests,
          pauseMs,
        })
        worker = undefined
      }
      await sleep(pauseMs, undefined, { signal: ending.signal }).catch(() => {})
      pauseMs = Math.min(LAST_PAUSE_MS, pauseMs * 2)
      if (ending.signal.aborted) return
      startedAt = performance.now()
      try {
        worker = await inTurn(async () => (ending.signal.aborted ? undefined : startOne()))
        if (worker === undefined) return
        logger.info('workers', 'a worker process took the place of one that ended', { pid: worker.pid })
      } catch (error) {
        if (ending.signal.aborted) return
        metrics.workerRestarted('start')
        logger.error('workers', 'a worker process could not start: it is tried again', {
          problem: error instanceof Error ? error.message : String(error),
          pauseMs,
        })
      }
    }
  }

  async function startAll(): Promise<void> {
    const started = await Promise.allSettled(Array.from({ length: count }, startOne))
    const failed = started.find(({ status }) => status === 'rejected')
    if (failed?.status === 'rejected') {
      killAll()
      await Promise.all([...workers].map(({ ended }) => ended))
      throw failed.reason
    }
    for (const one of started) if (one.status === 'fulfilled') void replaceWhenGone(one.value)
  }

  async function change(next: ConfigAndFiles, nextPorts: BindPorts): Promise<PreparedEntrance> {
    const all = serving()
    const abandon = () => {
      for (const { link } of all) void link.ask('abandon', undefined).catch(() => {})
    }
    try {
      await agreed(
        all.map(({ link }) =>
          within(CHANGE_MS, link.ask('prepare', { ...next, ports: nextPorts }), NO_ANSWER, ending.signal),
        ),
      )
    } catch (error) {
      abandon()
      throw error
    }
    return {
      abandon,
      async adopt() {
        current = next
        ports = nextPorts
        await Promise.all(
          all.map((worker) =>
            within(CHANGE_MS, worker.link.ask('adopt', undefined), NO_ANSWER, ending.signal).catch(
              (error: unknown) => {
                // One that does not do what it said it could is replaced by one that does.
                if (!isClosed(error) && !ending.signal.aborted) giveUp(worker)
              },
            ),
          ),
        )
      },
    }
  }

  async function drainAll(): Promise<void> {
    const { connectionMinTerminationDeadlineMs: min, connectionTerminationDeadlineMs: max } = settings
    for (const worker of workers) if (!worker.isServing) worker.kill()
    await turn
    await Promise.all(
      [...workers].map(async (worker) => {
        const drained = worker.link.ask('drain', undefined)
        await within(Math.max(min, max) + END_MS, drained, '').catch(() => {})
        worker.disconnect()
        await within(END_MS, worker.ended, '').catch(worker.kill)
        await worker.ended
        worker.forget()
      }),
    )
  }

  const killAll = () => {
    for (const { kill } of workers) kill()
  }
  process.on('exit', killAll)

  return {
    async prepare({ config, files, binds }) {
      const next = { config, files }
      const release = Promise.withResolvers<void>()
      // Until it is adopted or abandoned nobody else has a turn.
      const prepared = inTurn(async () => {
        const nextPorts = await choosePorts(binds, ports, hostFor(settings))
        if (first !== undefined) return change(next, nextPorts)
        first = next
        current = next
        ports = nextPorts
        reception = await openReception(plane.receive)
        await startAll().catch(async (error: unknown) => {
          await reception?.close()
          throw error
        })
        return NOTHING_MORE
      })
      void inTurn(() => release.promise)
      try {
        const { adopt, abandon } = await prepared
        return {
          async adopt() {
            await adopt()
            release.resolve()
          },
          abandon() {
            abandon()
            release.resolve()
          },
        }
      } catch (error) {
        release.resolve()
        throw error
      }
    },
    ports: () => ports,
    notReady: () => (serving().length === 0 ? 'no worker process' : undefined),
    async refresh() {
      await Promise.allSettled(
        serving().map(({ link }) => within(REPORT_MS, link.ask('report', undefined), '')),
      )
    },
    async drain() {
      ending.abort()
      await Promise.all([plane.drain(NO_DOORS), drainAll()])
      await reception?.close()
      process.off('exit', killAll)
    },
  }
}

/** Everything is done. */
const NOTHING_MORE: PreparedEntrance = { adopt() {}, abandon() {} }

/** This process listens nowhere. */
const NO_DOORS: Doors = { stop() {}, destroy: () => Promise.resolve() }

const NO_ANSWER = 'a worker did not answer'

const inWords = ({ code, signal, problem }: WorkerExit) => problem ?? signal ?? `exit code ${code}`

function endOf({ isUnresponsive }: Worker, { signal }: WorkerExit): WorkerEnd {
  if (isUnresponsive) return 'unresponsive'
  return signal === null ? 'exit' : 'signal'
}

/**
 * A port for each bind. Workers share theirs with whoever asks to share them: whether somebody else has one is seen only
 * by who wants it alone, for a moment. Rejects with the system's error.
 */
async function choosePorts(
  binds: readonly Bind[],
  known: BindPorts,
  host: string | undefined,
): Promise<BindPorts> {
  const own = new Set(Object.values(known))
  const chosen: Record<string, number> = {}
  for (const [index, key] of keysOf(binds).entries()) {
    const port = binds[index]?.port ?? 0
    // With another protocol than before the port has another key, and is still our own.
    chosen[key] = known[key] ?? (own.has(port) ? port : await freeFor(port, host))
  }
  return chosen
}

function freeFor(port: number, host: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port, host, exclusive: true }, () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
