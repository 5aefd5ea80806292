/** A real PostgreSQL server for tests, where one is installed. It refuses to run as root, so it runs as nobody. */
import { execFile, spawn } from 'node:child_process'
import { chownSync, existsSync, globSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'

const NOBODY = 65_534

/** Where its programs are; undefined when there are none, or root cannot become somebody else. */
export function findPostgres(): string | undefined {
  const folders = [
    ...globSync('/usr/lib/postgresql/*/bin').sort().reverse(),
    '/usr/local/bin',
    '/usr/bin',
    '/opt/homebrew/bin',
  ]
  const folder = folders.find((one) => existsSync(join(one, 'initdb')) && existsSync(join(one, 'postgres')))
  return isRoot && !existsSync('/usr/bin/setpriv') ? undefined : folder
}

const isRoot = process.getuid?.() === 0

const asNobody = (program: string, args: readonly string[]): [string, string[]] =>
  isRoot
    ? ['/usr/bin/setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', program, ...args]]
    : [program, [...args]]

export interface Postgres {
  /** Of a new, empty database. */
  readonly newUrl: () => Promise<string>
  readonly stop: () => Promise<void>
  readonly start: () => Promise<void>
  /** Stops it and removes all. */
  readonly close: () => Promise<void>
}

export async function startPostgres(programs: string): Promise<Postgres> {
  const data = await mkdtemp(join(tmpdir(), 'postgres-'))
  if (isRoot) chownSync(data, NOBODY, NOBODY)
  const port = await freePort()
  await promisify(execFile)(
    ...asNobody(join(programs, 'initdb'), [
      '-D',
      data,
      '-U',
      'postgres',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--no-sync',
    ]),
    { cwd: '/' },
  )
  let server: ReturnType<typeof spawn> | undefined
  let databases = 0

  async function start(): Promise<void> {
    const started = spawn(
      ...asNobody(join(programs, 'postgres'), [
        ...['-D', data, '-k', data, '-h', '127.0.0.1', '-p', String(port)],
        ...['-c', 'fsync=off', '-c', 'max_connections=50'],
      ]),
      { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' },
    )
    server = started
    await new Promise<void>((resolve, reject) => {
      let said = ''
      started.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (said.includes('ready to accept connections')) resolve()
      })
      started.on('exit', () => reject(new Error(`PostgreSQL ended: ${said}`)))
    })
  }

  async function stop(): Promise<void> {
    const running = server
    server = undefined
    if (running === undefined || running.exitCode !== null) return
    const ended = new Promise((resolve) => running.once('exit', resolve))
    // At once, whoever is connected.
    running.kill('SIGINT')
    await ended
  }

  await start()
  return {
    start,
    stop,
    async newUrl() {
      databases += 1
      const name = `store_${databases}`
      const client = new pg.Client(`postgres://postgres@127.0.0.1:${port}/postgres`)
      await client.connect()
      await client.query(`CREATE DATABASE ${name}`)
      await client.end()
      return `postgres://postgres:secret@127.0.0.1:${port}/${name}`
    },
    async close() {
      await stop()
      await rm(data, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
