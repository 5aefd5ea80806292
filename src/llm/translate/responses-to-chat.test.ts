import { describe, expect, test } from 'vitest'
import type { SseEvent } from '../../core/sse.ts'
import { responsesToChat } from './responses-to-chat.ts'
import { type TranslationContext, TranslationError } from './translation.ts'

const CONTEXT: TranslationContext = { now: 1_700_000_000, model: 'asked', id: 'abc', includeUsage: false }
const HELLO = { role: 'user', content: 'hello' }
const SCHEMA = { type: 'object', properties: {} }
const LOOK = { type: 'function', name: 'look', description: 'Looks', parameters: SCHEMA }
const CHAT_LOOK = { type: 'function', function: { name: 'look', description: 'Looks', parameters: SCHEMA } }
const PNG = 'data:image/png;base64,AAAA'

const request = (fields: Record<string, unknown>) =>
  responsesToChat.request({ model: 'gpt', input: 'hello', ...fields })

describe('request fields', () => {
  test.each([
    { name: 'sends a bare request', asked: {}, out: {} },
    {
      name: 'sends limits and sampling',
      asked: { max_output_tokens: 100, temperature: 0.5, top_p: 0.9 },
      out: { max_completion_tokens: 100, temperature: 0.5, top_p: 0.9 },
    },
    {
      name: 'asks for usage in a stream',
      asked: { stream: true },
      out: { stream: true, stream_options: { include_usage: true } },
    },
    { name: 'leaves out stream false', asked: { stream: false }, out: {} },
    {
      name: 'sends instructions first, as the developer',
      asked: { instructions: 'Be brief' },
      out: { messages: [{ role: 'developer', content: 'Be brief' }, HELLO] },
    },
    { name: 'leaves out empty instructions', asked: { instructions: '' }, out: {} },
    {
      name: 'sends the effort and lists what else reasoning holds',
      asked: { reasoning: { effort: 'xhigh', summary: 'auto' } },
      out: { reasoning_effort: 'xhigh' },
      dropped: ['reasoning.summary'],
    },
    { name: 'sends verbosity', asked: { text: { verbosity: 'low' } }, out: { verbosity: 'low' } },
    { name: 'leaves out the plain text format', asked: { text: { format: { type: 'text' } } }, out: {} },
    {
      name: 'sends any JSON',
      asked: { text: { format: { type: 'json_object' } } },
      out: { response_format: { type: 'json_object' } },
    },
    {
      name: 'sends a JSON schema',
      asked: {
        text: {
          format: { type: 'json_schema', name: 'x', schema: SCHEMA, strict: true, description: 'An x' },
        },
      },
      out: {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'x', schema: SCHEMA, description: 'An x', strict: true },
        },
      },
    },
    {
      name: 'sends what both APIs call the same',
      asked: {
        user: 'u',
        safety_identifier: 's',
        service_tier: 'flex',
        prompt_cache_key: 'k',
        prompt_cache_retention: '24h',
      },
      out: {
        user: 'u',
        safety_identifier: 's',
        service_tier: 'flex',
        prompt_cache_key: 'k',
        prompt_cache_retention: '24h',
      },
    },
    {
      name: 'asks for logprobs',
      asked: { include: ['message.output_text.logprobs'] },
      out: { logprobs: true },
    },
    { name: 'asks for top logprobs', asked: { top_logprobs: 3 }, out: { logprobs: true, top_logprobs: 3 } },
    {
      name: 'lists what cannot be included',
      asked: { include: ['reasoning.encrypted_content', 'message.output_text.logprobs'] },
      out: { logprobs: true },
      dropped: ['include'],
    },
    {
      name: 'lists state that nobody keeps',
      asked: { store: true, background: true, truncation: 'auto' },
      out: {},
      dropped: ['store', 'background', 'truncation'],
    },
    {
      name: 'lists no defaults and no nulls',
      asked: {
        store: false,
        background: false,
        truncation: 'disabled',
        include: [],
        previous_response_id: null,
        conversation: null,
        prompt: null,
        metadata: null,
        reasoning: null,
        text: null,
        tools: null,
        tool_choice: null,
      },
      out: {},
    },
    {
      name: 'lists what has no counterpart, known or not',
      asked: { metadata: { a: 'b' }, max_tool_calls: 3, stream_options: {}, wishes: 1 },
      out: {},
      dropped: ['metadata', 'max_tool_calls', 'stream_options', 'wishes'],
    },
  ])('$name', ({ asked, out, dropped = [] }) => {
    expect(request(asked)).toEqual({ body: { model: 'gpt', messages: [HELLO], ...out }, dropped })
  })
})

