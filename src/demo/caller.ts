/** The one who waits for an answer: whether it is still there, and waiting that ends when it leaves. */
import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'

export interface Caller {
  /** The connection closed before the answer's last byte was handed to it. */
  readonly gone: boolean
  /** `performance.now()` when that was noticed. */
  readonly goneAt: number | undefined
  /** Each of these also ends when the caller leaves. */
  pause(ms: number): Promise<void>
  drained(sink: Writable): Promise<void>
  /** The last byte has been handed to the socket. */
  finished(): Promise<void>
  left(): Promise<void>
}

export function watchCaller(response: ServerResponse): Caller {
  const wakers = new Set<() => void>()
  let goneAt: number | undefined

  response.once('close', () => {
    if (!response.writableFinished) goneAt = performance.now()
    for (const wake of wakers) wake()
  })

  /** `arm` is given what ends the wait, and may return what to undo then. */
  function until(arm: (end: () => void) => (() => void) | undefined): Promise<void> {
    if (goneAt !== undefined || response.destroyed) return Promise.resolve()
    return new Promise((resolve) => {
      function end() {
        wakers.delete(end)
        disarm?.()
        resolve()
      }
      wakers.add(end)
      const disarm = arm(end)
    })
  }

  return {
    get gone() {
      return goneAt !== undefined
    },
    get goneAt() {
      return goneAt
    },
    pause: (ms) =>
      until((end) => {
        const timer = setTimeout(end, ms)
        return () => clearTimeout(timer)
      }),
    drained: (sink) =>
      until((end) => {
        sink.once('drain', end)
        return () => sink.off('drain', end)
      }),
    finished: () =>
      response.writableFinished
        ? Promise.resolve()
        : until((end) => {
            response.once('finish', end)
            return () => response.off('finish', end)
          }),
    left: () => until(() => undefined),
  }
}
