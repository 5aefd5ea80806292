/** Connections that requests without a session share: how many there are, and how long. */
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunningGateway } from '../support/gateway.ts'
import { callOf, eventually, initialize, openSession, post } from '../support/mcp-lab.ts'
import { modern, postModern } from './modern-client.fixture.ts'
import {
  isCall,
  isHttp,
  isMethod,
  json,
  mcpYaml,
  runFor,
  type ScriptedServer,
  type Seen,
  startScripted,
  targetOf,
  textResult,
} from './scripted-server.fixture.ts'

let server: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
let held: (() => void)[]
beforeEach(async () => {
  server = await startScripted()
  held = []
})
afterEach(async () => {
  await server.close()
  await gateway.close()
})

async function run(extra: string, top: string): Promise<void> {
  gateway = await runFor([server], mcpYaml([targetOf('web', server)], extra, top))
  server.script = (seen: Seen, response: ServerResponse) => {
    if (!isCall('slow')(seen)) return false
    held.push(() => json(response, 200, { id: seen.message.id, result: textResult('done') }))
    return true
  }
}

const CALLERS = {
  'statefulMode: stateless': (name: string, who: number) =>
    post(gateway.mcp, callOf(1, name), { authorization: `Bearer ${who}` }),
  '2026-07-28': (name: string, who: number) =>
    postModern(
      gateway.mcp,
      modern(1, 'tools/call', { name }, { clientInfo: { name: `client-${who}`, version: '1' } }),
    ),
}

describe.each(Object.entries(CALLERS))('callers of %s', (kind, call) => {
  const extra = kind === '2026-07-28' ? '' : kind

  test('it refuses one more than config.mcp.maxSessions while all have something under way', async () => {
    await run(extra, 'config: {mcp: {maxSessions: 3}}')
    const calls = [1, 2, 3].map((who) => call('slow', who))
    await server.arrived(isCall('slow'), 3)
    const { status, headers, messages } = await call('echo', 4)
    expect(status).toBe(503)
    expect(headers.get('retry-after')).not.toBeNull()
    expect(messages).toMatchObject([{ error: { message: 'Too many sessions' } }])
    if (kind === '2026-07-28') expect(messages).toMatchObject([{ id: 1 }])
    // Who has a connection is not turned away.
    expect((await call('echo', 2)).status).toBe(200)
    for (const answer of held) answer()
    expect((await Promise.all(calls)).map(({ status: one }) => one)).toEqual([200, 200, 200])
    expect(server.all(isMethod('initialize'))).toHaveLength(3)
  })

  test('it lets the one go that was idle longest', async () => {
    await run(extra, 'config: {mcp: {maxSessions: 2}}')
    for (const who of [1, 2]) expect((await call('echo', who)).status).toBe(200)
    expect((await call('echo', 1)).status).toBe(200)
    const second = server.all(isCall('echo'))[1]?.headers['mcp-session-id']
    expect((await call('echo', 3)).status).toBe(200)
    const ended = await server.arrived(isHttp('DELETE'))
    expect(ended.headers['mcp-session-id']).toBe(second)
    expect((await call('echo', 1)).status).toBe(200)
    expect(server.all(isMethod('initialize'))).toHaveLength(3)
  })

  test('it keeps them where config.mcp.sessionTtl is 0s', async () => {
    await run(extra, 'config: {mcp: {sessionTtl: 0s}}')
    for (let count = 0; count < 3; count++) {
      expect((await call('echo', 1)).status).toBe(200)
      await sleep(150)
    }
    expect(server.all(isMethod('initialize'))).toHaveLength(1)
    expect(server.all(isHttp('DELETE'))).toEqual([])
  })

  test('it ends them after config.mcp.sessionTtl', async () => {
    await run(extra, 'config: {mcp: {sessionTtl: 100ms}}')
    await call('echo', 1)
    await server.arrived(isHttp('DELETE'))
    expect((await call('echo', 1)).status).toBe(200)
  })
})

test('it does not end a session with something under way to make room for another', async () => {
  await run('statefulMode: stateless', 'config: {mcp: {maxSessions: 1}}')
  let answer: (() => void) | undefined
  server.script = (seen, response) => {
    if (!isMethod('initialize')(seen) || answer !== undefined) return false
    answer = () => {
      const result = {
        protocolVersion: '2025-11-25',
        capabilities: {},
        serverInfo: { name: 'x', version: '1' },
      }
      json(response, 200, { id: seen.message.id, result }, { 'mcp-session-id': 'late' })
    }
    return true
  }
  const beginning = post(gateway.mcp, initialize(), { authorization: 'Bearer 1' })
  await server.arrived(isMethod('initialize'))
  const another = await post(gateway.mcp, callOf(1, 'echo'), { authorization: 'Bearer 2' })
  answer?.()
  expect([(await beginning).status, another.status]).toEqual([200, 503])
})

test('it keeps a session of a client where config.mcp.sessionTtl is 0s', async () => {
  await run('', 'config: {mcp: {sessionTtl: 0s}}')
  const session = await openSession(gateway.mcp)
  await sleep(300)
  expect((await post(gateway.mcp, callOf(1, 'echo'), session)).status).toBe(200)
})

test('it bounds sessions of clients and shared ones each by themselves', async () => {
  await run('', 'config: {mcp: {maxSessions: 1}}')
  const session = await openSession(gateway.mcp)
  expect((await post(gateway.mcp, initialize())).status).toBe(503)
  expect((await CALLERS['2026-07-28']('echo', 1)).status).toBe(200)
  expect((await post(gateway.mcp, callOf(1, 'echo'), session)).status).toBe(200)
  await eventually(
    () => gateway.metric('agentgateway_mcp_sessions_active'),
    (count) => count === 1,
  )
})
