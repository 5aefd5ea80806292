/** CPU time around a piece of work: the candidate's own, and what else ran on its CPU meanwhile. */
import { busyMs, cpuMs } from './accounting.ts'
import { now } from './clock.ts'
import type { Cpus } from './processes.ts'
import type { Target } from './targets.ts'

export interface Cost {
  /** Of the proxy; undefined for `direct` and where nobody counts it. */
  readonly cpuMs: number | undefined
  /** Of one CPU, 0 to 1. Near 1 the proxy is what limits. */
  readonly busyShare: number | undefined
  /** Of the proxy's CPU, taken by anything else: other programs, other machines. */
  readonly othersShare: number | undefined
}

export async function measured<T>(
  { proxy }: Target,
  cpus: Cpus | undefined,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly cost: Cost }> {
  const own = () => (proxy === undefined ? undefined : cpuMs(proxy.pid))
  const all = () => (cpus === undefined ? undefined : busyMs(cpus.proxy))
  const before = { at: now(), own: own(), all: all() }
  const result = await work()
  const after = { at: now(), own: own(), all: all() }
  const elapsed = after.at - before.at
  const used = difference(after.own, before.own)
  const busy = difference(after.all, before.all)
  return {
    result,
    cost: {
      cpuMs: used,
      busyShare: used === undefined ? undefined : used / elapsed,
      othersShare: busy === undefined ? undefined : Math.max(busy - (used ?? 0), 0) / elapsed,
    },
  }
}

const difference = (after: number | undefined, before: number | undefined) =>
  after === undefined || before === undefined ? undefined : after - before
