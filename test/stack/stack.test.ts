/**
 * The tutorial's claims about the whole system, on real parts: a gateway with the shipped configuration, simulated
 * providers, a real collector, a real Jaeger, a real Prometheus. Traffic is the demo's mix; the truth is what its
 * clients saw and what the providers billed.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../../src/demo/provider.ts'
import { runTraffic, type Sent } from '../../src/demo/traffic.ts'
import { MIX } from '../../src/demo/traffic-mix.ts'
import { addressOf, OBSERVABILITY } from './compose.ts'
import { services, traceOf } from './jaeger-api.ts'
import { exemplars, number, query, targets, until } from './prometheus-api.ts'
import { has, hasTraces, type Stack, startStack, urls } from './stack.ts'

/** As they stand in the tutorial. */
const TUTORIAL = {
  requestRate: 'sum(rate(agentgateway_requests_total[5m]))',
  tokensByModel: 'sum by (gen_ai_response_model) (rate(agentgateway_gen_ai_client_token_usage_sum[5m]))',
  errorRate: `sum(rate(agentgateway_requests_total{status=~"5.."}[5m]))
  / sum(rate(agentgateway_requests_total[5m]))`,
  tokensPerRequest: `sum(rate(agentgateway_gen_ai_client_token_usage_sum[5m]))
  / sum(rate(agentgateway_requests_total[5m]))`,
} as const

const host = addressOf('demo-providers')
const WINDOW_SECONDS = 300
const REQUESTS = 'sum(agentgateway_requests_total)'

let stack: Stack
let providers: SimulatedProvider[]
/** What the window of the queries holds: the second and the third run of the mix. */
let sent: Sent[]

/** The trace ids follow from the seed. */
const mix = (seed: number) => runTraffic({ gatewayUrl: urls.demo, once: true, seed })

/** The mix's first request alone. */
async function sendFirst(seed: number): Promise<Sent> {
  const stop = new AbortController()
  const [first] = await runTraffic({
    gatewayUrl: urls.demo,
    once: true,
    seed,
    signal: stop.signal,
    onSent: () => stop.abort(),
  })
  return first ?? expect.fail('nothing was sent')
}

/** Input and output tokens that were billed, by the model that answered. */
function billed(): Map<string, number> {
  const tokens = new Map<string, number>()
  for (const { responseModel, inputTokens, outputTokens } of providers.flatMap(({ calls }) => calls)) {
    if (inputTokens + outputTokens > 0)
      tokens.set(responseModel, (tokens.get(responseModel) ?? 0) + inputTokens + outputTokens)
  }
  return tokens
}
const total = (tokens: Map<string, number>) => [...tokens.values()].reduce((sum, count) => sum + count, 0)

