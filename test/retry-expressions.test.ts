/** What is asked again, and what tells against an upstream, where expressions say so. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { recordOf } from './support/records.ts'
import { sendJson } from './support/wire.ts'

const CHAT = '/v1/chat/completions'

let first: SimulatedProvider
let second: SimulatedProvider
let gateway: RunningGateway

beforeEach(async () => {
  first = await startSimulatedOpenAI()
  second = await startSimulatedOpenAI()
  const urlRewrite = { path: { prefix: '/' } }
  const ai = { routes: { [CHAT]: 'completions' } }
  const openAI = (name: string, { port }: SimulatedProvider) => ({
    name,
    hostOverride: `127.0.0.1:${port}`,
    provider: { openAI: {} },
  })
  const group = (policies: object) => ({
    ai: {
      groups: [{ providers: [openAI('first', first)] }, { providers: [openAI('second', second)] }],
      policies: { ai, ...policies },
    },
  })
  const retried = (place: string, retry: object) => ({
    name: place.slice(1),
    matches: under(place),
    policies: { urlRewrite, retry: { backoff: '1ms', ...retry } },
    backends: [openAIBackend(first)],
  })
  const judged = (place: string, unhealthyExpression: string) => ({
    name: place.slice(1),
    matches: under(place),
    policies: { urlRewrite },
    backends: [group({ health: { unhealthyExpression, eviction: { consecutiveFailures: 1 } } })],
  })
  gateway = await runGateway(
    gatewayWith([
      retried('/busy', { condition: 'response.code == 409 && response.headers["content-type"] != ""' }),
      retried('/only', { codes: [], condition: 'response.code == 409' }),
      retried('/mine', { condition: 'response.code == 409 && request.headers["x-again"] == "yes"' }),
      retried('/once', { precondition: '!("x-once" in request.headers)' }),
      {
        name: 'group',
        matches: under('/group'),
        policies: { urlRewrite, retry: { precondition: 'request.headers["x-again"] == "yes"' } },
        backends: [group({})],
      },
      judged('/strict', 'response.code == 401'),
      judged('/mild', 'response.code == 999'),
      judged('/broken', 'response.headers["x-absent"] == "1"'),
    ]),
    { RUST_LOG: 'debug' },
  )
})

afterEach(async () => {
  await gateway.close()
  await first.close()
  await second.close()
})

const ask = (place: string, headers: object = {}) =>
  sendJson(`${gateway.url}${place}${CHAT}`, chatBody(), { authorization: 'Bearer k', ...headers })

test.each([
  { place: '/busy', status: 409, isRetried: true },
  { place: '/busy', status: 400, isRetried: false },
  { place: '/busy', status: 503, isRetried: true },
  { place: '/only', status: 409, isRetried: true },
  { place: '/only', status: 503, isRetried: false },
  { place: '/mine', status: 409, headers: { 'x-again': 'yes' }, isRetried: true },
  { place: '/mine', status: 409, headers: { 'x-again': 'no' }, isRetried: false },
  { place: '/mine', status: 409, isRetried: false },
  { place: '/once', status: 503, isRetried: true },
  { place: '/once', status: 503, headers: { 'x-once': '1' }, isRetried: false },
])(
  '$place after $status, with $headers: asked again $isRetried',
  async ({ place, status, headers, isRetried }) => {
    first.next({ status })
    const reply = await ask(place, headers)
    expect(reply.status).toBe(isRetried ? 200 : status)
    expect(first.calls).toHaveLength(isRetried ? 2 : 1)
  },
)

test.each([
  { headers: { 'x-again': 'yes' }, answered: 'second', status: 200 },
  { headers: {}, answered: 'first', status: 503 },
])('of a group $answered answers, with $headers', async ({ headers, answered, status }) => {
  first.next({ status: 503 })
  const reply = await ask('/group', headers)
  expect(await recordOf(gateway, reply)).toMatchObject({ 'http.status': status, backend: answered })
})

test.each([
  { place: '/strict', status: 401, evictions: 1 },
  { place: '/strict', status: 503, evictions: 0 },
  { place: '/mild', status: 429, evictions: 0 },
  { place: '/broken', status: 503, evictions: 0 },
])('$place: $status evicts $evictions', async ({ place, status, evictions }) => {
  first.next({ status, ...(status === 429 && { retryAfterSeconds: 60 }) })
  const reply = await ask(place)
  expect(reply.status).toBe(status === 401 ? 401 : 200)
  expect(await gateway.metric('agentgateway_backend_evictions_total')).toBe(evictions)
  const next = await recordOf(gateway, await ask(place))
  expect(next.backend).toBe(evictions === 1 ? 'second' : 'first')
})

test('an attempt without an answer is a failure whatever the expression says', async () => {
  first.next({ fault: 'reset' })
  expect((await ask('/mild')).status).toBe(200)
  expect(await gateway.metric('agentgateway_backend_evictions_total')).toBe(1)
})

test.each([
  { place: '/mine', status: 409, expression: 'x-again' },
  { place: '/group', status: 503, expression: 'x-again' },
  { place: '/broken', status: 503, expression: 'x-absent' },
])(
  '$place: that an expression cannot be evaluated is told, without what was sent',
  async ({ place, status, expression }) => {
    first.next({ status })
    const reply = await ask(place, { 'x-own': 'sent-by-the-client' })
    await recordOf(gateway, reply)
    const told = gateway
      .log()
      .split('\n')
      .filter((line) => line.includes('cannot be evaluated'))
      .map((line) => JSON.parse(line))
    expect(told[0]).toMatchObject({
      level: 'debug',
      'trace.id': reply.headers['x-trace-id'],
      expression: expect.stringContaining(expression),
    })
    expect(gateway.log()).not.toContain('sent-by-the-client')
  },
)
