/** Rules for requests: judged by the key that was presented, told to each client in its own API's words. */
import Anthropic, { PermissionDeniedError as AnthropicRefusal } from '@anthropic-ai/sdk'
import OpenAI, { PermissionDeniedError as OpenAIRefusal } from 'openai'
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
  hostBackend,
  messagesBody,
  openAIBackend,
  under,
} from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { send } from './support/wire.ts'

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let gateway: RunningGateway

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  const policies = {
    apiKey: {
      keys: [
        { key: 'gw-ann', metadata: { user: 'ann', group: 'platform' } },
        { key: 'gw-bob', metadata: { user: 'bob', group: 'sales' } },
      ],
    },
    authorization: {
      rules: ['apiKey.group == "platform"', { deny: 'request.path.endsWith("/embeddings")' }],
    },
  }
  const inside = { authorization: { rules: [{ require: 'source.address == "10.0.0.1"' }] } }
  gateway = await runGateway(
    gatewayWith([
      {
        matches: under('/v1/messages'),
        policies,
        backends: [anthropicBackend(anthropic, { backendAuth: { key: 'sk-ant-owner' } })],
      },
      { matches: under('/inside'), policies: inside, backends: [hostBackend(openAI)] },
      { policies, backends: [openAIBackend(openAI, { backendAuth: { key: 'sk-owner' } })] },
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await anthropic.close()
})

const openAIClient = (apiKey: string) => new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 })
const anthropicClient = (apiKey: string) => new Anthropic({ apiKey, baseURL: gateway.url, maxRetries: 0 })

test('whoever the rules allow passes, in both APIs', async () => {
  await openAIClient('gw-ann').chat.completions.create(chatBody() as never)
  await anthropicClient('gw-ann').messages.create(messagesBody() as never)
  expect([openAI.calls.length, anthropic.calls.length]).toEqual([1, 1])
})

test('whoever they do not is told so, and no provider is asked', async () => {
  await expect(openAIClient('gw-bob').chat.completions.create(chatBody() as never)).rejects.toThrow(
    OpenAIRefusal,
  )
  await expect(openAIClient('gw-ann').embeddings.create({ model: 'm', input: 'a' })).rejects.toThrow(
    OpenAIRefusal,
  )
  await expect(anthropicClient('gw-bob').messages.create(messagesBody() as never)).rejects.toThrow(
    AnthropicRefusal,
  )
  expect(await send(`${gateway.url}/inside`)).toMatchObject({ status: 403, body: 'authorization failed' })
  expect([openAI.calls.length, anthropic.calls.length]).toEqual([1, 1])
})

test('the record says why', async () => {
  await gateway.recorded(6)
  const refused = gateway.records().filter(({ 'http.status': status }) => status === 403)
  expect(refused.length).toBe(4)
  for (const record of refused)
    expect(record).toMatchObject({ reason: 'Authorization', error: 'authorization failed' })
})
