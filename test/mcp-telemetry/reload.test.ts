/** Another configuration while clients are connected: who notices, and who must not. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { freePort } from '../support/free-port.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { connectClient, stdioTarget } from '../support/mcp.ts'
import {
  callOf,
  eventually,
  FIXTURE,
  initialize,
  type Lab,
  openSession,
  post,
  postRaw,
  request,
  startLab,
  textOf,
} from '../support/mcp-lab.ts'
import { modern } from './lab.fixture.ts'

let one: Lab
let two: Lab
const closing: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  one = await startLab({ name: 'one' })
  two = await startLab({ name: 'two' })
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await Promise.all([one.stop(), two.stop()])
})

const ONE = () => `{name: one, mcp: {host: "${one.url}"}, connectTimeout: 2s}`
const TWO = () => `{name: two, mcp: {host: "${two.url}"}, connectTimeout: 2s}`
const PIPE = `{name: pipe, ${stdioTarget(FIXTURE, 'pipe')}}`

interface Setup {
  readonly targets: readonly string[]
  /** Beside `targets`. */
  readonly more?: string
  /** Beside `mcp`. */
  readonly top?: string
  readonly port?: number
}

const yamlOf = ({ targets, more = '', top = '', port = 0 }: Setup) =>
  `${top}\nmcp: {port: ${port}, ${more} targets: [${targets.join(', ')}]}`

async function run(setup: Setup): Promise<RunningGateway> {
  const gateway = await runGateway(yamlOf(setup))
  closing.push(gateway.close)
  return gateway
}

async function reload({ gateway }: RunningGateway, setup: Setup): Promise<void> {
  const loaded = loadConfig({ text: yamlOf(setup), file: 'test.yaml', environment: {} })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  await gateway.reload(loaded.config)
}

async function clientOf(gateway: RunningGateway): Promise<Client> {
  const client = await connectClient(gateway.url)
  closing.push(() => client.close())
  return client
}

const call = async (client: Client, name: string, input = {}) =>
  textOf(await client.callTool({ name, arguments: input }))
const targetsOf = async (client: Client) =>
  [...new Set((await client.listTools()).tools.map(({ name }) => name.split('_')[0]))].sort()

