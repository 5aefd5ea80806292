import { describe, expect, test } from 'vitest'
import { FAULTS, type FaultCode, OUTCOMES } from '../core/errors.ts'
import { type Attempt, beginExchange, type Exchange, type LlmFacts } from '../core/exchange.ts'
import { renderMetrics } from './exposition.ts'
import { createMetrics } from './metrics.ts'
import { createRegistry } from './registry.ts'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const NO_TOKENS = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
}

function newExchange(changes: Partial<Exchange> = {}, sampled = true): Exchange {
  const begun = beginExchange({
    trace: {
      traceId: TRACE_ID,
      spanId: 'b7ad6b7169203331',
      parentSpanId: undefined,
      sampled,
      traceState: undefined,
    },
    clientAddress: '10.0.0.1',
    method: 'POST',
    host: 'localhost:3000',
    path: '/v1/chat/completions',
    query: '',
    httpVersion: '1.1',
    scheme: 'http',
    userAgent: undefined,
    bind: 'bind/3000',
  })
  // A whole number, so that durations come out exact.
  const exchange = { ...begun, startedAt: 1000 }
  return Object.assign(exchange, {
    listener: 'listener0',
    route: 'default/chat',
    backend: 'openai',
    protocol: 'llm',
    status: 200,
    outcome: 'completed',
    responseBytes: 1000,
    endedAt: exchange.startedAt + 2000,
    requestProcessingMs: 0.5,
    responseProcessingMs: 0.25,
    attempts: [attempt(exchange)],
    ...changes,
  } satisfies Partial<Exchange>)
}

function attempt(exchange: { startedAt: number }, changes: Partial<Attempt> = {}): Attempt {
  return {
    spanId: '00f067aa0ba902b7',
    endpoint: 'api.openai.com:443',
    startedAt: exchange.startedAt + 1,
    connectMs: undefined,
    queuedMs: undefined,
    headAt: exchange.startedAt + 301,
    endedAt: exchange.startedAt + 1999,
    status: 200,
    errorType: undefined,
    errorMessage: undefined,
    ...changes,
  }
}

function llmFacts(changes: Partial<LlmFacts> = {}): LlmFacts {
  return {
    routeType: 'completions',
    operation: 'chat',
    provider: 'openai',
    clientFormat: 'completions',
    providerFormat: 'completions',
    originalModel: 'fast',
    requestModel: 'gpt-4o',
    modelConfirmed: true,
    responseModel: 'gpt-4o-2024-08-06',
    responseId: 'chatcmpl-1',
    streaming: false,
    parameters: {},
    finishReasons: ['stop'],
    firstTokenAt: undefined,
    usage: {
      inputTokens: 100,
      outputTokens: 50,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
    },
    usageSource: 'provider',
    cost: { total: 0.003, input: 0.001, output: 0.002 },
    costStatus: 'Exact',
    guards: [],
    ...changes,
  }
}

function setUp(options: { removed?: string[] } = {}) {
  const registry = createRegistry()
  const metrics = createMetrics({ registry, version: '1.2.3', ...options })
  const lines = (format: 'text' | 'openmetrics' = 'text') =>
    [...renderMetrics(registry, format)].join('').split('\n')
  return {
    registry,
    metrics,
    lines,
    /** Values by labels, of the samples named so; `keep` picks the labels that matter. */
    samples(name: string, ...keep: string[]): Record<string, number> {
      const found = lines().filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      return Object.fromEntries(
        found.map((line) => {
          const at = line.lastIndexOf(' ')
          const labels = line.slice(name.length, at)
          const kept = keep.map((label) => new RegExp(`[{,]${label}="([^"]*)"`).exec(labels)?.[1])
          return [keep.length === 0 ? labels : kept.join(' '), Number(line.slice(at + 1))]
        }),
      )
    },
  }
}

function finish(exchange: Exchange) {
  const setting = setUp()
  setting.metrics.started()
  setting.metrics.finished(exchange)
  return setting
}

const ROUTE = 'bind="bind/3000",listener="listener0",route="default/chat"'
const CONSTANT = 'gateway="default/default",route_rule="unknown"'

