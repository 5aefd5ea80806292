/** Budgets as clients meet them: the official SDKs, the provider's bill, restarts, a killed process, two gateways. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import Anthropic, { RateLimitError as AnthropicLimit } from '@anthropic-ai/sdk'
import OpenAI, { RateLimitError as OpenAILimit } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../src/config/load.ts'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import { findPostgres, type Postgres, startPostgres } from '../src/store/postgres.fixture.ts'
import { type Command, endCommands, ready, startCommand } from './support/command.ts'
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

const KEYS = ['ann', 'bob'].map((user) => ({ key: `gw-key-of-${user}`, metadata: { user } }))
/** USD per million tokens. */
const PRICE = { input: 7, output: 11 }
const CATALOG = [
  { inline: { providers: { openai: { models: { 'gpt-4o-mini': { rates: PRICE } } } } } },
  { inline: { providers: { openai: { models: { 'gpt-4o-mini-2024-07-18': { rates: PRICE } } } } } },
]
const USERS = { name: 'users', limit: { usd: '0.01' }, window: 'month', key: 'apiKey.user' }
const TOKENS = { name: 'tokens', limit: { tokens: 1_000_000 }, window: 'month' }

let folder: string
let openAI: SimulatedProvider
let anthropic: SimulatedProvider
/** Started with the others: that takes a while. */
let toBeKilled: Command

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'budgets-'))
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  toBeKilled = startCommand(['-c', yamlWith(join(folder, 'killed.db'))])
})
afterAll(async () => {
  endCommands()
  await openAI.close()
  await anthropic.close()
  rmSync(folder, { recursive: true })
})

function yamlWith(url: string, budgets: readonly object[] = [USERS, TOKENS]): string {
  const small = { ...TOKENS, name: 'small', limit: { tokens: 1 } }
  return gatewayWith(
    [
      {
        name: 'claude',
        matches: under('/v1/messages'),
        policies: { budgets: [small] },
        backends: [anthropicBackend(anthropic)],
      },
      {
        name: 'gpt',
        policies: { apiKey: { keys: KEYS }, budgets },
        backends: [openAIBackend(openAI, { backendAuth: { key: 'sk-owner' } })],
      },
    ],
    { config: { database: { url }, modelCatalog: CATALOG } },
  )
}

const chat = (url: string, user: string, body: object = chatBody(), script: object = {}) =>
  sendJson(`${url}/v1/chat/completions`, body, {
    authorization: `Bearer gw-key-of-${user}`,
    'x-simulate': JSON.stringify(script),
  })

/** What fails costs nothing, and is told what is left all the same. */
async function leftOf(url: string, user: string, budget = 'tokens'): Promise<number> {
  const { headers } = await chat(url, user, chatBody(), { status: 400 })
  return Number(headers[`x-budget-${budget}-remaining`])
}

const billedFrom = (first: number) => {
  const calls = openAI.calls.slice(first)
  return {
    tokens: calls.reduce((sum, { inputTokens, outputTokens }) => sum + inputTokens + outputTokens, 0),
    usd: calls.reduce(
      (sum, { inputTokens, outputTokens }) =>
        sum + (inputTokens * PRICE.input + outputTokens * PRICE.output) / 1e6,
      0,
    ),
  }
}

