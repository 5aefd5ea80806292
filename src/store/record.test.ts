import { describe, expect, test } from 'vitest'
import type { Exchange } from '../core/exchange.ts'
import { recordOf } from './batch.fixture.ts'
import {
  eventful,
  finished,
  httpExchange,
  llmExchange,
  mcpExchange,
  PARAMETERS,
} from './exchanges.fixture.ts'
import { readFacts } from './record.ts'
import type { Finished } from './types.ts'

const completedAt = Date.now()
const LONG = 'x'.repeat(5_000_000)
const SECRET = 'sk-proj-abcdefghij0123456789'

function manyOperations(method: string): Exchange {
  const exchange = mcpExchange({ completedAt })
  const [operation] = exchange.mcp?.operations ?? []
  const [call] = exchange.mcp?.calls ?? []
  if (exchange.mcp === undefined || operation === undefined || call === undefined) throw new Error('no call')
  const operations = Array.from({ length: 20_000 }, (_, requestId) => ({
    ...operation,
    requestId,
    method,
    errorMessage: method,
  }))
  const calls = operations.slice(0, 100).map((one) => ({ ...call, operation: one, method }))
  return { ...exchange, mcp: { ...exchange.mcp, operations, calls } }
}

const endless = (exchange: Exchange): Exchange => {
  const { events: [event] = [] } = eventful(exchange)
  if (event === undefined) throw new Error('no event')
  return {
    ...exchange,
    events: Array.from({ length: 5000 }, () => ({ ...event, backend: LONG, reason: LONG })),
  }
}

const HOSTILE: readonly (readonly [name: string, record: Finished])[] = [
  [
    'a model of five megabytes',
    finished(llmExchange({ completedAt }, { originalModel: LONG, requestModel: LONG, responseModel: LONG }), {
      operation: LONG,
    }),
  ],
  [
    'parameters and reasons without end',
    finished(
      llmExchange(
        { completedAt },
        {
          parameters: { stopSequences: Array.from({ length: 5000 }, () => LONG.slice(0, 2000)) },
          finishReasons: Array.from({ length: 5000 }, () => LONG.slice(0, 2000)),
          responseId: LONG,
        },
      ),
    ),
  ],
  [
    'a user, a path and a message of five megabytes',
    finished({
      ...httpExchange({ completedAt, path: `/${LONG}`, userAgent: LONG }),
      user: LONG,
      group: LONG,
      errorMessage: LONG,
    }),
  ],
  ['events without end', finished(endless(httpExchange({ completedAt })))],
  [
    'attributes without end',
    finished({
      ...httpExchange({ completedAt }),
      attributes: Array.from({ length: 32 }, () => [LONG, LONG] as const),
    }),
  ],
  ['a batch of 20,000', finished(manyOperations(LONG.slice(0, 2000)))],
  ['a batch whose characters are all escaped', finished(manyOperations('\u0001'.repeat(2000)))],
]