/** The status of a request of a session. */
async function statusOf(gateway: RunningGateway, session: Record<string, string>): Promise<number> {
  return (await post(`${gateway.url}/mcp`, request(9, 'tools/list'), session)).status
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('a reload that leaves an MCP backend as it is', () => {
  test.each<{ name: string; next: (port: number) => Partial<Setup> }>([
    { name: 'nothing', next: () => ({}) },
    { name: 'the log level', next: () => ({ top: 'config: {logging: {level: debug}}' }) },
    {
      name: 'another bind',
      next: (port) => ({
        top: `binds: [{port: ${port}, listeners: [{routes: [{policies: {directResponse: {status: 200}}}]}]}]`,
      }),
    },
  ])('it keeps sessions and processes, when $name changed', async ({ next }) => {
    const before = { targets: [ONE(), PIPE], port: await freePort() }
    const gateway = await run(before)
    const session = await openSession(`${gateway.url}/mcp`)
    const client = await clientOf(gateway)
    const pid = await call(client, 'pipe_whoami')
    const seen = one.received.filter(({ method }) => method === 'initialize').length
    await reload(gateway, { ...before, ...next(await freePort()) })
    expect(await statusOf(gateway, session)).toBe(200)
    expect(await call(client, 'pipe_whoami')).toBe(pid)
    expect(await call(client, 'one_echo', { message: 'x' })).toBe('one says x')
    expect(one.received.filter(({ method }) => method === 'initialize')).toHaveLength(seen)
    expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(2)
  })

  test('it lets calls that are under way finish', async () => {
    const gateway = await run({ targets: [ONE(), PIPE] })
    const session = await openSession(`${gateway.url}/mcp`)
    const held = postRaw(`${gateway.url}/mcp`, callOf(1, 'one_hold', { label: 'x' }), session)
    await one.happened(/^called hold/)
    await reload(gateway, { targets: [ONE(), PIPE] })
    one.release('x')
    expect(await (await held).text()).toContain('one went on')
  })

  test('it goes on to tell clients of changed lists', async () => {
    const gateway = await run({ targets: [ONE(), TWO()] })
    const client = await clientOf(gateway)
    await reload(gateway, { targets: [ONE(), TWO()] })
    await call(client, 'one_add_tool', { tool: 'fresh' })
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('one_fresh')
  })
})

describe('a reload that changes the targets', () => {
  test.each<{ name: string; next: () => readonly string[]; targets: readonly string[] }>([
    { name: 'one more', next: () => [ONE(), TWO(), PIPE], targets: ['one', 'pipe', 'two'] },
    { name: 'one less', next: () => [ONE()], targets: [] },
    { name: 'another', next: () => [ONE(), TWO()], targets: ['one', 'two'] },
  ])('it ends sessions, and a new one sees the new tools: $name', async ({ next, targets }) => {
    const gateway = await run({ targets: [ONE(), PIPE] })
    const session = await openSession(`${gateway.url}/mcp`)
    const client = await clientOf(gateway)
    expect(await targetsOf(client)).toEqual(['one', 'pipe'])
    await reload(gateway, { targets: next() })
    expect(await statusOf(gateway, session)).toBe(404)
    const again = await clientOf(gateway)
    // A single target has no prefix.
    if (targets.length === 0) expect(await call(again, 'echo', { message: 'x' })).toBe('one says x')
    else expect(await targetsOf(again)).toEqual(targets)
    await eventually(
      () => gateway.metric('agentgateway_mcp_sessions_active'),
      (count) => count === 1,
    )
  })

  test('it ends the event streams of sessions that are over', async () => {
    const gateway = await run({ targets: [ONE(), TWO()] })
    const url = `${gateway.url}/mcp`
    const session = await openSession(url)
    const stream = await fetch(url, { headers: { ...session, accept: 'text/event-stream' } })
    expect(stream.status).toBe(200)
    await reload(gateway, { targets: [ONE()] })
    // Ends, or the test runs out of time.
    await stream.text().catch(() => {})
    expect(await statusOf(gateway, session)).toBe(404)
  })

  test.each([
    { name: 'of a session', isModern: false, begun: false },
    { name: 'of a session, on a stream', isModern: false, begun: true },
    { name: 'of a client of 2026-07-28', isModern: true, begun: false },
    { name: 'of a client of 2026-07-28, on a stream', isModern: true, begun: true },
  ])(
    'it answers a call that is under way with its result or an error: $name',
    async ({ isModern, begun }) => {
      const gateway = await run({ targets: [ONE(), TWO()] })
      const url = `${gateway.url}/mcp`
      const own = modern(1, 'tools/call', { name: 'one_hold', arguments: { label: 'x' } })
      const held = isModern
        ? postRaw(url, own.message, own.headers)
        : postRaw(url, callOf(1, 'one_hold', { label: 'x' }), await openSession(url))
      await one.happened(/^called hold/)
      if (begun) await held
      await reload(gateway, { targets: [TWO()] })
      one.release('x')
      const response = await held
      const answer = await response.text()
      expect(response.status).not.toBe(202)
      expect(answer).toMatch(/one went on|"error":/)
      await eventually(
        () => gateway.metric('agentgateway_requests_in_flight'),
        (count) => count === 0,
      )
    },
  )

  test('it says goodbye to the servers that it has no more', async () => {
    const gateway = await run({ targets: [ONE(), TWO()] })
    await openSession(`${gateway.url}/mcp`)
    expect(two.sessions()).toBeGreaterThan(0)
    await reload(gateway, { targets: [ONE()] })
    await eventually(two.sessions, (count) => count === 0)
  })

  test('it shows no more whether a removed target is up', async () => {
    const gateway = await run({ targets: [ONE(), TWO()] })
    await clientOf(gateway)
    expect(await gateway.metrics()).toMatch(/^agentgateway_mcp_target_up\{[^}]*server="two"[^}]*\} 1$/m)
    await reload(gateway, { targets: [ONE()] })
    await eventually(
      () => gateway.metric('agentgateway_mcp_target_up', { server: 'one' }),
      (value) => value === 1,
    )
    const metrics = await gateway.metrics()
    expect(metrics).not.toMatch(/^agentgateway_mcp_target_up\{[^}]*server="two"/m)
  })

  test('it shows no more of a backend that is gone', async () => {
    const gateway = await run({ targets: [ONE(), TWO()] })
    await clientOf(gateway)
    const loaded = loadConfig({
      text: 'binds: [{port: 0, listeners: [{routes: [{policies: {directResponse: {status: 200}}}]}]}]',
      file: 'test.yaml',
      environment: {},
    })
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
    await gateway.gateway.reload(loaded.config)
    await eventually(
      () => gateway.metric('agentgateway_mcp_sessions_active'),
      (count) => count === 0,
    )
    expect(await gateway.metrics()).not.toMatch(/^agentgateway_mcp_target_up\{/m)
  })

  test('it ends the processes of a removed target', async () => {
    const gateway = await run({ targets: [ONE(), PIPE] })
    const clients = [await clientOf(gateway), await clientOf(gateway)]
    const pids: number[] = []
    for (const client of clients) pids.push(Number((await call(client, 'pipe_whoami')).split(' ')[1]))
    expect(pids.map(isRunning)).toEqual([true, true])
    await reload(gateway, { targets: [ONE(), TWO()] })
    await eventually(
      () => pids.map(isRunning),
      (running) => !running.includes(true),
    )
  })

  test('it ends the process that stateless requests share', async () => {
    const gateway = await run({ targets: [ONE(), PIPE], more: 'statefulMode: stateless,' })
    const { messages } = await post(`${gateway.url}/mcp`, callOf(1, 'pipe_whoami'))
    const pid = Number(textOf(messages.at(-1)?.result).split(' ')[1])
    expect(isRunning(pid)).toBe(true)
    await reload(gateway, { targets: [ONE(), TWO()], more: 'statefulMode: stateless,' })
    await eventually(
      () => isRunning(pid),
      (running) => !running,
    )
    const again = await post(`${gateway.url}/mcp`, request(1, 'tools/list'))
    expect(JSON.stringify(again.messages)).toContain('two_echo')
    expect(JSON.stringify(again.messages)).not.toContain('pipe_')
  })

  test('it takes new rules over at once, for sessions that there are', async () => {
    const allowed = { targets: [ONE(), TWO()] }
    const gateway = await run(allowed)
    const client = await clientOf(gateway)
    expect(await call(client, 'one_echo', { message: 'x' })).toBe('one says x')
    await reload(gateway, {
      ...allowed,
      more: `policies: {mcpAuthorization: {rules: [{deny: 'mcp.tool.name == "echo"'}]}},`,
    })
    // The session may end or go on; the tool is denied either way.
    await expect(client.callTool({ name: 'one_echo', arguments: {} })).rejects.toThrow()
    const again = await clientOf(gateway)
    expect((await again.listTools()).tools.map(({ name }) => name)).not.toContain('one_echo')
  })

  test('it counts reloads', async () => {
    const gateway = await run({ targets: [ONE()] })
    await reload(gateway, { targets: [TWO()] })
    expect(await gateway.metric('agentgateway_config_reloads_total', { result: 'success' })).toBe(1)
    await eventually(
      () => gateway.metric('agentgateway_mcp_target_up', { server: 'two' }),
      (value) => value === 1,
    )
  })
})

