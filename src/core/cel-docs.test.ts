/** What docs/cel.md says that expressions are. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compileCel } from './cel.ts'

const document = readFileSync(new URL('../../docs/cel.md', import.meta.url), 'utf8')
const rows = [...document.matchAll(/^\| `([^`]+)` \| `([^`]+)` \|$/gm)].map(
  ([, expression = '', value = '']) => ({
    expression,
    value,
  }),
)

/** Whole numbers are CEL's own. */
const plain = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? Number(one) : one)))

test('it has examples', () => expect(rows.length).toBeGreaterThan(30))

test.each(rows)('$expression is $value', ({ expression, value }) => {
  expect(plain(compileCel(expression, {}).evaluate({}))).toEqual(JSON.parse(value))
})

test.each(['flatten({})', '"a".unredacted()', 'nobody(1)'])('%s is refused', (expression) => {
  expect(() => compileCel(expression, {})).toThrow()
})