describe('a completed request to a model', () => {
  const { samples } = finish(newExchange({ llm: llmFacts() }))
  const http = `backend="openai",protocol="llm",method="POST",status="200",reason="Upstream",${ROUTE}`
  const routed = `backend="openai",${ROUTE},${CONSTANT}`
  const genAi =
    'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_system="openai",gen_ai_request_model="gpt-4o",' +
    `gen_ai_response_model="gpt-4o-2024-08-06",model="gpt-4o-2024-08-06",provider="openai",${ROUTE}`
  const tokens = (type: string) =>
    `{gen_ai_token_type="${type}",token_type="${type}",${genAi},usage_source="provider",${CONSTANT}}`

  test.each([
    {
      name: 'requests_total',
      sample: { [`{${http},outcome="completed",error_type="none",${CONSTANT}}`]: 1 },
    },
    { name: 'requests_in_flight', sample: { '': 0 } },
    { name: 'request_duration_seconds_sum', sample: { [`{${http},outcome="completed",${CONSTANT}}`]: 2 } },
    { name: 'response_bytes_total', sample: { [`{${http},${CONSTANT}}`]: 1000 } },
    { name: 'retries_total', sample: {} },
    { name: 'gen_ai_client_token_usage_sum', sample: { [tokens('input')]: 100, [tokens('output')]: 50 } },
    { name: 'gen_ai_client_token_details_total', sample: {} },
    {
      name: 'gen_ai_client_usage_source_total',
      sample: { [`{${genAi},usage_source="provider",${CONSTANT}}`]: 1 },
    },
    { name: 'gen_ai_client_cost_usd_total', sample: { [`{${genAi},${CONSTANT}}`]: 0.003 } },
    { name: 'cost_catalog_lookups_total', sample: { [`{status="Exact",${genAi},${CONSTANT}}`]: 1 } },
    {
      name: 'gen_ai_server_request_duration_sum',
      sample: { [`{${genAi},error_type="none",${CONSTANT}}`]: 2 },
    },
    { name: 'gen_ai_server_time_to_first_token_sum', sample: {} },
    { name: 'gen_ai_server_time_per_output_token_sum', sample: {} },
    { name: 'overhead_seconds_sum', sample: { [`{${routed}}`]: 0.00075 } },
    { name: 'request_processing_seconds_sum', sample: { [`{${routed}}`]: 0.0005 } },
    { name: 'response_processing_seconds_sum', sample: { [`{${routed}}`]: 0.00025 } },
    { name: 'stream_chunk_delay_seconds_sum', sample: {} },
    { name: 'stream_stalled_seconds_total', sample: {} },
    { name: 'upstream_connect_duration_seconds_sum', sample: {} },
    { name: 'upstream_call_duration_seconds_sum', sample: { '{kind="Primary",subtype="Llm"}': 0.3 } },
    { name: 'build_info', sample: { '{tag="1.2.3",version="1.2.3"}': 1 } },
  ])('shows in $name', ({ name, sample }) => {
    const got = samples(`agentgateway_${name}`)
    expect(Object.keys(got)).toEqual(Object.keys(sample))
    for (const [labels, value] of Object.entries(sample)) expect(got[labels]).toBeCloseTo(value, 9)
  })
})

describe('every outcome', () => {
  test.each(OUTCOMES)('%s is counted once, with its own label', (outcome) => {
    const { samples } = finish(newExchange({ outcome, llm: llmFacts() }))
    expect(samples('agentgateway_requests_total', 'outcome')).toEqual({ [outcome]: 1 })
    expect(samples('agentgateway_request_duration_seconds_count', 'outcome')).toEqual({ [outcome]: 1 })
    expect(samples('agentgateway_requests_in_flight')).toEqual({ '': 0 })
  })

  test.each(Object.keys(FAULTS) as FaultCode[])(
    'fault %s shows status, reason and who has to act',
    (code) => {
      const { status, reason, errorType, outcome } = FAULTS[code]
      const { samples } = finish(
        newExchange({ status, reason, errorType, outcome, attempts: [], backend: undefined }),
      )
      expect(
        samples('agentgateway_requests_total', 'status', 'reason', 'error_type', 'outcome', 'backend'),
      ).toEqual({
        [`${status} ${reason} ${errorType} ${outcome} unknown`]: 1,
      })
    },
  )
})

