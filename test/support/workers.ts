/** A gateway of several processes, and what it says of itself. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import {
  type Command,
  type CommandOptions,
  type LogLine,
  type Ready,
  ready,
  says,
  startCommand,
} from './command.ts'
import { send } from './wire.ts'

export interface Crew extends Ready {
  readonly command: Command
  /** Of its data, and of what is there for a while only. */
  readonly folder: string
  /** Processes that the command has started. */
  readonly pids: () => number[]
  /** As printed; `''` are those without labels. */
  readonly samples: (accept?: string) => Promise<ReadonlyMap<string, number>>
  /** The sum over the series of a family. */
  readonly sum: (name: string) => Promise<number>
  readonly records: () => LogLine[]
  /** Requests that are kept. */
  readonly kept: () => Promise<number>
}

const folders: string[] = []
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

const isRecord = (line: LogLine) => line.scope === 'request'

/** With a store of its own. */
export async function startCrew(args: readonly string[], options: CommandOptions = {}): Promise<Crew> {
  const folder = mkdtempSync(join(tmpdir(), 'agentgateway-workers-'))
  folders.push(folder)
  const command = startCommand(args, {
    ...options,
    environment: { AGENTGATEWAY_DATA_DIR: folder, TMPDIR: folder, ...options.environment },
  })
  const where = await ready(command)

  async function samples(accept = 'text/plain') {
    const { body } = await send(`${where.statsUrl}/metrics`, { headers: { accept } })
    const found = new Map<string, number>()
    for (const line of body.split('\n')) {
      const [, name = '', value] = /^([^#\s{]+(?:\{.*?\})?) (\S+)/.exec(line) ?? []
      if (name === '') continue
      expect(found.has(name), name).toBe(false)
      found.set(name, Number(value))
    }
    return found
  }

  return {
    ...where,
    command,
    folder,
    pids: () => childrenOf(command.pid),
    samples,
    async sum(name) {
      let sum = 0
      for (const [series, value] of await samples())
        if (series === name || series.startsWith(`${name}{`)) sum += value
      return sum
    },
    records: () => command.lines().filter(isRecord),
    async kept() {
      const { body } = await send(`${where.adminUrl}/api/runtime`)
      return JSON.parse(body).store.requests
    },
  }
}

export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

/** Resolves when there is no such process any more, for whoever it was a child of. */
export const isGone = (pid: number): Promise<void> =>
  expect.poll(() => isThere(pid), { timeout: 20_000, interval: 20 }).toBe(false)

function isThere(pid: number): boolean {
  try {
    // One that nobody has asked about yet is dead all the same.
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

/** So many workers have ended and been replaced. */
export async function replaced(crew: Crew, count: number): Promise<void> {
  const isReplaced = says('took the place of one that ended')
  await crew.command.line(() => crew.command.lines().filter(isReplaced).length >= count)
}

/** A client on one connection, until it breaks. */
export function client(url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    /** Rejects when the connection breaks; the next one has another. */
    get: (path: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const asked = request(`${url}${path}`, { agent }, (response) => {
          let body = ''
          response.setEncoding('utf8')
          response.on('data', (piece) => {
            body += piece
          })
          response.on('end', () => resolve(body))
          response.on('error', reject)
        })
        asked.on('error', reject)
        asked.end()
      }),
    close: () => agent.destroy(),
  }
}
