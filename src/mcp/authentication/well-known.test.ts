import { describe, expect, test } from 'vitest'
import {
  AUDIENCE,
  authenticationOf,
  type Config,
  type FakeWorld,
  fakeWorld,
  ISSUER,
  wellKnownRequest,
} from './authentication.fixture.ts'
import type { WellKnownRequest } from './well-known.ts'

const RESOURCE = '/.well-known/oauth-protected-resource'
const SERVER = '/.well-known/oauth-authorization-server'
const OWN = 'https://gateway.test'
const RFC_8414 = 'https://idp.example/.well-known/oauth-authorization-server/realms/mcp'
const OIDC = `${ISSUER}/.well-known/openid-configuration`

const METADATA = {
  issuer: ISSUER,
  authorization_endpoint: `${ISSUER}/authorize?x=1`,
  token_endpoint: `${ISSUER}/token`,
  registration_endpoint: `${ISSUER}/register`,
  jwks_uri: `${ISSUER}/keys`,
  token_endpoint_auth_methods_supported: ['client_secret_basic'],
  authorization_response_iss_parameter_supported: true,
  signed_metadata: 'e.y.J',
  scopes_supported: ['a'],
}
const ENTRA = 'https://login.microsoftonline.com/tenant/v2.0'
const entra: Partial<Config> = { provider: 'entra', issuer: ENTRA }

const worldWithMetadata = () =>
  fakeWorld({
    [RFC_8414]: METADATA,
    [OIDC]: METADATA,
    [`${ENTRA}/.well-known/openid-configuration`]: {
      ...METADATA,
      authorization_endpoint: 'https://login.microsoftonline.com/tenant/oauth2/v2.0/authorize',
      token_endpoint: 'https://login.microsoftonline.com/tenant/oauth2/v2.0/token',
    },
  })

async function ask(
  path: string,
  config: Partial<Config> = {},
  change: Partial<WellKnownRequest> = {},
  world: FakeWorld = worldWithMetadata(),
) {
  const reply = await authenticationOf(world, config).wellKnown(wellKnownRequest(path, change))
  return { ...reply, world, json: reply?.body ? JSON.parse(reply.body) : undefined }
}

test.each([
  '/mcp',
  '/',
  '/.well-known/oauth-protected-resources',
  '/.well-known/oauth-protected-resource%2Fmcp',
  '/.well-known/jwks.json',
  '/my-client-registration',
])('it has nothing to say about %s', (path) => {
  expect(authenticationOf(worldWithMetadata()).wellKnown(wellKnownRequest(path))).toBeUndefined()
})

describe('the protected resource', () => {
  test('it is described for any browser', async () => {
    const { status, headers, json, world } = await ask(`${RESOURCE}/mcp`)
    expect(status).toBe(200)
    expect(headers).toEqual({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD, OPTIONS',
      'access-control-allow-headers': 'authorization, content-type, mcp-protocol-version',
      'cache-control': 'no-store',
      'content-type': 'application/json',
    })
    expect(json).toEqual({
      resource: `${OWN}/mcp`,
      authorization_servers: [ISSUER],
      bearer_methods_supported: ['header'],
      mcp_protocol_version: '2025-11-25',
      resource_type: 'mcp-server',
    })
    expect(world.calls).toEqual([])
  })

  test.each<{ name: string; path: string; headers?: Record<string, string>; resource: string }>([
    { name: 'the root', path: RESOURCE, resource: OWN },
    { name: 'the root with a slash', path: `${RESOURCE}/`, resource: OWN },
    { name: 'a path with odd characters', path: `${RESOURCE}/a"<b`, resource: `${OWN}/a%22%3Cb` },
    {
      name: 'what is behind a proxy',
      path: `${RESOURCE}/mcp`,
      headers: { 'x-forwarded-proto': 'http', 'x-forwarded-host': 'outside.example' },
      resource: 'http://outside.example/mcp',
    },
  ])('it is $name', async ({ path, headers = {}, resource }) => {
    expect((await ask(path, {}, { headers })).json.resource).toBe(resource)
  })

  test('it is what the configuration says, in snake case', async () => {
    const resourceMetadata = {
      resource: 'https://public.example/mcp',
      scopesSupported: ['read:all'],
      bearerMethodsSupported: ['header', 'body'],
      resourcePolicyURI: 'https://public.example/policy',
      already_snake: { camelCase: 1 },
      authorizationServers: ['https://other.example'],
      mcpProtocolVersion: '2025-06-18',
    }
    const { headers, json } = await ask(`${RESOURCE}/mcp`, { resourceMetadata })
    expect(json).toEqual({
      resource: 'https://public.example/mcp',
      scopes_supported: ['read:all'],
      bearer_methods_supported: ['header', 'body'],
      resource_policy_uri: 'https://public.example/policy',
      already_snake: { camelCase: 1 },
      authorization_servers: ['https://other.example'],
      mcp_protocol_version: '2025-06-18',
      resource_type: 'mcp-server',
    })
    expect(headers?.['cache-control']).toBe('public, max-age=300')
  })

  test('it takes the gateway for the authorization server when there is a provider', async () => {
    const { json } = await ask(`${RESOURCE}/mcp`, { provider: 'keycloak' })
    expect(json.authorization_servers).toEqual([`${OWN}/mcp`])
  })

  test('it is not described to a request without a usable host', async () => {
    expect((await ask(RESOURCE, {}, { host: 'a b' })).status).toBe(400)
  })
})