test('a request that was never routed has `unknown` for what is missing', () => {
  const { samples, lines } = finish(
    newExchange({
      protocol: 'http',
      status: 0,
      backend: undefined,
      listener: undefined,
      route: undefined,
      outcome: undefined,
      responseBytes: 0,
      requestProcessingMs: undefined,
      attempts: [],
    }),
  )
  const labels = 'backend="unknown",protocol="http",method="POST",status="unknown",reason="Upstream"'
  const place = 'bind="bind/3000",listener="unknown",route="unknown"'
  expect(samples('agentgateway_requests_total')).toEqual({
    [`{${labels},${place},outcome="unknown",error_type="none",${CONSTANT}}`]: 1,
  })
  for (const name of ['overhead', 'request_processing', 'response_processing']) {
    expect(lines().filter((line) => line.startsWith(`agentgateway_${name}_seconds_`))).toEqual([])
  }
})

test.each([
  { method: 'GET', label: 'GET' },
  { method: 'PATCH', label: 'PATCH' },
  { method: 'PROPFIND', label: '_other' },
  { method: 'X'.repeat(500), label: '_other' },
])('method $method is labelled $label', ({ method, label }) => {
  const { samples } = finish({ ...newExchange(), method })
  expect(samples('agentgateway_requests_total', 'method')).toEqual({ [label]: 1 })
})

describe('models', () => {
  test.each([
    { name: 'both known', changes: {}, labels: 'gpt-4o gpt-4o-2024-08-06 gpt-4o-2024-08-06' },
    { name: 'no answer names one', changes: { responseModel: undefined }, labels: 'gpt-4o gpt-4o gpt-4o' },
    {
      name: 'the client chose and nobody confirmed',
      changes: { modelConfirmed: false, responseModel: undefined },
      labels: 'unknown unknown unknown',
    },
    {
      name: 'the client chose one and another answered',
      changes: { modelConfirmed: false, responseModel: 'local' },
      labels: 'unknown local local',
    },
    {
      name: 'nobody named one',
      changes: { requestModel: undefined, responseModel: undefined },
      labels: 'unknown unknown unknown',
    },
  ])('are labels when $name', ({ changes, labels }) => {
    const { samples } = finish(newExchange({ llm: llmFacts(changes) }))
    const names = ['gen_ai_request_model', 'gen_ai_response_model', 'model']
    expect(samples('agentgateway_gen_ai_server_request_duration_count', ...names)).toEqual({ [labels]: 1 })
    expect(samples('agentgateway_gen_ai_client_token_usage_count', 'gen_ai_token_type', ...names)).toEqual({
      [`input ${labels}`]: 1,
      [`output ${labels}`]: 1,
    })
  })

  test('that clients invent make no series', () => {
    const { metrics, registry } = setUp()
    for (let index = 0; index < 100; index++) {
      const llm = llmFacts({ requestModel: `m${index}`, modelConfirmed: false, responseModel: undefined })
      metrics.finished(newExchange({ llm, status: 404, errorType: 'provider_not_found' }))
    }
    expect(registry.families().every((family) => family.series().length <= 4)).toBe(true)
  })
})

