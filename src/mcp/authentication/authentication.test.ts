import { createPublicKey } from 'node:crypto'
import { base64url, type JWTPayload, SignJWT } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  AUDIENCE,
  authenticationOf,
  bearing,
  type Config,
  fakeWorld,
  head,
  ISSUER,
  KEYS_URL,
  keySetOf,
  type SigningKey,
  signedToken,
  signingKey,
} from './authentication.fixture.ts'

let rsa: SigningKey
let stranger: SigningKey
beforeAll(async () => {
  rsa = await signingKey('RS256', 'rsa-1')
  stranger = await signingKey('RS256', 'rsa-1')
})

const worldWithKeys = (...more: readonly SigningKey[]) => fakeWorld({ [KEYS_URL]: keySetOf(rsa, ...more) })

async function outcomeOf(token: string, config: Partial<Config> = {}) {
  return authenticationOf(worldWithKeys(), config).authenticate(bearing(token))
}

const unsigned = (claims: object, header: object) =>
  [header, claims].map((part) => base64url.encode(JSON.stringify(part))).join('.')

describe('a good token', () => {
  test.each(['RS256', 'PS384', 'ES256', 'ES512', 'EdDSA'])(
    'it is accepted when signed by %s',
    async (alg) => {
      const key = await signingKey(alg, 'another')
      const outcome = await authenticationOf(worldWithKeys(key)).authenticate(bearing(await signedToken(key)))
      expect(outcome).toMatchObject({
        kind: 'caller',
        claims: { iss: ISSUER, aud: AUDIENCE, sub: 'user-1' },
        header: 'authorization',
      })
    },
  )

  test.each<{ name: string; claims: JWTPayload; config?: Partial<Config> }>([
    { name: 'one of several audiences', claims: { aud: ['x', AUDIENCE] } },
    { name: 'the second configured audience', claims: { aud: 'b' }, config: { audiences: ['a', 'b'] } },
    { name: 'an issuer with a slash more than configured', claims: { iss: `${ISSUER}/` } },
    { name: 'an issuer with a slash less', claims: {}, config: { issuer: `${ISSUER}/` } },
    { name: 'an end a moment ago', claims: { exp: fakeWorld().seconds() - 10 } },
    {
      name: 'no end where none is asked for',
      claims: { exp: undefined },
      config: { jwtValidationOptions: { requiredClaims: [] } },
    },
  ])('it may have $name', async ({ claims, config }) => {
    expect(await outcomeOf(await signedToken(rsa, claims), config)).toMatchObject({ kind: 'caller' })
  })

  test('it may come in another header', async () => {
    const location = { header: { name: 'X-Token', prefix: 'jwt ' } }
    const authentication = authenticationOf(worldWithKeys(), { authorizationLocation: location })
    const token = await signedToken(rsa)
    expect(await authentication.authenticate(head({ 'x-token': `JWT ${token}` }))).toMatchObject({
      kind: 'caller',
      header: 'x-token',
    })
    expect(await authentication.authenticate(bearing(token))).toMatchObject({ status: 401 })
  })

  test('it needs no key id when there is one key only', async () => {
    const token = await signedToken(rsa, {}, { kid: undefined })
    expect(await outcomeOf(token)).toMatchObject({ kind: 'caller' })
  })
})

