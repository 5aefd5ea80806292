import { describe, expect, test } from 'vitest'
import type { SseEvent } from '../../core/sse.ts'
import { responsesToMessages } from './responses-to-messages.ts'
import { type TranslationContext, TranslationError } from './translation.ts'

const CONTEXT: TranslationContext = { now: 1_700_000_000, model: 'asked', id: 'abc', includeUsage: false }
const HELLO = { role: 'user', content: [{ type: 'text', text: 'hello' }] }
const SCHEMA = { type: 'object', properties: {} }
const LOOK = { type: 'function', name: 'look', description: 'Looks', parameters: SCHEMA }
const MESSAGES_LOOK = { name: 'look', description: 'Looks', input_schema: SCHEMA }
const PNG = 'data:image/png;base64,AAAA'
const IMAGE = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } }

const request = (fields: Record<string, unknown>) =>
  responsesToMessages.request({ model: 'claude', input: 'hello', ...fields })

describe('request fields', () => {
  test.each([
    { name: 'sends a bare request with a limit', asked: {}, out: {} },
    {
      name: 'sends limit, sampling and stream',
      asked: { max_output_tokens: 100, temperature: 0.5, top_p: 0.9, stream: true },
      out: { max_tokens: 100, temperature: 0.5, top_p: 0.9, stream: true },
    },
    {
      name: 'sends a JSON schema and lists its label',
      asked: { text: { format: { type: 'json_schema', name: 'x', schema: SCHEMA, strict: true } } },
      out: { output_config: { format: { type: 'json_schema', schema: SCHEMA } } },
      dropped: ['text.format.name', 'text.format.strict'],
    },
    {
      name: 'lists any JSON, which Anthropic cannot be asked for',
      asked: { text: { format: { type: 'json_object' }, verbosity: 'low' } },
      out: {},
      dropped: ['text.verbosity', 'text.format'],
    },
    { name: 'sends the user', asked: { user: 'u' }, out: { metadata: { user_id: 'u' } } },
    {
      name: 'sends the safety identifier for want of a user',
      asked: { safety_identifier: 's' },
      out: { metadata: { user_id: 's' } },
    },
    {
      name: 'sends the user rather than the safety identifier',
      asked: { user: 'u', safety_identifier: 's' },
      out: { metadata: { user_id: 'u' } },
      dropped: ['safety_identifier'],
    },
    {
      name: 'lists what has no counterpart, known or not',
      asked: {
        metadata: { a: 'b' },
        service_tier: 'flex',
        prompt_cache_key: 'k',
        prompt_cache_retention: '24h',
        top_logprobs: 2,
        include: ['message.output_text.logprobs'],
        store: true,
        wishes: 1,
      },
      out: {},
      dropped: [
        'metadata',
        'wishes',
        'store',
        'service_tier',
        'prompt_cache_key',
        'prompt_cache_retention',
        'top_logprobs',
        'include',
      ],
    },
  ])('$name', ({ asked, out, dropped = [] as string[] }) => {
    expect(request(asked)).toEqual({
      body: { model: 'claude', max_tokens: 4096, messages: [HELLO], ...out },
      dropped,
    })
  })
})

