/** Any number of timers on one of Node's: of what is due in the same millisecond, one after the other. */
import { now } from '../clock.ts'

const SLOTS = 4096

export interface TimerWheel {
  /** `atMs` of `now()`; at most some four seconds ahead. */
  readonly at: (atMs: number, run: () => void) => void
}

export function timerWheel(): TimerWheel {
  const slots: (() => void)[][] = Array.from({ length: SLOTS }, () => [])
  let waiting = 0
  let turnedTo = 0
  let timer: NodeJS.Timeout | undefined

  function turn(): void {
    const to = Math.floor(now())
    while (turnedTo < to && waiting > 0) {
      turnedTo++
      const due = slots[turnedTo % SLOTS] ?? []
      if (due.length === 0) continue
      slots[turnedTo % SLOTS] = []
      waiting -= due.length
      for (const run of due) run()
    }
    if (waiting > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return {
    at(atMs, run) {
      if (timer === undefined) {
        turnedTo = Math.floor(now())
        timer = setInterval(turn, 1)
      }
      const slot = Math.min(Math.max(Math.ceil(atMs), turnedTo + 1), turnedTo + SLOTS - 1)
      slots[slot % SLOTS]?.push(run)
      waiting++
    },
  }
}
