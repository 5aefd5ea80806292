/** The route types beside conversations, with the official clients: embeddings, models, counting, unread bytes. */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { collect, comparable, lastBody, type SdkLab, simulate, startSdkLab } from './support/sdk-lab.ts'

let lab: SdkLab
beforeAll(async () => {
  lab = await startSdkLab()
})
afterEach(() => lab.audit())
afterAll(() => lab.close())

const HELLO = [{ role: 'user' as const, content: 'Hello!' }]

describe('embeddings', () => {
  test.each([
    { name: 'one text', ask: { input: 'Hello' } },
    { name: 'several, shortened', ask: { input: ['Hello', 'Grüße 🚀'], dimensions: 8 } },
    { name: 'as plain numbers', ask: { input: 'Hello', encoding_format: 'float' as const } },
    { name: 'token ids', ask: { input: [[1, 2, 3], [4]] } },
  ])('$name: the same vectors as asked directly', async ({ ask }) => {
    const request = { model: 'text-embedding-3-small', ...ask }
    const direct = await lab.openAIClient().embeddings.create(request)
    const through = await lab.openAIClient('/openai').embeddings.create(request)
    expect(through).toEqual(direct)
    expect(through.data[0]?.embedding).toHaveLength('dimensions' in ask ? 8 : 1536)
    const record = await lab.lastRecord()
    expect(record).toMatchObject({
      'gen_ai.operation.name': 'embeddings',
      'gen_ai.request.model': 'text-embedding-3-small',
      'gen_ai.usage.input_tokens': direct.usage.prompt_tokens,
      'gen_ai.usage.output_tokens': 0,
    })
    expect(record['gen_ai.embeddings.dimension.count']).toBe('dimensions' in ask ? 8 : undefined)
  })

  test('an error of the provider is typed', async () => {
    const asked = lab
      .openAIClient('/openai')
      .embeddings.create({ model: 'text-embedding-3-small', input: 'x', dimensions: 5000 })
    await expect(asked).rejects.toBeInstanceOf(OpenAI.BadRequestError)
    await expect(asked).rejects.toThrow("Invalid value for 'dimensions' = 5000.")
  })

  test('a provider without embeddings says so', async () => {
    const asked = lab.openAIClient('/anthropic').embeddings.create({ model: 'claude-5', input: 'x' })
    await expect(asked).rejects.toBeInstanceOf(OpenAI.BadRequestError)
    await expect(asked).rejects.toThrow('anthropic cannot answer embeddings requests')
  })
})

describe('models', () => {
  test.each([{ prefix: '/openai' }, { prefix: '/chat-only' }, { prefix: '/passthrough' }] as const)(
    "OpenAI's list over $prefix",
    async ({ prefix }) => {
      const direct = await collect(lab.openAIClient().models.list())
      const through = await collect(lab.openAIClient(prefix).models.list())
      expect(through).toEqual(direct)
      expect(through.map((model) => model.id)).toContain('gpt-4o-mini')
    },
  )

  test("Anthropic's list", async () => {
    const direct = await collect(lab.anthropicClient().models.list())
    const through = await collect(lab.anthropicClient('/anthropic').models.list())
    expect(through).toEqual(direct)
    expect(through[0]?.display_name).toBe('Claude Haiku 5.5')
    expect(await lab.lastRecord()).toMatchObject({ 'gen_ai.operation.name': 'list_models' })
  })

  test('one model, and one that is not there', async () => {
    const model = await lab.openAIClient('/openai').models.retrieve('gpt-4o')
    expect(model).toMatchObject({ id: 'gpt-4o', created: 1715367049 })
    const missing = lab.openAIClient('/openai').models.retrieve('gpt-nope')
    await expect(missing).rejects.toBeInstanceOf(OpenAI.NotFoundError)
  })
})

describe('token counting', () => {
  const ask = {
    system: 'Be brief.',
    tools: [{ name: 'look', input_schema: { type: 'object' as const } }],
    messages: HELLO,
  }

  test('Anthropic counts itself', async () => {
    const request = { model: 'claude-opus-4-5', ...ask }
    const direct = await lab.anthropicClient().messages.countTokens(request)
    const through = await lab.anthropicClient('/anthropic').messages.countTokens(request)
    expect(through).toEqual(direct)
    expect(lab.anthropic.calls.at(-1)?.path).toBe('/v1/messages/count_tokens')
    const record = await lab.lastRecord()
    expect(record).toMatchObject({ 'gen_ai.operation.name': 'count_tokens', outcome: 'completed' })
    // Counting is free: it must not show up as consumption.
    expect(record).not.toHaveProperty('gen_ai.usage.input_tokens')
  })

  test.each([{ prefix: '/openai' }, { prefix: '/responses-only' }] as const)(
    'the gateway counts for $prefix, and asks nobody',
    async ({ prefix }) => {
      const before = lab.openAI.calls.length
      const count = async (content: string) => {
        const request = { model: 'gpt-4o', messages: [{ role: 'user' as const, content }] }
        return (await lab.anthropicClient(prefix).messages.countTokens(request)).input_tokens
      }
      // Three a message, three for the answer's start, one for the role, and two words.
      expect(await count('Hello there')).toBe(9)
      expect(await count('Hello there '.repeat(100))).toBeGreaterThanOrEqual(206)
      const whole = await lab.anthropicClient(prefix).messages.countTokens({ model: 'gpt-4o', ...ask })
      expect(whole.input_tokens).toBeGreaterThan(await count('Hello!'))
      expect(lab.openAI.calls).toHaveLength(before)
    },
  )

  test('an empty request is refused in its own words', async () => {
    const asked = lab.anthropicClient('/openai').messages.countTokens({ model: '', messages: HELLO })
    await expect(asked).rejects.toBeInstanceOf(Anthropic.BadRequestError)
  })
})

