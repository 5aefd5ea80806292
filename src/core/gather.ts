/** What happens often and may happen a little later, done together. */

export interface Gathered<T> {
  readonly add: (one: T) => void
  /** Does what is there. */
  readonly flush: () => void
}

/**
 * `take` gets up to `most` at a time, at the latest when what `soon` was given is called. Code that runs once between
 * two requests has left the processor's caches each time: it takes about twice as long as when it runs for many in a row.
 */
export function gather<T>(
  most: number,
  soon: (flush: () => void) => void,
  take: (all: readonly T[]) => void,
): Gathered<T> {
  let waiting: T[] = []
  let isDue = false

  function flush(): void {
    if (waiting.length === 0) return
    const all = waiting
    waiting = []
    take(all)
  }

  function due(): void {
    isDue = false
    flush()
  }

  return {
    add(one) {
      waiting.push(one)
      if (waiting.length >= most) flush()
      else if (!isDue) {
        isDue = true
        soon(due)
      }
    },
    flush,
  }
}
