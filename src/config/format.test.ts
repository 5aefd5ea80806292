import { expect, test } from 'vitest'
import { formatProblems, problemsAsJson } from './format.ts'
import type { Problem } from './problem.ts'

const problem: Problem = { file: 'a.yaml', line: 2, column: 3, path: 'x.y', message: 'wrong', hint: 'better' }

test('shows the place, the line with a caret and the hint', () => {
  expect(formatProblems([problem], { text: 'x:\n  y: 1\n', colour: false })).toBe(
    'a.yaml:2:3: x.y: wrong\n 2 |   y: 1\n   |   ^\n  hint: better\n',
  )
})

test.each([
  {
    name: 'without the text',
    given: problem,
    text: undefined,
    expected: 'a.yaml:2:3: x.y: wrong\n  hint: better\n',
  },
  {
    name: 'without a path',
    given: { ...problem, path: '' },
    text: undefined,
    expected: 'a.yaml:2:3: wrong\n  hint: better\n',
  },
  {
    name: 'of the environment',
    given: { ...problem, file: 'environment', line: 0, column: 0, path: 'ADMIN_ADDR' },
    text: 'x',
    expected: 'environment: ADMIN_ADDR: wrong\n  hint: better\n',
  },
  {
    name: 'after the last line',
    given: { ...problem, line: 9 },
    text: 'x',
    expected: 'a.yaml:9:3: x.y: wrong\n  hint: better\n',
  },
])('shows a problem $name', ({ given, text, expected }) => {
  expect(formatProblems([given], { ...(text !== undefined && { text }), colour: false })).toBe(expected)
})

test('uses colours only when asked to', () => {
  expect(formatProblems([problem], { text: 'x:\n  y: 1', colour: true })).toContain('\u001b[31m^\u001b[0m')
  expect(formatProblems([problem], { text: 'x:\n  y: 1', colour: false })).not.toContain('\u001b')
})

test('lets nothing in the file move the cursor', () => {
  const text = formatProblems([{ ...problem, line: 1, message: 'a\u001b[2Jb' }], {
    text: 'x\u001b[2J\ty',
    colour: false,
  })
  expect(text).not.toContain('\u001b')
  expect(text).not.toContain('\t')
})

test('keeps the caret in sight on a long line', () => {
  const text = `${'a'.repeat(500)}HERE${'b'.repeat(500)}`
  const [, line = '', caret = ''] = formatProblems([{ ...problem, line: 1, column: 501 }], {
    text,
    colour: false,
  }).split('\n')
  expect(line.length).toBeLessThan(130)
  expect(line.slice(caret.indexOf('^')).startsWith('HERE')).toBe(true)
})

test.each([
  { line: 'key: sk-1234567890', shown: 'key: *************' },
  { line: '{backendAuth: {key: abc}, host: x}', shown: '{backendAuth: {key: ***}, host: x}' },
  { line: 'authorization: Bearer abc # x', shown: 'authorization: ****** *** # x' },
  { line: '"x-api-key": "a, b"', shown: '"x-api-key": *** **' },
  { line: 'note: call with sk-1234567890', shown: 'note: call with *************' },
  { line: 'key: $OPENAI_API_KEY', shown: 'key: $OPENAI_API_KEY' },
  { line: `key: "$\{OPENAI_API_KEY}" # x`, shown: `key: "$\{OPENAI_API_KEY}" # x` },
  { line: `{key: $\{KEY}, host: x}`, shown: `{key: $\{KEY}, host: x}` },
  { line: `{key: $\{KEY:-abc}, host: x}`, shown: '{key: ***********, host: x}' },
  { line: 'key: $$cret', shown: 'key: ******' },
  { line: 'htpasswd: ann:$apr1$x$y', shown: 'htpasswd: *************' },
  { line: "{htpasswd: 'ann:$$apr1$$x$$y', realm: a}", shown: '{htpasswd: ******************, realm: a}' },
  { line: 'key: /etc/tls/tls.key', shown: 'key: /etc/tls/tls.key' },
  { line: 'key:', shown: 'key:' },
  { line: 'host: api.openai.com:443', shown: 'host: api.openai.com:443' },
])('shows $line without its secrets', ({ line, shown }) => {
  const [, excerpt] = formatProblems([{ ...problem, line: 1 }], { text: line, colour: false }).split('\n')
  expect(excerpt).toBe(` 1 | ${shown}`)
})

test('has a form for machines', () => {
  expect(JSON.parse(problemsAsJson([problem]))).toEqual([problem])
})
