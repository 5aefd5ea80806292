/**
 * What all limits have counted, and what a request takes of it.
 *
 * A limit may be counted in another process, which then is asked and waited for: here a request never waits.
 */
import { type BucketShape, type Buckets, createBuckets } from './buckets.ts'

export interface LimitShape {
  readonly maxTokens: number
  readonly tokensPerFill: number
  /** Milliseconds. */
  readonly fillInterval: number
  readonly type: 'requests' | 'tokens'
}

/** How a key stands with a limit. */
export interface Standing {
  readonly capacity: number
  /** Below 0 when more was used than had been reserved. */
  readonly level: number
  readonly fullInMs: number
}

/** What one request holds of a limit. */
export interface Share {
  readonly key: string
  /** Reserved until it is settled. */
  taken: number
  /** Of a limit that is counted elsewhere: as it was told last. */
  told: Standing | undefined
  /** Of a limit that is counted elsewhere: what is reserved is known there by this number. */
  number: number | undefined
}

/** Milliseconds until it may pass; undefined: now. */
export type Wait = number | undefined

export interface Limit {
  /** When it arrives: a request is taken; of tokens one has to be there. */
  readonly admit: (share: Share) => Wait | Promise<Wait>
  /** Tokens. More than the whole limit is the whole limit: it would never pass otherwise. */
  readonly reserve: (share: Share, tokens: number) => Wait | Promise<Wait>
  /** Gives back what was reserved, and takes what was used; also when the reservation is still waited for. */
  readonly settle: (share: Share, used: number) => void
  /** Undefined while it is not known. */
  readonly standing: (share: Share) => Standing | undefined
}

export interface CountedLimit extends Limit {
  readonly admit: (share: Share) => Wait
  readonly reserve: (share: Share, tokens: number) => Wait
  readonly standing: (share: Share) => Standing
}

/** Of all limits, by their place: they outlive a reload. */
export interface Limits {
  /** One that is known already keeps its shape until that is adopted. */
  readonly at: (place: string, shape: LimitShape) => Limit
  /** The configuration that was read last is the one in force. */
  readonly adopt: () => void
}

export interface CountedLimits extends Limits {
  readonly at: (place: string, shape: LimitShape) => CountedLimit
  /** By `limitName`. */
  readonly named: (name: string) => CountedLimit | undefined
}

export const limitName = (place: string, { type }: Pick<LimitShape, 'type'>) => `${place} ${type}`

export const newShare = (key: string): Share => ({ key, taken: 0, told: undefined, number: undefined })

/** Of a request whose body has not been judged yet there is nothing to take: one token has to be there. */
const AT_LEAST = 1

function counted(buckets: Buckets, type: LimitShape['type']): CountedLimit {
  const waitFor = (key: string, amount: number) => Math.max(1, buckets.hasInMs(buckets.of(key), amount))
  return {
    admit({ key }) {
      const bucket = buckets.of(key)
      const passes = type === 'tokens' ? bucket.level >= AT_LEAST : buckets.take(bucket, 1)
      return passes ? undefined : waitFor(key, AT_LEAST)
    },
    reserve(share, tokens) {
      const wanted = Math.min(tokens, buckets.shape().capacity)
      if (!buckets.take(buckets.of(share.key), wanted)) return waitFor(share.key, wanted)
      share.taken = wanted
      return undefined
    },
    settle(share, used) {
      buckets.settle(buckets.of(share.key), share.taken - used)
      share.taken = 0
    },
    standing({ key }) {
      const bucket = buckets.of(key)
      return { capacity: buckets.shape().capacity, level: bucket.level, fullInMs: buckets.fullInMs(bucket) }
    },
  }
}

export function createLimits(now: () => number): CountedLimits {
  const known = new Map<string, { readonly buckets: Buckets; readonly limit: CountedLimit }>()
  const next = new Map<Buckets, BucketShape>()
  return {
    adopt() {
      for (const [buckets, shape] of next) buckets.reshape(shape)
      next.clear()
    },
    at(place, shape) {
      const { maxTokens, tokensPerFill, fillInterval, type } = shape
      const bucketShape = { capacity: maxTokens, perFill: tokensPerFill, intervalMs: fillInterval }
      const name = limitName(place, shape)
      const one = known.get(name)
      if (one !== undefined) {
        next.set(one.buckets, bucketShape)
        return one.limit
      }
      const buckets = createBuckets(bucketShape, now)
      const limit = counted(buckets, type)
      known.set(name, { buckets, limit })
      return limit
    },
    named: (name) => known.get(name)?.limit,
  }
}