describe('thinking', () => {
  const thinking = (budget_tokens: number) => ({ type: 'enabled', budget_tokens })

  test.each([
    { effort: 'none', budget: undefined },
    { effort: 'minimal', budget: 1024 },
    { effort: 'low', budget: 1024 },
    { effort: 'medium', budget: 2048 },
    { effort: 'high', budget: 4096 },
    { effort: 'xhigh', budget: 8192 },
    { effort: 'max', budget: 16384 },
  ])('makes $budget tokens of the effort $effort, and leaves room to answer', ({ effort, budget }) => {
    expect(request({ reasoning: { effort } })).toEqual({
      body: {
        model: 'claude',
        max_tokens: 4096 + (budget ?? 0),
        messages: [HELLO],
        ...(budget !== undefined && { thinking: thinking(budget) }),
      },
      dropped: [],
    })
  })

  test.each([
    {
      name: 'stays below the limit',
      asked: { max_output_tokens: 2000 },
      out: { max_tokens: 2000, thinking: thinking(1999) },
    },
    {
      name: 'needs more than its least budget',
      asked: { max_output_tokens: 1024 },
      out: { max_tokens: 1024 },
      dropped: ['reasoning.effort'],
    },
    {
      name: 'replaces sampling',
      asked: { temperature: 0.2, top_p: 0.5 },
      out: { max_tokens: 8192, thinking: thinking(4096) },
      dropped: ['temperature', 'top_p'],
    },
    {
      name: 'leaves sampling that it allows',
      asked: { temperature: 1, top_p: 0.99 },
      out: { max_tokens: 8192, thinking: thinking(4096), temperature: 1, top_p: 0.99 },
    },
    {
      name: 'gives way to a forced tool',
      asked: { tools: [LOOK], tool_choice: 'required' },
      out: { max_tokens: 4096, tools: [MESSAGES_LOOK], tool_choice: { type: 'any' } },
      dropped: ['reasoning.effort'],
    },
    {
      name: 'gives way in the middle of a tool call',
      asked: {
        input: [
          { type: 'function_call', call_id: 'c1', name: 'look', arguments: '' },
          { type: 'function_call_output', call_id: 'c1', output: 'sky' },
        ],
      },
      out: {
        max_tokens: 4096,
        messages: [
          { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'look', input: {} }] },
          { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: 'sky' }] },
        ],
      },
      dropped: ['reasoning.effort'],
    },
  ])('$name', ({ asked, out, dropped = [] as string[] }) => {
    expect(request({ reasoning: { effort: 'high' }, ...asked })).toEqual({
      body: { model: 'claude', messages: [HELLO], ...out },
      dropped,
    })
  })
})

describe('tools', () => {
  test.each([
    {
      name: 'sends a function, and lists strictness',
      asked: { tools: [{ ...LOOK, strict: true }] },
      out: { tools: [MESSAGES_LOOK] },
      dropped: ['tools[].strict'],
    },
    {
      name: 'sends a function without parameters',
      asked: { tools: [{ type: 'function', name: 'now', strict: false }] },
      out: { tools: [{ name: 'now', input_schema: { type: 'object', properties: {} } }] },
    },
    {
      name: 'sends a custom tool as a function',
      asked: { tools: [{ type: 'custom', name: 'apply', format: { type: 'text' } }] },
      out: {
        tools: [
          {
            name: 'apply__custom',
            input_schema: {
              type: 'object',
              properties: {
                input: { type: 'string', description: 'The whole input of the tool, as plain text.' },
              },
              required: ['input'],
              additionalProperties: false,
            },
          },
        ],
      },
    },
    {
      name: "lists OpenAI's own tools and what is left of their choice",
      asked: { tools: [{ type: 'code_interpreter' }], tool_choice: 'required', parallel_tool_calls: false },
      out: {},
      dropped: ['tools[].code_interpreter', 'tool_choice', 'parallel_tool_calls'],
    },
    ...[
      { asked: { tool_choice: 'auto' }, choice: { type: 'auto' } },
      { asked: { tool_choice: 'required' }, choice: { type: 'any' } },
      { asked: { tool_choice: 'none' }, choice: { type: 'none' } },
      { asked: { tool_choice: { type: 'function', name: 'look' } }, choice: { type: 'tool', name: 'look' } },
      { asked: { parallel_tool_calls: false }, choice: { type: 'auto', disable_parallel_tool_use: true } },
      {
        asked: { tool_choice: 'required', parallel_tool_calls: true },
        choice: { type: 'any', disable_parallel_tool_use: false },
      },
    ].map(({ asked, choice }) => ({
      name: `makes ${JSON.stringify(choice)} of ${JSON.stringify(asked)}`,
      asked: { tools: [LOOK], ...asked },
      out: { tools: [MESSAGES_LOOK], tool_choice: choice },
      dropped: [] as string[],
    })),
    {
      name: 'lists parallel calls where none may be made',
      asked: { tools: [LOOK], tool_choice: 'none', parallel_tool_calls: true },
      out: { tools: [MESSAGES_LOOK], tool_choice: { type: 'none' } },
      dropped: ['parallel_tool_calls'],
    },
  ])('$name', ({ asked, out, dropped = [] as string[] }) => {
    expect(request(asked)).toEqual({
      body: { model: 'claude', max_tokens: 4096, messages: [HELLO], ...out },
      dropped,
    })
  })
})

