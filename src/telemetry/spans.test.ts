import { describe, expect, test } from 'vitest'
import { FAULTS } from '../core/errors.ts'
import {
  type Attempt,
  beginExchange,
  type Exchange,
  type ExchangeStart,
  type LlmFacts,
} from '../core/exchange.ts'
import { traceContextFor } from './sampling.ts'
import type { SpanRecord } from './span-parts.ts'
import { spanCountOf, spansOf } from './spans.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const CALLER = 'b7ad6b7169203331'
const EPOCH_SECONDS = Date.UTC(2026, 10, 23, 9, 5, 7) / 1000

function begin(start: Partial<ExchangeStart> = {}): Exchange {
  const exchange = beginExchange({
    trace: traceContextFor(`00-${TRACE}-${CALLER}-01`, undefined, () => true),
    clientAddress: '10.0.0.7:51234',
    method: 'POST',
    host: 'gateway.local:3000',
    path: '/v1/chat/completions',
    query: 'key=secret',
    httpVersion: '1.1',
    scheme: 'http',
    userAgent: 'curl/8.5.0',
    bind: 'bind/3000',
    ...start,
  })
  return { ...exchange, startedAtEpochMs: EPOCH_SECONDS * 1000 + 42, startedAt: 5000 }
}

const finish = (exchange: Exchange, facts: Partial<Exchange> = {}): Exchange =>
  Object.assign(exchange, { status: 200, outcome: 'completed', endedAt: 5100 }, facts)

const attempt = (facts: Partial<Attempt> = {}): Attempt => ({
  spanId: '00000000000000a1',
  endpoint: 'api.openai.com:443',
  startedAt: 5001,
  connectMs: undefined,
  queuedMs: undefined,
  headAt: 5010,
  endedAt: 5099,
  status: 200,
  errorType: undefined,
  errorMessage: undefined,
  ...facts,
})

const LLM: LlmFacts = {
  routeType: 'completions',
  operation: 'chat',
  provider: 'openai',
  clientFormat: 'completions',
  providerFormat: 'completions',
  originalModel: 'fast',
  requestModel: 'gpt-4o-mini',
  modelConfirmed: true,
  responseModel: 'gpt-4o-mini-2024-07-18',
  responseId: 'chatcmpl-1',
  streaming: true,
  parameters: {
    temperature: 0.7,
    topP: 0.9,
    topK: 40,
    maxTokens: 100,
    frequencyPenalty: 0.1,
    presencePenalty: 0.2,
    seed: 7,
    choiceCount: 2,
    stopSequences: ['END'],
    reasoningLevel: 'low',
    encodingFormat: 'float',
    dimensions: 256,
  },
  finishReasons: ['stop'],
  firstTokenAt: 5021,
  usage: {
    inputTokens: 1200,
    outputTokens: 56,
    cacheReadTokens: 1024,
    cacheWriteTokens: 32,
    reasoningTokens: 8,
  },
  usageSource: 'provider',
  cost: { total: 0.0003, input: 0.0001, output: 0.0002 },
  costStatus: 'Exact',
  guards: [],
}

const at = (nanos: number) => [EPOCH_SECONDS, nanos]
const shape = (spans: readonly SpanRecord[]) =>
  spans.map(({ name, kind, spanId, parentSpanId }) => ({ name, kind, spanId, parentSpanId }))

