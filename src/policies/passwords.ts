/** Passwords against their hashes, in a worker thread that is started with the first. */
import { Worker } from 'node:worker_threads'
import { GatewayError } from '../core/errors.ts'
import { workerUrl } from '../core/worker-url.ts'
import type { CheckReply, CheckRequest } from './password-worker.ts'

export interface Passwords {
  /** Rejects with `GatewayError` when too many wait already, and when the worker fails. */
  readonly isPassword: (password: string, hashed: string) => Promise<boolean>
  readonly close: () => Promise<void>
}

/** Some seconds of work; whoever comes later would not wait for it. */
const MAX_PENDING = 100

export function createPasswords(): Passwords {
  const pending = new Map<number, PromiseWithResolvers<boolean>>()
  let worker: Worker | undefined
  let nextId = 0

  function fail(cause: unknown): void {
    worker = undefined
    for (const { reject } of pending.values())
      reject(new GatewayError('internal', 'internal error', { cause }))
    pending.clear()
  }

  function start(): Worker {
    const started = new Worker(workerUrl('password-worker', import.meta.url))
    started.unref()
    started.on('message', ({ id, isRight }: CheckReply) => {
      pending.get(id)?.resolve(isRight)
      pending.delete(id)
    })
    started.on('error', fail)
    started.on('exit', (code) => {
      if (worker === started) fail(new Error(`the worker that checks passwords ended with ${code}`))
    })
    return started
  }

  return {
    isPassword(password, hashed) {
      if (pending.size >= MAX_PENDING) {
        const headers = { 'retry-after': '5' }
        return Promise.reject(
          new GatewayError('overloaded', 'too many passwords wait to be checked', { headers }),
        )
      }
      worker ??= start()
      const id = nextId++
      const check = Promise.withResolvers<boolean>()
      pending.set(id, check)
      worker.postMessage({ id, password, hashed } satisfies CheckRequest)
      return check.promise
    },
    async close() {
      const running = worker
      worker = undefined
      await running?.terminate()
      fail(new Error('closed'))
    },
  }
}
