import { describe, expect, test } from 'vitest'
import type { SseEvent } from '../../core/sse.ts'
import { messagesToResponses } from './messages-to-responses.ts'
import { type TranslationContext, TranslationError } from './translation.ts'

const CONTEXT: TranslationContext = { now: 1_700_000_000, model: 'asked', id: 'abc', includeUsage: false }
const HELLO = { role: 'user', content: 'hello' }
const HELLO_ITEM = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hello' }] }
const SCHEMA = { type: 'object', properties: {} }
const LOOK = { name: 'look', description: 'Looks', input_schema: SCHEMA }
const RESPONSES_LOOK = {
  type: 'function',
  name: 'look',
  description: 'Looks',
  parameters: SCHEMA,
  strict: false,
}
const IMAGE = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } }
const INPUT_IMAGE = { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'auto' }

const request = (fields: Record<string, unknown>) =>
  messagesToResponses.request({ model: 'gpt', max_tokens: 100, messages: [HELLO], ...fields })

describe('request fields', () => {
  test.each([
    { name: 'sends a bare request that is not stored', asked: {}, out: {} },
    {
      name: 'sends sampling and stream, and lists top_k',
      asked: { temperature: 0.5, top_p: 0.9, top_k: 40, stream: true },
      out: { temperature: 0.5, top_p: 0.9, stream: true },
      dropped: ['top_k'],
    },
    {
      name: 'lists stop sequences, which Responses has none of',
      asked: { stop_sequences: ['A'] },
      out: {},
      dropped: ['stop_sequences'],
    },
    { name: 'sends the system prompt', asked: { system: 'Be brief' }, out: { instructions: 'Be brief' } },
    { name: 'leaves out an empty system prompt', asked: { system: '' }, out: {} },
    {
      name: 'joins the blocks of the system prompt',
      asked: {
        system: [
          { type: 'text', text: 'a', cache_control: { type: 'ephemeral' } },
          { type: 'text', text: 'b' },
        ],
      },
      out: { instructions: 'a\nb' },
      dropped: ['system[].cache_control'],
    },
    {
      name: 'sends an output schema',
      asked: { output_config: { format: { type: 'json_schema', schema: SCHEMA } } },
      out: { text: { format: { type: 'json_schema', name: 'structured_output', schema: SCHEMA } } },
    },
    {
      name: 'sends the user',
      asked: { metadata: { user_id: 'u', other: 1 } },
      out: { user: 'u' },
      dropped: ['metadata.other'],
    },
    {
      name: 'lists a user that OpenAI would refuse',
      asked: { metadata: { user_id: 'u'.repeat(65) } },
      out: {},
      dropped: ['metadata.user_id'],
    },
    { name: 'sends the tier auto', asked: { service_tier: 'auto' }, out: { service_tier: 'auto' } },
    {
      name: 'sends the tier standard_only',
      asked: { service_tier: 'standard_only' },
      out: { service_tier: 'default' },
    },
    {
      name: 'takes null for absent',
      asked: { system: null, tools: null, thinking: null, metadata: null, stop_sequences: null },
      out: {},
    },
    {
      name: 'lists what has no counterpart, known or not',
      asked: { container: 'c', mcp_servers: [1], wishes: 1, stop_sequences: [] },
      out: {},
      dropped: ['container', 'mcp_servers', 'wishes'],
    },
    ...[
      {
        asked: { thinking: { type: 'enabled', budget_tokens: 1024 } },
        reasoning: { effort: 'low', summary: 'auto' },
      },
      {
        asked: { thinking: { type: 'enabled', budget_tokens: 4096 } },
        reasoning: { effort: 'high', summary: 'auto' },
      },
      { asked: { thinking: { type: 'adaptive' } }, reasoning: { effort: 'high', summary: 'auto' } },
      {
        asked: { thinking: { type: 'adaptive', display: 'omitted' }, output_config: { effort: 'max' } },
        reasoning: { effort: 'max' },
      },
      { asked: { output_config: { effort: 'low' } }, reasoning: { effort: 'low' } },
    ].map(({ asked, reasoning }) => ({
      name: `makes ${JSON.stringify(reasoning)} of ${JSON.stringify(asked)}`,
      asked,
      out: { reasoning },
      dropped: [] as string[],
    })),
    {
      name: 'prefers the stated effort to the budget',
      asked: { thinking: { type: 'enabled', budget_tokens: 1024 }, output_config: { effort: 'medium' } },
      out: { reasoning: { effort: 'medium', summary: 'auto' } },
      dropped: ['thinking.budget_tokens'],
    },
    {
      name: 'lists thinking that is switched off',
      asked: { thinking: { type: 'disabled' } },
      out: {},
      dropped: ['thinking'],
    },
    { name: 'sends a tool', asked: { tools: [LOOK] }, out: { tools: [RESPONSES_LOOK] } },
    {
      name: 'sends strictness and lists what only Anthropic knows about tools',
      asked: {
        tools: [
          { ...LOOK, type: 'custom', strict: true, cache_control: {} },
          { type: 'web_search_20250305', name: 'web_search' },
        ],
      },
      out: { tools: [{ ...RESPONSES_LOOK, strict: true }] },
      dropped: ['tools[].cache_control', 'tools[].web_search_20250305'],
    },
    {
      name: 'lists a choice that is left over',
      asked: { tools: [{ type: 'bash_20250124', name: 'bash' }], tool_choice: { type: 'any' } },
      out: {},
      dropped: ['tools[].bash_20250124', 'tool_choice'],
    },
    ...[
      { choice: { type: 'auto' }, out: { tool_choice: 'auto' } },
      { choice: { type: 'any' }, out: { tool_choice: 'required' } },
      { choice: { type: 'none' }, out: { tool_choice: 'none' } },
      { choice: { type: 'tool', name: 'look' }, out: { tool_choice: { type: 'function', name: 'look' } } },
      {
        choice: { type: 'auto', disable_parallel_tool_use: true },
        out: { tool_choice: 'auto', parallel_tool_calls: false },
      },
    ].map(({ choice, out }) => ({
      name: `makes ${JSON.stringify(out)} of ${JSON.stringify(choice)}`,
      asked: { tools: [LOOK], tool_choice: choice },
      out: { tools: [RESPONSES_LOOK], ...out },
      dropped: [] as string[],
    })),
  ])('$name', ({ asked, out, dropped = [] as string[] }) => {
    expect(request(asked)).toEqual({
      body: { model: 'gpt', max_output_tokens: 100, store: false, input: [HELLO_ITEM], ...out },
      dropped,
    })
  })
})

