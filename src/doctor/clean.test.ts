import { expect, test } from 'vitest'
import { cleaner } from './clean.ts'

const clean = cleaner(['sekret-of-mine', 'admin', undefined])

test.each([
  { name: 'keeps a plain line', text: 'connection refused', line: 'connection refused' },
  { name: 'makes one line of many', text: '\n{\n  "a": 1\r\n}\u2028', line: '{ "a": 1 }' },
  { name: 'takes out what drives a terminal', text: 'a\u001b[31mb\u009bc\u202ed', line: 'a [31mb c d' },
  { name: 'hides a secret', text: 'not sekret-of-mine, sekret-of-mine!', line: 'not ***, ***!' },
  { name: 'leaves a word that is nobody’s secret', text: 'admin', line: 'admin' },
  { name: 'hides what looks like a key', text: 'key sk-proj-****demo.', line: 'key sk-***.' },
  { name: 'cuts', text: 'x'.repeat(1000), line: `${'x'.repeat(239)}…` },
])('it $name', ({ text, line }) => {
  expect(clean(text)).toBe(line)
})
