import { expect, test } from 'vitest'
import { keptJson, keptText } from './payload.ts'

const KEY = 'sk-proj-0123456789abcdefghij'

test('it keeps a request as JSON, without a secret in it', () => {
  const body = { model: 'm', messages: [{ role: 'user', content: `my key is ${KEY}, keep it` }] }
  expect(JSON.parse(keptJson(body) ?? '')).toEqual({
    model: 'm',
    messages: [{ role: 'user', content: 'my key is [redacted], keep it' }],
  })
})

test('it cuts long texts, and files to their beginning, and stays JSON', () => {
  const body = {
    messages: [{ content: 'x'.repeat(20_000) }],
    image_url: `data:image/png;base64,${'A'.repeat(5000)}`,
    source: { data: 'B'.repeat(5000) },
  }
  const kept = JSON.parse(keptJson(body) ?? '')
  expect(kept.messages[0].content).toMatch(/^x{16384}… \[3616 more characters\]$/)
  expect(kept.image_url).toMatch(/^data:image\/png;base64,A{42}… \[4958 more characters\]$/)
  expect(kept.source.data).toMatch(/^B{64}… \[4936 more characters\]$/)
})

test('it is bounded', () => {
  const body = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, 'x '.repeat(8000)]))
  expect(keptJson(body)?.length).toBeLessThan(262_144 + 40)
})

test('it reads no further when it is full', () => {
  let read = 0
  const messages = Array.from({ length: 2000 }, () => ({
    role: 'user',
    get content() {
      read++
      return 'ab1-'.repeat(4000)
    },
  }))
  const kept = keptJson({ messages }) ?? ''
  expect(kept).toMatch(/^\{"messages":\[\{"role":"user","content":".*… \[cut\]$/)
  expect(read).toBeLessThan(20)
})

test('it reads no answer as JSON that is larger than all that is kept', () => {
  const text = JSON.stringify({ output: Array.from({ length: 200_000 }, () => `${KEY} and more`) })
  const kept = keptText(text)
  expect(kept).toMatch(/^\{"output":\["\[redacted\] and more",/)
  expect(kept.length).toBeLessThan(262_144 + 40)
  expect(kept).not.toContain(KEY.slice(0, 12))
})

test.each<{ name: string; body: unknown; kept: unknown }>([
  { name: 'under the key of a file', body: { data: KEY }, kept: { data: '[redacted]' } },
  { name: 'after the beginning of a file', body: [`data:${KEY}`], kept: ['data:[redacted]'] },
  {
    name: 'at the beginning of a large file',
    body: { data: `${KEY} ${'B'.repeat(500)}` },
    kept: {
      data: `[redacted] ${'B'.repeat(64 - KEY.length - 1)}… [${500 + KEY.length + 1 - 64} more characters]`,
    },
  },
  { name: 'in a key', body: { a: { [KEY]: 1 } }, kept: { a: { '[redacted]': 1 } } },
])('it keeps no secret $name', ({ body, kept }) => {
  expect(JSON.parse(keptJson(body) ?? '')).toEqual(kept)
})

test('it writes what is small as JSON does', () => {
  const body = {
    a: [1, -0.5, 1e300, null, true, [], {}],
    'b"\n': '\u0000 "\\ \ud800 ü🗼',
    c: undefined,
    d: [undefined],
  }
  expect(keptJson(body)).toBe(JSON.stringify(body))
})

test('it gives up on what is nested deeper than the stack is', () => {
  let body: unknown = 1
  for (let depth = 0; depth < 100_000; depth++) body = [body]
  expect(keptJson(body)).toBeUndefined()
})

test.each([
  { text: `say ${KEY}`, expected: 'say [redacted]' },
  { text: `{"a":"${KEY}"}`, expected: '{"a":"[redacted]"}' },
])('it keeps an answer, $text', ({ text, expected }) => {
  expect(keptText(text)).toBe(expected)
})