describe('tokens', () => {
  test('that are parts of the usage never enter it', () => {
    const usage = {
      inputTokens: 100,
      outputTokens: 50,
      cacheReadTokens: 60,
      cacheWriteTokens: 20,
      reasoningTokens: 30,
    }
    const { samples } = finish(newExchange({ llm: llmFacts({ usage }) }))
    expect(samples('agentgateway_gen_ai_client_token_usage_sum', 'token_type')).toEqual({
      input: 100,
      output: 50,
    })
    expect(samples('agentgateway_gen_ai_client_token_details_total', 'gen_ai_token_type')).toEqual({
      input_cache_read: 60,
      input_cache_write: 20,
      output_reasoning: 30,
    })
  })

  test('of embeddings are input only', () => {
    const { samples } = finish(newExchange({ llm: llmFacts({ operation: 'embeddings' }) }))
    expect(
      samples('agentgateway_gen_ai_client_token_usage_sum', 'token_type', 'gen_ai_operation_name'),
    ).toEqual({
      'input embeddings': 100,
    })
  })

  test.each(['provider', 'partial', 'estimated'] as const)('say that they are from %s', (usageSource) => {
    const { samples } = finish(newExchange({ llm: llmFacts({ usageSource }) }))
    expect(samples('agentgateway_gen_ai_client_token_usage_count', 'usage_source')).toEqual({
      [usageSource]: 1,
    })
    expect(samples('agentgateway_gen_ai_client_usage_source_total', 'usage_source')).toEqual({
      [usageSource]: 1,
    })
  })

  test('that are not known are not counted, but their absence is', () => {
    const llm = llmFacts({ usage: undefined, usageSource: 'none', cost: undefined, costStatus: undefined })
    const { samples } = finish(newExchange({ llm }))
    expect(samples('agentgateway_gen_ai_client_token_usage_count')).toEqual({})
    expect(samples('agentgateway_gen_ai_client_usage_source_total', 'usage_source')).toEqual({ none: 1 })
    expect(samples('agentgateway_cost_catalog_lookups_total')).toEqual({})
  })

  test.each(['Unpriced', 'Missing', 'NoCatalog'] as const)('whose price is %s cost nothing', (costStatus) => {
    const { samples } = finish(newExchange({ llm: llmFacts({ cost: undefined, costStatus }) }))
    expect(samples('agentgateway_cost_catalog_lookups_total', 'status')).toEqual({ [costStatus]: 1 })
    expect(samples('agentgateway_gen_ai_client_cost_usd_total')).toEqual({})
  })
})

test('each guard that ran is counted, also where no model was asked', () => {
  const guards = [
    { phase: 'request', guard: 'regex', action: 'Allow' },
    { phase: 'request', guard: 'regex', action: 'Reject' },
    { phase: 'request', guard: 'webhook', action: 'FailOpen', waitedMs: 3 },
  ] as const
  const { samples } = finish(newExchange({ attempts: [], llm: llmFacts({ guards: [...guards] }) }))
  expect(samples('agentgateway_guardrail_checks_total', 'action')).toEqual({
    Allow: 1,
    Reject: 1,
    FailOpen: 1,
  })
})

test('a connection that failed is a request to the model with its error', () => {
  const exchange = newExchange({
    status: 503,
    reason: 'UpstreamFailure',
    outcome: 'upstream_error',
    errorType: 'provider_connect',
    llm: llmFacts({ responseModel: undefined, usage: undefined, usageSource: 'none', cost: undefined }),
  })
  exchange.attempts.splice(0, 1, attempt(exchange, { headAt: undefined, status: undefined }))
  const { samples } = finish(exchange)
  expect(samples('agentgateway_gen_ai_server_request_duration_count', 'error_type')).toEqual({
    provider_connect: 1,
  })
  expect(samples('agentgateway_upstream_call_duration_seconds_count')).toEqual({})
  expect(samples('agentgateway_response_processing_seconds_count')).toEqual({})
})

test.each([
  { name: 'was refused before any model', changes: { attempts: [] }, facts: {} },
  { name: 'passed through unread', changes: {}, facts: { routeType: 'passthrough', usage: undefined } },
] satisfies {
  name: string
  changes: Partial<Exchange>
  facts: Partial<LlmFacts>
}[])('a request that $name tells nothing of models', ({ changes, facts }) => {
  const { lines } = finish(newExchange({ ...changes, llm: llmFacts(facts) }))
  expect(lines().filter((line) => line.startsWith('agentgateway_gen_ai_'))).toEqual([])
})

