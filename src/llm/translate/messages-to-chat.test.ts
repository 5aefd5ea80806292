import { describe, expect, test } from 'vitest'
import type { SseEvent } from '../../core/sse.ts'
import { messagesToChat } from './messages-to-chat.ts'
import { type TranslationContext, TranslationError } from './translation.ts'

const CONTEXT: TranslationContext = { now: 1700000000, model: 'asked', id: 'abc', includeUsage: false }
const HELLO = { role: 'user', content: 'hello' }
const HELLO_MESSAGE = { role: 'user', content: [{ type: 'text', text: 'hello' }] }
const SCHEMA = { type: 'object', properties: {} }
const WEATHER = { name: 'weather', description: 'Tells it', input_schema: SCHEMA }
const WEATHER_FUNCTION = {
  type: 'function',
  function: { name: 'weather', description: 'Tells it', parameters: SCHEMA },
}

const request = (fields: Record<string, unknown>) =>
  messagesToChat.request({ model: 'gpt', max_tokens: 10, messages: [HELLO], ...fields })

describe('request fields', () => {
  test.each([
    { name: 'sends a bare request', asked: {}, out: {} },
    { name: 'leaves out an empty system prompt', asked: { system: '' }, out: {} },
    {
      name: 'sends sampling and lists top_k',
      asked: { temperature: 0.5, top_p: 0.9, top_k: 40 },
      out: { temperature: 0.5, top_p: 0.9 },
      dropped: ['top_k'],
    },
    { name: 'sends stop sequences', asked: { stop_sequences: ['A'] }, out: { stop: ['A'] } },
    { name: 'leaves out no stop sequences', asked: { stop_sequences: [] }, out: {} },
    {
      name: 'asks for usage in a stream',
      asked: { stream: true },
      out: { stream: true, stream_options: { include_usage: true } },
    },
    { name: 'writes stream false out', asked: { stream: false }, out: { stream: false } },
    {
      name: 'sends the user',
      asked: { metadata: { user_id: 'u1', other: 1 } },
      out: { user: 'u1' },
      dropped: ['metadata.other'],
    },
    { name: 'takes null for absent', asked: { temperature: null, thinking: null, metadata: null }, out: {} },
    {
      name: 'lists what has no counterpart, known or not',
      asked: { container: 'c', service_tier: 'auto', mcp_servers: [], cache_control: {}, wishes: 1 },
      out: {},
      dropped: ['container', 'service_tier', 'mcp_servers', 'cache_control', 'wishes'],
    },
    {
      name: 'sends an output schema',
      asked: { output_config: { format: { type: 'json_schema', schema: SCHEMA } } },
      out: {
        response_format: { type: 'json_schema', json_schema: { name: 'structured_output', schema: SCHEMA } },
      },
    },
    { name: 'sends a tool', asked: { tools: [WEATHER] }, out: { tools: [WEATHER_FUNCTION] } },
    {
      name: 'lists what only Anthropic knows about a tool, and the tools of its own',
      asked: {
        tools: [
          { ...WEATHER, type: 'custom', cache_control: {}, strict: true },
          { type: 'web_search_20250305', name: 'web_search' },
        ],
      },
      out: { tools: [WEATHER_FUNCTION] },
      dropped: ['tools[].cache_control', 'tools[].strict', 'tools[].web_search_20250305'],
    },
    {
      name: 'lists a choice that is left over',
      asked: { tools: [{ type: 'bash_20250124', name: 'bash' }], tool_choice: { type: 'any' } },
      out: {},
      dropped: ['tools[].bash_20250124', 'tool_choice'],
    },
  ])('$name', ({ asked, out, dropped = [] }) => {
    expect(request(asked)).toEqual({
      body: { model: 'gpt', max_completion_tokens: 10, messages: [HELLO_MESSAGE], ...out },
      dropped,
    })
  })

  test.each([
    { choice: { type: 'auto' }, out: { tool_choice: 'auto' } },
    { choice: { type: 'any' }, out: { tool_choice: 'required' } },
    { choice: { type: 'none' }, out: { tool_choice: 'none' } },
    {
      choice: { type: 'tool', name: 'weather' },
      out: { tool_choice: { type: 'function', function: { name: 'weather' } } },
    },
    {
      choice: { type: 'auto', disable_parallel_tool_use: true },
      out: { tool_choice: 'auto', parallel_tool_calls: false },
    },
    {
      choice: { type: 'any', disable_parallel_tool_use: false },
      out: { tool_choice: 'required', parallel_tool_calls: true },
    },
  ])('sends the tool choice $choice', ({ choice, out }) => {
    expect(request({ tools: [WEATHER], tool_choice: choice })).toEqual({
      body: {
        model: 'gpt',
        max_completion_tokens: 10,
        messages: [HELLO_MESSAGE],
        tools: [WEATHER_FUNCTION],
        ...out,
      },
      dropped: [],
    })
  })

  test.each([
    { asked: { thinking: { type: 'enabled', budget_tokens: 1024 } }, effort: 'low' },
    { asked: { thinking: { type: 'enabled', budget_tokens: 2047 } }, effort: 'low' },
    { asked: { thinking: { type: 'enabled', budget_tokens: 2048 } }, effort: 'medium' },
    { asked: { thinking: { type: 'enabled', budget_tokens: 4096 } }, effort: 'high' },
    { asked: { thinking: { type: 'enabled', budget_tokens: 8192 } }, effort: 'xhigh' },
    { asked: { thinking: { type: 'enabled', budget_tokens: 31999 } }, effort: 'max' },
    { asked: { thinking: { type: 'adaptive' } }, effort: 'high' },
    { asked: { thinking: { type: 'between_tools' } }, effort: 'high' },
    { asked: { thinking: { type: 'adaptive' }, output_config: { effort: 'low' } }, effort: 'low' },
    { asked: { output_config: { effort: 'xhigh' } }, effort: 'xhigh' },
    {
      asked: { thinking: { type: 'enabled', budget_tokens: 1024 }, output_config: { effort: 'max' } },
      effort: 'max',
      dropped: ['thinking.budget_tokens'],
    },
    {
      asked: { thinking: { type: 'adaptive', display: 'omitted' } },
      effort: 'high',
      dropped: ['thinking.display'],
    },
    { asked: { thinking: { type: 'disabled' } }, effort: undefined, dropped: ['thinking'] },
    { asked: {}, effort: undefined },
  ])('turns $asked into effort $effort', ({ asked, effort, dropped = [] }) => {
    const translated = request(asked)
    expect(translated.body.reasoning_effort).toBe(effort)
    expect(translated.dropped).toEqual(dropped)
  })
})

