import { describe, expect, test } from 'vitest'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import { createBudgets } from '../policies/budget-book.ts'
import { budget, budgetsSchema, limitOf } from '../policies/budgets.ts'
import { createLimits } from '../policies/limits.ts'
import type { Policy, RequestHead } from '../policies/policy.ts'
import { localRateLimitSchema, rateLimit } from '../policies/rate-limit.ts'
import { requestHead } from '../policies/request-head.fixture.ts'
import { countedElsewhere, countFor } from './counting.ts'
import { linkedPair } from './link.fixture.ts'
import type { Questions, Told } from './messages.ts'

const HOURLY = { tokensPerFill: 1, fillInterval: '1h' }

/** A primary, and as many workers as are wanted. */
function house() {
  let now = Date.parse('2026-11-26T10:00:00Z')
  const told: unknown[] = []
  const limits = createLimits(() => now)
  const budgets = createBudgets({
    now: () => now,
    watch: () => ({
      limited() {},
      used() {},
      gone() {},
      spent: (amount) => told.push(amount),
      exceeded: (...args) => told.push(args),
    }),
  })
  const primary = { limits, budgets }
  function worker(answerMs?: number) {
    const { one, other, close } = linkedPair<Questions, Told>()
    countFor(one, primary)
    const settled = () =>
      new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))))
    return { counting: countedElsewhere(other, answerMs), die: close, settled }
  }
  return {
    primary,
    worker,
    told,
    pass(milliseconds: number) {
      now += milliseconds
    },
    now: () => now,
  }
}

type House = ReturnType<typeof house>
type Counting = Pick<House['primary'], 'limits' | 'budgets'> | ReturnType<House['worker']>['counting']

function limitIn({ limits }: Counting, config: object): Policy {
  const [parsed] = localRateLimitSchema.parse([{ ...HOURLY, ...config }])
  if (parsed === undefined) throw new Error('no limit')
  return rateLimit(parsed, limits.at('default/a 0', parsed))
}

function budgetIn({ budgets }: Counting, config: object, now: () => number): Policy {
  const [parsed] = budgetsSchema.parse([{ name: 'team', window: 'day', ...config }])
  if (parsed === undefined) throw new Error('no budget')
  const { unit, amount: limit } = limitOf(parsed)
  return budget(parsed, budgets.at({ name: parsed.name, unit, limit, window: parsed.window }), now)
}

/** One request, until it is refused or asks its upstream. */
async function begin(policy: Policy, tokens = 0, user?: string) {
  const head = requestHead(user === undefined ? {} : { apiKey: { user } })
  const refusal = await ask(policy, head, tokens)
  return { head, refusal }
}

async function ask(policy: Policy, head: RequestHead, tokens: number) {
  try {
    await policy.onRequest?.(head)
    await policy.onModelRequest?.(head, { model: 'm', tokens, usd: () => tokens / 1000 })
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, message: error.message, ...error.headers }
    throw error
  }
  return undefined
}

function finish(policy: Policy, { exchange }: RequestHead, used = 0): void {
  exchange.llm = {
    usage: { inputTokens: used, outputTokens: 0 },
    cost: { total: used / 1000 },
  } as unknown as NonNullable<Exchange['llm']>
  policy.onFinished?.(exchange)
}

function headersOf(policy: Policy, head: RequestHead): Headers {
  const headers: Headers = {}
  policy.onResponse?.(headers, head, 200)
  return headers
}

/** Of one process, and of two workers that ask a primary: the same requests in the same order. */
function bothWays(make: (counting: Counting, now: () => number) => Policy) {
  const alone = house()
  const shared = house()
  make(shared.primary, shared.now)
  const workers = [shared.worker(), shared.worker()]
  const here = [make(alone.primary, alone.now)]
  const there = workers.map(({ counting }) => make(counting, shared.now))
  async function story(policies: readonly Policy[], settle: () => Promise<unknown>) {
    const seen: unknown[] = []
    for (const [index, [tokens, used]] of [
      [30, 20],
      [60, 95],
      [10, 10],
      [5000, 0],
    ].entries()) {
      const policy = policies[index % policies.length] ?? {}
      const { head, refusal } = await begin(policy, tokens, 'ann')
      seen.push(
        refusal,
        headersOf(policy, head),
        head.exchange.events?.map(({ at: _, ...event }) => event),
      )
      finish(policy, head, refusal === undefined ? used : 0)
      await settle()
    }
    return seen
  }
  return {
    alone: () => story(here, async () => {}),
    shared: () => story(there, async () => Promise.all(workers.map(({ settled }) => settled()))),
  }
}

