import Anthropic from '@anthropic-ai/sdk'
import type {
  MessageCreateParamsNonStreaming,
  MessageParam,
  RawMessageStreamEvent,
} from '@anthropic-ai/sdk/resources/messages'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { BilledCall } from './ledger.ts'
import { type SimulatedProvider, startSimulatedAnthropic } from './provider.ts'
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
let client: Anthropic
beforeAll(async () => {
  provider = await startSimulatedAnthropic()
  client = new Anthropic({ apiKey: 'sk-ant-test', baseURL: provider.url, maxRetries: 0 })
})
afterEach(() => provider.clear())
afterAll(() => provider.close())

const model = 'claude-haiku-5-5'
const ask = (content: string, more: object = {}): MessageCreateParamsNonStreaming => ({
  model,
  max_tokens: 4096,
  messages: [{ role: 'user', content }],
  ...more,
})

const WEATHER = {
  name: 'get_weather',
  input_schema: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } },
} as const

async function lastCall(): Promise<BilledCall> {
  const call = (await provider.waitFor((all) => all.length > 0)).at(-1)
  if (call === undefined) throw new Error('the ledger is empty')
  return call
}

async function stream(params: MessageCreateParamsNonStreaming, script: Script = {}) {
  const headers = { 'x-simulate': JSON.stringify(script) }
  return collect<RawMessageStreamEvent>(
    await client.messages.create({ ...params, stream: true }, { headers }),
  )
}

test('answers a question, and bills what it says', async () => {
  const { data, response } = await client.messages.create(ask('How are you?')).withResponse()
  expect(data.content).toMatchObject([
    { type: 'text', text: expect.stringMatching(/^You asked: How are you\?\. /) },
  ])
  expect(data.id).toMatch(/^msg_01[1-9A-Za-z]{22}$/)
  expect(data).toMatchObject({
    type: 'message',
    role: 'assistant',
    stop_reason: 'end_turn',
    stop_sequence: null,
  })
  const call = await lastCall()
  expect(call).toMatchObject({
    api: 'messages',
    model,
    status: 200,
    inputTokens: 3 + 4 + 4,
    reasoningTokens: 0,
  })
  expect(data.usage).toMatchObject({ input_tokens: call.inputTokens, output_tokens: call.outputTokens })
  expect(response.headers.get('request-id')).toMatch(/^req_011C/)
  expect(response.headers.get('anthropic-ratelimit-requests-remaining')).toBe('3999')
})

test('leaves the cache out of the input on the wire, and not in the ledger', async () => {
  provider.next({ inputTokens: 100, cacheReadTokens: 60, cacheWriteTokens: 30 })
  const { usage } = await client.messages.create(ask('Hi'))
  expect(usage).toMatchObject({
    input_tokens: 10,
    cache_read_input_tokens: 60,
    cache_creation_input_tokens: 30,
  })
  expect(await lastCall()).toMatchObject({ inputTokens: 100, cacheReadTokens: 60, cacheWriteTokens: 30 })
})

test('writes to the cache what is marked for it', async () => {
  const system = [{ type: 'text', text: 'x'.repeat(400), cache_control: { type: 'ephemeral' } }]
  const { usage } = await client.messages.create(ask('Hi', { system }))
  expect(usage).toMatchObject({ input_tokens: 3 + 4 + 1, cache_creation_input_tokens: 50 })
})

test('streams each event in its order', async () => {
  const events = await stream(ask('Hi'), { text: 'Hello there', chunks: 2, outputTokens: 9 })
  expect(events.map((event) => event.type)).toEqual([
    'message_start',
    'content_block_start',
    'content_block_delta',
    'content_block_delta',
    'content_block_stop',
    'message_delta',
    'message_stop',
  ])
  expect(events[0]).toMatchObject({ message: { usage: { input_tokens: 8, output_tokens: 1 } } })
  expect(events[5]).toMatchObject({
    delta: { stop_reason: 'end_turn' },
    usage: { input_tokens: 8, output_tokens: 9 },
  })
  expect(await lastCall()).toMatchObject({ inputTokens: 8, outputTokens: 9, deltas: 2, completed: true })
})

test('thinks first, signs it, and takes it back', async () => {
  const params = ask('What is the weather?', {
    thinking: { type: 'enabled', budget_tokens: 1024 },
    tools: [WEATHER],
  })
  const first = await client.messages.stream(params).finalMessage()
  expect(first.content.map((block) => block.type)).toEqual(['thinking', 'tool_use'])
  expect(first.stop_reason).toBe('tool_use')
  expect(first.usage.output_tokens_details?.thinking_tokens).toBe(128)
  expect(await lastCall()).toMatchObject({ reasoningTokens: 128, outputTokens: first.usage.output_tokens })

  const [, call] = first.content
  if (call?.type !== 'tool_use') throw new Error('no call')
  expect(call.input).toEqual({ city: 'Paris', days: 7 })
  const second = await client.messages.create({
    ...params,
    messages: [
      ...params.messages,
      { role: 'assistant', content: first.content as MessageParam['content'] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: '21' }] },
    ] as MessageParam[],
  })
  expect(second.content.map((block) => block.type)).toEqual(['thinking', 'text'])
})