describe('tools', () => {
  test.each([
    { name: 'sends a function', asked: { tools: [LOOK] }, out: { tools: [CHAT_LOOK] } },
    {
      name: 'sends strict as it was asked',
      asked: { tools: [{ ...LOOK, strict: true }] },
      out: { tools: [{ type: 'function', function: { ...CHAT_LOOK.function, strict: true } }] },
    },
    {
      name: 'sends a function without parameters',
      asked: { tools: [{ type: 'function', name: 'now', parameters: null, strict: null }] },
      out: { tools: [{ type: 'function', function: { name: 'now' } }] },
    },
    {
      name: 'lists what is new about functions',
      asked: { tools: [{ ...LOOK, defer_loading: true }] },
      out: { tools: [CHAT_LOOK] },
      dropped: ['tools[].defer_loading'],
    },
    {
      name: "lists OpenAI's own tools",
      asked: { tools: [LOOK, { type: 'web_search' }, { type: 'file_search', vector_store_ids: [] }] },
      out: { tools: [CHAT_LOOK] },
      dropped: ['tools[].web_search', 'tools[].file_search'],
    },
    {
      name: 'lists a choice that is left over',
      asked: { tools: [{ type: 'web_search' }], tool_choice: 'auto', parallel_tool_calls: true },
      out: {},
      dropped: ['tools[].web_search', 'tool_choice', 'parallel_tool_calls'],
    },
    {
      name: 'tells the grammar of a custom tool to the model',
      asked: {
        tools: [
          {
            type: 'custom',
            name: 'apply',
            description: 'Applies',
            format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' },
          },
        ],
        tool_choice: { type: 'custom', name: 'apply' },
      },
      out: {
        tools: [
          {
            type: 'function',
            function: {
              name: 'apply__custom',
              description: 'Applies\n\nThe input must follow this lark grammar:\nstart: "x"',
              parameters: {
                type: 'object',
                properties: {
                  input: { type: 'string', description: 'The whole input of the tool, as plain text.' },
                },
                required: ['input'],
                additionalProperties: false,
              },
            },
          },
        ],
        tool_choice: { type: 'function', function: { name: 'apply__custom' } },
      },
      dropped: ['tools[].format'],
    },
    ...(['auto', 'none', 'required'] as const).map((mode) => ({
      name: `sends the choice ${mode}`,
      asked: { tools: [LOOK], tool_choice: mode, parallel_tool_calls: false },
      out: { tools: [CHAT_LOOK], tool_choice: mode, parallel_tool_calls: false },
      dropped: [] as string[],
    })),
    {
      name: 'sends the choice of a function',
      asked: { tools: [LOOK], tool_choice: { type: 'function', name: 'look' } },
      out: { tools: [CHAT_LOOK], tool_choice: { type: 'function', function: { name: 'look' } } },
    },
    {
      name: 'offers only the allowed tools',
      asked: {
        tools: [LOOK, { ...LOOK, name: 'hide' }],
        tool_choice: {
          type: 'allowed_tools',
          mode: 'required',
          tools: [{ type: 'function', name: 'look' }, { type: 'web_search' }],
        },
      },
      out: { tools: [CHAT_LOOK], tool_choice: 'required' },
      dropped: ['tool_choice.tools[].web_search'],
    },
    {
      name: "lists the choice of OpenAI's own tool",
      asked: { tools: [LOOK], tool_choice: { type: 'web_search_preview' } },
      out: { tools: [CHAT_LOOK] },
      dropped: ['tool_choice.web_search_preview'],
    },
  ])('$name', ({ asked, out, dropped = [] }) => {
    expect(request(asked)).toEqual({ body: { model: 'gpt', messages: [HELLO], ...out }, dropped })
  })
})

