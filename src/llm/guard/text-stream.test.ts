import { describe, expect, test } from 'vitest'
import { BUILTIN_RULES } from './builtins.ts'
import { jsonStream } from './json-stream.ts'
import { patternRule } from './pattern.ts'
import type { Rule } from './rule.ts'
import { inOrder, maskedStream, type TextStream } from './text-stream.ts'

// Of two that begin together the first counts: a SIN may look like a telephone number.
const ALL = (['caSin', 'ssn', 'creditCard', 'phoneNumber', 'email'] as const).map(
  (name) => BUILTIN_RULES[name],
)
const patterns = (...sources: string[]) => sources.map(patternRule)
const masking = (rules: readonly Rule[]) => maskedStream(rules, () => {})

const inPieces = (stream: TextStream, pieces: readonly string[]) =>
  pieces.map((piece) => stream.advance(piece, false)).join('') + stream.advance('', true)
const whole = (stream: TextStream, text: string) => stream.advance(text, true)

/** The same numbers each time. https://en.wikipedia.org/wiki/Linear_congruential_generator */
function randomly(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((state / 2 ** 31) * below)
  }
}

function cutUp(text: string, below: (below: number) => number, longest: number): string[] {
  const pieces: string[] = []
  for (let at = 0; at < text.length; at += pieces.at(-1)?.length ?? 0)
    pieces.push(text.slice(at, at + 1 + below(longest)))
  return pieces
}

const PERSONAL =
  'Hi 😀, call (212) 555-0123 or +49 30 1234567; card 4111 1111 1111 1111 12/26, SSN 123-45-6789, ' +
  'SIN 046 454 286. Write to ann.b+tag@mail.example.co.uk, 用户@例子.公司! In 2024 10:30, v1.2.3, a@b'
const PERSONAL_MASKED =
  'Hi 😀, call <PHONE_NUMBER> or <PHONE_NUMBER>; card <CREDIT_CARD> 12/26, SSN <SSN>, ' +
  'SIN <CA_SIN>. Write to <EMAIL_ADDRESS>, <EMAIL_ADDRESS>! In 2024 10:30, v1.2.3, a@b'

const ROWS = [
  { name: 'all that has a name', rules: ALL, text: PERSONAL, expected: PERSONAL_MASKED },
  {
    name: 'a pattern with a greatest length',
    rules: patterns('(?i)secret-\\d{4,6}'),
    text: 'SECRET-12345 and secret-123, secret-1234567 x',
    expected: '<masked> and secret-123, <masked>7 x',
  },
  {
    name: 'a pattern without one',
    rules: patterns('key=\\S+'),
    text: 'a key=abcdef b key= c key=xyz',
    expected: 'a <masked> b key= c <masked>',
  },
  {
    name: 'anchors and word borders',
    rules: patterns('^one|\\bword\\b|end$'),
    text: 'one one word words sword word; end the end',
    expected: '<masked> one <masked> words sword <masked>; end the <masked>',
  },
  {
    name: 'characters of two halves',
    rules: patterns('😀{2,3}|[\\x{1F600}-\\x{1F64F}]x'),
    text: 'a😀😀😀😀b😁x😂',
    expected: 'a<masked>😀b<masked>😂',
  },
  {
    name: 'two rules at one place',
    rules: [...patterns('ann@\\w+'), BUILTIN_RULES.email],
    text: 'ann@example.com bob@example.com',
    expected: '<masked>.com <EMAIL_ADDRESS>',
  },
  {
    name: 'a match that may be empty',
    rules: patterns('x*'),
    text: 'axxbx',
    expected: 'a<masked>b<masked>',
  },
]

describe.each(ROWS)('$name', ({ rules, text, expected }) => {
  test('is masked in a whole text', () => {
    expect(whole(masking(rules), text)).toBe(expected)
  })

  test('is masked wherever the text is cut', () => {
    for (let at = 0; at <= text.length; at++)
      expect(inPieces(masking(rules), [text.slice(0, at), text.slice(at)])).toBe(expected)
  })

  test('is masked however it is cut', () => {
    const below = randomly(7)
    for (let round = 0; round < 50; round++)
      expect(inPieces(masking(rules), cutUp(text, below, 1 + (round % 9)))).toBe(expected)
  })
})

test('random texts come out the same in pieces as whole', () => {
  const below = randomly(11)
  const words = [
    '4111',
    ' ',
    '1111',
    '-',
    '123',
    '45',
    '6789',
    '@',
    'ann',
    '.',
    'com',
    '(',
    ')',
    '+',
    '0',
    'x',
  ]
  const rules = [...ALL, ...patterns('x{1,3}0?\\b', '1+x')]
  for (let round = 0; round < 300; round++) {
    const text = Array.from({ length: 40 }, () => words[below(words.length)]).join('')
    expect(inPieces(masking(rules), cutUp(text, below, 6))).toBe(whole(masking(rules), text))
  }
})

test('guards follow one another', () => {
  const chain = () => inOrder([masking(patterns('bob')), masking(patterns('<masked>@x'))])
  expect(whole(chain(), 'to bob@x')).toBe('to <masked>')
  expect(inPieces(chain(), [...'to bob@x'])).toBe('to <masked>')
})

