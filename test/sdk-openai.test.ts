/** OpenAI's client, chat completions: to OpenAI itself, to a server of that shape, and translated for Anthropic. */
import { zodResponseFormat } from 'openai/helpers/zod'
import type { ChatCompletionContentPart } from 'openai/resources/chat/completions'
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
const COUNTED = { inputTokens: 120, outputTokens: 45, cacheReadTokens: 64 } as const satisfies Script
const HELLO = [{ role: 'user' as const, content: 'Hello!' }]

const BACKENDS = [
  { name: 'OpenAI', prefix: '/openai', provider: 'openAI', model: 'gpt-4o', answers: 'gpt-4o-2024-08-06' },
  {
    name: 'a chat-only server',
    prefix: '/chat-only',
    provider: 'openAI',
    model: 'llama-4',
    answers: 'llama-4',
  },
  {
    name: 'Anthropic',
    prefix: '/anthropic',
    provider: 'anthropic',
    model: 'claude-opus-4-5',
    answers: 'claude-opus-4-5-20251101',
  },
] as const

describe.each(BACKENDS)('chat completions over $name', ({ prefix, provider, model, answers }) => {
  const client = () => lab.openAIClient(prefix)

  test('it answers whole, with text, finish reason and usage', async () => {
    const headers = simulate({ text: SAID, ...COUNTED })
    const answer = await client().chat.completions.create({ model, messages: HELLO }, { headers })
    expect(answer.object).toBe('chat.completion')
    expect(answer.model).toBe(answers)
    expect(answer.choices).toHaveLength(1)
    expect(answer.choices[0]?.message.content).toBe(SAID)
    expect(answer.choices[0]?.message.role).toBe('assistant')
    expect(answer.choices[0]?.finish_reason).toBe('stop')
    expect(answer.usage).toMatchObject({
      prompt_tokens: 120,
      completion_tokens: 45,
      total_tokens: 165,
      prompt_tokens_details: { cached_tokens: 64 },
    })
    expect(await lab.lastRecord()).toMatchObject({
      backend: prefix.slice(1),
      outcome: 'completed',
      'http.status': 200,
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': model,
      'gen_ai.response.model': answers,
      'gen_ai.usage.input_tokens': 120,
      'gen_ai.usage.output_tokens': 45,
      'gen_ai.usage.cache_read.input_tokens': 64,
      'agw.ai.usage.source': 'provider',
    })
  })

  test('it streams text, and usage to a client that asks for it', async () => {
    const stream = client().chat.completions.stream(
      { model, messages: HELLO, stream_options: { include_usage: true } },
      { headers: simulate({ text: SAID, chunks: 7, ...COUNTED }) },
    )
    const deltas: string[] = []
    stream.on('content', (delta) => void deltas.push(delta))
    const answer = await stream.finalChatCompletion()
    expect(deltas).toHaveLength(7)
    expect(deltas.join('')).toBe(SAID)
    expect(answer.model).toBe(answers)
    expect(answer.choices[0]?.message.content).toBe(SAID)
    expect(answer.choices[0]?.finish_reason).toBe('stop')
    expect(answer.usage).toMatchObject({
      prompt_tokens: 120,
      completion_tokens: 45,
      total_tokens: 165,
      prompt_tokens_details: { cached_tokens: 64 },
    })
    const record = await lab.lastRecord()
    expect(record).toMatchObject({ outcome: 'completed', 'agw.ai.usage.source': 'provider' })
    expect(record['agw.ai.time_to_first_token']).toBeGreaterThan(0)
  })

  test('it counts a stream whose client does not ask for usage, and shows it none', async () => {
    const stream = await client().chat.completions.create(
      { model, messages: HELLO, stream: true },
      { headers: simulate({ text: SAID, chunks: 3, ...COUNTED }) },
    )
    const chunks = await collect(stream)
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(SAID)
    expect(chunks.every((chunk) => chunk.choices.length === 1)).toBe(true)
    expect(chunks.some((chunk) => chunk.usage != null)).toBe(false)
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop')
    expect(await lab.lastRecord()).toMatchObject({
      'gen_ai.usage.input_tokens': 120,
      'gen_ai.usage.output_tokens': 45,
      'agw.ai.usage.source': 'provider',
    })
  })

  test.each([
    { name: 'the limit', limits: { max_tokens: 20 }, text: 'A word. '.repeat(40), finish: 'length' },
    {
      name: 'the newer limit',
      limits: { max_completion_tokens: 20 },
      text: 'A word. '.repeat(40),
      finish: 'length',
    },
    { name: 'a stop sequence', limits: { stop: ['END'] }, text: 'The rest END is silence', finish: 'stop' },
  ])('it stops at $name, whole and streamed', async ({ limits, text, finish }) => {
    const ask = { model, messages: HELLO, ...limits }
    const headers = simulate({ text })
    const answer = await client().chat.completions.create(ask, { headers })
    const streamed = await client().chat.completions.stream(ask, { headers }).finalChatCompletion()
    for (const { choices } of [answer, streamed]) {
      expect(choices[0]?.finish_reason).toBe(finish)
      expect(choices[0]?.message.content).toBe(
        finish === 'length' ? 'A word. '.repeat(7).slice(0, -2) : 'The rest ',
      )
    }
  })

  test('it says content_filter when the provider refuses', async () => {
    const finishReason = provider === 'anthropic' ? 'refusal' : 'content_filter'
    const answer = await client().chat.completions.create(
      { model, messages: HELLO },
      { headers: simulate({ text: 'No.', finishReason }) },
    )
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'content_filter', message: { content: 'No.' } })
  })

  test('it carries a conversation with system and developer messages', async () => {
    const answer = await client().chat.completions.create({
      model,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: 'Be kind.' },
        { role: 'user', content: 'First' },
        { role: 'assistant', content: 'Second' },
        { role: 'user', content: [{ type: 'text', text: 'Third' }] },
        { role: 'user', content: 'Fourth' },
      ],
      temperature: 0.5,
    })
    expect(answer.choices[0]?.message.content).toMatch(/^You asked: .*Fourth\. /)
    const asked = lastBody(lab[provider])
    expect(asked.temperature).toBe(0.5)
    if (provider === 'anthropic') {
      expect(asked.system).toBe('Be brief.\nBe kind.')
      expect(asked.messages).toHaveLength(3)
    } else expect(asked.messages).toHaveLength(6)
  })

  test.each([
    { name: 'inline', url: `data:image/png;base64,${PIXEL}` },
    { name: 'by address', url: 'https://example.com/cat.png' },
  ])('it takes an image $name', async ({ url }) => {
    const content: ChatCompletionContentPart[] = [
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url } },
    ]
    const ask = { model, messages: [{ role: 'user' as const, content }] }
    const answer = await client().chat.completions.create(ask)
    expect(answer.choices[0]?.message.content).toMatch(/^You asked: What is this\?\. /)
    const source = url.startsWith('data:')
      ? { type: 'base64', media_type: 'image/png', data: PIXEL }
      : { type: 'url', url }
    expect(lastBody(lab[provider]).messages).toEqual(
      provider === 'openAI'
        ? ask.messages
        : [{ role: 'user', content: [content[0], { type: 'image', source }] }],
    )
  })

  test('it parses structured output, whole and streamed', async () => {
    const Place = z.object({ city: z.string(), population: z.number(), tags: z.array(z.string()) })
    const ask = { model, messages: HELLO, response_format: zodResponseFormat(Place, 'place') }
    const expected = { city: 'Paris', population: 21.5, tags: ['sample'] }
    const answer = await client().chat.completions.parse(ask)
    expect(answer.choices[0]?.message.parsed).toEqual(expected)
    const streamed = await client().chat.completions.stream(ask).finalChatCompletion()
    expect(streamed.choices[0]?.message.parsed).toEqual(expected)
  })

  test.each([
    { name: 'split into single bytes', dress: { splitBytes: 1 } },
    { name: 'split across characters, CRLF', dress: { splitBytes: 7, crlf: true } },
    { name: 'with comments and no last blank line', dress: { comments: true, noFinalBlank: true } },
    { name: 'compressed', dress: { gzip: true } },
    { name: 'with its head in pieces', dress: { fault: 'slow-headers', chunkDelayMs: 1 } },
  ] as const)('it reads a stream that comes $name', async ({ dress }) => {
    const stream = client().chat.completions.stream(
      { model, messages: HELLO, stream_options: { include_usage: true } },
      { headers: simulate({ text: SAID, chunks: 4, ...COUNTED, ...dress }) },
    )
    const answer = await stream.finalChatCompletion()
    expect(answer.choices[0]?.message.content).toBe(SAID)
    expect(answer.usage).toMatchObject({ prompt_tokens: 120, completion_tokens: 45 })
  })

  test('it carries an answer of 600 kB, whole and streamed', async () => {
    const headers = simulate({ textBytes: 600_000, chunks: 500 })
    const ask = { model, messages: HELLO, max_tokens: 200_000 }
    const expected = 'All work and no play. '.repeat(30_000).slice(0, 600_000)
    const answer = await client().chat.completions.create(ask, { headers })
    expect(answer.choices[0]?.message.content === expected).toBe(true)
    const streamed = await client().chat.completions.stream(ask, { headers }).finalChatCompletion()
    expect(streamed.choices[0]?.message.content === expected).toBe(true)
  })
})

