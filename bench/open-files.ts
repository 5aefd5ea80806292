/** How many files a process may have open: each stream that a proxy holds takes two. */
import { execFileSync } from 'node:child_process'

/** What else a process has open, generously. */
const SPARE = 100

/** Of a process that is started with `raise(limit)`: as many as asked for where that is allowed, else the hard limit. */
export function openFilesUpTo(wanted: number): number {
  const tried = run(`ulimit -n ${wanted} 2>/dev/null && ulimit -n || ulimit -Hn`)
  return tried === 'unlimited' ? wanted : Math.min(Number(tried), wanted)
}

/** The command, with that many open files allowed. Node takes the hard limit by itself, other programs do not. */
export const raised = (limit: number, command: readonly string[]) =>
  ['sh', '-c', 'ulimit -n "$0" 2>/dev/null; exec "$@"', String(limit), ...command] as const

export interface Held {
  readonly streams: number
  readonly openFiles: number
  /** Why they are fewer than wanted; undefined when they are not. */
  readonly short: string | undefined
}

export const filesFor = (streams: number) => streams * 2 + SPARE

/** As many of the wanted streams as the limit allows. */
export function streamsWithin(wanted: number, limit: number): Held {
  const needed = filesFor(wanted)
  if (limit >= needed) return { streams: wanted, openFiles: needed, short: undefined }
  const streams = Math.max(Math.floor((limit - SPARE) / 2), 0)
  return {
    streams,
    openFiles: limit,
    short: `${wanted} streams want ${needed} open files, and the hard limit is ${limit} (ulimit -Hn)`,
  }
}

const run = (script: string) => execFileSync('sh', ['-c', script], { encoding: 'utf8' }).trim()
