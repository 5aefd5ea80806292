/** observability/deploy-fly.sh with a stand-in for `fly`. */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const fromHere = (path: string) => fileURLToPath(new URL(path, import.meta.url))
export const SCRIPT = fromHere('../../observability/deploy-fly.sh')

/** Programs that the script may use: nothing else is on its path. */
const PROGRAMS =
  'bash sh cat cut dirname env find grep head od readlink sed sleep stty tee tr wc script rm printf'.split(
    ' ',
  )

export interface Call {
  readonly args: readonly string[]
  readonly stdin: string | undefined
}

export interface Result {
  /** Null when a signal killed it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** Instead of the script's own place. */
  readonly script?: string
  readonly environment?: Readonly<Record<string, string>>
}

export interface Terminal {
  /** Resolves once this has been written since the last call. */
  readonly until: (text: string) => Promise<void>
  readonly type: (text: string) => void
  readonly result: Promise<Result>
  /** As a terminal does it: to all that run in it. */
  readonly interrupt: () => void
}

export interface Rehearsal {
  readonly run: (args: readonly string[], options?: RunOptions) => Promise<Result>
  readonly onTerminal: (args: readonly string[], options?: RunOptions) => Terminal
  readonly calls: () => readonly Call[]
  readonly file: (name: string, text: string) => string
  readonly link: (name: string, to: string) => string
}

export interface RehearsalOptions {
  /** That are there already. */
  readonly apps?: readonly string[]
  readonly secrets?: readonly string[]
  /** By somebody else. */
  readonly taken?: readonly string[]
  /** Their ids. */
  readonly machines?: readonly string[]
  readonly ips?: readonly string[]
  /** Programs that are not there. */
  readonly without?: readonly string[]
  readonly fail?: string
  readonly hang?: string
  /** What `fly` is called; undefined: it is not installed. */
  readonly command?: string | undefined
}

const lines = (words: readonly string[]) => words.map((word) => `${word}\n`).join('')

function programs(folder: string, without: readonly string[]): void {
  for (const name of PROGRAMS.filter((one) => !without.includes(one))) {
    const place = ['/usr/bin', '/bin'].find((one) => existsSync(join(one, name)))
    if (place !== undefined) symlinkSync(join(place, name), join(folder, name))
  }
}

export function rehearse(options: RehearsalOptions = {}): Rehearsal {
  const { apps = [], secrets = [], taken = [], machines = [], ips = [], fail = '', hang = '' } = options
  const command = 'command' in options ? options.command : 'fly'
  const state = mkdtempSync(join(tmpdir(), 'deploy-fly-'))
  onTestFinished(() => rmSync(state, { recursive: true, force: true }))
  for (const folder of ['bin', 'calls', 'stdin']) mkdirSync(join(state, folder))
  programs(join(state, 'bin'), options.without ?? [])
  if (command !== undefined) copyFileSync(fromHere('fly'), join(state, 'bin', command))
  for (const [name, words] of Object.entries({ apps, secrets, taken, machines, ips }))
    writeFileSync(join(state, name), lines(words))
  const base = { PATH: join(state, 'bin'), FLY_STATE: state, FLY_FAIL: fail, FLY_HANG: hang, NO_COLOR: '1' }

  function collect(child: ChildProcess, onText?: (text: string) => void): Promise<Result> {
    let stdout = ''
    let stderr = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      onText?.(stdout)
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    return new Promise((resolve) => {
      child.once('close', (code) => resolve({ code, stdout, stderr }))
    })
  }

  return {
    run(args, { environment = {}, script = SCRIPT } = {}) {
      const child = spawn('bash', [script, ...args], {
        env: { ...base, ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      return collect(child)
    },
    onTerminal(args, { environment = {} } = {}) {
      const command = ['bash', SCRIPT, ...args].map((word) => `'${word}'`).join(' ')
      const child = spawn('script', ['-qefc', `exec ${command}`, '/dev/null'], {
        env: { ...base, ...environment },
        stdio: 'pipe',
      })
      let written = ''
      let read = 0
      let wake = () => {}
      const result = collect(child, (text) => {
        written = text
        wake()
      })
      return {
        result,
        async until(text) {
          for (;;) {
            const at = written.indexOf(text, read)
            if (at >= 0) {
              read = at + text.length
              return
            }
            const ended = await Promise.race([
              result.then(() => true),
              new Promise<false>((resolve) => {
                wake = () => resolve(false)
              }),
            ])
            if (ended && !written.includes(text, read)) throw new Error(`it never wrote ${text}:\n${written}`)
          }
        },
        type: (text) => child.stdin?.write(text),
        interrupt() {
          const [leader] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ')
          process.kill(-Number(leader), 'SIGINT')
        },
      }
    },
    calls() {
      return readdirSync(join(state, 'calls'))
        .toSorted((a, b) => Number(a) - Number(b))
        .map((number) => {
          const stdin = readdirSync(join(state, 'stdin')).includes(number)
            ? readFileSync(join(state, 'stdin', number), 'utf8')
            : undefined
          const args = readFileSync(join(state, 'calls', number), 'utf8')
            .split('\n')
            .slice(0, -1)
          return { args, stdin }
        })
    },
    link(name, to) {
      const path = join(state, name)
      symlinkSync(to, path)
      return path
    },
    file(name, text) {
      const path = join(state, name)
      writeFileSync(path, text)
      return path
    },
  }
}
