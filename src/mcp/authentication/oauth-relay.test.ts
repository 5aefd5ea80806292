import { describe, expect, test } from 'vitest'
import {
  authenticationOf,
  type Config,
  type FakeWorld,
  fakeWorld,
  ISSUER,
  wellKnownRequest,
} from './authentication.fixture.ts'
import type { WellKnownRequest } from './well-known.ts'

const SERVER = '/.well-known/oauth-authorization-server/mcp'
const TENANT = 'https://login.microsoftonline.com/tenant'
const entra: Partial<Config> = { provider: 'entra', issuer: `${TENANT}/v2.0`, clientId: 'app' }

const worldWithEntra = () =>
  fakeWorld({
    [`${TENANT}/v2.0/.well-known/openid-configuration`]: {
      issuer: `${TENANT}/v2.0`,
      authorization_endpoint: `${TENANT}/oauth2/v2.0/authorize`,
      token_endpoint: `${TENANT}/oauth2/v2.0/token`,
    },
    [`${TENANT}/oauth2/v2.0/token`]: { access_token: 'a.b.c' },
  })

function post(world: FakeWorld, path: string, config: Partial<Config>, change: Partial<WellKnownRequest>) {
  return authenticationOf(world, config).wellKnown(wellKnownRequest(path, { method: 'POST', ...change }))
}

describe('registration', () => {
  const register = (world: FakeWorld, config: Partial<Config>, body: string) =>
    post(world, `${SERVER}/client-registration`, config, { body: Buffer.from(body) })
  const wanted = JSON.stringify({ client_name: 'x', redirect_uris: ['http://127.0.0.1:1/callback'] })

  test('it gives everybody the configured client, and nobody its secret', async () => {
    const world = fakeWorld()
    const reply = await register(world, { clientId: 'app', clientSecret: 'hush' }, wanted)
    expect(reply?.status).toBe(201)
    expect(JSON.parse(reply?.body ?? '')).toEqual({
      client_id: 'app',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: ['http://127.0.0.1:1/callback'],
    })
    expect(world.calls).toEqual([])
  })

  test.each<{ name: string; config: Partial<Config>; url: string }>([
    {
      name: 'Keycloak',
      config: { provider: 'keycloak' },
      url: `${ISSUER}/clients-registrations/openid-connect`,
    },
    { name: 'Okta', config: { provider: 'okta' }, url: 'https://idp.example/oauth2/v1/clients' },
    {
      name: 'Descope',
      config: { provider: 'descope', issuer: 'https://api.descope.com/v1/apps/agentic/p/s' },
      url: 'https://api.descope.com/v1/mgmt/mcp/client/p/s/register',
    },
  ])('it is passed on to $name', async ({ config, url }) => {
    const world = fakeWorld({ [url]: { client_id: 'new' } })
    world.status = 201
    const reply = await register(world, config, wanted)
    expect(reply).toMatchObject({
      status: 201,
      body: '{"client_id":"new"}',
      headers: { 'access-control-allow-origin': '*', 'cache-control': 'no-store' },
    })
    expect(world.calls).toHaveLength(1)
    expect(world.calls[0]).toMatchObject({
      url,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      timeoutMs: 5000,
    })
    expect(String(world.calls[0]?.body)).toBe(wanted)
  })

  test('it is passed on to where the metadata says', async () => {
    const world = fakeWorld({
      [`${ISSUER}/.well-known/openid-configuration`]: {
        issuer: ISSUER,
        registration_endpoint: `${ISSUER}/r`,
      },
      [`${ISSUER}/r`]: { client_id: 'new' },
    })
    expect(await register(world, {}, wanted)).toMatchObject({ status: 200 })
  })

  test.each<{ name: string; config: Partial<Config>; body: string; status: number; error: string }>([
    {
      name: 'is no JSON',
      config: { clientId: 'a' },
      body: 'x',
      status: 400,
      error: 'invalid_client_metadata',
    },
    { name: 'is empty', config: { clientId: 'a' }, body: '', status: 400, error: 'invalid_client_metadata' },
    {
      name: 'has redirects that are none',
      config: { clientId: 'a' },
      body: '{"redirect_uris":[1]}',
      status: 400,
      error: 'invalid_client_metadata',
    },
    { name: 'is too long', config: {}, body: ' '.repeat(65_537), status: 413, error: 'invalid_request' },
    { name: 'finds no provider', config: {}, body: '{}', status: 502, error: 'temporarily_unavailable' },
    { name: 'is for nobody', config: entra, body: '{}', status: 404, error: 'invalid_request' },
  ])('it is refused when it $name', async ({ config, body, status, error }) => {
    const world = worldWithEntra()
    const reply = await register(world, { ...config, ...(status === 404 && { clientId: undefined }) }, body)
    expect(reply).toMatchObject({ status, body: expect.stringContaining(error) })
  })
})

