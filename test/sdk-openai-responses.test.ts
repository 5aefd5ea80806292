/** OpenAI's client, responses: to OpenAI itself, and translated for a chat-only server and for Anthropic. */
import { zodTextFormat } from 'openai/helpers/zod'
import type { ResponseInput } from 'openai/resources/responses/responses'
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
const USAGE = {
  input_tokens: 120,
  input_tokens_details: { cached_tokens: 64 },
  output_tokens: 45,
  total_tokens: 165,
}

const BACKENDS = [
  {
    name: 'OpenAI',
    prefix: '/openai',
    provider: 'openAI',
    api: 'responses',
    model: 'gpt-4o',
    answers: 'gpt-4o-2024-08-06',
  },
  {
    name: 'a chat-only server',
    prefix: '/chat-only',
    provider: 'openAI',
    api: 'completions',
    model: 'llama-4',
    answers: 'llama-4',
  },
  {
    name: 'Anthropic',
    prefix: '/anthropic',
    provider: 'anthropic',
    api: 'messages',
    model: 'claude-opus-4-5',
    answers: 'claude-opus-4-5-20251101',
  },
] as const

describe.each(BACKENDS)('responses over $name', ({ prefix, provider, api, model, answers }) => {
  const client = () => lab.openAIClient(prefix)

  test('it answers whole, with text, status and usage', async () => {
    const answer = await client().responses.create(
      { model, input: 'Hello!', instructions: 'Be brief.' },
      { headers: simulate({ text: SAID, ...COUNTED }) },
    )
    expect(answer.object).toBe('response')
    expect(answer.status).toBe('completed')
    expect(answer.model).toBe(answers)
    expect(answer.output_text).toBe(SAID)
    expect(answer.output).toHaveLength(1)
    expect(answer.usage).toMatchObject(USAGE)
    expect(lab[provider].calls.at(-1)?.api).toBe(api)
    expect(JSON.stringify(lastBody(lab[provider]))).toContain('Be brief.')
    expect(await lab.lastRecord()).toMatchObject({
      outcome: 'completed',
      'gen_ai.operation.name': 'chat',
      'gen_ai.response.model': answers,
      'gen_ai.usage.input_tokens': 120,
      'gen_ai.usage.output_tokens': 45,
      'gen_ai.usage.cache_read.input_tokens': 64,
    })
  })

  test('it streams the events in order, and the final response', async () => {
    const stream = client().responses.stream(
      { model, input: 'Hello!' },
      { headers: simulate({ text: SAID, chunks: 5, ...COUNTED }) },
    )
    const seen: { type: string; sequence_number: number }[] = []
    stream.on('event', (event) => void seen.push(event as (typeof seen)[number]))
    const answer = await stream.finalResponse()
    expect(seen.map((event) => event.type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      ...Array(5).fill('response.output_text.delta'),
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    expect(seen.map((event) => event.sequence_number)).toEqual(seen.map((_, index) => index))
    expect(answer.status).toBe('completed')
    expect(answer.model).toBe(answers)
    expect(answer.output_text).toBe(SAID)
    expect(answer.usage).toMatchObject(USAGE)
    expect(await lab.lastRecord()).toMatchObject({ 'http.status': 200, outcome: 'completed' })
  })

  test('it stops at the limit, whole and streamed', async () => {
    const headers = simulate({ text: 'A word. '.repeat(40) })
    const ask = { model, input: 'Hello!', max_output_tokens: 20 }
    const answer = await client().responses.create(ask, { headers })
    const streamed = await client().responses.stream(ask, { headers }).finalResponse()
    for (const { status, incomplete_details, output_text } of [answer, streamed]) {
      expect(status).toBe('incomplete')
      expect(incomplete_details).toEqual({ reason: 'max_output_tokens' })
      expect(output_text).toBe('A word. '.repeat(7).slice(0, -2))
    }
  })

  test.each([
    { name: 'inline', url: `data:image/png;base64,${PIXEL}` },
    { name: 'by address', url: 'https://example.com/cat.png' },
  ])('it takes an image $name', async ({ url }) => {
    const text = { type: 'input_text' as const, text: 'What is this?' }
    const image = { type: 'input_image' as const, image_url: url, detail: 'auto' as const }
    const answer = await client().responses.create({
      model,
      input: [{ role: 'user', content: [text, image] }],
    })
    expect(answer.output_text).toMatch(/^You asked: What is this\?\. /)
    // A picture costs 85 tokens, the question 4, the message 4, the request 3.
    expect(lab[provider].calls.at(-1)?.inputTokens).toBe(96)
    expect(JSON.stringify(lastBody(lab[provider]))).toContain(url.startsWith('data:') ? PIXEL : url)
  })

  test('it parses structured output, whole and streamed', async () => {
    const Place = z.object({ city: z.string(), population: z.number(), tags: z.array(z.string()) })
    const ask = { model, input: 'Hello!', text: { format: zodTextFormat(Place, 'place') } }
    const expected = { city: 'Paris', population: 21.5, tags: ['sample'] }
    expect((await client().responses.parse(ask)).output_parsed).toEqual(expected)
    const streamed = await client().responses.stream(ask).finalResponse()
    expect(streamed.output_parsed).toEqual(expected)
  })

  test('it carries a conversation', async () => {
    const input: ResponseInput = [
      { role: 'developer', content: 'Be kind.' },
      { role: 'user', content: 'First' },
    ]
    const first = await client().responses.create({ model, input })
    input.push(...(first.output as ResponseInput), { role: 'user', content: 'Second' })
    const second = await client().responses.create({ model, input, temperature: 0.25 })
    expect(second.output_text).toMatch(/^You asked: Second\. /)
    const asked = lastBody(lab[provider])
    expect(asked.temperature).toBe(0.25)
    expect(JSON.stringify(asked)).toContain(first.output_text)
  })

  test.each([
    { name: 'split into single bytes', dress: { splitBytes: 1 } },
    { name: 'with CRLF and comments', dress: { crlf: true, comments: true } },
    { name: 'compressed', dress: { gzip: true } },
  ] as const)('it reads a stream that comes $name', async ({ dress }) => {
    const headers = simulate({ text: SAID, chunks: 4, ...COUNTED, ...dress })
    const answer = await client().responses.stream({ model, input: 'Hello!' }, { headers }).finalResponse()
    expect(answer.output_text).toBe(SAID)
    expect(answer.usage).toMatchObject(USAGE)
  })
})

describe.each([
  { name: 'OpenAI', prefix: '/openai', provider: 'openAI', model: 'gpt-5' },
  { name: 'Anthropic', prefix: '/anthropic', provider: 'anthropic', model: 'claude-opus-4-5' },
] as const)('reasoning over $name', ({ prefix, provider, model }) => {
  test.each([{ stream: false }, { stream: true }])(
    'its summary and its tokens arrive (stream: $stream)',
    async ({ stream }) => {
      const { responses } = lab.openAIClient(prefix)
      const ask = { model, input: 'Hello!', reasoning: { effort: 'medium', summary: 'auto' } as const }
      const headers = simulate({ reasoning: 'Let me see.', text: 'Hi.', reasoningTokens: 3 })
      const answer = stream
        ? await responses.stream(ask, { headers }).finalResponse()
        : await responses.create(ask, { headers })
      const [thought] = answer.output
      expect(answer.output.map((item) => item.type)).toEqual(['reasoning', 'message'])
      expect(thought?.type === 'reasoning' && thought.summary.map((part) => part.text)).toEqual([
        'Let me see.',
      ])
      expect(answer.output_text).toBe('Hi.')
      expect(answer.usage?.output_tokens_details.reasoning_tokens).toBe(3)
      expect(lab[provider].calls.at(-1)?.reasoningTokens).toBe(3)
    },
  )
})

describe('natively the SDK returns what a direct call returns', () => {
  test.each([
    { name: 'text', script: { text: SAID, ...COUNTED } },
    { name: 'a tool call', script: { toolCalls: [{ name: 'look', arguments: '{"at":"sky"}' }] } },
    { name: 'a thought', script: { text: SAID, reasoning: 'Hmm' } },
  ])('$name, whole and event by event', async ({ script }) => {
    const headers = simulate({ ...script, chunks: 3 })
    const ask = { model: 'gpt-5', input: 'Hello!', reasoning: { summary: 'auto' as const } }
    const [direct, through] = [lab.openAIClient(), lab.openAIClient('/openai')]
    expect(comparable(await through.responses.create(ask, { headers }))).toEqual(
      comparable(await direct.responses.create(ask, { headers })),
    )
    const streaming = { ...ask, stream: true as const }
    expect(comparable(await collect(await through.responses.create(streaming, { headers })))).toEqual(
      comparable(await collect(await direct.responses.create(streaming, { headers }))),
    )
  })
})
