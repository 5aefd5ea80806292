import { describe, expect, test } from 'vitest'
import type { WireFormat } from '../core/exchange.ts'
import type { Usage } from '../core/usage.ts'
import { laterUsage, readUsage } from './read.ts'

const NONE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
}

interface Row {
  readonly name: string
  readonly format: WireFormat
  readonly wire: unknown
  readonly usage: Partial<Usage>
}

const ROWS: readonly Row[] = [
  {
    name: 'chat with every detail: the input includes the cache',
    format: 'completions',
    wire: {
      prompt_tokens: 2006,
      completion_tokens: 300,
      total_tokens: 2306,
      prompt_tokens_details: { cached_tokens: 1920, audio_tokens: 0, cache_write_tokens: 6 },
      completion_tokens_details: { reasoning_tokens: 192, accepted_prediction_tokens: 0 },
    },
    usage: {
      inputTokens: 2006,
      outputTokens: 300,
      cacheReadTokens: 1920,
      cacheWriteTokens: 6,
      reasoningTokens: 192,
    },
  },
  {
    name: 'chat with null details',
    format: 'completions',
    wire: {
      prompt_tokens: 5,
      completion_tokens: 6,
      prompt_tokens_details: null,
      completion_tokens_details: null,
    },
    usage: { inputTokens: 5, outputTokens: 6 },
  },
  {
    name: 'chat with null inside the details',
    format: 'completions',
    wire: { prompt_tokens: 5, completion_tokens: 6, prompt_tokens_details: { cached_tokens: null } },
    usage: { inputTokens: 5, outputTokens: 6 },
  },
  {
    name: 'chat without output',
    format: 'completions',
    wire: { prompt_tokens: 5 },
    usage: { inputTokens: 5 },
  },
  {
    name: 'chat without input',
    format: 'completions',
    wire: { completion_tokens: 5, prompt_tokens: null },
    usage: { outputTokens: 5 },
  },
  {
    name: 'embeddings: no output at all',
    format: 'embeddings',
    wire: { prompt_tokens: 8, total_tokens: 8 },
    usage: { inputTokens: 8 },
  },
  {
    name: 'responses with every detail',
    format: 'responses',
    wire: {
      input_tokens: 328,
      input_tokens_details: { cached_tokens: 64, cache_write_tokens: 2 },
      output_tokens: 52,
      output_tokens_details: { reasoning_tokens: 40 },
      total_tokens: 380,
    },
    usage: {
      inputTokens: 328,
      outputTokens: 52,
      cacheReadTokens: 64,
      cacheWriteTokens: 2,
      reasoningTokens: 40,
    },
  },
  {
    name: 'responses with null details',
    format: 'responses',
    wire: { input_tokens: 3, output_tokens: 4, input_tokens_details: null, output_tokens_details: null },
    usage: { inputTokens: 3, outputTokens: 4 },
  },
  {
    name: 'messages with every part: the input excludes the cache on the wire, and includes it here',
    format: 'messages',
    wire: {
      input_tokens: 21,
      cache_creation_input_tokens: 188,
      cache_read_input_tokens: 1000,
      cache_creation: { ephemeral_5m_input_tokens: 188, ephemeral_1h_input_tokens: 0 },
      output_tokens: 393,
      output_tokens_details: { thinking_tokens: 100 },
      service_tier: 'standard',
    },
    usage: {
      inputTokens: 1209,
      outputTokens: 393,
      cacheReadTokens: 1000,
      cacheWriteTokens: 188,
      reasoningTokens: 100,
    },
  },
  {
    name: 'messages with null cache figures',
    format: 'messages',
    wire: {
      input_tokens: 9,
      cache_creation_input_tokens: null,
      cache_read_input_tokens: null,
      output_tokens: 1,
    },
    usage: { inputTokens: 9, outputTokens: 1 },
  },
  {
    name: 'messages without input',
    format: 'messages',
    wire: { output_tokens: 15 },
    usage: { outputTokens: 15 },
  },
  {
    name: 'messages whose whole input came from the cache',
    format: 'messages',
    wire: { input_tokens: 0, cache_read_input_tokens: 50, output_tokens: 2 },
    usage: { inputTokens: 50, outputTokens: 2, cacheReadTokens: 50 },
  },
  {
    name: 'figures that are none',
    format: 'completions',
    wire: {
      prompt_tokens: 5,
      completion_tokens: '6',
      prompt_tokens_details: { cached_tokens: -1 },
      completion_tokens_details: { reasoning_tokens: Number.NaN },
    },
    usage: { inputTokens: 5 },
  },
]

describe('readUsage', () => {
  test.each(ROWS)('it reads $name', ({ format, wire, usage }) => {
    expect(readUsage(format, wire)).toEqual({ ...NONE, ...usage })
  })

  const EMPTY = [
    undefined,
    null,
    {},
    [],
    'usage',
    7,
    { input_tokens: null, prompt_tokens: null },
    { total_tokens: 9 },
  ]
  const FORMATS: readonly WireFormat[] = ['completions', 'responses', 'messages', 'embeddings']
  test.each(FORMATS)('it finds nothing in %s where there is nothing', (format) => {
    for (const wire of EMPTY) expect(readUsage(format, wire)).toBeUndefined()
  })
})

describe('laterUsage', () => {
  const start = { input_tokens: 25, cache_read_input_tokens: 4, output_tokens: 1 }
  test.each([
    {
      name: 'replaces the cumulative output',
      later: { output_tokens: 15 },
      merged: { ...start, output_tokens: 15 },
    },
    {
      name: 'replaces an input that comes again, and does not add it',
      later: { input_tokens: 30, cache_read_input_tokens: 4, output_tokens: 15 },
      merged: { input_tokens: 30, cache_read_input_tokens: 4, output_tokens: 15 },
    },
    {
      name: 'keeps what comes as null or not at all',
      later: { input_tokens: null, output_tokens: undefined },
      merged: start,
    },
    {
      name: 'takes a zero for a figure',
      later: { output_tokens: 0 },
      merged: { ...start, output_tokens: 0 },
    },
    { name: 'keeps everything when nothing comes', later: undefined, merged: start },
    { name: 'keeps everything when nonsense comes', later: [1], merged: start },
  ])('it $name', ({ later, merged }) => {
    expect(laterUsage(start, later)).toEqual(merged)
  })

  test('it starts from nothing', () => {
    expect(laterUsage(undefined, { output_tokens: 2 })).toEqual({ output_tokens: 2 })
    expect(laterUsage(null, null)).toEqual({})
  })

  test('it changes neither of the two', () => {
    const earlier = Object.freeze({ input_tokens: 1 })
    expect(laterUsage(earlier, Object.freeze({ output_tokens: 2 }))).toEqual({
      input_tokens: 1,
      output_tokens: 2,
    })
  })
})