describe('authorization with Entra', () => {
  const authorize = (query: string, world = worldWithEntra()) =>
    authenticationOf(world, entra).wellKnown(wellKnownRequest(`${SERVER}/authorize`, { query }))

  test('it goes there without the resource', async () => {
    const reply = await authorize('client_id=app&resource=https%3A%2F%2Fx&scope=a+b&resource=y&state=%0d%0ax')
    expect(reply).toMatchObject({
      status: 302,
      headers: { location: `${TENANT}/oauth2/v2.0/authorize?client_id=app&scope=a+b&state=%0D%0Ax` },
    })
  })

  test('it is a 502 when Entra is down', async () => {
    const world = worldWithEntra()
    world.isDown = true
    expect(await authorize('', world)).toMatchObject({ status: 502 })
  })
})

describe('tokens', () => {
  const code = { grant_type: 'authorization_code', client_id: 'app', code: 'c', code_verifier: 'v' }
  const refresh = { grant_type: 'refresh_token', client_id: 'app', refresh_token: 'r' }
  const ask = (
    form: Record<string, string> | string,
    headers: Record<string, string> = {},
    world = worldWithEntra(),
  ) =>
    post(
      world,
      `${SERVER}/token`,
      { ...entra, clientSecret: { file: '/secret' } },
      {
        headers,
        body: Buffer.from(new URLSearchParams(form).toString()),
      },
    )
  const worldWithSecret = () => {
    const world = worldWithEntra()
    world.files.set('/secret', 'hush\n')
    return world
  }

  test.each<{
    name: string
    form: Record<string, string> | string
    headers?: Record<string, string>
    added: boolean
  }>([
    { name: 'a code with its verifier', form: code, added: true },
    { name: 'a refresh token', form: refresh, added: true },
    { name: 'a code without a verifier', form: { ...code, code_verifier: '' }, added: false },
    { name: 'a code of another client', form: { ...code, client_id: 'other' }, added: false },
    { name: 'a code of no client', form: { grant_type: 'refresh_token', refresh_token: 'r' }, added: false },
    {
      name: 'the application itself',
      form: { grant_type: 'client_credentials', client_id: 'app' },
      added: false,
    },
    {
      name: 'two minds',
      form: 'grant_type=refresh_token&client_id=app&grant_type=client_credentials',
      added: false,
    },
    { name: 'a client with a secret', form: { ...code, client_secret: 'own' }, added: false },
    { name: 'a client with credentials', form: code, headers: { authorization: 'Basic YTpi' }, added: false },
  ])('the secret is added or not ($added) for $name', async ({ form, headers, added }) => {
    const world = worldWithSecret()
    const reply = await ask(form, headers, world)
    expect(reply).toMatchObject({ status: 200, body: '{"access_token":"a.b.c"}' })
    const call = world.calls.at(-1)
    expect(new URLSearchParams(String(call?.body)).get('client_secret') === 'hush').toBe(added)
    expect(call?.headers?.authorization).toBe(headers?.authorization)
  })

  test('they are asked for without the resource', async () => {
    const world = worldWithSecret()
    await ask({ ...code, resource: 'https://x' }, {}, world)
    expect(world.calls.at(-1)).toMatchObject({
      url: `${TENANT}/oauth2/v2.0/token`,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    })
    expect(String(world.calls.at(-1)?.body)).not.toContain('resource')
  })

  test("the provider's refusal is passed on", async () => {
    const world = worldWithEntra()
    world.documents.set(`${TENANT}/oauth2/v2.0/token`, { error: 'invalid_grant' })
    const { wellKnown } = authenticationOf(world, entra)
    await wellKnown(wellKnownRequest(SERVER))
    world.status = 400
    const request = wellKnownRequest(`${SERVER}/token`, { method: 'POST', body: Buffer.from('a=b') })
    expect(await wellKnown(request)).toMatchObject({ status: 400, body: '{"error":"invalid_grant"}' })
  })

  test('an answer that is no JSON is a 502', async () => {
    const world = worldWithSecret()
    world.documents.set(`${TENANT}/oauth2/v2.0/token`, '<script>')
    expect(await ask(code, {}, world)).toMatchObject({ status: 502 })
  })

  test('they are not relayed where nothing needs it', async () => {
    const world = fakeWorld()
    const reply = await authenticationOf(world).wellKnown(
      wellKnownRequest(`${SERVER}/token`, { method: 'POST' }),
    )
    expect(reply).toMatchObject({ status: 405 })
  })
})
