/** The top-level `llm:`: models of several providers at one address, as the official clients see them. */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import { chatBody, messagesBody, toYaml } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { send, sendJson } from './support/wire.ts'

let openAI: SimulatedProvider
let other: SimulatedProvider
let claude: SimulatedProvider
let gateway: RunningGateway

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  other = await startSimulatedOpenAI()
  claude = await startSimulatedAnthropic()
})

// Nobody is evicted for what happened in another test.
beforeEach(async () => {
  for (const provider of [openAI, other, claude]) provider.clear()
  const at = ({ port }: SimulatedProvider) => `http://127.0.0.1:${port}`
  const guard = { regex: { rules: [{ pattern: 'Voldemort' }] } }
  const keys = [
    { key: 'gw-all' },
    { key: 'gw-some', allowedModels: ['gpt-4o-mini', 'smart', 'claude-*'] },
    { key: 'gw-none', allowedModels: [] },
  ]
  gateway = await runGateway(
    toYaml({
      llm: {
        port: 0,
        providers: [{ name: 'main', provider: 'openAI', params: { apiKey: 'sk-main', baseUrl: at(openAI) } }],
        models: [
          {
            name: 'gpt-4o-mini',
            provider: { reference: 'main' },
            responseHeaders: { set: { 'x-from': 'main' } },
          },
          { name: 'fast', provider: { reference: 'main' }, params: { model: 'gpt-4o-mini' } },
          {
            name: 'spare',
            provider: 'openAI',
            visibility: 'internal',
            params: { model: 'gpt-4o', apiKey: 'sk-spare', baseUrl: `${at(other)}/v1` },
          },
          {
            name: 'claude-*',
            provider: 'anthropic',
            params: { apiKey: 'sk-ant-claude', baseUrl: at(claude) },
            requestHeaders: { set: { 'x-team': 'a' } },
          },
        ],
        virtualModels: [
          {
            name: 'smart',
            routing: {
              failover: {
                targets: [
                  { model: 'gpt-4o-mini', priority: 0 },
                  { model: 'claude-haiku-4-5', priority: 1 },
                ],
              },
            },
          },
          {
            name: 'by-length',
            routing: {
              conditional: {
                targets: [
                  { when: 'llmRequest.max_tokens > 1000', model: 'spare' },
                  { when: "request.headers['x-tier'] == 'gold'", model: 'fast' },
                ],
              },
            },
          },
        ],
        policies: {
          apiKey: { keys },
          localRateLimit: [
            { maxTokens: 100_000, tokensPerFill: 1, fillInterval: '1h', type: 'tokens', key: "'all'" },
          ],
          guardrails: { request: [guard] },
        },
      },
    }),
  )
})

afterEach(() => gateway.close())

afterAll(async () => {
  await openAI.close()
  await other.close()
  await claude.close()
})

const client = (apiKey = 'gw-all') => new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 })
const anthropic = (apiKey = 'gw-all') =>
  new Anthropic({ apiKey, authToken: null, baseURL: gateway.url, maxRetries: 0 })
const chat = (model: string, more: object = {}) => ({ ...chatBody({ model }), ...more }) as never

describe('a model is asked where it is', () => {
  test.each([
    { model: 'gpt-4o-mini', sent: 'gpt-4o-mini', key: 'Bearer sk-main' },
    { model: 'fast', sent: 'gpt-4o-mini', key: 'Bearer sk-main' },
  ])('$model', async ({ model, sent, key }) => {
    const answer = await client().chat.completions.create(chat(model)).withResponse()
    expect(answer.data.choices[0]?.message.content).toBeTruthy()
    expect(openAI.calls).toMatchObject([
      { path: '/v1/chat/completions', model: sent, headers: { authorization: key } },
    ])
    expect(answer.response.headers.get('x-from')).toBe(model === 'fast' ? null : 'main')
    const [record] = await gateway.recorded(1)
    expect(record).toMatchObject({
      backend: model,
      route: 'internal/llm',
      'gen_ai.request.model': sent,
      'gen_ai.usage.input_tokens': openAI.calls[0]?.inputTokens,
    })
  })

  test('a name that fits a pattern, by either API, whole and in pieces', async () => {
    const model = 'claude-haiku-4-5'
    const whole = await client().chat.completions.create(chat(model))
    expect(whole.choices[0]?.message.content).toBeTruthy()
    let text = ''
    for await (const chunk of await client().chat.completions.create({
      ...chatBody({ model }),
      stream: true,
    } as OpenAI.ChatCompletionCreateParamsStreaming))
      text += chunk.choices[0]?.delta.content ?? ''
    expect(text).not.toBe('')
    const message = await anthropic().messages.create(messagesBody({ model }) as never)
    expect(message.content[0]).toMatchObject({ type: 'text' })
    const streamed = await anthropic()
      .messages.stream(messagesBody({ model: 'fast' }) as never)
      .finalMessage()
    expect(streamed.content[0]).toMatchObject({ type: 'text' })
    const counted = await anthropic().messages.countTokens({
      ...messagesBody({ model }),
      max_tokens: undefined,
    } as never)
    expect(counted.input_tokens).toBeGreaterThan(0)
    expect(
      claude.calls.map((call) => [call.model, call.headers['x-api-key'], call.headers['x-team']]),
    ).toEqual(Array.from({ length: 4 }, () => [model, 'sk-ant-claude', 'a']))
    const [record] = await gateway.recorded(1)
    expect(record).toMatchObject({ backend: 'claude-*' })
  })

  test('responses and embeddings, too', async () => {
    const answer = await client().responses.create({ model: 'fast', input: 'Hello!' })
    expect(answer.output_text).toBeTruthy()
    const { data } = await client().embeddings.create({ model: 'fast', input: 'Hello!' })
    expect(data).toHaveLength(1)
    expect(openAI.calls.map(({ path }) => path)).toEqual(['/v1/responses', '/v1/embeddings'])
  })

  test('the guards of the section look at it', async () => {
    await client().chat.completions.create(
      chat('fast', { messages: [{ role: 'user', content: 'Hi Voldemort' }] }),
    )
    expect(openAI.calls[0]?.body).toContain('Hi <masked>')
  })
})

