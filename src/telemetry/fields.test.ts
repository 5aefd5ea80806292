import { describe, expect, test } from 'vitest'
import { beginExchange, type Exchange } from '../core/exchange.ts'
import { llmExchange } from '../store/exchanges.fixture.ts'
import { compileField, textOfField } from './fields.ts'
import { finishedVariables, type Seen } from './variables.ts'

const SEEN: Seen = {
  requestHeaders: { 'user-agent': 'curl/8', authorization: 'Bearer canary', 'x-two': ['a', 'b'] },
  responseHeaders: { 'content-type': 'text/plain', 'set-cookie': 'id=canary' },
  apiKey: { team: 'red', tier: 2 },
  basicAuth: { username: 'ann' },
  jwt: { sub: 'ann', groups: ['a', 'b'], admin: true, note: 'sk-canary-1234567890' },
}

const begun = () =>
  beginExchange({
    trace: { traceId: 'a', spanId: 'b', parentSpanId: undefined, sampled: false, traceState: undefined },
    clientAddress: '10.0.0.1',
    method: 'POST',
    host: 'gateway.example',
    path: '/v1/chat',
    query: 'key=canary',
    httpVersion: '1.1',
    scheme: 'https',
    userAgent: undefined,
    bind: 'bind/3000',
  })

const finished = (changes: Partial<Exchange> = {}): Exchange => ({
  ...begun(),
  startedAtEpochMs: Date.UTC(2026, 0, 1),
  startedAt: 1000,
  endedAt: 3500,
  status: 200,
  listener: 'main',
  route: 'default/chat',
  backend: 'openai',
  protocol: 'llm',
  outcome: 'completed',
  ...changes,
})

/** Not less than the whole of what the gateway does with an expression. */
function evaluated(source: string, exchange = finished(), seen: Seen | 'none' = SEEN) {
  const failures: string[] = []
  const field = compileField('f', source, 'here', (place, problem) => failures.push(`${place}: ${problem}`))
  const variables = finishedVariables([field.expression], (name) => /auth|cookie/.test(name))(
    exchange,
    seen === 'none' ? undefined : seen,
  )
  return { value: field.evaluate(variables), failures, again: field.evaluate(variables), variables }
}

const mcp = (errorType?: 'timeout') => ({
  sessionId: 's1',
  protocolVersion: undefined,
  calls: [],
  operations: [operation('tools/list'), { ...operation('tools/call'), errorType }],
})

const operation = (method: string) => ({
  method,
  isInterim: false,
  requestId: 1,
  startedAt: 0,
  endedAt: 1,
  resourceType: method === 'tools/call' ? ('tool' as const) : undefined,
  resource: method === 'tools/call' ? 'echo' : undefined,
  resourceConfirmed: true,
  target: 'everything',
  errorType: undefined,
  errorCode: undefined,
  errorMessage: undefined,
})

describe('of a finished request', () => {
  test.each<[source: string, value: unknown]>([
    ['request.method', 'POST'],
    ['request.host', 'gateway.example'],
    ['request.scheme', 'https'],
    ['request.path', '/v1/chat'],
    ['request.version', 'HTTP/1.1'],
    ['request.headers["user-agent"]', 'curl/8'],
    ['request.headers["x-two"]', ['a', 'b']],
    ['string(request.startTime)', '2026-01-01T00:00:00Z'],
    ['string(request.endTime - request.startTime)', '2.500s'],
    ['request.endTime - request.startTime > duration("2s")', true],
    ['request.endTime - request.startTime > duration("3s")', false],
    ['source.address', '10.0.0.1'],
    ['response.code', 200],
    ['response.headers["content-type"]', 'text/plain'],
    ['apiKey.team', 'red'],
    ['apiKey.tier * 2', 4],
    ['basicAuth.username', 'ann'],
    ['jwt.admin', true],
    ['jwt.groups', ['a', 'b']],
    ['{"who": jwt.sub, "n": [1, 2.5]}', { who: 'ann', n: [1, 2.5] }],
    ['backend.name + " " + backend.type + " " + backend.protocol', 'openai ai llm'],
    ['proxy.bind + " " + proxy.listener.name', 'bind/3000 main'],
    ['proxy.route.namespace + " " + proxy.route.name', 'default chat'],
    ['proxy.outcome + " " + proxy.reason', 'completed Upstream'],
    ['has(llm.provider)', undefined],
    ['1.5', 1.5],
    ['"a" + "b"', 'ab'],
    ['null', undefined],
  ])('%s is %j', (source, value) => {
    expect(evaluated(source).value).toEqual(value)
  })

  test.each([
    'llm.provider',
    'llm.requestModel',
    'llm.inputTokens + llm.outputTokens == llm.totalTokens',
    'llm.cost.total',
    'llm.params.temperature',
  ])('%s has a value for a model', (source) => {
    const exchange = llmExchange({ completedAt: Date.now() })
    const { value, failures } = evaluated(source, exchange)
    expect(failures).toEqual([])
    expect(value).not.toBeUndefined()
    if (source.includes('==')) expect(value).toBe(true)
  })

  test.each([
    { of: 'the first message', facts: mcp(), source: 'mcp.methodName', value: 'tools/list' },
    { of: 'the message that failed', facts: mcp('timeout'), source: 'mcp.methodName', value: 'tools/call' },
    {
      of: 'its tool',
      facts: mcp('timeout'),
      source: 'mcp.tool.target + "/" + mcp.tool.name',
      value: 'everything/echo',
    },
    { of: 'the session', facts: mcp(), source: 'mcp.sessionId', value: 's1' },
    { of: 'no tool', facts: mcp(), source: 'has(mcp.tool)', value: false },
  ])('tells of MCP $of', ({ facts, source, value }) => {
    expect(evaluated(source, finished({ protocol: 'mcp', mcp: facts })).value).toBe(value)
  })
})

