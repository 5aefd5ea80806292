import OpenAI from 'openai'
import type {
  ChatCompletionChunk,
  ChatCompletionCreateParamsNonStreaming,
} from 'openai/resources/chat/completions'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { BilledCall } from './ledger.ts'
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

type Params = ChatCompletionCreateParamsNonStreaming
const ask = (content: string, more: Partial<Params> = {}): Params => ({
  model: 'gpt-4o',
  messages: [{ role: 'user', content }],
  ...more,
})

const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: {
        city: { type: 'string' },
        unit: { enum: ['celsius', 'fahrenheit'] },
        days: { type: 'integer' },
      },
    },
  },
} as const

async function lastCall(): Promise<BilledCall> {
  const calls = await provider.waitFor((all) => all.length > 0)
  const call = calls.at(-1)
  if (call === undefined) throw new Error('the ledger is empty')
  return call
}

function billedAs(call: BilledCall) {
  return {
    prompt_tokens: call.inputTokens,
    completion_tokens: call.outputTokens,
    total_tokens: call.inputTokens + call.outputTokens,
    prompt_tokens_details: { cached_tokens: call.cacheReadTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: call.reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}

async function stream(params: Params, script: Script = {}): Promise<ChatCompletionChunk[]> {
  const headers = { 'x-simulate': JSON.stringify(script) }
  const events = await client.chat.completions.create({ ...params, stream: true }, { headers })
  return collect(events)
}

test('answers a question, and bills what it says', async () => {
  const { data, response } = await client.chat.completions.create(ask('How are you?')).withResponse()
  expect(data.choices[0]?.message.content).toMatch(/^You asked: How are you\?\. /)
  expect(data).toMatchObject({ object: 'chat.completion', model: 'gpt-4o-2024-08-06' })
  expect(data.id).toMatch(/^chatcmpl-[A-Za-z0-9]{29}$/)
  expect(data.choices[0]?.finish_reason).toBe('stop')
  expect(data.usage).toEqual(billedAs(await lastCall()))
  expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/)
  expect(Number(response.headers.get('openai-processing-ms'))).toBeGreaterThan(0)
})

test.each<{ name: string; params: Params; expected: object }>([
  {
    name: 'counts reasoning inside the output',
    params: ask('Think', { model: 'o3', reasoning_effort: 'low' }),
    expected: { reasoningTokens: 64 },
  },
  {
    name: 'reads a keyed long prompt from the cache',
    params: ask('x'.repeat(16_000), { prompt_cache_key: 'k' }),
    // Eight letters are a token; 15 times 128 of the tokens are from the cache.
    expected: { inputTokens: 2007, cacheReadTokens: 1920 },
  },
  { name: 'counts each choice', params: ask('Hi', { n: 3, max_tokens: 5 }), expected: { outputTokens: 15 } },
])('$name', async ({ params, expected }) => {
  const answer = await client.chat.completions.create(params)
  const call = await lastCall()
  expect(call).toMatchObject(expected)
  expect(answer.usage).toEqual(billedAs(call))
})

test('streams the same text as it answers', async () => {
  const whole = await client.chat.completions.create(ask('Tell me more'))
  const chunks = await stream(ask('Tell me more', {}))
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
  expect(text).toBe(whole.choices[0]?.message.content)
  expect(chunks.every((chunk) => !('usage' in chunk))).toBe(true)
  expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant')
  expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop')
})

test('sends usage last and null before, when asked', async () => {
  const params = ask('Count', { stream_options: { include_usage: true } } as Partial<Params>)
  const chunks = await stream(params, { text: 'One two three', chunks: 3 })
  expect(chunks.slice(0, -1).map((chunk) => chunk.usage)).toEqual(Array(5).fill(null))
  expect(chunks.at(-1)?.choices).toEqual([])
  expect(chunks.at(-1)?.usage).toEqual(billedAs(await lastCall()))
})

test('puts usage on the finish chunk, when the script says so', async () => {
  const params = ask('Count', { stream_options: { include_usage: true } } as Partial<Params>)
  const chunks = await stream(params, { usageInFinishChunk: true })
  expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop')
  expect(chunks.at(-1)?.usage).toEqual(billedAs(await lastCall()))
})

test.each<{ name: string; params: Params; calls: string[] }>([
  {
    name: 'a tool when the weather is asked for',
    params: ask('What is the weather?', { tools: [WEATHER] }),
    calls: ['get_weather'],
  },
  {
    name: 'a tool when it must',
    params: ask('Hi', { tools: [WEATHER], tool_choice: 'required' }),
    calls: ['get_weather'],
  },
  {
    name: 'no tool when it must not',
    params: ask('Weather?', { tools: [WEATHER], tool_choice: 'none' }),
    calls: [],
  },
  { name: 'no tool without reason', params: ask('Hi', { tools: [WEATHER] }), calls: [] },
  {
    name: 'two at once',
    params: ask('Weather in both cities?', { tools: [WEATHER] }),
    calls: ['get_weather', 'get_weather'],
  },
  {
    name: 'one when parallel calls are off',
    params: ask('Weather in both?', { tools: [WEATHER], parallel_tool_calls: false }),
    calls: ['get_weather'],
  },
])('calls $name', async ({ params, calls }) => {
  const answer = await client.chat.completions.create(params)
  const made = answer.choices[0]?.message.tool_calls ?? []
  expect(made.map((call) => (call.type === 'function' ? call.function.name : ''))).toEqual(calls)
  expect(answer.choices[0]?.finish_reason).toBe(calls.length > 0 ? 'tool_calls' : 'stop')

  const accumulated = client.chat.completions.stream({ ...params, stream: true })
  const streamed = (await accumulated.finalChatCompletion()).choices[0]?.message.tool_calls ?? []
  expect(streamed.map((call) => (call.type === 'function' ? call.function.arguments : ''))).toEqual(
    calls.map(() => '{"city":"Paris","unit":"celsius","days":7}'),
  )
})

test('speaks after a tool has answered', async () => {
  const call = { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{}' } } as const
  const answer = await client.chat.completions.create({
    model: 'gpt-4o',
    tools: [WEATHER],
    messages: [
      { role: 'user', content: 'Weather?' },
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: '21 degrees' },
    ],
  })
  expect(answer.choices[0]?.finish_reason).toBe('stop')
  expect(answer.choices[0]?.message.content).toMatch(/^You asked/)
})

test.each<{ name: string; params: Params; script: Script; content: string; finish: string }>([
  {
    name: 'stops at the limit',
    params: ask('Hi', { max_tokens: 2 }),
    script: { text: '0123456789' },
    content: '012345',
    finish: 'length',
  },
  {
    name: 'stops before a stop sequence',
    params: ask('Hi', { stop: ['six', 'two'] }),
    script: { text: 'one two three' },
    content: 'one ',
    finish: 'stop',
  },
  {
    name: 'takes a finish reason from the script',
    params: ask('Hi'),
    script: { text: 'no', finishReason: 'content_filter' },
    content: 'no',
    finish: 'content_filter',
  },
])('$name', async ({ params, script, content, finish }) => {
  const answer = await client.chat.completions.create(params, {
    headers: { 'x-simulate': JSON.stringify(script) },
  })
  expect(answer.choices[0]).toMatchObject({ finish_reason: finish, message: { content } })
})

test('answers in the schema that is asked for', async () => {
  const schema = {
    type: 'object',
    properties: { city: { type: 'string' }, temperatures: { type: 'array', items: { $ref: '#/$defs/t' } } },
    $defs: { t: { type: 'number' } },
    additionalProperties: false,
  }
  const answer = await client.chat.completions.create(
    ask('Weather', {
      response_format: { type: 'json_schema', json_schema: { name: 'w', schema, strict: true } },
    }),
  )
  expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toEqual({
    city: 'Paris',
    temperatures: [21.5],
  })
})

test('streams tool arguments of the size that is asked for', async () => {
  const accumulated = client.chat.completions.stream(
    { ...ask('Hi', { tools: [WEATHER], tool_choice: 'required' }), stream: true },
    { headers: { 'x-simulate': '{"argumentBytes":100000,"chunks":50}' } },
  )
  const message = (await accumulated.finalChatCompletion()).choices[0]?.message
  const [call] = message?.tool_calls ?? []
  expect(call?.type === 'function' && call.function.arguments).toHaveLength(100_000)
})

const user = { role: 'user', content: 'Hi' }
const calling = {
  role: 'assistant',
  tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }],
}
const result = { role: 'tool', tool_call_id: 'call_1', content: 'ok' }

