import { describe, expect, test } from 'vitest'
import { budgetWindowSchema, perWindow, spanAt } from './budget-window.ts'

const span = (window: string, at: string) => {
  const { start, end } = spanAt(budgetWindowSchema.parse(window), Date.parse(at))
  return [new Date(start).toISOString().slice(0, 16), new Date(end).toISOString().slice(0, 16)]
}

describe('a window', () => {
  test.each([
    ['day', '2026-11-26T00:00:00.000Z', '2026-11-26T00:00', '2026-11-27T00:00'],
    ['day', '2026-11-26T23:59:59.999Z', '2026-11-26T00:00', '2026-11-27T00:00'],
    ['month', '2026-02-28T23:59:59.999Z', '2026-02-01T00:00', '2026-03-01T00:00'],
    ['month', '2028-02-29T12:00:00.000Z', '2028-02-01T00:00', '2028-03-01T00:00'],
    ['month', '2026-12-31T23:59:59.999Z', '2026-12-01T00:00', '2027-01-01T00:00'],
    ['month', '2027-01-01T00:00:00.000Z', '2027-01-01T00:00', '2027-02-01T00:00'],
    ['1h', '2026-11-26T09:46:24.000Z', '2026-11-26T09:00', '2026-11-26T10:00'],
    ['24h', '2026-11-26T09:46:24.000Z', '2026-11-26T00:00', '2026-11-27T00:00'],
    ['1d', '2026-11-26T09:46:24.000Z', '2026-11-26T00:00', '2026-11-27T00:00'],
    ['30d', '1970-01-31T00:00:00.000Z', '1970-01-31T00:00', '1970-03-02T00:00'],
    ['7d', '1970-01-07T23:59:59.999Z', '1970-01-01T00:00', '1970-01-08T00:00'],
  ])('%s at %s', (window, at, start, end) => {
    expect(span(window, at)).toEqual([start, end])
  })

  test.each(['0s', '59s', '367d', '1.00001m', 'week', '1w', ''])('is not %j', (window) => {
    expect(budgetWindowSchema.safeParse(window).success).toBe(false)
  })

  test.each([
    ['day', 'per day'],
    ['month', 'per month'],
    ['30d', 'per 30d'],
    ['24h', 'per 1d'],
    ['90m', 'per 1h30m'],
  ])('%s is said as %s', (window, said) => {
    expect(perWindow(budgetWindowSchema.parse(window))).toBe(said)
  })
})