/** By the gateway itself, all requests so far. */
async function counted(): Promise<number> {
  const text = await (await fetch(`${urls.stats}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith('agentgateway_requests_total{'))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

const sentAs = (name: string) =>
  sent.findLast(({ planned }) => planned.name === name) ?? expect.fail(`the mix has no ${name}`)

beforeAll(async () => {
  providers = [
    await startSimulatedOpenAI({ host, port: 9101 }),
    await startSimulatedAnthropic({ host, port: 9102 }),
  ]
  stack = await startStack(['jaeger', 'otel-collector', 'agentgateway'])
  // rate() sees what is added to a series, not what it is born with: the first run brings all series into being
  // before Prometheus looks for the first time.
  await mix(1)
  for (const provider of providers) provider.clear()
  await stack.start('prometheus')
  if (has.prometheus) await until(REQUESTS, (value) => value === MIX.length)
  sent = [...(await mix(2)), ...(await mix(3))]
  if (has.prometheus) await until(REQUESTS, (value) => value === 3 * MIX.length)
})

afterAll(async () => {
  await stack?.close()
  await Promise.all((providers ?? []).map((provider) => provider.close()))
})

test("the guide shows the tutorial's queries", () => {
  const guide = readFileSync(join(OBSERVABILITY, 'README.md'), 'utf8')
  const [, block = ''] = /```promql\n([\s\S]*?)```/.exec(guide) ?? []
  const shown = block.split(/^# .*\n/m).map((text) => text.trim())
  expect(shown.filter((text) => text !== '')).toEqual(Object.values(TUTORIAL))
})

test('every request of the mix ended as planned', () => {
  expect(sent.filter(({ asExpected }) => !asExpected)).toEqual([])
  expect(sent.length).toBe(2 * MIX.length)
})

describe.runIf(has.prometheus)('Prometheus', () => {
  /** By how much rate() extends what it saw, equal for all series of one target. */
  let factor: number
  let time: number

  beforeAll(async () => {
    time = Date.now() / 1000
    factor = ((await number(TUTORIAL.requestRate, time)) ?? 0) / sent.length
  })

  test('scrapes every part that is there', async () => {
    const up = new Map((await targets()).map(({ labels, health }) => [labels.job, health]))
    const here = (isHere: boolean) => (isHere ? 'up' : 'down')
    expect(Object.fromEntries(up)).toEqual({
      agentgateway: 'up',
      'otel-collector': here(has.collector),
      jaeger: here(has.jaeger),
      prometheus: 'up',
    })
  })

  test("the tutorial's request rate is that of the mix", async () => {
    const [samples] = await query('agentgateway_build_info[5m]', time)
    const times = samples?.values.map(([at]) => at) ?? []
    const seen = (times.at(-1) ?? 0) - (times[0] ?? 0)
    const interval = seen / (times.length - 1)
    // Half an interval at the beginning, and up to one at the end, is what rate() adds.
    expect(factor * WINDOW_SECONDS).toBeGreaterThanOrEqual(1)
    expect(factor * WINDOW_SECONDS).toBeLessThan(1 + (1.7 * interval) / seen)
  })

  test("the tutorial's tokens by model are those that were billed", async () => {
    const found = new Map(
      (await query(TUTORIAL.tokensByModel, time))
        .map(({ metric, values }): [string, number] => [
          metric.gen_ai_response_model ?? '',
          (values[0]?.[1] ?? 0) / factor,
        ])
        .filter(([, tokens]) => tokens > 0),
    )
    const bill = billed()
    expect([...found.keys()].toSorted()).toEqual([...bill.keys()].toSorted())
    for (const [model, tokens] of bill) expect(found.get(model), model).toBeCloseTo(tokens, 6)
  })

  test("the tutorial's error rate is the share of 5xx that clients saw", async () => {
    const failed = sent.filter(({ status }) => status >= 500).length
    expect(failed).toBeGreaterThan(0)
    expect(await number(TUTORIAL.errorRate, time)).toBeCloseTo(failed / sent.length, 9)
  })

  test("the tutorial's tokens per request are the bill over the requests", async () => {
    expect(await number(TUTORIAL.tokensPerRequest, time)).toBeCloseTo(total(billed()) / sent.length, 6)
  })
})

describe.runIf(hasTraces)('Jaeger', () => {
  test('lists the service that the tutorial selects', async () => {
    await traceOf(sentAs('chat').traceId, 3)
    expect(await services()).toContain('agentgateway')
  })

  test('shows a request in three levels, with what it asked and what it cost', async () => {
    const { traceId } = sentAs('chat stream')
    const spans = await traceOf(traceId, 3)
    expect(spans.map(({ service }) => service)).toEqual(Array(3).fill('agentgateway'))
    const [server, call, attempt] = levels(spans)
    expect(server).toMatchObject({
      name: 'POST /*',
      attributes: {
        'http.request.method': 'POST',
        'url.path': '/v1/chat/completions',
        'http.response.status_code': 200,
        'agentgateway.outcome': 'completed',
        'agentgateway.backend': 'openai',
      },
    })
    expect(call).toMatchObject({
      name: 'chat gpt-4o-mini',
      events: ['gen_ai.first_token'],
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'gpt-4o-mini',
        'gen_ai.request.stream': true,
        'agentgateway.usage_source': 'provider',
      },
    })
    // Badger keeps lists as text.
    expect(String(call?.attributes['gen_ai.response.finish_reasons'])).toMatch(/^(\["stop"\]|stop)$/)
    expect(attempt).toMatchObject({
      attributes: { 'server.address': host, 'server.port': 9101, 'http.response.status_code': 200 },
    })
    const bill = providers
      .flatMap(({ calls }) => calls)
      .find(({ traceparent }) => traceparent?.includes(traceId))
    expect(bill?.traceparent).toBe(`00-${traceId}-${attempt?.spanId}-01`)
    expect(call?.attributes['gen_ai.usage.input_tokens']).toBe(bill?.inputTokens)
    expect(call?.attributes['gen_ai.usage.output_tokens']).toBe(bill?.outputTokens)
    expect(call?.attributes['agw.ai.usage.cost.total']).toBeGreaterThan(0)
  })

  test.each([
    { name: 'chat, failed', status: 500, errorType: 'provider_server_error', says: /server had an error/ },
    { name: 'chat, limited', status: 429, errorType: 'provider_rate_limited', says: /Rate limit/ },
    { name: 'chat stream, reset', status: 200, errorType: 'provider_reset', says: /ECONNRESET/ },
    {
      name: 'messages stream, failed midway',
      status: 200,
      errorType: 'provider_stream_error',
      says: /overloaded/i,
    },
  ])('says what was wrong with: $name', async ({ name, status, errorType, says }) => {
    const [server, call, attempt] = levels(await traceOf(sentAs(name).traceId, 3))
    expect(server?.attributes['http.response.status_code']).toBe(status)
    expect([server?.attributes['error.type'], call?.attributes['error.type']]).toEqual([errorType, errorType])
    // An error inside a stream is none of the HTTP exchange that carried it.
    if (name !== 'messages stream, failed midway') expect(attempt).toMatchObject({ statusCode: 2 })
    expect(call).toMatchObject({ statusCode: 2, statusMessage: expect.stringMatching(says) })
  })

  test.runIf(has.prometheus)(
    "an exemplar's trace id opens the trace of a request in that bucket",
    async () => {
      const found = (await exemplars('agentgateway_gen_ai_server_time_to_first_token_bucket')).at(-1)
      const spans = await traceOf(found?.labels.trace_id ?? expect.fail('no exemplar'), 3)
      const [, call] = levels(spans)
      const seconds = Number(call?.attributes['gen_ai.response.time_to_first_chunk'])
      expect(seconds).toBeGreaterThan(0)
      expect(seconds).toBeLessThanOrEqual(Number(found?.value))
    },
  )
})

describe.runIf(has.collector)('without the collector', () => {
  let before: number
  let outage: readonly Sent[]
  const durations = (requests: readonly Sent[]) =>
    requests.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b)
  const median = (requests: readonly Sent[]) =>
    durations(requests)[Math.floor(requests.length / 2)] ?? Infinity

  beforeAll(async () => {
    before = await counted()
    await stack.stop('otel-collector')
    outage = await mix(4)
  })

  test('no request is lost, none ends differently, all are counted', async () => {
    expect(outage.filter(({ asExpected }) => !asExpected)).toEqual([])
    // The last record is written when the last answer is closed, which its client may see a little earlier.
    await expect.poll(counted).toBe(before + MIX.length)
  })

  test('no request takes longer', async () => {
    // Waiting for a collector would cost seconds; a loaded machine may cost some milliseconds.
    expect(median(outage)).toBeLessThan(median(sent) * 2 + 10)
    expect(durations(outage).at(-1)).toBeLessThan((durations(sent).at(-1) ?? 0) + 1000)
  })

  test.runIf(hasTraces)('traces arrive again once it is back', async () => {
    await stack.start('otel-collector')
    // Over gRPC the gateway needs some seconds to see it.
    for (let seed = 5; ; seed++) {
      const { traceId } = await sendFirst(seed)
      const spans = await traceOf(traceId, 3, 5000).catch(() => [])
      if (spans.length > 0) break
      expect(seed).toBeLessThan(15)
    }
  })

  test.runIf(hasTraces)('a restart of the collector loses no trace', async () => {
    const failures = () => stack.log('agentgateway').split('cannot export traces').length
    const failed = failures()
    await stack.stop('otel-collector')
    const { traceId } = await sendFirst(50)
    await expect.poll(failures, { timeout: 10_000 }).toBe(failed + 1)
    await stack.start('otel-collector')
    expect(await traceOf(traceId, 3)).toHaveLength(3)
  })
})

/** From the root down; each span's parent is the one before. */
function levels<S extends { readonly spanId: string; readonly parentSpanId: string }>(
  spans: readonly S[],
): S[] {
  const ids = new Set(spans.map(({ spanId }) => spanId))
  const chain: S[] = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId))
  for (let last = chain.at(-1); last !== undefined; ) {
    const { spanId } = last
    last = spans.find(({ parentSpanId }) => parentSpanId === spanId)
    if (last !== undefined) chain.push(last)
  }
  return chain
}
