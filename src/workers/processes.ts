/**
 * Worker processes as the system has them.
 *
 * Where the system spreads the connections of a port over several sockets (Linux, with SO_REUSEPORT), workers are plain
 * children and listen by themselves. Elsewhere Node's cluster does it: the primary accepts and hands connections on.
 */
import { type ChildProcess, fork } from 'node:child_process'
import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'

export interface WorkerExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Why it could not even be started. */
  readonly problem?: string
}

/** Node would refuse `reusePort` elsewhere, or the system would give everything to the latest. */
export const spreadsConnections = (platform: NodeJS.Platform) => platform === 'linux'

/** Its standard streams are those of this process: what Node says when it dies is to be seen. */
export function spawnWorker(entry: URL, reusePort: boolean): ChildProcess {
  const exec = fileURLToPath(entry)
  const serialization = 'advanced'
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const
  if (reusePort) return fork(exec, [], { serialization, stdio: [...stdio] })
  cluster.setupPrimary({ exec, args: [], serialization, stdio: [...stdio] })
  return cluster.fork().process
}

export function exitOf(child: ChildProcess): Promise<WorkerExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', ({ message }) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, problem: message })
    })
  })
}