test.each([
  { path: `${RESOURCE}/mcp`, allow: 'GET, HEAD, OPTIONS', wrong: 'POST' },
  { path: `${SERVER}/mcp`, allow: 'GET, HEAD, OPTIONS', wrong: 'DELETE' },
  { path: `${SERVER}/mcp/client-registration`, allow: 'POST, OPTIONS', wrong: 'GET' },
])('$path takes $allow', async ({ path, allow, wrong }) => {
  const refused = await ask(path, {}, { method: wrong })
  expect(refused).toMatchObject({ status: 405, headers: { allow, 'access-control-allow-origin': '*' } })
  const preflight = await ask(path, {}, { method: 'OPTIONS' })
  expect(preflight).toMatchObject({
    status: 204,
    body: '',
    headers: { 'access-control-allow-methods': allow },
  })
  if (!allow.startsWith('GET')) return
  const get = await ask(path)
  expect(await ask(path, {}, { method: 'HEAD' })).toMatchObject({
    status: 200,
    body: '',
    headers: get.headers,
  })
})

describe("the authorization server's metadata", () => {
  const { signed_metadata: _, ...plain } = METADATA

  test.each([`${SERVER}/mcp`, '/.well-known/openid-configuration/mcp', SERVER])(
    'it is passed on at %s',
    async (path) => {
      const { status, json, headers } = await ask(path)
      expect(status).toBe(200)
      expect(json).toEqual(plain)
      expect(headers).toMatchObject({ 'access-control-allow-origin': '*' })
    },
  )

  test.each<{ name: string; config: Partial<Config>; change: Record<string, unknown> }>([
    {
      name: 'Keycloak: registered by way of the gateway',
      config: { provider: 'keycloak' },
      change: { registration_endpoint: `${OWN}${SERVER}/mcp/client-registration` },
    },
    {
      name: 'Auth0: with the audience',
      config: { provider: 'auth0' },
      change: {
        authorization_endpoint: `${ISSUER}/authorize?x=1&audience=${encodeURIComponent(AUDIENCE)}`,
      },
    },
    {
      name: 'Okta: both',
      config: { provider: 'okta', audiences: ['api://a&b', 'c'] },
      change: {
        authorization_endpoint: `${ISSUER}/authorize?x=1&audience=api%3A%2F%2Fa%26b`,
        registration_endpoint: `${OWN}${SERVER}/mcp/client-registration`,
      },
    },
    { name: 'authentik: as it is', config: { provider: 'authentik' }, change: {} },
    {
      name: 'Entra: by way of the gateway, with PKCE',
      config: { ...entra, clientId: 'app' },
      change: {
        authorization_endpoint: `${OWN}${SERVER}/mcp/authorize`,
        token_endpoint: `${OWN}${SERVER}/mcp/token`,
        registration_endpoint: `${OWN}${SERVER}/mcp/client-registration`,
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'],
      },
    },
  ])('it is mended for $name', async ({ config, change }) => {
    const { authorization_response_iss_parameter_supported: _, ...rest } = plain
    expect((await ask(`${SERVER}/mcp`, config)).json).toEqual({ ...rest, issuer: `${OWN}/mcp`, ...change })
  })

  test('it keeps its issuer without a provider, but registers the configured client', async () => {
    const { json } = await ask(`${SERVER}/mcp`, { clientId: 'app', clientSecret: 'hush' })
    expect(json).toMatchObject({
      issuer: ISSUER,
      registration_endpoint: `${OWN}${SERVER}/mcp/client-registration`,
      token_endpoint: `${OWN}${SERVER}/mcp/token`,
    })
    expect(JSON.stringify(json)).not.toContain('hush')
  })

  test('it is fetched once for all', async () => {
    const world = worldWithMetadata()
    const { wellKnown } = authenticationOf(world)
    await Promise.all([1, 2, 3].map(() => wellKnown(wellKnownRequest(SERVER))))
    expect(world.calls.map(({ url }) => url)).toEqual([RFC_8414])
  })

  test.each<{ name: string; change: (world: FakeWorld) => void }>([
    {
      name: 'is down',
      change: (world) => {
        world.isDown = true
      },
    },
    { name: 'has none', change: (world) => world.documents.clear() },
    {
      name: 'names another issuer',
      change: (world) => {
        for (const url of [RFC_8414, OIDC])
          world.documents.set(url, { ...METADATA, issuer: 'https://evil.example' })
      },
    },
  ])('it is a 502 when the provider $name', async ({ change }) => {
    const world = worldWithMetadata()
    change(world)
    const reply = await ask(SERVER, {}, {}, world)
    expect(reply).toMatchObject({ status: 502, json: { error: 'temporarily_unavailable' } })
    expect(reply.body).not.toContain('10.1.2.3')
    expect(reply.headers).toMatchObject({ 'access-control-allow-origin': '*' })
  })
})
