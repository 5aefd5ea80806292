import { calcPrice } from '@pydantic/genai-prices'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import type { Usage } from '../core/usage.ts'
import { catalogSchema, createPricing } from './price.ts'

const tokens = (usage: Partial<Usage>): Usage => ({
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  ...usage,
})

type Model = z.input<typeof catalogSchema>['providers'][string]['models'][string]
const catalogOf = (models: Record<string, Model>, provider = 'openai') =>
  catalogSchema.parse({ providers: { [provider]: { models } } })

/** A day on which the built-in prices below held. */
const DAY = Date.UTC(2026, 0, 15)

describe('the arithmetic', () => {
  const rates = { input: '2', output: '8', cacheRead: '0.5', cacheWrite: '2.5', reasoning: '10' }
  const tiers = [
    { contextOver: 1000, rates: { input: '4' } },
    { contextOver: 5000, rates: { input: '6', output: '16', cacheRead: '1' } },
  ]

  test.each<{ name: string; model: Model; usage: Partial<Usage>; input: number; output: number }>([
    {
      name: 'prices input and output',
      model: { rates: { input: '2', output: '8' } },
      usage: { inputTokens: 100, outputTokens: 10 },
      input: 200,
      output: 80,
    },
    {
      name: 'prices each part at its own rate, and no token twice',
      model: { rates },
      usage: {
        inputTokens: 100,
        cacheReadTokens: 60,
        cacheWriteTokens: 30,
        outputTokens: 50,
        reasoningTokens: 20,
      },
      // 10 fresh at 2, 60 at 0.5, 30 at 2.5; 30 plain at 8, 20 at 10.
      input: 20 + 30 + 75,
      output: 240 + 200,
    },
    {
      name: 'prices the cache as input where it has no rate',
      model: { rates: { input: '2', output: '8' } },
      usage: { inputTokens: 100, cacheReadTokens: 60, cacheWriteTokens: 30 },
      input: 200,
      output: 0,
    },
    {
      name: 'prices reasoning as output where it has no rate',
      model: { rates: { input: '2', output: '8' } },
      usage: { outputTokens: 50, reasoningTokens: 20 },
      input: 0,
      output: 400,
    },
    {
      name: 'takes a rate of 0 for a price',
      model: { rates: { ...rates, cacheRead: '0' } },
      usage: { inputTokens: 10, cacheReadTokens: 10 },
      input: 0,
      output: 0,
    },
    {
      name: 'takes numbers for rates',
      model: { rates: { input: 2, output: 8 } },
      usage: { inputTokens: 1, outputTokens: 1 },
      input: 2,
      output: 8,
    },
    {
      name: 'needs no output rate',
      model: { rates: { input: '2' } },
      usage: { inputTokens: 10, outputTokens: 5 },
      input: 20,
      output: 0,
    },
    {
      name: 'never goes below 0 when a provider counts more in the parts than in the whole',
      model: { rates },
      usage: { inputTokens: 10, cacheReadTokens: 20, outputTokens: 5, reasoningTokens: 6 },
      input: 10,
      output: 60,
    },
    {
      name: 'stays below a tier up to its bound',
      model: { rates, tiers },
      usage: { inputTokens: 1000 },
      input: 2000,
      output: 0,
    },
    {
      name: 'overlays a tier beyond its bound, and keeps what it does not say',
      model: { rates, tiers },
      usage: { inputTokens: 1001, outputTokens: 1 },
      input: 4004,
      output: 8,
    },
    {
      name: 'takes the highest tier that is reached, cache included in the context',
      model: { rates, tiers },
      usage: { inputTokens: 5001, cacheReadTokens: 5000, outputTokens: 2 },
      input: 6 + 5000,
      output: 32,
    },
  ])('it $name', ({ model, usage, input, output }) => {
    const { cost, status } = createPricing([catalogOf({ m: model })]).price(
      'openai',
      'm',
      undefined,
      tokens(usage),
    )
    expect(status).toBe('Exact')
    expect(cost?.input).toBeCloseTo(input / 1e6, 12)
    expect(cost?.output).toBeCloseTo(output / 1e6, 12)
    expect(cost?.total).toBeCloseTo((input + output) / 1e6, 12)
  })
})