describe('a record', () => {
  test.each(HOSTILE)('stays below 64 KiB: %s', (_, record) => {
    const { exchange, fields, searchText, facts } = recordOf(record)
    expect(facts.length).toBeLessThan(65_536)
    expect(readFacts(facts).trace).toEqual(record.exchange.trace)
    expect(exchange.trace).toEqual(record.exchange.trace)
    expect(exchange.mcp?.operations[0]?.requestId).toBe(record.exchange.mcp?.operations[0]?.requestId)
    for (const value of [...Object.values(fields), searchText]) {
      expect(String(value).length).toBeLessThanOrEqual(1500)
    }
  })

  test('is on disk as it always was', () => {
    const [head, attempt] = [
      [1, 't', 's', null, 1, null, 1e12 - 12.5, '10.1.2.3', 'POST', 'gateway.example'],
      ['a', 'plain:8080', 250_000, 1_500_000, 6_250_000, 12_500_000, 200, null, null, null],
    ]
    const tail = [200, 4321, 6_250_000, 12_500_000, 'completed', 'Upstream', null, null, 250_000, 125_000]
    const named = (exchange: Exchange): Exchange => ({
      ...exchange,
      trace: { ...exchange.trace, traceId: 't', spanId: 's' },
      attempts: exchange.attempts.map((one) => ({ ...one, spanId: 'a' })),
    })
    const factsOf = (exchange: Exchange) => JSON.parse(recordOf(finished(exchange)).facts)

    const llm = eventful(named(llmExchange({ completedAt: 1e12 }, { responseId: 'r' })))
    expect(
      factsOf({ ...llm, attributes: [['team', 'red'] as const, ['n', 1.5] as const, ['on', true] as const] }),
    ).toEqual([
      ...head,
      ...['/v1/chat/completions', '1.1', 'http', 'OpenAI/Python 1.2', 321, 'alice', null, 'a1b2c3d4'],
      ...['bind/3000', 'listener0', 'default/chat', '/v1/*', 'llm', 'ai.openai'],
      [
        ...['completions', 'chat', 'openai', 'completions', 'completions', 'gpt-4o', 'gpt-4o', 1],
        ...['gpt-4o-2024-08-06', 'r', 1, { temperature: 0.5, maxTokens: 500 }, ['stop'], 3_125_000],
        ...[[100, 50, 25, 5, 10], 'provider', [0.75, 0.25, 0.5], 'Exact'],
        [
          ['request', 'regex', 'Mask', null],
          ['response', 'webhook', 'FailOpen', 12_500_000],
        ],
      ],
      null,
      [attempt],
      ...tail,
      ...[500_000, 0],
      [
        [
          'backend.evicted',
          1_500_000,
          null,
          null,
          null,
          null,
          'first',
          null,
          3e9,
          503,
          'provider_overloaded',
        ],
        [
          ...['rate_limit.exceeded', 2_000_000, 'localRateLimit[0]', '1 requests per 60s', 'abcd1234'],
          ...['refuse', null, 'second', null, null, null],
        ],
      ],
      [
        ['team', 'red'],
        ['n', 1.5],
        ['on', true],
      ],
    ])

    const mcp = named(mcpExchange({ completedAt: 1e12 }))
    if (mcp.mcp !== undefined) mcp.mcp.sessionId = 'm'
    for (const call of mcp.mcp?.calls ?? []) call.spanId = 'c'
    expect(factsOf(mcp)).toEqual([
      ...head,
      ...['/mcp', '1.1', 'http', 'claude-code/2.0', 321, null, null, null],
      ...['bind/3000', 'listener0', 'default/mcp', '/mcp', 'mcp', 'mcp', null],
      [
        ...['m', '2025-11-25'],
        [['tools/call', 0, 7, 0, 12_500_000, 'tool', 'echo', 1, 'everything', null, null, null]],
        [
          [
            ...['c', 0, 'tools/call', 'everything', 'everything:3001', 0, 500_000, null, 12_500_000, 200],
            ...[null, null, null, null],
          ],
        ],
      ],
      [attempt],
      ...tail,
      ...[0, 0, null, null],
    ])
  })

  test('has every parameter that there is', () => {
    const parameters = PARAMETERS
    const read = recordOf(finished(llmExchange({ completedAt }, { parameters })))
    expect(read.exchange.llm?.parameters).toEqual(parameters)
    expect(readFacts(read.facts).llm?.parameters).toEqual(parameters)
  })

  test('has what policies did', () => {
    const exchange = eventful(httpExchange({ completedAt }))
    const read = recordOf(finished(exchange)).exchange
    const since = ({ startedAt, events = [] }: Exchange) =>
      events.map(({ at, ...event }) => ({ ...event, at: Number((at - startedAt).toFixed(6)) }))
    expect(since(read)).toEqual(since(exchange))
    expect(since(read)).toHaveLength(2)
  })

  test('of a request that policies let alone has no events', () => {
    const read = recordOf(finished(httpExchange({ completedAt }))).exchange
    expect(read.events).toBeUndefined()
  })

  test('has what the configuration wants kept besides', () => {
    const attributes = [
      ['team', 'red'],
      ['n', 1.5],
      ['on', true],
      ['cut', `${'a'.repeat(1023)}…`],
    ] as const
    const exchange = {
      ...httpExchange({ completedAt }),
      attributes: [...attributes.slice(0, 3), ['cut', LONG.replace(/./g, 'a')] as const],
    }
    expect(recordOf(finished(exchange)).exchange.attributes).toEqual(attributes)
    expect(recordOf(finished(httpExchange({ completedAt }))).exchange.attributes).toBeUndefined()
  })

  test('has no secret in names that clients chose', () => {
    const record = finished(
      {
        ...llmExchange(
          { completedAt, path: `/bot/${SECRET}/send`, userAgent: `x/1 Bearer ${SECRET}` },
          {
            originalModel: SECRET,
            requestModel: SECRET,
            responseModel: SECRET,
            parameters: { stopSequences: [SECRET] },
          },
        ),
        host: `${SECRET}.example`,
        user: SECRET,
        group: SECRET,
        events: [{ name: 'ext_authz.failed', at: 0, reason: `refused ${SECRET}` }],
        attributes: [['said', `Bearer ${SECRET}`]],
      },
      { operation: `tools/call ${SECRET}` },
    )
    const read = recordOf(record)
    expect(JSON.stringify(read)).not.toContain(SECRET)
    expect(read.fields.requestModel).toBe('[redacted]')
    expect(read.exchange.path).toBe('/bot/[redacted]/send')
  })
})
