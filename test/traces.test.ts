/** Traces as a caller, a provider and a collector see them: one tree, whoever began it, and no price for those without. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import { type Collector, type CollectorOptions, type Span, startCollector } from './support/collector.ts'
import { chatBody, gatewayWith, hostBackend, openAIBackend, under } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { type Ask, open, type Reply, sendJson } from './support/wire.ts'

let provider: SimulatedProvider
const opened: { close: () => Promise<void> }[] = []

beforeAll(async () => {
  provider = await startSimulatedOpenAI()
})

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close()
  provider.clear()
})

afterAll(() => provider.close())

async function collect(options: CollectorOptions = {}): Promise<Collector> {
  const collector = await startCollector(options)
  opened.push(collector)
  return collector
}

async function run(tracing: object | undefined): Promise<RunningGateway> {
  const routes = [
    { name: 'plain', matches: under('/plain'), backends: [hostBackend(provider)] },
    { name: 'chat', matches: under('/v1'), backends: [openAIBackend(provider)] },
  ]
  const gateway = await runGateway(gatewayWith(routes, tracing === undefined ? {} : { config: { tracing } }))
  opened.push(gateway)
  return gateway
}

/** Closing sends what there is, without the second that it would wait for more. */
async function spansAtEnd(gateway: RunningGateway, collector: Collector): Promise<readonly Span[]> {
  opened.splice(opened.indexOf(gateway), 1)
  await gateway.close()
  expect(collector.spans).toHaveLength(3)
  return collector.spans
}

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'

const chat = (gateway: RunningGateway, headers: Ask['headers'] = {}, script: Script = {}): Promise<Reply> =>
  sendJson(`${gateway.url}/v1/chat/completions`, chatBody({ stream: true }), {
    authorization: 'Bearer sk-test',
    'x-simulate': JSON.stringify(script),
    ...headers,
  })

describe.each([{ protocol: 'grpc' }, { protocol: 'http' }] as const)('over $protocol', ({ protocol }) => {
  test('it sends one tree: the request, the call of the model, the attempt that the provider saw', async () => {
    const collector = await collect({ protocol })
    const gateway = await run({ otlpEndpoint: collector.url, otlpProtocol: protocol, randomSampling: true })
    const reply = await chat(gateway, {}, { text: 'One two three.' })
    const traceId = reply.headers['x-trace-id']
    const spans = await collector.waitFor((seen) => seen.length === 3)

    const [server] = spans.filter(({ kind }) => kind === 'server')
    const call = spans.find(({ parentSpanId }) => parentSpanId === server?.spanId)
    const attempt = spans.find(({ parentSpanId }) => parentSpanId === call?.spanId)
    expect(spans.map((span) => span.traceId)).toEqual([traceId, traceId, traceId])
    expect(server).toMatchObject({
      parentSpanId: '',
      hasFailed: false,
      attributes: {
        'http.request.method': 'POST',
        'http.response.status_code': 200,
        'agentgateway.route': 'default/chat',
      },
    })
    const [billed] = provider.calls
    expect(call).toMatchObject({
      name: 'chat gpt-4o-mini',
      kind: 'client',
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'gpt-4o-mini',
        'gen_ai.response.model': billed?.responseModel,
        'gen_ai.usage.input_tokens': billed?.inputTokens,
        'gen_ai.usage.output_tokens': billed?.outputTokens,
      },
      events: ['gen_ai.first_token'],
    })
    expect(attempt).toMatchObject({ kind: 'client', attributes: { 'http.response.status_code': 200 } })
    expect(billed?.traceparent).toBe(`00-${traceId}-${attempt?.spanId}-01`)
    expectNested([server, call, attempt])
    expect(server?.resource['service.name']).toEqual(expect.stringMatching(/\S/))
  })
})

/** Each within the one before. */
function expectNested(spans: readonly (Span | undefined)[]) {
  for (const [index, inner] of spans.entries()) {
    const outer = spans[index - 1] ?? inner
    expect(inner?.startNanos).toBeGreaterThanOrEqual(outer?.startNanos ?? 0n)
    expect(inner?.endNanos).toBeLessThanOrEqual(outer?.endNanos ?? 0n)
    expect(inner?.endNanos).toBeGreaterThan(inner?.startNanos ?? 0n)
  }
}

test('it continues the trace of a caller, and hands on tracestate and baggage', async () => {
  const collector = await collect()
  const gateway = await run({ otlpEndpoint: collector.url })
  const reply = await chat(gateway, {
    traceparent: `00-${TRACE}-${PARENT}-01`,
    tracestate: 'vendor=1,other=2',
    baggage: 'user=alice,team=a',
  })
  const spans = await spansAtEnd(gateway, collector)
  const server = spans.find(({ kind }) => kind === 'server')
  expect(server).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, traceState: 'vendor=1,other=2' })
  expect(reply.headers['x-trace-id']).toBe(TRACE)
  const [call] = provider.calls
  expect(call?.traceparent).toMatch(new RegExp(`^00-${TRACE}-(?!${PARENT})[0-9a-f]{16}-01$`))
  expect(call?.headers).toMatchObject({ tracestate: 'vendor=1,other=2', baggage: 'user=alice,team=a' })
})

