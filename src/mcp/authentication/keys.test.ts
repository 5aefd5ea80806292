import { beforeAll, describe, expect, test } from 'vitest'
import { ConfigProblem } from '../../core/config-problem.ts'
import {
  authenticationOf,
  bearing,
  type Config,
  type FakeWorld,
  fakeWorld,
  ISSUER,
  KEYS_URL,
  keySetOf,
  type SigningKey,
  signedToken,
  signingKey,
} from './authentication.fixture.ts'

let old: SigningKey
let next: SigningKey
let oldToken: string
let nextToken: string
beforeAll(async () => {
  old = await signingKey('ES256', 'old')
  next = await signingKey('ES256', 'next')
  oldToken = await signedToken(old)
  nextToken = await signedToken(next)
})

function started(world: FakeWorld = fakeWorld({ [KEYS_URL]: keySetOf(old) }), config: Partial<Config> = {}) {
  const { authenticate } = authenticationOf(world, config)
  const result = async (token: string) => {
    const outcome = await authenticate(bearing(token))
    return outcome.kind === 'refused' ? outcome.status : outcome.kind
  }
  return { world, result, authenticate }
}

describe('keys by URL', () => {
  test('they are fetched once, within bounds', async () => {
    const { world, result } = started()
    expect(await result(oldToken)).toBe('caller')
    expect(await result(oldToken)).toBe('caller')
    expect(world.calls).toEqual([
      { url: KEYS_URL, headers: { accept: 'application/json' }, timeoutMs: 5000, maxBytes: 1024 * 1024 },
    ])
  })

  test('concurrent requests share one fetch, and one renewal', async () => {
    const { world, result } = started()
    expect(await Promise.all([1, 2, 3].map(() => result(oldToken)))).toEqual(['caller', 'caller', 'caller'])
    expect(world.calls).toHaveLength(1)
    world.documents.set(KEYS_URL, keySetOf(next))
    expect(await Promise.all([1, 2, 3].map(() => result(nextToken)))).toEqual(['caller', 'caller', 'caller'])
    expect(world.calls).toHaveLength(2)
  })

  test('they are renewed after ten minutes', async () => {
    const { world, result } = started()
    await result(oldToken)
    world.documents.set(KEYS_URL, keySetOf(next))
    world.passSeconds(599)
    expect(await result(oldToken)).toBe('caller')
    expect(world.calls).toHaveLength(1)
    world.passSeconds(1)
    expect(await result(oldToken)).toBe(401)
  })

  test('an unknown key renews them at most once in 30 seconds', async () => {
    const { world, result } = started()
    await result(oldToken)
    expect(await result(nextToken)).toBe(401)
    expect(world.calls).toHaveLength(2)
    world.documents.set(KEYS_URL, keySetOf(old, next))
    world.passSeconds(29)
    expect(await result(nextToken)).toBe(401)
    expect(world.calls).toHaveLength(2)
    world.passSeconds(1)
    expect(await result(nextToken)).toBe('caller')
    expect(world.calls).toHaveLength(3)
  })

  test('the last ones stay when the provider dies, and nobody waits for it twice', async () => {
    const { world, result } = started()
    await result(oldToken)
    world.isDown = true
    world.passSeconds(600)
    expect(await result(oldToken)).toBe('caller')
    expect(await result(nextToken)).toBe(401)
    expect(world.calls).toHaveLength(2)
    world.passSeconds(30)
    world.gate = new Promise(() => {})
    expect(await result(oldToken)).toBe('caller')
    expect(world.calls).toHaveLength(3)
  })

  test('they are renewed when the provider comes back', async () => {
    const { world, result } = started()
    await result(oldToken)
    world.isDown = true
    world.passSeconds(600)
    await result(oldToken)
    world.isDown = false
    world.documents.set(KEYS_URL, keySetOf(next))
    world.passSeconds(30)
    await result(oldToken)
    expect(await result(nextToken)).toBe('caller')
    world.documents.set(KEYS_URL, keySetOf(old))
    world.passSeconds(600)
    expect(await result(nextToken)).toBe(401)
  })

  test.each<{ name: string; change: (world: FakeWorld) => void }>([
    {
      name: 'the provider is down',
      change: (world) => {
        world.isDown = true
      },
    },
    { name: 'there is no such document', change: (world) => world.documents.clear() },
    { name: 'it is no JSON', change: (world) => world.documents.set(KEYS_URL, '<html>') },
    { name: 'it is no key set', change: (world) => world.documents.set(KEYS_URL, { keys: {} }) },
  ])('a request is answered with 503 when there are none: $name', async ({ change }) => {
    const world = fakeWorld({ [KEYS_URL]: keySetOf(old) })
    change(world)
    const { authenticate, result } = started(world)
    const outcome = await authenticate(bearing(oldToken))
    expect(outcome).toMatchObject({
      kind: 'refused',
      status: 503,
      headers: { 'content-type': 'application/json', 'retry-after': '5' },
      body: JSON.stringify({
        error: 'temporarily_unavailable',
        error_description: 'the keys of the authorization server cannot be fetched',
      }),
      cause: expect.any(Error),
    })
    await result(oldToken)
    expect(world.calls).toHaveLength(1)
    world.isDown = false
    world.documents.set(KEYS_URL, keySetOf(old))
    world.passSeconds(5)
    expect(await result(oldToken)).toBe('caller')
  })

  test('keys that cannot be used hurt nobody else', async () => {
    const broken = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'next' }
    const secret = { kty: 'oct', k: 'c2VjcmV0', kid: 'x' }
    const odd = { kty: 'what' }
    const world = fakeWorld({ [KEYS_URL]: { keys: [broken, secret, odd, old.jwk] } })
    const { result } = started(world)
    expect(await result(oldToken)).toBe('caller')
    expect(await result(nextToken)).toBe(401)
  })
})