describe('conversation', () => {
  const call = (call_id: string, text = '{"a":1}') => ({
    type: 'function_call',
    call_id,
    name: 'look',
    arguments: text,
  })
  const toolUse = (id: string, input: unknown = { a: 1 }) => ({ type: 'tool_use', id, name: 'look', input })
  const output = (call_id: string, value: unknown) => ({
    type: 'function_call_output',
    call_id,
    output: value,
  })

  test.each([
    {
      name: 'gathers instructions, system and developer in the system prompt',
      asked: {
        instructions: 'a',
        input: [
          { role: 'system', content: 'b' },
          { role: 'user', content: 'x' },
          { role: 'developer', content: [{ type: 'input_text', text: 'c' }] },
        ],
      },
      out: { system: 'a\nb\nc', messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }] },
    },
    {
      name: 'merges neighbours of one role and leaves out empty text',
      asked: {
        input: [
          { role: 'user', content: 'a' },
          { role: 'user', content: '' },
          { role: 'user', content: 'b' },
          { role: 'assistant', content: [{ type: 'output_text', text: 'c' }] },
          call('c1'),
          call('c2'),
          output('c1', 'one'),
          output('c2', ''),
          { role: 'user', content: 'd' },
        ],
      },
      out: {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'a' },
              { type: 'text', text: 'b' },
            ],
          },
          { role: 'assistant', content: [{ type: 'text', text: 'c' }, toolUse('c1'), toolUse('c2')] },
          {
            role: 'user',
            content: [
              { type: 'tool_result', tool_use_id: 'c1', content: 'one' },
              { type: 'tool_result', tool_use_id: 'c2' },
              { type: 'text', text: 'd' },
            ],
          },
        ],
      },
    },
    {
      name: 'moves results to the head of the turn',
      asked: { input: [call('c1'), { role: 'user', content: 'd' }, output('c1', 'one')] },
      out: {
        messages: [
          { role: 'assistant', content: [toolUse('c1')] },
          {
            role: 'user',
            content: [
              { type: 'tool_result', tool_use_id: 'c1', content: 'one' },
              { type: 'text', text: 'd' },
            ],
          },
        ],
      },
    },
    {
      name: 'sends images and files, also in outputs',
      asked: {
        input: [
          {
            role: 'user',
            content: [
              { type: 'input_image', image_url: PNG, detail: 'high' },
              { type: 'input_image', image_url: 'https://x/y.png', detail: 'auto' },
              { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' },
              { type: 'input_file', file_data: 'data:text/plain;base64,w6Q=' },
              { type: 'input_file', file_url: 'https://x/a.pdf' },
            ],
          },
          call('c1'),
          {
            ...output('c1', [
              { type: 'input_text', text: 'see' },
              { type: 'input_image', image_url: PNG },
            ]),
            status: 'incomplete',
          },
        ],
      },
      out: {
        messages: [
          {
            role: 'user',
            content: [
              IMAGE,
              { type: 'image', source: { type: 'url', url: 'https://x/y.png' } },
              {
                type: 'document',
                source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' },
                title: 'a.pdf',
              },
              { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'ä' } },
              { type: 'document', source: { type: 'url', url: 'https://x/a.pdf' } },
            ],
          },
          { role: 'assistant', content: [toolUse('c1')] },
          {
            role: 'user',
            content: [
              {
                type: 'tool_result',
                tool_use_id: 'c1',
                content: [{ type: 'text', text: 'see' }, IMAGE],
                is_error: true,
              },
            ],
          },
        ],
      },
      dropped: ['input[].content[].detail'],
    },
    {
      name: 'keeps arguments that are no JSON, and bare input of custom tools',
      asked: {
        input: [
          call('c1', '{"a'),
          call('c2', ''),
          { type: 'custom_tool_call', call_id: 'c3', name: 'apply', input: 'x' },
          { type: 'reasoning', id: 'rs_1', summary: [] },
        ],
      },
      out: {
        messages: [
          {
            role: 'assistant',
            content: [
              toolUse('c1', { unparsed_arguments: '{"a' }),
              toolUse('c2', {}),
              { type: 'tool_use', id: 'c3', name: 'apply__custom', input: { input: 'x' } },
            ],
          },
        ],
      },
      dropped: ['input[].reasoning'],
    },
  ])('$name', ({ asked, out, dropped = [] as string[] }) => {
    expect(request(asked)).toEqual({ body: { model: 'claude', max_tokens: 4096, ...out }, dropped })
  })

  const part = (content: unknown) => ({ input: [{ role: 'user', content: [content] }] })
  test.each([
    {
      asked: { previous_response_id: 'r' },
      message: 'previous_response_id: the gateway stores no responses',
    },
    {
      asked: part({ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }),
      message: 'input[0].content[0]: the provider takes no audio',
    },
    {
      asked: part({ type: 'input_image', image_url: 'data:image/png,AAAA' }),
      message: 'input[0].content[0].image_url: expected a data URL in base64',
    },
    {
      asked: part({ type: 'input_file', file_data: 'data:text/csv;base64,AAAA' }),
      message:
        'input[0].content[0].file_data: expected a data URL in base64 of application/pdf or text/plain',
    },
    {
      asked: part({ type: 'input_file', file_data: 'data:text/plain;base64,!' }),
      message: 'input[0].content[0].file_data: expected base64',
    },
    {
      asked: { input: [{ role: 'system', content: [{ type: 'input_image', image_url: PNG }] }] },
      message: "input[0].content[0]: only a user's message and a tool's output may hold this",
    },
  ])('refuses what cannot be said: $message', ({ asked, message }) => {
    expect(() => request(asked)).toThrow(TranslationError)
    expect(() => request(asked)).toThrow(message)
  })
})

