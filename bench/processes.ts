/**
 * The stage on which a benchmark plays: its children, pinned to CPUs, its temporary directory, its tools.
 *
 * Ends its own children by their process ids and nothing else, also when the benchmark itself is interrupted.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  cpSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { allowedCpus } from './accounting.ts'
import { raised } from './open-files.ts'

/** `anywhere`: on any of the CPUs, beside the others. */
export type Place = 'proxy' | 'load' | 'upstream' | 'anywhere'
export type Cpus = Readonly<Record<Exclude<Place, 'anywhere'>, number>>
export type Tool = 'nginx' | 'wrk' | 'taskset' | 'chrt'

export interface StartOptions {
  /** Names its output files. */
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly on: Place
  /** Gets what the load generator leaves of their CPU, where they share one. */
  readonly givesWay?: boolean
  /** How many files it will have open, where that is many. */
  readonly openFiles?: number
}

export interface Child {
  readonly pid: number
  /** Of standard output; rejects when the process ends before it writes one. */
  readonly firstLine: () => Promise<string>
  /** Standard output when the process has ended; rejects when that was a failure. */
  readonly output: () => Promise<string>
  /** Undefined while it runs. */
  readonly failure: () => string | undefined
  readonly stop: () => Promise<void>
}

export interface Stage {
  readonly directory: string
  /** A copy of the sources, made at the start: whoever edits them meanwhile does not change what is measured. */
  readonly source: string
  /** The command, compiled from that copy as the package has it: sources run in a calmer V8 (`core/worker-url.ts`). */
  readonly main: string
  /** Of `children/probe.ts`, for `--import`. */
  readonly probeUrl: string
  readonly tools: Readonly<Partial<Record<Tool, string>>>
  /** Undefined where nothing can be pinned. */
  readonly cpus: Cpus | undefined
  readonly start: (options: StartOptions) => Child
  readonly runningPids: () => readonly number[]
  readonly close: () => Promise<void>
}

const STOP_MS = 8000

function find(tool: Tool): string | undefined {
  // Where distributions put nginx is often missing from the path of a user.
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return directories
    .map((directory) => join(directory, tool))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** The proxy alone on one CPU; the upstream gets its own as well when there is a third. */
function chooseCpus(taskset: string | undefined): Cpus | undefined {
  const [proxy, load, upstream] = allowedCpus() ?? []
  if (taskset === undefined || proxy === undefined || load === undefined) return undefined
  return { proxy, load, upstream: upstream ?? load }
}

/**
 * In front of a command. Who gives way does so at once (SCHED_IDLE, for which nobody needs rights): else a generator that is
 * woken to send would wait for milliseconds until the other's time slice ends.
 */
function prefix(
  { taskset, chrt }: Stage['tools'],
  cpus: Cpus | undefined,
  { on, givesWay = false }: Pick<StartOptions, 'on' | 'givesWay'>,
): readonly string[] {
  if (cpus === undefined || taskset === undefined) return []
  const isBehind = givesWay && cpus.upstream === cpus.load && chrt !== undefined
  return [taskset, '-c', placeOf(cpus, on), ...(isBehind ? [chrt, '--idle', '0'] : [])]
}

const placeOf = (cpus: Cpus, on: Place) =>
  on === 'anywhere' ? [...new Set(Object.values(cpus))].join(',') : String(cpus[on])

function copySources(to: string): string {
  const from = fileURLToPath(new URL('..', import.meta.url))
  for (const name of ['src', 'bench', 'package.json', 'tsconfig.json', 'rolldown.config.ts'])
    cpSync(join(from, name), join(to, name), { recursive: true })
  symlinkSync(join(from, 'node_modules'), join(to, 'node_modules'))
  return to
}

function compile(source: string): string {
  const bundler = join(source, 'node_modules/rolldown/bin/cli.mjs')
  execFileSync(process.execPath, [bundler, '-c', 'rolldown.config.ts'], {
    cwd: source,
    stdio: ['ignore', 2, 2],
  })
  return join(source, 'dist/cli/agentgateway.js')
}

export function openStage(): Stage {
  const directory = mkdtempSync(join(tmpdir(), 'agentgateway-bench-'))
  // A worker of nginx that was started by root runs as somebody else.
  chmodSync(directory, 0o755)
  const source = copySources(join(directory, 'source'))
  const tools = { nginx: find('nginx'), wrk: find('wrk'), taskset: find('taskset'), chrt: find('chrt') }
  const cpus = chooseCpus(tools.taskset)
  const running = new Set<ChildProcess>()
  let started = 0

  if (cpus !== undefined && tools.taskset !== undefined) {
    execFileSync(tools.taskset, ['-a', '-p', '-c', String(cpus.load), String(process.pid)], {
      stdio: 'ignore',
    })
  }

  function start({ name, command, openFiles, ...place }: StartOptions): Child {
    const whole = [...prefix(tools, cpus, place), ...command]
    const [file = '', ...rest] = openFiles === undefined ? whole : raised(openFiles, whole)
    const base = join(directory, `${name}-${++started}`)
    const out = openSync(`${base}.out`, 'w')
    const err = openSync(`${base}.err`, 'w')
    // No variable of ours may configure what is measured.
    const env = { PATH: process.env.PATH, HOME: process.env.HOME }
    const child = spawn(file, rest, { stdio: ['ignore', out, err], env })
    closeSync(out)
    closeSync(err)
    const { pid } = child
    if (pid === undefined) throw new Error(`cannot start ${name}`)
    running.add(child)
    let failure: string | undefined
    const ended = new Promise<void>((resolve) => {
      child.once('exit', (code, signal) => {
        running.delete(child)
        failure = `${name} ended (${signal ?? code}): ${readFileSync(`${base}.err`, 'utf8').slice(-2000)}`
        resolve()
      })
    })
    return {
      pid,
      failure: () => failure,
      async firstLine() {
        const [line] = await waitFor(`${name}: first line`, () => {
          if (failure !== undefined) throw new Error(failure)
          return /^.*\n/.exec(readFileSync(`${base}.out`, 'utf8')) ?? undefined
        })
        return line
      },
      async output() {
        await ended
        if (child.exitCode !== 0) throw new Error(failure)
        return readFileSync(`${base}.out`, 'utf8')
      },
      async stop() {
        if (failure === undefined) await stopped(child)
      },
    }
  }

  const killAll = () => {
    // Not SIGKILL: nginx would leave its worker behind.
    for (const child of running) child.kill('SIGTERM')
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', killAll)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

  return {
    directory,
    source,
    main: compile(source),
    probeUrl: pathToFileURL(join(source, 'bench/children/probe.ts')).href,
    tools,
    cpus,
    start,
    runningPids: () => [...running].flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
    async close() {
      await Promise.all([...running].map(stopped))
      rmSync(directory, { recursive: true, force: true })
      process.off('exit', killAll)
    },
  }
}

/** By SIGKILL nginx would leave its worker behind: that comes later, for who does not want to end. */
async function stopped(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const impatient = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await ended
  clearTimeout(impatient)
}

const PATIENCE_MS = 20_000

/** Asks every few milliseconds; what `check` throws ends the wait. */
export async function waitFor<T>(
  what: string,
  check: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const found = await check()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`${what}: nothing within ${PATIENCE_MS / 1000} s`)
    await new Promise<void>((resolve) => setTimeout(resolve, 2))
  }
}

/** Free a moment ago: the gateway says its port in a log that some cells switch off. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}
