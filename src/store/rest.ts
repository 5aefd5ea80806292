/**
 * The store's thread rests while requests take nearly all processor time: each of its turns takes from them what they had in the
 * processor's caches. It sleeps with its messages unread, for to read them costs nearly as much as to write what is in them.
 */

/** How often the main thread has called one that may sleep. */
export type Calls = Int32Array<SharedArrayBuffer>

/** As many times as long as it worked before, so that it takes hardly anything from them. */
const TIMES = 200
const MOST_MS = 8000

export const createCalls = (): Calls => new Int32Array(new SharedArrayBuffer(4))

/** For the main thread, when it has sent what is to be read now. */
export function call(calls: Calls): void {
  Atomics.add(calls, 0, 1)
  Atomics.notify(calls, 0)
}

export interface Rest {
  /**
   * Before each work. If `mayRest`, it blocks a thread that takes a processor from others: until a call comes that it has not heard, for
   * some seconds at most.
   */
  readonly rest: (mayRest: boolean) => void
  /** One more of the calls has been heard. */
  readonly heard: () => void
}

/** For the store's thread. `takenMs` speaks of the time since it was asked last. */
export function createRest(calls: Calls, takenMs: () => number): Rest {
  let heard = 0
  return {
    rest(mayRest) {
      // Asked each time: the answer is about the time since then.
      const ms = Math.min(TIMES * takenMs(), MOST_MS)
      if (mayRest && ms > 0) Atomics.wait(calls, 0, heard, ms)
    },
    heard() {
      heard += 1
    },
  }
}
