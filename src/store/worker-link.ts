/**
 * The store's worker as the main thread sees it: it is started again when it dies, and never keeps the process
 * alive except while somebody waits for an answer.
 */
import { Worker } from 'node:worker_threads'
import type { Asked, FromWorker, ToWorker, WorkerData, WorkerSettings } from './messages.ts'
import { call, createCalls } from './rest.ts'

const FIRST_RESTART_MS = 1000
const LAST_RESTART_MS = 30_000

export interface WorkerLink {
  /** Rejects when the worker refuses. */
  readonly ready: Promise<void>
  /** False when there is no worker at the moment. `given` is the worker's from then on. */
  readonly post: (message: ToWorker, given?: readonly ArrayBuffer[]) => boolean
  /** Rejects when the worker cannot answer, or dies before it does. */
  readonly ask: (question: Asked) => Promise<unknown>
  /** Why there is no worker at the moment. */
  readonly problem: () => string | undefined
  /** One that was told to close may end by itself for so long. */
  readonly terminate: (graceMs: number) => Promise<void>
}

export interface WorkerLinkOptions {
  readonly workerUrl: URL
  readonly settings: WorkerSettings
  readonly onReady: () => void
  readonly onMessage: (
    message: Extract<FromWorker, { readonly type: 'written' | 'problem' | 'log' | 'closed' }>,
  ) => void
  /** It is gone, with all that was sent to it. */
  readonly onStopped: (reason: string) => void
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

export function linkWorker({
  workerUrl,
  settings,
  onReady,
  onMessage,
  onStopped,
}: WorkerLinkOptions): WorkerLink {
  const asked = new Map<number, Waiting>()
  const ready = Promise.withResolvers<void>()
  let nextId = 0
  let worker: Worker | undefined
  let calls = createCalls()
  let isReady = false
  let wasReady = false
  let restartMs = FIRST_RESTART_MS
  let restart: NodeJS.Timeout | undefined
  let problem: string | undefined
  let terminated = false
  let closing = false

  function refOnlyWhileAsked(): void {
    if (!isReady || asked.size > 0) worker?.ref()
    else worker?.unref()
  }

  function settle(id: number): Waiting | undefined {
    const one = asked.get(id)
    asked.delete(id)
    refOnlyWhileAsked()
    return one
  }

  function rejectAll(reason: string): void {
    for (const { reject } of asked.values()) reject(new Error(reason))
    asked.clear()
  }

  function receive(message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        isReady = true
        wasReady = true
        problem = undefined
        restartMs = FIRST_RESTART_MS
        refOnlyWhileAsked()
        ready.resolve()
        onReady()
        break
      case 'refused':
        stopped(message.message)
        break
      case 'answer':
        settle(message.id)?.resolve(message.json === undefined ? undefined : JSON.parse(message.json))
        break
      case 'failed':
        settle(message.id)?.reject(new Error(message.message))
        break
      default:
        onMessage(message)
    }
  }

  function stopped(reason: string): void {
    // What does not work at the start is for whoever starts it.
    if (!wasReady) {
      void worker?.terminate()
      worker = undefined
      problem = reason
      ready.reject(new Error(reason))
      rejectAll(reason)
      return
    }
    void worker?.terminate()
    worker = undefined
    isReady = false
    problem = `The request store's worker thread stopped: ${reason}`
    rejectAll(problem)
    if (terminated || closing) return
    onStopped(reason)
    restart = setTimeout(start, restartMs).unref()
    restartMs = Math.min(LAST_RESTART_MS, restartMs * 2)
  }

  function start(): void {
    calls = createCalls()
    const started = new Worker(workerUrl, { workerData: { ...settings, calls } satisfies WorkerData })
    let reason: string | undefined
    worker = started
    started.on('message', (message: FromWorker) => {
      if (worker === started) receive(message)
    })
    started.on('error', (error) => {
      reason = error instanceof Error ? error.message : String(error)
    })
    started.on('exit', (code) => {
      if (worker === started) stopped(reason ?? `exit code ${code}`)
    })
  }

  start()
  return {
    ready: ready.promise,
    post(message, given = []) {
      if (worker === undefined) return false
      // From then on it may end by itself.
      if (message.type === 'close') closing = true
      worker.postMessage(message, given)
      if (message.type !== 'write' || !message.batch.mayWait) call(calls)
      return true
    },
    ask(question) {
      return new Promise((resolve, reject) => {
        if (worker === undefined) return reject(new Error(problem ?? 'The request store is closed'))
        const id = nextId++
        asked.set(id, { resolve, reject })
        refOnlyWhileAsked()
        worker.postMessage({ type: 'ask', id, question } satisfies ToWorker)
        call(calls)
      })
    },
    problem: () => problem,
    async terminate(graceMs) {
      terminated = true
      clearTimeout(restart)
      const running = worker
      worker = undefined
      rejectAll('The request store is closed')
      if (running === undefined) return
      if (graceMs > 0) await ended(running, graceMs)
      await running.terminate()
    },
  }
}

function ended(worker: Worker, atMostMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, atMostMs)
    worker.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
