/**
 * The thread that owns the store's database, so that neither SQL nor JSON is on the way of a request.
 *
 * Questions are answered in the order of messages: what was recorded before one was asked is found.
 */
import { setImmediate } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { createKeeper } from './keeper.ts'
import type { Batch, FromWorker, Question, ToWorker, WorkerSettings } from './messages.ts'
import { yieldToRequests } from './priority.ts'

/** Records that go into one transaction when several batches wait. */
const MAX_TOGETHER = 20_000

const FIRST_RETENTION_MS = 5000
const RETENTION_MS = 60_000
const REOPEN_MS = 2000

yieldToRequests()

const tell = (message: FromWorker) => parentPort?.postMessage(message)

const keeper = createKeeper({ ...(workerData as WorkerSettings), tell, now: Date.now })
const waiting: Batch[] = []
let writing: Promise<void> = Promise.resolve()
let retaining: Promise<void> = Promise.resolve()

async function writeWaiting(): Promise<void> {
  // The other messages that have come are read first: their records go into the same transaction.
  await setImmediate()
  const together: Batch[] = []
  let size = 0
  for (let next = waiting[0]; next !== undefined && size < MAX_TOGETHER; next = waiting[0]) {
    together.push(next)
    size += next.records.length
    waiting.shift()
  }
  if (together.length === 0) return
  const lost = await keeper.write({
    records: together.flatMap(({ records }) => records),
    samples: together.flatMap(({ samples }) => samples),
  })
  tell({ type: 'written', batches: together.length, lost })
}

async function answer(id: number, question: Question): Promise<void> {
  try {
    tell({ type: 'answer', id, json: JSON.stringify(await keeper.answer(question)) })
  } catch (error) {
    tell({ type: 'failed', id, message: error instanceof Error ? error.message : String(error) })
  }
}

async function open(): Promise<void> {
  try {
    await keeper.open()
    tell({ type: 'ready' })
  } catch (error) {
    tell({ type: 'refused', message: error instanceof Error ? error.message : String(error) })
  }
}

const opened = open()
const retain = () => {
  retaining = retaining.then(keeper.retain)
}
const timers = [
  setTimeout(retain, FIRST_RETENTION_MS),
  setInterval(retain, RETENTION_MS),
  // A database that was away at the start is looked for although nothing is to be written.
  setInterval(() => keeper.open().catch(() => undefined), REOPEN_MS),
]

async function close(): Promise<void> {
  for (const timer of timers) clearTimeout(timer)
  await writing
  await keeper.close()
  tell({ type: 'closed' })
  parentPort?.close()
}

parentPort?.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'write':
      waiting.push(message.batch)
      writing = writing.then(() => opened).then(writeWaiting)
      break
    case 'ask':
      void Promise.all([opened, writing]).then(() => answer(message.id, message.question))
      break
    case 'close':
      void close()
      break
    default:
      message satisfies never
  }
})