describe('passthrough', () => {
  test.each([{ stream: false }, { stream: true }])(
    'chat goes unread (stream: $stream)',
    async ({ stream }) => {
      const headers = simulate({ text: 'Grüße', chunks: 3 })
      const ask = { model: 'gpt-4o', messages: HELLO }
      const [direct, through] = await Promise.all(
        [lab.openAIClient(), lab.openAIClient('/passthrough')].map(async ({ chat }) =>
          stream
            ? await collect(await chat.completions.create({ ...ask, stream: true }, { headers }))
            : await chat.completions.create(ask, { headers }),
        ),
      )
      expect(comparable(through)).toEqual(comparable(direct))
      // Not asked for usage, so none was asked for on the client's behalf.
      expect(lastBody(lab.openAI)).not.toHaveProperty('stream_options')
      const record = await lab.lastRecord()
      expect(record).toMatchObject({ outcome: 'completed', 'http.status': 200, backend: 'passthrough' })
      expect(record).not.toHaveProperty('gen_ai.usage.input_tokens')
      expect(record).not.toHaveProperty('gen_ai.request.model')
    },
  )

  test('messages go unread, refusals too', async () => {
    const client = lab.anthropicClient('/passthrough-anthropic')
    const ask = { model: 'claude-5', max_tokens: 100, messages: HELLO }
    const answer = await client.messages
      .stream(ask, { headers: simulate({ text: 'Hi', chunks: 2 }) })
      .finalMessage()
    expect(answer.content).toEqual([expect.objectContaining({ type: 'text', text: 'Hi' })])
    const refused = client.messages.create(ask, { headers: simulate({ status: 529 }) })
    await expect(refused).rejects.toBeInstanceOf(Anthropic.InternalServerError)
    expect(await lab.lastRecord()).toMatchObject({ 'http.status': 529, outcome: 'upstream_error' })
  })
})

describe('detect', () => {
  const counted = { inputTokens: 120, outputTokens: 45, cacheReadTokens: 64 }
  const facts = {
    outcome: 'completed',
    'gen_ai.usage.input_tokens': 120,
    'gen_ai.usage.output_tokens': 45,
    'gen_ai.usage.cache_read.input_tokens': 64,
    'agw.ai.usage.source': 'provider',
  }
  const headers = simulate({ text: 'Hi', chunks: 2, ...counted })

  test('chat is read along the way, whole and streamed', async () => {
    const { completions } = lab.openAIClient('/detect').chat
    const ask = { model: 'gpt-4o', messages: HELLO }
    expect((await completions.create(ask, { headers })).choices[0]?.message.content).toBe('Hi')
    expect(await lab.lastRecord()).toMatchObject({ ...facts, 'gen_ai.response.model': 'gpt-4o-2024-08-06' })
    const stream = completions.stream({ ...ask, stream_options: { include_usage: true } }, { headers })
    expect(await stream.finalContent()).toBe('Hi')
    expect(await lab.lastRecord()).toMatchObject(facts)
  })

  test('responses are read along the way, whole and streamed', async () => {
    const { responses } = lab.openAIClient('/detect')
    const ask = { model: 'gpt-4o', input: 'Hello!' }
    expect((await responses.create(ask, { headers })).output_text).toBe('Hi')
    expect(await lab.lastRecord()).toMatchObject(facts)
    expect((await responses.stream(ask, { headers }).finalResponse()).output_text).toBe('Hi')
    expect(await lab.lastRecord()).toMatchObject(facts)
  })

  test('messages are read along the way, whole and streamed', async () => {
    const { messages } = lab.anthropicClient('/detect-anthropic')
    const ask = { model: 'claude-5', max_tokens: 100, messages: HELLO }
    expect(await messages.create(ask, { headers })).toMatchObject({ content: [{ text: 'Hi' }] })
    expect(await lab.lastRecord()).toMatchObject({ ...facts, 'gen_ai.request.model': 'claude-5' })
    expect(await messages.stream(ask, { headers }).finalText()).toBe('Hi')
    expect(await lab.lastRecord()).toMatchObject(facts)
  })

  test('embeddings and the list of models pass', async () => {
    const client = lab.openAIClient('/detect')
    const { usage } = await client.embeddings.create({ model: 'text-embedding-3-large', input: 'Hello' })
    expect(await lab.lastRecord()).toMatchObject({ 'gen_ai.usage.input_tokens': usage.prompt_tokens })
    expect((await client.models.list()).data).toHaveLength(16)
  })

  test('a request that the provider refuses stays as it is', async () => {
    const asked = lab.openAIClient('/detect').chat.completions.create({ model: 'claude-5', messages: HELLO })
    await expect(asked).rejects.toBeInstanceOf(OpenAI.NotFoundError)
    expect(await lab.lastRecord()).toMatchObject({ 'http.status': 404, error_type: 'provider_not_found' })
  })
})
