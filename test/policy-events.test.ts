/** What policies did about a request, as a collector and the access log are told it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { type Collector, startCollector } from './support/collector.ts'
import { chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { type Echo, startEcho } from './support/echo.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { recordOf } from './support/records.ts'
import { type Reply, sendJson } from './support/wire.ts'

const CHAT = '/v1/chat/completions'
const KEY = 'gw-key-of-ann'

let first: SimulatedProvider
let second: SimulatedProvider
let authz: Echo
let collector: Collector
let gateway: RunningGateway

beforeAll(async () => {
  first = await startSimulatedOpenAI()
  second = await startSimulatedOpenAI()
  authz = await startEcho('authz')
  collector = await startCollector({ protocol: 'http' })
  const urlRewrite = { path: { prefix: '/' } }
  const apiKey = { keys: [{ key: KEY, metadata: { user: 'ann' } }], mode: 'optional' }
  const openAI = (name: string, { port }: SimulatedProvider) => ({
    name,
    hostOverride: `127.0.0.1:${port}`,
    provider: { openAI: {} },
    policies: { backendAuth: { key: 'k' } },
  })
  const route = (place: string, policies: object, backends: readonly object[]) => ({
    name: place,
    matches: under(`/${place}`),
    policies: { urlRewrite, apiKey, ...policies },
    backends,
  })
  const backend = (policies = {}) => [openAIBackend(second, { backendAuth: { key: 'k' }, ...policies })]
  const extAuthz = { host: authz.address, protocol: { http: {} }, includeRequestHeaders: ['x-answer'] }
  const hourly = { tokensPerFill: 1, fillInterval: '1h' }
  gateway = await runGateway(
    gatewayWith(
      [
        route(
          'limited',
          {
            localRateLimit: [
              { maxTokens: 9, ...hourly },
              { maxTokens: 1, ...hourly, key: 'apiKey.user' },
            ],
          },
          backend(),
        ),
        route('tokens', { localRateLimit: [{ maxTokens: 1, ...hourly, type: 'tokens' }] }, backend()),
        route(
          'budget',
          { budgets: [{ name: 'small', limit: { tokens: 1 }, window: 'month', key: 'apiKey.user' }] },
          backend(),
        ),
        route(
          'warned',
          { budgets: [{ name: 'soft', limit: { tokens: 1 }, window: 'month', action: 'warn' }] },
          backend(),
        ),
        route('judged', { extAuthz }, backend()),
        route('open', { extAuthz: { ...extAuthz, failureMode: 'allow' } }, backend()),
        route('retried', { retry: { attempts: 1, backoff: '1ms' } }, [
          openAIBackend(first, { backendAuth: { key: 'k' } }),
        ]),
        route('group', {}, [
          {
            ai: {
              groups: [{ providers: [openAI('first', first)] }, { providers: [openAI('second', second)] }],
              policies: {
                ai: { routes: { [CHAT]: 'completions' } },
                health: { eviction: { consecutiveFailures: 1, duration: '7s' } },
              },
            },
          },
        ]),
        route('narrow', {}, [
          openAIBackend(first, {
            backendAuth: { key: 'k' },
            http: { maxRequests: 1, maxPendingRequests: 1 },
          }),
        ]),
      ],
      { config: { tracing: { otlpEndpoint: collector.url, otlpProtocol: 'http', randomSampling: true } } },
    ),
  )
})

afterAll(async () => {
  await gateway.close()
  await collector.close()
  await first.close()
  await second.close()
  authz.close()
})

const ask = (place: string, headers: object = {}) =>
  sendJson(`${gateway.url}/${place}${CHAT}`, chatBody(), { 'x-api-key': KEY, ...headers })

/** Of its SERVER span, but for what every one has. */
async function eventsOf({ headers }: Reply) {
  const traceId = headers['x-trace-id']
  const isIts = (span: { traceId: string; kind: string }) =>
    span.traceId === traceId && span.kind === 'server'
  const spans = await collector.waitFor((all) => all.some(isIts))
  const server = spans.find(isIts)
  expect(JSON.stringify(server?.eventAttributes)).not.toContain(KEY)
  return (server?.events ?? [])
    .map((name, index) => ({ name, ...server?.eventAttributes[index] }))
    .filter(({ name }) => name !== 'agentgateway.response_head_sent')
}

const HASH = /^[0-9a-f]{8}$/

test('a request that nothing happened to has none', async () => {
  expect(await eventsOf(await ask('judged'))).toEqual([])
})

test('a limit that is reached: which, how much, and whose by a hash', async () => {
  await ask('limited')
  const reply = await ask('limited')
  expect(reply.status).toBe(429)
  expect(await eventsOf(reply)).toEqual([
    {
      name: 'agentgateway.rate_limit.exceeded',
      'agentgateway.policy': 'localRateLimit[1]',
      'agentgateway.limit': '1 requests per 3600s',
      'agentgateway.key.hash': expect.stringMatching(HASH),
    },
  ])
})

