/**
 * Token counts where the provider gave none: a stream that was cut, an API without a counting call.
 *
 * Counted with the o200k tokenizer, whatever the provider: nobody publishes Claude's. An estimate is always
 * labelled as one (`usage_source`).
 */
import { Worker } from 'node:worker_threads'
import { workerUrl } from '../core/worker-url.ts'
import type { CountReply, CountRequest } from './tokenizer-worker.ts'

export interface Estimator {
  /** Tokens of each text. Never rejects: without a tokenizer it falls back to four characters a token. */
  readonly count: (texts: readonly string[]) => Promise<readonly number[]>
  readonly close: () => Promise<void>
}

/** Estimates under way at once; beyond it the rough count is used. */
const MAX_PENDING = 1000

const roughly = (text: string) => Math.ceil(text.length / 4)

export function createEstimator(): Estimator {
  const pending = new Map<
    number,
    { texts: readonly string[]; resolve: (counts: readonly number[]) => void }
  >()
  let worker: Worker | undefined
  let broken = false
  let nextId = 0

  function giveUp(): void {
    broken = true
    worker = undefined
    for (const { texts, resolve } of pending.values()) resolve(texts.map(roughly))
    pending.clear()
  }

  function start(): Worker {
    const started = new Worker(workerUrl('tokenizer-worker', import.meta.url))
    started.unref()
    started.on('message', ({ id, counts }: CountReply) => {
      const asked = pending.get(id)
      pending.delete(id)
      asked?.resolve(counts)
    })
    started.on('error', giveUp)
    started.on('exit', () => {
      if (worker === started) giveUp()
    })
    return started
  }

  return {
    count(texts) {
      if (broken || pending.size >= MAX_PENDING) return Promise.resolve(texts.map(roughly))
      worker ??= start()
      const id = nextId++
      const asked: CountRequest = { id, texts }
      return new Promise((resolve) => {
        pending.set(id, { texts, resolve })
        worker?.postMessage(asked)
      })
    },
    async close() {
      const running = worker
      worker = undefined
      await running?.terminate()
      giveUp()
    },
  }
}
