/** What servers do for one request of a client, so that it can be given up: also before any of them has it. */
import type { Link } from './link.ts'

export class UnderWay {
  readonly #calls: { readonly link: Link; readonly id: number }[] = []
  #reason: string | undefined
  #isGivenUp = false

  get isGivenUp(): boolean {
    return this.#isGivenUp
  }

  add(link: Link, id: number): void {
    // The link is about to send it: taken back right behind it.
    if (this.#isGivenUp) queueMicrotask(() => link.cancel(id, this.#reason))
    else this.#calls.push({ link, id })
  }

  giveUp(reason: string | undefined): void {
    if (this.#isGivenUp) return
    this.#isGivenUp = true
    this.#reason = reason
    for (const { link, id } of this.#calls) link.cancel(id, reason)
  }
}
