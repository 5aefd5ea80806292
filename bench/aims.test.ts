import { expect, test } from 'vitest'
import { type Aim, type Bound, boundText, valueText, verdictOn } from './aims.ts'
import { spread } from './statistics.ts'

const aim = (bound: Bound, ...samples: readonly number[]): Aim => ({
  what: 'something',
  bound,
  unit: 'ms',
  value: samples.length === 0 ? undefined : spread(samples),
})

test.each([
  { bound: { atLeast: 0.6 }, value: 0.6, verdict: 'holds' },
  { bound: { atLeast: 0.6 }, value: 0.59, verdict: 'MISSED' },
  { bound: { atMost: 5 }, value: 5, verdict: 'holds' },
  { bound: { atMost: 5 }, value: 5.01, verdict: 'MISSED' },
  { bound: { below: 0.05 }, value: 0.05, verdict: 'MISSED' },
  { bound: { below: 0.05 }, value: -0.01, verdict: 'holds' },
  { bound: { atMost: 5 }, value: Number.NaN, verdict: 'not measured' },
])('$value against $bound: $verdict', ({ bound, value, verdict }) => {
  expect(verdictOn(aim(bound, value), true)).toBe(verdict)
})

test('the median decides', () => {
  expect(verdictOn(aim({ atMost: 5 }, 4, 5, 90), true)).toBe('holds')
})

test('a cell that does not count has measured nothing', () => {
  expect(verdictOn(aim({ atMost: 5 }, 1), false)).toBe('not measured')
  expect(verdictOn(aim({ atMost: 5 }, 9), false)).toBe('not measured')
})

test('what is not known has not been measured', () => {
  expect(verdictOn(aim({ atMost: 5 }), true)).toBe('not measured')
})

test('bounds and values have their unit and their spread', () => {
  expect(boundText(aim({ atMost: 0.25 }))).toBe('<= 0.25 ms')
  expect(valueText(aim({ atMost: 0.25 }, 0.2, 0.3, 0.1))).toBe('0.200 (0.100 to 0.300) ms')
  expect(boundText({ ...aim({ atLeast: 0.6 }), unit: '' })).toBe('>= 0.6')
})
