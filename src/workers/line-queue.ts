/** Lines of the log that wait for the primary, as bytes: bounded, and what does not fit is dropped and counted. */

const FIRST_BYTES = 64 * 1024
const MAX_BYTES = 4 * 1024 * 1024
/** Of UTF-8, for one unit of UTF-16. */
const BYTES_PER_UNIT = 3

export interface LineQueue {
  readonly write: (line: string) => void
  /** All that wait; they are the caller's. */
  readonly take: () => { readonly bytes: Uint8Array; readonly lines: number } | undefined
}

export function createLineQueue(onDropped: (lines: number) => void, maxBytes = MAX_BYTES): LineQueue {
  let queue = Buffer.alloc(0)
  let used = 0
  let lines = 0
  return {
    write(line) {
      if (used + line.length > maxBytes) return onDropped(1)
      const needed = used + line.length * BYTES_PER_UNIT
      if (needed > queue.length) {
        const wider = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * queue.length, needed))
        queue.copy(wider, 0, 0, used)
        queue = wider
      }
      used += queue.write(line, used)
      lines++
    },
    take() {
      if (lines === 0) return undefined
      const taken = { bytes: queue.subarray(0, used), lines }
      queue = Buffer.alloc(0)
      used = 0
      lines = 0
      return taken
    },
  }
}
