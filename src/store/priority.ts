/** Lets requests go first where there is no processor left for both. */
import { readFileSync, readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/** About a sixtieth of what a thread gets that wants a processor as much. */
const NICENESS = 19

/** Whoever waits for a processor so many times as long as it has one gets in nobody's way but theirs who have it. */
const STARVED = 10

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
 * Says for how many milliseconds the calling thread was starved since it was asked last; 0: it was not. Linux counts that; elsewhere
 * it never is.
 */
export function createStarvation(read = processorTime): () => number {
  let before = read()
  return () => {
    const now = read()
    const [had, waited] = [now.had - before.had, now.waited - before.waited]
    before = now
    return waited > STARVED * had ? waited / 1e6 : 0
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