describe('reasoning', () => {
  test('it passes OpenAI the effort, and the tokens back', async () => {
    const answer = await lab
      .openAIClient('/openai')
      .chat.completions.create({ model: 'gpt-5', messages: HELLO, reasoning_effort: 'low' })
    expect(lastBody(lab.openAI).reasoning_effort).toBe('low')
    expect(answer.usage?.completion_tokens_details?.reasoning_tokens).toBe(64)
    expect(await lab.lastRecord()).toMatchObject({ 'gen_ai.usage.reasoning_tokens': 64 })
  })

  test.each([{ stream: false }, { stream: true }])(
    'Anthropic thinks (stream: $stream)',
    async ({ stream }) => {
      const ask = { model: 'claude-opus-4-5', messages: HELLO, reasoning_effort: 'medium' as const }
      const headers = simulate({ reasoning: 'Hmm, let me see.', text: 'Hi.', reasoningTokens: 4 })
      const { completions } = lab.openAIClient('/anthropic').chat
      let thought = ''
      if (stream) {
        const chunks = await collect(await completions.create({ ...ask, stream }, { headers }))
        for (const { choices } of chunks) thought += read(choices[0]?.delta, 'reasoning_content')
        expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('Hi.')
      } else {
        const answer = await completions.create({ ...ask, stream }, { headers })
        thought = read(answer.choices[0]?.message, 'reasoning_content')
        expect(answer.usage?.completion_tokens_details?.reasoning_tokens).toBe(4)
      }
      expect(thought).toBe('Hmm, let me see.')
      expect(lastBody(lab.anthropic)).toMatchObject({
        thinking: { type: 'enabled', budget_tokens: 2048 },
        max_tokens: 6144,
      })
      expect(await lab.lastRecord()).toMatchObject({ 'gen_ai.usage.reasoning_tokens': 4 })
    },
  )
})