test.each([
  {
    name: 'a tool when it must',
    more: { tools: [WEATHER], tool_choice: { type: 'any' } },
    text: 'Hi',
    calls: 1,
  },
  {
    name: 'the tool that is named',
    more: { tools: [WEATHER], tool_choice: { type: 'tool', name: 'get_weather' } },
    text: 'Hi',
    calls: 1,
  },
  { name: 'two at once', more: { tools: [WEATHER] }, text: 'Weather in both cities?', calls: 2 },
  {
    name: 'one when parallel calls are off',
    more: { tools: [WEATHER], tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
    text: 'Weather in both?',
    calls: 1,
  },
  {
    name: 'none when it must not',
    more: { tools: [WEATHER], tool_choice: { type: 'none' } },
    text: 'Weather?',
    calls: 0,
  },
])('calls $name', async ({ more, text, calls }) => {
  const answer = await client.messages.stream(ask(text, more)).finalMessage()
  expect(answer.content.filter((block) => block.type === 'tool_use')).toHaveLength(calls)
})

test.each([
  {
    name: 'at the limit',
    more: { max_tokens: 2 },
    script: { text: '0123456789' },
    reason: 'max_tokens',
    sequence: null,
  },
  {
    name: 'at a stop sequence',
    more: { stop_sequences: ['two'] },
    script: { text: 'one two' },
    reason: 'stop_sequence',
    sequence: 'two',
  },
  {
    name: 'as the script says',
    more: {},
    script: { finishReason: 'refusal' },
    reason: 'refusal',
    sequence: null,
  },
])('stops $name', async ({ more, script, reason, sequence }) => {
  provider.next(script)
  const answer = await client.messages.create(ask('Hi', more))
  expect(answer).toMatchObject({ stop_reason: reason, stop_sequence: sequence })
})

test('counts tokens without billing them', async () => {
  const { max_tokens: _, ...params } = ask('How are you?')
  expect(await client.messages.countTokens(params)).toEqual({ input_tokens: 11 })
  expect(await lastCall()).toMatchObject({ api: 'count_tokens', inputTokens: 0, status: 200 })
})

const user = { role: 'user', content: 'Hi' }
const use = { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'f', input: {} }] }
const result = { type: 'tool_result', tool_use_id: 'toolu_1', content: 'ok' }
const tools = [{ name: 'f', input_schema: { type: 'object' } }]
const thinking = { type: 'enabled', budget_tokens: 1024 }

