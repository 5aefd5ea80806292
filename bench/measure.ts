/** CPU time around a piece of work: the candidate's own, and what else ran on its CPU meanwhile. */
import { allowedCpus, cpuMs, idleMs, mainThreadMs, ownCpuMs } from './accounting.ts'
import { now, sleep } from './clock.ts'
import type { Child, Cpus, Stage } from './processes.ts'
import type { Target } from './targets.ts'

/** Processor time that a resting process uses in `PAUSE_MS`: nothing, or what its timers do. */
const RESTING_MS = 10
/** A gateway hands over its last records within 200 ms. */
const PAUSE_MS = 500
const SETTLE_MS = 30_000

export interface Cost {
  /** Of the proxy, until all that the load has left it to do was done; undefined for `direct` and where nobody counts it. */
  readonly cpuMs: number | undefined
  /** Of that, its first thread's. */
  readonly mainMs: number | undefined
  /** Of one CPU, 0 to 1. Near 1 the proxy is what limits. */
  readonly busyShare: number | undefined
  /** Of the proxy's CPU, taken by anything else: other programs, other machines. */
  readonly othersShare: number | undefined
  /** Of the CPUs of load generator and upstream, the busier one, by whomever. */
  readonly loadBusyShare: number | undefined
}

export async function measured<T>(
  { proxy }: Pick<Target, 'proxy'>,
  cpus: Cpus | undefined,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly cost: Cost }> {
  const own = () => (proxy === undefined ? undefined : cpuMs(proxy.pid))
  const main = () => (proxy === undefined ? undefined : mainThreadMs(proxy.pid))
  const idle = () => (cpus === undefined ? undefined : idleMs(cpus.proxy))
  const loadIdle = () => (cpus === undefined ? [] : [cpus.load, cpus.upstream].map(idleMs))
  // What one candidate has still to do would be in the next one's way.
  if (proxy !== undefined) await settled(proxy)
  const before = { at: now(), own: own(), main: main(), idle: idle(), loadIdle: loadIdle() }
  const result = await work()
  const after = { at: now(), own: own(), main: main(), idle: idle(), loadIdle: loadIdle() }
  if (proxy !== undefined) await settled(proxy)
  const elapsed = after.at - before.at
  const used = difference(after.own, before.own)
  const idled = difference(after.idle, before.idle)
  const loadBusy = after.loadIdle.flatMap((idleAfter, cpu) => {
    const cpuIdled = difference(idleAfter, before.loadIdle[cpu])
    return cpuIdled === undefined ? [] : [1 - cpuIdled / elapsed]
  })
  return {
    result,
    cost: {
      cpuMs: difference(own(), before.own),
      mainMs: difference(main(), before.main),
      busyShare: used === undefined ? undefined : used / elapsed,
      othersShare: idled === undefined ? undefined : Math.max(1 - (idled + (used ?? 0)) / elapsed, 0),
      loadBusyShare: loadBusy.length === 0 ? undefined : Math.max(...loadBusy),
    },
  }
}

/** Resolves when the process rests. A gateway writes down what it was asked for a while after it has answered. */
async function settled({ pid }: Child): Promise<void> {
  const deadline = now() + SETTLE_MS
  for (let before = cpuMs(pid); before !== undefined; ) {
    await sleep(PAUSE_MS)
    const after = cpuMs(pid)
    if (after === undefined || after - before <= RESTING_MS) return
    if (now() > deadline) throw new Error(`a process is still busy ${SETTLE_MS / 1000} s after the load`)
    before = after
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
