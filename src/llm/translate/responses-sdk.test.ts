/** The official clients read what we write, unchanged: their stream helpers check ids, indices and order. */
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import Anthropic from '@anthropic-ai/sdk'
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai'
import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import { formatEvent, type SseEvent } from '../../core/sse.ts'
import { messagesToResponses } from './messages-to-responses.ts'
import { responsesToChat } from './responses-to-chat.ts'
import { responsesToMessages } from './responses-to-messages.ts'
import type { Translation, TranslationContext } from './translation.ts'

const CONTEXT: TranslationContext = { now: 1_700_000_000, model: 'asked', id: 'abc', includeUsage: false }

function translateStream<State>(translation: Translation<State>, events: readonly unknown[]): string {
  let state = translation.stream.start(CONTEXT)
  const written: SseEvent[] = []
  for (const event of events) {
    const data = typeof event === 'string' ? event : JSON.stringify(event)
    const [next, out] = translation.stream.step(state, { event: undefined, data })
    state = next
    written.push(...out)
  }
  written.push(...translation.stream.end(state))
  return written.map(formatEvent).join('')
}

interface Reply {
  readonly body: string
  readonly type: 'text/event-stream' | 'application/json'
}

/** A provider behind the translation, as `fetch` of an SDK; remembers what it was asked. */
function gateway<State>(translation: Translation<State>, reply: Reply) {
  const asked: unknown[] = []
  const fetch: typeof globalThis.fetch = async (_url, init) => {
    asked.push(translation.request(JSON.parse(String(init?.body))).body)
    return new Response(reply.body, { headers: { 'content-type': reply.type } })
  }
  return { asked, fetch }
}

const streaming = <State>(translation: Translation<State>, events: readonly unknown[]): Reply => ({
  body: translateStream(translation, events),
  type: 'text/event-stream',
})

const delta = (fields: object, finish_reason: string | null = null) => ({
  id: 'chatcmpl-1',
  model: 'gpt',
  choices: [{ index: 0, delta: fields, finish_reason }],
})

const CHAT_EVENTS = [
  delta({ role: 'assistant', content: '' }),
  delta({ reasoning_content: 'Hmm' }),
  delta({ content: 'It ' }),
  delta({ content: 'rains' }),
  delta({
    tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'look', arguments: '' } }],
  }),
  delta({ tool_calls: [{ index: 0, function: { arguments: '{"at":' } }] }),
  delta({
    tool_calls: [{ index: 1, id: 'call_2', type: 'function', function: { name: 'look', arguments: '{' } }],
  }),
  delta({ tool_calls: [{ index: 0, function: { arguments: '"sky"}' } }] }),
  delta({ tool_calls: [{ index: 1, function: { arguments: '}' } }] }),
  delta({}, 'tool_calls'),
  {
    choices: [],
    usage: {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 15,
      prompt_tokens_details: { cached_tokens: 4 },
    },
  },
  '[DONE]',
]

const MESSAGES_EVENTS = [
  {
    type: 'message_start',
    message: {
      id: 'msg_1',
      model: 'claude',
      usage: { input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 1 },
    },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hmm' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'It ' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'rains' } },
  { type: 'content_block_stop', index: 1 },
  {
    type: 'content_block_start',
    index: 2,
    content_block: { type: 'tool_use', id: 'call_1', name: 'look', input: {} },
  },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"at":' } },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '"sky"}' } },
  { type: 'content_block_stop', index: 2 },
  {
    type: 'content_block_start',
    index: 3,
    content_block: { type: 'tool_use', id: 'call_2', name: 'look', input: {} },
  },
  { type: 'content_block_stop', index: 3 },
  { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 5 } },
  { type: 'message_stop' },
]

const PAIRS = [
  { name: 'over chat completions', translation: responsesToChat as Translation, events: CHAT_EVENTS },
  { name: 'over messages', translation: responsesToMessages as Translation, events: MESSAGES_EVENTS },
]
const LOOK = tool({ description: 'Looks', inputSchema: jsonSchema<{ at?: string }>({ type: 'object' }) })

