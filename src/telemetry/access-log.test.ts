import { describe, expect, test } from 'vitest'
import { FAULTS, type FaultCode, OUTCOMES } from '../core/errors.ts'
import { beginExchange, type Exchange, type ExchangeStart, type LlmFacts } from '../core/exchange.ts'
import { accessLogLine, type LineChange } from './access-log.ts'
import { compileFields } from './fields.ts'
import { neverSample, traceContextFor } from './sampling.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'

function begin(start: Partial<ExchangeStart> = {}): Exchange {
  const exchange = beginExchange({
    trace: {
      ...traceContextFor(`00-${TRACE}-b7ad6b7169203331-01`, undefined, neverSample),
      spanId: '00f067aa0ba902b7',
    },
    clientAddress: '10.0.0.7:51234',
    method: 'POST',
    host: 'localhost:3000',
    path: '/v1/chat/completions',
    query: '',
    httpVersion: '1.1',
    scheme: 'http',
    userAgent: 'curl/8.5.0',
    bind: 'bind/3000',
    ...start,
  })
  return { ...exchange, startedAtEpochMs: Date.UTC(2026, 10, 23, 9, 5, 7, 42), startedAt: 1000 }
}

function finish(exchange: Exchange, facts: Partial<Exchange> = {}): Exchange {
  return Object.assign(exchange, { status: 200, outcome: 'completed', endedAt: 1012.5 }, facts)
}

