/** What servers do for one request of a client, so that it can be given up: also before any of them has it. */
import type { Link } from './link.ts'
import { TargetError } from './transport.ts'

export class UnderWay {
  readonly #calls: { readonly link: Link; readonly id: number }[] = []
  readonly #waiting = new Set<(error: TargetError) => void>()
  #reason: string | undefined
  #isGivenUp = false

  /** Throws `TargetError`. */
  check(): void {
    if (this.#isGivenUp) throw this.#error()
  }

  add(link: Link, id: number): void {
    this.#calls.push({ link, id })
  }

  /** What the work comes to, unless it is given up before. */
  async unlessGivenUp<T>(work: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    if (this.#isGivenUp) reject(this.#error())
    this.#waiting.add(reject)
    work.then(resolve, reject)
    return promise.finally(() => this.#waiting.delete(reject))
  }

  #error(): TargetError {
    return new TargetError('cancelled', this.#reason ?? 'the client cancelled the request')
  }

  giveUp(reason: string | undefined): void {
    if (this.#isGivenUp) return
    this.#isGivenUp = true
    this.#reason = reason
    for (const { link, id } of this.#calls) link.cancel(id, reason)
    const error = this.#error()
    for (const reject of this.#waiting) reject(error)
  }
}
