/** The AI SDK, its OpenAI and Anthropic providers, over every pair of APIs that the gateway serves. */
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import {
  APICallError,
  embedMany,
  generateText,
  isStepCount,
  type LanguageModel,
  Output,
  streamText,
  tool,
} from 'ai'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { lastBody, type Prefix, type SdkLab, simulate, startSdkLab } from './support/sdk-lab.ts'

let lab: SdkLab
beforeAll(async () => {
  lab = await startSdkLab()
})
afterEach(() => lab.audit())
afterAll(() => lab.close())

const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const SAID = 'Grüße aus Zürich 🚀, 数据'
const COUNTED = { inputTokens: 120, outputTokens: 45, cacheReadTokens: 64 }

type Make = (prefix: Prefix, model: string) => LanguageModel
const openAI = (prefix: Prefix) =>
  createOpenAI({ baseURL: `${lab.gateway.url}${prefix}/v1`, apiKey: 'sk-test' })
const chat: Make = (prefix, model) => openAI(prefix).chat(model)
const responses: Make = (prefix, model) => openAI(prefix).responses(model)
const messages: Make = (prefix, model) =>
  createAnthropic({ baseURL: `${lab.gateway.url}${prefix}/v1`, apiKey: 'sk-ant-api03-test' })(model)

const BACKENDS = [
  { name: 'chat over OpenAI', make: chat, prefix: '/openai', provider: 'openAI', id: 'gpt-4o' },
  { name: 'chat over a chat-only server', make: chat, prefix: '/chat-only', provider: 'openAI', id: 'llama' },
  { name: 'chat over Anthropic', make: chat, prefix: '/anthropic', provider: 'anthropic', id: 'claude-5' },
  { name: 'responses over OpenAI', make: responses, prefix: '/openai', provider: 'openAI', id: 'gpt-4o' },
  { name: 'responses over chat', make: responses, prefix: '/chat-only', provider: 'openAI', id: 'llama' },
  {
    name: 'responses over Anthropic',
    make: responses,
    prefix: '/anthropic',
    provider: 'anthropic',
    id: 'claude-5',
  },
  {
    name: 'messages over Anthropic',
    make: messages,
    prefix: '/anthropic',
    provider: 'anthropic',
    id: 'claude-opus-4-5',
  },
  { name: 'messages over OpenAI', make: messages, prefix: '/openai', provider: 'openAI', id: 'gpt-4o' },
  {
    name: 'messages over responses',
    make: messages,
    prefix: '/responses-only',
    provider: 'openAI',
    id: 'local',
  },
] as const

