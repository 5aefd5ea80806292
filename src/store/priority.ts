/** Lets requests go first where there is no processor left for both. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/** About a sixtieth of what a thread gets that wants a processor as much. */
const NICENESS = 19

/** Of the calling thread. Linux has a priority for each; elsewhere, and where it is not allowed, nothing changes. */
export function yieldToRequests(): void {
  try {
    const [, , thread] = readlinkSync('/proc/thread-self').split('/')
    setPriority(Number(thread), NICENESS)
  } catch {
    // No Linux.
  }
}
