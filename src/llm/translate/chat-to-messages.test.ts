import { describe, expect, test } from 'vitest'
import type { SseEvent } from '../../core/sse.ts'
import { chatToMessages } from './chat-to-messages.ts'
import { type TranslationContext, TranslationError } from './translation.ts'

const CONTEXT: TranslationContext = { now: 1700000000, model: 'asked', id: 'abc', includeUsage: false }
const HELLO = { role: 'user', content: 'hello' }
const HELLO_TURN = { role: 'user', content: [{ type: 'text', text: 'hello' }] }
const WEATHER = {
  type: 'function',
  function: { name: 'weather', description: 'Tells it', parameters: { type: 'object', properties: {} } },
}
const WEATHER_TOOL = {
  name: 'weather',
  description: 'Tells it',
  input_schema: { type: 'object', properties: {} },
}

const request = (fields: Record<string, unknown>) =>
  chatToMessages.request({ model: 'claude', messages: [HELLO], ...fields })

describe('request fields', () => {
  test.each([
    { name: 'sends a bare request with the default limit', chat: {}, out: {} },
    { name: 'sends max_tokens', chat: { max_tokens: 10 }, out: { max_tokens: 10 } },
    { name: 'sends max_completion_tokens', chat: { max_completion_tokens: 9 }, out: { max_tokens: 9 } },
    {
      name: 'prefers max_completion_tokens',
      chat: { max_completion_tokens: 9, max_tokens: 10 },
      out: { max_tokens: 9 },
      dropped: ['max_tokens'],
    },
    { name: 'sends one stop sequence', chat: { stop: 'END' }, out: { stop_sequences: ['END'] } },
    { name: 'sends stop sequences', chat: { stop: ['A', 'B'] }, out: { stop_sequences: ['A', 'B'] } },
    { name: 'leaves out no stop sequences', chat: { stop: [] }, out: {} },
    {
      name: 'sends sampling',
      chat: { temperature: 0.5, top_p: 0.9, top_k: 40 },
      out: { temperature: 0.5, top_p: 0.9, top_k: 40 },
    },
    { name: 'sends stream', chat: { stream: true }, out: { stream: true } },
    { name: 'leaves out stream false', chat: { stream: false }, out: {} },
    { name: 'honours include_usage', chat: { stream_options: { include_usage: true } }, out: {} },
    {
      name: 'lists other stream options',
      chat: { stream_options: { include_usage: true, include_obfuscation: false } },
      out: {},
      dropped: ['stream_options.include_obfuscation'],
    },
    { name: 'sends user', chat: { user: 'u1' }, out: { metadata: { user_id: 'u1' } } },
    {
      name: 'sends safety_identifier',
      chat: { safety_identifier: 's1' },
      out: { metadata: { user_id: 's1' } },
    },
    {
      name: 'prefers user',
      chat: { user: 'u1', safety_identifier: 's1' },
      out: { metadata: { user_id: 'u1' } },
      dropped: ['safety_identifier'],
    },
    { name: 'takes null for absent', chat: { temperature: null, n: null, tools: null }, out: {} },
    {
      name: 'lists what has no counterpart, known or not',
      chat: { n: 2, seed: 1, logit_bias: {}, service_tier: 'auto', functions: [], wishes: 1 },
      out: {},
      dropped: ['n', 'seed', 'logit_bias', 'service_tier', 'functions', 'wishes'],
    },
    {
      name: 'sends a JSON schema',
      chat: {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'a', strict: true, schema: { type: 'object' } },
        },
      },
      out: { output_config: { format: { type: 'json_schema', schema: { type: 'object' } } } },
      dropped: ['response_format.json_schema.name', 'response_format.json_schema.strict'],
    },
    {
      name: 'lists json_object',
      chat: { response_format: { type: 'json_object' } },
      out: {},
      dropped: ['response_format'],
    },
    { name: 'needs nothing for a text format', chat: { response_format: { type: 'text' } }, out: {} },
  ])('$name', ({ chat, out, dropped = [] }) => {
    expect(request(chat)).toEqual({
      body: { model: 'claude', max_tokens: 4096, messages: [HELLO_TURN], ...out },
      dropped,
    })
  })
})