describe('conversation', () => {
  const user = (...content: unknown[]) => ({ type: 'message', role: 'user', content })
  const toolUse = (id: string) => ({ type: 'tool_use', id, name: 'look', input: { a: 1 } })
  const call = (call_id: string) => ({ type: 'function_call', call_id, name: 'look', arguments: '{"a":1}' })
  const said = (...texts: string[]) => ({
    type: 'message',
    role: 'assistant',
    content: texts.map((text) => ({ type: 'output_text', text })),
  })

  test.each([
    {
      name: 'sends images and documents',
      messages: [
        {
          role: 'user',
          content: [
            IMAGE,
            { type: 'image', source: { type: 'url', url: 'https://x/y.png' } },
            {
              type: 'document',
              title: 'a.pdf',
              source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' },
            },
            { type: 'document', title: 'b', source: { type: 'url', url: 'https://x/b.pdf' } },
            { type: 'document', title: 'c', source: { type: 'text', media_type: 'text/plain', data: 'd' } },
            {
              type: 'document',
              citations: { enabled: true },
              source: { type: 'content', content: [{ type: 'text', text: 'e' }, IMAGE] },
            },
            {
              type: 'search_result',
              title: 'f',
              source: 'https://f',
              content: [{ type: 'text', text: 'g' }],
            },
          ],
        },
      ],
      input: [
        user(
          INPUT_IMAGE,
          { type: 'input_image', image_url: 'https://x/y.png', detail: 'auto' },
          { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' },
          { type: 'input_file', file_url: 'https://x/b.pdf' },
          { type: 'input_text', text: 'c\n\nd' },
          { type: 'input_text', text: 'e' },
          INPUT_IMAGE,
          { type: 'input_text', text: 'f\nhttps://f\n\ng' },
        ),
      ],
      dropped: ['messages[].content[].title', 'messages[].content[].citations'],
    },
    {
      name: 'sends calls in the order of the blocks, and results first',
      messages: [
        {
          role: 'assistant',
          content: [{ type: 'text', text: 'a', citations: [] }, toolUse('c1'), toolUse('c2')],
        },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'b' },
            { type: 'tool_result', tool_use_id: 'c1', content: 'one' },
            {
              type: 'tool_result',
              tool_use_id: 'c2',
              is_error: true,
              content: [{ type: 'text', text: 'two' }, IMAGE, { type: 'tool_reference', tool_name: 'x' }],
            },
            { type: 'tool_result', tool_use_id: 'c3', content: [{ type: 'text', text: 'three' }] },
            { type: 'tool_result', tool_use_id: 'c4' },
          ],
        },
      ],
      input: [
        said('a'),
        call('c1'),
        call('c2'),
        { type: 'function_call_output', call_id: 'c1', output: 'one' },
        {
          type: 'function_call_output',
          call_id: 'c2',
          output: [{ type: 'input_text', text: 'two' }, INPUT_IMAGE],
          status: 'incomplete',
        },
        { type: 'function_call_output', call_id: 'c3', output: 'three' },
        { type: 'function_call_output', call_id: 'c4', output: '' },
        user({ type: 'input_text', text: 'b' }),
      ],
      dropped: ['messages[].content[].content[].tool_reference'],
    },
    {
      name: "lists thinking and what Anthropic's own tools did",
      messages: [
        { role: 'system', content: 's' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hmm', signature: 's' },
            { type: 'redacted_thinking', data: 'x' },
            { type: 'server_tool_use', id: 's1', name: 'web_search', input: {} },
            { type: 'text', text: 'a' },
          ],
        },
        { role: 'user', content: [] },
      ],
      input: [{ type: 'message', role: 'system', content: [{ type: 'input_text', text: 's' }] }, said('a')],
      dropped: [
        'messages[].content[].thinking',
        'messages[].content[].redacted_thinking',
        'messages[].content[].server_tool_use',
      ],
    },
  ])('$name', ({ messages, input, dropped }) => {
    expect(request({ messages })).toEqual({
      body: { model: 'gpt', max_output_tokens: 100, store: false, input },
      dropped: expect.arrayContaining(dropped),
    })
    expect(request({ messages }).dropped).toHaveLength(dropped.length)
  })

  const block = (content: unknown) => ({ messages: [{ role: 'user', content: [content] }] })
  test.each([
    { asked: { messages: undefined }, message: 'messages: expected an array, found nothing' },
    {
      asked: { messages: [{ role: 'tool', content: 'x' }] },
      message: 'messages[0].role: expected user, assistant or system',
    },
    {
      asked: block({ type: 'document', source: { type: 'file', file_id: 'f' } }),
      message: 'messages[0].content[0].source.type: expected base64, url, text or content',
    },
    {
      asked: block({ type: 'image', source: { type: 'file', file_id: 'f' } }),
      message: 'messages[0].content[0].source.type: expected base64 or url',
    },
    {
      asked: block({ type: 'tool_use', id: 'c', name: 'look', input: {} }),
      message: 'messages[0].content[0].type: expected text, image, document, search_result or tool_result',
    },
    {
      asked: { messages: [{ role: 'assistant', content: [IMAGE] }] },
      message: 'messages[0].content[0].type: expected text, tool_use or thinking',
    },
    {
      asked: { thinking: { type: 'enabled' } },
      message: 'thinking.budget_tokens: expected a whole number',
    },
    { asked: { service_tier: 'gold' }, message: 'service_tier: expected auto or standard_only' },
    { asked: { max_tokens: 'x' }, message: 'max_tokens: expected a whole number that is not negative' },
  ])('refuses what cannot be said: $message', ({ asked, message }) => {
    expect(() => request(asked)).toThrow(new TranslationError(message))
  })
})