describe('one gateway', () => {
  let gateway: RunningGateway
  let url: string
  let yaml: string

  beforeAll(async () => {
    yaml = yamlWith(join(folder, 'one.db'))
    gateway = await runGateway(yaml)
    url = gateway.url
  })
  afterAll(() => gateway.close())

  test('takes what the provider bills, over a restart too', async () => {
    const first = openAI.calls.length
    await chat(url, 'ann')
    await chat(url, 'ann', chatBody({ stream: true }))
    await chat(url, 'bob', chatBody({ text: 'Something longer than the others. '.repeat(20) }))
    await chat(url, 'ann', chatBody(), { status: 500 })
    await gateway.recorded(4)
    const billed = billedFrom(first)
    expect(billed.tokens).toBeGreaterThan(0)
    expect(await leftOf(url, 'ann')).toBe(1_000_000 - billed.tokens)
    const left = await leftOf(url, 'ann', 'users')
    expect(left + (await leftOf(url, 'bob', 'users'))).toBeCloseTo(0.02 - billed.usd, 5)
    const used = await gateway.metric('agentgateway_budget_spent_total', { budget: 'users', unit: 'usd' })
    expect(Math.abs(used - billed.usd)).toBeLessThan(1e-9)

    await gateway.close()
    gateway = await runGateway(yaml)
    url = gateway.url
    const kept = await gateway.metric('agentgateway_budget_used', { budget: 'tokens' })
    expect(kept).toBe(billed.tokens)
    expect(await leftOf(url, 'ann')).toBe(1_000_000 - billed.tokens)
    expect(await leftOf(url, 'ann', 'users')).toBe(left)
  })

  test.each([
    { fault: 'reset' },
    { fault: 'midstream-error', afterChunks: 2 },
    { fault: 'close', afterChunks: 2 },
  ])('takes after %j what its record says', async (script) => {
    const counted = async () => {
      const sum = 'agentgateway_gen_ai_client_token_usage_sum'
      const of = (type: string) => gateway.metric(sum, { route: 'default/gpt', gen_ai_token_type: type })
      return (await of('input')) + (await of('output'))
    }
    const spent = () => gateway.metric('agentgateway_budget_spent_total', { budget: 'tokens' })
    await chat(url, 'bob', chatBody({ stream: true }), script)
    await expect.poll(async () => (await spent()) - (await counted())).toBe(0)
  })

  test('refuses whoever has spent it, in the words of OpenAI’s SDK, and nobody else', async () => {
    const client = new OpenAI({ apiKey: 'gw-key-of-ann', baseURL: `${url}/v1`, maxRetries: 0 })
    const text = 'words '.repeat(800)
    const ask = () => client.chat.completions.create(chatBody({ text }) as never)
    const asked = async () => {
      for (;;) await ask()
    }
    const error = await asked().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(OpenAILimit)
    expect(error).toMatchObject({
      status: 429,
      code: 'budget_exceeded',
      message: expect.stringMatching(
        /budget users \(0.01 USD per month\) is spent: it is renewed at \d{4}-\d\d-01T00:00:00Z/,
      ),
    })
    const { headers } = error as OpenAILimit
    const now = new Date()
    const nextMonth = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1)
    expect(Number(headers?.get('retry-after'))).toBeCloseTo((nextMonth - now.getTime()) / 1000, -2)
    expect(headers?.get('x-budget-users-remaining')).toBe('0.000000')
    expect((await chat(url, 'bob')).status).toBe(200)
    const record = JSON.stringify(gateway.records().find((one) => one['http.status'] === 429))
    expect(record).toContain('"reason":"RateLimit"')
    expect(record).toContain('budget users (0.01 USD per month) is spent')
    expect(
      await gateway.metric('agentgateway_budget_exceeded_total', { budget: 'users', action: 'refuse' }),
    ).toBe(1)
  })

  test('and in those of Anthropic’s', async () => {
    const client = new Anthropic({ apiKey: 'k', baseURL: url, maxRetries: 0 })
    const ask = () => client.messages.create(messagesBody({ model: 'claude-haiku-4-5' }) as never)
    await ask()
    const error = await ask().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(AnthropicLimit)
    expect(error).toMatchObject({ status: 429, error: { error: { type: 'rate_limit_error' } } })
  })
})

test('a reload keeps what was spent; a budget that is left out is told no more', async () => {
  const url = join(folder, 'reload.db')
  const gateway = await runGateway(yamlWith(url, [TOKENS]))
  await chat(gateway.url, 'ann')
  const used = 1_000_000 - (await leftOf(gateway.url, 'ann'))
  expect(used).toBeGreaterThan(0)
  const reload = (budgets: readonly object[]) => {
    const loaded = loadConfig({ text: yamlWith(url, budgets), file: 'test.yaml', environment: {} })
    if (!loaded.ok) throw new Error('the configuration is not valid')
    return gateway.gateway.reload(loaded.config)
  }
  await reload([{ ...TOKENS, limit: { tokens: used } }])
  expect((await chat(gateway.url, 'ann')).status).toBe(429)
  await reload([USERS])
  const metrics = await gateway.metrics()
  expect(metrics).toContain('agentgateway_budget_limit{budget="users",unit="usd"} 0.01')
  expect(metrics).not.toContain('agentgateway_budget_limit{budget="tokens"')
  expect(metrics).not.toContain('agentgateway_budget_used{budget="tokens"')
  await reload([TOKENS])
  expect(1_000_000 - (await leftOf(gateway.url, 'ann'))).toBe(used)
  await gateway.close()
})