describe('tools', () => {
  test.each([
    { name: 'sends functions', chat: {}, out: {} },
    { name: 'sends auto', chat: { tool_choice: 'auto' }, out: { tool_choice: { type: 'auto' } } },
    { name: 'sends required', chat: { tool_choice: 'required' }, out: { tool_choice: { type: 'any' } } },
    { name: 'sends none', chat: { tool_choice: 'none' }, out: { tool_choice: { type: 'none' } } },
    {
      name: 'sends one function',
      chat: { tool_choice: { type: 'function', function: { name: 'weather' } } },
      out: { tool_choice: { type: 'tool', name: 'weather' } },
    },
    {
      name: 'forbids parallel calls, which needs a choice',
      chat: { parallel_tool_calls: false },
      out: { tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
    },
    {
      name: 'allows parallel calls',
      chat: { parallel_tool_calls: true, tool_choice: 'required' },
      out: { tool_choice: { type: 'any', disable_parallel_tool_use: false } },
    },
    {
      name: 'lists parallel calls where no tool may be called',
      chat: { parallel_tool_calls: true, tool_choice: 'none' },
      out: { tool_choice: { type: 'none' } },
      dropped: ['parallel_tool_calls'],
    },
    {
      name: 'gives a function without parameters an empty schema',
      chat: { tools: [{ type: 'function', function: { name: 'now', strict: true } }] },
      out: { tools: [{ name: 'now', input_schema: { type: 'object', properties: {} } }] },
      dropped: ['tools[].function.strict'],
    },
    {
      name: 'lists other tools and the choice that is left over',
      chat: { tools: [{ type: 'custom', custom: {} }], tool_choice: 'auto', parallel_tool_calls: true },
      out: { tools: undefined },
      dropped: ['tools[].custom', 'tool_choice', 'parallel_tool_calls'],
    },
    {
      name: 'offers only allowed tools',
      chat: {
        tools: [WEATHER, { type: 'function', function: { name: 'now' } }],
        tool_choice: {
          type: 'allowed_tools',
          allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'weather' } }] },
        },
      },
      out: { tool_choice: { type: 'any' } },
    },
  ])('$name', ({ chat, out, dropped = [] }) => {
    expect(request({ tools: [WEATHER], ...chat })).toEqual({
      body: { model: 'claude', max_tokens: 4096, messages: [HELLO_TURN], tools: [WEATHER_TOOL], ...out },
      dropped,
    })
  })
})

const CALLED = [
  HELLO,
  {
    role: 'assistant',
    tool_calls: [{ id: 't1', type: 'function', function: { name: 'f', arguments: '{}' } }],
  },
  { role: 'tool', tool_call_id: 't1', content: 'x' },
]

