import { expect, test } from 'vitest'
import { firstTokens, requestTokens, shareOut, spread, textTokens, tokenTexts } from './tokens.ts'

test.each<{ name: string; text: string; tokens: number; texts: string[] | undefined }>([
  { name: 'nothing', text: '', tokens: 0, texts: [] },
  { name: 'a word', text: 'Hello', tokens: 1, texts: ['Hello'] },
  { name: 'a question', text: 'How are you?', tokens: 4, texts: ['How', ' are', ' you', '?'] },
  { name: 'digits', text: '0123456789', tokens: 4, texts: ['012', '345', '678', '9'] },
  {
    name: 'other letters',
    text: 'naïve 数据 ✓ 😀',
    tokens: 6,
    texts: ['na', 'ï', 've', ' 数据', ' ✓', ' 😀'],
  },
  { name: 'a special token', text: '<|endoftext|>', tokens: 1, texts: ['<|endoftext|>'] },
  { name: 'a character that is two tokens', text: '🚀', tokens: 2, texts: undefined },
  { name: 'such a one among others', text: 'Go 🚀 now', tokens: 4, texts: undefined },
  { name: 'characters joined to one', text: '👩‍👧', tokens: 5, texts: undefined },
  { name: 'half a surrogate pair', text: '\ud83d', tokens: 1, texts: undefined },
])('counts and splits $name', ({ text, tokens, texts }) => {
  expect(textTokens(text)).toBe(tokens)
  expect(tokenTexts(text)).toEqual(texts)
})

test('counts by length what is longer than 64 kB', () => {
  expect(textTokens('x'.repeat(65_536))).toBe(8_192)
  expect(textTokens('x'.repeat(65_537))).toBe(16_385)
  expect(tokenTexts('x'.repeat(65_537))).toBeUndefined()
})

test.each<{ name: string; unit: string; tokens: number }>([
  { name: 'letters', unit: 'x', tokens: 8_192 },
  { name: 'ideographs', unit: '数据', tokens: 32_768 },
  { name: 'marks', unit: '!', tokens: 4_096 },
  { name: 'characters of several tokens', unit: '🚀', tokens: 65_536 },
])('is quick with endless $name', ({ unit, tokens }) => {
  const text = unit.repeat(65_536 / unit.length)
  const startedAt = performance.now()
  expect(textTokens(text)).toBe(tokens)
  // Counted as a single word it takes seconds, or half a minute.
  expect(performance.now() - startedAt).toBeLessThan(1_000)
})

test('counts a request', () => {
  const tools = [{ type: 'function' }]
  const request = { messages: ['Hello', 'How are you?'], system: 'Be kind', tools, attachments: 2 }
  expect(requestTokens(request)).toBe(3 + (4 + 1) + (4 + 4) + 2 + 7 + 2 * 85)
  expect(requestTokens({ messages: [], system: '', tools: undefined, attachments: 0 })).toBe(3)
})

test.each<{ text: string; limit: number; fits: string }>([
  { text: 'How are you?', limit: 2, fits: 'How are' },
  { text: 'How are you?', limit: 9, fits: 'How are you?' },
  { text: 'How are you?', limit: -1, fits: '' },
  // The space and the rocket are two tokens; the first has the space and part of the rocket.
  { text: 'Go 🚀 now', limit: 2, fits: 'Go ' },
  { text: 'Go 🚀 now', limit: 3, fits: 'Go 🚀' },
  { text: 'x'.repeat(100_000), limit: 20_000, fits: 'x'.repeat(80_000) },
])('keeps the first $limit tokens', ({ text, limit, fits }) => {
  expect(firstTokens(text, limit)).toBe(fits)
})

test.each<{ total: number; parts: number; shares: number[] }>([
  { total: 9, parts: 3, shares: [3, 3, 3] },
  { total: 8, parts: 3, shares: [2, 3, 3] },
  { total: 2, parts: 4, shares: [0, 1, 0, 1] },
  { total: 0, parts: 2, shares: [0, 0] },
  { total: 5, parts: 0, shares: [] },
])('spreads $total over $parts', ({ total, parts, shares }) => {
  expect(spread(total, parts)).toEqual(shares)
})

test.each<{ name: string; total: number; deltas: string[]; prepaid?: number; shares: number[] }>([
  { name: 'own tokens', total: 4, deltas: ['How', ' are you', '?'], shares: [1, 2, 1] },
  {
    name: 'own tokens but for the prepaid',
    total: 3,
    deltas: ['How are', ' you?'],
    prepaid: 1,
    shares: [1, 2],
  },
  { name: 'nothing for what is prepaid', total: 1, deltas: ['Hello', ' there'], prepaid: 1, shares: [0, 1] },
  { name: 'equal shares of another total', total: 6, deltas: ['How', ' are you', '?'], shares: [2, 2, 2] },
  { name: 'equal shares of torn words', total: 1, deltas: ['Hel', 'lo'], shares: [0, 1] },
  { name: 'equal shares of what is no text', total: 4, deltas: ['', ''], shares: [2, 2] },
  { name: 'equal shares beside what is no text', total: 5, deltas: ['Hello', '', ''], shares: [1, 2, 2] },
  { name: 'equal shares of long texts', total: 5, deltas: ['x'.repeat(65_536), 'y'], shares: [2, 3] },
  { name: 'nothing', total: 0, deltas: [], shares: [] },
])('shares out: $name', ({ total, deltas, prepaid, shares }) => {
  expect(shareOut(total, deltas, prepaid)).toEqual(shares)
})