describe('a bad token', () => {
  const past = fakeWorld().seconds() - 3600
  const cases: Record<
    string,
    { token: () => Promise<string> | string; reason: string; config?: Partial<Config> }
  > = {
    expired: { token: () => signedToken(rsa, { exp: past }), reason: 'the token has expired' },
    early: { token: () => signedToken(rsa, { nbf: past + 7200 }), reason: 'the token is not valid yet' },
    'by another issuer': {
      token: () => signedToken(rsa, { iss: 'https://evil.example' }),
      reason: 'wrong issuer',
    },
    'for another audience': { token: () => signedToken(rsa, { aud: 'x' }), reason: 'wrong audience' },
    'for nobody': { token: () => signedToken(rsa, { aud: undefined }), reason: 'the claim aud is missing' },
    'without an end': {
      token: () => signedToken(rsa, { exp: undefined }),
      reason: 'the claim exp is missing',
    },
    'with an odd end': {
      token: async () => {
        const [header = '', , signature = ''] = (await signedToken(rsa)).split('.')
        return [header, base64url.encode('{"exp":"never"}'), signature].join('.')
      },
      reason: 'wrong signature',
    },
    'without a claim asked for': {
      token: () => signedToken(rsa),
      reason: 'the claim scope  is missing',
      config: { jwtValidationOptions: { requiredClaims: ['scope"'] } },
    },
    'signed by a stranger': { token: () => signedToken(stranger), reason: 'wrong signature' },
    'of an unknown key': { token: () => signedToken(rsa, {}, { kid: 'x' }), reason: 'unknown key' },
    'signed with the public key as a secret': {
      token: () => {
        const pem = createPublicKey({ key: { ...rsa.jwk }, format: 'jwk' }).export({
          type: 'spki',
          format: 'pem',
        })
        return new SignJWT({ iss: ISSUER, aud: AUDIENCE, exp: past + 7200 })
          .setProtectedHeader({ alg: 'HS256', kid: rsa.kid })
          .sign(new TextEncoder().encode(String(pem)))
      },
      reason: 'the signature algorithm is not allowed',
    },
    'without a signature': {
      token: () => `${unsigned({ iss: ISSUER, aud: AUDIENCE, exp: past + 7200 }, { alg: 'none' })}.`,
      reason: 'the signature algorithm is not allowed',
    },
    'with extensions nobody knows': {
      token: async () => {
        const [, payload = '', signature = ''] = (await signedToken(rsa)).split('.')
        const header = base64url.encode(JSON.stringify({ alg: 'RS256', kid: rsa.kid, crit: ['x'], x: 1 }))
        return [header, payload, signature].join('.')
      },
      reason: 'the token cannot be verified',
    },
    encrypted: {
      token: () => [unsigned({}, { alg: 'RSA-OAEP', enc: 'A256GCM' }), 'a', 'b', 'c'].join('.'),
      reason: 'not a JSON Web Token',
    },
    'that is rubbish': { token: () => 'rubbish', reason: 'not a JSON Web Token' },
    'of dots': { token: () => '..', reason: 'not a JSON Web Token' },
    'followed by another': {
      token: async () => `${await signedToken(rsa)}, Bearer ${await signedToken(rsa)}`,
      reason: 'more than one token',
    },
    'that is too long': { token: () => 'a'.repeat(16_385), reason: 'the token is longer than 16 KiB' },
  }

  test.each(Object.entries(cases))('it is refused when %s', async (_, { token, reason, config }) => {
    const outcome = await outcomeOf(await token(), config)
    expect(outcome).toMatchObject({ kind: 'refused', status: 401 })
    if (outcome.kind !== 'refused') return
    const shown = JSON.parse(outcome.body)
    expect(shown.error).toBe('invalid_token')
    expect(shown.error_description.replace('"', ' ')).toBe(reason)
    expect(outcome.headers['www-authenticate']).toBe(
      'Bearer resource_metadata="https://gateway.test/.well-known/oauth-protected-resource/mcp", ' +
        `error="invalid_token", error_description="${reason}"`,
    )
  })

  test('it is refused in two headers', async () => {
    const token = `Bearer ${await signedToken(rsa)}`
    const authentication = authenticationOf(worldWithKeys())
    expect(await authentication.authenticate(head({ authorization: [token, token] }))).toMatchObject({
      status: 401,
    })
  })

  test('it is refused when it names none of several keys', async () => {
    const world = worldWithKeys(await signingKey('RS256', 'rsa-2'))
    const outcome = await authenticationOf(world).authenticate(
      bearing(await signedToken(rsa, {}, { kid: undefined })),
    )
    expect(outcome).toMatchObject({ body: expect.stringContaining('does not say which key') })
  })

  test.each(['a.b.c', `${unsigned({}, { alg: 'none' })}.`, `${unsigned({}, { alg: 'HS256' })}.x`])(
    'it makes nobody fetch keys when it can be told without: %s',
    async (token) => {
      const world = worldWithKeys()
      expect(await authenticationOf(world).authenticate(bearing(token))).toMatchObject({ status: 401 })
      expect(world.calls).toEqual([])
    },
  )
})