describe('thinking', () => {
  test.each([
    { name: 'none', chat: { reasoning_effort: 'none' }, max: 4096, budget: undefined },
    { name: 'minimal', chat: { reasoning_effort: 'minimal' }, max: 5120, budget: 1024 },
    { name: 'low', chat: { reasoning_effort: 'low' }, max: 5120, budget: 1024 },
    { name: 'medium', chat: { reasoning_effort: 'medium' }, max: 6144, budget: 2048 },
    { name: 'high', chat: { reasoning_effort: 'high' }, max: 8192, budget: 4096 },
    { name: 'xhigh', chat: { reasoning_effort: 'xhigh' }, max: 12288, budget: 8192 },
    { name: 'max', chat: { reasoning_effort: 'max' }, max: 20480, budget: 16384 },
    { name: 'cap', chat: { reasoning_effort: 'max', max_tokens: 3000 }, max: 3000, budget: 2999 },
    { name: 'fit', chat: { reasoning_effort: 'low', max_tokens: 3000 }, max: 3000, budget: 1024 },
    {
      name: 'no room',
      chat: { reasoning_effort: 'low', max_tokens: 1024 },
      max: 1024,
      budget: undefined,
      dropped: ['reasoning_effort'],
    },
    {
      name: 'forced tool',
      chat: { reasoning_effort: 'low', tools: [WEATHER], tool_choice: 'required', temperature: 0 },
      max: 4096,
      budget: undefined,
      dropped: ['reasoning_effort'],
    },
    {
      name: 'amid a tool call',
      chat: { reasoning_effort: 'low', messages: CALLED },
      max: 4096,
      budget: undefined,
      dropped: ['reasoning_effort'],
    },
    {
      name: 'prefill',
      chat: { reasoning_effort: 'low', messages: [HELLO, { role: 'assistant', content: 'He' }] },
      max: 4096,
      budget: undefined,
      dropped: ['reasoning_effort'],
    },
    {
      name: 'sampling gives way',
      chat: { reasoning_effort: 'low', temperature: 0, top_p: 0.5, top_k: 3 },
      max: 5120,
      budget: 1024,
      dropped: ['temperature', 'top_p', 'top_k'],
    },
    {
      name: 'sampling that agrees',
      chat: { reasoning_effort: 'low', temperature: 1, top_p: 0.95 },
      max: 5120,
      budget: 1024,
    },
  ])('plans a budget: $name', ({ chat, max, budget, dropped = [] }) => {
    const translated = request(chat)
    expect(translated.body.max_tokens).toBe(max)
    expect(translated.body.thinking).toEqual(
      budget === undefined ? undefined : { type: 'enabled', budget_tokens: budget },
    )
    expect(translated.dropped).toEqual(dropped)
    expect('temperature' in translated.body).toBe('temperature' in chat && !dropped.includes('temperature'))
  })
})

