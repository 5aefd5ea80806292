/** Anthropic's client, messages: to Anthropic itself, and translated for OpenAI and for a responses-only server. */
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Script } from '../src/demo/script.ts'
import { collect, comparable, lastBody, type SdkLab, simulate, startSdkLab } from './support/sdk-lab.ts'

let lab: SdkLab
beforeAll(async () => {
  lab = await startSdkLab()
})
afterEach(() => lab.audit())
afterAll(() => lab.close())

const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const SAID = 'Grüße aus Zürich 🚀, 数据'
const COUNTED = {
  inputTokens: 120,
  outputTokens: 45,
  cacheReadTokens: 64,
  cacheWriteTokens: 16,
} as const satisfies Script
const USAGE = {
  input_tokens: 40,
  cache_read_input_tokens: 64,
  cache_creation_input_tokens: 16,
  output_tokens: 45,
}
const HELLO = [{ role: 'user' as const, content: 'Hello!' }]

const BACKENDS = [
  {
    name: 'Anthropic',
    prefix: '/anthropic',
    provider: 'anthropic',
    api: 'messages',
    model: 'claude-opus-4-5',
    answers: 'claude-opus-4-5-20251101',
  },
  {
    name: 'a messages-only server',
    prefix: '/messages-only',
    provider: 'anthropic',
    api: 'messages',
    model: 'local-1',
    answers: 'local-1',
  },
  {
    name: 'OpenAI',
    prefix: '/openai',
    provider: 'openAI',
    api: 'completions',
    model: 'gpt-4o',
    answers: 'gpt-4o-2024-08-06',
  },
  {
    name: 'a responses-only server',
    prefix: '/responses-only',
    provider: 'openAI',
    api: 'responses',
    model: 'local-2',
    answers: 'local-2',
  },
] as const

describe.each(BACKENDS)('messages over $name', ({ prefix, provider, api, model, answers }) => {
  const client = () => lab.anthropicClient(prefix)
  const ask = { model, max_tokens: 1000, messages: HELLO }

  test('it answers whole, with text, stop reason and usage', async () => {
    const answer = await client().messages.create(
      { ...ask, system: 'Be brief.' },
      { headers: simulate({ text: SAID, ...COUNTED }) },
    )
    expect(answer).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: answers,
      content: [{ type: 'text', text: SAID }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: USAGE,
    })
    expect(lab[provider].calls.at(-1)?.api).toBe(api)
    expect(JSON.stringify(lastBody(lab[provider]))).toContain('Be brief.')
    expect(await lab.lastRecord()).toMatchObject({
      outcome: 'completed',
      'gen_ai.operation.name': 'chat',
      'gen_ai.response.model': answers,
      'gen_ai.usage.input_tokens': 120,
      'gen_ai.usage.output_tokens': 45,
      'gen_ai.usage.cache_read.input_tokens': 64,
      'gen_ai.usage.cache_creation.input_tokens': 16,
    })
  })

  test('it streams text, and the final message', async () => {
    const stream = client().messages.stream(ask, {
      headers: simulate({ text: SAID, chunks: 5, ...COUNTED }),
    })
    const deltas: string[] = []
    const seen: string[] = []
    stream.on('text', (delta) => void deltas.push(delta))
    stream.on('streamEvent', (event) => void seen.push(event.type))
    const answer = await stream.finalMessage()
    expect(seen).toEqual([
      'message_start',
      'content_block_start',
      ...Array(5).fill('content_block_delta'),
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    expect(deltas.join('')).toBe(SAID)
    expect(answer).toMatchObject({
      model: answers,
      content: [{ type: 'text', text: SAID }],
      stop_reason: 'end_turn',
      usage: USAGE,
    })
    expect(await lab.lastRecord()).toMatchObject({ outcome: 'completed', 'gen_ai.response.model': answers })
  })

  test('it stops at the limit, whole and streamed', async () => {
    const headers = simulate({ text: 'A word. '.repeat(40) })
    const limited = { ...ask, max_tokens: 20 }
    const answer = await client().messages.create(limited, { headers })
    const streamed = await client().messages.stream(limited, { headers }).finalMessage()
    for (const { stop_reason, content } of [answer, streamed]) {
      expect(stop_reason).toBe('max_tokens')
      expect(content).toMatchObject([{ type: 'text', text: 'A word. '.repeat(7).slice(0, -2) }])
    }
  })

  test('it says refusal when the provider filters', async () => {
    const finishReason = { messages: 'refusal', completions: 'content_filter', responses: undefined }[api]
    if (finishReason === undefined) {
      // A filtered response has no script of its own: it would be `incomplete`, whose reason is always the limit.
      const headers = simulate({ text: 'No.', finishReason: 'incomplete' })
      expect((await client().messages.create(ask, { headers })).stop_reason).toBe('max_tokens')
      return
    }
    const headers = simulate({ text: 'No.', finishReason })
    expect(await client().messages.create(ask, { headers })).toMatchObject({
      stop_reason: 'refusal',
      content: [{ type: 'text', text: 'No.' }],
    })
  })

  test.each([
    {
      name: 'inline',
      source: { type: 'base64', media_type: 'image/png', data: PIXEL },
      url: `data:image/png;base64,${PIXEL}`,
    },
    {
      name: 'by address',
      source: { type: 'url', url: 'https://example.com/cat.png' },
      url: 'https://example.com/cat.png',
    },
  ] as const)('it takes an image $name', async ({ source, url }) => {
    const answer = await client().messages.create({
      ...ask,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image', source },
          ],
        },
      ],
    })
    expect(answer.content).toMatchObject([{ text: expect.stringMatching(/^You asked: What is this\?\. /) }])
    expect(lab[provider].calls.at(-1)?.inputTokens).toBe(96)
    const sent = JSON.stringify(lastBody(lab[provider]))
    expect(sent).toContain(provider === 'anthropic' ? JSON.stringify(source) : JSON.stringify(url))
  })

  test('it parses structured output', async () => {
    const Place = z.object({ city: z.string(), population: z.number(), tags: z.array(z.string()) })
    const answer = await client().messages.parse({
      ...ask,
      output_config: { format: zodOutputFormat(Place) },
    })
    expect(answer.parsed_output).toEqual({ city: 'Paris', population: 21.5, tags: ['sample'] })
  })

  test('it carries a conversation, system blocks and its user', async () => {
    const answer = await client().messages.create({
      ...ask,
      system: [{ type: 'text', text: 'Be kind.', cache_control: { type: 'ephemeral' } }],
      messages: [
        { role: 'user', content: 'First' },
        { role: 'assistant', content: [{ type: 'text', text: 'Second' }] },
        { role: 'user', content: [{ type: 'text', text: 'Third', cache_control: { type: 'ephemeral' } }] },
      ],
      metadata: { user_id: 'u-1' },
    })
    expect(answer.content).toMatchObject([{ text: expect.stringMatching(/^You asked: Third\. /) }])
    const asked = lastBody(lab[provider])
    expect(JSON.stringify(asked)).toContain('u-1')
    expect(JSON.stringify(asked)).toContain('Be kind.')
    expect(lab[provider].calls.at(-1)?.cacheWriteTokens).toBe(provider === 'anthropic' ? 4 : 0)
  })

  test.each([
    { name: 'split into single bytes', dress: { splitBytes: 1 } },
    { name: 'with CRLF and comments', dress: { crlf: true, comments: true } },
    { name: 'compressed', dress: { gzip: true } },
  ] as const)('it reads a stream that comes $name', async ({ dress }) => {
    const headers = simulate({ text: SAID, chunks: 4, ...COUNTED, ...dress })
    const answer = await client().messages.stream(ask, { headers }).finalMessage()
    expect(answer).toMatchObject({ content: [{ type: 'text', text: SAID }], usage: USAGE })
  })

  test('it takes an answer without usage for one of no tokens, and estimates for the record', async () => {
    const answer = await client().messages.create(ask, {
      headers: simulate({ text: 'Hello there', fault: 'missing-usage' }),
    })
    expect(answer.content).toMatchObject([{ type: 'text', text: 'Hello there' }])
    const record = await lab.lastRecord()
    expect(record).toMatchObject({ 'agw.ai.usage.source': 'estimated', 'gen_ai.usage.output_tokens': 2 })
  })
})

