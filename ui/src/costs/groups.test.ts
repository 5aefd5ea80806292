import { expect, test } from 'vitest'
import type { Analytics, ApiMeasures } from '../../../src/admin/api-types.ts'
import { costCsv, costRows, costSeries, isNamed, labelOf } from './groups.ts'

const measures = (changes: Partial<ApiMeasures>): ApiMeasures => ({
  requests: 0,
  failed: 0,
  totalTokens: 0,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  cost: 0,
  ...changes,
})

const group = (value: string, changes: Partial<ApiMeasures>) => ({
  ...measures(changes),
  group: { requestModel: value },
})

const analytics = (changes: Partial<Analytics>): Analytics => ({
  timeRange: { from: '2026-01-01T00:00:30.000Z', to: '2026-01-01T00:05:00.000Z' },
  bucketSeconds: 60,
  total: measures({ cost: 4 }),
  buckets: [],
  groups: [],
  filterOptions: {},
  ...changes,
})

test('tells the share and the cost of a thousand requests', () => {
  const rows = costRows(analytics({ groups: [group('a', { cost: 1, requests: 200, totalTokens: 5 })] }))
  expect(rows).toMatchObject([{ value: 'a', costPer1000: 5, share: 0.25, isUnpriced: false }])
})

test.each([
  ['tokens without a cost', { totalTokens: 1 }, true],
  ['neither tokens nor cost', {}, false],
  ['a cost', { totalTokens: 1, cost: 0.1 }, false],
])('flags as unpriced, or not: %s', (_, changes, isUnpriced) => {
  expect(costRows(analytics({ groups: [group('a', changes)] }))[0]?.isUnpriced).toBe(isUnpriced)
})

test('puts buckets where they belong, and zero where there are none', () => {
  const { from, stepMs, series } = costSeries(
    analytics({
      buckets: [
        { ...group('a', { cost: 1 }), start: '2026-01-01T00:01:00.000Z' },
        { ...group('b', { cost: 5 }), start: '2026-01-01T00:03:00.000Z' },
        { ...group('a', { cost: 2 }), start: '2026-01-01T00:04:00.000Z' },
      ],
    }),
    'cost',
  )
  expect(new Date(from).toISOString()).toBe('2026-01-01T00:00:00.000Z')
  expect(stepMs).toBe(60_000)
  expect(series).toEqual([
    { label: 'b', points: [0, 0, 0, 5, 0] },
    { label: 'a', points: [0, 1, 0, 0, 2] },
  ])
})

test('has nothing to draw without buckets', () => {
  expect(costSeries(analytics({}), 'requests').series).toEqual([])
})

test.each([
  ['gpt-4o', 'gpt-4o', true],
  ['', '(none)', false],
  ['…', '(all others)', false],
])('calls the group %j %s', (value, label, named) => {
  expect([labelOf(value), isNamed(value)]).toEqual([label, named])
})

test('names of models cannot become formulas', () => {
  const rows = costRows(analytics({ groups: [group('=cmd', { requests: 1 })] }))
  expect(costCsv(rows, 'model').split('\r\n')[1]).toBe("'=cmd,1,0,0,0,0,0,0,0,0,0,yes")
})
