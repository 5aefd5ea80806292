/** Servers that are down, die, hang or forget: what clients see of it, and what they never do. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterEach, describe, expect, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { type ClientTransport, connectClient, rpcCodeOf, stdioTarget } from '../support/mcp.ts'
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
  sseEvents,
  startLab,
  textOf,
} from '../support/mcp-lab.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function gatewayOf(targets: readonly string[], more = ''): Promise<RunningGateway> {
  const gateway = await runGateway(`mcp: {port: 0, ${more} targets: [${targets.join(', ')}]}`)
  closing.push(gateway.close)
  return gateway
}

async function labOf(options: Parameters<typeof startLab>[0]): Promise<Lab> {
  const lab = await startLab(options)
  closing.push(lab.stop)
  return lab
}

async function clientOf(gateway: RunningGateway, transport: ClientTransport = 'streamable'): Promise<Client> {
  const client = await connectClient(gateway.url, transport)
  closing.push(() => client.close())
  return client
}

const web = (lab: Lab, more = '') => `{name: ${lab.name}, mcp: {host: "${lab.url}"} ${more}}`
const legacy = (lab: Lab) => `{name: ${lab.name}, sse: {host: "${lab.sseUrl}"}}`
const pipe = (name: string, more = '') => `{name: ${name}, ${stdioTarget(FIXTURE, name)} ${more}}`

const targetsOf = async (client: Client) =>
  [...new Set((await client.listTools()).tools.map(({ name }) => name.split('_')[0]))].sort()

const call = async (client: Client, name: string, input = {}) =>
  textOf(await client.callTool({ name, arguments: input }))

const DEAD = {
  'refuses connections': async () => `{name: dead, mcp: {host: "http://127.0.0.1:${await freePort()}/mcp"}}`,
  'refuses connections of SSE': async () =>
    `{name: dead, sse: {host: "http://127.0.0.1:${await freePort()}/sse"}}`,
  'is no program': async () => '{name: dead, stdio: {cmd: /no/such/program}}',
  'ends at once': async () => '{name: dead, stdio: {cmd: "false"}}',
  'is no MCP server': async () => {
    const other = await labOf({ name: 'other' })
    return `{name: dead, mcp: {host: "${other.url.replace('/mcp', '/messages')}"}}`
  },
}

describe.each(Object.entries(DEAD))('one of three targets %s', (_, dead) => {
  test('it goes on with the others by default', async () => {
    const lab = await labOf({ name: 'web' })
    const gateway = await gatewayOf([web(lab), await dead(), pipe('pipe')])
    const client = await clientOf(gateway)
    expect(await targetsOf(client)).toEqual(['pipe', 'web'])
    expect(await call(client, 'web_echo', { message: 1 })).toBe('web says 1')
    expect(await call(client, 'pipe_echo', { message: 2 })).toBe('pipe says 2')
    expect((await client.listResources()).resources).toHaveLength(6)
    await expect(client.callTool({ name: 'dead_echo', arguments: {} })).rejects.toMatchObject({
      code: expect.any(Number),
    })
    expect(await gateway.metric('agentgateway_mcp_target_up', { server: 'dead' })).toBe(0)
    expect(await gateway.metric('agentgateway_mcp_target_up', { server: 'web' })).toBe(1)
  })

  test('it refuses to initialize when failClosed', async () => {
    const lab = await labOf({ name: 'web' })
    const gateway = await gatewayOf([web(lab), await dead(), pipe('pipe')], 'failureMode: failClosed,')
    const answer = await post(`${gateway.url}/mcp`, initialize({}, 'i'))
    expect(answer.status).toBe(500)
    expect(answer.headers.get('mcp-session-id')).toBeNull()
    expect(answer.messages).toMatchObject([{ id: 'i', error: { code: -32603 } }])
    await eventually(lab.sessions, (count) => count === 0)
    expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(0)
  })
})

test('it fails lists, and only what needs all targets, when failClosed and one goes down later', async () => {
  const [one, two] = [await labOf({ name: 'one' }), await labOf({ name: 'two' })]
  const gateway = await gatewayOf([web(one), web(two)], 'failureMode: failClosed,')
  const url = `${gateway.url}/mcp`
  const session = await openSession(url)
  await two.stop()
  const list = await post(url, request(1, 'tools/list'), session)
  expect(list.messages).toMatchObject([{ id: 1, error: { code: -32603 } }])
  const { messages } = await post(url, callOf(2, 'one_echo', { message: 'x' }), session)
  expect(messages).toMatchObject([{ id: 2, result: {} }])
})

test.each([1, 2])('it answers 503 each time when none of %i targets works', async (count) => {
  const targets: string[] = []
  for (let index = 0; index < count; index++)
    targets.push((await DEAD['refuses connections']()).replace('dead', `dead-${index}`))
  const gateway = await gatewayOf(targets)
  const answers = [
    await post(`${gateway.url}/mcp`, initialize()),
    await post(`${gateway.url}/mcp`, initialize()),
  ]
  for (const answer of answers)
    expect(answer.messages).toMatchObject([{ id: 0, error: { code: expect.any(Number) } }])
  expect(answers.map(({ status }) => status)).toEqual([503, 503])
})

test.each<ClientTransport>(['streamable', 'sse'])(
  'it tells a client over %s that a target is back, and offers its tools',
  async (transport) => {
    const [one, two] = [await labOf({ name: 'one' }), await labOf({ name: 'two' })]
    await two.stop()
    const gateway = await gatewayOf([web(one), web(two)])
    const client = await clientOf(gateway, transport)
    const changed = new Promise<void>((resolve) =>
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve()),
    )
    expect(await targetsOf(client)).toEqual(['one'])
    await two.start()
    await changed
    expect(await targetsOf(client)).toEqual(['one', 'two'])
    expect(await call(client, 'two_echo', { message: 'back' })).toBe('two says back')
  },
  10_000,
)

test('it offers the tools of a target that was down when the client came', async () => {
  const [one, two] = [await labOf({ name: 'one' }), await labOf({ name: 'two' })]
  await two.stop()
  const gateway = await gatewayOf([web(one), web(two)])
  const client = await clientOf(gateway)
  expect(await targetsOf(client)).toEqual(['one'])
  await two.start()
  await eventually(
    () => targetsOf(client),
    (targets) => targets.length === 2,
  )
  expect(await call(client, 'two_echo', { message: 'back' })).toBe('two says back')
})

test('it tells a client that a target is back that it had before', async () => {
  const [one, two] = [await labOf({ name: 'one' }), await labOf({ name: 'two' })]
  const gateway = await gatewayOf([web(one), web(two)])
  const client = await clientOf(gateway)
  const changed = new Promise<void>((resolve) =>
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve()),
  )
  expect(await targetsOf(client)).toEqual(['one', 'two'])
  await two.stop()
  expect(await targetsOf(client)).toEqual(['one'])
  await two.start()
  await changed
  expect(await targetsOf(client)).toEqual(['one', 'two'])
}, 12_000)

test('it drops the tools of a target that goes down and takes them back', async () => {
  const [one, two] = [await labOf({ name: 'one' }), await labOf({ name: 'two' })]
  const gateway = await gatewayOf([web(one), web(two)])
  const client = await clientOf(gateway)
  expect(await targetsOf(client)).toEqual(['one', 'two'])
  await two.stop()
  expect(await targetsOf(client)).toEqual(['one'])
  await expect(client.callTool({ name: 'two_echo', arguments: {} })).rejects.toThrow()
  expect(await call(client, 'one_echo', { message: 1 })).toBe('one says 1')
  await two.start()
  await eventually(
    () => targetsOf(client),
    (targets) => targets.length === 2,
    12_000,
  )
  expect(await call(client, 'two_echo', { message: 1 })).toBe('two says 1')
}, 20_000)

describe.each(['alone', 'beside another'])('a process that dies in mid-call, %s', (beside) => {
  test('it fails that call, restarts the process and counts it', async () => {
    const lab = await labOf({ name: 'web' })
    const gateway = await gatewayOf(beside === 'alone' ? [pipe('pipe')] : [pipe('pipe'), web(lab)])
    const prefix = beside === 'alone' ? '' : 'pipe_'
    const client = await clientOf(gateway)
    const before = await call(client, `${prefix}whoami`)
    const failures = await Promise.all(
      ['hang', 'die'].map((tool) =>
        client.callTool({ name: `${prefix}${tool}`, arguments: {} }).catch((caught) => caught),
      ),
    )
    const after = await call(client, `${prefix}whoami`)
    expect(after).toMatch(/^pipe \d+$/)
    expect(after).not.toBe(before)
    expect(await gateway.metric('agentgateway_mcp_target_restarts_total', { server: 'pipe' })).toBe(1)
    expect(await gateway.metric('agentgateway_mcp_target_up', { server: 'pipe' })).toBe(1)
    expect(failures.map(rpcCodeOf)).toEqual([-32603, -32603])
  })

  test('it also restarts one that was killed between calls', async () => {
    const gateway = await gatewayOf([pipe('pipe')])
    const client = await clientOf(gateway)
    const pid = Number((await call(client, 'whoami')).split(' ')[1])
    process.kill(pid, 'SIGKILL')
    const after = await eventually(
      () => call(client, 'whoami').catch(() => ''),
      (text) => text !== '' && !text.endsWith(` ${pid}`),
    )
    expect(after).toMatch(/^pipe \d+$/)
  })
})

test('it remembers the level and the subscriptions of a client for a process that it restarts', async () => {
  const gateway = await gatewayOf([pipe('pipe')])
  const client = await clientOf(gateway)
  await client.setLoggingLevel('error')
  await client.subscribeResource({ uri: 'memo:status' })
  await client.callTool({ name: 'die', arguments: {} }).catch(() => {})
  const told: unknown[] = []
  client.fallbackNotificationHandler = async (notification) => void told.push(notification)
  await call(client, 'log', { level: 'info', data: 'quiet' })
  await call(client, 'log', { level: 'error', data: 'loud' })
  await eventually(
    () => JSON.stringify(told),
    (text) => text.includes('loud'),
  )
  expect(JSON.stringify(told)).not.toContain('quiet')
})

test.each(['alone', 'beside another'])(
  'it opens a new session with a server that forgot the old one, %s',
  async (beside) => {
    const [one, two] = [await labOf({ name: 'one' }), await labOf({ name: 'two' })]
    const gateway = await gatewayOf(beside === 'alone' ? [web(one)] : [web(one), web(two)])
    const tool = beside === 'alone' ? 'echo' : 'one_echo'
    const client = await clientOf(gateway)
    expect(await call(client, tool, { message: 1 })).toBe('one says 1')
    one.forget()
    expect(await call(client, tool, { message: 2 })).toBe('one says 2')
    one.forget()
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain(tool)
    one.forget()
    const answers = await Promise.all([3, 4, 5].map((message) => call(client, tool, { message })))
    expect(answers).toEqual(['one says 3', 'one says 4', 'one says 5'])
    expect(one.sessions()).toBe(1)
  },
)

test('it still carries what a server asks and says after a new session', async () => {
  const one = await labOf({ name: 'one' })
  const gateway = await gatewayOf([web(one)])
  const client = await clientOf(gateway)
  const changed = new Promise<void>((resolve) =>
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve()),
  )
  one.forget()
  expect(await call(client, 'ping_client')).toBe('the client is there')
  await call(client, 'add_tool', { tool: 'more' })
  await changed
})

test('it survives a server of SSE that restarts', async () => {
  const [one, old] = [await labOf({ name: 'one' }), await labOf({ name: 'old' })]
  const gateway = await gatewayOf([web(one), legacy(old)])
  const client = await clientOf(gateway)
  expect(await call(client, 'old_echo', { message: 1 })).toBe('old says 1')
  const hung = expect(client.callTool({ name: 'old_hang', arguments: {} })).rejects.toMatchObject({
    code: expect.any(Number),
  })
  await old.happened(/called hang/)
  await old.stop()
  await hung
  await old.start()
  await eventually(
    () => call(client, 'old_echo', { message: 2 }).catch(() => ''),
    (text) => text === 'old says 2',
    12_000,
  )
}, 20_000)

describe('times', () => {
  test('it gives up a call after requestTimeout, tells the server, and leaves other targets alone', async () => {
    const [one, two] = [await labOf({ name: 'one' }), await labOf({ name: 'two' })]
    const gateway = await gatewayOf([web(one, ', requestTimeout: 500ms'), web(two)])
    const client = await clientOf(gateway)
    const slow = call(client, 'two_hold', { label: 'slow' })
    const started = performance.now()
    const error = await client.callTool({ name: 'one_hang', arguments: {} }).catch((caught) => caught)
    const took = performance.now() - started
    expect(error.code).toBeLessThan(0)
    expect(error.message).toMatch(/did not answer/)
    expect(took).toBeGreaterThan(400)
    expect(took).toBeLessThan(3000)
    await one.happened(/cancelled hang/)
    two.release('slow')
    expect(await slow).toBe('two went on')
    expect(await call(client, 'one_echo', { message: 1 })).toBe('one says 1')
  })

  test('it gives up a process that does not answer after requestTimeout', async () => {
    const gateway = await gatewayOf([pipe('pipe', ', requestTimeout: 1s')])
    const client = await clientOf(gateway)
    const pid = await call(client, 'whoami')
    await expect(client.callTool({ name: 'hang', arguments: {} })).rejects.toMatchObject({
      message: expect.stringMatching(/did not answer/),
    })
    expect(await call(client, 'whoami')).toBe(pid)
  })

  test('it waits no longer than connectTimeout for a server that accepts and says nothing', async () => {
    const silent: Server = createServer((socket) => socket.on('error', () => {}))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const sockets = new Set<Socket>()
    silent.on('connection', (socket) => sockets.add(socket))
    closing.push(async () => {
      for (const socket of sockets) socket.destroy()
      silent.close()
    })
    const { port } = silent.address() as AddressInfo
    const lab = await labOf({ name: 'web' })
    const gateway = await gatewayOf([
      web(lab),
      `{name: mute, mcp: {host: "http://127.0.0.1:${port}/mcp"}, connectTimeout: 500ms}`,
      `{name: stuck, stdio: {cmd: sleep, args: ["1000"]}, connectTimeout: 500ms}`,
    ])
    const started = performance.now()
    const client = await clientOf(gateway)
    expect(await targetsOf(client)).toEqual(['web'])
    expect(performance.now() - started).toBeLessThan(3000)
  })

  test('it cuts a list short by the target that does not answer', async () => {
    const lab = await labOf({ name: 'web' })
    const mute = await labOf({ name: 'mute' })
    const gateway = await gatewayOf([web(lab), web(mute, ', requestTimeout: 500ms')])
    const client = await clientOf(gateway)
    mute.newest().removeRequestHandler('tools/list')
    mute.newest().fallbackRequestHandler = () => new Promise(() => {})
    expect(await targetsOf(client)).toEqual(['web'])
  }, 10_000)
})

test('it ends a call of a client over streamable HTTP whose server dies in mid-answer', async () => {
  const lab = await labOf({ name: 'web' })
  const gateway = await gatewayOf([web(lab)])
  const url = `${gateway.url}/mcp`
  const session = await openSession(url)
  const response = await postRaw(url, callOf(7, 'steps', { label: 'never' }, { progressToken: 1 }), session)
  const seen: unknown[] = []
  for await (const { message } of sseEvents(response)) {
    if (message === undefined) continue
    seen.push(message)
    if (message.method === 'notifications/progress') await lab.stop()
  }
  expect(seen).toMatchObject([{ method: 'notifications/progress' }, { id: 7, error: { code: -32603 } }])
  expect((await post(url, request(8, 'tools/list'), session)).messages).toMatchObject([{ id: 8 }])
})

test('it ends the processes of its sessions when it closes', async () => {
  const gateway = await runGateway(`mcp: {port: 0, targets: [${pipe('pipe')}]}`)
  const client = await connectClient(gateway.url)
  const pid = Number((await call(client, 'whoami')).split(' ')[1])
  await client.close()
  await gateway.close()
  await eventually(
    () => {
      try {
        return process.kill(pid, 0)
      } catch {
        return false
      }
    },
    (alive) => !alive,
  )
})