test.each<{
  name: string
  body: object
  message: string | RegExp
  param: string | null
  code: string | null
}>([
  {
    name: 'no messages',
    body: {},
    message: "Missing required parameter: 'messages'.",
    param: 'messages',
    code: 'missing_required_parameter',
  },
  {
    name: 'empty messages',
    body: { messages: [] },
    message: /^Invalid 'messages': empty array/,
    param: 'messages',
    code: 'empty_array',
  },
  {
    name: 'an unknown argument',
    body: { messages: [user], stop_sequences: [] },
    message: 'Unrecognized request argument supplied: stop_sequences',
    param: null,
    code: null,
  },
  {
    name: 'an unknown field',
    body: { messages: [{ ...user, cache_control: {} }] },
    message: "Unknown parameter: 'messages[0].cache_control'.",
    param: 'messages[0].cache_control',
    code: 'unknown_parameter',
  },
  {
    name: 'an unknown role',
    body: { messages: [{ role: 'human', content: '' }] },
    message: /^Invalid value: 'human'/,
    param: 'messages[0].role',
    code: 'invalid_value',
  },
  {
    name: 'a part of another API',
    body: { messages: [{ role: 'user', content: [{ type: 'input_text', text: '' }] }] },
    message: /^Invalid value: 'input_text'/,
    param: 'messages[0].content[0].type',
    code: 'invalid_value',
  },
  {
    name: 'a wrong type',
    body: { messages: [user], temperature: '1' },
    message: "Invalid type for 'temperature': expected a decimal, but got a string instead.",
    param: 'temperature',
    code: 'invalid_type',
  },
  {
    name: 'a tool result out of nowhere',
    body: { messages: [user, result] },
    message: /must be a response to a preceeding message/,
    param: 'messages.[1].role',
    code: null,
  },
  {
    name: 'a tool result for another call',
    body: { messages: [user, calling, { ...result, tool_call_id: 'x' }] },
    message: /'tool_call_id' of 'x' not found/,
    param: 'messages.[2].tool_call_id',
    code: null,
  },
  {
    name: 'a tool call without result',
    body: { messages: [user, calling, user] },
    message: /did not have response messages: call_1$/,
    param: 'messages.[2].role',
    code: null,
  },
  {
    name: 'a tool call at the end',
    body: { messages: [user, calling] },
    message: /did not have response messages: call_1$/,
    param: 'messages',
    code: null,
  },
  {
    name: "Anthropic's tools",
    body: { messages: [user], tools: [{ name: 'f', input_schema: {} }] },
    message: "Missing required parameter: 'tools[0].type'.",
    param: 'tools[0].type',
    code: 'missing_required_parameter',
  },
  {
    name: "Anthropic's tool choice",
    body: { messages: [user], tool_choice: { type: 'tool', name: 'f' } },
    message: /^Invalid value: 'tool'/,
    param: 'tool_choice.type',
    code: 'invalid_value',
  },
  {
    name: 'a tool choice without tools',
    body: { messages: [user], tool_choice: 'auto' },
    message: /only allowed when 'tools' are specified/,
    param: 'tool_choice',
    code: null,
  },
  {
    name: 'stream options without a stream',
    body: { messages: [user], stream_options: {} },
    message: /only allowed when 'stream' is enabled/,
    param: 'stream_options',
    code: null,
  },
  {
    name: 'the old limit on a reasoning model',
    body: { model: 'o3', messages: [user], max_tokens: 5 },
    message: /Use 'max_completion_tokens' instead/,
    param: 'max_tokens',
    code: 'unsupported_parameter',
  },
  {
    name: 'a temperature on a reasoning model',
    body: { model: 'gpt-5', messages: [user], temperature: 0.2 },
    message: /does not support 0.2 with this model/,
    param: 'temperature',
    code: 'unsupported_value',
  },
  {
    name: 'an assistant that says nothing',
    body: { messages: [{ role: 'assistant', content: null }] },
    message: /expected a string, got null/,
    param: 'messages.[0].content',
    code: null,
  },
])('refuses $name', async ({ body, message, param, code }) => {
  const error = await failure(client.post('/chat/completions', { body: { model: 'gpt-4o', ...body } }))
  expect(error).toBeInstanceOf(OpenAI.BadRequestError)
  expect(error).toMatchObject({
    status: 400,
    error: { message: saying(message), type: 'invalid_request_error', param, code },
  })
  expect(await lastCall()).toMatchObject({ status: 400, inputTokens: 0, outputTokens: 0, completed: true })
})

