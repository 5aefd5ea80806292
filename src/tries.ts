/** The attempts of one request: who is asked, how that went, and whether somebody is asked after it. */
import type { ForwardingBackend, PooledBackend } from './compile.ts'
import { type Retry, waitMs } from './policies/retry.ts'
import { choose } from './upstream/choose.ts'

export interface Next {
  readonly backend: ForwardingBackend
  readonly delayMs: number
}

export interface Clockwork {
  readonly now: () => number
  readonly random: () => number
}

/** The first one, and those after it. */
export const mostAttempts = ({ tiers }: Pick<PooledBackend, 'tiers'>, { attempts }: Retry) =>
  1 + (attempts ?? tiers.reduce((sum, tier) => sum + tier.length, -1))

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
  /** Whose attempt is under way. */
  #current: ForwardingBackend | undefined
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
    backend.health?.begin()
  }

  /** The answer begins: what comes of it is still to be seen. */
  answered(): void {
    this.#latencyMs = this.#clockwork.now() - this.#begunAt
  }

  /** Nothing is learnt of an upstream that has not answered. */
  succeeded(): void {
    if (this.#latencyMs === undefined) return
    this.#current?.health?.succeed(this.#latencyMs)
    this.#current = undefined
  }

  failed(retryAfter?: number): void {
    this.#current?.health?.fail(this.#clockwork.now(), { begunAt: this.#begunAt, retryAfter })
    this.#current = undefined
  }

  /** What is under way tells nothing of the upstream any more. */
  abandoned(): void {
    this.#current?.health?.abandon()
    this.#current = undefined
  }

  /** After the one that is under way. */
  get mayGoOn(): boolean {
    return this.#count < this.#most
  }

  isRetried(status: number): boolean {
    return this.#retry.codes.has(status)
  }

  /** After a failure. Another upstream is asked at once; the same one after a while. */
  next(retryAfter?: number): Next | undefined {
    if (!this.mayGoOn) return undefined
    const other = this.first()
    if (other !== undefined) return { backend: other, delayMs: 0 }
    const delayMs = waitMs(this.#retry, { attempt: this.#count, retryAfter }, this.#clockwork.random)
    if (delayMs === undefined) return undefined
    this.#asked = undefined
    const again = this.#sole ?? this.first()
    return again && { backend: again, delayMs }
  }
}