describe('whole answers', () => {
  const reply = (fields: object) => ({
    id: 'msg_1',
    model: 'claude',
    content: [{ type: 'text', text: 'hi' }],
    stop_reason: 'end_turn',
    ...fields,
  })
  const text = (status: string) => ({
    type: 'message',
    id: 'msg_abc_0',
    status,
    role: 'assistant',
    content: [{ type: 'output_text', text: 'hi', annotations: [], logprobs: [] }],
  })

  test.each([
    { stop_reason: 'end_turn', out: { status: 'completed', output: [text('completed')] } },
    { stop_reason: 'stop_sequence', out: { status: 'completed', output: [text('completed')] } },
    { stop_reason: 'pause_turn', out: { status: 'completed', output: [text('completed')] } },
    {
      stop_reason: 'max_tokens',
      out: {
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        output: [text('incomplete')],
      },
    },
    {
      stop_reason: 'model_context_window_exceeded',
      out: { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
    },
    {
      stop_reason: 'refusal',
      out: { status: 'incomplete', incomplete_details: { reason: 'content_filter' } },
    },
  ])('carry the stop reason $stop_reason', ({ stop_reason, out }) => {
    expect(responsesToMessages.response(reply({ stop_reason }), CONTEXT)).toMatchObject({
      id: 'msg_1',
      object: 'response',
      created_at: 1_700_000_000,
      model: 'claude',
      error: null,
      usage: null,
      ...out,
    })
  })

  test('carry thinking, calls, usage and the tier', () => {
    const response = responsesToMessages.response(
      reply({
        content: [
          { type: 'thinking', thinking: 'Hmm', signature: 's' },
          { type: 'redacted_thinking', data: 'x' },
          { type: 'tool_use', id: 'c1', name: 'look', input: { a: 1 } },
          { type: 'tool_use', id: 'c2', name: 'apply__custom', input: { input: 'x' } },
        ],
        stop_reason: 'tool_use',
        usage: {
          input_tokens: 5,
          cache_read_input_tokens: 4,
          cache_creation_input_tokens: 1,
          output_tokens: 7,
          output_tokens_details: { thinking_tokens: 3 },
          service_tier: 'standard',
        },
      }),
      CONTEXT,
    )
    expect(response).toMatchObject({
      status: 'completed',
      service_tier: 'default',
      output: [
        { type: 'reasoning', id: 'rs_abc_0', summary: [{ type: 'summary_text', text: 'Hmm' }] },
        { type: 'function_call', id: 'fc_abc_1', call_id: 'c1', name: 'look', arguments: '{"a":1}' },
        { type: 'custom_tool_call', id: 'ctc_abc_2', call_id: 'c2', name: 'apply', input: 'x' },
      ],
      usage: {
        input_tokens: 10,
        input_tokens_details: { cached_tokens: 4, cache_write_tokens: 1 },
        output_tokens: 7,
        output_tokens_details: { reasoning_tokens: 3 },
        total_tokens: 17,
      },
    })
  })

  test.each([{}, { type: 'error', error: { message: 'x' } }])('refuse %j, which is no answer', (body) => {
    expect(() => responsesToMessages.response(body, CONTEXT)).toThrow(TranslationError)
  })
})

function stream(events: readonly object[]) {
  const state = responsesToMessages.stream.start(CONTEXT)
  const written: SseEvent[] = []
  for (const event of events) {
    const data = JSON.stringify(event)
    written.push(...responsesToMessages.stream.step(state, { event: undefined, data })[1])
  }
  written.push(...responsesToMessages.stream.end(state))
  return written.map(({ event, data }, i) => {
    const { type, sequence_number, response, ...rest } = JSON.parse(data)
    expect(type).toBe(event)
    expect(sequence_number).toBe(i)
    if (response === undefined) return { type, ...rest }
    const { id, status, error, incomplete_details, output, usage } = response
    return { type, id, status, error, incomplete_details, output, usage }
  })
}

describe('streams', () => {
  const START = {
    type: 'message_start',
    message: { id: 'msg_1', model: 'claude', usage: { input_tokens: 6, cache_read_input_tokens: 4 } },
  }
  const USAGE = {
    input_tokens: 10,
    input_tokens_details: { cached_tokens: 4, cache_write_tokens: 0 },
    output_tokens: 0,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 10,
  }
  const shown = (fields: object) => ({
    id: 'msg_1',
    status: 'in_progress',
    error: null,
    incomplete_details: null,
    output: [],
    usage: USAGE,
    ...fields,
  })
  const BEGINNING = [shown({ type: 'response.created' }), shown({ type: 'response.in_progress' })]
  const block = (index: number, content_block: object) => ({
    type: 'content_block_start',
    index,
    content_block,
  })
  const delta = (index: number, fields: object) => ({ type: 'content_block_delta', index, delta: fields })
  const stop = (index: number) => ({ type: 'content_block_stop', index })
  const ending = (stop_reason: string) => [
    { type: 'message_delta', delta: { stop_reason }, usage: { output_tokens: 5 } },
    { type: 'message_stop' },
  ]
  const LOOK_USE = { type: 'tool_use', id: 'c1', name: 'look', input: {} }

  test('writes text, then a call, event by event', () => {
    const message = { type: 'message', id: 'msg_abc_0', role: 'assistant' }
    const text = { type: 'output_text', text: 'It rains', annotations: [], logprobs: [] }
    const call = { type: 'function_call', id: 'fc_abc_1', call_id: 'c1', name: 'look' }
    const inText = { item_id: 'msg_abc_0', output_index: 0, content_index: 0 }
    const inCall = { item_id: 'fc_abc_1', output_index: 1 }
    const output = [
      { ...message, status: 'completed', content: [text] },
      { ...call, status: 'completed', arguments: '{"a":1}' },
    ]
    expect(
      stream([
        START,
        { type: 'ping' },
        block(0, { type: 'text', text: '' }),
        delta(0, { type: 'text_delta', text: 'It ' }),
        delta(0, { type: 'text_delta', text: 'rains' }),
        stop(0),
        block(1, LOOK_USE),
        delta(1, { type: 'input_json_delta', partial_json: '' }),
        delta(1, { type: 'input_json_delta', partial_json: '{"a"' }),
        delta(1, { type: 'input_json_delta', partial_json: ':1}' }),
        stop(1),
        ...ending('tool_use'),
        delta(1, { type: 'text_delta', text: 'too late' }),
      ]),
    ).toEqual([
      ...BEGINNING,
      {
        type: 'response.output_item.added',
        output_index: 0,
        item: { ...message, status: 'in_progress', content: [] },
      },
      { type: 'response.content_part.added', ...inText, part: { ...text, text: '' } },
      { type: 'response.output_text.delta', ...inText, delta: 'It ', logprobs: [] },
      { type: 'response.output_text.delta', ...inText, delta: 'rains', logprobs: [] },
      { type: 'response.output_text.done', ...inText, text: 'It rains', logprobs: [] },
      { type: 'response.content_part.done', ...inText, part: text },
      { type: 'response.output_item.done', output_index: 0, item: output[0] },
      {
        type: 'response.output_item.added',
        output_index: 1,
        item: { ...call, status: 'in_progress', arguments: '' },
      },
      { type: 'response.function_call_arguments.delta', ...inCall, delta: '{"a"' },
      { type: 'response.function_call_arguments.delta', ...inCall, delta: ':1}' },
      { type: 'response.function_call_arguments.done', ...inCall, arguments: '{"a":1}' },
      { type: 'response.output_item.done', output_index: 1, item: output[1] },
      shown({
        type: 'response.completed',
        status: 'completed',
        output,
        usage: { ...USAGE, output_tokens: 5, total_tokens: 15 },
      }),
    ])
  })

  test.each([
    {
      name: 'thinking as a reasoning item of its own',
      events: [
        block(0, { type: 'thinking', thinking: '' }),
        delta(0, { type: 'thinking_delta', thinking: 'Hmm' }),
        delta(0, { type: 'signature_delta', signature: 's' }),
        stop(0),
        block(1, { type: 'redacted_thinking', data: 'x' }),
        stop(1),
        ...ending('end_turn'),
      ],
      last: {
        type: 'response.completed',
        output: [{ type: 'reasoning', status: 'completed', summary: [{ text: 'Hmm' }] }],
      },
    },
    {
      name: 'a call whose input came at once',
      events: [block(0, { ...LOOK_USE, input: { a: 1 } }), stop(0), ...ending('tool_use')],
      last: { type: 'response.completed', output: [{ arguments: '{"a":1}' }] },
    },
    {
      name: 'a call without input',
      events: [block(0, LOOK_USE), stop(0), ...ending('tool_use')],
      last: { type: 'response.completed', output: [{ arguments: '{}', status: 'completed' }] },
    },
    {
      name: 'a call that the limit cut off',
      events: [
        block(0, LOOK_USE),
        stop(0),
        block(1, { ...LOOK_USE, id: 'c2' }),
        delta(1, { type: 'input_json_delta', partial_json: '{"a' }),
        stop(1),
        ...ending('max_tokens'),
      ],
      last: {
        type: 'response.incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        output: [{ status: 'completed' }, { status: 'incomplete', arguments: '{"a' }],
      },
    },
    {
      name: 'a refusal',
      events: [block(0, { type: 'text', text: 'I' }), stop(0), ...ending('refusal')],
      last: { type: 'response.incomplete', incomplete_details: { reason: 'content_filter' } },
    },
    {
      name: "the provider's error",
      events: [
        block(0, { type: 'text', text: 'I' }),
        { type: 'error', error: { type: 'overloaded_error', message: 'Busy' } },
        ...ending('end_turn'),
      ],
      last: { type: 'response.failed', status: 'failed', error: { code: 'server_error', message: 'Busy' } },
    },
    {
      name: 'a body that ends in the middle',
      events: [block(0, { type: 'text', text: 'I' }), ...ending('end_turn').slice(0, 1)],
      last: {
        type: 'response.failed',
        error: { code: 'server_error', message: 'the provider ended the stream early' },
      },
    },
  ])('ends with $name', ({ events, last }) => {
    expect(stream([START, ...events]).at(-1)).toMatchObject(last)
  })

  test('says what the error was before it fails', () => {
    const events = stream([{ type: 'error', error: { type: 'overloaded_error', message: 'Busy' } }])
    expect(events.map((event) => event.type)).toEqual([
      'response.created',
      'response.in_progress',
      'error',
      'response.failed',
    ])
    expect(events[2]).toEqual({ type: 'error', code: 'overloaded_error', message: 'Busy', param: null })
  })
})

test.each([
  {
    status: 429,
    body: { type: 'error', error: { type: 'rate_limit_error', message: 'Slow down' } },
    out: { message: 'Slow down', type: 'rate_limit_error', param: null, code: 'rate_limit_error' },
  },
  {
    status: 529,
    body: { type: 'error', error: { type: 'overloaded_error', message: 'Busy' } },
    out: { message: 'Busy', type: 'server_error', param: null, code: 'overloaded_error' },
  },
  {
    status: 500,
    body: undefined,
    out: { message: 'the provider answered with status 500', type: 'server_error', param: null, code: null },
  },
])('renders the error of status $status', ({ status, body, out }) => {
  expect(responsesToMessages.error(status, body)).toEqual({ error: out })
})
