import { expect, test } from 'vitest'
import type { ApiSpan } from '../../../src/admin/api-types.ts'
import { layoutWaterfall } from './layout.ts'

const span = (
  spanId: string,
  parentSpanId: string | undefined,
  start: number,
  durationMs: number,
): ApiSpan => ({
  name: spanId,
  kind: 'client',
  traceId: 't',
  spanId,
  ...(parentSpanId !== undefined && { parentSpanId }),
  start,
  durationMs,
  attributes: {},
  events: [],
})

const none = new Set<string>()

const spans = [
  span('second', 'call', 160, 40),
  span('root', undefined, 100, 200),
  span('call', 'root', 110, 180),
  span('first', 'call', 120, 30),
]

test('puts children below their parents, in the order of their start', () => {
  const { rows } = layoutWaterfall(spans, none)
  expect(rows.map(({ span: { name }, depth }) => `${depth} ${name}`)).toEqual([
    '0 root',
    '1 call',
    '2 first',
    '2 second',
  ])
})

test('places bars as shares of the whole', () => {
  const { rows, start, durationMs } = layoutWaterfall(spans, none)
  expect({ start, durationMs }).toEqual({ start: 100, durationMs: 200 })
  expect(rows[3]?.bar).toEqual({ left: 0.3, width: 0.2 })
})

test('hides what is below a collapsed span, and still counts it', () => {
  const { rows } = layoutWaterfall(spans, new Set(['call', 'first']))
  expect(rows.map(({ span: { name }, isCollapsed }) => [name, isCollapsed])).toEqual([
    ['root', false],
    ['call', true],
  ])
  expect(rows[1]?.childCount).toBe(2)
})

test('gives every moment of the root to exactly one span', () => {
  const { rows } = layoutWaterfall(spans, none)
  const critical = Object.fromEntries(rows.map((row) => [row.span.name, row.criticalMs]))
  expect(critical).toEqual({ root: 20, call: 110, first: 30, second: 40 })
})

test('leaves out of the critical path what ran beside something longer', () => {
  const { rows } = layoutWaterfall(
    [span('root', undefined, 0, 100), span('long', 'root', 0, 100), span('short', 'root', 10, 20)],
    none,
  )
  expect(rows.map((row) => row.criticalMs)).toEqual([0, 100, 0])
})

test.each([
  ['nothing', [], []],
  ['a span whose parent is not there', [span('a', 'gone', 0, 1)], ['0 a']],
  ['a circle', [span('a', 'b', 0, 1), span('b', 'a', 0, 1)], ['0 a', '0 b']],
  ['a span of no length', [span('a', undefined, 5, 0)], ['0 a']],
  ['the same span twice as one', [span('a', undefined, 5, 1), span('a', undefined, 5, 1)], ['0 a']],
])('lays out %s', (_, given, expected) => {
  expect(layoutWaterfall(given, none).rows.map(({ span: { name }, depth }) => `${depth} ${name}`)).toEqual(
    expected,
  )
})

test('cuts a child that stands out of its parent', () => {
  const { rows } = layoutWaterfall([span('root', undefined, 10, 10), span('early', 'root', 0, 15)], none)
  expect(rows.map((row) => row.criticalMs)).toEqual([5, 5])
})