describe('conversation', () => {
  const call = (call_id: string) => ({ type: 'function_call', call_id, name: 'look', arguments: '{}' })
  const chatCall = (id: string) => ({ id, type: 'function', function: { name: 'look', arguments: '{}' } })
  const output = (call_id: string, text: unknown) => ({ type: 'function_call_output', call_id, output: text })

  test.each([
    {
      name: 'keeps every role',
      input: ['user', 'assistant', 'system', 'developer'].map((role) => ({ role, content: 'x' })),
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: 'x' },
        { role: 'system', content: 'x' },
        { role: 'developer', content: 'x' },
      ],
    },
    {
      name: 'sends text, images, files and audio',
      input: [
        {
          type: 'message',
          role: 'user',
          content: [
            { type: 'input_text', text: 'see' },
            { type: 'input_image', image_url: PNG, detail: 'high' },
            { type: 'input_image', image_url: 'https://x/y.png' },
            { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' },
            { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
          ],
        },
      ],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'see' },
            { type: 'image_url', image_url: { url: PNG, detail: 'high' } },
            { type: 'image_url', image_url: { url: 'https://x/y.png' } },
            { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' } },
            { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
          ],
        },
      ],
    },
    {
      name: 'sends a refusal as text and lists what only the answer needed',
      input: [
        {
          type: 'message',
          id: 'msg_1',
          status: 'completed',
          role: 'assistant',
          content: [
            { type: 'output_text', text: 'a', annotations: [], logprobs: [] },
            { type: 'refusal', refusal: 'b' },
          ],
        },
      ],
      messages: [
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
      ],
      dropped: ['input[].id', 'input[].status'],
    },
    {
      name: 'puts parallel calls into the message before them',
      input: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: 'let me see' },
        call('c1'),
        call('c2'),
        output('c1', 'one'),
        output('c2', 'two'),
      ],
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: 'let me see', tool_calls: [chatCall('c1'), chatCall('c2')] },
        { role: 'tool', tool_call_id: 'c1', content: 'one' },
        { role: 'tool', tool_call_id: 'c2', content: 'two' },
      ],
    },
    {
      name: 'keeps outputs behind their calls when text came between',
      input: [call('c1'), { role: 'assistant', content: 'looking' }, output('c1', 'one'), call('c2')],
      messages: [
        { role: 'assistant', content: 'looking', tool_calls: [chatCall('c1')] },
        { role: 'tool', tool_call_id: 'c1', content: 'one' },
        { role: 'assistant', tool_calls: [chatCall('c2')] },
      ],
    },
    {
      name: 'sends images of outputs behind the last output',
      input: [
        call('c1'),
        call('c2'),
        output('c1', [
          { type: 'input_text', text: 'a' },
          { type: 'input_image', image_url: PNG },
        ]),
        output('c2', [{ type: 'input_image', image_url: PNG }]),
        { role: 'user', content: 'so?' },
      ],
      messages: [
        { role: 'assistant', tool_calls: [chatCall('c1'), chatCall('c2')] },
        { role: 'tool', tool_call_id: 'c1', content: 'a' },
        { role: 'tool', tool_call_id: 'c2', content: 'The output is in the following user message.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Output of the tool call c1:' },
            { type: 'image_url', image_url: { url: PNG } },
            { type: 'text', text: 'Output of the tool call c2:' },
            { type: 'image_url', image_url: { url: PNG } },
          ],
        },
        { role: 'user', content: 'so?' },
      ],
    },
    {
      name: 'sends calls of custom tools as calls of their functions',
      input: [
        { type: 'custom_tool_call', call_id: 'c1', name: 'apply', input: 'a "b"' },
        { type: 'custom_tool_call_output', call_id: 'c1', output: 'done' },
      ],
      messages: [
        {
          role: 'assistant',
          tool_calls: [
            {
              id: 'c1',
              type: 'function',
              function: { name: 'apply__custom', arguments: '{"input":"a \\"b\\""}' },
            },
          ],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'done' },
      ],
    },
    {
      name: 'lists reasoning and what OpenAI did by itself',
      input: [
        { role: 'user', content: 'x' },
        { type: 'reasoning', id: 'rs_1', summary: [] },
        { type: 'web_search_call', id: 'ws_1' },
        { type: 'item_reference', id: 'rs_2' },
        { ...output('c1', 'one'), status: 'incomplete' },
      ],
      messages: [
        { role: 'user', content: 'x' },
        { role: 'tool', tool_call_id: 'c1', content: 'one' },
      ],
      dropped: ['input[].reasoning', 'input[].web_search_call', 'input[].item_reference', 'input[].status'],
    },
  ])('$name', ({ input, messages, dropped = [] }) => {
    expect(request({ input })).toEqual({ body: { model: 'gpt', messages }, dropped })
  })
})

