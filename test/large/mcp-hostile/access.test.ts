/** Who may come in: DNS rebinding, authorization, authentication. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../../support/gateway.ts'
import { stdioTarget } from '../../support/mcp.ts'
import { send } from '../../support/wire.ts'
import {
  initializeRequest,
  JSON_RPC,
  openSession,
  post,
  request,
  type Session,
  STDIO_SERVER,
  understood,
} from './client.fixture.ts'
import { type HostileServer, startHostileServer } from './http-server.fixture.ts'

const one = `{name: one, ${stdioTarget(STDIO_SERVER, 'well')}}`

describe('DNS rebinding', () => {
  let guarded: RunningGateway
  let open: RunningGateway
  let named: RunningGateway
  beforeAll(async () => {
    guarded = await runGateway(`
mcp:
  port: 0
  targets:
  - ${one}
`)
    open = await runGateway(`
mcp:
  port: 0
  dnsRebindingProtection: false
  targets:
  - ${one}
`)
    named = await runGateway(`
binds:
- port: 0
  listeners:
  - routes:
    - hostnames: [mcp.example.com, "*.wild.example.com"]
      backends:
      - mcp:
          targets:
          - ${one}
`)
  })
  afterAll(() => Promise.all([guarded, open, named].map((gateway) => gateway.close())))

  const status = async (gateway: RunningGateway, headers: Record<string, string>) =>
    (
      await send(`${gateway.url}/mcp`, {
        method: 'POST',
        headers: { ...JSON_RPC, ...headers },
        body: JSON.stringify(request(1, 'ping')),
      })
    ).status

  const FOREIGN: Record<string, string>[] = [
    { host: 'evil.example' },
    { host: 'evil.example:3000' },
    { host: 'localhost.evil.example' },
    { host: '127.0.0.1.evil.example' },
    { host: '127.0.0.1@evil.example' },
    { host: 'localhost:80@evil.example' },
    { host: '[::1].evil.example' },
    { origin: 'http://evil.example' },
    { origin: 'https://localhost.evil.example' },
    { origin: 'http://localhost@evil.example' },
    { origin: 'null' },
    { origin: 'file://' },
    { origin: 'http://127.0.0.1, http://evil.example' },
    { host: 'localhost', origin: 'http://evil.example' },
  ]
  test.each(FOREIGN)('it answers %j with 403', async (headers) => {
    expect(await status(guarded, headers)).toBe(403)
  })
  test.each(['GET', 'DELETE', 'OPTIONS', 'PUT'])(
    'it answers a foreign Host with 403 to %s as well',
    async (method) => {
      for (const path of ['/mcp', '/sse'])
        expect(
          (await send(`${guarded.url}${path}`, { method, headers: { host: 'evil.example' } })).status,
        ).toBe(403)
    },
  )

  // 400: nobody has a session; what counts is that they were let in.
  test.each<Record<string, string>>([
    {},
    { host: 'localhost' },
    { host: 'LOCALHOST:3000' },
    { host: '127.0.0.1' },
    { host: '127.0.0.1:8080' },
    { host: '[::1]' },
    { host: '[::1]:3000' },
    { origin: 'http://localhost' },
    { origin: 'http://localhost:6274' },
    { origin: 'https://127.0.0.1:1' },
    { origin: 'http://[::1]:6274' },
  ])('it lets %j in', async (headers) => {
    expect(await status(guarded, headers)).toBe(400)
  })
  test.each(FOREIGN.filter(({ host }) => host === undefined || /^[\w.:]+$/.test(host)))(
    'it lets %j in without the protection',
    async (headers) => {
      expect(await status(open, headers)).toBe(400)
    },
  )
  test.each(['mcp.example.com', 'mcp.example.com:3000', 'a.wild.example.com'])(
    'it lets a hostname of the route in: %s',
    async (host) => {
      expect(await status(named, { host })).toBe(400)
    },
  )
  test('it refuses a foreign Origin on a hostname of the route', async () => {
    expect(await status(named, { host: 'mcp.example.com', origin: 'http://evil.example' })).toBe(403)
  })
})

describe('authorization', () => {
  const rules = `
    mcpAuthorization:
      rules:
      - 'mcp.tool.name == "echo"'
      - 'mcp.tool.name == "report"'
      - {allow: 'mcp.prompt.name == "open"'}
      - {allow: 'mcp.resource.name == "memo:open"'}
      - {deny: 'mcp.tool.name == "report"'}
      - {deny: 'mcp.tool.name == "secret"'}
      - {require: 'request.headers["x-blocked"] != "yes"'}`

  describe.each([
    { name: 'one target', targets: [`  - ${one}`], prefix: '', uri: (uri: string) => uri },
    {
      name: 'two targets',
      targets: [`  - ${one}`, `  - ${one.replace('name: one', 'name: two')}`],
      prefix: 'one_',
      uri: (uri: string) => `one+${uri}`,
    },
  ])('with $name', ({ targets, prefix, uri }) => {
    let gateway: RunningGateway
    let session: Session
    beforeAll(async () => {
      gateway = await runGateway(`
mcp:
  port: 0
  targets:
${targets.join('\n')}
  policies:${rules}
`)
      // A missing header makes the `require` fail.
      session = await openSession(gateway.url, { 'x-blocked': 'no' })
    })
    afterAll(() => gateway.close())

    const listed = async (method: string, key: string, name = 'name') =>
      (((await session.ask(method)).messages.at(-1)?.result?.[key] ?? []) as Record<string, string>[]).map(
        (item) => item[name],
      )

    test('it lists what is allowed alone', async () => {
      const more = (names: string[]) =>
        prefix === '' ? names : [...names, ...names.map((name) => name.replace('one', 'two'))]
      expect(await listed('tools/list', 'tools')).toEqual(more([`${prefix}echo`]))
      expect(await listed('prompts/list', 'prompts')).toEqual(more([`${prefix}open`]))
      expect(await listed('resources/list', 'resources', 'uri')).toEqual(more([uri('memo:open')]))
      expect(await listed('resources/templates/list', 'resourceTemplates', 'uriTemplate')).toEqual([])
    })

    test('it allows what is allowed', async () => {
      expect(await session.said(`${prefix}echo`, { message: 'x' })).toBe('x')
      expect(
        (await session.ask('prompts/get', { name: `${prefix}open` })).messages.at(-1)?.result,
      ).toBeDefined()
      expect(
        (await session.ask('resources/read', { uri: uri('memo:open') })).messages.at(-1)?.result,
      ).toBeDefined()
    })

    const ref = (type: string, key: string, value: string) => ({
      ref: { type, [key]: value },
      argument: { name: 'x', value: '' },
    })
    test.each([
      {
        what: 'tool',
        method: 'tools/call',
        denied: 'secret',
        unknown: 'nosuch',
        params: (name: string) => ({ name: `${prefix}${name}`, arguments: {} }),
      },
      {
        what: 'tool that is both allowed and denied',
        method: 'tools/call',
        denied: 'report',
        unknown: 'nosuch',
        params: (name: string) => ({ name: `${prefix}${name}`, arguments: {} }),
      },
      {
        what: 'prompt',
        method: 'prompts/get',
        denied: 'closed',
        unknown: 'nosuch',
        params: (name: string) => ({ name: `${prefix}${name}` }),
      },
      {
        what: 'resource',
        method: 'resources/read',
        denied: 'memo:closed',
        unknown: 'memo:nosuch',
        params: (name: string) => ({ uri: uri(name) }),
      },
      {
        what: 'subscription',
        method: 'resources/subscribe',
        denied: 'memo:closed',
        unknown: 'memo:nosuch',
        params: (name: string) => ({ uri: uri(name) }),
      },
      {
        what: 'completion of a prompt',
        method: 'completion/complete',
        denied: 'closed',
        unknown: 'nosuch',
        params: (name: string) => ref('ref/prompt', 'name', `${prefix}${name}`),
      },
      {
        what: 'completion of a resource',
        method: 'completion/complete',
        denied: 'memo:closed',
        unknown: 'memo:nosuch',
        params: (name: string) => ref('ref/resource', 'uri', uri(name)),
      },
    ])('it makes a denied $what look like an unknown one', async ({ method, denied, unknown, params }) => {
      const refused = await session.ask(method, params(denied), 'same')
      const missing = await session.ask(method, params(unknown), 'same')
      expect(refused.messages.at(-1)?.error).toBeDefined()
      const plain = ({ status, body, headers }: typeof refused, name: string) => ({
        status,
        type: headers['content-type'],
        names: Object.keys(headers).sort(),
        body: body.replaceAll(name, 'NAME').replace(/^id:.*$/gm, ''),
      })
      expect(plain(refused, denied)).toEqual(plain(missing, unknown))
    })

    test('it denies everything when a `require` is not met', async () => {
      const answer = await session.post(request(1, 'tools/call', { name: `${prefix}echo`, arguments: {} }), {
        'x-blocked': 'yes',
      })
      expect(answer.messages.at(-1)?.error).toMatchObject({ code: -32602 })
      const list = await session.post(request(1, 'tools/list'), { 'x-blocked': 'yes' })
      expect(list.messages.at(-1)?.result?.tools).toEqual([])
    })

    test('it never asked the server for what was denied, and counts it as denied', async () => {
      await session.call(`${prefix}secret`)
      await expect
        .poll(() =>
          gateway.metric('agentgateway_mcp_requests_total', { method: 'tools/call', status: 'denied' }),
        )
        .toBeGreaterThan(0)
    })
  })

  test.each([
    ['mcp.tool.target == "one"', ['one_echo']],
    ['mcp.tool.target == "two"', ['two_echo']],
    ['has(jwt.sub) && jwt.sub == "a"', []],
    ['jwt.sub == "a"', []],
    ['mcp.tool.name.nosuch == 1', []],
  ])('it filters by %s', async (rule, expected) => {
    const gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - ${one}
  - ${one.replace('name: one', 'name: two')}
  policies:
    mcpAuthorization:
      rules: [{allow: '${rule}'}, {deny: 'mcp.tool.name != "echo"'}]
`)
    try {
      const session = await openSession(gateway.url)
      const list = await session.ask('tools/list')
      expect(
        ((list.messages.at(-1)?.result?.tools ?? []) as { name: string }[]).map(({ name }) => name),
      ).toEqual(expected)
    } finally {
      await gateway.close()
    }
  })
})

describe('authentication', () => {
  let keysServer: Server
  let target: HostileServer
  let gateway: RunningGateway
  let issuer: string
  let sign: (
    subject: string,
    changes?: { expires?: string; audience?: string; issuer?: string },
  ) => Promise<string>
  let forge: (subject: string) => Promise<string>

  beforeAll(async () => {
    const { publicKey, privateKey } = await generateKeyPair('RS256')
    const stranger = await generateKeyPair('RS256')
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg: 'RS256', use: 'sig' }
    keysServer = createServer((asked, response) => {
      response.setHeader('content-type', 'application/json')
      if (asked.url?.startsWith('/jwks') === true) response.end(JSON.stringify({ keys: [jwk] }))
      else
        response.end(
          JSON.stringify({
            issuer,
            authorization_endpoint: `${issuer}/authorize`,
            token_endpoint: `${issuer}/token`,
            response_types_supported: ['code'],
            code_challenge_methods_supported: ['S256'],
          }),
        )
    })
    await new Promise<void>((resolve) => keysServer.listen(0, '127.0.0.1', resolve))
    issuer = `http://127.0.0.1:${(keysServer.address() as AddressInfo).port}`
    const signWith =
      (key: typeof privateKey): typeof sign =>
      (subject, changes = {}) =>
        new SignJWT({})
          .setProtectedHeader({ alg: 'RS256', kid: 'k' })
          .setIssuer(changes.issuer ?? issuer)
          .setAudience(changes.audience ?? 'mcp')
          .setSubject(subject)
          .setExpirationTime(changes.expires ?? '1h')
          .sign(key)
    sign = signWith(privateKey)
    forge = signWith(stranger.privateKey)
    target = await startHostileServer()
    gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: web, mcp: {host: "${target.url}"}}
  policies:
    mcpAuthentication:
      issuer: ${issuer}
      audiences: [mcp]
      jwks: {url: "${issuer}/jwks"}
    mcpAuthorization:
      rules: ['jwt.sub == "alice"', 'mcp.tool.name == "echo"']
`)
  })
  afterAll(async () => {
    await gateway.close()
    await target.close()
    keysServer.closeAllConnections()
    keysServer.close()
  })

  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  test.each([
    { name: 'no token', headers: async () => ({}) },
    { name: 'an empty token', headers: async () => ({ authorization: 'Bearer ' }) },
    { name: 'no bearer', headers: async () => ({ authorization: 'Basic YTpi' }) },
    { name: 'no JWT', headers: async () => ({ authorization: 'Bearer x.y.z' }) },
    { name: 'a token of 10 kB', headers: async () => ({ authorization: `Bearer ${'x'.repeat(10_000)}` }) },
    {
      name: 'algorithm none',
      headers: async () => ({
        authorization: `Bearer ${none}.${Buffer.from(JSON.stringify({ iss: issuer, aud: 'mcp', sub: 'a', exp: 9_999_999_999 })).toString('base64url')}.`,
      }),
    },
    {
      name: 'an expired token',
      headers: async () => ({ authorization: `Bearer ${await sign('alice', { expires: '-1h' })}` }),
    },
    {
      name: 'another audience',
      headers: async () => ({ authorization: `Bearer ${await sign('alice', { audience: 'other' })}` }),
    },
    {
      name: 'another issuer',
      headers: async () => ({
        authorization: `Bearer ${await sign('alice', { issuer: 'https://evil.example' })}`,
      }),
    },
    {
      name: 'a forged signature',
      headers: async () => ({ authorization: `Bearer ${await forge('alice')}` }),
    },
    {
      name: 'two tokens',
      headers: async () => ({ authorization: `Bearer ${await sign('alice')}, Bearer x` }),
    },
  ])('it answers $name with 401 and a challenge whose address resolves', async ({ headers }) => {
    const answer = understood(
      await send(`${gateway.url}/mcp`, {
        method: 'POST',
        headers: { ...JSON_RPC, ...(await headers()) },
        body: JSON.stringify(initializeRequest()),
      }),
    )
    expect(answer.status).toBe(401)
    const challenge = String(answer.headers['www-authenticate'])
    const address = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? ''
    expect(address).toBe(`${gateway.url}/.well-known/oauth-protected-resource/mcp`)
    const metadata = await send(address)
    expect(metadata.status).toBe(200)
    expect(JSON.parse(metadata.body)).toMatchObject({
      resource: `${gateway.url}/mcp`,
      authorization_servers: [expect.any(String)],
    })
    expect(answer.body).not.toContain('alice')
    // The gateway itself looks whether the target is there.
    expect(target.seen.filter(({ message }) => JSON.stringify(message)?.includes('hostile'))).toEqual([])
  })

  test.each(['/sse', '/mcp'])('it asks for a token on %s whatever the method', async (path) => {
    for (const method of ['GET', 'POST', 'DELETE', 'PUT'])
      expect(
        (
          await send(`${gateway.url}${path}`, {
            method,
            headers: JSON_RPC,
            ...(method === 'GET' ? {} : { body: '{' }),
          })
        ).status,
      ).toBe(401)
  })

  test.each([
    '/.well-known/oauth-authorization-server',
    '/.well-known/oauth-authorization-server/mcp',
    '/.well-known/oauth-protected-resource',
  ])('it serves %s without a token', async (path) => {
    const reply = await send(`${gateway.url}${path}`)
    expect(reply.status).toBe(200)
    expect(JSON.parse(reply.body)).toEqual(expect.any(Object))
  })

  test('it lets the official client in, and keeps the token to itself', async () => {
    const client = new Client({ name: 'test', version: '1' })
    const token = await sign('alice')
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), {
        requestInit: { headers: { authorization: `Bearer ${token}` } },
      }),
    )
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toEqual(['echo', 'secret', 'never'])
    await client.callTool({ name: 'echo', arguments: { message: 'x' } })
    await client.close()
    expect(target.seen.length).toBeGreaterThan(2)
    expect(JSON.stringify(target.seen)).not.toContain(token)
    expect(JSON.stringify(target.seen)).not.toContain(token.split('.')[2])
    expect(gateway.log()).not.toContain(token.split('.')[2])
  })

  test('it gives a session to its own subject alone', async () => {
    const alice = await openSession(gateway.url, { authorization: `Bearer ${await sign('alice')}` })
    const bob = { authorization: `Bearer ${await sign('bob')}` }
    expect((await alice.post(request(1, 'tools/list'), bob)).status).toBe(404)
    const listening = await send(`${gateway.url}/mcp`, {
      headers: { ...alice.headers, ...bob, accept: 'text/event-stream' },
    })
    expect(listening.status).toBe(404)
    await send(`${gateway.url}/mcp`, { method: 'DELETE', headers: { ...alice.headers, ...bob } })
    expect(await alice.said('secret')).toBe('the secret')
    // A token that was renewed is the same subject's.
    const renewed = { authorization: `Bearer ${await sign('alice', { expires: '2h' })}` }
    expect((await alice.post(request(1, 'tools/list'), renewed)).status).toBe(200)
    const expired = { authorization: `Bearer ${await sign('alice', { expires: '-1m' })}` }
    expect((await alice.post(request(1, 'tools/list'), expired)).status).toBe(401)
    expect((await alice.post(request(1, 'tools/list'), { authorization: '' })).status).toBe(401)
  })

  test('it judges by claims', async () => {
    const bob = await openSession(gateway.url, { authorization: `Bearer ${await sign('bob')}` })
    const list = await bob.ask('tools/list')
    expect(((list.messages.at(-1)?.result?.tools ?? []) as unknown[]).length).toBe(1)
    expect((await bob.call('secret')).messages.at(-1)?.error?.code).toBe(-32602)
    expect(JSON.stringify(target.saw('tools/call').map(({ message }) => message))).not.toContain('"bob')
  })

  test('it does not answer POST beyond the token even when the body is broken', async () => {
    expect((await post(`${gateway.url}/mcp`, '{')).status).toBe(401)
  })
})
