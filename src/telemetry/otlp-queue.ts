/**
 * The bounded queue between requests and the collector. Whatever the collector does, all that changes is a number:
 * how many items were dropped.
 */

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

  constructor(options: QueueOptions<T>) {
    this.#options = {
      batchSize: 512,
      maxQueued: 2048,
      maxConcurrentSends: 4,
      flushIntervalMs: 1000,
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
    let isDone = false
    const done = (error: Error | undefined) => {
      if (isDone) return
      isDone = true
      this.#sends--
      if (error !== undefined) this.#options.onDropped(batch.length)
      this.#report(error)
      if (!this.#isClosed) this.#pump()
      if (this.#queue.length === 0 && this.#sends === 0) this.#settle()
    }
    try {
      this.#options.send(batch, done)
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
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
