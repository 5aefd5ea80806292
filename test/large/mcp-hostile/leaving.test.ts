/** Clients that leave, dawdle or never come back: what they held is given back. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../../support/gateway.ts'
import { stdioTarget } from '../../support/mcp.ts'
import { open, send } from '../../support/wire.ts'
import {
  initializeRequest,
  JSON_RPC,
  openSession,
  openStream,
  post,
  request,
  type Session,
  STDIO_SERVER,
} from './client.fixture.ts'
import { type HostileServer, startHostileServer } from './http-server.fixture.ts'

const pipe = `{name: pipe, ${stdioTarget(STDIO_SERVER, 'well')}}`

let gateway: RunningGateway | undefined
let server: HostileServer
beforeEach(async () => {
  server = await startHostileServer()
})
afterEach(async () => {
  await gateway?.close()
  gateway = undefined
  await server.close()
})

async function run(mcp: string, top = '') {
  gateway = await runGateway(`${top}\nmcp:\n  port: 0\n${mcp}\n`)
  return gateway
}

function children(): number {
  let count = 0
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    try {
      const parent = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').trim().split(' ')[1]
      if (
        parent === String(process.pid) &&
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(STDIO_SERVER)
      )
        count++
    } catch {
      // It ended in between.
    }
  }
  return count
}

/** Sockets and pipes of this process. */
function descriptors(): number {
  let count = 0
  for (const name of readdirSync('/proc/self/fd'))
    try {
      if (/^(?:socket|pipe):/.test(readlinkSync(`/proc/self/fd/${name}`))) count++
    } catch {
      // It was closed in between.
    }
  return count
}

/** Sends a call, and leaves when `ready` says so. */
async function leaveDuring(
  url: string,
  session: Session | undefined,
  message: object,
  ready: () => Promise<unknown>,
) {
  const leave = new AbortController()
  const asked = open(`${url}/mcp`, {
    method: 'POST',
    headers: { ...JSON_RPC, ...session?.headers },
    body: JSON.stringify(message),
    signal: leave.signal,
  })
    .then((response) => response.on('error', () => {}).resume())
    .catch(() => {})
  await ready()
  leave.abort()
  await asked
}

describe('a client that leaves in mid-call', () => {
  test('it leaves a stateful call running, and records how it went', async () => {
    const { url, ...own } = await run(`  targets:\n  - ${pipe}`)
    const session = await openSession(url)
    const call = request('held', 'tools/call', { name: 'hold', arguments: { key: 'k' } })
    await leaveDuring(url, session, call, () =>
      expect.poll(() => session.said('report')).toMatch(/tools\/call.*tools\/call/),
    )
    expect(await session.said('report')).not.toContain('cancelled')
    expect(await session.said('release', { key: 'k' })).toBe('released')
    await expect.poll(() => own.metric('agentgateway_requests_in_flight')).toBe(0)
    const records = own.records().filter((record) => JSON.stringify(record).includes('"hold"'))
    expect(records).toHaveLength(1)
    expect(await session.said('report')).not.toContain('cancelled')
  })

  test('it tells the server of a stateless call that it is cancelled', async () => {
    const { url, ...own } = await run(
      `  statefulMode: stateless\n  targets:\n  - {name: web, mcp: {host: "${server.url}"}}`,
    )
    const call = request('held', 'tools/call', { name: 'never', arguments: {} })
    await leaveDuring(url, undefined, call, () => expect.poll(() => server.saw('tools/call').length).toBe(1))
    await expect.poll(() => server.saw('notifications/cancelled').length).toBe(1)
    const [asked] = server.saw('tools/call')
    expect(server.saw('notifications/cancelled')[0]?.message?.params?.requestId).toBe(asked?.message?.id)
    await expect.poll(() => own.metric('agentgateway_requests_in_flight')).toBe(0)
    await own.recorded(1)
    expect(own.records()).toHaveLength(1)
    expect(own.records()[0]).toMatchObject({ outcome: 'client_abort' })
  })

  test.each([
    { name: 'stateful', path: '/mcp', method: 'GET', status: 405 },
    { name: 'stateful', path: '/mcp', method: 'DELETE', status: 405 },
  ])('it answers $method with 405 in stateless mode', async ({ path, method, status }) => {
    const { url } = await run(`  statefulMode: stateless\n  targets:\n  - ${pipe}`)
    expect((await send(`${url}${path}`, { method, headers: { accept: 'text/event-stream' } })).status).toBe(
      status,
    )
  })

  test('it ends the process of a stateless call that nobody waits for', async () => {
    const { url } = await run(`  statefulMode: stateless\n  targets:\n  - ${pipe}`)
    await expect.poll(children).toBeLessThan(2)
    for (let index = 0; index < 5; index++)
      await leaveDuring(url, undefined, request(index, 'tools/call', { name: 'never', arguments: {} }), () =>
        expect.poll(children).toBeGreaterThan(0),
      )
    await expect.poll(children, { timeout: 10_000 }).toBeLessThan(2)
  })
})

