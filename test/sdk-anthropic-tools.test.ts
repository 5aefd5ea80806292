/** Anthropic's client: tools called and answered, and thinking, over every provider that can answer messages. */

import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import type { MessageParam, ToolResultBlockParam } from '@anthropic-ai/sdk/resources/messages'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { lastBody, type SdkLab, simulate, startSdkLab } from './support/sdk-lab.ts'

let lab: SdkLab
beforeAll(async () => {
  lab = await startSdkLab()
})
afterEach(() => lab.audit())
afterAll(() => lab.close())

const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

const BACKENDS = [
  { name: 'Anthropic', prefix: '/anthropic', provider: 'anthropic', model: 'claude-opus-4-5' },
  { name: 'OpenAI', prefix: '/openai', provider: 'openAI', model: 'gpt-4o' },
  { name: 'a responses-only server', prefix: '/responses-only', provider: 'openAI', model: 'local' },
] as const

/** How each API says that a tool failed. */
const FAILURE = {
  '/anthropic': '"is_error":true',
  '/openai': 'The tool call failed:',
  '/responses-only': '"status":"incomplete"',
}

const WEATHER = {
  name: 'get_weather',
  description: 'The weather of a place',
  input_schema: {
    type: 'object' as const,
    properties: { city: { type: 'string' }, unit: { enum: ['celsius', 'fahrenheit'] } },
    required: ['city'],
  },
}
const TIME = {
  name: 'get_time',
  input_schema: { type: 'object' as const, properties: { city: { type: 'string' } } },
}

describe.each(BACKENDS)('tools in messages over $name', ({ prefix, provider, model }) => {
  const client = () => lab.anthropicClient(prefix)
  const ask = (content: string) => ({
    model,
    max_tokens: 5000,
    tools: [WEATHER, TIME],
    messages: [{ role: 'user' as const, content }],
  })

  test.each([{ stream: false }, { stream: true }])(
    'the SDK runs them to the end (stream: $stream)',
    async ({ stream }) => {
      const asked: unknown[] = []
      const weather = betaZodTool({
        name: 'get_weather',
        description: 'The weather of a place',
        inputSchema: z.object({ city: z.string() }),
        run: (place) => {
          asked.push(place)
          return '21 °C'
        },
      })
      const before = lab[provider].calls.length
      const { messages } = client().beta
      // Without Anthropic's beta of message threads: the simulation does not have it.
      const request = { ...ask('What is the weather?'), tools: [weather], thread: false as const }
      const answer = stream
        ? await messages.toolRunner({ ...request, stream: true }).runUntilDone()
        : await messages.toolRunner({ ...request, stream: false }).runUntilDone()
      expect(answer.content).toMatchObject([{ text: expect.stringMatching(/^You asked: /) }])
      expect(answer.stop_reason).toBe('end_turn')
      expect(asked).toEqual([{ city: 'Paris' }])
      expect(lab[provider].calls.length - before).toBe(2)
      expect(lab[provider].calls.at(-1)?.body).toContain('21 °C')
    },
  )

  test.each([{ stream: false }, { stream: true }])(
    'two calls at once, one fails, one brings a picture (stream: $stream)',
    async ({ stream }) => {
      const request = ask('Use both tools')
      const { messages } = client()
      const first = stream ? await messages.stream(request).finalMessage() : await messages.create(request)
      expect(first.stop_reason).toBe('tool_use')
      const uses = first.content.flatMap((block) => (block.type === 'tool_use' ? [block] : []))
      expect(uses.map(({ name, input }) => [name, input])).toEqual([
        ['get_weather', { city: 'Paris', unit: 'celsius' }],
        ['get_time', { city: 'Paris' }],
      ])
      const results: ToolResultBlockParam[] = [
        {
          type: 'tool_result',
          tool_use_id: uses[0]?.id ?? '',
          content: [
            { type: 'text', text: 'A picture:' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } },
          ],
        },
        { type: 'tool_result', tool_use_id: uses[1]?.id ?? '', content: 'No clock', is_error: true },
      ]
      const conversation: MessageParam[] = [
        ...request.messages,
        { role: 'assistant', content: first.content },
        { role: 'user', content: [...results, { type: 'text', text: 'And now?' }] },
      ]
      const second = await messages.create({
        ...request,
        messages: conversation,
        tool_choice: { type: 'none' },
      })
      expect(second.content).toMatchObject([{ text: expect.stringMatching(/^You asked: /) }])
      const sent = lab[provider].calls.at(-1)?.body
      expect(sent).toContain('A picture:')
      expect(sent).toContain(PIXEL)
      expect(sent).toContain('No clock')
      expect(sent).toContain(FAILURE[prefix])
    },
  )

  test.each([{ stream: false }, { stream: true }])(
    'text and calls together, input exact (stream: $stream)',
    async ({ stream }) => {
      const given = { city: 'Zürich "Nord"\n', deep: [{ a: 1.5 }, null] }
      const headers = simulate({
        text: 'One moment.',
        toolCalls: [
          { name: 'get_weather', arguments: JSON.stringify(given) },
          { name: 'get_time', arguments: '{}' },
        ],
        chunks: 9,
      })
      const { messages } = client()
      const answer = stream
        ? await messages.stream(ask('Go'), { headers }).finalMessage()
        : await messages.create(ask('Go'), { headers })
      expect(answer.stop_reason).toBe('tool_use')
      expect(answer.content).toMatchObject([
        { type: 'text', text: 'One moment.' },
        { type: 'tool_use', name: 'get_weather', input: given },
        { type: 'tool_use', name: 'get_time', input: {} },
      ])
    },
  )

  test.each([
    { name: 'auto', choice: { type: 'auto' }, calls: [], asks: 'auto' },
    { name: 'none', choice: { type: 'none' }, calls: [], asks: 'none' },
    { name: 'any', choice: { type: 'any' }, calls: ['get_weather'], asks: 'required' },
    {
      name: 'a named one',
      choice: { type: 'tool', name: 'get_time' },
      calls: ['get_time'],
      asks: 'function',
    },
  ] as const)('the choice of $name', async ({ choice, calls, asks }) => {
    const answer = await client().messages.create({ ...ask('Hello'), tool_choice: choice })
    const called = answer.content.flatMap((block) => (block.type === 'tool_use' ? [block.name] : []))
    expect(called).toEqual(calls)
    expect(answer.stop_reason).toBe(calls.length === 0 ? 'end_turn' : 'tool_use')
    const sent = lastBody(lab[provider]).tool_choice
    if (provider === 'anthropic') expect(sent).toEqual(choice)
    else expect(typeof sent === 'string' ? sent : 'function').toBe(asks)
  })

  test('it forbids parallel calls', async () => {
    const choice = { type: 'auto', disable_parallel_tool_use: true } as const
    const answer = await client().messages.create({ ...ask('Use both tools'), tool_choice: choice })
    expect(answer.content.filter((block) => block.type === 'tool_use')).toHaveLength(1)
  })

  test('input of 100 kB survives a stream', async () => {
    const headers = simulate({
      toolCalls: [{ name: 'get_weather', arguments: '{}' }],
      argumentBytes: 100_000,
      chunks: 50,
    })
    const answer = await client()
      .messages.stream({ ...ask('Go'), max_tokens: 50_000 }, { headers })
      .finalMessage()
    const [block] = answer.content
    const input = block?.type === 'tool_use' ? (block.input as { data: string }) : undefined
    expect(input?.data).toHaveLength(100_000 - '{"data":""}'.length)
  })
})

