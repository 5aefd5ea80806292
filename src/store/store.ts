/**
 * The request store's face on the main thread, where all it does is to write records down and post them to its worker.
 */
import { workerUrl } from '../core/worker-url.ts'
import type { KeptStatus } from './keeper.ts'
import { type Location, locate, withoutPassword } from './location.ts'
import type { Asked, Batch, Question } from './messages.ts'
import { createOutbox } from './outbox.ts'
import { limitQuestions } from './questions.ts'
import type { Store, StoreOptions } from './types.ts'
import { linkWorker } from './worker-link.ts'

/** Questions that a server with several connections answers at a time; one is left for writing. */
const MAX_AT_A_TIME = 4

/** At the end: without progress for so long, it is given up. */
const STALLED_MS = 4000

/** For a thread that has nothing more to do. */
const GRACE_MS = 1000

/**
 * Rejects when the URL is malformed, a file cannot be opened or was written by a newer version. A database that is
 * merely away is waited for, see `status`.
 */
export function createStore(options: StoreOptions): Promise<Store> {
  return startStore(options, workerUrl('store-worker', import.meta.url))
}

/** With a worker of the caller's choice. */
export async function startStore(options: StoreOptions, codeUrl: URL): Promise<Store> {
  const { url, maxConnections, retention, log } = options
  const location = locate(url)
  const settings = { location, maxConnections, retention }
  let dropped = 0
  let problem: string | undefined
  let lastStatus: KeptStatus = {
    requests: 0,
    bytes: 0,
    oldest: undefined,
    schemaVersion: 0,
    problem: undefined,
  }
  let closing: Promise<boolean> | undefined
  const closed = Promise.withResolvers<void>()
  let asking: Promise<KeptStatus> | undefined
  let onProgress = () => undefined as unknown

  function onDropped(count: number): void {
    dropped += count
    options.onDropped(count)
  }

  const outbox = createOutbox((batch) => link.post({ type: 'write', batch }, memoryOf(batch)), onDropped)
  const link = linkWorker({
    workerUrl: codeUrl,
    settings,
    onReady: outbox.flush,
    onMessage(message) {
      switch (message.type) {
        case 'written':
          outbox.acknowledge(message.batches, message.lost)
          onProgress()
          break
        case 'problem':
          problem = message.problem
          break
        case 'log':
          log(message.level, message.message, message.fields)
          break
        case 'closed':
          closed.resolve()
          break
        default:
          message satisfies never
      }
    },
    onStopped(reason) {
      outbox.loseSent()
      problem = undefined
      log('error', "The request store's worker thread stopped: it is started again", { reason })
    },
  })

  const limited = limitQuestions(questionsAtATime(location, maxConnections))

  async function ask<T>(question: Question, signal: AbortSignal | undefined): Promise<T> {
    if (closing !== undefined) throw new Error('The request store is closed')
    // The worker answers each question with what its method promises.
    return (await limited(() => {
      outbox.flush()
      return link.ask(question)
    }, signal)) as T
  }

  async function askUnlimited<T>(asked: Asked): Promise<T> {
    if (closing !== undefined) throw new Error('The request store is closed')
    outbox.flush()
    return (await link.ask(asked)) as T
  }

  async function close(timeoutMs: number): Promise<boolean> {
    outbox.flush()
    const given = Promise.withResolvers<false>()
    const giveUp = () => given.resolve(false)
    const deadline = setTimeout(giveUp, timeoutMs)
    const stalled = setTimeout(giveUp, Math.min(timeoutMs, STALLED_MS))
    onProgress = () => stalled.refresh()
    const isClosed =
      link.post({ type: 'close' }) && (await Promise.race([closed.promise.then(() => true), given.promise]))
    clearTimeout(deadline)
    clearTimeout(stalled)
    outbox.close()
    await link.terminate(isClosed ? GRACE_MS : 0)
    return isClosed
  }

  try {
    await link.ready
  } catch (error) {
    await link.terminate(0)
    throw error
  }

  return {
    record: outbox.addRecord,
    take: outbox.addBatch,
    sample: outbox.addSample,
    search: (query, signal) => ask({ method: 'search', query }, signal),
    follow: (query, signal) => ask({ method: 'follow', query }, signal),
    get: (query, signal) => ask({ method: 'get', query }, signal),
    trace: (query, signal) => ask({ method: 'trace', query }, signal),
    summary: (query, signal) => ask({ method: 'summary', query }, signal),
    values: (query, signal) => ask({ method: 'values', query }, signal),
    history: (query, signal) => ask({ method: 'history', query }, signal),
    spend: (report) => askUnlimited({ method: 'spend', query: report }),
    spent: (queries) => askUnlimited({ method: 'spent', query: queries }),
    async status() {
      try {
        asking ??= askUnlimited<KeptStatus>({ method: 'status', query: undefined }).finally(() => {
          asking = undefined
        })
        lastStatus = await asking
      } catch {
        // Without its worker it tells what it knew.
      }
      return {
        ...lastStatus,
        kind: location.kind,
        url: withoutPassword(url),
        dropped,
        problem: link.problem() ?? problem,
      }
    },
    close(timeoutMs) {
      closing ??= close(timeoutMs)
      return closing
    },
  }
}

/** What the worker may have. */
const memoryOf = ({ tapes }: Batch) => tapes.flatMap(({ cells, numbers }) => [cells.buffer, numbers.buffer])

/** A file is read by one thread, which writes between two questions. */
function questionsAtATime(location: Location, maxConnections: number): number {
  if (location.kind === 'sqlite') return 1
  return Math.max(1, Math.min(MAX_AT_A_TIME, maxConnections - 1))
}
