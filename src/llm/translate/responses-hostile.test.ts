/** Whatever a client or a provider sends, the translations with the Responses API throw nothing but `TranslationError`. */
import { describe, expect, test } from 'vitest'
import { messagesToResponses } from './messages-to-responses.ts'
import { isObject } from './request-values.ts'
import { responsesToChat } from './responses-to-chat.ts'
import { responsesToMessages } from './responses-to-messages.ts'
import { type Translation, type TranslationContext, TranslationError } from './translation.ts'

const CONTEXT: TranslationContext = { now: 1_700_000_000, model: 'asked', id: 'abc', includeUsage: false }
const PNG = 'data:image/png;base64,AAAA'
const SCHEMA = { type: 'object', properties: {} }

const OTHERS = [
  null,
  undefined,
  7,
  -1,
  Number.POSITIVE_INFINITY,
  'x',
  '',
  true,
  [],
  {},
  [null],
  [[]],
  { type: 'x' },
  { type: {} },
]

/** A valid value with one part of it, or all, replaced by something else: every part in turn. */
function* mutations(value: unknown): Generator<unknown> {
  yield* OTHERS
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) for (const other of mutations(item)) yield value.with(i, other)
  } else if (isObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      for (const other of mutations(item)) yield { ...value, [key]: other }
    }
  }
}

/** Runs it, and lets only a `TranslationError` pass. */
function attempt(run: () => void, input: unknown): void {
  try {
    run()
  } catch (error) {
    expect(error, JSON.stringify(input)).toBeInstanceOf(TranslationError)
  }
}

const RESPONSES_REQUEST = {
  model: 'gpt',
  instructions: 'Be brief',
  input: [
    { role: 'developer', content: 'x' },
    { role: 'user', content: [{ type: 'input_text', text: 'x' }] },
    { role: 'user', content: [{ type: 'input_image', image_url: PNG, detail: 'low' }] },
    { role: 'user', content: [{ type: 'input_file', file_data: 'data:text/plain;base64,AAAA' }] },
    { type: 'reasoning', id: 'rs_1', summary: [] },
    { type: 'item_reference', id: 'rs_1' },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'x', annotations: [] }] },
    { type: 'function_call', call_id: 'c', name: 'look', arguments: '{}' },
    { type: 'function_call_output', call_id: 'c', output: [{ type: 'input_image', image_url: PNG }] },
    { type: 'custom_tool_call', call_id: 'd', name: 'apply', input: 'x' },
    { type: 'custom_tool_call_output', call_id: 'd', output: 'x' },
  ],
  tools: [
    { type: 'function', name: 'look', parameters: SCHEMA, strict: true },
    { type: 'custom', name: 'apply', format: { type: 'grammar', syntax: 'lark', definition: 'x' } },
    { type: 'web_search' },
  ],
  tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'look' }] },
  parallel_tool_calls: true,
  reasoning: { effort: 'low' },
  text: { format: { type: 'json_schema', name: 'x', schema: SCHEMA, strict: true }, verbosity: 'low' },
  include: ['message.output_text.logprobs'],
  max_output_tokens: 5000,
  temperature: 1,
  user: 'u',
  stream: true,
}

const MESSAGES_REQUEST = {
  model: 'claude',
  max_tokens: 5000,
  system: [{ type: 'text', text: 'Be brief', cache_control: { type: 'ephemeral' } }],
  messages: [
    { role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'https://x' } }] },
    {
      role: 'user',
      content: [
        { type: 'document', title: 'a', source: { type: 'base64', media_type: 'x/y', data: 'AAAA' } },
      ],
    },
    {
      role: 'user',
      content: [{ type: 'document', source: { type: 'content', content: [{ type: 'text', text: 'x' }] } }],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'x', signature: 'x' },
        { type: 'text', text: 'x', citations: [] },
        { type: 'tool_use', id: 'c', name: 'look', input: { a: 1 } },
      ],
    },
    {
      role: 'user',
      content: [
        {
          type: 'tool_result',
          tool_use_id: 'c',
          is_error: true,
          content: [
            { type: 'search_result', title: 'x', source: 'x', content: [{ type: 'text', text: 'x' }] },
          ],
        },
      ],
    },
  ],
  tools: [{ name: 'look', input_schema: SCHEMA }],
  tool_choice: { type: 'tool', name: 'look', disable_parallel_tool_use: true },
  thinking: { type: 'enabled', budget_tokens: 2000 },
  output_config: { effort: 'low', format: { type: 'json_schema', schema: SCHEMA } },
  metadata: { user_id: 'u' },
  service_tier: 'auto',
  stop_sequences: ['x'],
  stream: true,
}