describe('refused requests', () => {
  const part = (content: unknown) => ({ input: [{ role: 'user', content: [content] }] })

  test.each([
    {
      asked: { previous_response_id: 'resp_1' },
      message:
        'previous_response_id: the gateway stores no responses for this provider: send the whole conversation in input (`store: false`)',
    },
    {
      asked: { conversation: { id: 'c' } },
      message:
        'conversation: the gateway stores no responses for this provider: send the whole conversation in input (`store: false`)',
    },
    {
      asked: { prompt: { id: 'p' } },
      message: 'prompt: a prompt stored at OpenAI is unknown to the provider: send instructions and input',
    },
    { asked: { input: undefined }, message: 'input: expected a string or an array, found nothing' },
    { asked: { input: [1] }, message: 'input[0]: expected an object, found a number' },
    {
      asked: { input: [{ type: 'item_reference', id: 'msg_1' }] },
      message:
        'input[0]: the gateway stores no responses, so an item cannot be named by its id: send the item itself (`store: false`)',
    },
    {
      asked: { input: [{ type: 'compaction', encrypted_content: 'x' }] },
      message: 'input[0].type: this kind of item cannot be translated for the provider',
    },
    {
      asked: { input: [{ role: 'tool', content: 'x' }] },
      message: 'input[0].role: expected user, assistant, system or developer',
    },
    {
      asked: { input: [{ role: 'assistant', content: [{ type: 'input_image', image_url: PNG }] }] },
      message: "input[0].content[0]: only a user's message and a tool's output may hold this",
    },
    {
      asked: part({ type: 'input_image', file_id: 'file_1' }),
      message:
        'input[0].content[0].file_id: a file stored at OpenAI is unknown to the provider: send its data or a URL',
    },
    {
      asked: part({ type: 'input_image', image_url: 'ftp://x' }),
      message: 'input[0].content[0].image_url: expected an http(s) URL or a data URL of an image',
    },
    {
      asked: part({ type: 'input_file', file_url: 'https://x' }),
      message: 'input[0].content[0].file_url: the provider takes files as data only: send file_data',
    },
    { asked: part({ type: 'input_file' }), message: 'input[0].content[0].file_data: is required' },
    {
      asked: part({ type: 'video' }),
      message:
        'input[0].content[0].type: expected input_text, input_image, input_file, input_audio, output_text or refusal',
    },
    {
      asked: { tools: [{ ...LOOK, name: 'x__custom' }] },
      message: "tools[0].name: a function's name must not end in __custom here",
    },
    {
      asked: { tools: [{ type: 'custom', name: 'x'.repeat(57) }] },
      message: "tools[0].name: a custom tool's name has at most 56 characters here",
    },
    {
      asked: { tools: [LOOK], tool_choice: 'sometimes' },
      message: 'tool_choice: expected auto, none, required or a tool',
    },
    {
      asked: { reasoning: { effort: 'huge' } },
      message: 'reasoning.effort: expected one of none, minimal, low, medium, high, xhigh, max',
    },
    { asked: { stream: 'yes' }, message: 'stream: expected a boolean, found a string' },
  ])('names the place: $message', ({ asked, message }) => {
    expect(() => request(asked)).toThrow(new TranslationError(message))
  })
})

