/**
 * The thread that owns the store's database, so that neither SQL nor JSON is on the way of a request.
 *
 * Writes go first: a question is answered when all that came before it has been tried.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { createKeeper } from './keeper.ts'
import type { Asked, FromWorker, ToWorker, WorkerData } from './messages.ts'
import { createContention, yieldToRequests } from './priority.ts'
import { createRest } from './rest.ts'
import { createWriter } from './writer.ts'

const FIRST_RETENTION_MS = 5000
const RETENTION_MS = 60_000
const REOPEN_MS = 2000

yieldToRequests()

const tell = (message: FromWorker) => parentPort?.postMessage(message)

const { calls, ...settings } = workerData as WorkerData
const keeper = createKeeper({ ...settings, tell, now: Date.now })
const { rest, heard } = createRest(calls, createContention())
const opened = open()
const writer = createWriter({
  async write(prepared) {
    await opened
    return keeper.write(prepared)
  },
  onDone: (batches, lost) => tell({ type: 'written', batches, lost }),
  rest: (mayRest) => rest(mayRest && mayWait && busy === 0),
})
let retaining: Promise<void> = Promise.resolve()
/** Questions and retentions under way, which others wait for: between two of their steps nobody is to rest. */
let busy = 0
/** Of the batch that was read last. */
let mayWait = false

async function reply(question: Asked): Promise<unknown> {
  await opened
  await writer.tried()
  switch (question.method) {
    case 'status':
      return keeper.status()
    case 'spend':
      return keeper.spend(question.query)
    case 'spent':
      return keeper.spent(question.query)
    default:
      return keeper.answer(question)
  }
}

async function answer(id: number, question: Asked): Promise<void> {
  busy += 1
  try {
    tell({ type: 'answer', id, json: JSON.stringify(await reply(question)) })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    tell({ type: 'failed', id, message })
  } finally {
    busy -= 1
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

const retain = () => {
  busy += 1
  retaining = retaining.then(keeper.retain).finally(() => {
    busy -= 1
  })
}
const timers = [
  setTimeout(retain, FIRST_RETENTION_MS),
  setInterval(retain, RETENTION_MS),
  // A database that was away at the start is looked for although nothing is to be written.
  setInterval(() => keeper.open().catch(() => undefined), REOPEN_MS),
]

async function close(): Promise<void> {
  for (const timer of timers) clearTimeout(timer)
  await opened
  await writer.close()
  await keeper.close()
  tell({ type: 'closed' })
  parentPort?.close()
}

parentPort?.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'write':
      mayWait = message.batch.mayWait
      if (!mayWait) heard()
      writer.add(message.batch)
      break
    case 'ask':
      heard()
      void answer(message.id, message.question)
      break
    case 'close':
      heard()
      void close()
      break
    default:
      message satisfies never
  }
})