describe('stop sequences', () => {
  test.each([
    { prefix: '/anthropic', model: 'claude-opus-4-5', reason: 'stop_sequence', sequence: 'END' },
    { prefix: '/openai', model: 'gpt-4o', reason: 'end_turn', sequence: null },
  ] as const)('$prefix', async ({ prefix, model, reason, sequence }) => {
    const answer = await lab
      .anthropicClient(prefix)
      .messages.create(
        { model, max_tokens: 100, messages: HELLO, stop_sequences: ['END'] },
        { headers: simulate({ text: 'The rest END is silence' }) },
      )
    expect(answer).toMatchObject({ content: [{ text: 'The rest ' }], stop_reason: reason })
    expect(answer.stop_sequence).toBe(sequence)
  })
})

describe('natively the SDK returns what a direct call returns', () => {
  test.each([
    { name: 'text', script: { text: SAID, ...COUNTED } },
    { name: 'a tool call', script: { toolCalls: [{ name: 'look', arguments: '{"at":"sky"}' }] } },
    { name: 'a thought', script: { text: SAID, reasoning: 'Hmm' } },
  ])('$name, whole and event by event', async ({ script }) => {
    const headers = simulate({ reasoningTokens: 9, ...script, chunks: 3 })
    const thinking = { type: 'enabled', budget_tokens: 1024 } as const
    const ask = { model: 'claude-opus-4-5', max_tokens: 3000, messages: HELLO, thinking }
    const [direct, through] = [lab.anthropicClient(), lab.anthropicClient('/anthropic')]
    expect(comparable(await through.messages.create(ask, { headers }))).toEqual(
      comparable(await direct.messages.create(ask, { headers })),
    )
    const streaming = { ...ask, stream: true as const }
    expect(comparable(await collect(await through.messages.create(streaming, { headers })))).toEqual(
      comparable(await collect(await direct.messages.create(streaming, { headers }))),
    )
  })
})
