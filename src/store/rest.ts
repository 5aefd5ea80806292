/**
 * The store's thread rests while requests leave it no processor time: each of its turns takes from them what they had in the
 * processor's caches. It sleeps with its messages unread, for to read them costs nearly as much as to write what is in them.
 */

/** What the main thread says to one that sleeps. */
export type Signals = Int32Array<SharedArrayBuffer>

/** How often somebody has called: for an answer, or for the end. */
const CALLS = 0
/** 1: it may rest. */
const MAY = 1

/** As many times as long as it was starved before. */
const TIMES = 4
const MOST_MS = 4000
/** Share of the room for what waits: with less left, it works with what time it gets. */
const ROOMY = 0.75

/** As batches have it. */
interface Fullness {
  readonly taken: number
  readonly isCalm: boolean
}

/** Few requests, or little room. */
export const isCall = ({ taken, isCalm }: Fullness) => isCalm || taken >= ROOMY

export const createSignals = (): Signals => new Int32Array(new SharedArrayBuffer(8))

/** For the main thread, when it has sent what it wants to be heard. */
export function call(signals: Signals): void {
  Atomics.add(signals, CALLS, 1)
  Atomics.notify(signals, CALLS)
}

/** For the main thread: of what it has sent last. It calls where the other may not rest. */
export function tell(signals: Signals, batch: Fullness): void {
  Atomics.store(signals, MAY, isCall(batch) ? 0 : 1)
  if (isCall(batch)) call(signals)
}

export interface Rest {
  /**
   * Before each work. If `mayRest`, it blocks a thread that was starved: until a call comes that it has not heard, for some seconds at
   * most.
   */
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
      if (mayRest && ms > 0 && Atomics.load(signals, MAY) === 1) Atomics.wait(signals, CALLS, heard, ms)
    },
    heard() {
      heard += 1
    },
  }
}