test('a limit of tokens, for all: no hash', async () => {
  await ask('tokens')
  const reply = await ask('tokens')
  expect(reply.status).toBe(429)
  expect(await eventsOf(reply)).toEqual([
    {
      name: 'agentgateway.rate_limit.exceeded',
      'agentgateway.policy': 'localRateLimit[0]',
      'agentgateway.limit': '1 tokens per 3600s',
    },
  ])
})

test.each([
  { place: 'budget', status: 429, policy: 'small', action: 'refuse', hash: expect.stringMatching(HASH) },
  { place: 'warned', status: 200, policy: 'soft', action: 'warn', hash: undefined },
])('a budget that is spent: $action', async ({ place, status, policy, action, hash }) => {
  await recordOf(gateway, await ask(place))
  const reply = await ask(place)
  expect(reply.status).toBe(status)
  const [event] = await eventsOf(reply)
  expect(event).toMatchObject({
    name: 'agentgateway.budget.exceeded',
    'agentgateway.policy': policy,
    'agentgateway.action': action,
  })
  expect(event).toHaveProperty(['agentgateway.limit'], expect.stringMatching(/^1 tokens /))
  expect((event as Record<string, unknown> | undefined)?.['agentgateway.key.hash']).toEqual(hash)
})

test.each([
  { place: 'judged', answer: 403, status: 403, name: 'denied' },
  { place: 'judged', answer: 500, status: 403, name: 'failed', action: 'deny' },
  { place: 'open', answer: 500, status: 200, name: 'failed', action: 'allow' },
])('$place: the service answers $answer', async ({ place, answer, status, name, action }) => {
  const reply = await ask(place, { 'x-answer': JSON.stringify({ status: answer }) })
  expect(reply.status).toBe(status)
  const policy = authz.address
  expect(await eventsOf(reply)).toEqual([
    action === undefined
      ? {
          name: `agentgateway.ext_authz.${name}`,
          'agentgateway.policy': policy,
          'http.response.status_code': answer,
        }
      : {
          name: `agentgateway.ext_authz.${name}`,
          'agentgateway.policy': policy,
          'agentgateway.action': action,
          'agentgateway.cause': `${policy} answered ${answer}`,
        },
  ])
})

test('another attempt, after a pause', async () => {
  first.next({ status: 503 })
  const reply = await ask('retried')
  expect(await eventsOf(reply)).toEqual([
    {
      name: 'agentgateway.backend.retry',
      'agentgateway.backend': 'openai',
      'agentgateway.duration': expect.any(Number),
      'agentgateway.cause': 'provider_overloaded',
      'http.response.status_code': 503,
    },
  ])
  expect(await recordOf(gateway, reply)).toMatchObject({
    'retry.attempt': 1,
    'retry.backoff': expect.stringMatching(/ms$/),
  })
})

test('one of a group fails: it is evicted, and another answers', async () => {
  first.next({ fault: 'reset' })
  const reply = await ask('group')
  expect(await eventsOf(reply)).toEqual([
    {
      name: 'agentgateway.backend.evicted',
      'agentgateway.backend': 'first',
      'agentgateway.duration': 7,
      'agentgateway.cause': 'provider_reset',
    },
    {
      name: 'agentgateway.backend.failover',
      'agentgateway.backend': 'second',
      'agentgateway.backend.previous': 'first',
      'agentgateway.cause': 'provider_reset',
    },
  ])
  expect(await recordOf(gateway, reply)).toMatchObject({ backend: 'second', evicted: 'first' })
})

test('one waits for its turn, and one finds no room to wait', async () => {
  const release = first.hold()
  const before = first.calls.length
  const begun = ask('narrow')
  await first.waitFor(() => first.inFlight === 1)
  const waiting = ask('narrow')
  await expect.poll(() => gateway.metric('agentgateway_requests_in_flight')).toBe(2)
  const shed = await ask('narrow')
  expect(shed.status).toBe(503)
  expect(await eventsOf(shed)).toEqual([
    { name: 'agentgateway.backend.shed', 'agentgateway.backend': 'openai' },
  ])
  release()
  expect(await eventsOf(await begun)).toEqual([])
  const waited = await waiting
  expect(await eventsOf(waited)).toEqual([
    {
      name: 'agentgateway.backend.queued',
      'agentgateway.endpoint': `127.0.0.1:${first.port}`,
      'agentgateway.duration': expect.any(Number),
    },
  ])
  expect(await recordOf(gateway, waited)).toMatchObject({ queued: expect.stringMatching(/ms$/) })
  expect(first.calls.length).toBe(before + 2)
})