describe('the span tree', () => {
  test('of a chat: request, logical call, attempts', () => {
    const exchange = finish(begin(), { routePattern: '/v1/*', llm: LLM })
    exchange.attempts.push(
      attempt({ status: 503, endedAt: 5020 }),
      attempt({ spanId: '00000000000000a2', startedAt: 5030, endpoint: 'eu.openai.com:443' }),
    )
    const spans = spansOf(exchange)
    const callId = spans[1]?.spanId
    expect(callId).toMatch(/^[0-9a-f]{16}$/)
    expect(shape(spans)).toEqual([
      { name: 'POST /v1/*', kind: 'server', spanId: exchange.trace.spanId, parentSpanId: CALLER },
      { name: 'chat gpt-4o-mini', kind: 'client', spanId: callId, parentSpanId: exchange.trace.spanId },
      { name: 'POST api.openai.com', kind: 'client', spanId: '00000000000000a1', parentSpanId: callId },
      { name: 'POST eu.openai.com', kind: 'client', spanId: '00000000000000a2', parentSpanId: callId },
    ])
    expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([TRACE]))
    expect(spanCountOf(exchange)).toBe(spans.length)
  })

  test.each([
    { name: 'plain HTTP', llm: undefined },
    { name: 'a passed-through request', llm: { ...LLM, operation: 'unknown' as const } },
  ])('of $name has no middle level', ({ llm }) => {
    const exchange = finish(begin({ method: 'GET' }), { llm })
    exchange.attempts.push(attempt())
    expect(shape(spansOf(exchange))).toEqual([
      { name: 'GET', kind: 'server', spanId: exchange.trace.spanId, parentSpanId: CALLER },
      {
        name: 'GET api.openai.com',
        kind: 'client',
        spanId: '00000000000000a1',
        parentSpanId: exchange.trace.spanId,
      },
    ])
    expect(spanCountOf(exchange)).toBe(2)
  })

  test('of a refused chat is the request alone, which then tells the model', () => {
    const exchange = finish(begin(), { llm: LLM, status: 400, outcome: 'rejected' })
    const spans = spansOf(exchange)
    expect(spans.length).toBe(1)
    expect(spans[0]?.attributes).toMatchObject({ 'gen_ai.request.model': 'gpt-4o-mini' })
    expect(spanCountOf(exchange)).toBe(1)
  })

  test.each([
    { operation: 'embeddings', requestModel: 'e-3', originalModel: 'e', name: 'embeddings e-3' },
    { operation: 'chat', requestModel: undefined, originalModel: 'fast', name: 'chat fast' },
    { operation: 'list_models', requestModel: undefined, originalModel: undefined, name: 'list_models' },
  ] as const)('calls the call $name', ({ name, ...facts }) => {
    const exchange = finish(begin(), { llm: { ...LLM, ...facts } })
    exchange.attempts.push(attempt())
    expect(spansOf(exchange)[1]?.name).toBe(name)
  })
})

describe('times', () => {
  test('of policies come first on the SERVER span, in the order of time, without a secret', () => {
    const exchange = finish(begin(), {
      headSentAt: 5090,
      events: [
        { name: 'backend.evicted', at: 5020, backend: 'first', durationMs: 3000, status: 503 },
        { name: 'backend.failover', at: 5020, backend: 'second', from: 'first' },
        {
          name: 'ext_authz.failed',
          at: 5001,
          policy: 'authz:9000',
          reason: 'no sk-proj-abcdefghij0123456789',
        },
      ],
    })
    exchange.attempts.push(attempt({ startedAt: 5002, queuedMs: 6.5 }))
    const [server, queued] = spansOf(exchange)
    expect(server?.events).toEqual([
      {
        name: 'agentgateway.ext_authz.failed',
        time: at(43_000_000),
        attributes: { 'agentgateway.policy': 'authz:9000', 'agentgateway.cause': 'no [redacted]' },
      },
      {
        name: 'agentgateway.backend.queued',
        time: at(50_500_000),
        attributes: { 'agentgateway.endpoint': 'api.openai.com:443', 'agentgateway.duration': 0.0065 },
      },
      {
        name: 'agentgateway.backend.evicted',
        time: at(62_000_000),
        attributes: {
          'agentgateway.backend': 'first',
          'agentgateway.duration': 3,
          'http.response.status_code': 503,
        },
      },
      {
        name: 'agentgateway.backend.failover',
        time: at(62_000_000),
        attributes: { 'agentgateway.backend': 'second', 'agentgateway.backend.previous': 'first' },
      },
      { name: 'agentgateway.response_head_sent', time: at(132_000_000) },
    ])
    expect(queued?.attributes).toMatchObject({ 'agentgateway.queue_time': 0.0065 })
  })

  test('follow the monotonic clock from one anchor, to the nanosecond', () => {
    const exchange = finish(begin(), { llm: LLM, headSentAt: 5010.000001, endedAt: 6958.5 })
    exchange.attempts.push(
      attempt({ startedAt: 5000.25, headAt: undefined, endedAt: 5005.125 }),
      attempt({ startedAt: 5009.123456, endedAt: undefined }),
    )
    const [server, call, first, second] = spansOf(exchange)
    const end = [EPOCH_SECONDS + 2, 500_000]
    expect(server).toMatchObject({ startTime: at(42_000_000), endTime: end })
    expect(call).toMatchObject({ startTime: at(42_250_000), endTime: end })
    expect(first).toMatchObject({ startTime: at(42_250_000), endTime: at(47_125_000), events: [] })
    // It never ended by itself: it ended with the exchange.
    expect(second).toMatchObject({ startTime: at(51_123_456), endTime: end })
    expect(server?.events).toEqual([{ name: 'agentgateway.response_head_sent', time: at(52_000_001) }])
    expect(call?.events).toEqual([{ name: 'gen_ai.first_token', time: at(63_000_000) }])
    expect(second?.events).toEqual([{ name: 'agentgateway.response_head', time: at(52_000_000) }])
  })

  test('carry into the next second', () => {
    const exchange = finish(begin(), { endedAt: 5000 + 957.9999999 })
    expect(spansOf(exchange)[0]?.endTime).toEqual([EPOCH_SECONDS + 1, 0])
  })
})

