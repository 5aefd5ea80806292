import { describe, expect, test } from 'vitest'
import type { Exchange } from '../core/exchange.ts'
import { tapeOf } from './batch.fixture.ts'
import {
  eventful,
  finished,
  llmExchange,
  mcpExchange,
  PARAMETERS,
  randomFinished,
  seeded,
} from './exchanges.fixture.ts'
import { readRecords } from './record.ts'

/** All of it that is kept. */
const kept = (exchange: Exchange): Exchange => ({ ...exchange, query: '', chunkDelayCounts: undefined })

const readAgain = (...exchanges: readonly Exchange[]) =>
  readRecords(tapeOf(exchanges.map((exchange) => finished(exchange)))).map(({ exchange }) => exchange)

const LLM = eventful({
  ...llmExchange({ completedAt: 1e12 }, { parameters: PARAMETERS }),
  attributes: [
    ['team', 'red'],
    ['n', 1.5],
    ['on', true],
  ],
})
const MCP = mcpExchange({ completedAt: 1e12 })

/** Each place at which something stands that is no list and no object. */
function places(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([name, inner]) => places(inner, [...path, name]))
}

const another = (value: unknown) => {
  if (typeof value === 'number') return value + 1
  return typeof value === 'boolean' ? !value : `${value}, another`
}

function changedAt<T>(value: T, [name, ...rest]: readonly string[]): T {
  if (name === undefined) return another(value) as T
  const inner = (value as Readonly<Record<string, unknown>>)[name]
  const changed = { ...value, [name]: changedAt(inner, rest) }
  return (Array.isArray(value) ? Object.values(changed) : changed) as T
}

/** A call's operation is the very same that is among the operations. */
function withItsOperation(exchange: Exchange): Exchange {
  const [operation] = exchange.mcp?.operations ?? []
  if (exchange.mcp === undefined || operation === undefined) return exchange
  return {
    ...exchange,
    mcp: { ...exchange.mcp, calls: exchange.mcp.calls.map((call) => ({ ...call, operation })) },
  }
}

const NOT_KEPT = ['query', 'chunkDelayCounts']
/** What is undefined in the fixture is changed to a text: these are none. */
const NO_TEXTS = [
  'connectMs',
  'queuedMs',
  'durationMs',
  'errorCode',
  'status',
  'waitedMs',
  'events',
  'attributes',
]
const isText = (path: readonly string[]) => ![...NO_TEXTS, 'llm', 'mcp'].includes(path.at(-1) ?? '')

const cases = [LLM, MCP].flatMap((exchange) =>
  places(exchange)
    .filter((path) => !NOT_KEPT.includes(path[0] ?? ''))
    .filter((path) => {
      const value = path.reduce<unknown>((one, name) => (one as Record<string, unknown>)[name], exchange)
      return value !== undefined || isText(path)
    })
    .filter((path) => !(path[1] === 'calls' && path[3] === 'operation'))
    .map((path) => [`${exchange.protocol}: ${path.join('.')}`, exchange, path] as const),
)

describe('an exchange on a tape', () => {
  test.each(cases)('is told from the one before that differs in nothing but %s', (_, exchange, path) => {
    const other = withItsOperation(changedAt(exchange, path))
    const order = [exchange, other, other, exchange, other]
    expect(readAgain(...order)).toEqual(order.map(kept))
  })

  test('is what it was among others of every kind', () => {
    const random = seeded(1)
    const all = Array.from({ length: 1000 }, (_, index) => randomFinished(random, 1e12 + index))
    expect(readRecords(tapeOf(all))).toEqual(all.map((one) => ({ ...one, exchange: kept(one.exchange) })))
  })

  test('is what it was after one that could not be written', () => {
    const broken = { ...LLM, method: 'PUT', user: 'nobody', attempts: [undefined as never] }
    const written = [finished(LLM), finished(broken), finished(MCP), finished(LLM), finished(MCP)]
    expect(readRecords(tapeOf(written)).map(({ exchange }) => exchange)).toEqual(
      [LLM, MCP, LLM, MCP].map(kept),
    )
  })
})
