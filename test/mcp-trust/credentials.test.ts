/** Whose credential reaches a target: the one that was meant for it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bearer, identity, trusting } from '../mcp-lifetime/identity.fixture.ts'
import { modern, postModern } from '../mcp-lifetime/modern-client.fixture.ts'
import {
  isHttp,
  mcpYaml,
  runFor,
  type ScriptedServer,
  startScripted,
  targetOf,
} from '../mcp-lifetime/scripted-server.fixture.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { callOf, initialize, post } from '../support/mcp-lab.ts'

let server: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
beforeEach(async () => {
  server = await startScripted()
})
afterEach(async () => {
  await gateway.close()
  await server.close()
})

/** A session from its beginning to its end; what the target has seen of it. */
async function wholeSession(headers: Record<string, string>) {
  const { status, headers: answered } = await post(gateway.mcp, initialize(), headers)
  expect(status).toBe(200)
  const session = { ...headers, 'mcp-session-id': answered.get('mcp-session-id') ?? '' }
  await post(gateway.mcp, { jsonrpc: '2.0', method: 'notifications/initialized' }, session)
  expect((await post(gateway.mcp, callOf(1, 'echo'), session)).status).toBe(200)
  await fetch(gateway.mcp, { method: 'DELETE', headers: session })
  await server.arrived(isHttp('DELETE'))
  return server.seen
}

describe('a token in a header of its own', () => {
  const at = (name: string, mode: string) =>
    `, mode: ${mode}, authorizationLocation: {header: {name: ${name}}}`

  test.each([
    { what: 'refused', name: 'x-access-token', isGood: false },
    { what: 'refused', name: 'X-Access-Token', isGood: false },
    { what: 'accepted', name: 'x-access-token', isGood: true },
  ])('it never reaches a target, $what ($name)', async ({ name, isGood }) => {
    const [trusted, stranger] = [await identity('k'), await identity('k')]
    const policies = `policies: {${trusting(`'${trusted.keySet}'`, at(name, 'permissive'))}}`
    gateway = await runFor([server], mcpYaml([targetOf('web', server)], policies))
    const token = await (isGood ? trusted : stranger).token('user')
    const seen = await wholeSession({ 'x-access-token': token })
    expect(seen.length).toBeGreaterThan(3)
    expect(JSON.stringify(seen)).not.toContain(token)
    server.seen.length = 0
    await postModern(
      gateway.mcp,
      modern(1, 'tools/call', { name: 'echo' }, { headers: { 'x-access-token': token } }),
    )
    expect(server.seen.length).toBeGreaterThan(0)
    expect(JSON.stringify(server.seen)).not.toContain(token)
  })

  test('it leaves the Authorization that is for the target alone', async () => {
    const { keySet, token } = await identity('k')
    const policies = `policies: {${trusting(`'${keySet}'`, at('x-access-token', 'strict'))}}`
    gateway = await runFor([server], mcpYaml([targetOf('web', server)], policies))
    const seen = await wholeSession({ 'x-access-token': await token('user'), ...bearer('for-the-target') })
    expect(new Set(seen.map(({ headers }) => headers.authorization))).toEqual(
      new Set(['Bearer for-the-target']),
    )
  })

  test.each(['strict', 'optional', 'permissive'])(
    'it never reaches a target in Authorization (%s)',
    async (mode) => {
      const { keySet, token } = await identity('k')
      const policies = `policies: {${trusting(`'${keySet}'`, `, mode: ${mode}`)}}`
      gateway = await runFor([server], mcpYaml([targetOf('web', server)], policies))
      const seen = await wholeSession(bearer(await token('user')))
      expect(seen.map(({ headers }) => headers.authorization).filter((one) => one !== undefined)).toEqual([])
    },
  )
})

describe("the gateway's own credential", () => {
  test.each([
    {
      key: '{value: GATEWAYS, location: {header: {name: x-api-key}}}',
      header: 'x-api-key',
      other: 'authorization',
    },
    { key: 'GATEWAYS', header: 'authorization', other: 'x-none' },
  ])("it takes the place of the client's Authorization, in $header", async ({ key, header, other }) => {
    gateway = await runFor(
      [server],
      mcpYaml([targetOf('web', server, `, policies: {backendAuth: {key: ${key}}}`)]),
    )
    const seen = await wholeSession(bearer('CLIENTS'))
    for (const { headers } of seen) {
      expect(String(headers[header])).toContain('GATEWAYS')
      expect(headers[other]).toBeUndefined()
    }
    expect(JSON.stringify(seen)).not.toContain('CLIENTS')
  })
})

describe('DELETE to a target', () => {
  test("it carries the client's credential", async () => {
    gateway = await runFor([server], mcpYaml([targetOf('web', server)]))
    const seen = await wholeSession(bearer('alice'))
    const gone = seen.filter(isHttp('DELETE'))
    expect(gone.map(({ headers }) => headers.authorization)).toEqual(['Bearer alice'])
    expect(gone[0]?.headers['mcp-session-id']).toBe(seen.at(-2)?.headers['mcp-session-id'])
  })

  test('it carries the credential that the client came with last', async () => {
    gateway = await runFor([server], mcpYaml([targetOf('web', server)]))
    const { headers } = await post(gateway.mcp, initialize(), bearer('old'))
    const session = { 'mcp-session-id': headers.get('mcp-session-id') ?? '' }
    await post(gateway.mcp, callOf(1, 'echo'), { ...session, ...bearer('young') })
    await fetch(gateway.mcp, { method: 'DELETE', headers: { ...session, ...bearer('young') } })
    expect((await server.arrived(isHttp('DELETE'))).headers.authorization).toBe('Bearer young')
  })

  test('it carries it where the session ends by itself', async () => {
    gateway = await runFor(
      [server],
      mcpYaml([targetOf('web', server)], '', 'config: {mcp: {sessionTtl: 100ms}}'),
    )
    await post(gateway.mcp, initialize(), bearer('alice'))
    expect((await server.arrived(isHttp('DELETE'))).headers.authorization).toBe('Bearer alice')
  })
})