describe('what is held back', () => {
  const heldOf = (rules: readonly Rule[], text: string) => {
    const stream = masking(rules)
    return text.length - [...text].map((piece) => stream.advance(piece, false)).join('').length
  }

  test.each([
    { rules: ALL, text: 'Just some words, and then more', held: 'more'.length },
    { rules: ALL, text: 'Just some words. ', held: 0 },
    { rules: ALL, text: 'in 2024 ', held: '2024 '.length },
    { rules: patterns('secret-\\d+'), text: 'a word of a sec', held: 3 },
    { rules: patterns('secret-\\d+'), text: 'a secret-12', held: 9 },
    { rules: patterns('secret-\\d+'), text: 'a secret-1 ', held: 0 },
    { rules: patterns('(?:ab|c{2,5})x?', 'ccd'), text: 'xcccc', held: 4 },
    { rules: patterns('a[^b]{0,300}b'), text: 'x'.repeat(500), held: 303 },
    { rules: patterns('a[^b]*b'), text: 'a'.repeat(500), held: 500 },
    { rules: patterns('a[^b]{100,}b'), text: 'x'.repeat(500), held: 257 },
  ])('is the least: $held of $text.length characters', ({ rules, text, held }) => {
    expect(heldOf(rules, text)).toBe(held)
  })

  test('is a match that still grows, to a bound', () => {
    expect(heldOf(patterns('a+'), 'a'.repeat(5000))).toBe(5000)
    const stream = masking(patterns('a+'))
    const long = 'a'.repeat(50_000)
    expect(
      inPieces(
        stream,
        cutUp(long, () => 3, 4),
      ),
    ).toMatch(/^(<masked>)+$/)
  })
})

test('a hostile pattern takes no time', () => {
  const before = performance.now()
  for (const end of ['', 'b']) {
    const text = 'a'.repeat(100_000) + end
    const expected = end === '' ? '<masked>' : text
    expect(whole(masking(patterns('(a+)+$')), text)).toBe(expected)
  }
  inPieces(
    masking(patterns('(a+)+$')),
    cutUp('a'.repeat(100_000), () => 9, 10),
  )
  expect(performance.now() - before).toBeLessThan(1000)
})

test('neither do many matches of a pattern that reads far', () => {
  const before = performance.now()
  expect(whole(masking(patterns('a.*b|a')), 'a'.repeat(10_000))).toBe('<masked>'.repeat(10_000))
  expect(performance.now() - before).toBeLessThan(3000)
})

test('a long match is found, whole and in pieces', () => {
  const key = `-----BEGIN KEY-----\n${'abcdefgh\n'.repeat(300)}-----END KEY-----`
  const text = `${'word '.repeat(200)}${key} and ${key}.`
  const rules = patterns('-----BEGIN KEY-----(?s:.)*?-----END KEY-----', 'w\\w+')
  const expected = `${'<masked> '.repeat(200)}<masked> and <masked>.`
  expect(whole(masking(rules), text)).toBe(expected)
  expect(
    inPieces(
      masking(rules),
      cutUp(text, () => 4, 5),
    ),
  ).toBe(expected)
})

test('matches stay the same once searches are near', () => {
  const keys = 'key=v1; '.repeat(400)
  const text = [keys, 'x'.repeat(3000), keys.slice(0, 40), 'y'.repeat(700), 'key=v3'].join(' ')
  const masked = text.replaceAll(/key=\w+/g, '<masked>')
  expect(whole(masking(patterns('\\bkey=\\w+')), text)).toBe(masked)
  expect(
    inPieces(
      masking(patterns('\\bkey=\\w+')),
      cutUp(text, () => 6, 7),
    ),
  ).toBe(masked)
})

test.each(['(', '(?=a)', '(a)\\1', 'a{1001}'])('%s is no pattern', (source) => {
  expect(() => patternRule(source)).toThrow('error parsing regexp')
})

describe('JSON in pieces', () => {
  const json = () => jsonStream(() => masking([...ALL, ...patterns('sécret')]))
  const text = JSON.stringify({
    to: 'ann@example.com',
    'bob@example.com': ['a\n123-45-6789\t"', 123456789, -12.5e3, true, null, 'sécret 😀'],
  })
  const expected = {
    to: '<EMAIL_ADDRESS>',
    '<EMAIL_ADDRESS>': ['a\n<SSN>\t"', '<SSN>', -12.5e3, true, null, '<masked> 😀'],
  }

  test.each([
    { name: 'as it is', source: text },
    { name: 'in escapes', source: text.replaceAll('é', '\\u00e9').replaceAll('😀', '\\ud83d\\ude00') },
    { name: 'with spaces', source: text.replaceAll(',', ' , ').replaceAll(':', ' : ') },
  ])('is guarded $name wherever it is cut', ({ source }) => {
    for (let at = 0; at <= source.length; at++) {
      const guarded = inPieces(json(), [source.slice(0, at), source.slice(at)])
      expect(JSON.parse(guarded)).toEqual(expected)
    }
    expect(JSON.parse(inPieces(json(), [...source]))).toEqual(expected)
  })

  test.each(['', '{"a": "ann@exa', '{"a": "b\\', '{"a": 12', 'no JSON, 123', '{"a": "\\uZZZZ"}'])(
    'goes through though it is none: %s',
    (source) => {
      expect(inPieces(json(), [...source])).toBe(source.replace('\\uZZZZ', '\\\\uZZZZ'))
    },
  )
})
