/** OpenAI's client and tools: asked for, called, answered, over every provider that can answer chat or responses. */
import { zodFunction } from 'openai/helpers/zod'
import type { ResponseInputItem } from 'openai/resources/responses/responses'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { lastBody, type SdkLab, simulate, startSdkLab } from './support/sdk-lab.ts'

let lab: SdkLab
beforeAll(async () => {
  lab = await startSdkLab()
})
afterEach(() => lab.audit())
afterAll(() => lab.close())

const OPENAI = { name: 'OpenAI', prefix: '/openai', provider: 'openAI', model: 'gpt-4o' } as const
const CHAT = { name: 'a chat-only server', prefix: '/chat-only', provider: 'openAI', model: 'llama' } as const
const ANTHROPIC = {
  name: 'Anthropic',
  prefix: '/anthropic',
  provider: 'anthropic',
  model: 'claude-opus-4-5',
} as const
// Anthropic's simulation looks for the question in the last turn only, where the results are.
const BACKENDS = [OPENAI, CHAT, ANTHROPIC]

const PARAMETERS = {
  type: 'object',
  properties: { city: { type: 'string' }, unit: { enum: ['celsius', 'fahrenheit'] } },
  required: ['city', 'unit'],
  additionalProperties: false,
}
const WEATHER = {
  type: 'function' as const,
  function: { name: 'get_weather', description: 'The weather of a place', parameters: PARAMETERS },
}
const TIME = {
  type: 'function' as const,
  function: { name: 'get_time', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
}

describe.each(BACKENDS)('tools in chat completions over $name', ({ prefix, provider, model }) => {
  const client = () => lab.openAIClient(prefix)
  const ask = (content: string) => ({ model, messages: [{ role: 'user' as const, content }] })

  test.each([{ stream: false }, { stream: true }])(
    'the SDK runs them to the end (stream: $stream)',
    async ({ stream }) => {
      const asked: unknown[] = []
      const Place = z.object({ city: z.string(), unit: z.enum(['celsius', 'fahrenheit']) })
      const weather = zodFunction({
        name: 'get_weather',
        parameters: Place,
        function: (place) => {
          asked.push(place)
          return '21 °C'
        },
      })
      const before = lab[provider].calls.length
      const { completions } = client().chat
      const request = { ...ask('What is the weather?'), tools: [weather] }
      const runner = stream
        ? completions.runTools({ ...request, stream: true })
        : completions.runTools({ ...request, stream: false })
      expect(await runner.finalContent()).toMatch(/^You asked: (What is the weather\?)?\. /)
      expect(asked).toEqual([{ city: 'Paris', unit: 'celsius' }])
      expect(lab[provider].calls.length - before).toBe(2)
      expect(JSON.stringify(lastBody(lab[provider]))).toContain('21 °C')
    },
  )

  test.each([{ stream: false }, { stream: true }])(
    'two at once, and both results go back (stream: $stream)',
    async ({ stream }) => {
      const asked: string[] = []
      const tools = ['get_weather', 'get_time'].map((name) =>
        zodFunction({
          name,
          parameters: z.object({ city: z.string() }),
          function: ({ city }) => {
            asked.push(`${name} ${city}`)
            return `${name} says ${city}`
          },
        }),
      )
      const { completions } = client().chat
      const request = { ...ask('Use both tools'), tools }
      const runner = stream
        ? completions.runTools({ ...request, stream: true })
        : completions.runTools({ ...request, stream: false })
      expect(await runner.finalContent()).toMatch(/^You asked: (Use both tools)?\. /)
      expect(asked).toEqual(['get_weather Paris', 'get_time Paris'])
      const body = JSON.stringify(lastBody(lab[provider]).messages)
      expect(body).toContain('get_weather says Paris')
      expect(body).toContain('get_time says Paris')
    },
  )

  test.each([{ stream: false }, { stream: true }])(
    'text and calls together, arguments exact (stream: $stream)',
    async ({ stream }) => {
      const given = { city: 'Zürich "Nord"\n', unit: 'celsius', deep: [{ a: 1.5 }, null] }
      const headers = simulate({
        text: 'One moment.',
        toolCalls: [
          { name: 'get_weather', arguments: JSON.stringify(given) },
          { name: 'get_time', arguments: '{}' },
        ],
        chunks: 9,
      })
      const request = { ...ask('Go'), tools: [WEATHER, TIME] }
      const { completions } = client().chat
      const answer = stream
        ? await completions.stream(request, { headers }).finalChatCompletion()
        : await completions.create(request, { headers })
      const [choice] = answer.choices
      expect(choice?.finish_reason).toBe('tool_calls')
      expect(choice?.message.content).toBe('One moment.')
      const calls = choice?.message.tool_calls?.map((call) =>
        call.type === 'function' ? [call.function.name, JSON.parse(call.function.arguments)] : [],
      )
      expect(calls).toEqual([
        ['get_weather', given],
        ['get_time', {}],
      ])
      expect(new Set(choice?.message.tool_calls?.map((call) => call.id)).size).toBe(2)
    },
  )

  const named = { type: 'function' as const, function: { name: 'get_time' } }
  test.each([
    { name: 'auto', choice: 'auto', calls: [], asks: { type: 'auto' } },
    { name: 'none', choice: 'none', calls: [], asks: { type: 'none' } },
    { name: 'required', choice: 'required', calls: ['get_weather'], asks: { type: 'any' } },
    { name: 'a named one', choice: named, calls: ['get_time'], asks: { type: 'tool', name: 'get_time' } },
  ] as const)('the choice of $name', async ({ choice, calls, asks }) => {
    const answer = await client().chat.completions.create({
      ...ask('Hello'),
      tools: [WEATHER, TIME],
      tool_choice: choice,
    })
    const called = answer.choices[0]?.message.tool_calls ?? []
    expect(called.map((call) => (call.type === 'function' ? call.function.name : ''))).toEqual(calls)
    const sent = lastBody(lab[provider]).tool_choice
    expect(sent).toEqual(provider === 'anthropic' ? asks : choice)
  })

  test('it forbids parallel calls', async () => {
    const answer = await client().chat.completions.create({
      ...ask('Use both tools'),
      tools: [WEATHER, TIME],
      parallel_tool_calls: false,
    })
    expect(answer.choices[0]?.message.tool_calls).toHaveLength(1)
  })

  test('arguments of 100 kB survive a stream', async () => {
    const headers = simulate({
      toolCalls: [{ name: 'get_weather', arguments: '{}' }],
      argumentBytes: 100_000,
      chunks: 50,
    })
    const stream = client().chat.completions.stream({ ...ask('Go'), tools: [WEATHER] }, { headers })
    const [call] = (await stream.finalMessage()).tool_calls ?? []
    const parsed = call?.type === 'function' ? JSON.parse(call.function.arguments) : undefined
    expect(parsed.data).toHaveLength(100_000 - '{"data":""}'.length)
  })
})

describe.each(BACKENDS)('tools in responses over $name', ({ prefix, provider, model }) => {
  const client = () => lab.openAIClient(prefix)
  const flat = ({ function: own }: typeof WEATHER | typeof TIME) => ({
    type: 'function' as const,
    strict: false,
    ...own,
  })

  test.each([{ stream: false }, { stream: true }])(
    'two calls, their results, the answer (stream: $stream)',
    async ({ stream }) => {
      const { responses } = client()
      const input: ResponseInputItem[] = [{ role: 'user', content: 'Use both tools' }]
      const ask = { model, input, tools: [flat(WEATHER), flat(TIME)] }
      const turn = () => (stream ? responses.stream(ask).finalResponse() : responses.create(ask))

      const first = await turn()
      const calls = first.output.flatMap((item) => (item.type === 'function_call' ? [item] : []))
      expect(first.status).toBe('completed')
      expect(calls.map((call) => [call.name, JSON.parse(call.arguments)])).toEqual([
        ['get_weather', { city: 'Paris', unit: 'celsius' }],
        ['get_time', { city: 'Paris' }],
      ])
      // Not the whole item: the stream helper's own `parsed_arguments` is refused by OpenAI.
      for (const { call_id, name, arguments: text } of calls)
        input.push({ type: 'function_call', call_id, name, arguments: text })
      for (const { call_id, name } of calls)
        input.push({ type: 'function_call_output', call_id, output: `${name} is fine` })

      const second = await turn()
      expect(second.output_text).toMatch(/^You asked: (Use both tools)?\. /)
      const body = JSON.stringify(lastBody(lab[provider]))
      expect(body).toContain('get_weather is fine')
      expect(body).toContain('get_time is fine')
      expect(lab[provider].calls.at(-1)?.api).toBe(
        provider === 'anthropic' ? 'messages' : prefix === '/openai' ? 'responses' : 'completions',
      )
    },
  )

  test('a reasoning model keeps its calls when its whole output goes back', async () => {
    const { responses } = client()
    const reasoning = provider === 'openAI' && prefix === '/openai' ? { effort: 'low' as const } : null
    const input: ResponseInputItem[] = [{ role: 'user', content: 'The weather?' }]
    const ask = { model: prefix === '/openai' ? 'gpt-5' : model, input, tools: [flat(WEATHER)], reasoning }
    const first = await responses.create(ask)
    input.push(...(first.output as ResponseInputItem[]))
    const [call] = first.output.filter((item) => item.type === 'function_call')
    input.push({ type: 'function_call_output', call_id: call?.call_id ?? '', output: 'Rain' })
    const second = await responses.create(ask)
    expect(second.output_text).toMatch(/^You asked: (The weather\?)?\. /)
  })

  test.each([
    { name: 'none', choice: 'none', calls: [] },
    { name: 'required', choice: 'required', calls: ['get_weather'] },
    { name: 'a named one', choice: { type: 'function', name: 'get_time' }, calls: ['get_time'] },
  ] as const)('the choice of $name', async ({ choice, calls }) => {
    const answer = await client().responses.create({
      model,
      input: 'Hello',
      tools: [flat(WEATHER), flat(TIME)],
      tool_choice: choice,
    })
    const called = answer.output.filter((item) => item.type === 'function_call')
    expect(called.map((call) => call.name)).toEqual(calls)
  })
})
