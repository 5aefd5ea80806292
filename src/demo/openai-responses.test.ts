import OpenAI from 'openai'
import type {
  ResponseCreateParamsNonStreaming,
  ResponseStreamEvent,
} from 'openai/resources/responses/responses'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from './provider.ts'
import type { Script } from './script.ts'

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** What a promise was rejected with. */
const failure = (sent: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(sent).then(
    () => Promise.reject(new Error('expected a failure')),
    (error: unknown) => error,
  )

const saying = (message: string | RegExp): unknown =>
  typeof message === 'string' ? message : expect.stringMatching(message)

let provider: SimulatedProvider
let client: OpenAI
beforeAll(async () => {
  provider = await startSimulatedOpenAI()
  client = new OpenAI({ apiKey: 'sk-test', baseURL: `${provider.url}/v1`, maxRetries: 0 })
})
afterEach(() => provider.clear())
afterAll(() => provider.close())

const TOOL = {
  type: 'function',
  name: 'get_weather',
  strict: false,
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
} as const

async function stream(
  params: ResponseCreateParamsNonStreaming,
  script: Script = {},
): Promise<ResponseStreamEvent[]> {
  const events = await client.responses.create(
    { ...params, stream: true },
    { headers: { 'x-simulate': JSON.stringify(script) } },
  )
  return collect(events)
}

const kinds = (events: readonly ResponseStreamEvent[]) =>
  events.map((event) => event.type).filter((type, index, all) => type !== all[index - 1])

test('answers, and bills what it says', async () => {
  const answer = await client.responses.create({ model: 'gpt-4.1', input: 'Hello', instructions: 'Be kind' })
  expect(answer.id).toMatch(/^resp_[0-9a-f]{48}$/)
  expect(answer.output_text).toMatch(/^You asked: Hello\. /)
  expect(answer).toMatchObject({ status: 'completed', model: 'gpt-4.1-2025-04-14', instructions: 'Be kind' })
  const [call] = provider.calls
  expect(call).toMatchObject({ api: 'responses', inputTokens: 3 + 4 + 1 + 2 })
  expect(answer.usage).toMatchObject({ input_tokens: call?.inputTokens, output_tokens: call?.outputTokens })
})

test('streams each event of a text in its order', async () => {
  const events = await stream({ model: 'gpt-4.1', input: 'Hello' }, { text: 'Hello there', chunks: 2 })
  expect(kinds(events)).toEqual([
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.completed',
  ])
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index))
  const deltas = events.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []))
  expect(deltas).toEqual(['Hello', ' there'])
  const last = events.at(-1)
  expect(last?.type === 'response.completed' && last.response.usage?.output_tokens).toBe(2)
})

test('streams a tool call', async () => {
  const events = await stream({ model: 'gpt-4.1', input: 'What is the weather?', tools: [TOOL] })
  expect(kinds(events)).toContain('response.function_call_arguments.delta')
  const last = events.at(-1)
  if (last?.type !== 'response.completed') throw new Error('no end')
  expect(last.response.output).toMatchObject([
    { type: 'function_call', name: 'get_weather', arguments: '{"city":"Paris"}' },
  ])
})

test.each([
  { name: 'with its summary', summary: 'auto', types: ['response.reasoning_summary_text.delta'] },
  { name: 'without showing it', summary: undefined, types: [] },
] as const)('reasons first, $name', async ({ summary, types }) => {
  const events = await stream({
    model: 'gpt-5',
    input: 'Hm',
    reasoning: { effort: 'low', ...(summary && { summary }) },
  })
  expect(events.map((event) => event.type)).toEqual(expect.arrayContaining([...types]))
  const last = events.at(-1)
  if (last?.type !== 'response.completed') throw new Error('no end')
  expect(last.response.output.map((item) => item.type)).toEqual(['reasoning', 'message'])
  expect(last.response.usage?.output_tokens_details.reasoning_tokens).toBe(64)
  expect(provider.calls[0]).toMatchObject({
    reasoningTokens: 64,
    outputTokens: last.response.usage?.output_tokens,
  })
})

test('is incomplete at the limit', async () => {
  const events = await stream({ model: 'gpt-4.1', input: 'Hi', max_output_tokens: 16 }, { textBytes: 1000 })
  const last = events.at(-1)
  if (last?.type !== 'response.incomplete') throw new Error('not incomplete')
  expect(last.response.incomplete_details).toEqual({ reason: 'max_output_tokens' })
  expect(provider.calls[0]?.outputTokens).toBe(16)
})

test('speaks after a tool has answered', async () => {
  const answer = await client.responses.create({
    model: 'gpt-4.1',
    tools: [TOOL],
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'Weather?' }] },
      { type: 'function_call', call_id: 'call_1', name: 'get_weather', arguments: '{}' },
      { type: 'function_call_output', call_id: 'call_1', output: '21' },
    ],
  })
  expect(answer.output.map((item) => item.type)).toEqual(['message'])
})

test.each<{ name: string; body: object; message: string | RegExp; param: string | null }>([
  { name: 'no input', body: {}, message: "Missing required parameter: 'input'.", param: 'input' },
  {
    name: 'an unknown parameter',
    body: { input: 'Hi', messages: [] },
    message: "Unknown parameter: 'messages'.",
    param: 'messages',
  },
  {
    name: "the chat API's limit",
    body: { input: 'Hi', max_tokens: 5 },
    message: "Unknown parameter: 'max_tokens'.",
    param: 'max_tokens',
  },
  {
    name: "the chat API's tools",
    body: { input: 'Hi', tools: [{ type: 'function', function: { name: 'f' } }] },
    message: /'tools\[0\]/,
    param: expect.stringMatching(/^tools\[0\]/) as unknown as string,
  },
  {
    name: "the chat API's parts",
    body: { input: [{ role: 'user', content: [{ type: 'text', text: '' }] }] },
    message: /^Invalid value: 'text'/,
    param: 'input[0].content[0].type',
  },
  {
    name: 'output said by the user',
    body: { input: [{ role: 'user', content: [{ type: 'output_text', text: '' }] }] },
    message: /^Invalid value: 'output_text'/,
    param: 'input[0].content[0]',
  },
  {
    name: 'an output without its call',
    body: { input: [{ type: 'function_call_output', call_id: 'c', output: '' }] },
    message: /^No tool call found/,
    param: 'input',
  },
  {
    name: 'a call without its output',
    body: { input: [{ type: 'function_call', call_id: 'c', name: 'f', arguments: '' }] },
    message: /^No tool output found/,
    param: 'input',
  },
  {
    name: 'a limit that is too low',
    body: { input: 'Hi', max_output_tokens: 1 },
    message: /Expected a value >= 16, but got 1/,
    param: 'max_output_tokens',
  },
])('refuses $name', async ({ body, message, param }) => {
  const error = await failure(client.post('/responses', { body: { model: 'gpt-4.1', ...body } }))
  expect(error).toMatchObject({ status: 400, error: { message: saying(message), param } })
})