describe('attributes', () => {
  test('of the request', () => {
    const exchange = finish(begin(), {
      routePattern: '/v1/*',
      listener: 'listener0',
      route: 'default/chat',
      backend: 'openai',
      requestBytes: 10,
      responseBytes: 20,
      requestProcessingMs: 0.25,
      responseProcessingMs: 0.5,
      stalledMs: 2,
    })
    expect(spansOf(exchange)[0]?.attributes).toEqual({
      'http.request.method': 'POST',
      'http.route': '/v1/*',
      'http.response.status_code': 200,
      'http.request.body.size': 10,
      'http.response.body.size': 20,
      'url.scheme': 'http',
      'url.path': '/v1/chat/completions',
      'server.address': 'gateway.local',
      'server.port': 3000,
      'client.address': '10.0.0.7',
      'client.port': 51234,
      'network.protocol.name': 'http',
      'network.protocol.version': '1.1',
      'user_agent.original': 'curl/8.5.0',
      'agentgateway.bind': 'bind/3000',
      'agentgateway.listener': 'listener0',
      'agentgateway.route': 'default/chat',
      'agentgateway.backend': 'openai',
      'agentgateway.protocol': 'http',
      'agentgateway.outcome': 'completed',
      'agentgateway.reason': 'Upstream',
      'agentgateway.overhead': 0.00075,
      'agentgateway.stalled': 0.002,
    })
  })

  test('of guards', () => {
    const guards = [
      { phase: 'request', guard: 'regex', action: 'Mask' },
      { phase: 'request', guard: 'webhook', action: 'Allow', waitedMs: 250 },
    ] as const
    const llm = { ...LLM, guards: [...guards] }
    const [server] = spansOf(finish(begin(), { llm }))
    expect(server?.attributes['agentgateway.guard.request']).toBe('Mask')
    expect(server?.attributes['agentgateway.guard.duration']).toBe(0.25)
    expect(server?.attributes).not.toHaveProperty(['agentgateway.guard.response'])
  })

  test('of the call', () => {
    const exchange = finish(begin(), { llm: LLM, backend: 'openai' })
    exchange.attempts.push(attempt())
    expect(spansOf(exchange)[1]?.attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-4o-mini',
      'gen_ai.request.stream': true,
      'gen_ai.request.temperature': 0.7,
      'gen_ai.request.top_p': 0.9,
      'gen_ai.request.top_k': 40,
      'gen_ai.request.max_tokens': 100,
      'gen_ai.request.frequency_penalty': 0.1,
      'gen_ai.request.presence_penalty': 0.2,
      'gen_ai.request.seed': 7,
      'gen_ai.request.choice.count': 2,
      'gen_ai.request.stop_sequences': ['END'],
      'gen_ai.request.reasoning.level': 'low',
      'gen_ai.request.encoding_formats': ['float'],
      'gen_ai.embeddings.dimension.count': 256,
      'gen_ai.response.id': 'chatcmpl-1',
      'gen_ai.response.model': 'gpt-4o-mini-2024-07-18',
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.response.time_to_first_chunk': 0.02,
      'gen_ai.usage.input_tokens': 1200,
      'gen_ai.usage.output_tokens': 56,
      'gen_ai.usage.cache_read.input_tokens': 1024,
      'gen_ai.usage.cache_write.input_tokens': 32,
      'gen_ai.usage.cache_creation.input_tokens': 32,
      'gen_ai.usage.reasoning.output_tokens': 8,
      'agw.ai.usage.cost.total': 0.0003,
      'agw.ai.usage.cost.input': 0.0001,
      'agw.ai.usage.cost.output': 0.0002,
      'agentgateway.usage_source': 'provider',
      'agentgateway.cost_status': 'Exact',
      'agentgateway.original_model': 'fast',
      'agentgateway.backend': 'openai',
      'server.address': 'api.openai.com',
      'server.port': 443,
    })
  })

  test('of the attempts', () => {
    const exchange = finish(begin(), { backend: 'openai' })
    exchange.attempts.push(
      attempt({ status: undefined, connectMs: 3, errorType: 'provider_connect' }),
      attempt(),
    )
    const [, first, second] = spansOf(exchange)
    expect(first?.attributes).toEqual({
      'http.request.method': 'POST',
      'server.address': 'api.openai.com',
      'server.port': 443,
      'error.type': 'provider_connect',
      'agentgateway.backend': 'openai',
      'agentgateway.connect_time': 0.003,
    })
    expect(second?.attributes).toEqual({
      'http.request.method': 'POST',
      'http.response.status_code': 200,
      'http.request.resend_count': 1,
      'server.address': 'api.openai.com',
      'server.port': 443,
      'agentgateway.backend': 'openai',
    })
  })

  test('hold neither the query nor keys nor endless texts', () => {
    const exchange = finish(begin({ userAgent: 'u'.repeat(100_000), path: `/${'p'.repeat(100_000)}` }), {
      status: 502,
      outcome: 'upstream_error',
      errorMessage: 'Incorrect API key provided: sk-abcdefgh1234',
      llm: { ...LLM, requestModel: 'm'.repeat(1_000_000) },
    })
    exchange.attempts.push(attempt({ status: 401, errorMessage: 'bad key sk-abcdefgh1234' }))
    const text = JSON.stringify(spansOf(exchange))
    expect(text).not.toMatch(/secret|abcdefgh/)
    expect(text.length).toBeLessThan(20_000)
  })

  test.each([
    { host: 'example.com', address: 'example.com', port: undefined },
    { host: '[::1]:3000', address: '::1', port: 3000 },
    { host: '[::1]', address: '::1', port: undefined },
    { host: '::1', address: '::1', port: undefined },
    { host: '', address: undefined, port: undefined },
  ])('take the server from the host $host', ({ host, address, port }) => {
    const [server] = spansOf(finish(begin({ host })))
    expect(server?.attributes['server.address']).toBe(address)
    expect(server?.attributes['server.port']).toBe(port)
  })

  test('keep unknown methods out of names', () => {
    const [server] = spansOf(finish(begin({ method: 'PROPFIND' }), { routePattern: '/*' }))
    expect(server?.name).toBe('HTTP /*')
    expect(server?.attributes).toMatchObject({
      'http.request.method': '_OTHER',
      'http.request.method_original': 'PROPFIND',
    })
  })
})

