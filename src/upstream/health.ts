/**
 * How an upstream fares, by what becomes of the requests that are sent to it: nothing is asked for its own sake.
 *
 * Who fails several times in a row, or asks to be left alone, is evicted for a while: each time for longer, until a
 * request succeeds. After that time one request at a time tells whether it is back.
 */
import { z } from 'zod'
import { type CelExpression, compileCel } from '../core/cel.ts'
import { celExpression } from '../core/cel-schema.ts'
import { durationMs } from '../core/schema.ts'

const FAILURES = 3
const EVICTION_MS = 3000
const LONGEST_EVICTION_MS = 300_000

/** Weight of the latest result in the averages. */
const SHARE = 0.2

const ANSWER_NAMES = { response: { code: true, headers: true } } as const

export const healthSchema = z.strictObject({
  /** Answers that count as failures, instead of those that usually do. */
  unhealthyExpression: celExpression(ANSWER_NAMES).optional(),
  eviction: z
    .strictObject({
      /** Of the first eviction; doubled with each that follows. */
      duration: durationMs.refine((ms) => ms > 0, { error: 'expected a duration above 0s' }).optional(),
      consecutiveFailures: z.int().positive().optional(),
    })
    .optional(),
})
export type HealthConfig = z.output<typeof healthSchema>

/** A request that is under way. */
export interface Asked {
  readonly begunAt: number
}

/** Which answers are failures; undefined: those that usually are. */
export const unhealthyAnswer = ({ unhealthyExpression }: HealthConfig): CelExpression | undefined =>
  unhealthyExpression === undefined ? undefined : compileCel(unhealthyExpression, ANSWER_NAMES)

export interface HealthWatch {
  readonly up: () => void
  readonly evicted: () => void
  /** The configuration names it no more. */
  readonly gone: () => void
}

const NOBODY: HealthWatch = { up() {}, evicted() {}, gone() {} }

export class Health {
  #evictionMs = EVICTION_MS
  #threshold = FAILURES
  #failures = 0
  #evictions = 0
  #evictedAt = 0
  #evictedUntil = 0
  /** The one that tells whether an eviction is over. */
  #probe: Asked | undefined
  #pending = 0
  /** 0 to 1. */
  #successes = 1
  #latencyMs = 0
  readonly #watch: HealthWatch

  constructor(watch: HealthWatch = NOBODY) {
    this.#watch = watch
    watch.up()
  }

  configure({ eviction }: HealthConfig): void {
    this.#evictionMs = eviction?.duration ?? EVICTION_MS
    this.#threshold = eviction?.consecutiveFailures ?? FAILURES
  }

  isAvailable(now: number): boolean {
    if (this.#evictions === 0) return true
    return now >= this.#evictedUntil && this.#probe === undefined
  }

  get evictedUntil(): number {
    return this.#evictedUntil
  }

  /** The higher the better. */
  get score(): number {
    return this.#successes / (1 + this.#latencyMs * (1 + 0.1 * this.#pending))
  }

  /** Ends with one of `abandon`, `succeed` and `fail`. */
  begin(now: number): Asked {
    const asked: Asked = { begunAt: now }
    this.#pending += 1
    if (this.#evictions > 0 && this.isAvailable(now)) this.#probe = asked
    return asked
  }

  /** Its answer has reached the client, and may go on for long: the next one may find out whether it is back. */
  shown(asked: Asked): void {
    if (this.#probe === asked) this.#probe = undefined
  }

  /** Nothing was learnt. */
  abandon(asked: Asked): void {
    this.#pending -= 1
    this.shown(asked)
  }

  succeed(asked: Asked, latencyMs: number): void {
    this.abandon(asked)
    // What was begun before an eviction tells nothing of how it is now.
    if (this.#evictions === 0 || asked.begunAt >= this.#evictedAt) this.#recover()
    this.#successes += SHARE * (1 - this.#successes)
    this.#latencyMs += SHARE * (latencyMs - this.#latencyMs)
  }

  #recover(): void {
    this.#failures = 0
    if (this.#evictions > 0) this.#watch.up()
    this.#evictions = 0
    this.#evictedUntil = 0
  }

  /**
   * Gives for how many milliseconds it is evicted by that; undefined where it is not. `retryAfter`: it asked to be left
   * alone for so many milliseconds.
   */
  fail(asked: Asked, now: number, retryAfter = 0): number | undefined {
    this.abandon(asked)
    this.#failures += 1
    this.#successes -= SHARE * this.#successes
    // Many that fail at once tell no more than one does.
    if (asked.begunAt < this.#evictedUntil) {
      this.#evictedUntil = Math.max(this.#evictedUntil, now + Math.min(retryAfter, LONGEST_EVICTION_MS))
      return undefined
    }
    if (this.#failures < this.#threshold && retryAfter === 0) return undefined
    const ms = Math.min(LONGEST_EVICTION_MS, Math.max(this.#evictionMs * 2 ** this.#evictions, retryAfter))
    this.#evictions += 1
    // Whoever found out about the one before tells nothing of this one.
    this.#probe = undefined
    this.#watch.evicted()
    this.#evictedAt = now
    this.#evictedUntil = now + ms
    return ms
  }
}

/** Several upstreams that stand in for each other. */
export interface GroupName {
  /** No other group has it. */
  readonly key: string
  /** For people: others may be called the same. */
  readonly label: string
}

/** Of upstreams, by their group and their name in it: they outlive a reload. */
export interface Healths {
  /** One that is known already keeps its configuration until it is retained. */
  readonly at: (group: GroupName, backend: string, config: HealthConfig) => Health
  /** With the configuration that was read last. Forgets all others. */
  readonly retain: (healths: readonly Health[]) => void
}

/** One watch for all that are called the same: up while none of them is evicted, gone with the last of them. */
function shareWatch(watch: HealthWatch, forget: () => void): () => HealthWatch {
  let members = 0
  let evicted = 0
  return () => {
    let isEvicted = false
    const setEvicted = (value: boolean) => {
      evicted += Number(value) - Number(isEvicted)
      isEvicted = value
      if (evicted === 0) watch.up()
    }
    members += 1
    return {
      up: () => setEvicted(false),
      evicted() {
        setEvicted(true)
        watch.evicted()
      },
      gone() {
        members -= 1
        if (members > 0) {
          if (isEvicted) setEvicted(false)
          return
        }
        watch.gone()
        forget()
      },
    }
  }
}

interface Known {
  readonly health: Health
  readonly watch: HealthWatch
  config: HealthConfig
}

export function createHealths(
  watch: (group: string, backend: string) => HealthWatch = () => NOBODY,
): Healths {
  const known = new Map<string, Known>()
  const watches = new Map<string, () => HealthWatch>()

  function watchOf(label: string, backend: string): HealthWatch {
    const name = `${label}\0${backend}`
    let join = watches.get(name)
    if (join === undefined) {
      join = shareWatch(watch(label, backend), () => watches.delete(name))
      watches.set(name, join)
    }
    return join()
  }

  return {
    at({ key, label }, backend, config) {
      const name = `${key}\0${label}\0${backend}`
      let entry = known.get(name)
      if (entry === undefined) {
        const watching = watchOf(label, backend)
        entry = { health: new Health(watching), watch: watching, config }
        entry.health.configure(config)
        known.set(name, entry)
      }
      entry.config = config
      return entry.health
    },
    retain(healths) {
      for (const [name, entry] of known) {
        if (healths.includes(entry.health)) entry.health.configure(entry.config)
        else {
          known.delete(name)
          entry.watch.gone()
        }
      }
    },
  }
}
