/**
 * How much: token buckets, for requests or for the tokens of models, one for all or one for each key.
 *
 * What a request will cost in tokens is reserved when it is known what it asks, and settled when it has ended: bursts
 * cannot overshoot, and in the end exactly what was used has been taken.
 */
import { z } from 'zod'
import { celExpression } from '../core/cel-schema.ts'
import { keyHash } from '../core/credential-key.ts'
import { GatewayError } from '../core/errors.ts'
import { type Exchange, noteEvent } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import { REQUEST_NAMES } from '../core/request-names.ts'
import { durationMs } from '../core/schema.ts'
import { type Bucket, type BucketShape, type Buckets, createBuckets } from './buckets.ts'
import { type Conditional, conditional } from './conditional.ts'
import type { Policy } from './policy.ts'
import { NOBODY, requestKey } from './request-key.ts'

export const limitSchema = z.strictObject({
  maxTokens: z.int().positive(),
  tokensPerFill: z.int().positive(),
  fillInterval: durationMs.refine((interval) => interval > 0, { error: 'expected a duration above 0s' }),
  type: z.enum(['requests', 'tokens']).default('requests'),
  key: celExpression(REQUEST_NAMES).optional(),
})

export const localRateLimitSchema = z.array(limitSchema).min(1, { error: 'expected at least one limit' })
export type RateLimitConfig = z.output<typeof limitSchema>

/** Of all limits, by their place: they outlive a reload. */
export interface Limits {
  /** One that is known already keeps its shape until that is adopted. */
  readonly at: (place: string, config: RateLimitConfig) => Buckets
  /** The configuration that was read last is the one in force. */
  readonly adopt: () => void
}

export function createLimits(now: () => number): Limits {
  const known = new Map<string, Buckets>()
  const next = new Map<Buckets, BucketShape>()
  return {
    adopt() {
      for (const [buckets, shape] of next) buckets.reshape(shape)
      next.clear()
    },
    at(place, { maxTokens, tokensPerFill, fillInterval, type }) {
      const shape = { capacity: maxTokens, perFill: tokensPerFill, intervalMs: fillInterval }
      const name = `${place} ${type}`
      const buckets = known.get(name)
      if (buckets === undefined) {
        const created = createBuckets(shape, now)
        known.set(name, created)
        return created
      }
      next.set(buckets, shape)
      return buckets
    },
  }
}

const seconds = (milliseconds: number) => String(Math.ceil(milliseconds / 1000))

function describe(headers: Headers, buckets: Buckets, bucket: Bucket): void {
  const remaining = Math.max(0, Math.floor(bucket.level))
  const told = headers['x-ratelimit-remaining']
  // Of several limits the one that is nearest.
  if (typeof told === 'string' && Number(told) <= remaining) return
  headers['x-ratelimit-limit'] = String(buckets.shape().capacity)
  headers['x-ratelimit-remaining'] = String(remaining)
  headers['x-ratelimit-reset'] = seconds(buckets.fullInMs(bucket))
}

function refuse(buckets: Buckets, bucket: Bucket, wanted: number): never {
  const headers = { 'retry-after': seconds(Math.max(1, buckets.hasInMs(bucket, wanted))) }
  throw new GatewayError('rate_limited', 'rate limit exceeded', { headers })
}

/** Of a request whose body has not been judged yet there is nothing to take: one token has to be there. */
const AT_LEAST = 1

function tokensOf({ llm }: Exchange): number {
  const usage = llm?.usage
  // Input includes what was read from and written to the cache.
  return usage === undefined ? 0 : usage.inputTokens + usage.outputTokens
}

export function localRateLimit(
  config: RateLimitConfig[] | Conditional<RateLimitConfig>,
  limits: Limits,
  place: string,
): Policy[] {
  const build = (limit: RateLimitConfig, index: number) =>
    rateLimit(limit, limits.at(`${place} ${index}`, limit), index)
  return Array.isArray(config) ? config.map(build) : [conditional(config, build)]
}

/** `index`: its place among the limits of its route. */
export function rateLimit(config: RateLimitConfig, buckets: Buckets, index = 0): Policy {
  const keyOf = requestKey(config.key)
  /** What is under way, with what was taken for it. */
  const reserved = new WeakMap<Exchange, { readonly name: string; taken: number }>()
  const ofTokens = config.type === 'tokens'
  const { tokensPerFill, type, fillInterval } = config
  const limit = `${tokensPerFill} ${type} per ${fillInterval / 1000}s`

  function exceeded(exchange: Exchange, name: string, bucket: Bucket, wanted: number): never {
    noteEvent(exchange, {
      name: 'rate_limit.exceeded',
      policy: `localRateLimit[${index}]`,
      limit,
      keyHash: name === NOBODY ? undefined : keyHash(name),
    })
    refuse(buckets, bucket, wanted)
  }

  return {
    onRequest(head) {
      const name = keyOf(head)
      const bucket = buckets.of(name)
      reserved.set(head.exchange, { name, taken: 0 })
      if (ofTokens) {
        if (bucket.level < AT_LEAST) exceeded(head.exchange, name, bucket, AT_LEAST)
      } else if (!buckets.take(bucket, 1)) exceeded(head.exchange, name, bucket, 1)
      return undefined
    },
    onModelRequest(head, { tokens }) {
      const own = reserved.get(head.exchange)
      if (!ofTokens || own === undefined) return
      // What is larger than the whole bucket passes when that is full: it would never pass otherwise.
      const wanted = Math.min(tokens, buckets.shape().capacity)
      const bucket = buckets.of(own.name)
      if (!buckets.take(bucket, wanted)) exceeded(head.exchange, own.name, bucket, wanted)
      own.taken = wanted
    },
    onResponse(headers, { exchange }) {
      const own = reserved.get(exchange)
      if (own !== undefined) describe(headers, buckets, buckets.of(own.name))
    },
    onFinished(exchange) {
      const own = reserved.get(exchange)
      if (!ofTokens || own === undefined) return
      reserved.delete(exchange)
      buckets.settle(buckets.of(own.name), own.taken - tokensOf(exchange))
    },
  }
}
