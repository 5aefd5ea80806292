/**
 * Whether a target can be had, as all its sessions know it together: after failures nobody tries until it is time
 * again, so that a dead server costs each client an error at once instead of a timeout.
 */

export interface TargetHealth {
  /** Undefined until somebody has tried. */
  readonly isUp: () => boolean | undefined
  readonly lastError: () => string | undefined
  /** Milliseconds until the next try is due; 0 = now. */
  readonly waitMs: () => number
  readonly succeeded: () => void
  readonly failed: (message: string) => void
  /** The right to try it, of which there is one while it is down. Returns how to give it back; undefined: taken. */
  readonly claim: () => (() => void) | undefined
  /** Calls back once, the next time that it is up. Returns how to take that back. */
  readonly whenUp: (listener: () => void) => () => void
}

export interface HealthOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly random: () => number
  readonly onChange: (isUp: boolean, error: string | undefined) => void
}

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 30_000
/** A server that stays up for so long may fail again without being suspected of doing nothing else. */
const STABLE_MS = 10_000

/** The first failure costs no wait: whatever died may be started anew at once. */
function waitAfter(failures: number, random: () => number): number {
  if (failures <= 1) return 0
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 2))
  return full * (0.75 + random() / 4)
}

export function targetHealth({ now, random, onChange }: HealthOptions): TargetHealth {
  let isUp: boolean | undefined
  let upSince = 0
  let failures = 0
  let retryAt = 0
  let lastError: string | undefined
  const waiting = new Set<() => void>()
  let isClaimed = false

  return {
    claim() {
      if (isUp !== false) return () => {}
      if (isClaimed) return undefined
      isClaimed = true
      return () => {
        isClaimed = false
      }
    },
    whenUp(listener) {
      waiting.add(listener)
      return () => waiting.delete(listener)
    },
    isUp: () => isUp,
    lastError: () => lastError,
    waitMs: () => Math.max(0, retryAt - now()),
    succeeded() {
      if (isUp === true) return
      isUp = true
      upSince = now()
      retryAt = 0
      onChange(true, undefined)
      const woken = [...waiting]
      waiting.clear()
      for (const wake of woken) wake()
    },
    failed(message) {
      lastError = message
      const at = now()
      // Many sessions lose the same server at once: that is one failure.
      if (at >= retryAt) {
        failures = isUp === true && at - upSince >= STABLE_MS ? 1 : failures + 1
        retryAt = at + waitAfter(failures, random)
      }
      if (isUp === false) return
      isUp = false
      onChange(false, message)
    },
  }
}
