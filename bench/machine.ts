/** On what, and with which versions, a run was made. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import type { Stage } from './processes.ts'

export interface Machine {
  readonly cores: number
  readonly cpu: string
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly nginx: string | undefined
  readonly wrk: string | undefined
  readonly gateway: string
  /** Proxy, load generator, upstream; undefined when nothing is pinned. */
  readonly pinned: Stage['cpus']
  /** Of one minute, before the run. */
  readonly loadAverage: number
}

/** Both print their version where errors go, wrk with a failure status. */
function versionOf(tool: string | undefined, pattern: RegExp): string | undefined {
  if (tool === undefined) return undefined
  try {
    return pattern.exec(execFileSync('sh', ['-c', '"$0" -v 2>&1 || true', tool], { encoding: 'utf8' }))?.[1]
  } catch {
    return undefined
  }
}

function gatewayVersion(): string {
  const root = new URL('..', import.meta.url)
  const text = readFileSync(new URL('package.json', root), 'utf8')
  const version = /"version":\s*"([^"]+)"/.exec(text)?.[1] ?? 'unknown'
  try {
    const git = (...options: string[]) =>
      execFileSync('git', ['--no-optional-locks', ...options], {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim()
    const changed = git('status', '--porcelain', '--', 'src') === '' ? '' : ', changed since'
    return `${version} (commit ${git('rev-parse', '--short', 'HEAD')}${changed})`
  } catch {
    return version
  }
}

export const describeMachine = ({ tools, cpus: pinned }: Stage): Machine => ({
  cores: cpus().length,
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  system: `${type()} ${release()}`,
  node: process.version,
  nginx: versionOf(tools.nginx, /nginx\/(\S+)/),
  wrk: versionOf(tools.wrk, /^wrk (\S+)/m),
  gateway: gatewayVersion(),
  pinned,
  loadAverage: loadavg()[0] ?? Number.NaN,
})