test.each([
  { name: 'a caller that does not sample', header: `00-${TRACE}-${PARENT}-00`, trace: TRACE },
  {
    name: 'a caller that samples, where tracing is off',
    header: `00-${TRACE}-${PARENT}-01`,
    trace: TRACE,
    off: true,
  },
])('it hands on the context of $name and records nothing', async ({ header, trace, off = false }) => {
  const collector = await collect()
  const gateway = await run(off ? undefined : { otlpEndpoint: collector.url, randomSampling: true })
  const reply = await chat(gateway, { traceparent: header, tracestate: 'vendor=1' })
  expect(reply.headers['x-trace-id']).toBe(trace)
  const [call] = provider.calls
  expect(call?.traceparent).toBe(header)
  expect(call?.headers.tracestate).toBe('vendor=1')
  opened.splice(opened.indexOf(gateway), 1)
  await gateway.close()
  expect(collector.spans).toEqual([])
})

test.each<{ name: string; headers: Ask['headers'] }>([
  { name: 'no header', headers: {} },
  { name: 'a malformed header', headers: { traceparent: `00-${TRACE}-xyz-01` } },
  { name: 'zeros', headers: { traceparent: `00-${'0'.repeat(32)}-${PARENT}-01` } },
])('it begins a trace of its own at $name', async ({ headers }) => {
  const collector = await collect()
  const gateway = await run({ otlpEndpoint: collector.url, randomSampling: true })
  const reply = await chat(gateway, headers)
  const traceId = String(reply.headers['x-trace-id'])
  expect(traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/)
  expect(traceId).not.toBe(TRACE)
  const spans = await spansAtEnd(gateway, collector)
  expect(spans.every((span) => span.traceId === traceId)).toBe(true)
  expect(provider.calls[0]?.traceparent).toContain(traceId)
})

test('it samples by default only what a caller samples', async () => {
  const collector = await collect()
  const gateway = await run({ otlpEndpoint: collector.url })
  const own = await chat(gateway)
  await chat(gateway, { traceparent: `00-${TRACE}-${PARENT}-01` })
  const spans = await spansAtEnd(gateway, collector)
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]))
  expect(own.headers['x-trace-id']).toMatch(/^[0-9a-f]{32}$/)
})

test.each<{ name: string; script: Script; errorType: string; status: number }>([
  { name: 'a refusal', script: { status: 429 }, errorType: 'provider_rate_limited', status: 429 },
  { name: 'a reset', script: { fault: 'reset' }, errorType: 'provider_reset', status: 503 },
  {
    name: 'a broken stream',
    script: { fault: 'midstream-error', afterChunks: 2, chunks: 5 },
    errorType: 'provider_stream_error',
    status: 200,
  },
])('it marks $name of the provider on the spans that it concerns', async ({ script, errorType, status }) => {
  const collector = await collect()
  const gateway = await run({ otlpEndpoint: collector.url, randomSampling: true })
  await chat(gateway, {}, script)
  const spans = await spansAtEnd(gateway, collector)
  const server = spans.find(({ kind }) => kind === 'server')
  const call = spans.find(({ parentSpanId }) => parentSpanId === server?.spanId)
  expect(server?.attributes).toMatchObject({ 'error.type': errorType, 'http.response.status_code': status })
  expect(call).toMatchObject({ hasFailed: true, attributes: { 'error.type': errorType } })
})

test('it records a client that leaves, without calling that a failure of the server', async () => {
  const collector = await collect()
  const gateway = await run({ otlpEndpoint: collector.url, randomSampling: true })
  const response = await open(`${gateway.url}/v1/chat/completions`, {
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer sk-test',
      'x-simulate': '{"fault":"stall","afterChunks":2,"chunks":4}',
    },
    body: JSON.stringify(chatBody({ stream: true })),
  })
  response.destroy()
  await gateway.recorded(1)
  const spans = await spansAtEnd(gateway, collector)
  const server = spans.find(({ kind }) => kind === 'server')
  expect(server).toMatchObject({ hasFailed: false, attributes: { 'agentgateway.outcome': 'client_abort' } })
})

describe('a collector that', () => {
  test.each([
    { name: 'is down', options: undefined },
    { name: 'refuses', options: { protocol: 'http', status: 503 } },
    { name: 'never answers', options: { protocol: 'grpc', silent: true } },
  ] as const)('$name changes nothing but the counter of what was dropped', async ({ options }) => {
    const collector = options === undefined ? undefined : await collect(options)
    const gateway = await run({
      otlpEndpoint: collector?.url ?? 'http://127.0.0.1:1',
      otlpProtocol: options?.protocol ?? 'grpc',
      randomSampling: true,
    })
    const replies = await Promise.all(Array.from({ length: 20 }, () => chat(gateway)))
    expect(replies.map(({ status, broken }) => ({ status, broken }))).toEqual(
      replies.map(() => ({ status: 200, broken: false })),
    )
    await gateway.recorded(20)
    // Closing gives up what could not be sent, and counts it; the log says that there is something wrong.
    opened.splice(opened.indexOf(gateway), 1)
    await gateway.close()
    expect(gateway.records()).toHaveLength(20)
    expect(gateway.records().every(({ outcome }) => outcome === 'completed')).toBe(true)
  })

  test('is gone is told by the counter', async () => {
    const gateway = await run({
      otlpEndpoint: 'http://127.0.0.1:1',
      otlpProtocol: 'http',
      randomSampling: true,
    })
    await Promise.all(Array.from({ length: 20 }, () => chat(gateway)))
    await expect
      .poll(() => gateway.metric('agentgateway_telemetry_dropped_total', { signal: 'traces' }), {
        timeout: 20_000,
        interval: 100,
      })
      .toBeGreaterThanOrEqual(60)
    expect(gateway.log()).toMatch(/"level":"warn".*"scope":"tracing"/)
    expect(gateway.records().every(({ outcome }) => outcome === 'completed')).toBe(true)
  })
})
