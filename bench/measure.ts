/** CPU time around a piece of work: the candidate's own, and what else ran on its CPU meanwhile. */
import { allowedCpus, cpuMs, idleMs, mainThreadMs, ownCpuMs } from './accounting.ts'
import { now } from './clock.ts'
import type { Cpus, Stage } from './processes.ts'
import type { Target } from './targets.ts'

export interface Cost {
  /** Of the proxy; undefined for `direct` and where nobody counts it. */
  readonly cpuMs: number | undefined
  /** Of that, its first thread's. */
  readonly mainMs: number | undefined
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
  const main = () => (proxy === undefined ? undefined : mainThreadMs(proxy.pid))
  const idle = () => (cpus === undefined ? undefined : idleMs(cpus.proxy))
  const before = { at: now(), own: own(), main: main(), idle: idle() }
  const result = await work()
  const after = { at: now(), own: own(), main: main(), idle: idle() }
  const elapsed = after.at - before.at
  const used = difference(after.own, before.own)
  const idled = difference(after.idle, before.idle)
  return {
    result,
    cost: {
      cpuMs: used,
      mainMs: difference(after.main, before.main),
      busyShare: used === undefined ? undefined : used / elapsed,
      othersShare: idled === undefined ? undefined : Math.max(1 - (idled + (used ?? 0)) / elapsed, 0),
    },
  }
}

const difference = (after: number | undefined, before: number | undefined) =>
  after === undefined || before === undefined ? undefined : after - before

/** From here on: the share of the CPUs in use that went to other programs and other machines. Undefined where nobody counts it. */
export function watchOthers(stage: Stage): () => number | undefined {
  // Once this process is pinned, it may use one CPU only.
  const cpus = [...new Set(stage.cpus === undefined ? allowedCpus() : Object.values(stage.cpus))]
  const read = () => {
    const own = ownCpuMs()
    if (own === undefined) return undefined
    const children = stage.runningPids().reduce((sum, pid) => sum + (cpuMs(pid) ?? 0), 0)
    return cpus.reduce((sum, cpu) => sum + (idleMs(cpu) ?? 0), 0) + own + children
  }
  const begun = { at: now(), idleOrOwn: read() }
  return () => {
    const idleOrOwn = difference(read(), begun.idleOrOwn)
    return idleOrOwn === undefined
      ? undefined
      : Math.max(1 - idleOrOwn / ((now() - begun.at) * cpus.length), 0)
  }
}