const COMPLETION = {
  id: 'chatcmpl-1',
  model: 'gpt',
  choices: [
    {
      index: 0,
      finish_reason: 'stop',
      logprobs: { content: [{ token: 'x', logprob: -1, top_logprobs: [{ token: 'x', logprob: -1 }] }] },
      message: {
        content: 'x',
        refusal: 'x',
        reasoning_content: 'x',
        annotations: [
          { type: 'url_citation', url_citation: { url: 'x', title: 'x', start_index: 0, end_index: 1 } },
        ],
        tool_calls: [{ id: 'c', function: { name: 'apply__custom', arguments: '{}' } }],
      },
    },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 1 } },
}
const [CHOICE] = COMPLETION.choices

const MESSAGE = {
  id: 'msg_1',
  model: 'claude',
  content: [
    { type: 'thinking', thinking: 'x' },
    { type: 'text', text: 'x' },
    { type: 'tool_use', id: 'c', name: 'look', input: { a: 1 } },
  ],
  stop_reason: 'tool_use',
  usage: { input_tokens: 1, output_tokens: 1 },
}

const RESPONSE = {
  id: 'resp_1',
  model: 'gpt',
  status: 'incomplete',
  incomplete_details: { reason: 'max_output_tokens' },
  error: null,
  output: [
    { type: 'reasoning', summary: [{ type: 'summary_text', text: 'x' }], content: [] },
    {
      type: 'message',
      content: [
        { type: 'output_text', text: 'x' },
        { type: 'refusal', refusal: 'x' },
      ],
    },
    { type: 'function_call', call_id: 'c', name: 'look', arguments: '{}' },
  ],
  usage: { input_tokens: 1, input_tokens_details: { cached_tokens: 1 }, output_tokens: 1 },
}

const PAIRS: readonly {
  name: string
  translation: Translation
  request: object
  reply: object
  events: readonly object[]
}[] = [
  {
    name: 'responses to chat',
    translation: responsesToChat as Translation,
    request: RESPONSES_REQUEST,
    reply: COMPLETION,
    events: [
      { ...COMPLETION, choices: [{ ...CHOICE, delta: CHOICE?.message }] },
      { error: { message: 'x', code: 1 } },
    ],
  },
  {
    name: 'responses to messages',
    translation: responsesToMessages as Translation,
    request: RESPONSES_REQUEST,
    reply: MESSAGE,
    events: [
      { type: 'message_start', message: MESSAGE },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'x' } },
      { type: 'content_block_start', index: 1, content_block: MESSAGE.content[2] },
      { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{}' } },
      { type: 'content_block_delta', index: 1, delta: { type: 'thinking_delta', thinking: 'x' } },
      { type: 'content_block_stop', index: 1 },
      { type: 'message_delta', delta: { stop_reason: 'max_tokens' }, usage: { output_tokens: 1 } },
      { type: 'error', error: { type: 'overloaded_error', message: 'x' } },
      { type: 'message_stop' },
    ],
  },
  {
    name: 'messages to responses',
    translation: messagesToResponses as Translation,
    request: MESSAGES_REQUEST,
    reply: RESPONSE,
    events: [
      { type: 'response.created', response: RESPONSE },
      { type: 'response.output_item.added', output_index: 0, item: RESPONSE.output[2] },
      { type: 'response.function_call_arguments.delta', output_index: 0, delta: 'x' },
      { type: 'response.output_text.delta', output_index: 1, content_index: 0, delta: 'x' },
      { type: 'response.refusal.done', output_index: 1, content_index: 0, refusal: 'x' },
      { type: 'response.output_item.done', output_index: 1, item: RESPONSE.output[1] },
      { type: 'response.output_item.done', output_index: 2, item: RESPONSE.output[0] },
      { type: 'response.failed', response: { ...RESPONSE, error: { code: 'x', message: 'x' } } },
      { type: 'error', code: 'x', message: 'x' },
      { type: 'response.incomplete', response: RESPONSE },
    ],
  },
]

describe.each(PAIRS)('$name', ({ translation, request, reply, events }) => {
  test('takes the valid request and reply, from which the hostile ones are made', () => {
    expect(() => translation.request({ ...request })).not.toThrow()
    expect(() => translation.response({ ...reply }, CONTEXT)).not.toThrow()
  })

  test('survives hostile requests', () => {
    for (const other of mutations(request)) {
      if (isObject(other)) attempt(() => JSON.stringify(translation.request(other)), other)
    }
  })

  test('survives hostile replies', () => {
    for (const other of mutations(reply)) {
      if (isObject(other)) attempt(() => JSON.stringify(translation.response(other, CONTEXT)), other)
      JSON.stringify(translation.error(500, other))
    }
  })

  test('survives hostile events', () => {
    for (const [i, event] of events.entries()) {
      for (const other of mutations(event)) {
        const state = translation.stream.start(CONTEXT)
        const data = JSON.stringify(other) ?? 'null'
        attempt(() => {
          for (const before of events.slice(0, i)) {
            translation.stream.step(state, { event: undefined, data: JSON.stringify(before) })
          }
          translation.stream.step(state, { event: undefined, data })
          for (const after of events.slice(i)) {
            translation.stream.step(state, { event: undefined, data: JSON.stringify(after) })
          }
          translation.stream.end(state)
        }, other)
      }
    }
  })
})
