/** What happens often and may happen a little later, done together. */

export interface Gathered<T> {
  readonly add: (one: T) => void
  /** Does what is there. */
  readonly flush: () => void
}

/**
 * `take` gets up to `most` at a time, each after `withinMs` at the latest. Code that runs once between two requests has
 * left the processor's caches each time: it takes about twice as long as when it runs for many in a row.
 */
export function gather<T>(most: number, withinMs: number, take: (all: readonly T[]) => void): Gathered<T> {
  let waiting: T[] = []
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (waiting.length === 0) return
    const all = waiting
    waiting = []
    take(all)
  }

  return {
    add(one) {
      waiting.push(one)
      if (waiting.length >= most) flush()
      else timer ??= setTimeout(flush, withinMs).unref()
    },
    flush,
  }
}
