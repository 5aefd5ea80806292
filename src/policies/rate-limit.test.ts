import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import { createLimits } from './limits.ts'
import type { RequestHead } from './policy.ts'
import { localRateLimitSchema, rateLimit } from './rate-limit.ts'
import { requestHead } from './request-head.fixture.ts'

type Config = z.input<typeof localRateLimitSchema>[number]

const REQUESTS: Config = { maxTokens: 2, tokensPerFill: 1, fillInterval: '1s' }
const TOKENS: Config = { maxTokens: 1000, tokensPerFill: 100, fillInterval: '1m', type: 'tokens' }

function lab(config: Config) {
  let now = 0
  const limits = createLimits(() => now)
  const policyOf = (wanted: Config) => {
    const [parsed] = localRateLimitSchema.parse([wanted])
    if (parsed === undefined) throw new Error('no limit')
    const policy = rateLimit(parsed, limits.at('default/a 0', parsed))
    limits.adopt()
    return policy
  }
  let policy = policyOf(config)

  function begin(change: Parameters<typeof requestHead>[0] = {}): RequestHead {
    const head = requestHead(change)
    expect(policy.onRequest?.(head)).toBeUndefined()
    return head
  }
  /** The error that it throws, with what the client is told. */
  function refusal(attempt: () => unknown) {
    try {
      attempt()
    } catch (error) {
      if (error instanceof GatewayError) return { code: error.code, ...error.headers }
      throw error
    }
    return undefined
  }
  const finish = ({ exchange }: RequestHead, used?: number) => {
    if (used !== undefined)
      exchange.llm = { usage: { inputTokens: used, outputTokens: 0 } } as unknown as NonNullable<
        Exchange['llm']
      >
    policy.onFinished?.(exchange)
  }
  return {
    begin,
    finish,
    tryToBegin: (change: Parameters<typeof requestHead>[0] = {}) => refusal(() => begin(change)),
    tryToAsk: (head: RequestHead, tokens: number) =>
      refusal(() => policy.onModelRequest?.(head, { model: 'm', tokens, usd: () => 0 })),
    told(head: RequestHead, headers: Headers = {}) {
      policy.onResponse?.(headers, head, 200)
      return headers
    },
    pass: (milliseconds: number) => {
      now += milliseconds
    },
    reload: (next: Config) => {
      policy = policyOf(next)
    },
  }
}

const limited = (seconds: string) => ({ code: 'rate_limited', 'retry-after': seconds })
const told = (limit: string, remaining: string, reset: string) => ({
  'x-ratelimit-limit': limit,
  'x-ratelimit-remaining': remaining,
  'x-ratelimit-reset': reset,
})

describe('requests', () => {
  test('so many at once, then as they fill', () => {
    const { begin, tryToBegin, told: headersOf, pass } = lab(REQUESTS)
    expect(headersOf(begin())).toEqual(told('2', '1', '1'))
    expect(headersOf(begin())).toEqual(told('2', '0', '2'))
    expect(tryToBegin()).toEqual(limited('1'))
    pass(1000)
    expect(tryToBegin()).toBeUndefined()
    expect(tryToBegin()).toEqual(limited('1'))
  })

  test('of several limits the nearest is told', () => {
    const { begin, told: headersOf } = lab(REQUESTS)
    expect(headersOf(begin(), told('100', '0', '9'))).toEqual(told('100', '0', '9'))
    expect(headersOf(begin(), told('100', '50', '9'))).toEqual(told('2', '0', '2'))
  })

  test('a reload keeps what was used', () => {
    const { begin, tryToBegin, reload } = lab(REQUESTS)
    begin()
    begin()
    reload({ ...REQUESTS })
    expect(tryToBegin()).toEqual(limited('1'))
    reload({ ...REQUESTS, maxTokens: 3 })
    expect(tryToBegin()).toBeUndefined()
    expect(tryToBegin()).toEqual(limited('1'))
  })
})