describe('whole answers', () => {
  const BASE = {
    id: 'resp_1',
    type: 'message',
    role: 'assistant',
    model: 'gpt',
    stop_sequence: null,
    usage: {
      input_tokens: 0,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: 0,
    },
  }
  const reply = (fields: object) => ({
    id: 'resp_1',
    model: 'gpt',
    status: 'completed',
    output: [],
    ...fields,
  })
  const text = { type: 'message', content: [{ type: 'output_text', text: 'hi' }] }
  const HI = { type: 'text', text: 'hi' }

  test.each([
    {
      name: 'carries text',
      response: reply({ output: [text] }),
      out: { content: [HI], stop_reason: 'end_turn' },
    },
    {
      name: 'carries thoughts, calls, usage and the tier',
      response: reply({
        output: [
          { type: 'reasoning', summary: [{ text: 'Hmm' }, { text: 'Aha' }] },
          { type: 'reasoning', summary: [], content: [{ text: 'open' }] },
          { type: 'web_search_call' },
          { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"a":1}' },
        ],
        service_tier: 'default',
        usage: {
          input_tokens: 10,
          input_tokens_details: { cached_tokens: 4, cache_write_tokens: 1 },
          output_tokens: 7,
          output_tokens_details: { reasoning_tokens: 3 },
        },
      }),
      out: {
        content: [
          { type: 'thinking', thinking: 'Hmm', signature: '' },
          { type: 'thinking', thinking: 'Aha', signature: '' },
          { type: 'thinking', thinking: 'open', signature: '' },
          { type: 'tool_use', id: 'c1', name: 'look', input: { a: 1 } },
        ],
        stop_reason: 'tool_use',
        usage: {
          input_tokens: 5,
          cache_creation_input_tokens: 1,
          cache_read_input_tokens: 4,
          output_tokens: 7,
          output_tokens_details: { thinking_tokens: 3 },
          service_tier: 'standard',
        },
      },
    },
    {
      name: 'carries a refusal',
      response: reply({ output: [{ type: 'message', content: [{ type: 'refusal', refusal: 'No' }] }] }),
      out: { content: [{ type: 'text', text: 'No' }], stop_reason: 'refusal' },
    },
    {
      name: 'says when the limit cut it short',
      response: reply({
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        output: [text, { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"a' }],
      }),
      out: {
        content: [HI, { type: 'tool_use', id: 'c1', name: 'look', input: { unparsed_arguments: '{"a' } }],
        stop_reason: 'max_tokens',
      },
    },
    {
      name: 'says when a filter cut it short',
      response: reply({ status: 'incomplete', incomplete_details: { reason: 'content_filter' } }),
      out: { content: [], stop_reason: 'refusal' },
    },
    {
      name: 'makes up what the provider leaves out',
      response: { output: [{ type: 'function_call', name: 'look' }] },
      out: {
        id: 'msg_abc',
        model: 'asked',
        content: [{ type: 'tool_use', id: 'tool_call_0', name: 'look', input: {} }],
        stop_reason: 'tool_use',
      },
    },
  ])('$name', ({ response, out }) => {
    expect(messagesToResponses.response(response, CONTEXT)).toEqual({ ...BASE, ...out })
  })

  test.each([
    { body: {}, message: 'the provider sent an answer without output' },
    {
      body: reply({ status: 'failed', error: { code: 'server_error', message: 'Broken' } }),
      message: 'the provider failed: Broken',
    },
  ])('refuses what is no answer: $message', ({ body, message }) => {
    expect(() => messagesToResponses.response(body, CONTEXT)).toThrow(new TranslationError(message))
  })
})

function stream(events: readonly object[]) {
  const state = messagesToResponses.stream.start(CONTEXT)
  const written: SseEvent[] = []
  for (const event of events) {
    const data = JSON.stringify(event)
    written.push(...messagesToResponses.stream.step(state, { event: undefined, data })[1])
  }
  written.push(...messagesToResponses.stream.end(state))
  return written.map(({ event, data }) => {
    const body = JSON.parse(data)
    expect(body.type).toBe(event)
    return body
  })
}

describe('streams', () => {
  const CREATED = { type: 'response.created', response: { id: 'resp_1', model: 'gpt' } }
  const NO_TOKENS = {
    input_tokens: 0,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: 0,
  }
  const START = {
    type: 'message_start',
    message: {
      id: 'resp_1',
      type: 'message',
      role: 'assistant',
      model: 'gpt',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: NO_TOKENS,
    },
  }
  const start = (index: number, content_block: object) => ({
    type: 'content_block_start',
    index,
    content_block,
  })
  const delta = (index: number, fields: object) => ({ type: 'content_block_delta', index, delta: fields })
  const stop = (index: number) => ({ type: 'content_block_stop', index })
  const textStart = (index: number) => start(index, { type: 'text', text: '' })
  const toolStart = (index: number, id: string) =>
    start(index, { type: 'tool_use', id, name: 'look', input: {} })
  const json = (index: number, partial_json: string) =>
    delta(index, { type: 'input_json_delta', partial_json })
  const ending = (stop_reason: string, usage: object = NO_TOKENS) => [
    { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage },
    { type: 'message_stop' },
  ]
  const at = (output_index: number) => ({ output_index, content_index: 0 })
  const said = (index: number, text: string) => ({
    type: 'response.output_text.delta',
    ...at(index),
    delta: text,
  })
  const thought = (index: number, text: string) => ({
    type: 'response.reasoning_summary_text.delta',
    output_index: index,
    summary_index: 0,
    delta: text,
  })
  const call = (output_index: number, fields: object = {}) => ({
    output_index,
    item: { type: 'function_call', call_id: `c${output_index}`, name: 'look', arguments: '', ...fields },
  })
  const added = (index: number) => ({ type: 'response.output_item.added', ...call(index) })
  const piece = (output_index: number, text: string) => ({
    type: 'response.function_call_arguments.delta',
    output_index,
    delta: text,
  })
  const done = (index: number, text: string) => ({
    type: 'response.output_item.done',
    ...call(index, { arguments: text }),
  })
  const completed = (fields: object = {}) => ({
    type: 'response.completed',
    response: { id: 'resp_1', status: 'completed', output: [{}], ...fields },
  })

  test.each([
    {
      name: 'thoughts, text and a call, event by event',
      events: [
        CREATED,
        { type: 'response.in_progress', response: {} },
        { type: 'response.output_item.added', output_index: 0, item: { type: 'reasoning' } },
        thought(0, 'Hm'),
        thought(0, 'm'),
        { type: 'response.reasoning_summary_text.done', output_index: 0, summary_index: 0, text: 'Hmm' },
        {
          type: 'response.output_item.done',
          output_index: 0,
          item: { type: 'reasoning', summary: [{ text: 'Hmm' }] },
        },
        said(1, 'It '),
        said(1, 'rains'),
        { type: 'response.output_text.done', ...at(1), text: 'It rains' },
        added(2),
        piece(2, '{"a"'),
        piece(2, ':1}'),
        done(2, '{"a":1}'),
        completed({
          usage: { input_tokens: 10, input_tokens_details: { cached_tokens: 4 }, output_tokens: 5 },
        }),
        said(3, 'too late'),
      ],
      out: [
        START,
        start(0, { type: 'thinking', thinking: '', signature: '' }),
        delta(0, { type: 'thinking_delta', thinking: 'Hm' }),
        delta(0, { type: 'thinking_delta', thinking: 'm' }),
        stop(0),
        textStart(1),
        delta(1, { type: 'text_delta', text: 'It ' }),
        delta(1, { type: 'text_delta', text: 'rains' }),
        stop(1),
        toolStart(2, 'c2'),
        json(2, '{"a"'),
        json(2, ':1}'),
        stop(2),
        ...ending('tool_use', {
          ...NO_TOKENS,
          input_tokens: 6,
          cache_read_input_tokens: 4,
          output_tokens: 5,
        }),
      ],
    },
    {
      name: 'calls that take turns, one after the other',
      events: [
        CREATED,
        added(0),
        added(1),
        piece(1, '{"b"'),
        piece(0, '{"a"'),
        piece(1, ':2}'),
        done(1, '{"b":2}'),
        piece(0, ':1}'),
        done(0, '{"a":1}'),
        completed(),
      ],
      out: [
        START,
        toolStart(0, 'c0'),
        json(0, '{"a"'),
        json(0, ':1}'),
        stop(0),
        toolStart(1, 'c1'),
        json(1, '{"b":2}'),
        stop(1),
        ...ending('tool_use'),
      ],
    },
    {
      name: 'items that come without deltas',
      events: [
        CREATED,
        {
          type: 'response.output_item.done',
          output_index: 0,
          item: { type: 'message', content: [{ type: 'output_text', text: 'hi' }] },
        },
        done(1, '{"a":1}'),
        completed(),
      ],
      out: [
        START,
        textStart(0),
        delta(0, { type: 'text_delta', text: 'hi' }),
        stop(0),
        toolStart(1, 'c1'),
        json(1, '{"a":1}'),
        stop(1),
        ...ending('tool_use'),
      ],
    },
    {
      name: 'an answer of which only the end comes',
      events: [completed({ model: 'gpt', output: [{ type: 'message', content: [{ text: 'hi' }] }] })],
      out: [
        START,
        textStart(0),
        delta(0, { type: 'text_delta', text: 'hi' }),
        stop(0),
        ...ending('end_turn'),
      ],
    },
    {
      name: 'a refusal',
      events: [
        CREATED,
        { type: 'response.refusal.delta', ...at(0), delta: 'No' },
        { type: 'response.refusal.done', ...at(0), refusal: 'No' },
        completed(),
      ],
      out: [START, textStart(0), delta(0, { type: 'text_delta', text: 'No' }), stop(0), ...ending('refusal')],
    },
    {
      name: 'an answer that the limit cut off',
      events: [
        CREATED,
        said(0, 'It'),
        {
          type: 'response.incomplete',
          response: { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
        },
      ],
      out: [
        START,
        textStart(0),
        delta(0, { type: 'text_delta', text: 'It' }),
        stop(0),
        ...ending('max_tokens'),
      ],
    },
    {
      name: 'a failure as an error, and nothing behind it',
      events: [
        CREATED,
        {
          type: 'response.failed',
          response: { status: 'failed', error: { code: 'rate_limit_exceeded', message: 'Slow' } },
        },
        completed(),
      ],
      out: [START, { type: 'error', error: { type: 'rate_limit_error', message: 'Slow' } }],
    },
    {
      name: "the provider's error",
      events: [{ type: 'error', code: 'server_error', message: 'Broken', param: null }],
      out: [{ type: 'error', error: { type: 'api_error', message: 'Broken' } }],
    },
    {
      name: 'a body that ends in the middle',
      events: [CREATED, said(0, 'It')],
      out: [
        START,
        textStart(0),
        delta(0, { type: 'text_delta', text: 'It' }),
        { type: 'error', error: { type: 'api_error', message: 'the provider ended the stream early' } },
      ],
    },
    {
      name: 'an empty body',
      events: [],
      out: [{ type: 'error', error: { type: 'api_error', message: 'the provider ended the stream early' } }],
    },
  ])('writes $name', ({ events, out }) => {
    expect(stream(events)).toEqual(out)
  })

  test('refuses an event that is not JSON', () => {
    const state = messagesToResponses.stream.start(CONTEXT)
    expect(() => messagesToResponses.stream.step(state, { event: undefined, data: '{' })).toThrow(
      TranslationError,
    )
  })
})

test.each([
  {
    status: 429,
    body: { error: { message: 'Slow down', type: 'requests', code: 'rate_limit_exceeded' } },
    out: { type: 'rate_limit_error', message: 'Slow down' },
  },
  {
    status: 503,
    body: undefined,
    out: { type: 'overloaded_error', message: 'the provider answered with status 503' },
  },
])('renders the error of status $status', ({ status, body, out }) => {
  expect(messagesToResponses.error(status, body)).toEqual({ type: 'error', error: out })
})
