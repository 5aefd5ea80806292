// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how a reference is written
import { expect, test } from 'vitest'
import { maskReferences } from './environment.ts'

const environment = { HOST: 'example.com', PORT: '3000', EMPTY: '', ODD: '${HOST} $$ # }' }

function expand(text: string) {
  const masked = maskReferences(text, environment)
  return masked?.expand(masked.text)
}

test.each([
  { name: 'a name', text: '$HOST', expected: 'example.com' },
  { name: 'a name in braces', text: '${HOST}', expected: 'example.com' },
  { name: 'text around', text: 'http://$HOST:${PORT}/x', expected: 'http://example.com:3000/x' },
  { name: 'two side by side', text: '$HOST$PORT${HOST}', expected: 'example.com3000example.com' },
  { name: 'a default for one that is not set', text: '${NOPE:-a:b}', expected: 'a:b' },
  { name: 'an empty default', text: '${NOPE:-}', expected: '' },
  { name: 'a default for an empty one', text: '${EMPTY:-x}', expected: 'x' },
  { name: 'no default for one that is set', text: '${PORT:-x}', expected: '3000' },
  { name: 'an empty one', text: '[$EMPTY]', expected: '[]' },
  { name: 'a dollar sign', text: '$$HOST $$', expected: '$HOST $' },
  { name: 'a dollar sign before a name', text: '$$$HOST', expected: '$example.com' },
  { name: 'a lone dollar sign', text: 'a$ $1 ^x$', expected: 'a$ $1 ^x$' },
  { name: 'no closing brace', text: '${HOST', expected: '${HOST' },
  { name: 'values as they are', text: '$ODD', expected: '${HOST} $$ # }' },
  {
    name: 'private use characters of the file',
    text: '\ue000$HOST\ue3ff\uf8ff',
    expected: '\ue000example.com\ue3ff\uf8ff',
  },
])('expands $name', ({ text, expected }) => {
  expect(expand(text)?.text).toBe(expected)
})

test.each([
  { text: '$NOPE', problem: 'environment variable NOPE is not set' },
  { text: '${NOPE}', problem: 'environment variable NOPE is not set' },
  { text: '$HOSTS', problem: 'environment variable HOSTS is not set' },
  { text: '${}', problem: '`${}` is not a reference' },
  { text: '${MY-VAR}', problem: '`${MY-VAR}` is not a reference' },
  { text: '${1}', problem: '`${1}` is not a reference' },
])('says what is wrong with $text', ({ text, problem }) => {
  const [reference] = expand(text)?.references ?? []
  expect(reference?.problem).toContain(problem)
  expect(expand(text)?.text).toBe(text)
})

test('keeps the length and can be undone', () => {
  const text = 'a: $A ${PORT:-1} $$ # $C\n'.repeat(3000)
  const masked = maskReferences(text, environment)
  expect(masked?.text).toHaveLength(text.length)
  expect(masked?.unmask(masked.text)).toBe(text)
})

test('gives up on a file that uses all private use characters', () => {
  expect(maskReferences('\ue000\ue400\ue800\uec00\uf000\uf400 $HOST', environment)).toBeUndefined()
})
