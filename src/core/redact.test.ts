import fc from 'fast-check'
import { expect, test } from 'vitest'
import { redact, redactAll } from './redact.ts'

/** Of these secrets are made; between them anything may stand. */
const PIECES = [
  ...[
    'Bearer ',
    'basic\t',
    'sk-',
    'PK-',
    'rk-',
    'ghp_',
    'github_pat_',
    'xoxb-',
    'AIza',
    'akia',
    'hf_',
    'xai-',
  ],
  ...[
    'eyJ',
    '.',
    'api_key',
    'x-API-key',
    'access-token',
    'password',
    '?key',
    '&sig',
    '"',
    ' ',
    '=',
    ':',
    '@',
    '//',
  ],
  ...['abcdef', '12345678', 'A1b2C3d4E5', 'K', 'ſ', '-', '_', '/', '*', 'a'.repeat(30), '7z'.repeat(12)],
]

test('a short text is judged as a long one is', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }), (pieces) => {
      const text = pieces.join('')
      expect(redact(text)).toBe(redactAll(`${text}${' '.repeat(300)}`).slice(0, -300))
    }),
    { numRuns: 20_000 },
  )
})

test.each([
  'gpt-4o',
  'claude-sonnet-4-5-20250929',
  'anthropic.claude-3-5-sonnet-20241022-v2:0',
  '/v1/chat/completions',
  'localhost:3000',
  'OpenAI/Python 1.2.3',
  'alice@example.com',
  '123e4567-e89b-12d3-a456-426614174000',
])('it leaves the name %j alone', (name) => {
  expect(redact(name)).toBe(name)
})

test.each([
  { text: 'sk-proj-abcdefghij0123456789', told: '[redacted]' },
  { text: '/bot/sk-proj-abcdefghij0123456789/send', told: '/bot/[redacted]/send' },
  { text: 'x/1 Bearer sk-proj-abcdefghij0123456789', told: 'x/1 Bearer [redacted]' },
  { text: 'sk-abcdefgh.example.com', told: '[redacted]' },
])('it redacts $text', ({ text, told }) => {
  expect(redact(text)).toBe(told)
})
