/** What a request takes while it is under way is given back however it ends: its turn, and the tokens reserved for it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadConfig } from '../src/config/load.ts'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import { chatBody, gatewayWith, openAIBackend } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { type Reply, send } from './support/wire.ts'

const TOKENS = 1_000_000
const MAX_TOKENS = 50
const CARD = 'Card 4111 1111 1111 1111, to be held. '.repeat(3)

const SCRIPTS: readonly Script[] = [
  {},
  { gzip: true },
  { fault: 'missing-usage' },
  { status: 400 },
  { status: 429, retryAfterSeconds: 0 },
  { status: 503, retryAfterSeconds: 3600 },
  { fault: 'reset' },
  { fault: 'reset', afterChunks: 0 },
  { fault: 'reset', afterChunks: 3 },
  { fault: 'stall' },
  { fault: 'never' },
  { fault: 'garbage' },
  { fault: 'garbage-http' },
  { fault: 'truncate', afterChunks: 1 },
  { fault: 'midstream-error', afterChunks: 2 },
  { text: CARD, chunks: 12 },
  { text: CARD, chunks: 20, fault: 'reset', afterChunks: 5 },
]

let provider: SimulatedProvider
let gateway: RunningGateway

function configuration(generation: number, timeout = '200ms'): string {
  const reject = (pattern: string) => [{ regex: { action: 'reject', rules: [{ pattern }] } }]
  return gatewayWith(
    [
      {
        policies: {
          localRateLimit: [{ type: 'tokens', maxTokens: TOKENS, tokensPerFill: 1, fillInterval: '24h' }],
          budgets: [{ name: 'all', limit: { tokens: TOKENS }, window: 'month' }],
          timeout: { backendRequestTimeout: timeout, idleTimeout: timeout },
          retry: { attempts: 1, backoff: '1ms' },
          responseHeaderModifier: { set: { 'x-generation': String(generation) } },
          ai: { promptGuard: { request: reject('forbidden'), response: reject('4111[ \\d]+') } },
        },
        backends: [openAIBackend(provider, { http: { maxRequests: 3, maxPendingRequests: 5 } })],
      },
    ],
    { config: { database: { url: 'off' } } },
  )
}

beforeAll(async () => {
  provider = await startSimulatedOpenAI()
  gateway = await runGateway(configuration(0))
})

afterAll(async () => {
  await gateway.close()
  await provider.close()
})

function reload(generation: number, timeout?: string): Promise<void> {
  const loaded = loadConfig({ text: configuration(generation, timeout), file: 'test.yaml', environment: {} })
  if (!loaded.ok) throw new Error('the configuration is not valid')
  return gateway.gateway.reload(loaded.config)
}

const bodyOf = (stream: boolean, text?: string) =>
  JSON.stringify({ ...chatBody({ stream, text }), max_tokens: MAX_TOKENS })

const ask = (script: Script, body = bodyOf(false), signal?: AbortSignal): Promise<Reply> =>
  send(`${gateway.url}/v1/chat/completions`, {
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer sk-of-the-client',
      'x-simulate': JSON.stringify(script),
    },
    body,
    signal,
  })

const underWay = (count: number) =>
  expect.poll(() => gateway.metric('agentgateway_requests_in_flight')).toBe(count)

/** Some of the clients leave, after so many milliseconds. */
async function askAll(stream: boolean, leaveMs: number | undefined): Promise<void> {
  const signal = () => (leaveMs === undefined ? undefined : AbortSignal.timeout(leaveMs))
  const asks = SCRIPTS.map((script) => () => ask(script, bodyOf(stream), signal()))
  asks.push(() => ask({}, bodyOf(stream, 'This is forbidden.'), signal()))
  for (let at = 0; at < asks.length; at += 6)
    await Promise.allSettled(asks.slice(at, at + 6).map((start) => start()))
}

test('whatever becomes of requests, over reloads too', async () => {
  let generation = 0
  for (const stream of [false, true])
    for (const leaveMs of [undefined, 1, 10, 40]) {
      await askAll(stream, leaveMs)
      generation += 1
      await reload(generation)
    }
  await underWay(0)

  const outcomes = new Set(gateway.records().map(({ outcome }) => outcome))
  for (const outcome of ['completed', 'client_abort', 'rejected', 'timeout', 'upstream_error'])
    expect(outcomes).toContain(outcome)
  const count = (record: Readonly<Record<string, unknown>>, type: string) =>
    Number(record[`gen_ai.usage.${type}_tokens`] ?? 0)
  const used = gateway
    .records()
    .reduce((sum, record) => sum + count(record, 'input') + count(record, 'output'), 0)
  expect(used).toBeGreaterThan(0)
  const reply = await ask({ status: 400 })
  expect(Number(reply.headers['x-budget-all-remaining'])).toBe(TOKENS - used)
  // It says what is left while its own request is reserved.
  const reserved = Math.ceil(bodyOf(false).length / 4) + MAX_TOKENS
  expect(Number(reply.headers['x-ratelimit-remaining'])).toBe(TOKENS - used - reserved)

  // All turns are taken, for as long as this test wants, and all places in the queue.
  await reload(0, '60s')
  const ending = new AbortController()
  const held = [0, 1, 2].map(() => ask({ fault: 'never' }, bodyOf(false), ending.signal))
  await provider.waitFor(() => provider.inFlight === 3)
  const leaving = new AbortController()
  const left = ask({}, bodyOf(false), leaving.signal)
  await underWay(4)
  leaving.abort()
  await expect(left).rejects.toThrow()
  await underWay(3)
  await reload(1, '60s')
  const served = Array.from({ length: 5 }, () => ask({}))
  await underWay(8)
  expect((await ask({})).status).toBe(503)
  ending.abort()
  const ended = await Promise.allSettled(held)
  expect(ended.map(({ status }) => status)).toEqual(Array(3).fill('rejected'))
  expect((await Promise.all(served)).map(({ status }) => status)).toEqual(Array(5).fill(200))
})