test.each([{ prefix: '/openai' }, { prefix: '/responses-only' }] as const)(
  'the tool runner with its defaults asks for a thread, is told that there is none, and sends all ($prefix)',
  async ({ prefix }) => {
    const before = lab.openAI.calls.length
    const weather = betaZodTool({
      name: 'get_weather',
      description: 'The weather of a place',
      inputSchema: z.object({ city: z.string() }),
      run: () => '21 °C',
    })
    const answer = await lab
      .anthropicClient(prefix)
      .beta.messages.toolRunner({
        model: 'local',
        max_tokens: 100,
        messages: [{ role: 'user', content: 'What is the weather?' }],
        tools: [weather],
      })
      .runUntilDone()
    expect(answer.stop_reason).toBe('end_turn')
    const [, second] = lab.openAI.calls.slice(before)
    expect(second?.body).toContain('What is the weather?')
    expect(second?.body).toContain('21 °C')
  },
)

describe('thinking', () => {
  const ask = { max_tokens: 8000, messages: [{ role: 'user' as const, content: 'Hello!' }] }
  const thinking = { type: 'enabled', budget_tokens: 2048 } as const

  test.each([{ stream: false }, { stream: true }])(
    'Anthropic gets its signed thoughts back unchanged (stream: $stream)',
    async ({ stream }) => {
      const { messages } = lab.anthropicClient('/anthropic')
      const request = { ...ask, model: 'claude-opus-4-5', thinking, tools: [WEATHER] }
      const question = [{ role: 'user' as const, content: 'The weather?' }]
      const first = stream
        ? await messages.stream({ ...request, messages: question }).finalMessage()
        : await messages.create({ ...request, messages: question })
      expect(first.content.map((block) => block.type)).toEqual(['thinking', 'tool_use'])
      const [, use] = first.content
      const result = {
        type: 'tool_result' as const,
        tool_use_id: use?.type === 'tool_use' ? use.id : '',
        content: 'Rain',
      }
      const second = await messages.create({
        ...request,
        messages: [
          ...question,
          { role: 'assistant', content: first.content },
          { role: 'user', content: [result] },
        ],
      })
      expect(second.stop_reason).toBe('end_turn')
      expect((await lab.lastRecord())['gen_ai.usage.reasoning_tokens']).toBe(256)
    },
  )

  test('OpenAI gets an effort, and says what it cost', async () => {
    const answer = await lab.anthropicClient('/openai').messages.create({ ...ask, model: 'gpt-5', thinking })
    expect(lastBody(lab.openAI)).toMatchObject({ reasoning_effort: 'medium', max_completion_tokens: 8000 })
    expect(answer.usage).toMatchObject({ output_tokens_details: { thinking_tokens: 256 } })
    expect((await lab.lastRecord())['gen_ai.usage.reasoning_tokens']).toBe(256)
  })

  test.each([{ stream: false }, { stream: true }])(
    'a responses-only server shows its summary as thinking (stream: $stream)',
    async ({ stream }) => {
      const { messages } = lab.anthropicClient('/responses-only')
      const request = { ...ask, model: 'local', thinking }
      const headers = simulate({ reasoning: 'Let me see.', text: 'Hi.', reasoningTokens: 3 })
      const answer = stream
        ? await messages.stream(request, { headers }).finalMessage()
        : await messages.create(request, { headers })
      expect(answer.content).toMatchObject([
        { type: 'thinking', thinking: 'Let me see.' },
        { type: 'text', text: 'Hi.' },
      ])
      expect((await lab.lastRecord())['gen_ai.usage.reasoning_tokens']).toBe(3)
    },
  )
})