describe('conversation', () => {
  test.each([
    {
      name: 'joins system and developer messages',
      messages: [
        { role: 'system', content: 'a' },
        HELLO,
        {
          role: 'developer',
          content: [
            { type: 'text', text: 'b' },
            { type: 'text', text: 'c' },
          ],
        },
      ],
      system: 'a\nb\nc',
      turns: [HELLO_TURN],
    },
    {
      name: 'merges neighbours of one role',
      messages: [HELLO, HELLO, { role: 'assistant', content: 'a' }, { role: 'assistant', content: 'b' }],
      turns: [
        { role: 'user', content: [...HELLO_TURN.content, ...HELLO_TURN.content] },
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
      ],
    },
    {
      name: 'leaves out empty text and empty messages',
      messages: [
        HELLO,
        { role: 'assistant', content: '' },
        { role: 'user', content: [{ type: 'text', text: '' }] },
      ],
      turns: [HELLO_TURN],
    },
    {
      name: 'sends images from data and from the web',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image_url', image_url: { url: 'data:image/jpg;base64,AAAA', detail: 'low' } },
            { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
          ],
        },
      ],
      turns: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: 'AAAA' } },
            { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
          ],
        },
      ],
      dropped: ['messages[].content[].image_url.detail'],
    },
    {
      name: 'lists audio and files, names and reasoning',
      messages: [
        {
          role: 'user',
          name: 'Ann',
          content: [
            { type: 'text', text: 'hello', cache_control: {} },
            { type: 'input_audio', input_audio: {} },
            { type: 'file', file: {} },
          ],
        },
        { role: 'assistant', content: 'a', reasoning_content: 'hm', audio: { id: '1' } },
      ],
      turns: [HELLO_TURN, { role: 'assistant', content: [{ type: 'text', text: 'a' }] }],
      dropped: [
        'messages[].name',
        'messages[].content[].cache_control',
        'messages[].content[].input_audio',
        'messages[].content[].file',
        'messages[].reasoning_content',
        'messages[].audio',
      ],
    },
    {
      name: 'sends refusals as text',
      messages: [
        HELLO,
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] },
        HELLO,
        { role: 'assistant', content: null, refusal: 'never' },
      ],
      turns: [
        HELLO_TURN,
        { role: 'assistant', content: [{ type: 'text', text: 'no' }] },
        HELLO_TURN,
        { role: 'assistant', content: [{ type: 'text', text: 'never' }] },
      ],
    },
    {
      name: 'sends parallel tool calls, and their results in one turn with what follows',
      messages: [
        HELLO,
        {
          role: 'assistant',
          content: 'wait',
          tool_calls: [
            { id: 't1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } },
            { id: 't2', function: { name: 'g', arguments: '' } },
          ],
        },
        { role: 'tool', tool_call_id: 't1', content: 'one' },
        {
          role: 'tool',
          tool_call_id: 't2',
          content: [
            { type: 'text', text: 'two' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
        { role: 'tool', tool_call_id: 't3', content: '' },
        HELLO,
      ],
      turns: [
        HELLO_TURN,
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'wait' },
            { type: 'tool_use', id: 't1', name: 'f', input: { a: 1 } },
            { type: 'tool_use', id: 't2', name: 'g', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 't1', content: 'one' },
            {
              type: 'tool_result',
              tool_use_id: 't2',
              content: [
                { type: 'text', text: 'two' },
                { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
              ],
            },
            { type: 'tool_result', tool_use_id: 't3' },
            { type: 'text', text: 'hello' },
          ],
        },
      ],
    },
    {
      name: 'wraps arguments that are no JSON object',
      messages: [
        {
          role: 'assistant',
          tool_calls: [
            { id: 't1', type: 'function', function: { name: 'f', arguments: '{"a":' } },
            { id: 't2', type: 'function', function: { name: 'f', arguments: '[1]' } },
          ],
        },
      ],
      turns: [
        {
          role: 'assistant',
          content: [
            { type: 'tool_use', id: 't1', name: 'f', input: { unparsed_arguments: '{"a":' } },
            { type: 'tool_use', id: 't2', name: 'f', input: { unparsed_arguments: '[1]' } },
          ],
        },
      ],
    },
  ])('$name', ({ messages, system, turns, dropped = [] }) => {
    expect(chatToMessages.request({ messages })).toEqual({
      body: { max_tokens: 4096, messages: turns, ...(system !== undefined && { system }) },
      dropped,
    })
  })

  test('takes a very long conversation', () => {
    const messages = [
      { role: 'user', content: Array.from({ length: 200_000 }, () => ({ type: 'text', text: 'a' })) },
    ]
    const { body } = chatToMessages.request({ messages: [HELLO, ...messages] })
    expect(body.messages).toHaveLength(1)
  })
})

