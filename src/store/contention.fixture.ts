/** To be run on one processor: a thread that yields to requests says how much it took from one that was busy. */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { createContention, yieldToRequests } from './priority.ts'

const MOST_MS = 20_000
const WORK_MS = 20

if (isMainThread) {
  const done = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL(import.meta.url), { workerData: done })
  worker.once('message', () => {
    const end = performance.now() + MOST_MS
    while (Atomics.load(done, 0) === 0 && performance.now() < end);
    worker.once('message', (takenMs) => process.stdout.write(JSON.stringify({ takenMs })))
  })
} else {
  yieldToRequests()
  const takenMs = createContention()
  parentPort?.postMessage('begun')
  const begun = process.threadCpuUsage()
  const used = () => process.threadCpuUsage(begun).user / 1000
  while (used() < WORK_MS);
  const found = takenMs()
  Atomics.store(workerData, 0, 1)
  parentPort?.postMessage(found)
}
