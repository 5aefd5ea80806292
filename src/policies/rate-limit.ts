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
import { type Conditional, conditional } from './conditional.ts'
import { type Limit, type Limits, newShare, type Share, type Standing, type Wait } from './limits.ts'
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

const seconds = (milliseconds: number) => String(Math.ceil(milliseconds / 1000))

function describe(headers: Headers, { capacity, level, fullInMs }: Standing): void {
  const remaining = Math.max(0, Math.floor(level))
  const told = headers['x-ratelimit-remaining']
  // Of several limits the one that is nearest.
  if (typeof told === 'string' && Number(told) <= remaining) return
  headers['x-ratelimit-limit'] = String(capacity)
  headers['x-ratelimit-remaining'] = String(remaining)
  headers['x-ratelimit-reset'] = seconds(fullInMs)
}

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
export function rateLimit(config: RateLimitConfig, limit: Limit, index = 0): Policy {
  const keyOf = requestKey(config.key)
  /** What is under way. */
  const shares = new WeakMap<Exchange, Share>()
  const { tokensPerFill, type, fillInterval } = config
  const ofTokens = type === 'tokens'
  const limitText = `${tokensPerFill} ${type} per ${fillInterval / 1000}s`

  function judge(exchange: Exchange, { key }: Share, wait: Wait): undefined {
    if (wait === undefined) return
    noteEvent(exchange, {
      name: 'rate_limit.exceeded',
      policy: `localRateLimit[${index}]`,
      limit: limitText,
      keyHash: key === NOBODY ? undefined : keyHash(key),
    })
    const headers = { 'retry-after': seconds(wait) }
    throw new GatewayError('rate_limited', 'rate limit exceeded', { headers })
  }

  return {
    onRequest(head) {
      const { exchange } = head
      const share = newShare(keyOf(head))
      shares.set(exchange, share)
      const wait = limit.admit(share)
      if (wait instanceof Promise) return wait.then((after) => judge(exchange, share, after))
      return judge(exchange, share, wait)
    },
    onModelRequest({ exchange }, { tokens }) {
      const share = shares.get(exchange)
      if (!ofTokens || share === undefined) return undefined
      const wait = limit.reserve(share, tokens)
      if (wait instanceof Promise) return wait.then((after) => judge(exchange, share, after))
      return judge(exchange, share, wait)
    },
    onResponse(headers, { exchange }) {
      const share = shares.get(exchange)
      const standing = share && limit.standing(share)
      if (standing !== undefined) describe(headers, standing)
    },
    onFinished(exchange) {
      const share = shares.get(exchange)
      if (!ofTokens || share === undefined) return
      shares.delete(exchange)
      limit.settle(share, tokensOf(exchange))
    },
  }
}