describe('a virtual model', () => {
  test.each([false, true])('fails over to the next target (stream: %s)', async (stream) => {
    openAI.next({ status: 503 })
    if (stream) {
      let text = ''
      for await (const chunk of await client('gw-some').chat.completions.create({
        ...chatBody({ model: 'smart' }),
        stream: true,
      } as OpenAI.ChatCompletionCreateParamsStreaming))
        text += chunk.choices[0]?.delta.content ?? ''
      expect(text).not.toBe('')
    } else {
      const answer = await client('gw-some').chat.completions.create(chat('smart'))
      expect(answer.model).toContain('claude-haiku-4-5')
    }
    expect(claude.calls).toMatchObject([{ model: 'claude-haiku-4-5' }])
    const [record] = await gateway.recorded(1)
    expect(record).toMatchObject({ backend: 'claude-haiku-4-5', 'retry.attempt': 1, outcome: 'completed' })
    expect(await gateway.metric('agentgateway_backend_up', { group: 'smart', backend: 'gpt-4o-mini' })).toBe(
      1,
    )
  })

  test('chooses by the body and by headers, and asks models that clients cannot', async () => {
    await client().chat.completions.create(chat('by-length', { max_tokens: 2000 }))
    expect(other.calls).toMatchObject([{ model: 'gpt-4o', headers: { authorization: 'Bearer sk-spare' } }])
    await client().chat.completions.create(chat('by-length'), { headers: { 'x-tier': 'gold' } })
    expect(openAI.calls).toMatchObject([{ model: 'gpt-4o-mini' }])
    await expect(client().chat.completions.create(chat('by-length'))).rejects.toMatchObject({
      status: 400,
      code: 'virtual_model_no_matching_target',
    })
  })
})

describe('what cannot be asked is told in the client’s API', () => {
  test.each([
    { key: 'gw-all', body: chatBody({ model: 'gpt-5' }), status: 404, code: 'model_not_found' },
    { key: 'gw-all', body: chatBody({ model: 'spare' }), status: 404, code: 'model_not_found' },
    { key: 'gw-all', body: { messages: [] }, status: 400, code: 'missing_model' },
    { key: 'gw-all', body: { ...chatBody(), model: 7 }, status: 400, code: 'missing_model' },
    { key: 'gw-some', body: chatBody({ model: 'fast' }), status: 403, code: 'model_not_allowed' },
    { key: 'gw-none', body: chatBody(), status: 403, code: 'model_not_allowed' },
    { key: 'wrong', body: chatBody(), status: 401, code: 'unauthenticated' },
  ])('$code', async ({ key, body, status, code }) => {
    await expect(client(key).chat.completions.create(body as never)).rejects.toMatchObject({ status, code })
    const asked = anthropic(key).messages.create({ ...body, max_tokens: 10 } as never)
    await expect(asked).rejects.toMatchObject({ status, error: { type: 'error' } })
    expect(openAI.calls).toEqual([])
  })

  test('a path that no API has, and a body that is none', async () => {
    const headers = { authorization: 'Bearer gw-all' }
    expect(await sendJson(`${gateway.url}/v1/audio/speech`, chatBody(), headers)).toMatchObject({
      status: 404,
      body: expect.stringContaining('route_not_found'),
    })
    expect(await send(`${gateway.url}/v1/chat/completions`, { headers, body: '{"model":' })).toMatchObject({
      status: 400,
      body: expect.stringContaining('invalid_body'),
    })
    expect(await send(`${gateway.url}/v1/chat/completions`, { headers })).toMatchObject({
      status: 405,
      headers: { allow: 'POST' },
    })
  })
})

