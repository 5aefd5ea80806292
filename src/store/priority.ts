/** Lets requests go first where there is no processor left for both. */
import { readFileSync, readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/** About a ninth of what a thread gets that wants a processor as much: enough to answer those who ask. */
const NICENESS = 10

/** Of the calling thread. Linux has a priority for each; elsewhere, and where it is not allowed, nothing changes. */
export function yieldToRequests(): void {
  try {
    const [, , thread] = readlinkSync('/proc/thread-self').split('/')
    setPriority(Number(thread), NICENESS)
  } catch {
    // No Linux.
  }
}

/**
 * Says for how many milliseconds the calling thread had a processor since it was asked last, if it waited for longer than that, so that
 * it took it from others; 0: it did not. Linux counts that; elsewhere it never waits.
 */
export function createContention(read = processorTime): () => number {
  let before = read()
  return () => {
    const now = read()
    const [had, waited] = [now.had - before.had, now.waited - before.waited]
    before = now
    return waited > had ? had / 1e6 : 0
  }
}

/** Of the calling thread, in nanoseconds: https://docs.kernel.org/scheduler/sched-stats.html */
function processorTime(): { readonly had: number; readonly waited: number } {
  try {
    const [had = 0, waited = 0] = readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ').map(Number)
    return { had, waited }
  } catch {
    return { had: 0, waited: 0 }
  }
}
