import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { GatewayError } from '../core/errors.ts'
import type { Headers } from '../core/headers.ts'
import { apiKey, apiKeySchema } from './api-key.ts'
import { requestHead } from './request-head.fixture.ts'

const KEYS = [
  { key: 'gw-ann', metadata: { user: 'ann', group: 'platform' } },
  { key: { file: 'bob.key' }, metadata: { name: 'bob' } },
  { keyHash: `sha256:${createHash('sha256').update('gw-hashed').digest('hex')}` },
]
type Config = z.input<typeof apiKeySchema>

/** What is left of the headers, and who it was; or why not. */
function ask(headers: Headers, config: Partial<Config> = {}) {
  const policy = apiKey(apiKeySchema.parse({ keys: KEYS, ...config }), (secret) =>
    typeof secret === 'string' ? secret : 'gw-bob',
  )
  const head = requestHead({ headers: { ...headers } })
  try {
    expect(policy.onRequest?.(head)).toBeUndefined()
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { refused: error.message, code: error.code }
  }
  const { user, group, key } = head.exchange
  return { headers: head.headers, user, group, key }
}

const invalid = { code: 'unauthenticated', refused: 'api key authentication failure: invalid credentials' }
const missing = {
  code: 'unauthenticated',
  refused:
    'api key authentication failure: no API Key found, expected authorization: Bearer KEY or x-api-key: KEY',
}

describe('a key that is known', () => {
  test.each([
    { name: 'as OpenAI clients send it', headers: { authorization: 'Bearer gw-ann' }, user: 'ann' },
    { name: 'with another case of the scheme', headers: { authorization: 'bearer gw-ann' }, user: 'ann' },
    { name: 'as Anthropic clients send it', headers: { 'x-api-key': 'gw-ann' }, user: 'ann' },
    { name: 'of a file', headers: { 'x-api-key': 'gw-bob' }, user: 'bob' },
    { name: 'that is configured by its hash', headers: { 'x-api-key': 'gw-hashed' }, user: undefined },
    {
      name: 'twice',
      headers: { authorization: 'Bearer gw-ann', 'x-api-key': 'gw-ann' },
      user: 'ann',
    },
  ])('$name: passes, and goes no further', ({ headers, user }) => {
    expect(ask({ ...headers, accept: '*/*' })).toMatchObject({ headers: { accept: '*/*' }, user })
    expect(Object.keys(ask(headers).headers ?? {})).toEqual([])
  })

  test('leaves what else the client brought', () => {
    expect(ask({ authorization: 'Bearer gw-ann', 'x-api-key': 'sk-of-the-provider' }).headers).toEqual({
      'x-api-key': 'sk-of-the-provider',
    })
    expect(ask({ authorization: 'Basic eDp5', 'x-api-key': 'gw-ann' }).headers).toEqual({
      authorization: 'Basic eDp5',
    })
  })

  test('is what tells its requests apart, whatever else they bring', () => {
    const { key } = ask({ 'x-api-key': 'gw-ann' })
    expect(key).toMatch(/^[0-9a-f]{8}$/)
    expect(ask({ authorization: 'Bearer gw-ann' }).key).toBe(key)
    expect(ask({ authorization: 'Bearer made-up', 'x-api-key': 'gw-ann' }).key).toBe(key)
    expect(ask({ 'x-api-key': 'gw-bob' }).key).not.toBe(key)
  })

  test('names the group', () => {
    expect(ask({ 'x-api-key': 'gw-ann' }).group).toBe('platform')
  })
})

test.each([
  { name: 'no key', headers: {}, strict: missing, optional: undefined },
  {
    name: 'another scheme',
    headers: { authorization: 'Basic Z3ctYW5u' },
    strict: missing,
    optional: undefined,
  },
  { name: 'a wrong key', headers: { 'x-api-key': 'gw-anna' }, strict: invalid, optional: invalid },
  { name: 'an empty key', headers: { authorization: 'Bearer ' }, strict: invalid, optional: invalid },
  { name: 'the hash itself', headers: { 'x-api-key': KEYS[2]?.keyHash }, strict: invalid, optional: invalid },
  {
    name: 'a header twice',
    headers: { 'x-api-key': ['gw-ann', 'gw-ann'] },
    strict: invalid,
    optional: invalid,
    left: {},
  },
])('$name', ({ headers, strict, optional, left = headers }) => {
  expect(ask(headers)).toEqual(strict)
  expect(ask(headers, { mode: 'strict' })).toEqual(strict)
  expect(ask(headers, { mode: 'optional' })).toMatchObject(optional ?? { headers })
  expect(ask(headers, { mode: 'permissive' })).toMatchObject({ headers: left, user: undefined })
})

test('a place of its own', () => {
  const location = { header: { name: 'X-Gateway-Key', prefix: 'Key ' } }
  expect(ask({ 'x-gateway-key': 'Key gw-ann' }, { location }).user).toBe('ann')
  expect(ask({ 'x-api-key': 'gw-ann' }, { location }).refused).toMatch(/expected x-gateway-key: Key KEY$/)
})

test.each([
  { name: 'no keys', keys: [] },
  { name: 'a key and its hash', keys: [{ key: 'a', keyHash: KEYS[2]?.keyHash }] },
  { name: 'neither', keys: [{ metadata: { user: 'ann' } }] },
  { name: 'a hash of another kind', keys: [{ keyHash: 'md5:abc' }] },
])('$name: refused', ({ keys }) => {
  expect(apiKeySchema.safeParse({ keys }).success).toBe(false)
})

describe('models', () => {
  const KEYED = [
    { key: 'gw-all' },
    { key: 'gw-none', allowedModels: [] },
    { key: 'gw-some', allowedModels: ['gpt-4o', 'claude-*'] },
  ]
  test.each<{ key: string; model: string | undefined; refused?: string }>([
    { key: 'gw-all', model: 'o3' },
    { key: 'gw-all', model: undefined },
    { key: 'gw-none', model: 'o3', refused: 'model o3' },
    { key: 'gw-none', model: undefined, refused: 'a request that names no model' },
    { key: 'gw-some', model: 'gpt-4o' },
    { key: 'gw-some', model: 'claude-sonnet-4-5' },
    { key: 'gw-some', model: 'gpt-4o-mini', refused: 'model gpt-4o-mini' },
    { key: 'gw-some', model: '', refused: 'model ' },
    { key: 'gw-some', model: undefined, refused: 'a request that names no model' },
    { key: 'gw-some', model: 'x'.repeat(1000), refused: `model ${'x'.repeat(100)}` },
  ])('$key asks for $model', ({ key, model, refused }) => {
    const policy = apiKey(apiKeySchema.parse({ keys: KEYED }), String)
    const head = requestHead({ headers: { 'x-api-key': key } })
    policy.onRequest?.(head)
    const ask = () => policy.onModelRequest?.(head, { model, tokens: 1, usd: () => 0 })
    if (refused === undefined) expect(ask).not.toThrow()
    else
      expect(ask).toThrow(
        expect.objectContaining({
          code: 'model_not_allowed',
          message: `${refused} is not allowed for this API key`,
        }),
      )
  })
})
