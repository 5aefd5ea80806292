import { describe, expect, test } from 'vitest'
import type { Exchange } from '../core/exchange.ts'
import { eventful, finished, httpExchange, llmExchange, mcpExchange } from './exchanges.fixture.ts'
import { readRecord, writeRecord } from './record.ts'
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
    const json = writeRecord(record)
    expect(json.length).toBeLessThan(65_536)
    const { exchange, fields, searchText } = readRecord(json)
    expect(exchange.trace).toEqual(record.exchange.trace)
    expect(exchange.mcp?.operations[0]?.requestId).toBe(record.exchange.mcp?.operations[0]?.requestId)
    for (const value of [...Object.values(fields), searchText]) {
      expect(String(value).length).toBeLessThanOrEqual(1500)
    }
  })

  test('has what policies did', () => {
    const exchange = eventful(httpExchange({ completedAt }))
    const read = readRecord(writeRecord(finished(exchange))).exchange
    const since = ({ startedAt, events = [] }: Exchange) =>
      events.map(({ at, ...event }) => ({ ...event, at: Number((at - startedAt).toFixed(6)) }))
    expect(since(read)).toEqual(since(exchange))
    expect(since(read)).toHaveLength(2)
  })

  test('of a request that policies let alone has no events', () => {
    const read = readRecord(writeRecord(finished(httpExchange({ completedAt })))).exchange
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
    expect(readRecord(writeRecord(finished(exchange))).exchange.attributes).toEqual(attributes)
    expect(
      readRecord(writeRecord(finished(httpExchange({ completedAt })))).exchange.attributes,
    ).toBeUndefined()
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
    const read = readRecord(writeRecord(record))
    expect(JSON.stringify(read)).not.toContain(SECRET)
    expect(read.fields.requestModel).toBe('[redacted]')
    expect(read.exchange.path).toBe('/bot/[redacted]/send')
  })
})
