/**
 * The store's thread rests while requests leave it no processor time: each of its turns takes from them what they had in the
 * processor's caches. It sleeps with its messages unread, for to read them costs nearly as much as to write what is in them.
 */

/** What the main thread says to one that sleeps. */
export type Signals = Int32Array<SharedArrayBuffer>

/** How often somebody has called: for an answer, or for the end. */
const CALLS = 0
/** Of the room for what waits, in thousandths. */
const TAKEN = 1

/** As many times as long as it was starved before. */
const TIMES = 4
const MOST_MS = 4000
/** In thousandths: with less room left, it works with what time it gets. */
const ROOMY = 750

/** As batches have it. */
interface Fullness {
  readonly taken: number
  readonly isCalm: boolean
}

export const createSignals = (): Signals => new Int32Array(new SharedArrayBuffer(8))

/** For the main thread. */
export function call(signals: Signals): void {
  Atomics.add(signals, CALLS, 1)
  Atomics.notify(signals, CALLS)
}

/** For the main thread: of what it has sent, the share of the room that is taken with it. */
export function tell(signals: Signals, { taken, isCalm }: Fullness): void {
  Atomics.store(signals, TAKEN, Math.round(taken * 1000))
  if (isCalm || !isRoomy(signals)) Atomics.notify(signals, CALLS)
}

const isRoomy = (signals: Signals) => Atomics.load(signals, TAKEN) < ROOMY

export interface Rest {
  /** Before each work. If it may, it blocks a thread that was starved for a while: until there is a call that it has not heard, few requests, or little room. */
  readonly rest: (mayRest: boolean) => void
  /** One more of the calls has been heard. */
  readonly heard: () => void
}

/** For the store's thread. `starvedMs` speaks of the time since it was asked last. */
export function createRest(signals: Signals, starvedMs: () => number): Rest {
  let heard = 0
  return {
    rest(mayRest) {
      // Asked each time: the answer is about the time since then.
      const ms = Math.min(TIMES * starvedMs(), MOST_MS)
      if (mayRest && ms > 0 && isRoomy(signals)) Atomics.wait(signals, CALLS, heard, ms)
    },
    heard() {
      heard += 1
    },
  }
}
