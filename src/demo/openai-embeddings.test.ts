import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from './provider.ts'

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

const model = 'text-embedding-3-small'

test('gives the same unit vector in both encodings', async () => {
  const float = await client.embeddings.create({ model, input: 'Hello', encoding_format: 'float' })
  const base64 = await client.embeddings.create({ model, input: 'Hello' })
  const vector = float.data[0]?.embedding ?? []
  expect(vector).toHaveLength(1536)
  expect(Math.hypot(...vector)).toBeCloseTo(1, 5)
  expect([...(base64.data[0]?.embedding ?? [])]).toEqual(vector)
  expect(float.usage).toEqual({ prompt_tokens: 1, total_tokens: 1 })
  expect(provider.calls[0]).toMatchObject({ api: 'embeddings', inputTokens: 1, outputTokens: 0, status: 200 })
})

test.each([
  { name: 'several texts', input: ['Hello', 'to all!!!'], dimensions: 8, vectors: 2, tokens: 4 },
  { name: 'tokens', input: [1, 2, 3], dimensions: 8, vectors: 1, tokens: 3 },
  { name: 'lists of tokens', input: [[1, 2], [3]], dimensions: 4, vectors: 2, tokens: 3 },
])('embeds $name', async ({ input, dimensions, vectors, tokens }) => {
  const answer = await client.embeddings.create({ model, input, dimensions })
  expect(answer.data.map((one) => one.embedding.length)).toEqual(Array(vectors).fill(dimensions))
  expect(answer.usage.prompt_tokens).toBe(tokens)
})

test.each([
  { name: 'an empty text', body: { input: '' }, message: /is invalid/ },
  { name: 'no input', body: {}, message: "Missing required parameter: 'input'." },
  {
    name: 'an unknown argument',
    body: { input: 'x', stream: true },
    message: 'Unrecognized request argument supplied: stream',
  },
  {
    name: 'too many dimensions',
    body: { input: 'x', dimensions: 4000 },
    message: /less than or equal to 1536/,
  },
])('refuses $name', async ({ body, message }) => {
  const error = await failure(client.post('/embeddings', { body: { model, ...body } }))
  expect(error).toMatchObject({ status: 400, error: { message: saying(message) } })
})