describe('a stream', () => {
  const counts = Uint32Array.from([0, 3, 2, 0, 0, 0, 0, 0, 0, 0, 1])
  function stream(facts: Partial<LlmFacts> = {}) {
    const exchange = newExchange({ chunkDelayCounts: counts, chunkDelaySumMs: 150, stalledMs: 500 })
    exchange.llm = llmFacts({ streaming: true, firstTokenAt: exchange.startedAt + 500, ...facts })
    return finish(exchange)
  }

  test('has times of tokens', () => {
    const { samples } = stream()
    expect(Object.values(samples('agentgateway_gen_ai_server_time_to_first_token_sum'))).toEqual([0.5])
    expect(Object.values(samples('agentgateway_gen_ai_server_time_per_output_token_sum'))).toEqual([1.5 / 50])
  })

  test('has the delays of its chunks', () => {
    const { samples } = stream()
    expect(samples('agentgateway_stream_chunk_delay_seconds_bucket', 'le')).toMatchObject({
      '1e-05': 0,
      '2.5e-05': 3,
      '5e-05': 5,
      '0.1': 5,
      '+Inf': 6,
    })
    expect(Object.values(samples('agentgateway_stream_chunk_delay_seconds_sum'))).toEqual([0.15])
    expect(Object.values(samples('agentgateway_stream_stalled_seconds_total'))).toEqual([0.5])
  })

  test.each([
    { name: 'partial', facts: { usageSource: 'partial' } },
    { name: 'unknown', facts: { usage: undefined, usageSource: 'none' } },
    { name: 'zero', facts: { usage: NO_TOKENS } },
  ] as const)('has no time per token when the count of tokens is $name', ({ facts }) => {
    const { samples } = stream(facts)
    expect(Object.values(samples('agentgateway_gen_ai_server_time_to_first_token_count'))).toEqual([1])
    expect(samples('agentgateway_gen_ai_server_time_per_output_token_count')).toEqual({})
  })

  test('that broke before its first token has no time to it', () => {
    const { samples } = stream({ firstTokenAt: undefined })
    expect(samples('agentgateway_gen_ai_server_time_to_first_token_count')).toEqual({})
  })
})

test('attempts: retries, heads and new connections', () => {
  const exchange = newExchange()
  exchange.attempts.splice(
    0,
    1,
    attempt(exchange, { connectMs: 20, status: 503 }),
    attempt(exchange, { connectMs: 40, headAt: undefined }),
    attempt(exchange),
  )
  const { samples, metrics } = finish(exchange)
  metrics.upstreamConnected('tls', 0.02)
  expect(Object.values(samples('agentgateway_retries_total'))).toEqual([2])
  expect(samples('agentgateway_upstream_call_duration_seconds_count')).toEqual({
    '{kind="Primary",subtype="Llm"}': 2,
  })
  expect(samples('agentgateway_upstream_connect_duration_seconds_count')).toEqual({ '{transport="tls"}': 1 })
})

describe('exemplars', () => {
  const withExemplar = (sampled: boolean) => {
    const exchange = newExchange({}, sampled)
    exchange.llm = llmFacts({ streaming: true, firstTokenAt: exchange.startedAt + 500 })
    const found = finish(exchange)
      .lines('openmetrics')
      .filter((line) => line.includes(` # {trace_id="${TRACE_ID}"} `))
    return { exchange, found }
  }

  test('lead from the durations and tokens to the trace', () => {
    const { exchange, found } = withExemplar(true)
    expect(found.map((line) => line.slice('agentgateway_'.length, line.indexOf('_bucket')))).toEqual([
      'request_duration_seconds',
      'gen_ai_client_token_usage',
      'gen_ai_client_token_usage',
      'gen_ai_server_request_duration',
      'gen_ai_server_time_to_first_token',
    ])
    expect(found[0]).toMatch(/ 2 \d+\.\d{3}$/)
    expect(Number(found[0]?.split(' ').at(-1))).toBeCloseTo((exchange.startedAtEpochMs + 2000) / 1000, 2)
  })

  test('are left out when the trace is not recorded', () => {
    expect(withExemplar(false).found).toEqual([])
  })
})

test('requests in flight are those begun and not ended', () => {
  const { metrics, samples } = setUp()
  metrics.started()
  metrics.started()
  metrics.finished(newExchange())
  expect(samples('agentgateway_requests_in_flight')).toEqual({ '': 1 })
})