describe.each(BACKENDS)('$name', ({ make, prefix, provider, id }) => {
  // What the gateway translates it does not store: the SDK must not refer to items by their ids.
  const basic = () => ({
    model: make(prefix, id),
    maxRetries: 0,
    maxOutputTokens: 4000,
    providerOptions: { openai: { store: false } },
  })

  test('it generates text, with finish reason and usage', async () => {
    const result = await generateText({
      ...basic(),
      prompt: 'Hello!',
      headers: simulate({ text: SAID, ...COUNTED }),
    })
    expect(result.text).toBe(SAID)
    expect(result.finishReason).toBe('stop')
    expect(result.warnings ?? []).toEqual([])
    expect(result.usage).toMatchObject({
      inputTokens: 120,
      outputTokens: 45,
      inputTokenDetails: { cacheReadTokens: 64 },
    })
  })

  test('it streams text, with finish reason and usage', async () => {
    const result = streamText({
      ...basic(),
      prompt: 'Hello!',
      headers: simulate({ text: SAID, chunks: 6, ...COUNTED }),
    })
    const pieces: string[] = []
    for await (const piece of result.textStream) pieces.push(piece)
    expect(pieces).toHaveLength(6)
    expect(pieces.join('')).toBe(SAID)
    expect(await result.finishReason).toBe('stop')
    expect(await result.usage).toMatchObject({
      inputTokens: 120,
      outputTokens: 45,
      inputTokenDetails: { cacheReadTokens: 64 },
    })
  })

  test('it stops at the limit', async () => {
    const result = await generateText({
      ...basic(),
      prompt: 'Hello!',
      maxOutputTokens: 20,
      headers: simulate({ text: 'A word. '.repeat(40) }),
    })
    expect(result.finishReason).toBe('length')
    expect(result.text).toBe('A word. '.repeat(7).slice(0, -2))
  })

  const toolsThatTell = (asked: string[]) => {
    const named = (name: string) =>
      tool({
        description: `Tells the ${name}`,
        inputSchema: z.object({ city: z.string() }),
        execute: ({ city }) => {
          asked.push(`${name} ${city}`)
          return { [name]: 'fine', city }
        },
      })
    return { weather: named('weather'), time: named('time') }
  }

  test('it runs two tools and answers', async () => {
    const asked: string[] = []
    const result = await generateText({
      ...basic(),
      prompt: 'Use both tools',
      tools: toolsThatTell(asked),
      stopWhen: isStepCount(3),
    })
    expect(asked).toEqual(['weather Paris', 'time Paris'])
    expect(result.steps.map((step) => step.finishReason)).toEqual(['tool-calls', 'stop'])
    expect(result.text).toMatch(/^You asked: (Use both tools)?\. /)
    expect(lab[provider].calls.at(-1)?.body).toContain('fine')
  })

  test('it runs two tools and answers, streamed', async () => {
    const asked: string[] = []
    const result = streamText({
      ...basic(),
      prompt: 'Use both tools',
      tools: toolsThatTell(asked),
      stopWhen: isStepCount(3),
    })
    expect(await result.text).toMatch(/^You asked: (Use both tools)?\. /)
    expect(asked).toEqual(['weather Paris', 'time Paris'])
    expect((await result.steps).map((step) => step.finishReason)).toEqual(['tool-calls', 'stop'])
  })

  const Place = z.object({ city: z.string(), population: z.number(), tags: z.array(z.string()) })
  const PARIS = { city: 'Paris', population: 21.5, tags: ['sample'] }

  test('it generates an object of a schema', async () => {
    const result = await generateText({
      ...basic(),
      prompt: 'Hello!',
      output: Output.object({ schema: Place }),
    })
    expect(result.output).toEqual(PARIS)
  })

  test('it streams an object of a schema', async () => {
    const result = streamText({ ...basic(), prompt: 'Hello!', output: Output.object({ schema: Place }) })
    expect(await result.output).toEqual(PARIS)
  })

  test('it shows a picture', async () => {
    const result = await generateText({
      ...basic(),
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'file', data: Buffer.from(PIXEL, 'base64'), mediaType: 'image/png' },
          ],
        },
      ],
    })
    expect(result.text).toMatch(/^You asked: What is this\?\. /)
    expect(lab[provider].calls.at(-1)?.inputTokens).toBe(96)
    expect(JSON.stringify(lastBody(lab[provider]))).toContain(PIXEL)
  })

  test.each([
    { status: 400, retryable: false },
    { status: 429, retryable: true },
    { status: 529, retryable: true },
  ])('status $status is an APICallError', async ({ status, retryable }) => {
    const asked = generateText({
      ...basic(),
      prompt: 'Hello!',
      headers: simulate({ status, ...(status === 429 && { retryAfterSeconds: 17 }) }),
    })
    const error: unknown = await asked.catch((reason: unknown) => reason)
    if (!APICallError.isInstance(error)) throw error
    expect(error.statusCode).toBe(status)
    expect(error.isRetryable).toBe(retryable)
    expect(error.responseHeaders?.['retry-after']).toBe(status === 429 ? '17' : undefined)
    expect(error.message).toMatch(
      /context length|too long|Rate limit reached|rate limit of|Overloaded|status 529/,
    )
  })

  test('a failure inside a stream is reported, and is no end', async () => {
    const errors: unknown[] = []
    const result = streamText({
      ...basic(),
      prompt: 'Hello!',
      headers: simulate({ text: 'One two three', chunks: 4, fault: 'midstream-error', afterChunks: 2 }),
      onError: ({ error }) => void errors.push(error),
    })
    await result.consumeStream()
    expect(errors).toHaveLength(1)
    expect(JSON.stringify(errors[0], ['message', 'error'])).toMatch(/had an error|Overloaded/)
    expect(await result.finishReason).toBe('error')
    expect(await lab.lastRecord()).toMatchObject({ outcome: 'upstream_midstream_error' })
  })

  test('an abort reaches the provider', { retry: 3 }, async () => {
    const before = lab[provider].calls.length
    const controller = new AbortController()
    const result = streamText({
      ...basic(),
      prompt: 'Hello!',
      abortSignal: controller.signal,
      headers: simulate({ text: 'One two three', chunks: 4, fault: 'stall', afterChunks: 2 }),
    })
    let leftAt = 0
    for await (const piece of result.textStream) {
      if (piece === '') continue
      leftAt = performance.now()
      controller.abort()
    }
    const call = (await lab[provider].waitFor((calls) => calls.length > before))[before]
    expect(call?.aborted).toBe(true)
    expect((call?.receivedAt ?? 0) + (call?.abortedAfterMs ?? Number.NaN) - leftAt).toBeLessThan(100)
    expect(await lab.lastRecord()).toMatchObject({ outcome: 'client_abort' })
  })
})

describe('reasoning', () => {
  test.each([
    { name: 'responses over OpenAI', make: responses, prefix: '/openai', id: 'gpt-5' },
    { name: 'responses over Anthropic', make: responses, prefix: '/anthropic', id: 'claude-5' },
    { name: 'messages over Anthropic', make: messages, prefix: '/anthropic', id: 'claude-opus-4-5' },
    { name: 'messages over responses', make: messages, prefix: '/responses-only', id: 'local' },
  ] as const)('$name', async ({ make, prefix, id }) => {
    const ask = {
      model: make(prefix, id),
      prompt: 'Hello!',
      maxRetries: 0,
      headers: simulate({ reasoning: 'Let me see.', text: 'Hi.', reasoningTokens: 3 }),
      providerOptions: {
        openai: { store: false, forceReasoning: true, reasoningEffort: 'low', reasoningSummary: 'auto' },
        anthropic: { thinking: { type: 'enabled', budgetTokens: 2048 } },
      },
    }
    const whole = await generateText(ask)
    expect(whole.reasoningText).toBe('Let me see.')
    expect(whole.text).toBe('Hi.')
    const streamed = streamText(ask)
    expect(await streamed.text).toBe('Hi.')
    expect(await streamed.reasoningText).toBe('Let me see.')
    expect(await lab.lastRecord()).toMatchObject({ 'gen_ai.usage.reasoning_tokens': 3 })
  })
})

test('it embeds several texts', async () => {
  const result = await embedMany({
    model: openAI('/openai').embedding('text-embedding-3-small'),
    values: ['Hello', 'Grüße'],
    maxRetries: 0,
  })
  expect(result.embeddings.map((vector) => vector.length)).toEqual([1536, 1536])
  expect(result.usage.tokens).toBe(4)
  expect(await lab.lastRecord()).toMatchObject({ 'gen_ai.usage.input_tokens': 4 })
})
