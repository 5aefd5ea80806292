/** What real worker processes share: limits, budgets, sessions of MCP. */
import { globSync } from 'node:fs'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Agent, fetch } from 'undici'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../../src/demo/provider.ts'
import { endCommands } from '../support/command.ts'
import { chatBody, gatewayWith, openAIBackend, under } from '../support/configuration.ts'
import { type Lab, openSession, startLab, textOf } from '../support/mcp-lab.ts'
import { type Reply, send } from '../support/wire.ts'
import { type Crew, replaced, startCrew } from '../support/workers.ts'

const HOURLY = { tokensPerFill: 1, fillInterval: '1h' }
const PRICE = { input: 7, output: 11 }

let provider: SimulatedProvider
let server: Lab
beforeAll(async () => {
  provider = await startSimulatedOpenAI()
  server = await startLab({ name: 'lab' })
})
afterEach(() => endCommands())
afterAll(async () => {
  await provider.close()
  await server.stop()
})

const said = { directResponse: { status: 200, body: 'hello' } }
const models = (policies: object) => ({ name: 'gpt', policies, backends: [openAIBackend(provider)] })

const startTwo = (
  routes: readonly object[],
  config: object = {},
  environment: Readonly<Record<string, string>> = {},
) => startCrew(['-c', gatewayWith(routes as never, { config }), '--workers', '2'], { environment })

const mcpRoute = () => ({
  name: 'mcp',
  matches: under('/mcp'),
  backends: [{ mcp: { targets: [{ name: 'lab', mcp: { host: server.url } }] } }],
})

/** Each on a connection of its own, which the system gives to one of the workers. */
const atOnce = <T>(count: number, ask: () => Promise<T>) => Promise.all(Array.from({ length: count }, ask))

const chat = ({ url }: Crew, more: object = {}, script: object = {}, signal?: AbortSignal) =>
  send(`${url}/v1/chat/completions`, {
    body: JSON.stringify({ ...chatBody(), ...more }),
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer k',
      'x-simulate': JSON.stringify(script),
    },
    ...(signal && { signal }),
  })

/** Longer than a test. */
const HELD = { firstDelayMs: 600_000 }

const billedFrom = (first: number) =>
  provider.calls
    .slice(first)
    .reduce((sum, { inputTokens, outputTokens }) => sum + inputTokens + outputTokens, 0)

/** A request that is under way at the provider, and whose worker is killed with the others. */
async function killedWith(crew: Crew, begin: () => Promise<Reply>, whileUnderWay: () => Promise<void>) {
  const underWay = begin().catch(() => undefined)
  await provider.waitFor(() => provider.inFlight > 0)
  await whileUnderWay()
  for (const pid of crew.pids()) process.kill(pid, 'SIGKILL')
  await replaced(crew, 2)
  expect(await underWay).toBeUndefined()
}

test('a limit of requests is one for all: so many pass, however many come at once', async () => {
  const crew = await startTwo([
    { name: 'said', policies: { ...said, localRateLimit: [{ maxTokens: 100, ...HOURLY }] } },
  ])
  const replies = await atOnce(300, () => send(crew.url))
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(100)
  const refused = replies.filter(({ status }) => status === 429)
  expect(refused).toHaveLength(200)
  for (const { headers } of refused) {
    expect(headers).toMatchObject({ 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '0' })
    expect(Number(headers['retry-after'])).toBeGreaterThan(3500)
  }
  expect(await crew.sum('agentgateway_requests_total')).toBe(300)
})

test('a limit of tokens takes what is used, and gets back what a killed worker had reserved', async () => {
  const limit = { maxTokens: 100_000, ...HOURLY, type: 'tokens' }
  const crew = await startTwo([models({ localRateLimit: [limit] })])
  const left = async () => Number((await chat(crew, {}, { status: 400 })).headers['x-ratelimit-remaining'])
  const reservedByOne = 100_000 - (await left())
  const first = provider.calls.length
  const replies = await atOnce(40, () => chat(crew, { max_tokens: 1000 }))
  expect(replies.every(({ status }) => status === 200)).toBe(true)
  const billed = billedFrom(first)
  expect(billed).toBeGreaterThan(0)
  await expect.poll(left).toBe(100_000 - reservedByOne - billed)
  await killedWith(
    crew,
    () => chat(crew, { max_tokens: 90_000 }, HELD),
    async () => {
      expect((await chat(crew, { max_tokens: 90_000 })).status).toBe(429)
    },
  )
  await expect.poll(left).toBe(100_000 - reservedByOne - billed)
})

