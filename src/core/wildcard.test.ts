import { expect, test } from 'vitest'
import { wildcard } from './wildcard.ts'

test.each([
  { pattern: 'gpt-4o', fits: ['gpt-4o'], not: ['gpt-4o-mini', 'GPT-4o', 'gpt-4', ''] },
  { pattern: 'gpt-*', fits: ['gpt-', 'gpt-4o'], not: ['gpt', 'my-gpt-4o'] },
  { pattern: '*-mini', fits: ['gpt-4o-mini', '-mini'], not: ['gpt-4o-mini-2024', 'mini'] },
  { pattern: '*', fits: ['', 'anything', 'two\nlines'], not: [] },
  { pattern: 'a*a', fits: ['aa', 'aba'], not: ['a'] },
  { pattern: 'a*b*c', fits: ['abc', 'a-b-c', 'abbcc'], not: ['ac', 'acb', 'ab'] },
  { pattern: 'a*bc*c', fits: ['abcc'], not: ['abc'] },
  { pattern: 'a.c', fits: ['a.c'], not: ['abc'] },
])('$pattern', ({ pattern, fits, not }) => {
  const isFit = wildcard(pattern)
  expect([...fits, ...not].filter(isFit)).toEqual(fits)
})

test('a name made to take long does not', () => {
  expect(wildcard('*a*a*a*a*a*a*a*b')('a'.repeat(1_000_000))).toBe(false)
})
