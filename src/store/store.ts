/**
 * The request store's face on the main thread, where all it does is to write JSON and post it to its worker.
 */
import type { KeptStatus } from './keeper.ts'
import { locate, withoutPassword } from './location.ts'
import type { Question } from './messages.ts'
import { createOutbox } from './outbox.ts'
import { writeRecord } from './record.ts'
import type { Finished, MetricSample, Store, StoreOptions } from './types.ts'
import { linkWorker } from './worker-link.ts'

/**
 * Rejects when the URL is malformed, a file cannot be opened or was written by a newer version. A database that is
 * merely away is waited for, see `status`.
 */
export function createStore(options: StoreOptions): Promise<Store> {
  // The sources run as they are in development and compiled in the package.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return startStore(options, new URL(`./store-worker.${extension}`, import.meta.url))
}

/** With a worker of the caller's choice. */
export async function startStore(options: StoreOptions, workerUrl: URL): Promise<Store> {
  const { url, maxConnections, retention, log } = options
  const location = locate(url)
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
  const flushed = Promise.withResolvers<void>()

  function onDropped(count: number): void {
    dropped += count
    options.onDropped(count)
  }

  const outbox = createOutbox((batch) => link.post({ type: 'write', batch }), onDropped)
  const link = linkWorker({
    workerUrl,
    settings: { location, maxConnections, retention },
    onReady: outbox.flush,
    onMessage(message) {
      switch (message.type) {
        case 'written':
          outbox.acknowledge(message.batches, message.lost)
          break
        case 'problem':
          problem = message.problem
          break
        case 'log':
          log(message.level, message.message, message.fields)
          break
        case 'closed':
          flushed.resolve()
          break
        default:
          message satisfies never
      }
    },
    onStopped(reason) {
      outbox.loseSent()
      log('error', "The request store's worker thread stopped: it is started again", { reason })
    },
  })

  function add(take: (json: string) => void, write: () => string): void {
    let json: string
    try {
      json = write()
    } catch {
      onDropped(1)
      return
    }
    take(json)
  }

  async function ask<T>(question: Question): Promise<T> {
    if (closing !== undefined) throw new Error('The request store is closed')
    outbox.flush()
    // The worker answers each question with what its method promises.
    return (await link.ask(question)) as T
  }

  async function close(timeoutMs: number): Promise<boolean> {
    outbox.flush()
    const deadline = Promise.withResolvers<void>()
    const timer = setTimeout(deadline.resolve, timeoutMs)
    let isFlushed = false
    if (link.post({ type: 'close' })) {
      isFlushed = await Promise.race([flushed.promise.then(() => true), deadline.promise.then(() => false)])
    }
    clearTimeout(timer)
    outbox.close()
    await link.terminate()
    return isFlushed
  }

  try {
    await link.ready
  } catch (error) {
    await link.terminate()
    throw error
  }

  return {
    record: (record: Finished) => add(outbox.addRecord, () => writeRecord(record)),
    sample: (sample: MetricSample) => add(outbox.addSample, () => JSON.stringify(sample)),
    search: (query) => ask({ method: 'search', query }),
    get: (query) => ask({ method: 'get', query }),
    trace: (query) => ask({ method: 'trace', query }),
    summary: (query) => ask({ method: 'summary', query }),
    values: (query) => ask({ method: 'values', query }),
    history: (query) => ask({ method: 'history', query }),
    async status() {
      try {
        lastStatus = await ask({ method: 'status', query: undefined })
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