describe('the mode', () => {
  test.each<{ mode: Config['mode']; none: string; bad: string; good: string; dead: string }>([
    { mode: 'strict', none: '401', bad: '401', good: 'caller', dead: '503' },
    { mode: 'optional', none: 'anonymous', bad: '401', good: 'caller', dead: '503' },
    { mode: 'permissive', none: 'anonymous', bad: 'anonymous', good: 'caller', dead: 'anonymous' },
  ])('it is $mode', async ({ mode, none, bad, good, dead }) => {
    const world = worldWithKeys()
    const { authenticate } = authenticationOf(world, { mode })
    const result = async (request: ReturnType<typeof head>) => {
      const outcome = await authenticate(request)
      return outcome.kind === 'refused' ? String(outcome.status) : outcome.kind
    }
    const token = await signedToken(rsa)
    world.isDown = true
    expect(await result(bearing(token))).toBe(dead)
    world.isDown = false
    world.passSeconds(60)
    expect(await result(head())).toBe(none)
    expect(await result(head({ authorization: 'Basic dTpw' }))).toBe(none)
    expect(await result(head({ authorization: 'Bearer' }))).toBe(none)
    expect(await result(bearing('x'))).toBe(bad)
    expect(await result(bearing(token))).toBe(good)
  })
})

describe('the challenge', () => {
  const challengeFor = async (request: ReturnType<typeof head>, config: Partial<Config> = {}) => {
    const outcome = await authenticationOf(worldWithKeys(), config).authenticate(request)
    return outcome.kind === 'refused' ? outcome.headers['www-authenticate'] : undefined
  }
  const at = (base: string, path = '/mcp') =>
    `Bearer resource_metadata="${base}/.well-known/oauth-protected-resource${path}"`

  test('it comes with a body as upstream has it', async () => {
    expect(await authenticationOf(worldWithKeys()).authenticate(head())).toMatchObject({
      status: 401,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      body: '{"error":"unauthorized","error_description":"JWT token required"}',
    })
  })

  test('it names the configured resource, whatever the request says', async () => {
    const resourceMetadata = { resource: 'https://public.example:8443/mcp' }
    const request = head({ 'x-forwarded-host': 'evil.example' })
    expect(await challengeFor(request, { resourceMetadata })).toBe(at('https://public.example:8443'))
  })

  test.each<{ name: string; headers: Record<string, string | string[]>; base: string }>([
    { name: 'a proxy', headers: { 'x-forwarded-proto': 'http' }, base: 'http://gateway.test' },
    { name: 'its host', headers: { 'x-forwarded-host': 'a.example:99' }, base: 'https://a.example:99' },
    { name: 'an IPv6 host', headers: { 'x-forwarded-host': '[::1]:99' }, base: 'https://[::1]:99' },
    { name: 'two proxies', headers: { 'x-forwarded-proto': 'http, http' }, base: 'https://gateway.test' },
    {
      name: 'two hosts',
      headers: { 'x-forwarded-host': 'a.example, b.example' },
      base: 'https://gateway.test',
    },
    { name: 'two headers', headers: { 'x-forwarded-host': ['a', 'b'] }, base: 'https://gateway.test' },
    {
      name: 'a scheme of its own',
      headers: { 'x-forwarded-proto': 'javascript' },
      base: 'https://gateway.test',
    },
    { name: 'a quote', headers: { 'x-forwarded-host': 'a", evil="b' }, base: 'https://gateway.test' },
    { name: 'a line break', headers: { 'x-forwarded-host': 'a\r\nx: y' }, base: 'https://gateway.test' },
    { name: 'a line break at the end', headers: { 'x-forwarded-host': 'a\n' }, base: 'https://gateway.test' },
    { name: 'a path', headers: { 'x-forwarded-host': 'a/b' }, base: 'https://gateway.test' },
    { name: 'a user', headers: { 'x-forwarded-host': 'gateway.test@evil' }, base: 'https://gateway.test' },
  ])('it heeds forwarded headers with $name as far as they make sense', async ({ headers, base }) => {
    expect(await challengeFor(head(headers))).toBe(at(base))
  })

  test.each([
    ['/', ''],
    ['/a/b', '/a/b'],
    ['/a%22b', '/a%22b'],
    ['/a", error="b', '/a%22,%20error=%22b'],
    ['/a\\', '/a%5C'],
    ['/a\r\nx: y', '/a%0D%0Ax:%20y'],
    ['/ü\ud800', '/%C3%BC%EF%BF%BD'],
  ])('it quotes the path %j', async (path, shown) => {
    expect(await challengeFor(head({}, path))).toBe(at('https://gateway.test', shown))
  })

  test('it names no document when the request names no host', async () => {
    expect(await challengeFor({ ...head(), host: '"' as 'gateway.test' })).toBe('Bearer')
  })
})
