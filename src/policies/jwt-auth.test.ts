import { beforeAll, describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { GatewayError } from '../core/errors.ts'
import type { Headers } from '../core/headers.ts'
import { neverChanging } from '../core/keep-fresh.ts'
import { keySetOf } from '../core/key-set.ts'
import {
  AUDIENCE,
  type FakeWorld,
  fakeWorld,
  ISSUER,
  KEYS_URL,
  keySetOf as keySetWith,
  type SigningKey,
  signedToken,
  signingKey,
} from '../mcp/authentication/authentication.fixture.ts'
import { jwtAuth, jwtAuthSchema } from './jwt-auth.ts'
import { createKeySets } from './key-sets.ts'
import { requestHead } from './request-head.fixture.ts'

type Config = z.input<typeof jwtAuthSchema>

let ours: SigningKey
let stranger: SigningKey
let good: string
beforeAll(async () => {
  ours = await signingKey('ES256', 'one')
  stranger = await signingKey('ES256', 'one')
  good = await signedToken(ours, { groups: ['platform', 'dev'] })
})

const worldWith = (...keys: readonly SigningKey[]) => fakeWorld({ [KEYS_URL]: keySetWith(...keys) })
const ONE: Config = { issuer: ISSUER, audiences: [AUDIENCE], jwks: { url: KEYS_URL } }

function policyOf(config: Config, world: FakeWorld, keySets = createKeySets(world.deps)) {
  const keysOf: Parameters<typeof jwtAuth>[1] = (source) => {
    if ('url' in source) return keySets.at(source.url)
    return neverChanging(keySetOf('inline' in source ? source.inline : {}))
  }
  const policy = jwtAuth(jwtAuthSchema.parse(config), keysOf, world.deps.now)
  /** What is left of the headers, and who it was; or why not. */
  return async (headers: Headers) => {
    const head = requestHead({ headers: { ...headers } })
    try {
      expect(await policy.onRequest?.(head)).toBeUndefined()
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      return {
        code: error.code,
        says: error.message,
        challenge: error.headers['www-authenticate'],
        left: head.headers,
      }
    }
    const { user, group, key } = head.exchange
    return { left: head.headers, user, group, key, jwt: head.jwt }
  }
}
const bearing = (token: string) => ({ authorization: `Bearer ${token}` })

describe('a good token', () => {
  test('passes, and goes no further', async () => {
    const ask = policyOf(ONE, worldWith(ours))
    expect(await ask({ ...bearing(good), 'x-api-key': 'sk' })).toEqual({
      left: { 'x-api-key': 'sk' },
      user: 'user-1',
      group: 'platform',
      key: expect.stringMatching(/^[0-9a-f]{8}$/),
      jwt: expect.objectContaining({ sub: 'user-1', groups: ['platform', 'dev'] }),
    })
  })

  test('tells the same client by each of its tokens', async () => {
    const ask = policyOf(ONE, worldWith(ours))
    const [first, later, other] = await Promise.all(
      [{ jti: '1' }, { jti: '2' }, { sub: 'user-2' }].map(async (claims) =>
        ask(bearing(await signedToken(ours, claims))),
      ),
    )
    expect(first?.key).toBe(later?.key)
    expect(other?.key).not.toBe(first?.key)
  })

  test.each([
    { claims: { sub: undefined, email: 'ann@a.example' }, user: 'ann@a.example', group: undefined },
    { claims: { sub: undefined, groups: 'dev' }, user: undefined, group: undefined },
    { claims: { email: 'ann@a.example', groups: [7] }, user: 'user-1', group: undefined },
  ])('says who it is: $claims', async ({ claims, user, group }) => {
    const ask = policyOf(ONE, worldWith(ours))
    expect(await ask(bearing(await signedToken(ours, claims)))).toMatchObject({ user, group })
  })

  test('may be for anybody where no audience is named, and in a header of its own', async () => {
    const location = { header: { name: 'X-Token' } }
    const ask = policyOf({ issuer: ISSUER, jwks: JSON.stringify(keySetWith(ours)), location }, fakeWorld())
    const token = await signedToken(ours, { aud: 'somebody-else' })
    expect(await ask({ 'x-token': token, ...bearing('sk') })).toMatchObject({
      left: bearing('sk'),
      user: 'user-1',
    })
  })
})

describe('a bad one is refused:', () => {
  const past = fakeWorld().seconds() - 3600
  test.each<{ name: string; token: () => Promise<string> | string; reason: string }>([
    { name: 'expired', token: () => signedToken(ours, { exp: past }), reason: 'the token has expired' },
    {
      name: 'without an end',
      token: () => signedToken(ours, { exp: undefined }),
      reason: 'the claim exp is missing',
    },
    { name: 'for another', token: () => signedToken(ours, { aud: 'x' }), reason: 'wrong audience' },
    {
      name: 'of another issuer',
      token: () => signedToken(ours, { iss: 'https://x' }),
      reason: 'wrong issuer',
    },
    { name: 'signed by a stranger', token: () => signedToken(stranger), reason: 'wrong signature' },
    { name: 'no token at all', token: () => 'sk-of-the-provider', reason: 'not a JSON Web Token' },
    { name: 'two', token: () => `${good}, Bearer ${good}`, reason: 'more than one token' },
    {
      name: 'signed with a secret',
      token: () => `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.e30.x`,
      reason: 'the signature algorithm is not allowed',
    },
  ])('$name', async ({ token, reason }) => {
    const answer = await policyOf(ONE, worldWith(ours))(bearing(await token()))
    expect(answer).toMatchObject({
      code: 'unauthenticated',
      says: `authentication failure: ${reason}`,
      challenge: `Bearer error="invalid_token", error_description="${reason}"`,
    })
  })

  test('none', async () => {
    expect(await policyOf(ONE, worldWith(ours))({ authorization: 'Basic eDp5' })).toMatchObject({
      says: 'authentication failure: no bearer token found',
      challenge: 'Bearer',
    })
  })
})

test.each<{ mode: 'strict' | 'optional' | 'permissive'; none?: string; bad?: string; dead?: string }>([
  { mode: 'strict', none: 'unauthenticated', bad: 'unauthenticated', dead: 'keys_unavailable' },
  { mode: 'optional', bad: 'unauthenticated', dead: 'keys_unavailable' },
  { mode: 'permissive' },
])('$mode', async ({ mode, none, bad, dead }) => {
  const world = worldWith(ours)
  const ask = policyOf({ ...ONE, mode }, world)
  world.isDown = true
  // What names our issuer goes no further, even where nobody can say whether it is right.
  expect(await ask(bearing(good))).toMatchObject({ left: {} })
  expect((await ask(bearing(good))).code).toBe(dead)
  world.isDown = false
  world.passSeconds(60)
  expect((await ask({})).code).toBe(none)
  expect((await ask(bearing(await signedToken(stranger)))).code).toBe(bad)
  expect((await ask(bearing('sk-of-the-provider'))).code).toBe(bad)
  expect(await ask(bearing(good))).toMatchObject({ user: 'user-1' })
})

test('what is no token of ours is left to a client that may pass', async () => {
  const ask = policyOf({ ...ONE, mode: 'permissive' }, worldWith(ours))
  expect(await ask(bearing('sk-of-the-provider'))).toMatchObject({ left: bearing('sk-of-the-provider') })
})

describe('of several providers', () => {
  const OTHER = 'https://other.example'
  const two = (): Config => ({
    providers: [
      { issuer: ISSUER, audiences: [AUDIENCE], jwks: JSON.stringify(keySetWith(ours)) },
      { issuer: `${OTHER}/`, jwks: JSON.stringify(keySetWith(stranger)) },
    ],
  })

  test('each answers for its own', async () => {
    const ask = policyOf(two(), fakeWorld())
    expect(await ask(bearing(good))).toMatchObject({ user: 'user-1' })
    expect(await ask(bearing(await signedToken(stranger, { iss: OTHER })))).toMatchObject({ user: 'user-1' })
    expect(await ask(bearing(await signedToken(ours, { iss: OTHER })))).toMatchObject({
      says: 'authentication failure: wrong signature',
    })
  })

  test('none may stand there twice', () => {
    const twice = { issuer: ISSUER, jwks: { url: KEYS_URL } }
    const parsed = jwtAuthSchema.safeParse({ providers: [twice, { ...twice, issuer: `${ISSUER}/` }] })
    expect(parsed.success).toBe(false)
  })
})

describe('keys by URL', () => {
  test('are fetched once for all that name it, a reload included', async () => {
    const world = worldWith(ours)
    const keySets = createKeySets(world.deps)
    const answers = [1, 2, 3].map(() => policyOf(ONE, world, keySets)(bearing(good)))
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ user: 'user-1' })
    expect(world.calls.length).toBe(1)
  })

  test('are exchanged by the provider, and not asked for by every stranger', async () => {
    const world = worldWith(ours)
    const ask = policyOf(ONE, world)
    await ask(bearing(good))
    const next = await signingKey('ES256', 'two')
    world.documents.set(KEYS_URL, keySetWith(ours, next))
    expect(await ask(bearing(await signedToken(next)))).toMatchObject({ user: 'user-1' })
    const unknown = await signedToken(stranger, {}, { kid: 'three' })
    for (let times = 0; times < 5; times++)
      expect(await ask(bearing(unknown))).toMatchObject({ says: 'authentication failure: unknown key' })
    expect(world.calls.length).toBe(2)
  })
})
