/** The store's worker, but for a record with which it dies. */
import { parentPort } from 'node:worker_threads'
import './store-worker.ts'
import type { ToWorker } from './messages.ts'

parentPort?.on('message', (message: ToWorker) => {
  if (
    message.type === 'write' &&
    message.batch.tapes.some(({ texts }) => texts.includes('/crash-the-worker'))
  ) {
    throw new Error('it crashed')
  }
})
