import { expect, test } from 'vitest'
import { byModelName } from './model-names.ts'

const NAMES = ['*', 'gpt-*', 'gpt-4o', '*-mini', 'gpt-4*', '*-latest', '*-newest', 'gpt-4o']
const find = byModelName(NAMES.map((name, index) => [name, index]))

test.each([
  { name: 'an exact name before patterns, the first of two', model: 'gpt-4o', index: 2 },
  { name: 'most literal characters', model: 'gpt-4.1', index: 4 },
  { name: 'of as many the first', model: 'gpt-4-mini', index: 3 },
  { name: 'a pattern for a name that begins alike', model: 'gpt-', index: 1 },
  { name: 'an end', model: 'claude-latest', index: 5 },
  { name: 'a lone star for the rest', model: 'llama', index: 0 },
  { name: 'nothing regardless of case', model: 'GPT-4o', index: 0 },
])('takes $name', ({ model, index }) => {
  expect(find(model)).toBe(index)
})

test('finds nothing where nothing fits, whatever objects have', () => {
  expect(byModelName([['gpt-*', 1]])('constructor')).toBeUndefined()
})