test.each([
  { name: 'requests', config: { maxTokens: 2 } },
  { name: 'requests by key', config: { maxTokens: 2, key: 'apiKey.user' } },
  { name: 'tokens', config: { maxTokens: 100, type: 'tokens' } },
])('limits of $name: refusals, headers and events are as in one process', async ({ config }) => {
  const { alone, shared } = bothWays((counting) => limitIn(counting, config))
  const expected = await alone()
  expect(expected.flat()).toContainEqual(expect.objectContaining({ code: 'rate_limited' }))
  expect(expected).toContainEqual(expect.objectContaining({ 'x-ratelimit-reset': expect.any(String) }))
  expect(await shared()).toEqual(expected)
})

test.each([
  { name: 'tokens', config: { limit: { tokens: 100 } } },
  { name: 'dollars by key', config: { limit: { usd: 0.1 }, key: 'apiKey.user' } },
  { name: 'a key that is a secret', config: { limit: { tokens: 100 }, key: '"sk-abcdefghijklmnop"' } },
])('budgets of $name: refusals, headers and events are as in one process', async ({ config }) => {
  const { alone, shared } = bothWays((counting, now) => budgetIn(counting, config, now))
  const expected = await alone()
  expect(expected).toContainEqual(
    expect.objectContaining({ code: 'budget_exceeded', 'retry-after': '50400' }),
  )
  expect(expected).toContainEqual({ 'x-budget-team-remaining': expect.stringMatching(/^(80|0\.080000)$/) })
  expect(await shared()).toEqual(expected)
})

test('300 requests at once at a limit of 100 over two workers: 100 pass', async () => {
  const { primary, worker } = house()
  limitIn(primary, { maxTokens: 100 })
  const policies = [worker(), worker()].map(({ counting }) => limitIn(counting, { maxTokens: 100 }))
  const requests = await Promise.all(
    Array.from({ length: 300 }, (_, index) => begin(policies[index % 2] ?? {})),
  )
  expect(requests.filter(({ refusal }) => refusal === undefined)).toHaveLength(100)
})

describe('tokens', () => {
  const CONFIG = { maxTokens: 1000, type: 'tokens' }
  const leftIn = (policy: Policy) =>
    begin(policy).then(({ head }) => headersOf(policy, head)['x-ratelimit-remaining'])

  test('are reserved and settled exactly, whoever asks', async () => {
    const { primary, worker } = house()
    const here = limitIn(primary, CONFIG)
    const workers = [worker(), worker()]
    const policies = workers.map(({ counting }) => limitIn(counting, CONFIG))
    const begun = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const policy = policies[index % 2] ?? {}
        return { policy, ...(await begin(policy, 70)) }
      }),
    )
    const passed = begun.filter(({ refusal }) => refusal === undefined)
    expect(passed).toHaveLength(14)
    expect(await leftIn(here)).toBe('20')
    for (const { policy, head } of begun)
      finish(policy, head, passed.some((one) => one.head === head) ? 3 : 0)
    await Promise.all(workers.map(({ settled }) => settled()))
    expect(await leftIn(here)).toBe(String(1000 - 14 * 3))
  })

  test('of a worker that dies are given back, and those of others are not', async () => {
    const { primary, worker } = house()
    const here = limitIn(primary, CONFIG)
    const [dying, living] = [worker(), worker()]
    await begin(limitIn(dying.counting, CONFIG), 500)
    await begin(limitIn(dying.counting, CONFIG), 200)
    await begin(limitIn(living.counting, CONFIG), 100)
    expect(await leftIn(here)).toBe('200')
    dying.die()
    await dying.settled()
    expect(await leftIn(here)).toBe('900')
  })

  test('of a client that leaves while it is asked are given back', async () => {
    const { primary, worker } = house()
    const here = limitIn(primary, CONFIG)
    const { counting, settled } = worker()
    const policy = limitIn(counting, CONFIG)
    const head = requestHead()
    await policy.onRequest?.(head)
    const asked = policy.onModelRequest?.(head, { model: 'm', tokens: 400, usd: () => 0 })
    finish(policy, head)
    await asked
    await settled()
    expect(await leftIn(here)).toBe('1000')
  })

  test('a reload in the primary is in force for what a worker compiled before', async () => {
    const { primary, worker } = house()
    const here = limitIn(primary, CONFIG)
    const policy = limitIn(worker().counting, CONFIG)
    await begin(policy, 1000)
    expect((await begin(policy, 1)).refusal).toMatchObject({ code: 'rate_limited' })
    limitIn(primary, { ...CONFIG, maxTokens: 1500 })
    expect(await leftIn(here)).toBe('0')
    primary.limits.adopt()
    const { head, refusal } = await begin(policy, 100)
    expect(refusal).toBeUndefined()
    expect(headersOf(policy, head)).toMatchObject({
      'x-ratelimit-limit': '1500',
      'x-ratelimit-remaining': '400',
    })
  })
})

