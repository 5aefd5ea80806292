/**
 * The cells that hold the numbers, and the tree in which they are found by their labels' values.
 *
 * The tree walks one step per label: joining the values to one key and hashing it costs several times as much. Most
 * labels rarely change from one request to the next, so each step first tries the branch that it took last.
 */

interface Node<T> {
  branches: Map<string, Node<T>> | undefined
  lastStep: string | undefined
  lastBranch: Node<T> | undefined
  value: T | undefined
}

function newNode<T>(): Node<T> {
  return { branches: undefined, lastStep: undefined, lastBranch: undefined, value: undefined }
}

/** Values by lists of strings. */
export class LabelTree<T> {
  readonly #root = newNode<T>()
  size = 0

  get(path: readonly string[]): T | undefined {
    let node: Node<T> | undefined = this.#root
    for (let index = 0; index < path.length; index++) {
      const step = path[index] ?? ''
      if (node.lastStep !== step) {
        const branch: Node<T> | undefined = node.branches?.get(step)
        if (branch === undefined) return undefined
        node.lastStep = step
        node.lastBranch = branch
      }
      node = node.lastBranch
      if (node === undefined) return undefined
    }
    return node.value
  }

  set(path: readonly string[], value: T): void {
    let node = this.#root
    for (const step of path) {
      node.branches ??= new Map()
      let branch = node.branches.get(step)
      if (branch === undefined) {
        branch = newNode()
        node.branches.set(step, branch)
      }
      node = branch
    }
    if (node.value === undefined) this.size++
    node.value = value
  }
}

/** Told when a series changes: `mark` is called many times per request. */
export interface Watcher {
  mark(): void
}

/** How gauges of several processes become one: `own` is that of the first process alone. */
export type Merge = 'sum' | 'max' | 'min' | 'own'

// Classes, because these are written many times per request: one hidden class each, methods that inline.

/** A number that only grows. */
export class Counter {
  value = 0
  /** `a="x",b="y"`, escaped. */
  readonly labels: string
  readonly collect: (() => number) | undefined
  watcher: Watcher | undefined
  readonly #overflowed: Counter | undefined

  constructor(labels: string, overflowed?: Counter, collect?: () => number) {
    this.labels = labels
    this.collect = collect
    this.#overflowed = overflowed
  }

  /** What is printed: `value` is only what was added. */
  current(): number {
    return this.collect === undefined ? this.value : this.collect() + this.value
  }

  /** Anything but a positive finite number is ignored: it would spoil the total for the life of the process. */
  inc(by = 1): void {
    if (!(by > 0 && by < Infinity)) return
    this.value += by
    this.watcher?.mark()
    this.#overflowed?.inc()
  }
}

export class Gauge {
  value = 0
  readonly labels: string
  readonly collect: (() => number) | undefined
  readonly merge: Merge
  watcher: Watcher | undefined
  #isWithdrawn = false
  /** What other processes measured of the same, by who tells it. */
  #others: Map<object, number> | undefined
  readonly #overflowed: Counter | undefined

  constructor(labels: string, overflowed?: Counter, collect?: () => number, merge: Merge = 'sum') {
    this.labels = labels
    this.collect = collect
    this.merge = merge
    this.#overflowed = overflowed
  }

  set(value: number): void {
    this.value = value
    this.#isWithdrawn = false
    this.watcher?.mark()
    this.#overflowed?.inc()
  }

  add(by: number): void {
    this.value += by
    this.watcher?.mark()
    this.#overflowed?.inc()
  }

  /** What it measured is gone: it is not printed until it is set again. */
  withdraw(): void {
    this.#isWithdrawn = true
    this.watcher?.mark()
  }

  /** What this process measures; undefined: nothing. */
  own(): number | undefined {
    if (this.#isWithdrawn) return undefined
    return this.collect === undefined ? this.value : this.collect()
  }

  /** What is printed, other processes included; undefined: nothing. */
  current(): number | undefined {
    const own = this.own()
    if (this.#others === undefined || this.#others.size === 0 || this.merge === 'own') return own
    const all = [...(own === undefined ? [] : [own]), ...this.#others.values()]
    if (this.merge === 'sum') return all.reduce((sum, one) => sum + one)
    return this.merge === 'max' ? Math.max(...all) : Math.min(...all)
  }

  /** What another process measures of the same; undefined: nothing any more. */
  setOther(teller: object, value: number | undefined): void {
    if (value === undefined) this.#others?.delete(teller)
    else {
      this.#others ??= new Map()
      this.#others.set(teller, value)
    }
  }
}

/** The latest traced observation in a bucket. */
export interface Exemplar {
  traceId: string
  value: number
  atEpochMs: number
}

export class Histogram {
  sum = 0
  readonly labels: string
  readonly bounds: Float64Array
  /** Per bucket, not cumulative; the last is `+Inf`. */
  readonly counts: Float64Array
  /** By bucket. */
  exemplars: Exemplar[] | undefined
  watcher: Watcher | undefined
  readonly #overflowed: Counter | undefined

  constructor(labels: string, bounds: Float64Array, overflowed?: Counter) {
    this.labels = labels
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
    this.#overflowed = overflowed
  }

  /** NaN and infinities are ignored: they would spoil the sum for the life of the process. */
  observe(value: number, exemplarTraceId?: string, atEpochMs?: number): void {
    if (!(value > -Infinity && value < Infinity)) return
    const { bounds, counts } = this
    let bucket = 0
    while (bucket < bounds.length && value > Number(bounds[bucket])) bucket++
    counts[bucket] = Number(counts[bucket]) + 1
    this.sum += value
    if (exemplarTraceId !== undefined) this.remember(bucket, value, exemplarTraceId, atEpochMs)
    this.watcher?.mark()
    this.#overflowed?.inc()
  }

  /** Adds observations that were counted elsewhere in the same buckets; `counts` has one entry for `+Inf`. */
  merge(added: ArrayLike<number>, sum: number): void {
    if (added.length !== this.counts.length || !Number.isFinite(sum)) return
    let total = 0
    for (let bucket = 0; bucket < added.length; bucket++) {
      const count = Number(added[bucket])
      this.counts[bucket] = Number(this.counts[bucket]) + count
      total += count
    }
    this.sum += sum
    this.watcher?.mark()
    this.#overflowed?.inc(total)
  }

  /** An observation that is counted already. */
  remember(bucket: number, value: number, traceId: string, atEpochMs = Date.now()): void {
    this.exemplars ??= []
    const known = this.exemplars[bucket]
    if (known === undefined) {
      this.exemplars[bucket] = { traceId, value, atEpochMs }
    } else {
      known.traceId = traceId
      known.value = value
      known.atEpochMs = atEpochMs
    }
  }
}