describe.each(PAIRS)("OpenAI's SDK $name", ({ translation, events }) => {
  test('puts a streamed answer together', async () => {
    const { fetch } = gateway(translation, streaming(translation, events))
    const openai = new OpenAI({ apiKey: 'k', fetch })
    const stream = openai.responses.stream({ model: 'm', input: 'hi' })
    const response = await stream.finalResponse()

    expect(response.status).toBe('completed')
    expect(response.output_text).toBe('It rains')
    expect(response.output.map((item) => item.type)).toEqual([
      'reasoning',
      'message',
      'function_call',
      'function_call',
    ])
    expect(
      response.output.filter((item) => item.type === 'function_call').map((item) => item.arguments),
    ).toEqual(['{"at":"sky"}', '{}'])
    expect(response.usage).toEqual({
      input_tokens: 10,
      input_tokens_details: { cached_tokens: 4, cache_write_tokens: 0 },
      output_tokens: 5,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 15,
    })
  })

  test('throws when the provider breaks off', async () => {
    const { fetch } = gateway(translation, streaming(translation, events.slice(0, 7)))
    const openai = new OpenAI({ apiKey: 'k', fetch, maxRetries: 0 })
    const stream = openai.responses.stream({ model: 'm', input: 'hi' })
    await expect(stream.finalResponse()).rejects.toThrow('the provider ended the stream early')
  })
})

describe.each(PAIRS)('the AI SDK $name', ({ translation, events }) => {
  test('reads text, reasoning, calls and usage', async () => {
    const { fetch } = gateway(translation, streaming(translation, events))
    const openai = createOpenAI({ apiKey: 'k', fetch })
    const result = streamText({ model: openai.responses('m'), prompt: 'hi', tools: { look: LOOK } })

    expect(await result.text).toBe('It rains')
    expect(await result.reasoningText).toBe('Hmm')
    expect((await result.toolCalls).map(({ toolCallId, input }) => ({ toolCallId, input }))).toEqual([
      { toolCallId: 'call_1', input: { at: 'sky' } },
      { toolCallId: 'call_2', input: {} },
    ])
    expect(await result.finishReason).toBe('tool-calls')
    expect(await result.usage).toMatchObject({ inputTokens: 10, outputTokens: 5 })
  })

  test('reports that the provider broke off', async () => {
    const { fetch } = gateway(translation, streaming(translation, events.slice(0, 7)))
    const openai = createOpenAI({ apiKey: 'k', fetch })
    const errors: unknown[] = []
    const result = streamText({
      model: openai.responses('m'),
      prompt: 'hi',
      maxRetries: 0,
      onError: ({ error }) => void errors.push(error),
    })
    await result.consumeStream()
    expect(errors).toEqual([expect.objectContaining({ message: 'the provider ended the stream early' })])
    expect(await result.finishReason).toBe('error')
  })
})

describe.each(PAIRS)('a tool loop of the AI SDK $name', ({ translation, events }) => {
  const ask = (store: boolean) => {
    const { fetch } = gateway(translation, streaming(translation, events))
    const looking = tool({
      inputSchema: jsonSchema<{ at?: string }>({ type: 'object' }),
      execute: () => 'blue',
    })
    return streamText({
      model: createOpenAI({ apiKey: 'k', fetch }).responses('m'),
      prompt: 'hi',
      tools: { look: looking },
      stopWhen: stepCountIs(2),
      maxRetries: 0,
      providerOptions: { openai: { store } },
      onError: () => {},
    })
  }

  test('goes on when it sends its items itself', async () => {
    expect((await ask(false).steps).map((step) => step.text)).toEqual(['It rains', 'It rains'])
  })

  test('is told to do so when it sends references', async () => {
    const failed: unknown[] = []
    for await (const part of ask(true).fullStream) if (part.type === 'error') failed.push(part.error)
    expect(String(failed[0])).toContain('send the item itself (`store: false`)')
  })
})