const attempt = (facts: Partial<Exchange['attempts'][number]> = {}) => ({
  spanId: 'b9c7c989f97918e1',
  endpoint: 'api.openai.com:443',
  startedAt: 1000.5,
  connectMs: undefined,
  queuedMs: undefined,
  headAt: 1008,
  endedAt: 1012,
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
  parameters: { temperature: 0.7, maxTokens: 100 },
  finishReasons: ['stop'],
  firstTokenAt: 1010,
  usage: {
    inputTokens: 1200,
    outputTokens: 5,
    cacheReadTokens: 1024,
    cacheWriteTokens: 0,
    reasoningTokens: 2,
  },
  usageSource: 'provider',
  // 0.1 + 0.2, as it comes out of adding prices.
  cost: { total: 0.30000000000000004, input: 0.1, output: 0.2 },
  costStatus: 'Exact',
  guards: [],
}

const text = accessLogLine('text')
const json = (exchange: Exchange): Record<string, unknown> => JSON.parse(accessLogLine('json')(exchange))

describe('the access log', () => {
  test('writes a plain exchange as text', () => {
    const exchange = finish(begin({ method: 'GET', path: '/get' }), {
      backend: 'httpbin.org:80',
      stalledMs: 3.25,
    })
    exchange.attempts.push(attempt({ endpoint: 'httpbin.org:80' }))
    expect(text(exchange)).toBe(
      '2026-11-23T09:05:07.054500Z\tinfo\trequest bind=bind/3000 backend=httpbin.org:80 endpoint=httpbin.org:80 ' +
        'src.addr=10.0.0.7:51234 http.method=GET http.host=localhost:3000 http.path=/get http.version=HTTP/1.1 ' +
        `http.status=200 trace.id=${TRACE} span.id=00f067aa0ba902b7 protocol=http ` +
        'outcome=completed stalled=3.25ms duration=12.5ms\n',
    )
  })

  test('tells pauses, evictions and waits, where there were any', () => {
    const exchange = finish(begin(), {
      events: [
        { name: 'backend.evicted', at: 1001, backend: 'first', durationMs: 3000 },
        { name: 'backend.failover', at: 1001, backend: 'second', from: 'first' },
        { name: 'backend.evicted', at: 1002, backend: 'second', durationMs: 3000 },
        { name: 'backend.retry', at: 1003, backend: 'second', durationMs: 1.5 },
        { name: 'backend.retry', at: 1005, backend: 'second', durationMs: 2 },
      ],
    })
    exchange.attempts.push(attempt({ queuedMs: 0.25 }), attempt(), attempt({ queuedMs: 1 }))
    expect(json(exchange)).toMatchObject({
      'retry.attempt': 2,
      'retry.backoff': '3.5ms',
      evicted: 'first,second',
      queued: '1.25ms',
    })
    const plain = json(finish(begin(), { events: [{ name: 'budget.exceeded', at: 1001 }] }))
    expect([plain['retry.backoff'], plain.evicted, plain.queued]).toEqual([undefined, undefined, undefined])
  })

  test('tells the strictest that guards made of each direction', () => {
    const guards = [
      { phase: 'request', guard: 'regex', action: 'Mask' },
      { phase: 'request', guard: 'regex', action: 'Allow' },
      { phase: 'response', guard: 'regex', action: 'Reject' },
      { phase: 'request', guard: 'webhook', action: 'FailOpen', waitedMs: 1200 },
      { phase: 'response', guard: 'webhook', action: 'Allow', waitedMs: 300 },
    ] as const
    const line = json(finish(begin(), { llm: { ...LLM, guards: [...guards] } }))
    expect(line).toMatchObject({
      'guard.request': 'Mask',
      'guard.response': 'Reject',
      'guard.duration': 1.5,
    })
  })

  test('writes a streamed chat as JSON, fields in upstream’s order', () => {
    const exchange = finish(begin(), {
      listener: 'listener0',
      route: 'default/route0',
      backend: 'openai',
      protocol: 'llm',
      llm: LLM,
      requestProcessingMs: 0.25,
      responseProcessingMs: 0.125,
    })
    exchange.attempts.push(attempt({ status: 503 }), attempt())
    const line = accessLogLine('json')(exchange)
    expect(Object.entries(JSON.parse(line))).toEqual([
      ['level', 'info'],
      ['time', '2026-11-23T09:05:07.054500Z'],
      ['scope', 'request'],
      ['bind', 'bind/3000'],
      ['listener', 'listener0'],
      ['route', 'default/route0'],
      ['backend', 'openai'],
      ['endpoint', 'api.openai.com:443'],
      ['src.addr', '10.0.0.7:51234'],
      ['http.method', 'POST'],
      ['http.host', 'localhost:3000'],
      ['http.path', '/v1/chat/completions'],
      ['http.version', 'HTTP/1.1'],
      ['http.status', 200],
      ['trace.id', TRACE],
      ['span.id', '00f067aa0ba902b7'],
      ['protocol', 'llm'],
      ['gen_ai.operation.name', 'chat'],
      ['gen_ai.provider.name', 'openai'],
      ['gen_ai.request.model', 'gpt-4o-mini'],
      ['gen_ai.response.model', 'gpt-4o-mini-2024-07-18'],
      ['gen_ai.usage.input_tokens', 1200],
      ['gen_ai.usage.cache_read.input_tokens', 1024],
      ['gen_ai.usage.output_tokens', 5],
      ['gen_ai.usage.reasoning_tokens', 2],
      ['agw.ai.time_to_first_token', 0.01],
      ['agw.ai.time_per_output_token', 0.0005],
      ['agw.ai.usage.cost.total', 0.3],
      ['agw.ai.usage.source', 'provider'],
      ['gen_ai.request.temperature', 0.7],
      ['gen_ai.request.max_tokens', 100],
      ['retry.attempt', 1],
      ['outcome', 'completed'],
      ['overhead', '0.375ms'],
      ['duration', '12.5ms'],
    ])
    expect(line.indexOf('\n')).toBe(line.length - 1)
  })

  test('says the same in both formats', () => {
    const exchange = finish(begin(), { llm: LLM, protocol: 'llm', errorMessage: 'broke off' })
    const fromText = text(exchange)
      .split('request ')[1]
      ?.trim()
      .match(/[\w.]+=(?:"(?:[^"\\]|\\.)*"|\S+)/g)
      ?.map((pair) => pair.replaceAll('"', '').split('='))
    const { level, time, scope, ...fields } = json(exchange)
    expect(fromText).toEqual(Object.entries(fields).map(([key, value]) => [key, String(value)]))
  })

  test.each(Object.entries(FAULTS))('names the fault %s', (code, fault) => {
    const exchange = finish(begin(), {
      ...fault,
      errorMessage: `it was ${code satisfies string as FaultCode}`,
    })
    expect(json(exchange)).toMatchObject({
      'http.status': fault.status,
      outcome: fault.outcome,
      error_type: fault.errorType,
      error: `it was ${code}`,
      ...(fault.reason !== 'Upstream' && { reason: fault.reason }),
    })
    expect(text(exchange)).toContain(` error="it was ${code}"`)
  })

  test.each(OUTCOMES)('writes one whole line for the outcome %s', (outcome) => {
    const exchange = finish(begin(), { outcome, status: 0, endedAt: undefined })
    expect(text(exchange)).toMatch(new RegExp(`^[^\\n]* outcome=${outcome} duration=0ms\\n$`))
    expect(json(exchange).outcome).toBe(outcome)
  })

  test('leaves out the query, whatever it holds', () => {
    const exchange = finish(begin({ query: 'key=AIzaSyA-secret&x=1' }))
    expect(text(exchange) + accessLogLine('json')(exchange)).not.toMatch(/secret|x=1|\?/)
  })

  test('removes keys from the error', () => {
    const exchange = finish(begin(), { errorMessage: 'Incorrect API key provided: sk-abcdefgh1234' })
    expect(json(exchange).error).toBe('Incorrect API key provided: [redacted]')
  })

  const FORGERIES = [
    '/a\n2026-11-23T09:05:07.000000Z\tinfo\trequest http.status=200',
    '/a http.status=200 outcome=completed',
    '/a" http.status="200',
    '/a\\" http.status=200',
    '/a\r\nx',
    '/\u0000\u001b[2J\u009b2J\u007f',
    '/\u2028\u2029\u202e\u0085',
    '/","http.status":200,"x":"',
    '=http.status=200',
    '',
    '\ud800',
    `/${'x'.repeat(100_000)}`,
  ]
  const TAINTED = FORGERIES.map((value) => {
    const exchange = finish(begin({ path: value, host: value, method: value }), {
      errorMessage: value,
      backend: value,
    })
    exchange.llm = { ...LLM, requestModel: value, responseModel: value, provider: value }
    return { value, exchange }
  })

  test.each(TAINTED)('cannot be forged in text by $value', ({ value, exchange }) => {
    const line = text(exchange)
    for (const character of line.slice(0, -1).replaceAll('\t', '')) {
      expect(character >= ' ' && !/[\u007f-\u009f\u2028-\u202e]/.test(character)).toBe(true)
    }
    expect(line.split('\t').length).toBe(3)
    // Read back as any logfmt reader would.
    const pairs = [
      ...line.slice(line.indexOf('bind=')).matchAll(/([\w.]+)=("(?:[^"\\]|\\.)*"|[^\s"]+)(?= |\n$)/g),
    ]
    const fields = Object.fromEntries(pairs.map(([, key = '', field = '']) => [key, field]))
    expect(pairs.filter(([, key]) => key === 'http.status').map(([, , field]) => field)).toEqual(['200'])
    if (value.length < 4000 && fields['http.path']?.startsWith('"')) {
      expect(JSON.parse(fields['http.path'])).toBe(value)
    }
    expect(line.length).toBeLessThan(50_000)
  })

  test.each(TAINTED)('cannot be forged in JSON by $value', ({ value, exchange }) => {
    const line = accessLogLine('json')(exchange)
    expect(line.split('\n').length).toBe(2)
    const fields = JSON.parse(line)
    expect(fields['http.status']).toBe(200)
    if (value.length < 4000) expect(fields['http.path']).toBe(value)
    expect(JSON.stringify(Object.keys(fields))).not.toContain('"x"')
  })
})

