/** Clients with keys of the gateway: the official SDKs, MCP, and the record of who it was. */
import Anthropic, { AuthenticationError as AnthropicRefusal } from '@anthropic-ai/sdk'
import OpenAI, { AuthenticationError as OpenAIRefusal } from 'openai'
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
import { send, sendJson } from './support/wire.ts'

const KEY = 'gw-4f2a-ann'

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let gateway: RunningGateway

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  const policies = { apiKey: { keys: [{ key: KEY, metadata: { user: 'ann', group: 'platform' } }] } }
  const guard = { cors: { allowOrigins: ['https://a.example'], allowMethods: ['POST'] }, ...policies }
  gateway = await runGateway(
    gatewayWith(
      [
        {
          matches: under('/v1/messages'),
          policies,
          backends: [anthropicBackend(anthropic, { backendAuth: { key: 'sk-ant-owner' } })],
        },
        { policies: guard, backends: [openAIBackend(openAI, { backendAuth: { key: 'sk-owner' } })] },
      ],
      { config: { database: { url: 'sqlite::memory:' } } },
    ),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await anthropic.close()
})

const openAIClient = (apiKey: string) => new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 })
const anthropicClient = (apiKey: string) => new Anthropic({ apiKey, baseURL: gateway.url, maxRetries: 0 })

test('the right key opens both APIs, and the providers see only the owner’s', async () => {
  await openAIClient(KEY).chat.completions.create(chatBody() as never)
  await anthropicClient(KEY).messages.create(messagesBody() as never)
  expect(openAI.calls.at(-1)?.headers.authorization).toBe('Bearer sk-owner')
  expect(anthropic.calls.at(-1)?.headers['x-api-key']).toBe('sk-ant-owner')
  expect(JSON.stringify([openAI.calls, anthropic.calls])).not.toContain(KEY)
})

test('a wrong one, or none, costs the owner nothing', async () => {
  const calls = openAI.calls.length + anthropic.calls.length
  await expect(openAIClient('sk-owner').chat.completions.create(chatBody() as never)).rejects.toThrow(
    OpenAIRefusal,
  )
  await expect(anthropicClient('gw').messages.create(messagesBody() as never)).rejects.toThrow(
    AnthropicRefusal,
  )
  const none = await sendJson(`${gateway.url}/v1/chat/completions`, chatBody())
  expect(none.status).toBe(401)
  expect(none.headers['www-authenticate']).toBe('Bearer')
  expect(JSON.parse(none.body)).toEqual({
    error: {
      message:
        'api key authentication failure: no API Key found, expected authorization: Bearer KEY or x-api-key: KEY',
      type: 'authentication_error',
      param: null,
      code: 'unauthenticated',
    },
  })
  expect(openAI.calls.length + anthropic.calls.length).toBe(calls)
})

test('a browser’s preflight needs none', async () => {
  const { status } = await send(`${gateway.url}/v1/chat/completions`, {
    method: 'OPTIONS',
    headers: { origin: 'https://a.example', 'access-control-request-method': 'POST' },
  })
  expect(status).toBe(200)
})

test('the record says who it was', async () => {
  await gateway.recorded(6)
  const answer = await sendJson(`${gateway.adminUrl}/api/logs/search`, { includeAttributes: true })
  const { logs } = JSON.parse(answer.body) as {
    logs: { user?: string; group?: string; httpStatus: number; errorType?: string }[]
  }
  const kept = logs.map(({ user, group, httpStatus, errorType }) => ({ user, group, httpStatus, errorType }))
  const ann = { user: 'ann', group: 'platform', httpStatus: 200, errorType: undefined }
  const refused = { user: undefined, group: undefined, httpStatus: 401, errorType: 'policy_rejected' }
  expect(kept.filter(({ httpStatus }) => httpStatus === 200).length).toBe(3)
  expect(kept.filter(({ user }) => user === 'ann')).toEqual([ann, ann])
  expect(kept.filter(({ httpStatus }) => httpStatus === 401)).toEqual([refused, refused, refused])
  expect(JSON.stringify(answer.body)).not.toContain(KEY)
})