describe('whole answers', () => {
  const BASE = {
    id: 'chatcmpl-1',
    object: 'response',
    created_at: 1_700_000_000,
    status: 'completed',
    background: false,
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: null,
    metadata: {},
    model: 'gpt',
    output: [],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    service_tier: null,
    store: false,
    temperature: null,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    truncation: 'disabled',
    usage: null,
  }
  const message = (text: string, status = 'completed', fields = {}) => ({
    type: 'message',
    id: 'msg_abc_0',
    status,
    role: 'assistant',
    content: [{ type: 'output_text', text, annotations: [], logprobs: [], ...fields }],
  })
  const completion = (message: object, finish_reason: string, fields = {}) => ({
    id: 'chatcmpl-1',
    model: 'gpt',
    choices: [{ index: 0, message, finish_reason, ...fields }],
  })

  test.each([
    { name: 'carries text', reply: completion({ content: 'hi' }, 'stop'), out: { output: [message('hi')] } },
    {
      name: 'carries usage and the tier',
      reply: {
        ...completion({ content: 'hi' }, 'stop'),
        service_tier: 'flex',
        usage: {
          prompt_tokens: 10,
          completion_tokens: 7,
          prompt_tokens_details: { cached_tokens: 4, cache_write_tokens: 2 },
          completion_tokens_details: { reasoning_tokens: 3 },
        },
      },
      out: {
        output: [message('hi')],
        service_tier: 'flex',
        usage: {
          input_tokens: 10,
          input_tokens_details: { cached_tokens: 4, cache_write_tokens: 2 },
          output_tokens: 7,
          output_tokens_details: { reasoning_tokens: 3 },
          total_tokens: 17,
        },
      },
    },
    {
      name: 'says when the limit cut it short',
      reply: completion({ content: 'hi' }, 'length'),
      out: {
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        output: [message('hi', 'incomplete')],
      },
    },
    {
      name: 'says when a filter cut it short',
      reply: completion({ content: null }, 'content_filter'),
      out: { status: 'incomplete', incomplete_details: { reason: 'content_filter' } },
    },
    {
      name: 'carries a refusal',
      reply: completion({ content: null, refusal: 'No' }, 'stop'),
      out: {
        output: [
          {
            type: 'message',
            id: 'msg_abc_0',
            status: 'completed',
            role: 'assistant',
            content: [{ type: 'refusal', refusal: 'No' }],
          },
        ],
      },
    },
    {
      name: 'carries reasoning and calls, and replaces ids that clash',
      reply: completion(
        {
          reasoning_content: 'Hmm',
          tool_calls: [
            { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"a":1}' } },
            { id: 'c1', type: 'function', function: { name: 'look', arguments: '' } },
            { id: 'c3', type: 'function', function: { name: 'apply__custom', arguments: '{"input":"x"}' } },
            { id: 'c4', type: 'function', function: { name: 'apply__custom', arguments: 'bare' } },
          ],
        },
        'tool_calls',
      ),
      out: {
        output: [
          {
            type: 'reasoning',
            id: 'rs_abc_0',
            status: 'completed',
            summary: [{ type: 'summary_text', text: 'Hmm' }],
          },
          {
            type: 'function_call',
            id: 'fc_abc_1',
            status: 'completed',
            call_id: 'c1',
            name: 'look',
            arguments: '{"a":1}',
          },
          {
            type: 'function_call',
            id: 'fc_abc_2',
            status: 'completed',
            call_id: 'call_abc_2',
            name: 'look',
            arguments: '{}',
          },
          {
            type: 'custom_tool_call',
            id: 'ctc_abc_3',
            status: 'completed',
            call_id: 'c3',
            name: 'apply',
            input: 'x',
          },
          {
            type: 'custom_tool_call',
            id: 'ctc_abc_4',
            status: 'completed',
            call_id: 'c4',
            name: 'apply',
            input: 'bare',
          },
        ],
      },
    },
    {
      name: 'carries citations and logprobs',
      reply: completion(
        {
          content: 'hi',
          annotations: [
            {
              type: 'url_citation',
              url_citation: { url: 'https://x', title: 'X', start_index: 0, end_index: 2 },
            },
          ],
        },
        'stop',
        { logprobs: { content: [{ token: 'hi', logprob: -1, bytes: [1], top_logprobs: [] }] } },
      ),
      out: {
        output: [
          message('hi', 'completed', {
            annotations: [
              { type: 'url_citation', url: 'https://x', title: 'X', start_index: 0, end_index: 2 },
            ],
            logprobs: [{ token: 'hi', logprob: -1, top_logprobs: [] }],
          }),
        ],
      },
    },
    {
      name: 'makes up what the provider leaves out',
      reply: { choices: [{ message: { content: 'hi' } }] },
      out: { id: 'resp_abc', model: 'asked', output: [message('hi')] },
    },
  ])('$name', ({ reply, out }) => {
    expect(responsesToChat.response(reply, CONTEXT)).toEqual({ ...BASE, ...out })
  })

  test.each([{}, { choices: [] }, { choices: 'x' }, { error: { message: 'x' } }])(
    'refuses %j, which is no answer',
    (reply) => {
      expect(() => responsesToChat.response(reply, CONTEXT)).toThrow(TranslationError)
    },
  )
})

