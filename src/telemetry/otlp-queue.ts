/**
 * The bounded queue between requests and the collector. Whatever the collector does, all that changes is a number:
 * how many items were dropped.
 *
 * A batch that nobody took is kept and sent again, for some seconds: long enough for a collector to be restarted, not
 * for one to be mourned. It keeps its place among the sends under way, so memory is bounded as before.
 */

/** Nobody has taken the batch, as far as can be told, or it is asked for later: it may be sent again. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
}

export type Send<T> = (batch: T[], done: (error: Error | undefined) => void) => void

export interface QueueOptions<T> {
  /** Calls `done` once. May throw instead. */
  readonly send: Send<T>
  readonly onDropped: (items: number) => void
  /** Told when sending begins to fail (with the reason), and when it works again (undefined). */
  readonly onHealth: (error: Error | undefined) => void
  readonly batchSize?: number
  readonly maxQueued?: number
  readonly maxConcurrentSends?: number
  readonly flushIntervalMs?: number
  /** How long a batch that met `Unavailable` waits before each further try; as many tries as there are numbers. */
  readonly retryDelaysMs?: readonly number[]
}

interface Waiting {
  readonly timer: NodeJS.Timeout
  readonly send: () => void
}

export class SendQueue<T> {
  readonly #options: Required<QueueOptions<T>>
  readonly #queue: T[] = []
  #sends = 0
  #timer: NodeJS.Timeout | undefined
  #isFlushing = false
  #isHealthy = true
  #isClosed = false
  #waiting: (() => void)[] = []
  /** Batches between two tries. */
  readonly #retries = new Set<Waiting>()

  constructor(options: QueueOptions<T>) {
    this.#options = {
      batchSize: 512,
      maxQueued: 2048,
      maxConcurrentSends: 4,
      flushIntervalMs: 1000,
      retryDelaysMs: [1000, 2000, 4000],
      ...options,
    }
  }

  hasRoomFor(items: number): boolean {
    return !this.#isClosed && this.#queue.length + items <= this.#options.maxQueued
  }

  /** All of them or, when they do not fit, none. */
  add(items: readonly T[]): void {
    if (!this.hasRoomFor(items.length)) {
      this.#options.onDropped(items.length)
      return
    }
    this.#queue.push(...items)
    if (this.#queue.length >= this.#options.batchSize) this.#pump()
    else this.#schedule()
  }

  /** True when everything was sent, or lost and counted; false at the deadline. */
  flush(timeoutMs: number): Promise<boolean> {
    if (this.#queue.length === 0 && this.#sends === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const settled = () => {
        clearTimeout(deadline)
        resolve(true)
      }
      const deadline = setTimeout(() => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== settled)
        this.#isFlushing = this.#waiting.length > 0
        resolve(false)
      }, timeoutMs)
      this.#waiting.push(settled)
      this.#isFlushing = true
      // Their last try: who waits for the end does not wait for better times.
      for (const retry of this.#retries) {
        clearTimeout(retry.timer)
        retry.send()
      }
      this.#pump()
    })
  }

  /** What still waits at the deadline is counted as dropped. */
  async close(timeoutMs: number): Promise<void> {
    await this.flush(timeoutMs)
    this.#isClosed = true
    clearTimeout(this.#timer)
    if (this.#queue.length > 0) this.#options.onDropped(this.#queue.splice(0).length)
  }

  #schedule(): void {
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#pump(1)
    }, this.#options.flushIntervalMs)
    this.#timer.unref()
  }

  /** Sends full batches, or all that there is when someone waits for it. */
  #pump(smallestBatch = this.#isFlushing ? 1 : this.#options.batchSize): void {
    while (this.#sends < this.#options.maxConcurrentSends && this.#queue.length >= smallestBatch) {
      this.#sendBatch(this.#queue.splice(0, this.#options.batchSize))
    }
    if (this.#queue.length > 0) this.#schedule()
  }

  #sendBatch(batch: T[]): void {
    this.#sends++
    this.#try(batch, 0)
  }

  #try(batch: T[], tries: number): void {
    let isDone = false
    const done = (error: Error | undefined) => {
      if (isDone) return
      isDone = true
      this.#report(error)
      const delayMs = this.#options.retryDelaysMs[tries]
      if (error instanceof Unavailable && delayMs !== undefined && !this.#isFlushing && !this.#isClosed)
        return this.#retry(() => this.#try(batch, tries + 1), delayMs)
      this.#sends--
      if (error !== undefined) this.#options.onDropped(batch.length)
      if (!this.#isClosed) this.#pump()
      if (this.#queue.length === 0 && this.#sends === 0) this.#settle()
    }
    try {
      this.#options.send(batch, done)
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #retry(again: () => void, delayMs: number): void {
    const send = () => {
      this.#retries.delete(retry)
      again()
    }
    const retry: Waiting = { timer: setTimeout(send, delayMs), send }
    retry.timer.unref()
    this.#retries.add(retry)
  }

  #report(error: Error | undefined): void {
    if (this.#isClosed || this.#isHealthy === (error === undefined)) return
    this.#isHealthy = error === undefined
    this.#options.onHealth(error)
  }

  #settle(): void {
    this.#isFlushing = false
    const waiting = this.#waiting
    this.#waiting = []
    for (const settled of waiting) settled()
  }
}