describe('freeform tools', () => {
  const APPLY = { type: 'custom' as const, name: 'apply', description: 'Applies a patch' }
  const PATCH = '*** Begin\n+"x"'
  const argumentsText = JSON.stringify({ input: PATCH })
  const call = (name: string, text: string) => ({
    tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name, arguments: text } }],
  })

  test('go out as functions and come back as themselves', async () => {
    const { fetch, asked } = gateway(
      responsesToChat,
      streaming(responsesToChat, [
        delta(call('apply__custom', argumentsText.slice(0, 9))),
        delta({ tool_calls: [{ index: 0, function: { arguments: argumentsText.slice(9) } }] }, 'tool_calls'),
        '[DONE]',
      ]),
    )
    const openai = new OpenAI({ apiKey: 'k', fetch })
    const stream = openai.responses.stream({ model: 'm', input: 'hi', tools: [APPLY] })
    const response = await stream.finalResponse()
    expect(asked).toEqual([
      expect.objectContaining({
        tools: [
          {
            type: 'function',
            function: {
              name: 'apply__custom',
              description: 'Applies a patch',
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
      }),
    ])
    expect(response.output).toEqual([
      {
        type: 'custom_tool_call',
        id: 'ctc_abc_0',
        status: 'completed',
        call_id: 'call_1',
        name: 'apply',
        input: PATCH,
      },
    ])
  })

  test('are run by the AI SDK', async () => {
    const { fetch } = gateway(
      responsesToChat,
      streaming(responsesToChat, [delta(call('apply__custom', argumentsText), 'tool_calls'), '[DONE]']),
    )
    const openai = createOpenAI({ apiKey: 'k', fetch })
    const result = streamText({
      model: openai.responses('m'),
      prompt: 'hi',
      tools: { apply: openai.tools.customTool({ description: 'Applies a patch' }) },
    })
    expect((await result.toolCalls).map(({ toolName, input }) => ({ toolName, input }))).toEqual([
      { toolName: 'apply', input: PATCH },
    ])
  })

  test('are not announced as done when they were cut off', async () => {
    const cutOff = [delta(call('apply__custom', '{"input":"*** Be'), 'length'), '[DONE]']
    const { fetch } = gateway(responsesToChat, streaming(responsesToChat, cutOff))
    const stream = new OpenAI({ apiKey: 'k', fetch }).responses.stream({ model: 'm', input: 'hi' })
    const seen: string[] = []
    stream.on('event', (event) => void seen.push(event.type))
    const response = await stream.finalResponse()
    expect(seen).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.incomplete',
    ])
    expect(response.incomplete_details).toEqual({ reason: 'max_output_tokens' })

    const again = createOpenAI({
      apiKey: 'k',
      ...gateway(responsesToChat, streaming(responsesToChat, cutOff)),
    })
    const result = streamText({ model: again.responses('m'), prompt: 'hi' })
    expect(await result.finishReason).toBe('length')
    expect(await result.toolCalls).toEqual([])
  })
})

describe('whole answers', () => {
  test("are parsed by OpenAI's SDK", async () => {
    const completion = {
      id: 'chatcmpl-1',
      model: 'gpt',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: '{"a":1}' } }],
    }
    const body = JSON.stringify(responsesToChat.response(completion, CONTEXT))
    const { fetch } = gateway(responsesToChat, { body, type: 'application/json' })
    const response = await new OpenAI({ apiKey: 'k', fetch }).responses.parse({
      model: 'm',
      input: 'hi',
      text: { format: { type: 'json_schema', name: 'x', schema: { type: 'object' } } },
    })
    expect(response.output_text).toBe('{"a":1}')
    expect(response.output_parsed).toEqual({ a: 1 })
  })

  test.each([
    { stop_reason: 'end_turn', finish: 'stop' },
    { stop_reason: 'max_tokens', finish: 'length' },
    { stop_reason: 'refusal', finish: 'content-filter' },
  ])('tell the AI SDK $finish for $stop_reason', async ({ stop_reason, finish }) => {
    const message = {
      id: 'msg_1',
      model: 'claude',
      content: [
        { type: 'thinking', thinking: 'Hmm', signature: 's' },
        { type: 'text', text: 'It rains' },
      ],
      stop_reason,
      usage: { input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 5 },
    }
    const body = JSON.stringify(responsesToMessages.response(message, CONTEXT))
    const { fetch } = gateway(responsesToMessages, { body, type: 'application/json' })
    const openai = createOpenAI({ apiKey: 'k', fetch })
    const result = await generateText({ model: openai.responses('m'), prompt: 'hi' })
    expect(result.text).toBe('It rains')
    expect(result.reasoningText).toBe('Hmm')
    expect(result.finishReason).toBe(finish)
    expect(result.usage).toMatchObject({ inputTokens: 10, outputTokens: 5 })
  })

  test('carry a refusal to the AI SDK', async () => {
    const events = [delta({ refusal: 'I must ' }), delta({ refusal: 'not' }, 'stop'), '[DONE]']
    const { fetch } = gateway(responsesToChat, streaming(responsesToChat, events))
    const result = streamText({ model: createOpenAI({ apiKey: 'k', fetch }).responses('m'), prompt: 'hi' })
    expect(await result.text).toBe('I must not')
    expect(await result.finishReason).toBe('content-filter')
  })
})

