/** The real `agentgateway` command as a child process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export type LogLine = Readonly<Record<string, unknown>>

export interface Exit {
  /** Null when a signal killed it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Command {
  readonly pid: number
  readonly kill: (signal: NodeJS.Signals) => void
  /** The first JSON line of standard output, past or to come, that fits. Rejects when the command ends before. */
  readonly line: (fits: (line: LogLine) => boolean) => Promise<LogLine>
  readonly lines: () => LogLine[]
  readonly exited: Promise<Exit>
}

export interface Ready {
  readonly url: string
  readonly statsUrl: string
  readonly readinessUrl: string
  readonly adminUrl: string
}

const DATA = mkdtempSync(join(tmpdir(), 'agentgateway-data-'))
process.on('exit', () => rmSync(DATA, { recursive: true, force: true }))

const ENVIRONMENT = {
  AGENTGATEWAY_DATA_DIR: DATA,
  PATH: process.env.PATH,
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
  HOME: process.env.HOME,
  NO_COLOR: '1',
  LOG_FORMAT: 'json',
  STATS_ADDR: '127.0.0.1:0',
  READINESS_ADDR: '127.0.0.1:0',
  ADMIN_ADDR: '127.0.0.1:0',
}

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>
  /** What is run instead of the command itself. */
  readonly main?: string
  /** For `-f -`. */
  readonly input?: string
}

const running = new Set<ChildProcess>()

export function startCommand(args: readonly string[], options: CommandOptions = {}): Command {
  const child = spawn(process.execPath, [options.main ?? MAIN, ...args], {
    env: { ...ENVIRONMENT, ...options.environment },
    stdio: 'pipe',
  })
  running.add(child)
  let stdout = ''
  let stderr = ''
  let code: number | null | undefined
  const waiting = new Set<() => void>()
  const changed = () => {
    for (const check of waiting) check()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    changed()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const exited = new Promise<Exit>((resolve) =>
    child.once('close', (exitCode) => {
      running.delete(child)
      code = exitCode
      changed()
      resolve({ code: exitCode, stdout, stderr })
    }),
  )
  child.stdin.on('error', () => {})
  child.stdin.end(options.input)

  const lines = () =>
    stdout
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine)

  return {
    pid: child.pid ?? 0,
    kill: (signal) => void child.kill(signal),
    lines,
    exited,
    line: (fits) =>
      new Promise((resolve, reject) => {
        function check() {
          const found = lines().find(fits)
          if (found === undefined && code === undefined) return
          waiting.delete(check)
          if (found === undefined) reject(new Error(`ended with ${code}:\n${stdout}${stderr}`))
          else resolve(found)
        }
        waiting.add(check)
        check()
      }),
  }
}

export const says =
  (text: string) =>
  (line: LogLine): boolean =>
    String(line.message).includes(text)

/** Where it listens, once it does. */
export async function ready(command: Command): Promise<Ready> {
  const line = await command.line(says('is ready'))
  const originOf = (url: unknown) => new URL(String(url).replace('localhost', '127.0.0.1')).origin
  return {
    url: `http://127.0.0.1${String(line.listening).split(' ')[0]}`,
    statsUrl: originOf(line.metrics),
    readinessUrl: originOf(line.readiness),
    adminUrl: originOf(line.console),
  }
}

/** For a test that failed half-way: ends what it has left running. */
export function endCommands(): void {
  for (const child of running) child.kill('SIGKILL')
}