describe('the built-in table', () => {
  const pricing = createPricing([], () => DAY)

  test.each([
    {
      provider: 'openai',
      model: 'gpt-4o-mini',
      usage: { inputTokens: 1000, cacheReadTokens: 400, outputTokens: 200 },
      // 600 x 0.15 + 400 x 0.075 + 200 x 0.60
      dollars: 0.00024,
    },
    {
      provider: 'openai',
      model: 'gpt-4o-mini-2024-07-18',
      usage: { inputTokens: 1_000_000 },
      dollars: 0.15,
    },
    {
      provider: 'anthropic',
      model: 'claude-sonnet-4-20250514',
      usage: { inputTokens: 1200, cacheReadTokens: 1000, cacheWriteTokens: 100, outputTokens: 300 },
      // 100 x 3 + 1000 x 0.3 + 100 x 3.75 + 300 x 15
      dollars: 0.005475,
    },
    {
      provider: 'anthropic',
      model: 'claude-sonnet-4-5',
      usage: { inputTokens: 200_001, outputTokens: 10 },
      // beyond 200,000: 6 and 22.5
      dollars: 1.200231,
    },
    { provider: 'openai', model: 'text-embedding-3-small', usage: { inputTokens: 50 }, dollars: 0.000001 },
  ])('it prices $model', ({ provider, model, usage, dollars }) => {
    const { cost, status } = pricing.price(provider, model, undefined, tokens(usage))
    expect(status).toBe('Exact')
    expect(cost?.total).toBeCloseTo(dollars, 12)
  })

  test.each(['gpt-4o', 'gpt-5', 'o3-mini', 'claude-opus-4-1', 'claude-sonnet-4-5', 'claude-haiku-4-5'])(
    'it agrees with the library of the table about %s',
    (model) => {
      const provider = model.startsWith('claude') ? 'anthropic' : 'openai'
      for (const inputTokens of [10, 150_000, 200_000, 200_001]) {
        const usage = tokens({ inputTokens, cacheReadTokens: 5, outputTokens: 77 })
        const theirs = calcPrice(
          { input_tokens: inputTokens, cache_read_tokens: 5, output_tokens: 77 },
          model,
          { providerId: provider, timestamp: new Date(DAY) },
        )
        const { cost } = pricing.price(provider, model, undefined, usage)
        expect(cost?.total).toBeCloseTo(theirs?.total_price ?? -1, 10)
      }
    },
  )

  test.each([
    { name: 'a model', provider: 'openai', model: 'no-such-model' },
    {
      name: 'a provider, whose model may only be called like another',
      provider: 'custom',
      model: 'gpt-4o-mini',
    },
    { name: 'a strange name', provider: 'openai', model: '(' },
    { name: 'an endless name', provider: 'openai', model: 'x'.repeat(10_000) },
    { name: 'no model at all', provider: 'openai', model: undefined },
  ])('it has no price for $name that it does not know', ({ provider, model }) => {
    const usage = tokens({ inputTokens: 5, outputTokens: 5 })
    expect(pricing.price(provider, model, model, usage)).toEqual({ cost: undefined, status: 'Missing' })
  })
})

describe('the lookup', () => {
  const usage = tokens({ inputTokens: 1_000_000 })
  const catalogs = [
    catalogOf({ mine: { rates: { input: '1' } }, both: { rates: { input: '2' } }, free: { rates: {} } }),
    catalogOf({ both: { rates: { input: '3' } } }),
    catalogOf({ mine: { rates: { input: '9' } } }, 'vllm'),
    catalogOf({ 'gpt-4o-mini': { rates: { input: '0.1' } } }),
  ]
  const pricing = createPricing(catalogs, () => DAY)

  test.each([
    {
      name: 'prefers the model of the response',
      provider: 'openai',
      response: 'mine',
      request: 'both',
      dollars: 1,
    },
    {
      name: 'falls back to the model of the request',
      provider: 'openai',
      response: 'x',
      request: 'mine',
      dollars: 1,
    },
    {
      name: 'lets a later catalog win',
      provider: 'openai',
      response: 'both',
      request: undefined,
      dollars: 3,
    },
    { name: 'keeps providers apart', provider: 'vllm', response: 'mine', request: undefined, dollars: 9 },
    {
      name: 'lets a catalog win over the built-in table',
      provider: 'openai',
      response: 'gpt-4o-mini',
      request: undefined,
      dollars: 0.1,
    },
    {
      name: 'lets a catalog win although the table knows the dated name of the response',
      provider: 'openai',
      response: 'gpt-4o-mini-2024-07-18',
      request: 'gpt-4o-mini',
      dollars: 0.1,
    },
    {
      name: 'leaves other models to the table',
      provider: 'openai',
      response: 'gpt-4o',
      request: undefined,
      dollars: 2.5,
    },
    {
      name: 'passes over a model without rates',
      provider: 'openai',
      response: 'free',
      request: 'mine',
      dollars: 1,
    },
  ])('it $name', ({ provider, response, request, dollars }) => {
    const { cost, status } = pricing.price(provider, response, request, usage)
    expect(status).toBe('Exact')
    expect(cost?.total).toBeCloseTo(dollars, 10)
  })

  test('it tells a model without rates from an unknown one', () => {
    expect(pricing.price('openai', 'free', 'free', usage)).toEqual({ cost: undefined, status: 'Unpriced' })
    expect(pricing.price('openai', 'x', 'y', usage)).toEqual({ cost: undefined, status: 'Missing' })
  })

  test('it looks again after five minutes, for prices change by date', () => {
    // o3 cost 10 USD until June 10th 2025, and 2 since.
    let now = Date.UTC(2025, 5, 9, 23, 59, 0)
    const dated = createPricing([], () => now)
    const dollars = () => dated.price('openai', 'o3', undefined, usage).cost?.total
    expect(dollars()).toBeCloseTo(10, 10)
    now += 299_000
    expect(dollars()).toBeCloseTo(10, 10)
    now += 2_000
    expect(dollars()).toBeCloseTo(2, 10)
  })
})