describe('the error status', () => {
  const ok = undefined
  test.each([
    { name: 'success', facts: {}, server: ok, call: ok, attempt: ok },
    {
      name: 'the provider’s 429',
      facts: { status: 429, outcome: 'upstream_error', errorType: 'provider_rate_limited' },
      attemptFacts: { status: 429 },
      server: ok,
      call: 'provider_rate_limited',
      attempt: 'provider_rate_limited',
    },
    {
      name: 'the provider’s 400',
      facts: { status: 400, outcome: 'upstream_error', errorType: 'provider_invalid_request' },
      attemptFacts: { status: 400 },
      server: ok,
      call: 'provider_invalid_request',
      attempt: 'provider_invalid_request',
    },
    {
      name: 'the provider’s 500',
      facts: { status: 500, outcome: 'upstream_error', errorType: 'provider_server_error' },
      attemptFacts: { status: 500, errorMessage: 'boom' },
      server: 'provider_server_error',
      call: 'provider_server_error',
      attempt: 'provider_server_error',
    },
    {
      name: 'no connection',
      facts: { ...FAULTS.upstream_connect },
      attemptFacts: { status: undefined, errorType: 'provider_connect' },
      server: 'provider_connect',
      call: 'provider_connect',
      attempt: 'provider_connect',
    },
    {
      name: 'a stream that breaks after its 200',
      facts: { status: 200, outcome: 'upstream_midstream_error', errorType: 'provider_reset' },
      attemptFacts: { errorType: 'provider_reset' },
      server: 'provider_reset',
      call: 'provider_reset',
      attempt: 'provider_reset',
    },
    {
      name: 'an error inside a stream that ends well',
      facts: { status: 200, outcome: 'upstream_midstream_error', errorType: 'provider_stream_error' },
      server: 'provider_stream_error',
      call: 'provider_stream_error',
      attempt: ok,
    },
    {
      name: 'a stream that falls silent',
      facts: { status: 200, outcome: 'timeout', errorType: 'provider_idle_timeout' },
      attemptFacts: { errorType: 'provider_idle_timeout' },
      server: 'provider_idle_timeout',
      call: 'provider_idle_timeout',
      attempt: 'provider_idle_timeout',
    },
    {
      name: 'a client that leaves',
      facts: { status: 200, outcome: 'client_abort', errorType: 'caller_abort' },
      attemptFacts: { errorType: 'caller_abort' },
      server: ok,
      call: ok,
      attempt: ok,
    },
    {
      name: 'a fault of our own after the provider’s success',
      facts: { ...FAULTS.internal },
      server: 'gateway_internal',
      call: ok,
      attempt: ok,
    },
  ] as const)('after $name', ({ facts, server, call, attempt: failure, ...row }) => {
    const exchange = finish(begin(), { llm: LLM, errorMessage: 'it failed', ...facts })
    exchange.attempts.push(attempt('attemptFacts' in row ? row.attemptFacts : {}))
    const spans = spansOf(exchange)
    const errors = spans.map((span) => (span.error === undefined ? undefined : span.attributes['error.type']))
    expect(errors).toEqual([server, call, failure])
    expect(spans[0]?.error?.message).toBe(server && 'it failed')
  })

  test('of the call is the last attempt’s', () => {
    const exchange = finish(begin(), { llm: LLM })
    exchange.attempts.push(attempt({ status: 503, errorMessage: 'overloaded' }), attempt())
    expect(spansOf(exchange).map((span) => span.error)).toEqual([
      undefined,
      undefined,
      { message: 'overloaded' },
      undefined,
    ])
  })

  test.each(Object.entries(FAULTS).filter(([, fault]) => fault.outcome !== 'client_abort'))(
    'is set on the request for our fault %s',
    (_, fault) => {
      const [server] = spansOf(finish(begin(), { ...fault, errorMessage: 'why' }))
      expect(server?.error).toEqual({ message: 'why' })
      expect(server?.attributes).toMatchObject({
        'error.type': fault.errorType,
        'agentgateway.outcome': fault.outcome,
        'agentgateway.reason': fault.reason,
      })
    },
  )
})