describe('where the keys are', () => {
  const metadata = (issuer: string, jwksUri: string | undefined = KEYS_URL) => ({ issuer, jwks_uri: jwksUri })
  const RFC_8414 = 'https://idp.example/.well-known/oauth-authorization-server/realms/mcp'
  const OIDC = `${ISSUER}/.well-known/openid-configuration`

  test.each<{ name: string; config: Partial<Config>; asked: string }>([
    { name: 'Keycloak', config: { provider: 'keycloak' }, asked: `${ISSUER}/protocol/openid-connect/certs` },
    { name: 'Auth0', config: { provider: { auth0: {} } }, asked: `${ISSUER}/.well-known/jwks.json` },
    { name: 'Okta', config: { provider: { okta: null } }, asked: `${ISSUER}/v1/keys` },
    {
      name: "Okta's own server",
      config: { provider: 'okta', issuer: 'https://x.okta.com/' },
      asked: 'https://x.okta.com/oauth2/v1/keys',
    },
    {
      name: 'Entra, version 1',
      config: { provider: 'entra', issuer: 'https://sts.windows.net/tenant/' },
      asked: 'https://login.microsoftonline.com/tenant/discovery/v2.0/keys',
    },
    {
      name: 'Entra, version 2',
      config: { provider: 'entra', issuer: 'https://login.microsoftonline.us/tenant/v2.0' },
      asked: 'https://login.microsoftonline.us/tenant/discovery/v2.0/keys',
    },
    { name: 'any other', config: {}, asked: RFC_8414 },
    { name: 'authentik', config: { provider: 'authentik' }, asked: OIDC },
  ])('it is known for $name', async ({ config, asked }) => {
    const { world, result } = started(fakeWorld(), { jwks: undefined, ...config })
    await result(oldToken)
    expect(world.calls[0]?.url).toBe(asked)
  })

  test.each([
    { name: 'RFC 8414', documents: { [RFC_8414]: metadata(ISSUER) }, fetches: 2 },
    { name: 'OpenID Connect', documents: { [OIDC]: metadata(`${ISSUER}/`) }, fetches: 3 },
    {
      name: 'the one that names the issuer',
      documents: {
        [RFC_8414]: metadata('https://evil.example', 'https://evil.example/keys'),
        [OIDC]: metadata(ISSUER),
      },
      fetches: 3,
    },
  ])('it is discovered by $name', async ({ documents, fetches }) => {
    const world = fakeWorld({ ...documents, [KEYS_URL]: keySetOf(old) })
    const { result } = started(world, { jwks: undefined })
    expect(await result(oldToken)).toBe('caller')
    expect(world.calls).toHaveLength(fetches)
  })

  test.each([
    ['names another issuer', metadata('https://evil.example')],
    ['does not say', { issuer: ISSUER }],
    ['names no URL', metadata(ISSUER, 'file:///etc/passwd')],
  ])('it is nowhere when the metadata %s', async (_, document) => {
    const world = fakeWorld({ [RFC_8414]: document, [KEYS_URL]: keySetOf(old) })
    expect(await started(world, { jwks: undefined }).result(oldToken)).toBe(503)
  })

  test('it may be the configuration itself, or a file', async () => {
    const document = keySetOf(old)
    const world = fakeWorld()
    world.files.set('/keys.json', JSON.stringify(document))
    const forms: Config['jwks'][] = [
      { file: '/keys.json' },
      { inline: JSON.stringify(document) },
      { inline: { keys: document.keys.map((key) => ({ ...key, kty: 'EC' })) } },
      JSON.stringify(document),
    ]
    for (const jwks of forms) {
      expect(await started(world, { jwks }).result(oldToken)).toBe('caller')
      expect(await started(world, { jwks }).result(nextToken)).toBe(401)
    }
    expect(world.calls).toEqual([])
  })

  test('a file that holds no keys is a mistake in the configuration', () => {
    const world = fakeWorld()
    world.files.set('/keys.json', '{}')
    expect(() => started(world, { jwks: { file: '/keys.json' } })).toThrow(ConfigProblem)
  })
})
