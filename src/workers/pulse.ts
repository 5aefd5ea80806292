/**
 * Finds out a process that hangs: it is asked again and again, and has said nothing at all since.
 *
 * How often it was asked is what counts, and not the time: where this process or the whole machine stood still, it had
 * no chance to answer.
 */

export interface Pulse {
  /** It has said something. */
  readonly heard: () => void
  readonly stop: () => void
}

const BEAT_MS = 1000
const MAX_UNHEARD = 10

/** `ask`: so that it says something. `onSilent`: once. */
export function watchPulse(ask: () => void, onSilent: () => void): Pulse {
  let unheard = 0
  const timer = setInterval(() => {
    if (unheard === MAX_UNHEARD) {
      clearInterval(timer)
      onSilent()
      return
    }
    unheard++
    ask()
  }, BEAT_MS)
  return {
    heard() {
      unheard = 0
    },
    stop: () => clearInterval(timer),
  }
}
