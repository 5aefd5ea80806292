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
