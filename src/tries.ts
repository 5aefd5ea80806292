/** The attempts of one request: who is asked, how that went, and whether somebody is asked after it. */
import type { ForwardingBackend, PooledBackend } from './compile.ts'
import type { CelExpression } from './core/cel.ts'
import { isTrue } from './core/rules.ts'
import { type Retry, waitMs } from './policies/retry.ts'
import { choose } from './upstream/choose.ts'
import type { Asked } from './upstream/health.ts'

export interface Next {
  readonly backend: ForwardingBackend
  readonly delayMs: number
}

export interface Clockwork {
  readonly now: () => number
  readonly random: () => number
  /** When the request is over, answered or not. */
  readonly deadline: number
}

/** The first one, and those after it. */
export const mostAttempts = ({ tiers }: Pick<PooledBackend, 'tiers'>, { attempts }: Retry) =>
  1 + (attempts ?? tiers.reduce((sum, tier) => sum + tier.length, -1))

/** What an answer means. */
export interface Verdict {
  /** Another attempt is wanted. */
  readonly isRetried: boolean
  /** It tells against the upstream. */
  readonly hasFailed: boolean
}

const GOOD: Verdict = { isRetried: false, hasFailed: false }
const BAD: Verdict = { isRetried: false, hasFailed: true }
const RETRIED: Verdict = { isRetried: true, hasFailed: true }

const NOBODY: ReadonlySet<ForwardingBackend> = new Set()

export class Tries {
  readonly #tiers: PooledBackend['tiers']
  readonly #retry: Retry
  readonly #clockwork: Clockwork
  #asked: Set<ForwardingBackend> | undefined
  /** Where nobody else can be asked. */
  readonly #sole: ForwardingBackend | undefined
  readonly #most: number
  #count = 0
  /** Whose attempt is the latest. */
  #current: ForwardingBackend | undefined
  /** As its health knows it, until that is told how it went. */
  #asking: Asked | undefined
  #begunAt = 0
  /** Until the head was there. */
  #latencyMs: number | undefined

  constructor({ tiers }: Pick<PooledBackend, 'tiers'>, retry: Retry, clockwork: Clockwork) {
    this.#tiers = tiers
    this.#retry = retry
    this.#clockwork = clockwork
    this.#sole = tiers.length === 1 && tiers[0]?.length === 1 ? tiers[0][0] : undefined
    this.#most = mostAttempts({ tiers }, retry)
  }

  /** The one whose turn it is first. */
  first(): ForwardingBackend | undefined {
    if (this.#sole !== undefined) return this.#count === 0 ? this.#sole : undefined
    return choose(this.#tiers, this.#asked ?? NOBODY, { ...this.#clockwork, now: this.#clockwork.now() })
  }

  begin(backend: ForwardingBackend): void {
    if (this.#sole === undefined) this.#asked = (this.#asked ?? new Set()).add(backend)
    this.#count += 1
    this.#current = backend
    this.#begunAt = this.#clockwork.now()
    this.#latencyMs = undefined
    this.#asking = backend.health?.begin(this.#begunAt)
  }

  /** The answer begins: what comes of it is still to be seen. */
  answered(): void {
    this.#latencyMs = this.#clockwork.now() - this.#begunAt
  }

  /** The client has seen something of the answer. */
  shown(): void {
    if (this.#asking !== undefined) this.#current?.health?.shown(this.#asking)
  }

  /** Nothing is learnt of an upstream that has not answered. */
  succeeded(): void {
    if (this.#asking === undefined || this.#latencyMs === undefined) return
    this.#current?.health?.succeed(this.#asking, this.#latencyMs)
    this.#asking = undefined
  }

  /** Gives for how many milliseconds the upstream is evicted; undefined where it is not. */
  failed(retryAfter?: number): number | undefined {
    if (this.#asking === undefined) return undefined
    const evictedMs = this.#current?.health?.fail(this.#asking, this.#clockwork.now(), retryAfter)
    this.#asking = undefined
    return evictedMs
  }

  /** What is under way tells nothing of the upstream any more. */
  abandoned(): void {
    if (this.#asking === undefined) return
    this.#current?.health?.abandon(this.#asking)
    this.#asking = undefined
  }

  /** After the one that is under way. */
  get mayGoOn(): boolean {
    return this.#count < this.#most
  }

  /** By its status alone; undefined where an expression has to be asked. */
  judge(status: number): Verdict | undefined {
    if (this.#retry.condition !== undefined || this.#current?.unhealthy !== undefined) return undefined
    if (this.#retry.codes.has(status)) return RETRIED
    return status < 500 ? GOOD : BAD
  }

  judgeBy(
    status: number,
    variables: Readonly<Record<string, unknown>>,
    failed: (condition: CelExpression) => void,
  ): Verdict {
    const { codes, condition } = this.#retry
    const unhealthy = this.#current?.unhealthy
    const holds = (expression: CelExpression) => isTrue(expression, variables, false, failed)
    const isRetried = codes.has(status) || (condition !== undefined && holds(condition))
    return { isRetried, hasFailed: unhealthy === undefined ? isRetried || status >= 500 : holds(unhealthy) }
  }

  /** After a failure. Another upstream is asked at once; the same one after a while, if that is not too late. */
  next(retryAfter?: number): Next | undefined {
    if (!this.mayGoOn) return undefined
    const other = this.first()
    if (other !== undefined) return { backend: other, delayMs: 0 }
    const delayMs = waitMs(this.#retry, { attempt: this.#count, retryAfter }, this.#clockwork.random)
    const { now, deadline } = this.#clockwork
    if (delayMs === undefined || now() + delayMs >= deadline) return undefined
    this.#asked = undefined
    const again = this.#sole ?? this.first()
    return again && { backend: again, delayMs }
  }
}