test('connections are counted and the open ones shown', () => {
  const { metrics, samples } = setUp()
  const connection = { bind: 'bind/3000', listener: undefined, protocol: 'https' } as const
  metrics.connectionOpened(connection)
  metrics.connectionOpened(connection)
  metrics.connectionClosed(connection)
  const labels = '{bind="bind/3000",listener="unknown",protocol="https",gateway="default/default"}'
  expect(samples('agentgateway_downstream_connections_total')).toEqual({ [labels]: 2 })
  expect(samples('agentgateway_downstream_connections_active')).toEqual({ [labels]: 1 })
})

test('the configuration is synchronized until a reload fails', () => {
  const { metrics, samples } = setUp()
  const state = () => [
    samples('agentgateway_config_synchronized')[''],
    ...Object.values(samples('agentgateway_config_reloads_total', 'result')),
  ]
  expect(state()).toEqual([0, 0, 0])
  metrics.configLoaded()
  expect(state()).toEqual([1, 0, 0])
  metrics.configReloaded('failure')
  expect(state()).toEqual([0, 0, 1])
  metrics.configReloaded('success')
  expect(state()).toEqual([1, 1, 1])
})

test('dropped telemetry is zero until something is dropped', () => {
  const { metrics, samples } = setUp()
  expect(samples('agentgateway_telemetry_dropped_total', 'signal')).toEqual({
    traces: 0,
    logs: 0,
    metrics: 0,
    requests: 0,
  })
  metrics.telemetryDropped('traces', 512)
  expect(samples('agentgateway_telemetry_dropped_total', 'signal')).toEqual({
    traces: 512,
    logs: 0,
    metrics: 0,
    requests: 0,
  })
})

test('removed families are not shown, and cost no other', () => {
  const setting = setUp({ removed: ['request_duration', 'tool_calls_total'] })
  setting.metrics.finished(newExchange())
  const names = setting.registry.families().map(({ name }) => name)
  expect(names).not.toContain('agentgateway_request_duration_seconds')
  expect(names).not.toContain('tool_calls_total')
  expect(names).toContain('agentgateway_gen_ai_server_request_duration')
  expect(Object.values(setting.samples('agentgateway_requests_total'))).toEqual([1])
})

test('a flood of label sets keeps every count', () => {
  const { metrics, registry, samples } = setUp()
  const requests = 12_000
  for (let index = 0; index < requests; index++) {
    metrics.finished(newExchange({ route: `default/route${index}`, llm: llmFacts() }))
  }
  const total = (name: string) => Object.values(samples(name)).reduce((sum, value) => sum + value, 0)
  expect(total('agentgateway_requests_total')).toBe(requests)
  expect(total('agentgateway_gen_ai_client_token_usage_sum')).toBe(requests * 150)
  expect(samples('agentgateway_metric_overflow_total', 'family')).toMatchObject({
    agentgateway_requests_total: requests - 1000,
    agentgateway_gen_ai_client_token_usage: 2 * (requests - 500),
  })
  expect(Math.max(...registry.families().map((family) => family.series().length))).toBe(1001)
})