test.each<{ name: string; body: object; message: string | RegExp }>([
  { name: 'no limit', body: { max_tokens: undefined }, message: 'max_tokens: Field required' },
  {
    name: 'an unknown key',
    body: { stream_options: {} },
    message: 'stream_options: Extra inputs are not permitted',
  },
  {
    name: 'an unknown field',
    body: { messages: [{ ...user, name: 'Ada' }] },
    message: 'messages.0.name: Extra inputs are not permitted',
  },
  { name: 'no messages', body: { messages: [] }, message: 'messages: at least one message is required' },
  {
    name: 'an assistant who begins',
    body: { messages: [{ role: 'assistant', content: 'Hi' }] },
    message: 'messages: first message must use the "user" role',
  },
  {
    name: 'the same role twice',
    body: { messages: [user, user] },
    message: /^messages: roles must alternate/,
  },
  {
    name: "the chat API's tool role",
    body: { messages: [user, { role: 'tool', content: '' }] },
    message: /^messages.1.role: Input should be 'user'/,
  },
  {
    name: 'empty content',
    body: { messages: [{ role: 'user', content: '' }] },
    message: /must have non-empty content/,
  },
  {
    name: 'an empty text',
    body: { messages: [{ role: 'user', content: [{ type: 'text', text: '' }] }] },
    message: 'messages: text content blocks must be non-empty',
  },
  {
    name: 'trailing whitespace',
    body: { messages: [user, { role: 'assistant', content: 'So: ' }] },
    message: 'messages: final assistant content cannot end with trailing whitespace',
  },
  {
    name: 'an unknown block',
    body: { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
    message: /^messages.0.content.0: Input tag 'image_url' found using 'type' does not match/,
  },
  {
    name: 'a tool use without result',
    body: { tools, messages: [user, use, user] },
    message: /^messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1/,
  },
  {
    name: 'a result behind a text',
    body: {
      tools,
      messages: [user, use, { role: 'user', content: [{ type: 'text', text: 'See' }, result] }],
    },
    message: /^messages.2: `tool_use` ids were found without/,
  },
  {
    name: 'a result of another call',
    body: {
      tools,
      messages: [user, use, { role: 'user', content: [result, { ...result, tool_use_id: 'x' }] }],
    },
    message: /^messages.2.content.1: unexpected `tool_use_id` found in `tool_result` blocks: x/,
  },
  {
    name: 'a result out of nowhere',
    body: { messages: [{ role: 'user', content: [result] }] },
    message: /^messages.0.content.0: unexpected `tool_use_id`/,
  },
  {
    name: 'tool use without tools',
    body: { messages: [user, use, { role: 'user', content: [result] }] },
    message: /must define tools/,
  },
  {
    name: "the chat API's tools",
    body: { tools: [{ type: 'function', function: {} }] },
    message: /^tools.0: Input tag 'function'/,
  },
  {
    name: "the chat API's tool choice",
    body: { tools, tool_choice: 'auto' },
    message: 'tool_choice: Input should be a valid dictionary',
  },
  {
    name: 'a tool choice without tools',
    body: { tool_choice: { type: 'any' } },
    message: /only be specified while providing tools/,
  },
  {
    name: 'a small thinking budget',
    body: { thinking: { type: 'enabled', budget_tokens: 1023 } },
    message: 'thinking.enabled.budget_tokens: Input should be greater than or equal to 1024',
  },
  {
    name: 'a thinking budget above the limit',
    body: { max_tokens: 1024, thinking },
    message: /^`max_tokens` must be greater than `thinking.budget_tokens`/,
  },
  {
    name: 'a temperature while thinking',
    body: { temperature: 0.5, thinking },
    message: /^`temperature` may only be set to 1/,
  },
  {
    name: 'forced tools while thinking',
    body: { tools, tool_choice: { type: 'any' }, thinking },
    message: /^Thinking may not be enabled/,
  },
  {
    name: 'tool use without the thought before it',
    body: { tools, thinking, messages: [user, use, { role: 'user', content: [result] }] },
    message: /^messages.1.content.0.type: Expected `thinking`/,
  },
  {
    name: 'an invented signature',
    body: {
      messages: [
        user,
        { role: 'assistant', content: [{ type: 'thinking', thinking: 'Hm', signature: 'x' }] },
      ],
    },
    message: /Invalid `signature`/,
  },
  { name: 'a hot temperature', body: { temperature: 1.5 }, message: 'temperature: range: 0..1' },
])('refuses $name', async ({ body, message }) => {
  const error = await failure(client.post('/v1/messages', { body: { ...ask('Hi'), ...body } }))
  expect(error).toBeInstanceOf(Anthropic.BadRequestError)
  expect(error).toMatchObject({
    status: 400,
    error: { type: 'error', error: { type: 'invalid_request_error', message: saying(message) } },
  })
  expect(await lastCall()).toMatchObject({ status: 400, inputTokens: 0, outputTokens: 0 })
})

test('joins turns like the real API, when told to', async () => {
  const lenient = await startSimulatedAnthropic({ joinsTurns: true })
  const tolerant = new Anthropic({ apiKey: 'k', baseURL: lenient.url, maxRetries: 0 })
  const turn = { role: 'user', content: 'Hi' } as const
  expect(await tolerant.messages.create({ model, max_tokens: 9, messages: [turn, turn] })).toHaveProperty(
    'id',
  )
  await lenient.close()
})

const VERSION = { 'anthropic-version': '2023-06-01' }
test.each<{ name: string; headers: Record<string, string>; status: number; type: string; message: string }>([
  {
    name: 'no key',
    headers: VERSION,
    status: 401,
    type: 'authentication_error',
    message: 'x-api-key header is required',
  },
  {
    name: 'a wrong key',
    headers: { ...VERSION, 'x-api-key': 'sk-ant-invalid' },
    status: 401,
    type: 'authentication_error',
    message: 'invalid x-api-key',
  },
  {
    name: 'no version',
    headers: { 'x-api-key': 'k' },
    status: 400,
    type: 'invalid_request_error',
    message: 'anthropic-version: header is required',
  },
])('refuses $name', async ({ headers, status, type, message }) => {
  const response = await fetch(`${provider.url}/v1/messages`, {
    method: 'POST',
    headers,
    body: JSON.stringify(ask('Hi')),
  })
  expect(response.status).toBe(status)
  expect(await response.json()).toEqual({
    type: 'error',
    error: { type, message },
    request_id: response.headers.get('request-id'),
  })
})

test('takes a bearer token, and refuses models of others', async () => {
  const bearer = new Anthropic({ apiKey: null, authToken: 'token', baseURL: provider.url, maxRetries: 0 })
  expect(await bearer.messages.create(ask('Hi'))).toHaveProperty('id')
  expect(await failure(bearer.messages.create(ask('Hi', { model: 'gpt-4o' })))).toBeInstanceOf(
    Anthropic.NotFoundError,
  )
})

test.each([
  { status: 400, type: 'invalid_request_error' },
  { status: 401, type: 'authentication_error' },
  { status: 403, type: 'permission_error' },
  { status: 404, type: 'not_found_error' },
  { status: 429, type: 'rate_limit_error' },
  { status: 500, type: 'api_error' },
  { status: 529, type: 'overloaded_error' },
])('fails with $status on request', async ({ status, type }) => {
  provider.next({ status })
  const error = await failure(client.messages.create(ask('Hi')))
  expect(error).toMatchObject({ status, error: { type: 'error', error: { type } } })
  const { headers } = error as InstanceType<typeof Anthropic.APIError>
  expect(headers?.get('retry-after')).toBe(status === 429 ? '1' : null)
})