test('a reload that is refused changes nothing', async () => {
  const requests = (maxTokens: number) => ({ maxTokens, tokensPerFill: 1, fillInterval: '24h' })
  const yaml = (budget: object, maxTokens: number, key: unknown) =>
    gatewayWith(
      [
        {
          policies: { budgets: [budget], localRateLimit: [requests(maxTokens)] },
          backends: [openAIBackend(openAI, { backendAuth: { key: 'sk-owner' } })],
        },
        { matches: under('/other'), backends: [openAIBackend(openAI, { backendAuth: { key } })] },
      ],
      { config: { database: { url: 'off' } } },
    )
  const gateway = await runGateway(yaml(TOKENS, 10, 'sk-owner'))
  const ask = async () => (await sendJson(`${gateway.url}/v1/chat/completions`, chatBody())).headers
  await ask()
  const { 'x-budget-tokens-remaining': left } = await ask()
  expect(Number(left)).toBeLessThan(1_000_000)
  const text = yaml({ ...TOKENS, limit: { tokens: 5 }, window: '1m' }, 1000, { file: '/none' })
  const loaded = loadConfig({ text, file: 'test.yaml', environment: {} })
  if (!loaded.ok) throw new Error('the configuration is not valid')
  await expect(gateway.gateway.reload(loaded.config)).rejects.toThrow('/none')
  const answer = await ask()
  expect(answer['x-ratelimit-limit']).toBe('10')
  expect(Number(answer['x-budget-tokens-remaining'])).toBeLessThan(Number(left))
  expect(await gateway.metric('agentgateway_budget_limit', { budget: 'tokens' })).toBe(1_000_000)
  await gateway.close()
})

test.each(['1e999', '1e308', '-1e12'])(
  'a request for %s tokens reserves none that are no number',
  async (maxTokens) => {
    const gateway = await runGateway(yamlWith('off', [{ ...TOKENS, limit: { tokens: 10 } }]))
    const headers = { authorization: 'Bearer gw-key-of-ann', 'content-type': 'application/json' }
    const body = JSON.stringify(chatBody()).replace('{', `{"max_tokens":${maxTokens},`)
    const script = (firstDelayMs: number) => ({ 'x-simulate': JSON.stringify({ status: 400, firstDelayMs }) })
    const asks = [100, 110, 120].map((ms) =>
      send(`${gateway.url}/v1/chat/completions`, { headers: { ...headers, ...script(ms) }, body }),
    )
    await Promise.all(asks)
    expect((await chat(gateway.url, 'ann')).status).toBe(200)
    expect((await chat(gateway.url, 'ann')).status).toBe(429)
    await gateway.close()
  },
)

test('without a database the log says what that means, and spending goes on', async () => {
  const gateway = await runGateway(yamlWith('off', [{ ...TOKENS, limit: { tokens: 1 }, action: 'warn' }]))
  for (let index = 0; index < 3; index++) expect((await chat(gateway.url, 'ann')).status).toBe(200)
  await gateway.close()
  const lines = (text: string) => gateway.log().split(text).length - 1
  expect(lines('counted in memory, and forgotten at the end')).toBe(1)
  expect(lines('a budget is spent, and requests go on')).toBe(1)
})

test('a killed process loses the last second at most', async () => {
  const yaml = yamlWith(join(folder, 'killed.db'))
  const { url } = await ready(toBeKilled)
  const first = openAI.calls.length
  await chat(url, 'ann')
  await chat(url, 'bob', chatBody({ stream: true }))
  await setTimeout(1000)
  toBeKilled.kill('SIGKILL')
  await toBeKilled.exited
  const gateway = await runGateway(yaml)
  expect(await leftOf(gateway.url, 'ann')).toBe(1_000_000 - billedFrom(first).tokens)
  await gateway.close()
})

const programs = findPostgres()
describe.skipIf(programs === undefined)('two gateways on one PostgreSQL', () => {
  let server: Postgres
  let gateways: RunningGateway[]

  beforeAll(async () => {
    server = await startPostgres(programs ?? '')
    const yaml = yamlWith(await server.newUrl())
    gateways = await Promise.all([runGateway(yaml), runGateway(yaml)])
  })
  afterAll(async () => {
    await Promise.all(gateways.map((gateway) => gateway.close()))
    await server.close()
  })

  const spendOnBoth = () =>
    Promise.all(gateways.flatMap(({ url }) => [chat(url, 'ann'), chat(url, 'bob'), chat(url, 'ann')]))

  test('add up, while the server is away too', async () => {
    const first = openAI.calls.length
    const allKnow = () =>
      expect
        .poll(() => Promise.all(gateways.map(({ url }) => leftOf(url, 'ann'))), { interval: 100 })
        .toEqual(gateways.map(() => 1_000_000 - billedFrom(first).tokens))
    await spendOnBoth()
    await allKnow()
    await server.stop()
    await spendOnBoth()
    await server.start()
    await allKnow()
  })
})