describe('labels that the configuration adds', () => {
  const all = (labels: readonly string[], onLabelOverflow?: (label: string, maxValues: number) => void) => {
    const registry = createRegistry()
    const metrics = createMetrics({
      registry,
      version: '1',
      addedLabels: labels,
      ...(onLabelOverflow && { onLabelOverflow }),
    })
    const lines = () => [...renderMetrics(registry, 'text')].join('').split('\n')
    return { registry, metrics, lines }
  }
  const finish = (metrics: ReturnType<typeof createMetrics>, values?: readonly (string | undefined)[]) => {
    metrics.started()
    metrics.finished(newExchange({ llm: llmFacts() }), values)
  }
  const sum = (lines: readonly string[], name: string, ...parts: readonly string[]) =>
    lines
      .filter((line) => line.startsWith(`${name}{`) && parts.every((part) => line.includes(part)))
      .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)

  test('are labels of every family that tells of requests by their route, and of no other', () => {
    const { registry } = all(['team'])
    const ofRoutes = registry.families().filter(({ labelNames }) => labelNames.includes('route'))
    expect(ofRoutes.length).toBeGreaterThan(15)
    expect(ofRoutes.filter(({ labelNames }) => !labelNames.includes('team'))).toEqual([])
    const others = registry.families().filter(({ labelNames }) => !labelNames.includes('route'))
    expect(others.filter(({ labelNames }) => labelNames.includes('team'))).toEqual([])
  })

  test('tell requests apart, and leave the sums as they are', () => {
    const { metrics, lines } = all(['team', 'tier'])
    finish(metrics, ['red', '1'])
    finish(metrics, ['red', '2'])
    finish(metrics, ['blue', '1'])
    const text = lines()
    for (const name of [
      'agentgateway_requests_total',
      'agentgateway_request_duration_seconds_count',
      'agentgateway_overhead_seconds_count',
      'agentgateway_gen_ai_server_request_duration_count',
    ]) {
      expect([name, sum(text, name)]).toEqual([name, 3])
      expect([name, sum(text, name, 'team="red"')]).toEqual([name, 2])
      expect([name, sum(text, name, 'team="red"', 'tier="2"')]).toEqual([name, 1])
    }
    expect(sum(text, 'agentgateway_gen_ai_client_token_usage_sum', 'team="red"', 'token_type="input"')).toBe(
      200,
    )
  })

  test('tell MCP’s messages apart', () => {
    const { metrics, lines } = all(['team'])
    const operation = {
      ...{ method: 'ping', isInterim: false, requestId: 1, startedAt: 1000, endedAt: 1001 },
      ...{ resourceType: undefined, resource: undefined, resourceConfirmed: false, target: 'a' },
      ...{ errorType: undefined, errorCode: undefined, errorMessage: undefined },
    }
    const mcp = { sessionId: undefined, protocolVersion: undefined, operations: [operation], calls: [] }
    metrics.finished(newExchange({ protocol: 'mcp', mcp }), ['red'])
    for (const name of ['agentgateway_mcp_requests_total', 'agentgateway_mcp_request_duration_seconds_count'])
      expect([name, sum(lines(), name, 'team="red"', 'server="a"')]).toEqual([name, 1])
  })

  test.each([
    { name: 'no value', values: [undefined] },
    { name: 'an empty value', values: [''] },
    { name: 'nobody who could know one', values: undefined },
  ])('read unknown with $name', ({ values }) => {
    const { metrics, lines } = all(['team'])
    finish(metrics, values)
    expect(sum(lines(), 'agentgateway_requests_total', 'team="unknown"')).toBe(1)
  })

  test('have a hundred values; requests with others are told together, counted, and warned of once', () => {
    const warned: unknown[] = []
    const { metrics, lines } = all(['team', 'tier'], (...what) => warned.push(what))
    for (let index = 0; index < 103; index++) finish(metrics, [`team-${index}`, 'one'])
    finish(metrics, ['team-0', 'one'])
    finish(metrics, [undefined, 'one'])
    const text = lines()
    const count = (...parts: readonly string[]) => sum(text, 'agentgateway_requests_total', ...parts)
    expect(count()).toBe(105)
    expect(count('team="team-0"')).toBe(2)
    expect(count('team="team-99"')).toBe(1)
    expect(count('team="team-100"')).toBe(0)
    expect(count('team="_overflow"', 'tier="one"', 'backend="openai"')).toBe(3)
    expect(count('team="unknown"')).toBe(1)
    expect(sum(text, 'agentgateway_metric_label_overflow_total', 'label="team"')).toBe(3)
    expect(sum(text, 'agentgateway_metric_label_overflow_total', 'label="tier"')).toBe(0)
    expect(warned).toEqual([['team', 100]])
  })

  test('cannot break a line, and are cut', () => {
    const { metrics, lines } = all(['team'])
    finish(metrics, ['a"\n\\b'])
    finish(metrics, [`${'x'.repeat(300)}1`])
    finish(metrics, [`${'x'.repeat(300)}2`])
    expect(sum(lines(), 'agentgateway_requests_total', 'team="a\\"\\n\\\\b"')).toBe(1)
    expect(sum(lines(), 'agentgateway_requests_total', `team="${'x'.repeat(256)}"`)).toBe(2)
  })
})