test('it bounds what it keeps for a slow reader, and others are not affected', async () => {
  const { url, ...own } = await run(`  targets:\n  - ${pipe}`)
  const slow = await openSession(url)
  const other = await openSession(url)
  const leave = new AbortController()
  const { response, status } = await openStream(`${url}/mcp`, slow.headers, leave.signal)
  expect(status).toBe(200)
  response.on('error', () => {})
  response.pause()
  // A POST's own stream is not read either: 200 MB of notifications in all.
  const before = process.memoryUsage().rss
  const flood = open(`${url}/mcp`, {
    method: 'POST',
    headers: { ...JSON_RPC, ...slow.headers },
    body: JSON.stringify(
      request('f', 'tools/call', { name: 'flood', arguments: { count: 20_000, bytes: 10_000 } }),
    ),
    signal: leave.signal,
  }).catch(() => undefined)
  const unread = await flood
  unread?.on('error', () => {})
  unread?.pause()
  for (let index = 0; index < 50; index++)
    expect(await other.said('echo', { message: `${index}` })).toBe(`${index}`)
  await expect.poll(async () => (await slow.ask('ping')).status, { timeout: 10_000 }).toBeLessThan(600)
  expect(process.memoryUsage().rss - before).toBeLessThan(180_000_000)
  leave.abort()
  expect(await other.said('echo', { message: 'x' })).toBe('x')
  await other.end()
  await slow.end()
  await expect.poll(() => own.metric('agentgateway_requests_in_flight')).toBe(0)
})

test('it forgets abandoned sessions, and never has more than maxSessions', async () => {
  const { url, ...own } = await run(
    `  targets:\n  - {name: web, mcp: {host: "${server.url}"}}`,
    'config: {mcp: {sessionTtl: 1s, maxSessions: 50}}',
  )
  const statuses = new Map<number, number>()
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => post(`${url}/mcp`, initializeRequest())),
    )
    for (const { status, messages } of answers) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      expect(messages).toHaveLength(1)
    }
    expect(await own.metric('agentgateway_mcp_sessions_active')).toBeLessThanOrEqual(50)
  }
  expect([...statuses.keys()].every((status) => [200, 429, 503].includes(status))).toBe(true)
  expect(own.records()).toHaveLength(500)
  await expect.poll(() => own.metric('agentgateway_mcp_sessions_active'), { timeout: 10_000 }).toBe(0)
  const fresh = await openSession(url)
  expect(await fresh.said('echo', { message: 'x' })).toBe('x')
  // The server was told of every session that is no more.
  await expect
    .poll(() => server.seen.filter(({ method }) => method === 'DELETE').length, { timeout: 5000 })
    .toBeGreaterThanOrEqual((statuses.get(200) ?? 0) - 50)
})

test('it does not forget a session with a call under way or a stream open', async () => {
  const { url, ...own } = await run(`  targets:\n  - ${pipe}`, 'config: {mcp: {sessionTtl: 1500ms}}')
  const calling = await openSession(url)
  const held = calling.call('hold', { key: 'k' })
  const listening = await openSession(url)
  const leave = new AbortController()
  const { response } = await openStream(`${url}/mcp`, listening.headers, leave.signal)
  response.on('error', () => {}).resume()
  const idle = await openSession(url)
  expect(await own.metric('agentgateway_mcp_sessions_active')).toBe(3)
  await expect.poll(() => own.metric('agentgateway_mcp_sessions_active'), { timeout: 10_000 }).toBe(2)
  expect((await idle.ask('ping')).status).toBe(404)
  expect(await calling.said('release', { key: 'k' })).toBe('released')
  expect((await held).body).toContain('held k')
  expect((await listening.ask('ping')).status).toBe(200)
  leave.abort()
})

test('it gives everything back after 100 sessions, some of them left in mid-call', {
  timeout: 40_000,
}, async () => {
  const baseline = { descriptors: descriptors(), children: children() }
  const web = `{name: web, mcp: {host: "${server.url}"}}`
  // Each process takes a while to start: a quarter of the sessions has one.
  const both = await run(`  targets:\n  - ${pipe}\n  - ${web}`)
  const light = await runGateway(`mcp:\n  port: 0\n  prefixMode: always\n  targets:\n  - ${web}`)
  const idle = async () => {
    for (const own of [both, light]) {
      await expect.poll(() => own.metric('agentgateway_requests_in_flight')).toBe(0)
      await expect.poll(() => own.metric('agentgateway_mcp_sessions_active')).toBe(0)
    }
    await expect.poll(children, { timeout: 10_000 }).toBe(0)
  }
  await idle()

  async function use(url: string, hasPipe: boolean, kind: number): Promise<void> {
    const session = await openSession(url)
    expect(await session.said('web_echo', { message: 'x' })).toBe('x')
    if (hasPipe) expect(await session.said('pipe_echo', { message: 'x' })).toBe('x')
    if (kind === 1 || kind === 2) {
      const name = hasPipe && kind === 1 ? 'pipe_never' : 'web_never'
      const marker = `marker-${session.id}`
      await leaveDuring(url, session, request('n', 'tools/call', { name, arguments: { marker } }), () =>
        name === 'web_never'
          ? expect
              .poll(() =>
                JSON.stringify(
                  server
                    .saw('tools/call')
                    .slice(-20)
                    .map(({ message }) => message),
                ),
              )
              .toContain(marker)
          : expect.poll(() => session.said('pipe_report')).toMatch(/tools\/call.*tools\/call/),
      )
    }
    if (kind === 3) {
      const leave = new AbortController()
      const { response } = await openStream(`${url}/mcp`, session.headers, leave.signal)
      response.on('error', () => {})
      leave.abort()
    }
    await session.end()
  }
  for (let round = 0; round < 25; round++)
    await Promise.all(
      [0, 1, 2, 3].map((kind) =>
        use((kind + round) % 4 === 0 ? both.url : light.url, (kind + round) % 4 === 0, kind),
      ),
    )
  await idle()
  await Promise.all([both.close(), light.close()])
  gateway = undefined
  await expect.poll(() => server.connections()).toBe(0)
  expect(children()).toBe(baseline.children)
  await expect.poll(descriptors).toBeLessThanOrEqual(baseline.descriptors)
})