describe('refusals', () => {
  test.each([
    { chat: { messages: undefined }, place: 'messages: expected an array, found nothing' },
    { chat: { messages: 'hi' }, place: 'messages: expected an array, found a string' },
    { chat: { messages: [null] }, place: 'messages[0]: expected an object, found null' },
    { chat: { messages: [{ role: 'function', content: '' }] }, place: 'messages[0].role: expected' },
    { chat: { messages: [{ role: 'user' }] }, place: 'messages[0].content: expected a string or an array' },
    {
      chat: { messages: [HELLO, { role: 'user', content: [{ type: 'video_url' }] }] },
      place: 'messages[1].content[0].type: expected text, image_url',
    },
    {
      chat: { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'gs://a' } }] }] },
      place: 'messages[0].content[0].image_url.url: expected a data URL or an http(s) URL',
    },
    {
      chat: {
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png,A' } }] },
        ],
      },
      place: 'messages[0].content[0].image_url.url: expected a data URL in base64',
    },
    {
      chat: {
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:;base64,A' } }] }],
      },
      place: 'messages[0].content[0].image_url.url: expected a data URL of an image',
    },
    {
      chat: {
        messages: [
          {
            role: 'system',
            content: [
              { type: 'file', file: {} },
              { type: 'image_url', image_url: { url: 'http://a' } },
            ],
          },
        ],
      },
      place: 'messages[0].content[0].type: expected text',
    },
    {
      chat: { messages: [{ role: 'assistant', tool_calls: {} }] },
      place: 'messages[0].tool_calls: expected',
    },
    {
      chat: { messages: [{ role: 'assistant', tool_calls: [{ type: 'custom' }] }] },
      place: 'messages[0].tool_calls[0].type: expected function',
    },
    {
      chat: {
        messages: [{ role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'f', arguments: {} } }] }],
      },
      place: 'messages[0].tool_calls[0].function.arguments: expected a string, found an object',
    },
    { chat: { messages: [{ role: 'tool', content: 'x' }] }, place: 'messages[0].tool_call_id: expected' },
    { chat: { model: 3 }, place: 'model: expected a string, found a number' },
    { chat: { max_tokens: 1.5 }, place: 'max_tokens: expected a whole number' },
    { chat: { temperature: 'hot' }, place: 'temperature: expected a number' },
    { chat: { stop: [1] }, place: 'stop[0]: expected a string' },
    { chat: { stream: 'yes' }, place: 'stream: expected a boolean' },
    { chat: { stream_options: [] }, place: 'stream_options: expected an object, found an array' },
    { chat: { tools: [{}] }, place: 'tools[0].type: expected' },
    { chat: { tools: [{ type: 'function' }] }, place: 'tools[0].function: expected an object' },
    { chat: { tools: [WEATHER], tool_choice: 'always' }, place: 'tool_choice: expected auto' },
    { chat: { tools: [WEATHER], tool_choice: { type: 'custom' } }, place: 'tool_choice.type: expected' },
    { chat: { reasoning_effort: 'constructor' }, place: 'reasoning_effort: expected one of none' },
    { chat: { response_format: { type: 'xml' } }, place: 'response_format.type: expected' },
    {
      chat: { response_format: { type: 'json_schema', json_schema: {} } },
      place: 'response_format.json_schema.schema: expected an object',
    },
    { chat: { user: {} }, place: 'user: expected a string' },
  ])('names the place: $place', ({ chat, place }) => {
    expect(() => request(chat)).toThrow(TranslationError)
    expect(() => request(chat)).toThrow(place)
  })

  const VALID = {
    model: 'claude',
    messages: [
      { role: 'system', content: [{ type: 'text', text: 'a' }] },
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] },
      ...CALLED,
    ],
    tools: [WEATHER],
    tool_choice: { type: 'function', function: { name: 'weather' } },
    parallel_tool_calls: true,
    response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' } } },
    reasoning_effort: 'high',
    max_tokens: 5000,
    stop: ['a'],
    stream: true,
    stream_options: { include_usage: true },
    temperature: 1,
    user: 'u',
  }

  test('answers every mutation with a translation or a TranslationError', () => {
    for (const mutant of mutants(VALID)) {
      try {
        chatToMessages.request(mutant as Record<string, unknown>)
      } catch (error) {
        expect(error).toBeInstanceOf(TranslationError)
      }
    }
  })
})

const HOSTILE = [undefined, null, true, 0, -1, Number.NaN, 'x', '', [], [null], [[]], {}, { type: 'text' }]

/** Every value inside `value`, and `value` itself, replaced by every hostile one. */
function* mutants(value: unknown): Generator<unknown> {
  if (typeof value === 'object' && value !== null) {
    for (const [key, child] of Object.entries(value)) {
      const others = [...HOSTILE, ...mutants(child)]
      for (const other of others) {
        yield Array.isArray(value) ? value.with(Number(key), other) : { ...value, [key]: other }
      }
    }
  }
}

const ANSWER = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-4',
  content: [{ type: 'text', text: 'hi' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 5, output_tokens: 2 },
}
const COMPLETION = {
  id: 'msg_1',
  object: 'chat.completion',
  created: 1700000000,
  model: 'claude-4',
  usage: {
    prompt_tokens: 5,
    completion_tokens: 2,
    total_tokens: 7,
    prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
    cache_read_input_tokens: 0,
    cache_creation_input_tokens: 0,
  },
}
const choice = (message: object, finish_reason = 'stop') => [
  {
    index: 0,
    message: { role: 'assistant', content: null, refusal: null, ...message },
    logprobs: null,
    finish_reason,
  },
]