describe('without a value', () => {
  test.each([
    { source: 'jwt.absent', problem: /absent/ },
    { source: 'llm.provider', problem: /llm/ },
    { source: '1 / 0', problem: /divi/i },
    { source: 'request.startTime', problem: /neither text, number, boolean, list nor map/ },
    { source: '0.0 / 0.0', problem: /neither text/ },
  ])('$source is left out, and told once', ({ source, problem }) => {
    const { value, again, failures } = evaluated(source)
    expect([value, again]).toEqual([undefined, undefined])
    expect(failures).toEqual([expect.stringMatching(problem)])
    expect(failures[0]).toMatch(/^here: /)
  })

  test('null says that there is none, and is nothing to tell of', () => {
    expect(evaluated('null').failures).toEqual([])
  })

  test('a request that no route was found for has no credentials, and its own headers', () => {
    const seen = {
      ...SEEN,
      responseHeaders: undefined,
      apiKey: undefined,
      basicAuth: undefined,
      jwt: undefined,
    }
    expect(evaluated('jwt.sub', finished(), seen).value).toBeUndefined()
    expect(evaluated('has(response.headers)', finished(), seen).value).toBe(false)
    expect(evaluated('request.headers["user-agent"]', finished(), seen).value).toBe('curl/8')
  })

  test('what never was a request has neither', () => {
    const exchange = finished({ status: 0 })
    expect(evaluated('request.method', exchange, 'none').value).toBe('POST')
    expect(evaluated('has(request.headers)', exchange, 'none').value).toBe(false)
    expect(evaluated('response.code', exchange, 'none').value).toBeUndefined()
  })
})

describe('secrets', () => {
  test.each([
    'request.headers.authorization',
    'request.headers["authorization"]',
    'response.headers["set-cookie"]',
    'request.headers',
    'request',
    'response',
    'request.headers.map(name, request.headers[name])',
    '[request, response].map(one, one.headers)',
    'jwt.note',
    'jwt',
    '{jwt.note: 1}',
    '[[jwt.note]]',
  ])('are not in %s', (source) => {
    expect(JSON.stringify(evaluated(source).value) ?? '').not.toContain('canary')
  })

  test('the query is no variable', () => {
    expect(() => evaluated('request.query')).toThrow(/no request\.query/)
    expect(JSON.stringify(evaluated('request').value)).not.toContain('canary')
  })
})

test.each([
  { source: 'request.method', roots: ['request'] },
  { source: 'jwt.sub == "a" || apiKey.team == "b"', roots: ['apiKey', 'jwt'] },
  { source: 'true', roots: [] },
])('$source has the variables that it reads, and no others: $roots', ({ source, roots }) => {
  expect(Object.keys(evaluated(source).variables).toSorted()).toEqual(roots)
})

test('headers are copied only where they are read', () => {
  const seen = (source: string) => {
    let reads = 0
    const counting = {
      ownKeys(target: object) {
        reads += 1
        return Reflect.ownKeys(target)
      },
    }
    const headers = new Proxy<Seen['requestHeaders']>({ a: 'b' }, counting)
    evaluated(source, finished(), { ...SEEN, requestHeaders: headers })
    return reads
  }
  expect(seen('request.method')).toBe(0)
  expect(seen('request.headers.a')).toBe(1)
  expect(seen('request')).toBe(1)
})

test.each([
  { value: 'a', text: 'a' },
  { value: 1.5, text: '1.5' },
  { value: false, text: 'false' },
  { value: ['a', 1], text: '["a",1]' },
  { value: { a: null }, text: '{"a":null}' },
  { value: ['x'.repeat(5000)], text: `["${'x'.repeat(4093)}…` },
])('$value in words is $text', ({ value, text }) => {
  expect(textOfField(value)).toBe(text)
})
