/** A reload: what a file holds counts as much as its name, and who has nothing to do with the change notices nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import type { RunningGateway } from '../support/gateway.ts'
import { callOf, initialize, openSession, post } from '../support/mcp-lab.ts'
import { reload } from './configuration.fixture.ts'
import { bearer, identity, trusting } from './identity.fixture.ts'
import {
  isCall,
  isMethod,
  mcpYaml,
  runFor,
  type ScriptedServer,
  startScripted,
  targetOf,
} from './scripted-server.fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-lifetime-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let server: ScriptedServer
let other: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
beforeEach(async () => {
  server = await startScripted()
  other = await startScripted()
})
afterEach(async () => {
  await gateway.close()
  await Promise.all([server.close(), other.close()])
})

test.each(['mcp', 'route'])(
  'it takes the new content of a key set beside %s, and the old key no longer',
  async (at) => {
    const file = join(directory, `jwks-${at}.json`)
    const [old, young] = [await identity('old'), await identity('young')]
    const policies = `policies: {${trusting(`{file: "${file}"}`)}}`
    const target = targetOf('web', server)
    const yaml =
      at === 'mcp'
        ? mcpYaml([target], policies)
        : `binds: [{port: 0, listeners: [{routes: [{${policies}, backends: [{mcp: {targets: [${target}]}}]}]}]}]`
    writeFileSync(file, old.keySet)
    gateway = await runFor([server], yaml)
    const tokens = { old: await old.token('user'), young: await young.token('user') }
    const statuses = async () => [
      (await post(gateway.mcp, initialize(), bearer(tokens.old))).status,
      (await post(gateway.mcp, initialize(), bearer(tokens.young))).status,
    ]
    expect(await statuses()).toEqual([200, 401])
    writeFileSync(file, young.keySet)
    await reload(gateway, yaml)
    expect(await statuses()).toEqual([401, 200])
  },
)

test('it keeps sessions when the key set is as it was', async () => {
  const file = join(directory, 'same.json')
  const one = await identity('one')
  const credential = bearer(await one.token('user'))
  writeFileSync(file, one.keySet)
  const policies = `policies: {${trusting(`{file: "${file}"}`)}}`
  const yaml = mcpYaml([targetOf('web', server)], policies)
  gateway = await runFor([server], yaml)
  const { headers } = await post(gateway.mcp, initialize(), credential)
  await reload(gateway, `${yaml}# changed\n`)
  const session = { ...credential, 'mcp-session-id': headers.get('mcp-session-id') ?? '' }
  expect((await post(gateway.mcp, callOf(1, 'echo'), session)).status).toBe(200)
})

const routeYaml = (policies: string) =>
  `binds: [{port: 0, listeners: [{routes: [{policies: {${policies}}, backends: [{mcp: {targets: [${targetOf('web', server)}]}}]}]}]}]`

test.each([
  { before: 'timeout: {backendRequestTimeout: 20s}', after: 'timeout: {backendRequestTimeout: 300ms}' },
  { before: '', after: 'timeout: {backendRequestTimeout: 300ms}' },
])('it takes a route from "$before" to "$after"', async ({ before, after }) => {
  gateway = await runFor([server], routeYaml(before))
  server.script = isCall('slow')
  await reload(gateway, routeYaml(after))
  const session = await openSession(gateway.mcp)
  const from = performance.now()
  const { messages } = await post(gateway.mcp, callOf(1, 'slow'), session)
  expect(performance.now() - from).toBeLessThan(5000)
  expect(messages.at(-1)).toMatchObject({ id: 1, error: { message: expect.stringContaining('300 ms') } })
})

test('it waits longer when the limit was lifted', async () => {
  gateway = await runFor([server], routeYaml('timeout: {backendRequestTimeout: 50ms}'))
  await reload(gateway, routeYaml('timeout: {backendRequestTimeout: 20s}'))
  server.script = (seen, response) => {
    if (!isCall('slow')(seen)) return false
    setTimeout(() => response.destroy(), 20_000).unref()
    setTimeout(() => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id: seen.message.id, result: { content: [] } }))
    }, 400)
    return true
  }
  const session = await openSession(gateway.mcp)
  const { messages } = await post(gateway.mcp, callOf(1, 'slow'), session)
  expect(messages.at(-1)).toMatchObject({ id: 1, result: { content: [] } })
})

test('it keeps the sessions of a backend that did not change while another beside it does', async () => {
  const yaml = (second: ScriptedServer, timeout: string) => `binds: [{port: 0, listeners: [{routes: [
    {matches: [{path: {pathPrefix: /one}}], backends: [{mcp: {targets: [${targetOf('one', server)}]}}]},
    {matches: [{path: {pathPrefix: /two}}], policies: {timeout: {backendRequestTimeout: ${timeout}}}, backends: [{mcp: {targets: [${targetOf('two', second)}]}}]},
  ]}]}]`
  gateway = await runFor([server, other], yaml(other, '10s'))
  const [one, two] = [await openSession(`${gateway.url}/one`), await openSession(`${gateway.url}/two`)]
  await reload(gateway, yaml(other, '11s'))
  expect((await post(`${gateway.url}/one`, callOf(1, 'echo'), one)).status).toBe(200)
  expect((await post(`${gateway.url}/two`, callOf(1, 'echo'), two)).status).toBe(404)
  expect(server.all(isMethod('initialize'))).toHaveLength(1)
  expect(await gateway.metric('agentgateway_mcp_target_up', { server: 'one' })).toBe(1)
})
