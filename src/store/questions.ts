/**
 * What the store is asked, a few questions at a time: the rest waits, neither long nor in numbers, and is refused.
 */
const MAX_WAITING = 32
const MAX_WAIT_MS = 10_000

/** Too much is asked at the moment. */
export class StoreBusyError extends Error {
  override readonly name = 'StoreBusyError'
  readonly code = 'store_busy'

  constructor() {
    super('The request store is busy with other questions: ask again later')
  }
}

/** Rejects with `StoreBusyError`, or with the signal's reason as soon as that is aborted. */
export type Ask = <T>(question: () => Promise<T>, signal?: AbortSignal) => Promise<T>

export function limitQuestions(atATime: number, maxWaitMs: number = MAX_WAIT_MS): Ask {
  const waiting: (() => void)[] = []
  let running = 0

  /** Resolves when it is the caller's turn. */
  function turn(signal: AbortSignal | undefined): Promise<void> {
    if (running < atATime) {
      running += 1
      return Promise.resolve()
    }
    if (waiting.length >= MAX_WAITING) return Promise.reject(new StoreBusyError())
    return new Promise((resolve, reject) => {
      function leave(reason: unknown): void {
        const at = waiting.indexOf(start)
        if (at < 0) return
        waiting.splice(at, 1)
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        reject(reason)
      }
      const onAbort = () => leave(signal?.reason)
      function start(): void {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        running += 1
        resolve()
      }
      const timer = setTimeout(() => leave(new StoreBusyError()), maxWaitMs)
      signal?.addEventListener('abort', onAbort)
      waiting.push(start)
    })
  }

  function done(): void {
    running -= 1
    waiting.shift()?.()
  }

  return async (question, signal) => {
    signal?.throwIfAborted()
    await turn(signal)
    if (signal?.aborted) {
      done()
      throw signal.reason
    }
    // Its turn lasts as long as it is computed, whoever has left.
    const answer = question().finally(done)
    if (signal === undefined) return answer
    return Promise.race([answer, aborted(signal, answer)])
  }
}

/** Rejects when it is aborted; leaves no listener behind. */
function aborted(signal: AbortSignal, answer: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort)
    const forget = () => signal.removeEventListener('abort', onAbort)
    answer.then(forget, forget)
  })
}