describe('response', () => {
  test.each([
    { name: 'text', answer: {}, out: { choices: choice({ content: 'hi' }) } },
    {
      name: 'text blocks, joined',
      answer: {
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      out: { choices: choice({ content: 'ab' }) },
    },
    {
      name: 'thinking, tool calls, and blocks that have no place',
      answer: {
        content: [
          { type: 'thinking', thinking: 'hm', signature: 's' },
          { type: 'redacted_thinking', data: 'x' },
          { type: 'tool_use', id: 't1', name: 'f', input: { a: 1 } },
          { type: 'server_tool_use', id: 't2', name: 'web_search', input: {} },
          { type: 'web_search_tool_result' },
          null,
        ],
        stop_reason: 'tool_use',
      },
      out: {
        choices: choice(
          {
            reasoning_content: 'hm',
            tool_calls: [
              { id: 't1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } },
              { id: 't2', type: 'function', function: { name: 'web_search', arguments: '{}' } },
            ],
          },
          'tool_calls',
        ),
      },
    },
    {
      name: 'usage with cache, reasoning and tier',
      answer: {
        usage: {
          input_tokens: 5,
          cache_read_input_tokens: 100,
          cache_creation_input_tokens: 20,
          output_tokens: 9,
          output_tokens_details: { thinking_tokens: 4 },
          service_tier: 'standard',
        },
      },
      out: {
        choices: choice({ content: 'hi' }),
        usage: {
          prompt_tokens: 125,
          completion_tokens: 9,
          total_tokens: 134,
          prompt_tokens_details: { cached_tokens: 100, cache_write_tokens: 20 },
          completion_tokens_details: { reasoning_tokens: 4 },
          cache_read_input_tokens: 100,
          cache_creation_input_tokens: 20,
        },
        service_tier: 'default',
      },
    },
    {
      name: 'an answer without id, model and usage',
      answer: { id: undefined, model: undefined, usage: undefined },
      out: { id: 'chatcmpl-abc', model: 'asked', choices: choice({ content: 'hi' }), usage: undefined },
    },
    {
      name: 'stop_sequence',
      answer: { stop_reason: 'stop_sequence' },
      out: { choices: choice({ content: 'hi' }) },
    },
    {
      name: 'pause_turn',
      answer: { stop_reason: 'pause_turn' },
      out: { choices: choice({ content: 'hi' }) },
    },
    {
      name: 'max_tokens',
      answer: { stop_reason: 'max_tokens' },
      out: { choices: choice({ content: 'hi' }, 'length') },
    },
    {
      name: 'a full context window',
      answer: { stop_reason: 'model_context_window_exceeded' },
      out: { choices: choice({ content: 'hi' }, 'length') },
    },
    {
      name: 'refusal',
      answer: { stop_reason: 'refusal' },
      out: { choices: choice({ content: 'hi' }, 'content_filter') },
    },
    {
      name: 'an unknown reason',
      answer: { stop_reason: 'bored' },
      out: { choices: choice({ content: 'hi' }) },
    },
  ])('translates $name', ({ answer, out }) => {
    expect(chatToMessages.response({ ...ANSWER, ...answer }, CONTEXT)).toEqual({ ...COMPLETION, ...out })
  })

  test('refuses an answer without content', () => {
    expect(() => chatToMessages.response({}, CONTEXT)).toThrow(TranslationError)
  })

  test('survives every mutation of an answer', () => {
    for (const mutant of mutants(ANSWER)) {
      try {
        chatToMessages.response(mutant as Record<string, unknown>, CONTEXT)
      } catch (error) {
        expect(error).toBeInstanceOf(TranslationError)
      }
    }
  })
})

const from = (data: Record<string, unknown>): SseEvent => ({
  event: String(data.type),
  data: JSON.stringify(data),
})

function run(events: readonly SseEvent[], context: Partial<TranslationContext> = {}): unknown[] {
  let state = chatToMessages.stream.start({ ...CONTEXT, ...context })
  const out: SseEvent[] = []
  for (const event of events) {
    const [next, translated] = chatToMessages.stream.step(state, event)
    state = next
    out.push(...translated)
  }
  out.push(...chatToMessages.stream.end(state))
  return out.map((event) => {
    expect(event.event).toBeUndefined()
    return event.data === '[DONE]' ? '[DONE]' : JSON.parse(event.data)
  })
}

const START = from({
  type: 'message_start',
  message: {
    id: 'msg_1',
    model: 'claude-4',
    usage: { input_tokens: 5, cache_read_input_tokens: 3, output_tokens: 1 },
  },
})
const STOP = from({ type: 'message_stop' })
const ended = (stop_reason: string) =>
  from({ type: 'message_delta', delta: { stop_reason }, usage: { output_tokens: 7 } })
const block = (index: number, content_block: object) =>
  from({ type: 'content_block_start', index, content_block })
const delta = (index: number, part: object) => from({ type: 'content_block_delta', index, delta: part })
const blockStop = (index: number) => from({ type: 'content_block_stop', index })
const chunk = (fields: object, finish_reason: string | null = null) => ({
  id: 'msg_1',
  object: 'chat.completion.chunk',
  created: 1700000000,
  model: 'claude-4',
  choices: [{ index: 0, delta: fields, logprobs: null, finish_reason }],
})
const TEXT = [
  START,
  block(0, { type: 'text', text: '' }),
  from({ type: 'ping' }),
  delta(0, { type: 'text_delta', text: 'Hel' }),
  delta(0, { type: 'text_delta', text: '' }),
  delta(0, { type: 'text_delta', text: 'lo' }),
  blockStop(0),
]
const ERROR = from({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } })
const ERROR_CHUNK = {
  error: { message: 'Overloaded', type: 'server_error', param: null, code: 'overloaded_error' },
}
const EARLY = {
  error: { message: 'the provider ended the stream early', type: 'server_error', param: null, code: null },
}

describe('stream', () => {
  test.each([
    {
      name: 'text',
      events: [...TEXT, ended('end_turn'), STOP],
      out: [
        chunk({ role: 'assistant', content: 'Hel' }),
        chunk({ content: 'lo' }),
        chunk({}, 'stop'),
        '[DONE]',
      ],
    },
    {
      name: 'thinking, then tool calls counted apart from blocks',
      events: [
        START,
        block(0, { type: 'thinking', thinking: '' }),
        delta(0, { type: 'thinking_delta', thinking: 'hm' }),
        delta(0, { type: 'signature_delta', signature: 's' }),
        blockStop(0),
        block(1, { type: 'tool_use', id: 't1', name: 'f', input: {} }),
        delta(1, { type: 'input_json_delta', partial_json: '' }),
        delta(1, { type: 'input_json_delta', partial_json: '{"a":' }),
        delta(1, { type: 'input_json_delta', partial_json: '1}' }),
        blockStop(1),
        block(2, { type: 'tool_use', id: 't2', name: 'g', input: {} }),
        blockStop(2),
        block(3, { type: 'tool_use', id: 't3', name: 'h', input: { whole: true } }),
        ended('tool_use'),
        STOP,
      ],
      out: [
        chunk({ role: 'assistant', reasoning_content: 'hm' }),
        chunk({
          tool_calls: [{ index: 0, id: 't1', type: 'function', function: { name: 'f', arguments: '' } }],
        }),
        chunk({ tool_calls: [{ index: 0, function: { arguments: '{"a":' } }] }),
        chunk({ tool_calls: [{ index: 0, function: { arguments: '1}' } }] }),
        chunk({
          tool_calls: [{ index: 1, id: 't2', type: 'function', function: { name: 'g', arguments: '' } }],
        }),
        chunk({ tool_calls: [{ index: 1, function: { arguments: '{}' } }] }),
        chunk({
          tool_calls: [{ index: 2, id: 't3', type: 'function', function: { name: 'h', arguments: '' } }],
        }),
        chunk({ tool_calls: [{ index: 2, function: { arguments: '{"whole":true}' } }] }),
        chunk({}, 'tool_calls'),
        '[DONE]',
      ],
    },
    {
      name: 'an answer without content',
      events: [START, ended('refusal'), STOP],
      out: [chunk({ role: 'assistant' }, 'content_filter'), '[DONE]'],
    },
    {
      name: 'events and deltas that nobody knows, by skipping them',
      events: [
        START,
        from({ type: 'news' }),
        { event: 'message_stopped', data: '[]' },
        block(0, { type: 'web_search_tool_result' }),
        delta(0, { type: 'citations_delta' }),
        delta(9, { type: 'input_json_delta', partial_json: '{' }),
        blockStop(0),
        ended('end_turn'),
        STOP,
      ],
      out: [chunk({ role: 'assistant' }, 'stop'), '[DONE]'],
    },
    {
      name: 'an error in mid-stream',
      events: [...TEXT.slice(0, 4), ERROR, STOP],
      out: [chunk({ role: 'assistant', content: 'Hel' }), ERROR_CHUNK],
    },
    { name: 'an error at the very end', events: [START, ended('end_turn'), ERROR], out: [ERROR_CHUNK] },
    {
      name: 'an early end',
      events: TEXT.slice(0, 4),
      out: [chunk({ role: 'assistant', content: 'Hel' }), EARLY],
    },
    { name: 'an early end behind the stop reason', events: [START, ended('end_turn')], out: [EARLY] },
    { name: 'an empty body', events: [], out: [EARLY] },
  ])('translates $name', ({ events, out }) => {
    expect(run(events)).toEqual(out)
  })

  test('sends usage in a last chunk of its own when asked to', () => {
    expect(run([...TEXT.slice(0, 4), ended('end_turn'), STOP], { includeUsage: true })).toEqual([
      { ...chunk({ role: 'assistant', content: 'Hel' }), usage: null },
      { ...chunk({}, 'stop'), usage: null },
      {
        ...chunk({}),
        choices: [],
        usage: {
          prompt_tokens: 8,
          completion_tokens: 7,
          total_tokens: 15,
          prompt_tokens_details: { cached_tokens: 3, cache_write_tokens: 0 },
          completion_tokens_details: { reasoning_tokens: 0 },
          cache_read_input_tokens: 3,
          cache_creation_input_tokens: 0,
        },
      },
      '[DONE]',
    ])
  })

  test('refuses an event that is not JSON', () => {
    expect(() => run([START, { event: 'content_block_delta', data: '{"type":' }])).toThrow(TranslationError)
  })

  test('survives every mutation of an event', () => {
    for (const event of [START, ...TEXT, ended('end_turn'), ERROR]) {
      for (const mutant of mutants(JSON.parse(event.data))) {
        const data = JSON.stringify(mutant)
        expect(() => run([START, { event: event.event, data }, STOP])).not.toThrow()
      }
    }
  })
})

describe('error', () => {
  test.each([
    {
      name: 'keeps the message, and the type as code',
      status: 529,
      body: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
      out: { message: 'Overloaded', type: 'server_error', param: null, code: 'overloaded_error' },
    },
    {
      name: 'takes the type from the status',
      status: 429,
      body: { error: { message: 'Slow down' } },
      out: { message: 'Slow down', type: 'rate_limit_error', param: null, code: null },
    },
    {
      name: 'takes a bare string',
      status: 400,
      body: 'no',
      out: { message: 'no', type: 'invalid_request_error', param: null, code: null },
    },
    {
      name: 'takes detail',
      status: 401,
      body: { detail: 'who?' },
      out: { message: 'who?', type: 'authentication_error', param: null, code: null },
    },
    {
      name: 'says the status where there is nothing else',
      status: 500,
      body: undefined,
      out: {
        message: 'the provider answered with status 500',
        type: 'server_error',
        param: null,
        code: null,
      },
    },
  ])('$name', ({ status, body, out }) => {
    expect(chatToMessages.error(status, body)).toEqual({ error: out })
  })
})