test.each([
  { name: 'no model', body: '{"messages":[]}', status: 400, message: 'you must provide a model parameter' },
  { name: 'what is not JSON', body: '{"model":', status: 400, message: /^We could not parse the JSON body/ },
  {
    name: "another vendor's model",
    body: '{"model":"claude-x","messages":[{"role":"user","content":"Hi"}]}',
    status: 404,
    message: /`claude-x` does not exist/,
  },
])('refuses $name', async ({ body, status, message }) => {
  const response = await fetch(`${provider.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk', 'content-type': 'application/json' },
    body,
  })
  expect(response.status).toBe(status)
  expect(await response.json()).toMatchObject({ error: { message: saying(message) } })
})

test.each([
  { name: 'no key', headers: {}, code: null, message: /^You didn't provide an API key/ },
  {
    name: 'a wrong key',
    headers: { authorization: 'Bearer sk-invalid' },
    code: 'invalid_api_key',
    message: /^Incorrect API key/,
  },
  {
    name: "another vendor's way to give a key",
    headers: { 'x-api-key': 'sk' },
    code: null,
    message: /^You didn't provide/,
  },
])('refuses $name', async ({ headers, code, message }) => {
  const response = await fetch(`${provider.url}/v1/models`, { headers: headers as Record<string, string> })
  expect(response.status).toBe(401)
  expect(await response.json()).toEqual({
    error: { message: saying(message), type: 'invalid_request_error', param: null, code },
  })
})

test.each([
  { status: 400, error: OpenAI.BadRequestError, code: 'context_length_exceeded' },
  { status: 401, error: OpenAI.AuthenticationError, code: 'invalid_api_key' },
  { status: 403, error: OpenAI.PermissionDeniedError, code: 'unsupported_country_region_territory' },
  { status: 404, error: OpenAI.NotFoundError, code: 'model_not_found' },
  { status: 429, error: OpenAI.RateLimitError, code: 'rate_limit_exceeded' },
  { status: 500, error: OpenAI.InternalServerError, code: null },
  { status: 503, error: OpenAI.InternalServerError, code: 'service_unavailable' },
])('fails with $status on request', async ({ status, error, code }) => {
  provider.next({ status })
  const caught = await failure(client.chat.completions.create(ask('Hi')))
  expect(caught).toBeInstanceOf(error)
  expect(caught).toMatchObject({ status, code })
  expect((await lastCall()).inputTokens).toBe(0)
})

test('says when to come back', async () => {
  provider.next({ status: 429, retryAfterSeconds: 7 })
  const caught = await failure(client.chat.completions.create(ask('Hi')))
  const { headers } = caught as InstanceType<typeof OpenAI.RateLimitError>
  expect(headers.get('retry-after')).toBe('7')
  expect(headers.get('x-ratelimit-remaining-tokens')).toBe('0')
})

test('lists its models', async () => {
  const models = await collect(client.models.list())
  expect(models.map((model) => model.id)).toContain('gpt-4o-mini')
  expect(await client.models.retrieve('gpt-4o')).toMatchObject({ object: 'model', owned_by: 'system' })
  await expect(client.models.retrieve('gpt-0')).rejects.toThrow(OpenAI.NotFoundError)
  expect(provider.calls.map((call) => call.api)).toEqual(['models', 'models', 'models'])
})
