/**
 * A thread that says when the next request of a fixed rate is due.
 *
 * Timers of the event loop are a millisecond apart at best; waiting on a futex is good to some hundredths of one, and
 * does not burn the CPU that upstream and load generator share.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { z } from 'zod'
import { now } from '../clock.ts'

const { startsAt, intervalMs, count } = z
  .object({ startsAt: z.number(), intervalMs: z.number(), count: z.number() })
  .parse(workerData)

const never = new Int32Array(new SharedArrayBuffer(4))
for (let index = 0; index < count; index++) {
  const waitMs = startsAt + index * intervalMs - now()
  if (waitMs > 0) Atomics.wait(never, 0, 0, waitMs)
  parentPort?.postMessage(index)
}
