/** Token buckets by key: filled in steps, full at first. */
import { hash } from 'node:crypto'

export interface BucketShape {
  readonly capacity: number
  readonly perFill: number
  readonly intervalMs: number
}

export interface Bucket {
  /** Below 0 when more was used than had been reserved. */
  level: number
  filledAt: number
}

export interface Buckets {
  readonly shape: () => BucketShape
  readonly reshape: (shape: BucketShape) => void
  /**
   * The key's own, refilled to this moment. Not to be kept: one that is full may make room for another key's, and be
   * begun anew.
   */
  readonly of: (key: string) => Bucket
  /** False when there is not enough: then nothing is taken. */
  readonly take: (bucket: Bucket, amount: number) => boolean
  /** Gives back, or takes what is owed. */
  readonly settle: (bucket: Bucket, amount: number) => void
  /** Until so much is there. */
  readonly hasInMs: (bucket: Bucket, amount: number) => number
  readonly fullInMs: (bucket: Bucket) => number
}

/** Clients may choose the key. A bucket that is full is as good as none, so those go first. */
const MAX_KEYS = 10_000
/** And how long it is. */
const MAX_KEY_LENGTH = 200

/** Looking for room among so many takes longer than a request may. */
const SWEEP_MS = 1000

export function createBuckets(first: BucketShape, now: () => number): Buckets {
  let shape = first
  const byKey = new Map<string, Bucket>()
  /** Of all keys that are too many. */
  let rest: Bucket | undefined
  let sweptAt = Number.NEGATIVE_INFINITY

  const fresh = (): Bucket => ({ level: shape.capacity, filledAt: now() })

  function refreshed(bucket: Bucket): Bucket {
    const fills = Math.floor((now() - bucket.filledAt) / shape.intervalMs)
    if (fills <= 0) return bucket
    bucket.level = Math.min(shape.capacity, bucket.level + fills * shape.perFill)
    bucket.filledAt += fills * shape.intervalMs
    return bucket
  }

  function makeRoom(): boolean {
    if (byKey.size < MAX_KEYS) return true
    if (now() - sweptAt < Math.min(SWEEP_MS, shape.intervalMs)) return false
    sweptAt = now()
    for (const [key, bucket] of byKey) if (refreshed(bucket).level >= shape.capacity) byKey.delete(key)
    return byKey.size < MAX_KEYS
  }

  const hasInMs = (bucket: Bucket, amount: number) => {
    const lacking = Math.min(amount, shape.capacity) - bucket.level
    if (lacking <= 0) return 0
    return bucket.filledAt + Math.ceil(lacking / shape.perFill) * shape.intervalMs - now()
  }

  return {
    shape: () => shape,
    reshape(next) {
      for (const bucket of [...byKey.values(), ...(rest === undefined ? [] : [rest])]) {
        refreshed(bucket)
        // What was used stays used.
        bucket.level = Math.min(next.capacity, bucket.level + Math.max(0, next.capacity - shape.capacity))
      }
      shape = next
    },
    of(given) {
      const key = given.length > MAX_KEY_LENGTH ? hash('sha256', given) : given
      const known = byKey.get(key)
      if (known !== undefined) return refreshed(known)
      if (!makeRoom()) {
        rest ??= fresh()
        return refreshed(rest)
      }
      const bucket = fresh()
      byKey.set(key, bucket)
      return bucket
    },
    take(bucket, amount) {
      if (refreshed(bucket).level < amount) return false
      bucket.level -= amount
      return true
    },
    settle(bucket, amount) {
      bucket.level = Math.min(shape.capacity, refreshed(bucket).level + amount)
    },
    hasInMs,
    fullInMs: (bucket) => hasInMs(bucket, shape.capacity),
  }
}