describe('the list of models', () => {
  const PUBLIC = ['gpt-4o-mini', 'fast', 'claude-*', 'smart', 'by-length']

  test.each([
    { key: 'gw-all', ids: PUBLIC },
    { key: 'gw-some', ids: ['gpt-4o-mini', 'smart'] },
    { key: 'gw-none', ids: [] },
  ])('is for $key what it may ask', async ({ key, ids }) => {
    const { data } = await client(key).models.list()
    expect(data.map(({ id }) => id)).toEqual(ids)
    expect((await anthropic(key).models.list()).data.map(({ id }) => id)).toEqual(ids)
    expect(openAI.calls).toEqual([])
  })

  test('is in the form of the API that asks, at either path', async () => {
    const headers = { authorization: 'Bearer gw-some' }
    const { body } = await send(`${gateway.url}/models`, { headers })
    expect(JSON.parse(body)).toEqual({
      object: 'list',
      data: [
        { id: 'gpt-4o-mini', object: 'model', created: expect.any(Number), owned_by: 'openai' },
        { id: 'smart', object: 'model', created: expect.any(Number), owned_by: 'agentgateway' },
      ],
    })
    const anthropics = { ...headers, 'anthropic-version': '2023-06-01' }
    expect(JSON.parse((await send(`${gateway.url}/v1/models`, { headers: anthropics })).body)).toEqual({
      data: [
        { type: 'model', id: 'gpt-4o-mini', display_name: 'gpt-4o-mini', created_at: expect.any(String) },
        { type: 'model', id: 'smart', display_name: 'smart', created_at: expect.any(String) },
      ],
      first_id: 'gpt-4o-mini',
      has_more: false,
      last_id: 'smart',
    })
  })

  test.each([
    { key: 'gw-all', id: 'gpt-4o-mini', owner: 'openai' },
    { key: 'gw-all', id: 'claude-sonnet-4-5', owner: 'anthropic' },
    { key: 'gw-all', id: 'claude-*', owner: 'anthropic' },
    { key: 'gw-all', id: 'claude-a/b', owner: 'anthropic' },
    { key: 'gw-some', id: 'smart', owner: 'agentgateway' },
  ])('tells $key of $id', async ({ key, id, owner }) => {
    expect(await client(key).models.retrieve(id)).toEqual({
      id,
      object: 'model',
      created: expect.any(Number),
      owned_by: owner,
    })
    expect(await anthropic(key).models.retrieve(id)).toMatchObject({ type: 'model', id, display_name: id })
    const headers = { authorization: `Bearer ${key}` }
    const paths = [`/models/${id}`, `/v1/models/${encodeURIComponent(id)}`]
    for (const path of paths) {
      const { status, body } = await send(`${gateway.url}${path}`, { headers })
      expect([status, JSON.parse(body).id]).toEqual([200, id])
    }
  })

  test.each([
    { key: 'gw-all', id: 'nobody' },
    { key: 'gw-some', id: 'fast' },
    { key: 'gw-some', id: 'claude-*' },
    { key: 'gw-none', id: 'gpt-4o-mini' },
    { key: 'gw-all', id: '%zz' },
  ])('tells $key of no $id', async ({ key, id }) => {
    await expect(client(key).models.retrieve(id)).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    })
    await expect(anthropic(key).models.retrieve(id)).rejects.toMatchObject({
      status: 404,
      error: { type: 'error', error: { type: 'not_found_error' } },
    })
    const headers = { authorization: `Bearer ${key}` }
    expect(await send(`${gateway.url}/v1/models/${id}`, { headers })).toMatchObject({ status: 404 })
  })

  test('has no model that could be asked for otherwise than by GET', async () => {
    const headers = { authorization: 'Bearer gw-all' }
    expect(await send(`${gateway.url}/v1/models/fast`, { method: 'DELETE', headers })).toMatchObject({
      status: 405,
    })
    expect(await send(`${gateway.url}/v1/models/`, { headers })).toMatchObject({ status: 404 })
  })

  test('is not for those without a key', async () => {
    expect(await send(`${gateway.url}/v1/models/fast`)).toMatchObject({ status: 401 })
    expect(await send(`${gateway.url}/v1/models`)).toMatchObject({ status: 401 })
    await expect(anthropic('wrong').models.list()).rejects.toMatchObject({
      status: 401,
      error: { type: 'error', error: { type: 'authentication_error' } },
    })
  })
})
