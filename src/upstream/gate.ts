/** How much an upstream is asked at a time: so many requests, and behind them so many that wait for their turn. */
export class Gate {
  readonly #most: number
  readonly #mostWaiting: number
  #active = 0
  readonly #waiting = new Set<() => void>()
  #emptied: (() => void) | undefined

  constructor(most: number, mostWaiting: number) {
    this.#most = most
    this.#mostWaiting = mostWaiting
  }

  /** False when there is no room, not even to wait. */
  enter(start: () => void): boolean {
    if (this.#active < this.#most) {
      this.#active += 1
      start()
      return true
    }
    if (this.#waiting.size >= this.#mostWaiting) return false
    this.#waiting.add(start)
    return true
  }

  /** Once for each that entered, whether its turn has come or not. */
  leave(start: () => void): void {
    if (this.#waiting.delete(start)) return
    this.#active -= 1
    const [next] = this.#waiting
    if (next === undefined) {
      if (this.#active === 0) this.#emptied?.()
      return
    }
    this.#waiting.delete(next)
    this.#active += 1
    next()
  }

  /** Now, or when the last one leaves. */
  whenEmpty(act: () => void): void {
    if (this.#active === 0) act()
    else this.#emptied = act
  }
}