test('it tells a client whose session ended that it has to begin a new one', async () => {
  const gateway = await run({ targets: [ONE(), TWO()] })
  const url = `${gateway.url}/mcp`
  const session = await openSession(url)
  await reload(gateway, { targets: [TWO(), PIPE] })
  const gone = await post(url, request(1, 'tools/list'), session)
  expect(gone).toMatchObject({ status: 404, messages: [{ error: { code: -32001 } }] })
  expect((await post(url, initialize())).status).toBe(200)
})

describe('closing while a target is being asked whether it is there', () => {
  const HALTING: readonly { name: string; path: string; until: (message: unknown) => boolean }[] = [
    { name: 'that never answers initialize', path: 'mcp: {host: "URL/mcp"}', until: () => false },
    { name: 'that never opens its event stream', path: 'sse: {host: "URL/sse"}', until: () => false },
    {
      name: 'that never answers a notification',
      path: 'mcp: {host: "URL/mcp"}',
      until: (message) => (message as { method?: string }).method === 'initialize',
    },
    {
      name: 'whose document never comes',
      path: 'openapi: {schema: {url: "URL/openapi.json"}, host: "URL"}',
      until: () => false,
    },
  ]

  test.each(HALTING)('it waits for none $name', async ({ path, until }) => {
    const asked = Promise.withResolvers<void>()
    const server = createServer(async (incoming, response) => {
      const body = await text(incoming)
      const message = body === '' ? {} : (JSON.parse(body) as { id?: unknown })
      if (!until(message)) return asked.resolve()
      response.writeHead(200, { 'content-type': 'application/json' })
      const result = {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'halting', version: '1' },
      }
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closing.push(async () => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    const gateway = await runGateway(
      `mcp: {port: 0, targets: [{name: x, ${path.replaceAll('URL', `http://127.0.0.1:${port}`)}}]}`,
    )
    await asked.promise
    const waited = new AbortController()
    const outcome = await Promise.race([
      gateway.close().then(() => 'closed'),
      sleep(2000, 'still waiting', { signal: waited.signal }),
    ])
    waited.abort()
    expect(outcome).toBe('closed')
  })
})
