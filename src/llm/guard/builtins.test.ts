import { describe, expect, test } from 'vitest'
import { BUILTIN_RULES, type Builtin } from './builtins.ts'
import { maskedStream } from './text-stream.ts'

const masked = (builtin: Builtin, text: string) =>
  maskedStream([BUILTIN_RULES[builtin]], () => {}).advance(text, true)

interface Row {
  readonly builtin: Builtin
  readonly found: readonly string[]
  readonly left: readonly string[]
}

const ROWS: readonly Row[] = [
  {
    builtin: 'ssn',
    found: ['123-45-6789', '123.45.6789', '123 45 6789', '123456789', '12345-6789', '123-456789'],
    left: [
      ...['000-45-6789', '666-45-6789', '912-45-6789', '123-00-6789', '123-45-0000'],
      ...['123-45.6789', '1234-45-6789', '123-45-67890', '1234567890', 'a123456789', '12345678'],
    ],
  },
  {
    builtin: 'creditCard',
    found: [
      ...['4111111111111111', '4111 1111 1111 1111', '4111-1111-1111-1111', '4222222222222'],
      ...['5555555555554444', '2223003122003222', '378282246310005', '3782 822463 10005'],
      ...['6011111111111117', '3530111333300000', '30569309025904', '6304000000000000'],
    ],
    left: [
      ...['4111111111111112', '4111 1111 1111 1112', '1234567812345678', '7111111111111111'],
      ...['41111111111111110', '4111  1111 1111 1111', '411111111111', '1700000000007'],
    ],
  },
  {
    builtin: 'phoneNumber',
    found: [
      ...['+1 212-555-0123', '+442079460958', '+49 (0)30 1234567', '+972-54-123-4567', '+91 98765 43210'],
      ...['(212) 555-0123', '212-555-0123', '212.555.0123', '2125550123', '1-212-555-0123'],
      ...['020 7946 0958', '030/1234567', '0171 1234567', '03-1234567', '98765 43210', '(11) 91234-5678'],
    ],
    left: [
      '2024-11-26',
      '01.02.2024 10:30',
      '123-45-6789',
      '1700000000',
      'v212-555-0123x',
      '12:30',
      '555-0123',
    ],
  },
  {
    builtin: 'email',
    found: [
      ...['ann@example.com', 'ann.b+tag@mail.example.co.uk', 'jürgen@müller.example', 'a_b%c@x-y.org'],
      '用户@例子.公司',
    ],
    left: ['ann@example', '@example.com', 'ann@.com', 'ann at example.com', 'a@b.c'],
  },
  {
    builtin: 'caSin',
    found: ['046 454 286', '046-454-286', '046454286'],
    left: ['046 454 287', '046 454-286', '0046454286', '000000000', 'x046454286'],
  },
]

describe.each(ROWS)('$builtin', ({ builtin, found, left }) => {
  const { mask } = BUILTIN_RULES[builtin]

  test.each(found)('masks %s', (text) => {
    expect(masked(builtin, text)).toBe(mask)
    expect(masked(builtin, `It is ${text}, or "${text}".`)).toBe(`It is ${mask}, or "${mask}".`)
  })

  test.each(left)('leaves %s', (text) => {
    expect(masked(builtin, `It is ${text}!`)).toBe(`It is ${text}!`)
  })
})

test('a card’s number ends where its digits do', () => {
  expect(masked('creditCard', '4111 1111 1111 1111 12/26')).toBe('<CREDIT_CARD> 12/26')
  expect(masked('creditCard', 'no 12 4111 1111 1111 1111')).toBe('no 12 <CREDIT_CARD>')
})

test.each(['1', '1 ', '1-', 'a', 'a.', 'a@a.', '@', '(0', '+1 '])('time is linear in %j', (piece) => {
  const text = piece.repeat(Math.ceil(100_000 / piece.length))
  const before = performance.now()
  for (const { builtin } of ROWS) masked(builtin, text)
  expect(performance.now() - before).toBeLessThan(2000)
})
