import { describe, expect, test } from 'vitest'
import { catalogSchema } from './price.ts'

describe('catalogSchema', () => {
  const tier = (contextOver: number) => ({ contextOver, rates: { input: '1' } })
  test.each([
    {
      name: 'the example of the reference',
      model: {
        rates: { input: '0.15', output: '0.60', cacheRead: '0.075' },
        tiers: [tier(200_000)],
        tags: [],
      },
    },
    {
      name: 'every rate',
      model: {
        rates: {
          input: '1',
          output: '1',
          cacheRead: '1',
          cacheWrite: '1',
          reasoning: '1',
          inputAudio: '1',
          outputAudio: '1',
        },
      },
    },
    { name: 'increasing tiers', model: { rates: {}, tiers: [tier(0), tier(1), tier(5)] } },
  ])('it takes $name', ({ model }) => {
    expect(catalogSchema.safeParse({ providers: { p: { models: { m: model } } } }).success).toBe(true)
  })

  test.each([
    { name: 'a negative rate', model: { rates: { input: '-1' } } },
    { name: 'a rate that is no number', model: { rates: { input: 'free' } } },
    { name: 'a rate as in code', model: { rates: { input: '1e-6' } } },
    { name: 'an unknown rate', model: { rates: { video: '1' } } },
    { name: 'a model without rates', model: {} },
    { name: 'tiers that do not increase', model: { rates: {}, tiers: [tier(5), tier(5)] } },
    { name: 'tiers out of order', model: { rates: {}, tiers: [tier(9), tier(5)] } },
  ])('it refuses $name', ({ model }) => {
    expect(catalogSchema.safeParse({ providers: { p: { models: { m: model } } } }).success).toBe(false)
  })
})
