import { describe, expect, test } from 'vitest'
import { inputTexts, outputText, parametersOf } from './request-facts.ts'

describe('parametersOf', () => {
  test.each([
    {
      name: 'a chat',
      body: {
        temperature: 0.5,
        top_p: 0.9,
        max_tokens: 10,
        frequency_penalty: 0.1,
        presence_penalty: -0.1,
        seed: 42,
        n: 2,
        stop: 'END',
        reasoning_effort: 'low',
      },
      parameters: {
        temperature: 0.5,
        topP: 0.9,
        maxTokens: 10,
        frequencyPenalty: 0.1,
        presencePenalty: -0.1,
        seed: 42,
        choiceCount: 2,
        stopSequences: ['END'],
        reasoningLevel: 'low',
      },
    },
    {
      name: 'the newer limit of a chat',
      body: { max_completion_tokens: 9, max_tokens: 10 },
      parameters: { maxTokens: 9 },
    },
    {
      name: 'messages',
      body: { max_tokens: 5, top_k: 40, stop_sequences: ['A', 'B'] },
      parameters: { maxTokens: 5, topK: 40, stopSequences: ['A', 'B'] },
    },
    {
      name: 'responses',
      body: { max_output_tokens: 7, reasoning: { effort: 'high' } },
      parameters: { maxTokens: 7, reasoningLevel: 'high' },
    },
    {
      name: 'embeddings',
      body: { encoding_format: 'base64', dimensions: 256 },
      parameters: { encodingFormat: 'base64', dimensions: 256 },
    },
    { name: 'zeros', body: { temperature: 0, seed: 0 }, parameters: { temperature: 0, seed: 0 } },
    {
      name: 'nothing from nulls',
      body: { temperature: null, stop: null, reasoning: null, max_tokens: null },
      parameters: {},
    },
    {
      name: 'nothing from nonsense',
      body: {
        temperature: 'hot',
        max_tokens: '10',
        stop: 5,
        reasoning: { effort: 1 },
        n: Number.POSITIVE_INFINITY,
      },
      parameters: { stopSequences: [] },
    },
  ])('it reads $name', ({ body, parameters }) => {
    expect(parametersOf(body)).toEqual(parameters)
  })
})

describe('inputTexts', () => {
  test.each([
    {
      name: 'a chat: three tokens a message, three for the answer',
      format: 'completions' as const,
      body: {
        messages: [
          { role: 'system', content: 'kind' },
          { role: 'user', content: 'hello' },
        ],
      },
      texts: ['system', 'kind', 'user', 'hello'],
      extraTokens: 9,
    },
    {
      name: 'no picture and no id of a chat',
      format: 'completions' as const,
      body: {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'what is this' },
              { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
            ],
          },
          { role: 'tool', tool_call_id: 'call_1', content: '7' },
        ],
      },
      texts: ['user', 'what is this', 'tool', '7'],
      extraTokens: 9,
    },
    {
      name: 'tools as they stand',
      format: 'completions' as const,
      body: { messages: [], tools: [{ type: 'function', function: { name: 'f' } }] },
      texts: ['[{"type":"function","function":{"name":"f"}}]'],
      extraTokens: 3,
    },
    {
      name: 'the system prompt of messages',
      format: 'messages' as const,
      body: {
        system: [{ type: 'text', text: 'kind', cache_control: { type: 'ephemeral' } }],
        messages: [{ role: 'user', content: 'hello' }],
      },
      texts: ['kind', 'user', 'hello'],
      extraTokens: 6,
    },
    {
      name: 'the instructions and a plain input of responses',
      format: 'responses' as const,
      body: { instructions: 'kind', input: 'hello' },
      texts: ['kind', 'hello'],
      extraTokens: 6,
    },
    {
      name: 'the items of responses',
      format: 'responses' as const,
      body: { input: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hello' }] }] },
      texts: ['user', 'hello'],
      extraTokens: 6,
    },
    {
      name: 'embeddings without a frame',
      format: 'embeddings' as const,
      body: { input: ['a', 'b'] },
      texts: ['a', 'b'],
      extraTokens: 0,
    },
    { name: 'nothing', format: 'completions' as const, body: {}, texts: [], extraTokens: 3 },
    {
      name: 'nonsense',
      format: 'messages' as const,
      body: { messages: 7, system: null },
      texts: [],
      extraTokens: 6,
    },
  ])('it takes $name', ({ format, body, texts, extraTokens }) => {
    expect(inputTexts(format, body)).toEqual({ texts, extraTokens })
  })
})

describe('outputText', () => {
  test.each([
    {
      name: 'a chat',
      answer: {
        id: 'x',
        model: 'm',
        choices: [
          {
            index: 0,
            finish_reason: 'stop',
            message: { role: 'assistant', content: 'Hello', refusal: null },
          },
        ],
      },
      text: 'Hello',
    },
    {
      name: 'tool calls',
      answer: {
        choices: [
          {
            message: {
              role: 'assistant',
              tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
            },
          },
        ],
      },
      text: 'f{"a":1}',
    },
    {
      name: 'messages',
      answer: {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'hm', signature: 'S' },
          { type: 'text', text: 'Hello' },
        ],
      },
      text: 'hmHello',
    },
    {
      name: 'responses',
      answer: {
        output: [
          {
            type: 'message',
            id: 'i',
            status: 'completed',
            role: 'assistant',
            content: [{ type: 'output_text', text: 'Hello', annotations: [{ title: 'x' }] }],
          },
        ],
      },
      text: 'Hello',
    },
    { name: 'nothing', answer: null, text: '' },
  ])('it is the text of $name', ({ answer, text }) => {
    expect(outputText(answer)).toBe(text)
  })
})
