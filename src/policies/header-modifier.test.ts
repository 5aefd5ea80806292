import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import type { Headers } from '../core/headers.ts'
import { headerModifierSchema, requestHeaderModifier, responseHeaderModifier } from './header-modifier.ts'
import { requestHead } from './request-head.fixture.ts'

const ROWS = [
  { name: 'it sets a new header', config: { set: { 'X-A': '1' } }, before: {}, after: { 'x-a': '1' } },
  {
    name: 'it replaces a header',
    config: { set: { 'x-a': '1' } },
    before: { 'x-a': '0' },
    after: { 'x-a': '1' },
  },
  {
    name: 'it replaces every value of a header',
    config: { set: { 'x-a': '1' } },
    before: { 'x-a': ['0', '2'] },
    after: { 'x-a': '1' },
  },
  {
    name: 'it adds beside one value',
    config: { add: { 'X-A': '1' } },
    before: { 'x-a': '0' },
    after: { 'x-a': ['0', '1'] },
  },
  {
    name: 'it adds beside several values',
    config: { add: { 'x-a': '1' } },
    before: { 'x-a': ['0', '2'] },
    after: { 'x-a': ['0', '2', '1'] },
  },
  { name: 'it removes, whatever the case', config: { remove: ['X-A'] }, before: { 'x-a': '0' }, after: {} },
  {
    name: 'it removes what is not there',
    config: { remove: ['x-a'] },
    before: { 'x-b': '0' },
    after: { 'x-b': '0' },
  },
  { name: 'it does nothing when empty', config: {}, before: { 'x-b': '0' }, after: { 'x-b': '0' } },
]

const single = (headers: Headers) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      [value].flat().length === 1 ? [value].flat()[0] : value,
    ]),
  )

describe.each(ROWS)('$name', ({ config, before, after }) => {
  test('in a request', () => {
    const head = requestHead({ headers: { ...before } })
    expect(requestHeaderModifier(headerModifierSchema.parse(config)).onRequest?.(head)).toBeUndefined()
    expect(single(head.headers)).toEqual(after)
  })

  test('in a response', () => {
    const headers: Headers = { ...before }
    responseHeaderModifier(headerModifierSchema.parse(config)).onResponse?.(headers, requestHead(), 200)
    expect(single(headers)).toEqual(after)
  })
})

describe('the authority', () => {
  test.each<{ name: string; config: z.input<typeof headerModifierSchema>; authority: string | undefined }>([
    { name: 'it is the Host that is set', config: { set: { Host: 'other.test' } }, authority: 'other.test' },
    { name: 'it stays when something else is set', config: { set: { 'x-a': '1' } }, authority: undefined },
    { name: 'it stays when something is added', config: { add: { 'x-a': '1' } }, authority: undefined },
  ])('$name', ({ config, authority }) => {
    const head = requestHead()
    requestHeaderModifier(config).onRequest?.(head)
    expect(head.authority).toBe(authority)
  })
})

test.each([
  { set: { 'x a': '1' } },
  { add: { 'x-a:': '1' } },
  { remove: [''] },
  { set: { 'x-a': 'one\r\nx-evil: 1' } },
  { set: { 'x-a': 'snowman \u2603' } },
  { change: {} },
])('it refuses %j', (config) => {
  expect(headerModifierSchema.safeParse(config).success).toBe(false)
})
