import { expect, test } from 'vitest'
import { type ChatSettings, chatBody, mergeTokens, readAnswer, readPiece } from './wire.ts'

const settings: ChatSettings = {
  api: 'completions',
  model: ' gpt-4o-mini ',
  system: '',
  temperature: undefined,
  maxTokens: undefined,
  isStreamed: false,
}
const turns = [{ role: 'user', text: 'Hi' }] as const

test.each([
  ['a plain question', {}, { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }] }],
  [
    'everything in OpenAI’s words',
    { system: 'Be brief', temperature: 0, maxTokens: 5, isStreamed: true },
    {
      model: 'gpt-4o-mini',
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 5,
      messages: [
        { role: 'system', content: 'Be brief' },
        { role: 'user', content: 'Hi' },
      ],
    },
  ],
  [
    'everything in Anthropic’s words',
    { api: 'messages', system: 'Be brief', temperature: 1, maxTokens: 5, isStreamed: true } as const,
    {
      model: 'gpt-4o-mini',
      temperature: 1,
      stream: true,
      max_tokens: 5,
      system: 'Be brief',
      messages: [{ role: 'user', content: 'Hi' }],
    },
  ],
  [
    'a limit to Anthropic, who requires one',
    { api: 'messages' } as const,
    { model: 'gpt-4o-mini', max_tokens: 4096, messages: [{ role: 'user', content: 'Hi' }] },
  ],
])('sends %s', (_, changes, body) => {
  expect(chatBody({ ...settings, ...changes }, turns)).toEqual(body)
})

test.each([
  ['OpenAI’s text', 'completions', { choices: [{ delta: { content: 'a' } }] }, { text: 'a' }],
  [
    'OpenAI’s end',
    'completions',
    { choices: [{ delta: {}, finish_reason: 'stop' }] },
    { stopReason: 'stop' },
  ],
  [
    'OpenAI’s tokens',
    'completions',
    {
      choices: [],
      usage: { prompt_tokens: 3, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 1 } },
    },
    { tokens: { input: 3, output: 4, cached: 1 } },
  ],
  ['OpenAI’s error', 'completions', { error: { message: 'no' } }, { error: 'no' }],
  ['Anthropic’s text', 'messages', { type: 'content_block_delta', delta: { text: 'a' } }, { text: 'a' }],
  ['Anthropic’s thinking', 'messages', { delta: { thinking: 'hm' } }, { reasoning: 'hm', text: '' }],
  [
    'Anthropic’s first tokens, cached ones included',
    'messages',
    {
      type: 'message_start',
      message: { usage: { input_tokens: 3, cache_read_input_tokens: 2, output_tokens: 1 } },
    },
    { tokens: { input: 5, output: 1, cached: 2 } },
  ],
  ['Anthropic’s error', 'messages', { type: 'error', error: { type: 'x', message: 'no' } }, { error: 'no' }],
] as const)('reads %s', (_, api, event, piece) => {
  expect(readPiece(api, JSON.stringify(event))).toMatchObject(piece)
})

test.each(['[DONE]', '', 'null', '5'])('passes over %j', (data) => {
  expect(readPiece('completions', data)).toBeUndefined()
})

test('reads whole answers', () => {
  expect(
    readAnswer('completions', { choices: [{ message: { content: 'a' }, finish_reason: 'stop' }] }),
  ).toMatchObject({
    text: 'a',
    stopReason: 'stop',
  })
  expect(
    readAnswer('messages', { content: [{ type: 'text', text: 'a' }], stop_reason: 'end_turn' }),
  ).toMatchObject({
    text: 'a',
    stopReason: 'end_turn',
  })
})

test('keeps the input that was told first and takes the output that was told last', () => {
  const first = { input: 5, output: 1, cached: 2 }
  expect(mergeTokens(first, { input: undefined, output: 9, cached: undefined })).toEqual({
    input: 5,
    output: 9,
    cached: 2,
  })
  expect(mergeTokens(first, undefined)).toBe(first)
})