/** The events as the client sees them, without the response object's constant fields. */
function stream(events: readonly (object | string)[], ends = true) {
  const state = responsesToChat.stream.start(CONTEXT)
  const written: SseEvent[] = []
  for (const event of events) {
    const data = typeof event === 'string' ? event : JSON.stringify(event)
    written.push(...responsesToChat.stream.step(state, { event: undefined, data })[1])
  }
  if (ends) written.push(...responsesToChat.stream.end(state))
  return written.map(({ event, data }, i) => {
    const { type, sequence_number, response, ...rest } = JSON.parse(data)
    expect(type).toBe(event)
    expect(sequence_number).toBe(i)
    if (response === undefined) return { type, ...rest }
    const { id, status, error, incomplete_details, output, usage } = response
    return { type, id, status, error, incomplete_details, output, usage }
  })
}

const shown = (fields: object) => ({
  id: 'chatcmpl-1',
  status: 'in_progress',
  error: null,
  incomplete_details: null,
  output: [],
  usage: null,
  ...fields,
})
const BEGINNING = [shown({ type: 'response.created' }), shown({ type: 'response.in_progress' })]
const chunk = (delta: object, finish_reason: string | null = null, fields = {}) => ({
  id: 'chatcmpl-1',
  model: 'gpt',
  choices: [{ index: 0, delta, finish_reason }],
  ...fields,
})
const callPiece = (index: number, text: string, first = {}) => ({
  tool_calls: [{ index, function: { arguments: text, ...first }, ...(first && { id: `c${index}` }) }],
})

