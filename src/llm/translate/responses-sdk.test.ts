/** The official clients read what we write, unchanged: their stream helpers check ids, indices and order. */
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import Anthropic from '@anthropic-ai/sdk'
import { generateText, jsonSchema, streamText, tool } from 'ai'
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
  delta({ tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'look', arguments: '' } }] }),
  delta({ tool_calls: [{ index: 0, function: { arguments: '{"at":' } }] }),
  delta({ tool_calls: [{ index: 1, id: 'call_2', type: 'function', function: { name: 'look', arguments: '{' } }] }),
  delta({ tool_calls: [{ index: 0, function: { arguments: '"sky"}' } }] }),
  delta({ tool_calls: [{ index: 1, function: { arguments: '}' } }] }),
  delta({}, 'tool_calls'),
  {
    choices: [],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, prompt_tokens_details: { cached_tokens: 4 } },
  },
  '[DONE]',
]

const MESSAGES_EVENTS = [
  { type: 'message_start', message: { id: 'msg_1', model: 'claude', usage: { input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 1 } } },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hmm' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'It ' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'rains' } },
  { type: 'content_block_stop', index: 1 },
  { type: 'content_block_start', index: 2, content_block: { type: 'tool_use', id: 'call_1', name: 'look', input: {} } },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"at":' } },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '"sky"}' } },
  { type: 'content_block_stop', index: 2 },
  { type: 'content_block_start', index: 3, content_block: { type: 'tool_use', id: 'call_2', name: 'look', input: {} } },
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
  test('its stream helper puts the answer together', async () => {
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
    expect(response.output.filter((item) => item.type === 'function_call').map((item) => item.arguments)).toEqual([
      '{"at":"sky"}',
      '{}',
    ])
    expect(response.usage).toEqual({
      input_tokens: 10,
      input_tokens_details: { cached_tokens: 4, cache_write_tokens: 0 },
      output_tokens: 5,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 15,
    })
  })

  test('it throws when the provider breaks off', async () => {
    const { fetch } = gateway(translation, streaming(translation, events.slice(0, 7)))
    const openai = new OpenAI({ apiKey: 'k', fetch, maxRetries: 0 })
    const stream = openai.responses.stream({ model: 'm', input: 'hi' })
    await expect(stream.finalResponse()).rejects.toThrow('the provider ended the stream early')
  })
})

describe.each(PAIRS)('the AI SDK $name', ({ translation, events }) => {
  test('it reads text, reasoning, calls and usage', async () => {
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

  test('it reports that the provider broke off', async () => {
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
