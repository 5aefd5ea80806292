/**
 * observability/docker-compose.yml without Docker: each service is a native process with the command line, the
 * environment and the files that the compose file gives it.
 *
 * What a container network does is done by loopback addresses: each service has one of its own (127.0.0.0/8, which
 * Linux answers without set-up), service names and wildcard addresses in the mounted files and in the command become
 * that address, and mounted paths become paths of a temporary folder. Nothing else is changed. Ports stay as they are.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

export const OBSERVABILITY = fileURLToPath(new URL('../../observability/', import.meta.url))

interface Service {
  readonly image: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
}

interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>
}

const composeFile = parse(readFileSync(join(OBSERVABILITY, 'docker-compose.yml'), 'utf8'), {
  merge: true,
}) as ComposeFile

const names = Object.keys(composeFile.services)
/** The address that stands for a service's container. */
export const addressOf = (service: string) => `127.0.0.${names.indexOf(service) + 2}`

export interface Running {
  readonly service: string
  readonly process: ChildProcess
  /** Everything it has written, for a failing test's sake. */
  readonly logFile: string
  /** SIGTERM, and resolves when it is gone. */
  readonly stop: () => Promise<void>
}

export interface Compose {
  /** Runs `program` as the container's entry point would be. */
  readonly start: (service: string, program: readonly string[], extra?: StartOptions) => Running
  readonly close: () => Promise<void>
}

/** Ends a program when this process is gone, however that came to be. Only Linux can; elsewhere there is none. */
const LEASH =
  spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0
    ? ['setpriv', '--pdeathsig', 'KILL', '--']
    : []

/** As long as Docker waits. */
const STOP_MS = 10_000

interface StartOptions {
  /** Further arguments, for what a program cannot be told otherwise. */
  readonly args?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

export function createCompose(): Compose {
  const folder = mkdtempSync(join(tmpdir(), 'agentgateway-stack-'))
  const running = new Set<Running>()

  function start(service: string, program: readonly string[], options: StartOptions = {}): Running {
    const definition = composeFile.services[service]
    if (definition === undefined) throw new Error(`docker-compose.yml has no service ${service}`)
    const home = join(folder, service)
    mkdirSync(home, { recursive: true })
    const mounts = (definition.volumes ?? []).map((volume) => {
      const [source = '', target = ''] = volume.split(':')
      return { source, target }
    })
    const map = mapper(
      service,
      home,
      mounts.map(({ target }) => target),
    )
    for (const { source, target } of mounts) {
      const place = join(home, target)
      if (source.startsWith('.')) mount(join(OBSERVABILITY, source), place, map)
      else mkdirSync(place, { recursive: true })
    }
    const environment = Object.entries(definition.environment ?? {}).map(([name, value]) => [
      name,
      defaultOf(value),
    ])
    const [file = '', ...before] = [...LEASH, ...program]
    const logFile = join(folder, `${service}.log`)
    const log = createWriteStream(logFile, { flags: 'a' })
    const child = spawn(file, [...before, ...(definition.command ?? []).map(map), ...(options.args ?? [])], {
      cwd: home,
      env: { PATH: process.env.PATH, HOME: home, ...Object.fromEntries(environment), ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
    const one: Running = {
      service,
      process: child,
      logFile,
      async stop() {
        running.delete(one)
        child.kill('SIGTERM')
        const impatient = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
        try {
          await gone
        } finally {
          clearTimeout(impatient)
        }
      },
    }
    running.add(one)
    return one
  }

  return {
    start,
    async close() {
      await Promise.all([...running].map((one) => one.stop()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

type Mapper = (text: string) => string

function mapper(service: string, home: string, targets: readonly string[]): Mapper {
  const hosts = new RegExp(String.raw`(?<![\w.-])(${names.join('|')}|localhost|0\.0\.0\.0)(?=:\d)`, 'g')
  const own = addressOf(service)
  // An empty alternative would match everywhere.
  const paths =
    targets.length === 0 ? /$^/g : new RegExp(String.raw`(?<![\w/.-])(${targets.join('|')})(?![\w.-])`, 'g')
  return (text) =>
    text
      .replaceAll(hosts, (host) => (names.includes(host) ? addressOf(host) : own))
      // Where host and port are two keys, or two arguments.
      .replaceAll(/^(\s*host: )?0\.0\.0\.0$/gm, `$1${own}`)
      .replaceAll(paths, (path) => join(home, path))
}

function mount(source: string, place: string, map: Mapper): void {
  if (statSync(source).isDirectory()) {
    for (const name of readdirSync(source)) mount(join(source, name), join(place, name), map)
    return
  }
  mkdirSync(dirname(place), { recursive: true })
  if (/\.ya?ml$/.test(source)) writeFileSync(place, map(readFileSync(source, 'utf8')))
  else cpSync(source, place)
}

/** `${NAME:-default}` with nothing set. */
const defaultOf = (value: string) => value.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')