describe('natively the SDK returns what a direct call returns', () => {
  test.each([
    { name: 'text', ask: {}, script: { text: SAID, ...COUNTED } },
    { name: 'two choices', ask: { n: 2 }, script: { text: SAID } },
    { name: 'a tool call', ask: {}, script: { toolCalls: [{ name: 'look', arguments: '{"at":"sky"}' }] } },
    { name: 'no usage', ask: {}, script: { text: SAID, fault: 'missing-usage' as const } },
  ])('$name, whole', async ({ ask, script }) => {
    const headers = simulate(script)
    const request = { model: 'gpt-4o', messages: HELLO, ...ask }
    const direct = await lab.openAIClient().chat.completions.create(request, { headers })
    const through = await lab.openAIClient('/openai').chat.completions.create(request, { headers })
    expect(comparable(through)).toEqual(comparable(direct))
  })

  test('chunk by chunk', async () => {
    const headers = simulate({ text: SAID, chunks: 5, ...COUNTED })
    const request = {
      model: 'gpt-4o',
      messages: HELLO,
      stream: true as const,
      stream_options: { include_usage: true },
    }
    const direct = await lab.openAIClient().chat.completions.create(request, { headers })
    const through = await lab.openAIClient('/openai').chat.completions.create(request, { headers })
    expect(comparable(await collect(through))).toEqual(comparable(await collect(direct)))
  })
})

const read = (value: unknown, key: string): string => String((value as Record<string, unknown>)?.[key] ?? '')