describe('budgets', () => {
  const CONFIG = { limit: { tokens: 1000 } }

  test('are not overspent by workers at once, and counted once', async () => {
    const { primary, worker, told, now } = house()
    budgetIn(primary, CONFIG, now)
    const workers = [worker(), worker()]
    const policies = workers.map(({ counting }) => budgetIn(counting, CONFIG, now))
    const begun = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const policy = policies[index % 2] ?? {}
        return { policy, ...(await begin(policy, 90)) }
      }),
    )
    const passed = begun.filter(({ refusal }) => refusal === undefined)
    // The twelfth finds more than 1000 reserved.
    expect(passed).toHaveLength(12)
    expect(begun.find(({ refusal }) => refusal !== undefined)?.refusal).toMatchObject({
      message: expect.stringContaining('under way'),
      'retry-after': '1',
    })
    for (const { policy, head } of passed) finish(policy, head, 80)
    await Promise.all(workers.map(({ settled }) => settled()))
    expect(told.filter((one) => one === 80)).toHaveLength(12)
    expect(told.filter((one) => Array.isArray(one))).toHaveLength(48)
    const { head, refusal } = await begin(policies[0] ?? {}, 1)
    expect(refusal).toBeUndefined()
    expect(headersOf(policies[0] ?? {}, head)).toEqual({ 'x-budget-team-remaining': '40' })
  })

  test('what a worker that dies had reserved is given back, and nothing is spent', async () => {
    const { primary, worker, now, told } = house()
    const here = budgetIn(primary, CONFIG, now)
    const dying = worker()
    await begin(budgetIn(dying.counting, CONFIG, now), 1000)
    expect((await begin(here, 1)).refusal).toMatchObject({ code: 'budget_exceeded' })
    dying.die()
    await dying.settled()
    expect((await begin(here, 1)).refusal).toBeUndefined()
    expect(told.filter((one) => typeof one === 'number' && one > 0)).toEqual([])
  })

  test('of a client that leaves while it is asked are given back', async () => {
    const { primary, worker, now } = house()
    const here = budgetIn(primary, CONFIG, now)
    const { counting, settled } = worker()
    const policy = budgetIn(counting, CONFIG, now)
    const head = requestHead()
    await policy.onRequest?.(head)
    const asked = policy.onModelRequest?.(head, { model: 'm', tokens: 1000, usd: () => 0 })
    finish(policy, head)
    await asked
    await settled()
    expect((await begin(here, 1)).refusal).toBeUndefined()
  })
})

describe('a primary', () => {
  const FAULT = { code: 'internal', message: 'the process that counts limits and budgets does not answer' }

  test('that is gone: nothing passes', async () => {
    const { primary, worker, now } = house()
    limitIn(primary, { maxTokens: 100 })
    budgetIn(primary, { limit: { tokens: 100 } }, now)
    const { counting, die } = worker()
    const policies = [
      limitIn(counting, { maxTokens: 100 }),
      budgetIn(counting, { limit: { tokens: 100 } }, now),
    ]
    const asked = policies.map((policy) => begin(policy, 1))
    die()
    for (const { refusal, head } of await Promise.all(asked)) {
      expect(refusal).toEqual(FAULT)
      for (const policy of policies) expect(headersOf(policy, head)).toEqual({})
    }
    for (const policy of policies) expect((await begin(policy, 1)).refusal).toEqual(FAULT)
  })

  test('that does not answer: nothing passes', async () => {
    const { other } = linkedPair<Questions, Told>()
    const { limits } = countedElsewhere({ ...other, ask: () => new Promise(() => {}) }, 1)
    const policy = limitIn({ ...house().primary, limits }, { maxTokens: 100 })
    expect((await begin(policy)).refusal).toEqual(FAULT)
  })

  test('that knows no such limit: nothing passes', async () => {
    const policy = limitIn(house().worker().counting, { maxTokens: 100 })
    expect((await begin(policy)).refusal).toEqual(FAULT)
  })
})
