import { expect, test } from 'vitest'
import { hasFilters, readFilters, readSearch, searchKey, withoutFilters } from './filters.ts'

const query = (text: string) => new URLSearchParams(text)

test.each([
  ['nothing', '', {}],
  ['several models', 'model=a&model=b%2Fc', { requestModel: ['a', 'b/c'] }],
  ['statuses as numbers, without nonsense', 'status=200&status=x', { httpStatus: [200] }],
  ['failed', 'failed=1', { failed: true }],
  ['not failed as no filter', 'failed=0', {}],
  ['durations, without nonsense', 'min=250&max=soon', { minDurationMs: 250 }],
  ['no negative duration', 'min=-1', {}],
  ['text without blanks around it', 'q=%20hello%20', { text: 'hello' }],
  ['no empty text', 'q=%20', {}],
  [
    'attributes',
    'user=ada&key=1f',
    { attributes: { 'agentgateway.user': ['ada'], 'agentgateway.key': ['1f'] } },
  ],
  ['a trace', 'trace=4bf9', { traceId: '4bf9' }],
])('reads %s', (_, text, filters) => {
  expect(readFilters(query(text))).toEqual(filters)
})

test.each([
  ['the default range', '', { from: '1970-01-01T23:00:00.000Z' }],
  ['a named range', 'range=24h', { from: '1970-01-01T00:00:00.000Z' }],
  ['the default for an unknown one', 'range=9y', { from: '1970-01-01T23:00:00.000Z' }],
  [
    'fixed times, whatever the range',
    'from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&range=1h',
    { from: '2026-01-01T00:00:00.000Z', to: '2026-01-02T00:00:00.000Z' },
  ],
  ['a start alone', 'from=2026-01-01T00:00:00Z', { from: '2026-01-01T00:00:00.000Z' }],
])('searches %s', (_, text, timeRange) => {
  expect(readSearch(query(text), '1h', 86_400_000).timeRange).toEqual(timeRange)
})

test('tells filters from other state', () => {
  expect(hasFilters(query('range=1h&open=7'))).toBe(false)
  expect(hasFilters(query('outcome=timeout'))).toBe(true)
})

test('does not search anew when a row is opened', () => {
  expect(searchKey(query('model=a&open=7&live=1'))).toBe(searchKey(query('model=a')))
})

test('clears every filter, and the time not', () => {
  const cleared = withoutFilters()
  expect(cleared).toHaveProperty('model')
  expect(cleared).toHaveProperty('q')
  expect(cleared).not.toHaveProperty('range')
})
