import { describe, expect, test } from 'vitest'
import type { LlmFacts } from '../core/exchange.ts'
import { errorMessageIn, observeWhole } from './observe.ts'
import { planOf } from './plan.fixture.ts'

const facts = (): LlmFacts => planOf('completions', 'completions').facts

describe('observeWhole', () => {
  test.each([
    {
      format: 'completions' as const,
      json: {
        id: 'c',
        model: 'm',
        choices: [{ finish_reason: 'stop' }, { finish_reason: 'length' }],
        usage: { prompt_tokens: 1, completion_tokens: 2 },
      },
      finishReasons: ['stop', 'length'],
    },
    {
      format: 'messages' as const,
      json: {
        id: 'c',
        model: 'm',
        content: [],
        stop_reason: 'end_turn',
        usage: { input_tokens: 1, output_tokens: 2 },
      },
      finishReasons: ['end_turn'],
    },
    {
      format: 'responses' as const,
      json: {
        id: 'c',
        model: 'm',
        output: [],
        status: 'incomplete',
        usage: { input_tokens: 1, output_tokens: 2 },
      },
      finishReasons: ['incomplete'],
    },
  ])('it yields the facts of $format', ({ format, json, finishReasons }) => {
    const noted = facts()
    expect(observeWhole(format, json, noted)).toBe(true)
    expect(noted).toMatchObject({
      responseId: 'c',
      responseModel: 'm',
      finishReasons,
      usageSource: 'provider',
    })
    expect(noted.usage).toMatchObject({ inputTokens: 1, outputTokens: 2 })
  })

  test('it yields the facts of embeddings', () => {
    const noted = facts()
    const json = { object: 'list', model: 'e', data: [], usage: { prompt_tokens: 8, total_tokens: 8 } }
    expect(observeWhole('embeddings', json, noted)).toBe(true)
    expect(noted).toMatchObject({ responseModel: 'e', usage: { inputTokens: 8, outputTokens: 0 } })
  })

  test.each([undefined, null, 'x', [], {}, { choices: 7 }, { content: 'x' }, { data: {} }, { output: null }])(
    'it finds no answer in %j',
    (json) => {
      for (const format of ['completions', 'messages', 'responses', 'embeddings'] as const)
        expect(observeWhole(format, json, facts())).toBe(false)
    },
  )

  test('it says that the provider reported no usage', () => {
    const noted = facts()
    observeWhole('completions', { choices: [], usage: null }, noted)
    expect(noted).toMatchObject({ usage: undefined, usageSource: 'none' })
  })
})

test.each([
  [{ error: { message: 'a' } }, 'a'],
  [{ error: { code: 7 } }, '{"code":7}'],
  [{ error: 'a' }, 'a'],
  [{ message: 'a' }, 'a'],
  ['a', 'a'],
  [{ detail: 'a' }, undefined],
  [null, undefined],
  [undefined, undefined],
])('errorMessageIn(%j) is %j', (json, message) => {
  expect(errorMessageIn(json)).toBe(message)
})
