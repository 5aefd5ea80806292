/**
 * First in, first out, and out of turn for who gives up.
 *
 * No `Set`: V8 links the table that a set has outgrown to the one that takes its place. One such table that has grown old
 * keeps all that come after it alive, with all that was ever in them, until the next full collection.
 */
export class Queue<T extends object> {
  readonly #items: (T | undefined)[] = []
  /** Those before it are gone. */
  #first = 0

  get size(): number {
    return this.#items.length - this.#first
  }

  add(item: T): void {
    this.#items.push(item)
  }

  take(): T | undefined {
    const item = this.#items[this.#first]
    if (item === undefined) return undefined
    this.#items[this.#first] = undefined
    this.#first++
    if (this.#first === this.#items.length) {
      this.#items.length = 0
      this.#first = 0
    } else if (this.#first >= 1024 && this.#first * 2 > this.#items.length) {
      this.#items.splice(0, this.#first)
      this.#first = 0
    }
    return item
  }

  find(asked: (item: T) => boolean): T | undefined {
    for (let at = this.#first; at < this.#items.length; at++) {
      const item = this.#items[at]
      if (item !== undefined && asked(item)) return item
    }
    return undefined
  }

  /** False where it is not in it. */
  remove(item: T): boolean {
    if (this.#items[this.#first] === item) return this.take() === item
    const place = this.#items.indexOf(item, this.#first)
    if (place < 0) return false
    this.#items.splice(place, 1)
    return true
  }
}