describe('a key', () => {
  test.each<{ name: string; key: string; one: Partial<RequestHead>; other: Partial<RequestHead> }>([
    {
      name: 'of the metadata of an API key',
      key: 'apiKey.user',
      one: { apiKey: { user: 'ann' } },
      other: { apiKey: { user: 'bob' } },
    },
    {
      name: 'of a header',
      key: 'request.headers["x-team"]',
      one: { headers: { 'x-team': 'a' } },
      other: { headers: { 'x-team': 'b' } },
    },
    { name: 'of numbers', key: 'apiKey.tier', one: { apiKey: { tier: 1 } }, other: { apiKey: { tier: 2 } } },
    { name: 'that one of them lacks', key: 'apiKey.user', one: { apiKey: { user: 'ann' } }, other: {} },
  ])('$name: each has its own', ({ key, one, other }) => {
    const { begin, tryToBegin } = lab({ ...REQUESTS, key })
    begin(one)
    begin(one)
    expect(tryToBegin(one)).toEqual(limited('1'))
    expect(tryToBegin(other)).toBeUndefined()
  })

  test('who has none shares with all who have none', () => {
    const { begin, tryToBegin } = lab({ ...REQUESTS, key: 'apiKey.user' })
    begin({})
    begin({ apiKey: {} })
    expect(tryToBegin({ apiKey: { user: ['ann'] } })).toEqual(limited('1'))
    // Nor can anybody pass for nobody.
    expect(tryToBegin({ apiKey: { user: '' } })).toBeUndefined()
  })
})

describe('tokens', () => {
  test('are reserved, and settled to what was used', () => {
    const { begin, tryToAsk, finish, told: headersOf } = lab(TOKENS)
    const head = begin()
    expect(tryToAsk(head, 600)).toBeUndefined()
    expect(headersOf(head)).toEqual(told('1000', '400', '360'))
    finish(head, 150)
    expect(headersOf(begin())).toEqual(told('1000', '850', '120'))
  })

  test('those that run at once cannot overshoot', () => {
    const { begin, tryToAsk, finish } = lab(TOKENS)
    const [one, two, three] = [begin(), begin(), begin()]
    expect(tryToAsk(one, 600)).toBeUndefined()
    expect(tryToAsk(two, 600)).toEqual(limited('120'))
    expect(tryToAsk(three, 300)).toBeUndefined()
    finish(one, 100)
    finish(two)
    finish(three)
    expect(tryToAsk(begin(), 900)).toBeUndefined()
  })

  test('more than was reserved is owed', () => {
    const { begin, tryToBegin, tryToAsk, finish, pass } = lab(TOKENS)
    const head = begin()
    tryToAsk(head, 900)
    finish(head, 1250)
    expect(tryToBegin()).toEqual(limited('180'))
    pass(3 * 60_000)
    expect(tryToBegin()).toBeUndefined()
  })

  test('what is larger than the bucket passes when that is full', () => {
    const { begin, tryToAsk, finish, pass } = lab(TOKENS)
    const head = begin()
    expect(tryToAsk(head, 128_000)).toBeUndefined()
    finish(head, 50)
    expect(tryToAsk(begin(), 128_000)).toEqual(limited('60'))
    pass(60_000)
    expect(tryToAsk(begin(), 128_000)).toBeUndefined()
  })

  test('a failed request gives back what it had taken, once', () => {
    const { begin, tryToAsk, finish, told: headersOf } = lab(TOKENS)
    const head = begin()
    tryToAsk(head, 500)
    finish(head)
    finish(head)
    expect(headersOf(begin())['x-ratelimit-remaining']).toBe('1000')
  })
})

test.each([
  { name: 'no limit at all', config: [] },
  { name: 'no capacity', config: [{ ...REQUESTS, maxTokens: 0 }] },
  { name: 'no interval', config: [{ ...REQUESTS, fillInterval: '0s' }] },
  { name: 'a key that is no CEL', config: [{ ...REQUESTS, key: 'apiKey.' }] },
  { name: 'a key that asks for what is not known', config: [{ ...REQUESTS, key: 'llm.model' }] },
])('$name: refused', ({ config }) => {
  expect(localRateLimitSchema.safeParse(config).success).toBe(false)
})