describe("Anthropic's clients over Responses", () => {
  const item = { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'look' }
  const events = [
    { type: 'response.created', response: { id: 'resp_1', model: 'gpt' } },
    { type: 'response.output_item.added', output_index: 0, item: { type: 'reasoning', id: 'rs_1' } },
    { type: 'response.reasoning_summary_text.delta', output_index: 0, summary_index: 0, delta: 'Hmm' },
    { type: 'response.reasoning_summary_text.done', output_index: 0, summary_index: 0, text: 'Hmm' },
    { type: 'response.output_item.added', output_index: 1, item: { type: 'message', id: 'msg_1' } },
    { type: 'response.output_text.delta', output_index: 1, content_index: 0, delta: 'It ' },
    { type: 'response.output_text.delta', output_index: 1, content_index: 0, delta: 'rains' },
    { type: 'response.output_text.done', output_index: 1, content_index: 0, text: 'It rains' },
    { type: 'response.output_item.added', output_index: 2, item: { ...item, arguments: '' } },
    { type: 'response.function_call_arguments.delta', output_index: 2, delta: '{"at":' },
    { type: 'response.function_call_arguments.delta', output_index: 2, delta: '"sky"}' },
    { type: 'response.output_item.done', output_index: 2, item: { ...item, arguments: '{"at":"sky"}' } },
    {
      type: 'response.completed',
      response: {
        status: 'completed',
        usage: { input_tokens: 10, input_tokens_details: { cached_tokens: 4 }, output_tokens: 5 },
      },
    },
  ]
  const ask = { model: 'm', max_tokens: 100, messages: [{ role: 'user' as const, content: 'hi' }] }

  test('put a streamed message together', async () => {
    const { fetch } = gateway(messagesToResponses, streaming(messagesToResponses, events))
    const message = await new Anthropic({ apiKey: 'k', fetch }).messages.stream(ask).finalMessage()
    expect(message.content).toEqual([
      { type: 'thinking', thinking: 'Hmm', signature: '' },
      { type: 'text', text: 'It rains' },
      { type: 'tool_use', id: 'call_1', name: 'look', input: { at: 'sky' } },
    ])
    expect(message.stop_reason).toBe('tool_use')
    expect(message.usage).toMatchObject({ input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 5 })
  })

  test('throw when the provider breaks off', async () => {
    const { fetch } = gateway(messagesToResponses, streaming(messagesToResponses, events.slice(0, 9)))
    const stream = new Anthropic({ apiKey: 'k', fetch, maxRetries: 0 }).messages.stream(ask)
    await expect(stream.finalMessage()).rejects.toThrow('the provider ended the stream early')
  })

  test('read text, reasoning and calls (AI SDK)', async () => {
    const { fetch } = gateway(messagesToResponses, streaming(messagesToResponses, events))
    const anthropic = createAnthropic({ apiKey: 'k', fetch })
    const result = streamText({ model: anthropic('m'), prompt: 'hi', tools: { look: LOOK } })
    expect(await result.text).toBe('It rains')
    expect(await result.reasoningText).toBe('Hmm')
    expect((await result.toolCalls).map(({ input }) => input)).toEqual([{ at: 'sky' }])
    expect(await result.finishReason).toBe('tool-calls')
  })

  test('read a whole answer (AI SDK)', async () => {
    const response = {
      id: 'resp_1',
      model: 'gpt',
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ type: 'message', content: [{ type: 'output_text', text: 'It ra' }] }],
      usage: { input_tokens: 10, output_tokens: 5 },
    }
    const body = JSON.stringify(messagesToResponses.response(response, CONTEXT))
    const { fetch } = gateway(messagesToResponses, { body, type: 'application/json' })
    const anthropic = createAnthropic({ apiKey: 'k', fetch })
    const result = await generateText({ model: anthropic('m'), prompt: 'hi' })
    expect(result.text).toBe('It ra')
    expect(result.finishReason).toBe('length')
  })
})