describe('what the configuration makes of the fields', () => {
  const change = (add: Readonly<Record<string, string>>, remove: readonly string[] = []): LineChange => ({
    removed: new Set([...remove, ...Object.keys(add)]),
    added: compileFields(add, 'access log', () => {}),
    variables: { request: { method: 'POST' }, jwt: { sub: 'ann', note: 'a "b"\n\u202e' } },
  })
  const ADDED = {
    who: 'jwt.sub',
    'x y': 'jwt.note',
    count: '1.5',
    yes: 'true',
    list: '["a b", 1]',
    map: '{"k": jwt.note}',
    absent: 'jwt.absent',
    'http.method': 'request.method + "!"',
    duration: 'jwt.absent',
  }

  test('adds at the end, replaces and removes in text', () => {
    const line = accessLogLine('text')(finish(begin()), change(ADDED, ['bind', 'trace.id', 'error_type']))
    expect(line).not.toMatch(/ (?:bind|trace\.id|http\.method=POST |duration|absent)/)
    expect(line).toContain(' http.host=localhost:3000 ')
    expect(line).toMatch(
      / outcome=completed who=ann "x y"="a \\"b\\"\\n\\u202e" count=1.5 yes=true list="\[\\"a b\\",1\]" map=".*" http.method=POST!\n$/,
    )
    expect(line.split('\n')).toHaveLength(2)
  })

  test('adds values of all kinds in JSON', () => {
    const line = accessLogLine('json')(finish(begin()), change(ADDED, ['bind']))
    const parsed: unknown = JSON.parse(line)
    expect(parsed).toMatchObject({
      who: 'ann',
      'x y': 'a "b"\n\u202e',
      count: 1.5,
      yes: true,
      list: ['a b', 1],
      map: { k: 'a "b"\n\u202e' },
      'http.method': 'POST!',
    })
    for (const name of ['absent', 'bind', 'duration']) expect(parsed).not.toHaveProperty([name])
    expect(line).not.toContain('\u202e')
    // One member of each name: which of two counts depends on who reads.
    expect(line.match(/"http\.method":/g)).toHaveLength(1)
  })

  test('cuts a list that is too long, and is JSON still', () => {
    const long = change({ list: `[${Array.from({ length: 900 }, () => '"abcdef"').join(', ')}]` })
    const parsed = JSON.parse(accessLogLine('json')(finish(begin()), long))
    expect(parsed.list).toMatch(/^\["abcdef",.*…$/)
  })
})