describe('streams', () => {
  test('writes reasoning, then text, event by event', () => {
    const reasoning = { type: 'reasoning', id: 'rs_abc_0' }
    const message = { type: 'message', id: 'msg_abc_1', role: 'assistant' }
    const inReasoning = { item_id: 'rs_abc_0', output_index: 0, summary_index: 0 }
    const inText = { item_id: 'msg_abc_1', output_index: 1, content_index: 0 }
    const thought = { type: 'summary_text', text: 'Hmm' }
    const text = { type: 'output_text', text: 'It rains', annotations: [], logprobs: [] }
    const output = [
      { ...reasoning, status: 'completed', summary: [thought] },
      { ...message, status: 'completed', content: [text] },
    ]
    const usage = {
      input_tokens: 10,
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: 5,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 15,
    }
    expect(
      stream([
        chunk({ role: 'assistant', content: '' }),
        chunk({ reasoning: 'Hm' }),
        chunk({ reasoning: 'm' }),
        chunk({ content: 'It ' }),
        chunk({ content: 'rains' }),
        chunk({}, 'stop'),
        { choices: [], usage: { prompt_tokens: 10, completion_tokens: 5 } },
        '[DONE]',
        chunk({ content: 'too late' }),
      ]),
    ).toEqual([
      ...BEGINNING,
      {
        type: 'response.output_item.added',
        output_index: 0,
        item: { ...reasoning, status: 'in_progress', summary: [] },
      },
      {
        type: 'response.reasoning_summary_part.added',
        ...inReasoning,
        part: { type: 'summary_text', text: '' },
      },
      { type: 'response.reasoning_summary_text.delta', ...inReasoning, delta: 'Hm' },
      { type: 'response.reasoning_summary_text.delta', ...inReasoning, delta: 'm' },
      { type: 'response.reasoning_summary_text.done', ...inReasoning, text: 'Hmm' },
      { type: 'response.reasoning_summary_part.done', ...inReasoning, part: thought },
      { type: 'response.output_item.done', output_index: 0, item: output[0] },
      {
        type: 'response.output_item.added',
        output_index: 1,
        item: { ...message, status: 'in_progress', content: [] },
      },
      { type: 'response.content_part.added', ...inText, part: { ...text, text: '' } },
      { type: 'response.output_text.delta', ...inText, delta: 'It ', logprobs: [] },
      { type: 'response.output_text.delta', ...inText, delta: 'rains', logprobs: [] },
      { type: 'response.output_text.done', ...inText, text: 'It rains', logprobs: [] },
      { type: 'response.content_part.done', ...inText, part: text },
      { type: 'response.output_item.done', output_index: 1, item: output[1] },
      shown({ type: 'response.completed', status: 'completed', output, usage }),
    ])
  })

  test('writes parallel calls whose pieces take turns', () => {
    const call = (index: number) => ({ type: 'function_call', id: `fc_abc_${index}`, call_id: `c${index}` })
    const inCall = (index: number) => ({ item_id: `fc_abc_${index}`, output_index: index })
    const output = [
      { ...call(0), status: 'completed', name: 'look', arguments: '{"a":1}' },
      { ...call(1), status: 'completed', name: 'hide', arguments: '{}' },
    ]
    expect(
      stream([
        chunk(callPiece(0, '', { name: 'look' })),
        chunk(callPiece(1, '', { name: 'hide' })),
        chunk(callPiece(0, '{"a"')),
        chunk(callPiece(0, ':1}')),
        chunk({}, 'tool_calls'),
        '[DONE]',
      ]),
    ).toEqual([
      ...BEGINNING,
      {
        type: 'response.output_item.added',
        output_index: 0,
        item: { ...call(0), status: 'in_progress', name: 'look', arguments: '' },
      },
      {
        type: 'response.output_item.added',
        output_index: 1,
        item: { ...call(1), status: 'in_progress', name: 'hide', arguments: '' },
      },
      { type: 'response.function_call_arguments.delta', ...inCall(0), delta: '{"a"' },
      { type: 'response.function_call_arguments.delta', ...inCall(0), delta: ':1}' },
      { type: 'response.function_call_arguments.done', ...inCall(0), arguments: '{"a":1}' },
      { type: 'response.output_item.done', output_index: 0, item: output[0] },
      { type: 'response.function_call_arguments.delta', ...inCall(1), delta: '{}' },
      { type: 'response.function_call_arguments.done', ...inCall(1), arguments: '{}' },
      { type: 'response.output_item.done', output_index: 1, item: output[1] },
      shown({ type: 'response.completed', status: 'completed', output }),
    ])
  })

  test('writes a refusal behind text into the same message', () => {
    const events = stream([chunk({ content: 'a' }), chunk({ refusal: 'b' }), chunk({}, 'stop'), '[DONE]'])
    expect(events.map((event) => event.type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.content_part.added',
      'response.refusal.delta',
      'response.refusal.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    expect(events[8]).toEqual({
      type: 'response.refusal.delta',
      item_id: 'msg_abc_0',
      output_index: 0,
      content_index: 1,
      delta: 'b',
    })
  })

  const FAILED = { code: 'server_error', message: 'the provider ended the stream early' }
  test.each([
    { name: 'an empty body', events: [], id: 'resp_abc', error: FAILED },
    { name: 'a body of nothing but the end', events: ['[DONE]'], id: 'resp_abc', error: FAILED },
    { name: 'a body that ends in the middle', events: [chunk({})], id: 'chatcmpl-1', error: FAILED },
    {
      name: "the provider's error",
      events: [
        chunk({}),
        { error: { message: 'Slow down', type: 'rate_limit_error', code: null } },
        '[DONE]',
      ],
      id: 'chatcmpl-1',
      error: { code: 'rate_limit_exceeded', message: 'Slow down' },
      code: 'rate_limit_error',
    },
    {
      name: 'an error that is a mere string',
      events: [{ error: 'overloaded' }],
      id: 'resp_abc',
      error: { code: 'server_error', message: 'overloaded' },
    },
  ])('turns $name into an error and a failure', ({ events, id, error, code = 'server_error' }) => {
    expect(stream(events)).toEqual([
      { ...BEGINNING[0], id },
      { ...BEGINNING[1], id },
      { type: 'error', code, message: error.message, param: null },
      shown({ type: 'response.failed', id, status: 'failed', error }),
    ])
  })

  test('shows what there was when the provider breaks off', () => {
    const events = stream([chunk({ content: 'It ' })])
    expect(events.at(-1)).toMatchObject({
      type: 'response.failed',
      output: [{ type: 'message', status: 'incomplete', content: [{ text: 'It ' }] }],
    })
  })

  test('takes a finish reason for the end where `[DONE]` is missing', () => {
    const events = stream([chunk({ content: 'a' }, 'length')])
    expect(events.at(-1)).toMatchObject({
      type: 'response.incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ status: 'incomplete' }],
    })
  })

  test.each([
    { name: 'one index for all', index: () => 0 },
    { name: 'no index', index: () => undefined },
  ])('tells calls apart that come with $name', ({ index }) => {
    const first = (i: number) => ({
      tool_calls: [{ index: index(), id: `c${i}`, function: { name: 'look', arguments: `{"n":${i}}` } }],
    })
    const events = stream([chunk(first(1)), chunk(first(2)), chunk({}, 'tool_calls'), '[DONE]'])
    expect(events.at(-1)).toMatchObject({
      output: [
        { call_id: 'c1', arguments: '{"n":1}' },
        { call_id: 'c2', arguments: '{"n":2}' },
      ],
    })
  })

  test('holds arguments back until the name is known', () => {
    const events = stream([
      chunk(callPiece(0, '{"a"', { name: '' })),
      chunk(callPiece(0, ':1}', { name: 'look' })),
      chunk({}, 'tool_calls'),
      '[DONE]',
    ])
    expect(events.at(-1)).toMatchObject({ output: [{ name: 'look', arguments: '{"a":1}' }] })
  })

  test('marks only the call that was cut off', () => {
    const events = stream([
      chunk(callPiece(0, '{}', { name: 'look' })),
      chunk(callPiece(1, '{"a', { name: 'look' })),
      chunk({}, 'length'),
      '[DONE]',
    ])
    expect(events.at(-1)).toMatchObject({
      output: [
        { status: 'completed', arguments: '{}' },
        { status: 'incomplete', arguments: '{"a' },
      ],
    })
  })

  test.each(['{', 'null and void', ''])('refuses an event that is not JSON: %j', (data) => {
    expect(() => stream([data])).toThrow(TranslationError)
  })

  test('takes a megabyte of arguments in small pieces in linear time', () => {
    const pieces = Array.from({ length: 100_000 }, () => chunk(callPiece(0, '0123456789')))
    const state = responsesToChat.stream.start(CONTEXT)
    const startedAt = performance.now()
    for (const piece of [chunk(callPiece(0, '', { name: 'look' })), ...pieces]) {
      responsesToChat.stream.step(state, { event: undefined, data: JSON.stringify(piece) })
    }
    const [, events] = responsesToChat.stream.step(state, { event: undefined, data: '[DONE]' })
    expect(events.at(-1)?.data.length).toBeGreaterThan(1_000_000)
    expect(performance.now() - startedAt).toBeLessThan(5000)
  })
})

test.each([
  {
    status: 429,
    body: { error: { message: 'Slow down', type: 'requests', param: null, code: 'rate_limit_exceeded' } },
    out: { message: 'Slow down', type: 'rate_limit_error', param: null, code: 'rate_limit_exceeded' },
  },
  {
    status: 400,
    body: { detail: 'Bad thing' },
    out: { message: 'Bad thing', type: 'invalid_request_error', param: null, code: null },
  },
  {
    status: 502,
    body: undefined,
    out: { message: 'the provider answered with status 502', type: 'server_error', param: null, code: null },
  },
])('renders the error of status $status', ({ status, body, out }) => {
  expect(responsesToChat.error(status, body)).toEqual({ error: out })
})
