/** Keys for some models: judged by the name that the client used, in each API, whatever becomes of it afterwards. */
import Anthropic, { PermissionDeniedError as AnthropicRefusal } from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import {
  anthropicBackend,
  chatBody,
  gatewayWith,
  messagesBody,
  openAIBackend,
  under,
} from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { type Reply, send, sendJson } from './support/wire.ts'

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let gateway: RunningGateway

const ROUTES = { '/v1/chat/completions': 'completions', '/v1/models': 'models', '*': 'passthrough' }

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  const policies = {
    apiKey: {
      keys: [
        { key: 'gw-all' },
        { key: 'gw-some', allowedModels: ['fast', 'gpt-4o-m*', 'claude-sonnet-*'] },
        { key: 'gw-none', allowedModels: [] },
      ],
    },
  }
  const ai = { routes: ROUTES, modelAliases: { fast: 'gpt-4o', 'gpt-4o-mini': 'gpt-4o' } }
  gateway = await runGateway(
    gatewayWith([
      {
        matches: under('/v1/messages'),
        policies,
        backends: [anthropicBackend(anthropic, { backendAuth: { key: 'sk-ant-owner' } })],
      },
      { policies, backends: [openAIBackend(openAI, { ai, backendAuth: { key: 'sk-owner' } })] },
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await anthropic.close()
})

const chat = (key: string, body: object): Promise<Reply> =>
  sendJson(`${gateway.url}/v1/chat/completions`, body, { authorization: `Bearer ${key}` })

test.each([
  { key: 'gw-some', model: 'fast', status: 200 },
  { key: 'gw-some', model: 'gpt-4o-mini', status: 200 },
  { key: 'gw-some', model: 'gpt-4o', status: 403 },
  { key: 'gw-all', model: 'gpt-4o', status: 200 },
  { key: 'gw-none', model: 'gpt-4o', status: 403 },
])('$key and $model: $status', async ({ key, model, status }) => {
  const calls = openAI.calls.length
  expect(await chat(key, chatBody({ model }))).toMatchObject({ status })
  expect(openAI.calls.length - calls).toBe(status === 200 ? 1 : 0)
})

test('both APIs are told which model it was', async () => {
  const client = new OpenAI({ apiKey: 'gw-some', baseURL: `${gateway.url}/v1`, maxRetries: 0 })
  await expect(client.chat.completions.create(chatBody({ model: 'o3' }) as never)).rejects.toMatchObject({
    status: 403,
    code: 'model_not_allowed',
    message: '403 model o3 is not allowed for this API key',
  })
  const other = new Anthropic({ apiKey: 'gw-some', baseURL: gateway.url, maxRetries: 0 })
  const asked = messagesBody({ model: 'claude-opus-4-5' }) as never
  await expect(other.messages.create(asked)).rejects.toThrow(AnthropicRefusal)
  await expect(other.messages.create(asked)).rejects.toThrow('model claude-opus-4-5 is not allowed')
  await other.messages.create(messagesBody() as never)
})

test.each([
  { name: 'Model beside model', body: { ...chatBody(), Model: 'gpt-4o' } },
  { name: 'Model instead of model', body: { messages: [], Model: 'gpt-4o-mini' } },
  { name: 'no text', body: { ...chatBody(), model: ['gpt-4o-mini'] } },
])('what might be another model is refused: $name', async ({ body }) => {
  const calls = openAI.calls.length
  expect((await chat('gw-some', body)).status).toBeGreaterThanOrEqual(400)
  expect(openAI.calls.length).toBe(calls)
})

test('what is passed on unread is not for a key of some models; a list is for all', async () => {
  const headers = { authorization: 'Bearer gw-some' }
  expect(await sendJson(`${gateway.url}/v1/files`, chatBody(), headers)).toMatchObject({
    status: 403,
    body: expect.stringContaining('model_not_allowed'),
  })
  expect(await send(`${gateway.url}/v1/models`, { headers })).toMatchObject({ status: 200 })
})