const user = (...content: object[]) => ({ role: 'user', content })
const assistant = (...content: object[]) => ({ role: 'assistant', content })
const text = (value: string) => ({ type: 'text', text: value })

describe('conversation', () => {
  test.each([
    {
      name: 'sends a system string',
      asked: { system: 'be kind', messages: [HELLO] },
      messages: [{ role: 'system', content: 'be kind' }, HELLO_MESSAGE],
    },
    {
      name: 'keeps system blocks and system messages',
      asked: {
        system: [{ ...text('a'), cache_control: {} }, text('b')],
        messages: [HELLO, { role: 'system', content: 'c' }],
      },
      messages: [
        { role: 'system', content: [text('a'), text('b')] },
        HELLO_MESSAGE,
        { role: 'system', content: 'c' },
      ],
      dropped: ['system[].cache_control'],
    },
    {
      name: 'sends images',
      asked: {
        messages: [
          user(
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
            { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
          ),
        ],
      },
      messages: [
        user(
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
        ),
      ],
    },
    {
      name: 'sends documents and search results',
      asked: {
        messages: [
          user(
            { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'abc' }, title: 'T' },
            { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' } },
            { type: 'search_result', title: 'T', source: 'https://a', content: [text('x'), text('y')] },
          ),
        ],
      },
      messages: [
        user(
          text('T\n\nabc'),
          { type: 'file', file: { filename: 'document.pdf', file_data: 'data:application/pdf;base64,AAAA' } },
          text('T\nhttps://a\n\nx\ny'),
        ),
      ],
    },
    {
      name: 'sends tool calls, and their results before the rest of the turn',
      asked: {
        messages: [
          HELLO,
          assistant(
            { type: 'thinking', thinking: 'hm', signature: 's' },
            { type: 'redacted_thinking', data: 'x' },
            text('wait'),
            { type: 'tool_use', id: 't1', name: 'f', input: { a: 1 }, cache_control: {} },
            { type: 'tool_use', id: 't2', name: 'g', input: {} },
          ),
          user(
            text('here'),
            { type: 'tool_result', tool_use_id: 't1', content: 'one' },
            { type: 'tool_result', tool_use_id: 't2', content: [text('two'), text('three')] },
          ),
        ],
      },
      messages: [
        HELLO_MESSAGE,
        {
          role: 'assistant',
          content: [text('wait')],
          tool_calls: [
            { id: 't1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } },
            { id: 't2', type: 'function', function: { name: 'g', arguments: '{}' } },
          ],
        },
        { role: 'tool', tool_call_id: 't1', content: 'one' },
        { role: 'tool', tool_call_id: 't2', content: [text('two'), text('three')] },
        user(text('here')),
      ],
      dropped: [
        'messages[].content[].thinking',
        'messages[].content[].redacted_thinking',
        'messages[].content[].cache_control',
      ],
    },
    {
      name: 'sends images of a tool result in the user message behind it',
      asked: {
        messages: [
          user(
            {
              type: 'tool_result',
              tool_use_id: 't1',
              content: [
                text('before'),
                { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
                text('after'),
              ],
            },
            text('see'),
          ),
        ],
      },
      messages: [
        {
          role: 'tool',
          tool_call_id: 't1',
          content: [
            text('before'),
            text('[Attachment 1 of tool call t1: see the following user message]'),
            text('after'),
          ],
        },
        user(
          text('Attachment 1 of tool call t1:'),
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          text('see'),
        ),
      ],
    },
    {
      name: 'says that a tool call failed',
      asked: {
        messages: [
          user(
            { type: 'tool_result', tool_use_id: 't1', content: 'boom', is_error: true },
            { type: 'tool_result', tool_use_id: 't2', is_error: true },
            { type: 'tool_result', tool_use_id: 't3', is_error: false },
          ),
        ],
      },
      messages: [
        { role: 'tool', tool_call_id: 't1', content: 'The tool call failed:\nboom' },
        { role: 'tool', tool_call_id: 't2', content: 'The tool call failed:' },
        { role: 'tool', tool_call_id: 't3', content: '' },
      ],
    },
    {
      name: 'leaves out a turn that held only what is dropped',
      asked: {
        messages: [
          HELLO,
          assistant({ type: 'server_tool_use', id: 's', name: 'web_search', input: {} }),
          user({ type: 'web_search_tool_result', tool_use_id: 's', content: [] }),
          user({
            type: 'tool_result',
            tool_use_id: 't1',
            content: [{ type: 'tool_reference', tool_name: 'x' }],
          }),
        ],
      },
      messages: [HELLO_MESSAGE, { role: 'tool', tool_call_id: 't1', content: '' }],
      dropped: [
        'messages[].content[].server_tool_use',
        'messages[].content[].web_search_tool_result',
        'messages[].content[].content[].tool_reference',
      ],
    },
  ])('$name', ({ asked, messages, dropped = [] }) => {
    expect(messagesToChat.request(asked)).toEqual({ body: { messages }, dropped })
  })
})

describe('refusals', () => {
  const nested = JSON.parse(`{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)
  test.each([
    { asked: { messages: {} }, place: 'messages: expected an array, found an object' },
    { asked: { messages: [1] }, place: 'messages[0]: expected an object, found a number' },
    { asked: { messages: [{ role: 'tool', content: '' }] }, place: 'messages[0].role: expected' },
    { asked: { messages: [{ role: 'user' }] }, place: 'messages[0].content: expected a string or an array' },
    { asked: { messages: [user({ type: 'sound' })] }, place: 'messages[0].content[0].type: expected text' },
    {
      asked: { messages: [user({ type: 'text' })] },
      place: 'messages[0].content[0].text: expected a string',
    },
    {
      asked: { messages: [user({ type: 'image', source: { type: 'file', file_id: 'f' } })] },
      place: 'messages[0].content[0].source.type: expected base64 or url',
    },
    {
      asked: { messages: [user({ type: 'document', source: { type: 'url', url: 'https://a' } })] },
      place: 'messages[0].content[0].source.type: expected text or base64',
    },
    {
      asked: { messages: [user({ type: 'tool_result', content: 'x' })] },
      place: 'messages[0].content[0].tool_use_id: expected a string',
    },
    {
      asked: { messages: [user({ type: 'tool_result', tool_use_id: 't', content: [text('a'), 7] })] },
      place: 'messages[0].content[0].content[1]: expected an object',
    },
    { asked: { messages: [assistant({ type: 'image' })] }, place: 'messages[0].content[0].type: expected' },
    {
      asked: { messages: [assistant({ type: 'tool_use', id: 't', name: 'f', input: '{}' })] },
      place: 'messages[0].content[0].input: expected an object, found a string',
    },
    {
      asked: { messages: [assistant({ type: 'tool_use', id: 't', name: 'f', input: nested })] },
      place: 'messages[0].content[0].input: nested too deeply',
    },
    { asked: { system: 5 }, place: 'system: expected a string or an array' },
    { asked: { system: [{ type: 'image' }] }, place: 'system[0].type: expected text' },
    { asked: { max_tokens: '10' }, place: 'max_tokens: expected a whole number' },
    { asked: { stop_sequences: 'A' }, place: 'stop_sequences: expected an array' },
    { asked: { tools: [{}] }, place: 'tools[0].name: expected a string' },
    { asked: { tools: [{ name: 'f' }] }, place: 'tools[0].input_schema: expected an object' },
    { asked: { tool_choice: { type: 'tool' } }, place: 'tool_choice.name: expected a string' },
    { asked: { tool_choice: 'auto' }, place: 'tool_choice: expected an object' },
    { asked: { thinking: { type: 'deep' } }, place: 'thinking.type: expected' },
    { asked: { thinking: { type: 'enabled' } }, place: 'thinking.budget_tokens: expected' },
    { asked: { output_config: { effort: 'huge' } }, place: 'output_config.effort: expected one of' },
    { asked: { output_config: { format: { type: 'xml' } } }, place: 'output_config.format.type: expected' },
    { asked: { metadata: { user_id: 1 } }, place: 'metadata.user_id: expected a string' },
    {
      asked: { thread: { type: 'continue', previous_message_id: 'msg_1' } },
      place: 'thread: the provider keeps no conversations',
    },
  ])('names the place: $place', ({ asked, place }) => {
    expect(() => request(asked)).toThrow(TranslationError)
    expect(() => request(asked)).toThrow(place)
  })

  const VALID = {
    model: 'gpt',
    max_tokens: 100,
    system: [text('a')],
    messages: [
      user(
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
        { type: 'document', source: { type: 'text', data: 'a' }, title: 'b' },
        { type: 'search_result', title: 'a', source: 'b', content: [text('c')] },
      ),
      assistant(text('a'), { type: 'tool_use', id: 't1', name: 'f', input: { a: 1 } }),
      user({ type: 'tool_result', tool_use_id: 't1', content: [text('x')], is_error: true }),
    ],
    tools: [WEATHER],
    tool_choice: { type: 'tool', name: 'weather', disable_parallel_tool_use: true },
    thinking: { type: 'enabled', budget_tokens: 1024 },
    output_config: { effort: 'high', format: { type: 'json_schema', schema: SCHEMA } },
    metadata: { user_id: 'u' },
    stop_sequences: ['a'],
    stream: true,
    temperature: 1,
  }

  test('answers every mutation with a translation or a TranslationError', () => {
    for (const mutant of mutants(VALID)) {
      try {
        messagesToChat.request(mutant as Record<string, unknown>)
      } catch (error) {
        expect(error).toBeInstanceOf(TranslationError)
      }
    }
  })
})

const HOSTILE = [undefined, null, true, 0, -1, Number.NaN, 'x', '', [], [null], [[]], {}, { type: 'text' }]

/** Every value inside `value` replaced by every hostile one. */
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
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'gpt-5',
  choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
}
const MESSAGE = {
  id: 'chatcmpl-1',
  type: 'message',
  role: 'assistant',
  model: 'gpt-5',
  content: [text('hi')],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 5, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 2 },
}
const choices = (message: object, finish_reason: string | null = 'stop') => ({
  choices: [
    { index: 0, message, finish_reason },
    { index: 1, message: { content: 'other' } },
  ],
})

describe('response', () => {
  test.each([
    { name: 'text', answer: {}, out: {} },
    {
      name: 'parts of text',
      answer: choices({ content: [text('a'), text('b')] }),
      out: { content: [text('ab')] },
    },
    {
      name: 'reasoning and tool calls',
      answer: choices(
        {
          content: null,
          reasoning_content: 'hm',
          tool_calls: [
            { id: 't1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } },
            { type: 'function', function: { name: 'g', arguments: '' } },
            { id: 't3', type: 'function', function: { name: 'h', arguments: '{"a":' } },
          ],
        },
        'tool_calls',
      ),
      out: {
        content: [
          { type: 'thinking', thinking: 'hm', signature: '' },
          { type: 'tool_use', id: 't1', name: 'f', input: { a: 1 } },
          { type: 'tool_use', id: 'tool_call_1', name: 'g', input: {} },
          { type: 'tool_use', id: 't3', name: 'h', input: { unparsed_arguments: '{"a":' } },
        ],
        stop_reason: 'tool_use',
      },
    },
    {
      name: 'a call of a forced tool, which OpenAI ends with stop',
      answer: choices({ tool_calls: [{ id: 't1', function: { name: 'f', arguments: '{}' } }] }),
      out: { content: [{ type: 'tool_use', id: 't1', name: 'f', input: {} }], stop_reason: 'tool_use' },
    },
    {
      name: 'a refusal',
      answer: choices({ content: null, refusal: 'no' }),
      out: { content: [text('no')], stop_reason: 'refusal' },
    },
    { name: 'length', answer: choices({ content: 'hi' }, 'length'), out: { stop_reason: 'max_tokens' } },
    {
      name: 'function_call',
      answer: choices({ content: 'hi' }, 'function_call'),
      out: { stop_reason: 'tool_use' },
    },
    {
      name: 'content_filter',
      answer: choices({ content: 'hi' }, 'content_filter'),
      out: { stop_reason: 'refusal' },
    },
    { name: 'an unknown reason', answer: choices({ content: 'hi' }, 'bored'), out: {} },
    { name: 'no reason', answer: choices({ content: 'hi' }, null), out: {} },
    {
      name: 'usage with cache, reasoning and tier',
      answer: {
        usage: {
          prompt_tokens: 125,
          completion_tokens: 9,
          prompt_tokens_details: { cached_tokens: 100, cache_write_tokens: 20 },
          completion_tokens_details: { reasoning_tokens: 4 },
        },
        service_tier: 'default',
      },
      out: {
        usage: {
          input_tokens: 5,
          cache_creation_input_tokens: 20,
          cache_read_input_tokens: 100,
          output_tokens: 9,
          output_tokens_details: { thinking_tokens: 4 },
          service_tier: 'standard',
        },
      },
    },
    {
      name: 'an answer without id, model and usage',
      answer: { id: undefined, model: undefined, usage: undefined },
      out: { id: 'msg_abc', model: 'asked', usage: { ...MESSAGE.usage, input_tokens: 0, output_tokens: 0 } },
    },
  ])('translates $name', ({ answer, out }) => {
    expect(messagesToChat.response({ ...ANSWER, ...answer }, CONTEXT)).toEqual({ ...MESSAGE, ...out })
  })

  test('refuses an answer without a message', () => {
    expect(() => messagesToChat.response({ choices: [] }, CONTEXT)).toThrow(TranslationError)
  })

  test('survives every mutation of an answer', () => {
    for (const mutant of mutants(ANSWER)) {
      try {
        messagesToChat.response(mutant as Record<string, unknown>, CONTEXT)
      } catch (error) {
        expect(error).toBeInstanceOf(TranslationError)
      }
    }
  })
})

const from = (data: object): SseEvent => ({ event: undefined, data: JSON.stringify(data) })
const chunk = (delta: object, finish_reason: string | null = null, fields: object = {}) =>
  from({ id: 'c1', model: 'gpt-5', choices: [{ index: 0, delta, finish_reason }], usage: null, ...fields })
const DONE: SseEvent = { event: undefined, data: '[DONE]' }
const USAGE = from({
  id: 'c1',
  choices: [],
  usage: { prompt_tokens: 8, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 3 } },
})
const call = (index: number | undefined, fields: { id?: string; name?: string; arguments?: string }) => ({
  tool_calls: [{ index, id: fields.id, function: { name: fields.name, arguments: fields.arguments } }],
})

function run(events: readonly SseEvent[]): unknown[] {
  let state = messagesToChat.stream.start(CONTEXT)
  const out: SseEvent[] = []
  for (const event of events) {
    const [next, translated] = messagesToChat.stream.step(state, event)
    state = next
    out.push(...translated)
  }
  out.push(...messagesToChat.stream.end(state))
  return out.map((event) => {
    const data = JSON.parse(event.data)
    expect(event.event).toBe(data.type)
    return data
  })
}

const NOTHING = {
  input_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: 0,
}
const started = (fields: object = {}) => ({
  type: 'message_start',
  message: {
    id: 'c1',
    type: 'message',
    role: 'assistant',
    model: 'gpt-5',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: NOTHING,
    ...fields,
  },
})
const opened = (index: number, content_block: object) => ({
  type: 'content_block_start',
  index,
  content_block,
})
const openedText = (index: number) => opened(index, { type: 'text', text: '' })
const openedTool = (index: number, id: string, name: string) =>
  opened(index, { type: 'tool_use', id, name, input: {} })
const piece = (index: number, delta: object) => ({ type: 'content_block_delta', index, delta })
const textPiece = (index: number, value: string) => piece(index, { type: 'text_delta', text: value })
const jsonPiece = (index: number, value: string) =>
  piece(index, { type: 'input_json_delta', partial_json: value })
const closed = (index: number) => ({ type: 'content_block_stop', index })
const finished = (stop_reason: string, usage: object = NOTHING) => [
  { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage },
  { type: 'message_stop' },
]
const USED = { input_tokens: 5, cache_creation_input_tokens: 0, cache_read_input_tokens: 3, output_tokens: 7 }
const HI = [started(), openedText(0), textPiece(0, 'Hi')]
const EARLY = { type: 'error', error: { type: 'api_error', message: 'the provider ended the stream early' } }

describe('stream', () => {
  test.each([
    {
      name: 'text, with usage behind the finish reason',
      events: [
        chunk({ role: 'assistant', content: '', refusal: null }),
        chunk({ content: 'Hel' }),
        chunk({ content: 'lo' }),
        chunk({}, 'stop'),
        USAGE,
        DONE,
      ],
      out: [
        started(),
        openedText(0),
        textPiece(0, 'Hel'),
        textPiece(0, 'lo'),
        closed(0),
        ...finished('end_turn', USED),
      ],
    },
    {
      name: 'usage in every chunk, where the last one counts',
      events: [
        chunk({ content: 'Hi' }, null, { usage: { prompt_tokens: 8, completion_tokens: 1 } }),
        chunk({}, 'stop', { usage: { prompt_tokens: 8, completion_tokens: 2 } }),
        DONE,
      ],
      out: [
        started({ usage: { ...NOTHING, input_tokens: 8 } }),
        openedText(0),
        textPiece(0, 'Hi'),
        closed(0),
        ...finished('end_turn', { ...NOTHING, input_tokens: 8, output_tokens: 2 }),
      ],
    },
    {
      name: 'an end without [DONE]',
      events: [chunk({ content: 'Hi' }), chunk({}, 'length')],
      out: [...HI, closed(0), ...finished('max_tokens')],
    },
    {
      name: 'an end without a finish reason',
      events: [chunk({ content: 'Hi' }), DONE],
      out: [...HI, closed(0), ...finished('end_turn')],
    },
    {
      name: 'an empty answer',
      events: [DONE],
      out: [started({ id: 'msg_abc', model: 'asked' }), ...finished('end_turn')],
    },
    {
      name: 'reasoning, text, a tool',
      events: [
        chunk({ reasoning_content: 'hm' }),
        chunk({ reasoning: '!' }),
        chunk({ content: 'Hi' }),
        chunk(call(0, { id: 't1', name: 'f', arguments: '' })),
        chunk(call(0, { arguments: '{"a":' })),
        chunk(call(0, { arguments: '1}' })),
        chunk({}, 'tool_calls'),
        DONE,
      ],
      out: [
        started(),
        opened(0, { type: 'thinking', thinking: '', signature: '' }),
        piece(0, { type: 'thinking_delta', thinking: 'hm' }),
        piece(0, { type: 'thinking_delta', thinking: '!' }),
        closed(0),
        openedText(1),
        textPiece(1, 'Hi'),
        closed(1),
        openedTool(2, 't1', 'f'),
        jsonPiece(2, '{"a":'),
        jsonPiece(2, '1}'),
        closed(2),
        ...finished('tool_use'),
      ],
    },
    {
      name: 'parallel tool calls one after another, each as it comes',
      events: [
        chunk(call(0, { id: 't1', name: 'f', arguments: '{"a":"}\\""}' })),
        chunk(call(1, { id: 't2', name: 'g', arguments: '{' })),
        chunk(call(1, { arguments: '}' })),
        chunk({}, 'tool_calls'),
        DONE,
      ],
      out: [
        started(),
        openedTool(0, 't1', 'f'),
        jsonPiece(0, '{"a":"}\\""}'),
        closed(0),
        openedTool(1, 't2', 'g'),
        jsonPiece(1, '{'),
        jsonPiece(1, '}'),
        closed(1),
        ...finished('tool_use'),
      ],
    },
    {
      name: 'interleaved tool calls in order, and text that came between them behind',
      events: [
        chunk(call(0, { id: 't1', name: 'f' })),
        chunk(call(1, { id: 't2', name: 'g' })),
        chunk(call(1, { arguments: '{"b":' })),
        chunk({ content: 'Hi' }),
        chunk(call(0, { arguments: '{"a":' })),
        chunk(call(1, { arguments: '2}' })),
        chunk(call(0, { arguments: '1}' })),
        chunk(call(0, { arguments: ' \n' })),
        chunk({}, 'tool_calls'),
        DONE,
      ],
      out: [
        started(),
        openedTool(0, 't1', 'f'),
        jsonPiece(0, '{"a":'),
        jsonPiece(0, '1}'),
        closed(0),
        openedTool(1, 't2', 'g'),
        jsonPiece(1, '{"b":2}'),
        closed(1),
        openedText(2),
        textPiece(2, 'Hi'),
        closed(2),
        ...finished('tool_use'),
      ],
    },
    {
      name: 'tool calls that never completed',
      events: [
        chunk(call(0, { id: 't1', name: 'f', arguments: '{"a":' })),
        chunk(call(1, { id: 't2', name: 'g', arguments: '{"b":' })),
        chunk({}, 'length'),
        DONE,
      ],
      out: [
        started(),
        openedTool(0, 't1', 'f'),
        jsonPiece(0, '{"a":'),
        closed(0),
        openedTool(1, 't2', 'g'),
        jsonPiece(1, '{"b":'),
        closed(1),
        ...finished('max_tokens'),
      ],
    },
    {
      name: 'tool calls without index, id or arguments, and a name that comes late',
      events: [
        chunk(call(undefined, { arguments: '' })),
        chunk(call(undefined, { name: 'f' })),
        chunk({}, 'stop'),
        DONE,
      ],
      out: [started(), openedTool(0, 'tool_call_0', 'f'), closed(0), ...finished('tool_use')],
    },
    {
      name: 'tool calls that are all numbered 0',
      events: [
        chunk(call(0, { id: 't1', name: 'f', arguments: '{}' })),
        chunk(call(0, { id: 't2', name: 'g', arguments: '{}' })),
        chunk({}, 'tool_calls'),
        DONE,
      ],
      out: [
        started(),
        openedTool(0, 't1', 'f'),
        jsonPiece(0, '{}'),
        closed(0),
        openedTool(1, 't2', 'g'),
        jsonPiece(1, '{}'),
        closed(1),
        ...finished('tool_use'),
      ],
    },
    {
      name: 'a refusal',
      events: [chunk({ refusal: 'no' }), chunk({}, 'stop'), DONE],
      out: [started(), openedText(0), textPiece(0, 'no'), closed(0), ...finished('refusal')],
    },
    {
      name: 'a filtered answer',
      events: [chunk({ content: 'Hi' }), chunk({}, 'content_filter'), DONE],
      out: [...HI, closed(0), ...finished('refusal')],
    },
    {
      name: 'events that nobody knows and other choices, by skipping them',
      events: [
        from([]),
        from({ news: 1 }),
        from({ choices: [{ index: 1, delta: { content: 'other' } }] }),
        chunk({ content: 'Hi' }),
        chunk({}, 'stop'),
        DONE,
        chunk({ content: 'late' }),
      ],
      out: [...HI, closed(0), ...finished('end_turn')],
    },
    {
      name: 'an error in mid-stream',
      events: [
        chunk({ content: 'Hi' }),
        from({ error: { message: 'Slow down', type: 'rate_limit_error', code: null } }),
        DONE,
      ],
      out: [...HI, { type: 'error', error: { type: 'rate_limit_error', message: 'Slow down' } }],
    },
    {
      name: 'an error whose code is a status, behind the finish reason',
      events: [chunk({}, 'stop'), from({ error: { message: 'Busy', code: 503 } }), DONE],
      out: [started(), { type: 'error', error: { type: 'overloaded_error', message: 'Busy' } }],
    },
    {
      name: 'an error event',
      events: [{ event: 'error', data: '{"message":"Broken"}' }],
      out: [{ type: 'error', error: { type: 'api_error', message: 'Broken' } }],
    },
    { name: 'an early end', events: [chunk({ content: 'Hi' })], out: [...HI, EARLY] },
    { name: 'an empty body', events: [], out: [EARLY] },
  ])('translates $name', ({ events, out }) => {
    expect(run(events)).toEqual(out)
  })

  test('refuses an event that is not JSON', () => {
    expect(() => run([{ event: undefined, data: '{"id":' }])).toThrow(TranslationError)
  })

  test('survives every mutation of a chunk', () => {
    const deltas = [
      { content: 'a', reasoning_content: 'b' },
      call(0, { id: 't', name: 'f', arguments: '{}' }),
    ]
    for (const delta of deltas) {
      for (const mutant of mutants(JSON.parse(chunk(delta, 'stop', { error: null }).data))) {
        expect(() => run([from(mutant as object), USAGE, DONE])).not.toThrow()
      }
    }
  })

  test('takes a long tool call in linear time', () => {
    const events = Array.from({ length: 100_000 }, () => chunk(call(1, { arguments: '"aaaaaaaa",' })))
    const startedAt = performance.now()
    run([
      chunk(call(0, { id: 't1', name: 'f', arguments: '{' })),
      chunk(call(1, { id: 't2', name: 'g', arguments: '[' })),
      ...events,
      DONE,
    ])
    expect(performance.now() - startedAt).toBeLessThan(5000)
  })
})

describe('error', () => {
  test.each([
    {
      name: 'keeps the message',
      status: 400,
      body: { error: { message: 'Bad', type: 'invalid_request_error', param: 'x', code: 'y' } },
      out: { type: 'invalid_request_error', message: 'Bad' },
    },
    {
      name: 'takes the type from the status',
      status: 429,
      body: { error: { message: 'Pay', type: 'insufficient_quota' } },
      out: { type: 'rate_limit_error', message: 'Pay' },
    },
    {
      name: 'takes an error in a list',
      status: 503,
      body: [{ error: { message: 'Busy' } }],
      out: { type: 'overloaded_error', message: 'Busy' },
    },
    {
      name: 'says the status where there is nothing else',
      status: 404,
      body: {},
      out: { type: 'not_found_error', message: 'the provider answered with status 404' },
    },
  ])('$name', ({ status, body, out }) => {
    expect(messagesToChat.error(status, body)).toEqual({ type: 'error', error: out })
  })
})
