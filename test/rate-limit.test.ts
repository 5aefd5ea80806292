/** Limits as clients meet them: the official SDKs, the record, and the bill. */
import Anthropic, { RateLimitError as AnthropicLimit } from '@anthropic-ai/sdk'
import OpenAI, { RateLimitError as OpenAILimit } from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadConfig } from '../src/config/load.ts'
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
import { sendJson } from './support/wire.ts'

const HOURLY = { fillInterval: '1h' }

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let gateway: RunningGateway
let yaml: string

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  const keys = ['ann', 'bob'].map((user) => ({ key: `gw-key-of-${user}`, metadata: { user } }))
  yaml = gatewayWith([
    {
      name: 'claude',
      matches: under('/v1/messages'),
      policies: { localRateLimit: [{ maxTokens: 1, tokensPerFill: 1, ...HOURLY }] },
      backends: [anthropicBackend(anthropic)],
    },
    {
      name: 'tokens',
      matches: under('/tokens'),
      policies: {
        urlRewrite: { path: { prefix: '/' } },
        apiKey: { keys },
        localRateLimit: [
          { maxTokens: 10_000, tokensPerFill: 1, ...HOURLY, type: 'tokens', key: 'apiKey.user' },
        ],
      },
      backends: [openAIBackend(openAI, { backendAuth: { key: 'sk-owner' } })],
    },
    {
      name: 'gpt',
      policies: { localRateLimit: [{ maxTokens: 2, tokensPerFill: 1, ...HOURLY }] },
      backends: [openAIBackend(openAI)],
    },
  ])
  gateway = await runGateway(yaml)
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await anthropic.close()
})

test('the OpenAI SDK is told in its own way, and nobody is asked', async () => {
  const client = new OpenAI({ apiKey: 'k', baseURL: `${gateway.url}/v1`, maxRetries: 0 })
  const ask = () => client.chat.completions.create(chatBody() as never).withResponse()
  const { response } = await ask()
  expect(response.headers.get('x-ratelimit-limit')).toBe('2')
  expect(response.headers.get('x-ratelimit-remaining')).toBe('1')
  await ask()
  const calls = openAI.calls.length
  const error = await ask().catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(OpenAILimit)
  expect(error).toMatchObject({ status: 429, code: 'rate_limited', type: 'rate_limit_error' })
  const headers = (error as OpenAILimit).headers
  expect(Number(headers?.get('retry-after'))).toBeGreaterThan(3500)
  expect(headers?.get('x-ratelimit-remaining')).toBe('0')
  expect(openAI.calls.length).toBe(calls)
})

test('and Anthropic’s in its', async () => {
  const client = new Anthropic({ apiKey: 'k', baseURL: gateway.url, maxRetries: 0 })
  const ask = () => client.messages.create(messagesBody({ model: 'claude-haiku-4-5' }) as never)
  await ask()
  const error = await ask().catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(AnthropicLimit)
  expect(error).toMatchObject({
    status: 429,
    error: { type: 'error', error: { type: 'rate_limit_error', message: 'rate limit exceeded' } },
  })
})

const chat = (user: string, body: object = chatBody(), script: object = {}) =>
  sendJson(`${gateway.url}/tokens/v1/chat/completions`, body, {
    authorization: `Bearer gw-key-of-${user}`,
    'x-simulate': JSON.stringify(script),
  })

/** What the bucket has lost once all is settled: the next request's own estimate is not in it. */
async function usedBy(user: string): Promise<number> {
  const { headers } = await chat(user, { not: 'a request of a model' })
  return 10_000 - Number(headers['x-ratelimit-remaining'])
}

const counted = async () => {
  const of = (type: string) =>
    gateway.metric('agentgateway_gen_ai_client_token_usage_sum', {
      route: 'default/tokens',
      gen_ai_token_type: type,
    })
  return (await of('input')) + (await of('output'))
}

test('tokens: exactly what is billed is taken, and nothing for what failed', async () => {
  const billedBefore = openAI.calls.length
  expect((await chat('ann')).status).toBe(200)
  await chat('ann', chatBody({ stream: true }))
  await chat('ann', chatBody(), { status: 500 })
  await gateway.recorded(8)
  const billed = openAI.calls
    .slice(billedBefore)
    .reduce((sum, { inputTokens, outputTokens }) => sum + inputTokens + outputTokens, 0)
  expect(billed).toBeGreaterThan(0)
  expect(await usedBy('ann')).toBe(billed)
  expect(await usedBy('bob')).toBe(0)
})

test.each([
  { fault: 'reset' },
  { fault: 'midstream-error', afterChunks: 2 },
  { fault: 'close', afterChunks: 2 },
])('tokens: after %j as much is taken as is counted', async (script) => {
  await chat('ann', chatBody({ stream: true }), script)
  await expect.poll(async () => (await usedBy('ann')) - (await counted())).toBe(0)
})

test('the metrics say why', async () => {
  const metrics = await gateway.metrics()
  const limited = metrics
    .split('\n')
    .filter((line) => line.startsWith('agentgateway_requests_total{') && line.includes('reason="RateLimit"'))
  expect(limited).toHaveLength(2)
  for (const line of limited) expect(line).toMatch(/status="429".* 1$/)
})

test('a reload forgets nothing', async () => {
  const used = await usedBy('ann')
  expect(used).toBeGreaterThan(0)
  const again = loadConfig({ text: yaml, file: 'test.yaml', environment: {} })
  if (!again.ok) throw new Error('the configuration is not valid')
  await gateway.gateway.reload(again.config)
  expect(await usedBy('ann')).toBe(used)
})