test('a budget is one for all, kept and counted once, and gets back what a killed worker had reserved', async () => {
  const budgets = [
    { name: 'tokens', limit: { tokens: 20_000 }, window: 'month' },
    { name: 'money', limit: { usd: '1000' }, window: 'month', action: 'warn' },
  ]
  const rates = { providers: { openai: { models: { 'gpt-4o-mini-2024-07-18': { rates: PRICE } } } } }
  const crew = await startTwo([models({ budgets })], { modelCatalog: [{ inline: rates }] })
  const left = async () =>
    Number((await chat(crew, {}, { status: 400 })).headers['x-budget-tokens-remaining'])
  expect(await left()).toBe(20_000)
  // Nineteen and a half fit: the twentieth is the last.
  const leaving = new AbortController()
  const refused: Reply[] = []
  const underWay = atOnce(60, async () => {
    const reply = await chat(crew, { max_tokens: 1000 }, HELD, leaving.signal).catch(() => undefined)
    if (reply !== undefined) refused.push(reply)
  })
  await expect.poll(() => refused.length).toBe(40)
  expect(refused.every(({ status }) => status === 429)).toBe(true)
  await provider.waitFor(() => provider.inFlight === 20)
  leaving.abort()
  await underWay
  await provider.waitFor(() => provider.inFlight === 0)
  await expect.poll(left).toBe(20_000)

  const first = provider.calls.length
  const replies = await atOnce(30, () => chat(crew))
  expect(replies.every(({ status }) => status === 200)).toBe(true)
  const billed = billedFrom(first)
  await expect.poll(left).toBe(20_000 - billed)
  await expect.poll(() => crew.sum('agentgateway_budget_used')).toBeGreaterThan(billed)
  const samples = await crew.samples()
  expect(samples.get('agentgateway_budget_used{budget="tokens",unit="tokens"}')).toBe(billed)
  expect(samples.get('agentgateway_budget_spent_total{budget="tokens",unit="tokens"}')).toBe(billed)
  expect(samples.get('agentgateway_budget_exceeded_total{budget="tokens",action="refuse"}')).toBe(40)
  const usd = provider.calls
    .slice(first)
    .reduce((sum, call) => sum + (call.inputTokens * PRICE.input + call.outputTokens * PRICE.output) / 1e6, 0)
  expect(samples.get('agentgateway_budget_spent_total{budget="money",unit="usd"}')).toBeCloseTo(usd, 9)
  await killedWith(
    crew,
    () => chat(crew, { max_tokens: 20_000 }, HELD),
    async () => {
      expect(await chat(crew)).toMatchObject({
        status: 429,
        body: expect.stringContaining('under way'),
      })
    },
  )
  expect((await chat(crew)).status).toBe(200)
})

test('a session of MCP goes on at whichever worker its requests arrive, and each has one record', async () => {
  const crew = await startTwo([mcpRoute()])
  // Without keep-alive each request is on a connection of its own.
  const dispatcher = new Agent({ pipelining: 0 })
  let asked = 0
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { sampling: {} } })
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant',
    model: 'test',
    content: { type: 'text', text: 'sampled' },
  }))
  const changed = Promise.withResolvers<void>()
  client.setNotificationHandler('notifications/tools/list_changed', () => changed.resolve())
  const transport = new StreamableHTTPClientTransport(new URL(`${crew.url}/mcp`), {
    fetch: ((url: string, init: object) => {
      asked += 1
      return fetch(url, { ...init, dispatcher })
    }) as unknown as typeof globalThis.fetch,
  })
  await client.connect(transport)
  for (let index = 0; index < 20; index += 1)
    expect(textOf(await client.callTool({ name: 'echo', arguments: { message: `${index}` } }))).toBe(
      `lab says ${index}`,
    )
  expect(textOf(await client.callTool({ name: 'sample' }))).toContain('sampled')
  await client.callTool({ name: 'add_tool' })
  await changed.promise
  expect(await crew.sum('agentgateway_mcp_sessions_active')).toBe(1)
  await transport.terminateSession()
  await client.close()
  await dispatcher.close()
  await crew.command.line(() => crew.records().length >= asked)
  expect(crew.records()).toHaveLength(asked)
  expect(crew.records().every((record) => record['src.addr'] === '127.0.0.1')).toBe(true)
  expect(await crew.sum('agentgateway_requests_total')).toBe(asked)
  expect(await crew.sum('agentgateway_mcp_sessions_active')).toBe(0)

  const socketsLeft = () => globSync('agentgateway-*/workers.sock', { cwd: crew.folder })
  expect(socketsLeft()).toHaveLength(1)
  crew.command.kill('SIGTERM')
  expect(await crew.command.exited).toMatchObject({ code: 0, stderr: '' })
  expect(socketsLeft()).toEqual([])
})

test.runIf(process.platform === 'linux')('MCP needs no folder that can be written to', async () => {
  const crew = await startTwo([mcpRoute()], {}, { TMPDIR: '/proc' })
  await openSession(`${crew.url}/mcp`)
  expect(await crew.sum('agentgateway_mcp_sessions_active')).toBe(1)
})
