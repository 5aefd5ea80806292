import { expect, test } from 'vitest'
import { formatAgo, formatStep, formatTime, toLocalInput, utcTitle } from './times.ts'

// Local times on purpose: what is shown is the reader's own zone.
const now = new Date(2026, 10, 26, 14, 3, 22, 120)

test.each([
  ['of today with milliseconds', new Date(2026, 10, 26, 9, 5, 1, 7), '09:05:01.007'],
  ['of this year with its day', new Date(2026, 0, 2, 9, 5, 1), 'Jan 2 09:05:01'],
  ['of another year in full', new Date(2025, 10, 26, 9, 5, 1), '2025-11-26 09:05:01'],
  ['that is none as a dash', new Date('nonsense'), '–'],
])('shows a time %s', (_, at, text) => {
  expect(formatTime(at, now)).toBe(text)
})

test.each([
  [1000, 'just now'],
  [60_000, '60 seconds ago'],
  [600_000, '10 minutes ago'],
  [7_200_000, '2 hours ago'],
  [864_000_000, '10 days ago'],
])('tells that %d ms have passed', (ms, text) => {
  expect(formatAgo(new Date(now.getTime() - ms), now)).toBe(text)
})

test('shows seconds on a chart only where its steps have them', () => {
  expect(formatStep(now, 5000)).toBe('Nov 26 14:03:22')
  expect(formatStep(now, 60_000)).toBe('Nov 26 14:03')
})

test('fills a date field with local time', () => {
  expect(toLocalInput(now)).toBe('2026-11-26T14:03:22')
})

test('names UTC in the tooltip', () => {
  expect(utcTitle(new Date(0))).toBe('1970-01-01T00:00:00.000Z (UTC)')
})
