/** Calls that are given up, by their client or by a timeout: also those that no target has yet. */
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunningGateway } from '../support/gateway.ts'
import { callOf, eventually, initialize, openSession, post, postRaw, sseEvents } from '../support/mcp-lab.ts'
import { modern, postModern, postModernRaw } from './modern-client.fixture.ts'
import {
  isCall,
  isMethod,
  json,
  mcpYaml,
  runFor,
  type ScriptedServer,
  type Seen,
  startScripted,
  targetOf,
} from './scripted-server.fixture.ts'

let server: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
beforeEach(async () => {
  server = await startScripted()
})
afterEach(async () => {
  await server.close()
  await gateway.close()
})

const isIdle = (deadlineMs: number) =>
  eventually(
    () => gateway.metric('agentgateway_requests_in_flight'),
    (count) => count === 0,
    deadlineMs,
  )

/** Answers what a script has held back, as the server would have. */
function holding(fits: (seen: Seen) => boolean) {
  const held: { readonly seen: Seen; readonly response: ServerResponse }[] = []
  let isOpen = false
  const answer = ({ seen, response }: (typeof held)[number]) => {
    const { message } = seen
    const result = isMethod('initialize')(seen)
      ? {
          protocolVersion: '2025-11-25',
          capabilities: { tools: {} },
          serverInfo: { name: 'scripted', version: '1' },
        }
      : { tools: ['slow', 'quick', 'echo'].map((name) => ({ name, inputSchema: { type: 'object' } })) }
    json(response, 200, { id: message.id, result }, { 'mcp-session-id': 'late' })
  }
  return {
    script(seen: Seen, response: ServerResponse) {
      if (isOpen || !fits(seen)) return false
      held.push({ seen, response })
      return true
    },
    release() {
      isOpen = true
      for (const one of held.splice(0)) answer(one)
    },
  }
}

/** The target has not begun the call, or is told to stop. */
async function expectGivenUp(): Promise<void> {
  const calls = server.all(isCall('slow')).map(({ message }) => message.id)
  if (calls.length > 0) await server.arrived(isMethod('notifications/cancelled'), calls.length)
  const cancelled = server.all(isMethod('notifications/cancelled')).map(({ params }) => params.requestId)
  expect(cancelled).toEqual(expect.arrayContaining(calls))
}

const routeYaml = (timeout: string, extra = '') =>
  `binds: [{port: 0, listeners: [{routes: [{policies: {timeout: {${timeout}}}, backends: [{mcp: {${extra} targets: [${targetOf('web', server, ', requestTimeout: 0s')}]}}]}]}]}]`

describe('a route that allows less time than its target takes', () => {
  const CLIENTS = {
    'with a session': {
      extra: '',
      call: async () => post(gateway.mcp, callOf(1, 'slow'), await openSession(gateway.mcp)),
    },
    'without a session': {
      extra: 'statefulMode: stateless,',
      call: () => post(gateway.mcp, callOf(1, 'slow')),
    },
    'of 2026-07-28': {
      extra: '',
      call: () => postModern(gateway.mcp, modern(1, 'tools/call', { name: 'slow' })),
    },
  }

  test.each(Object.entries(CLIENTS))('it takes the call of a client %s back', async (_, { extra, call }) => {
    gateway = await runFor([server], routeYaml('requestTimeout: 150ms', extra))
    server.script = isCall('slow')
    expect((await call()).status).toBe(504)
    await isIdle(2000)
    const asked = await server.arrived(isCall('slow'))
    expect((await server.arrived(isMethod('notifications/cancelled'))).params.requestId).toBe(
      asked.message.id,
    )
    const record = gateway.records().find((one) => one['http.status'] === 504)
    expect(record).toMatchObject({ 'mcp.method.name': 'tools/call', outcome: 'timeout' })
  })

  test('it gives a handshake up that a target does not answer', async () => {
    gateway = await runFor([server], routeYaml('requestTimeout: 150ms'))
    server.script = isMethod('initialize')
    expect((await post(gateway.mcp, initialize())).status).toBe(504)
    await isIdle(3000)
  })

  test('it gives a call up that waits for a new session with its target', async () => {
    gateway = await runFor([server], routeYaml('requestTimeout: 150ms'))
    const session = await openSession(gateway.mcp)
    server.script = (seen, response) => {
      if (!isCall('slow')(seen)) return isMethod('initialize')(seen)
      response.writeHead(404).end()
      return true
    }
    expect((await post(gateway.mcp, callOf(1, 'slow'), session)).status).toBe(504)
    await isIdle(3000)
  })
})

describe('a client that gives its call up before the target has it', () => {
  test('it is heeded while the target is asked for a new session', async () => {
    gateway = await runFor([server], mcpYaml([targetOf('web', server)]))
    const session = await openSession(gateway.mcp)
    const hold = holding(isMethod('initialize'))
    let isForgotten = false
    server.script = (seen, response) => {
      if (!isForgotten && isCall('slow')(seen)) {
        isForgotten = true
        response.writeHead(404).end()
        return true
      }
      return hold.script(seen, response)
    }
    const call = post(gateway.mcp, callOf('mine', 'slow'), session)
    await server.arrived(isMethod('initialize'), 2)
    server.seen.length = 0
    const params = { requestId: 'mine', reason: 'enough' }
    await post(gateway.mcp, { jsonrpc: '2.0', method: 'notifications/cancelled', params }, session)
    hold.release()
    expect((await call).messages).toEqual([])
    await post(gateway.mcp, callOf(2, 'echo'), session)
    await expectGivenUp()
    await isIdle(2000)
  })

  test('it is heeded while the target lists what rules have to judge', async () => {
    const rules = `policies: {mcpAuthorization: {rules: [{deny: 'mcp.tool.name == "secret"'}]}}`
    gateway = await runFor([server], mcpYaml([targetOf('web', server)], rules))
    const session = await openSession(gateway.mcp)
    const hold = holding(isMethod('tools/list'))
    server.script = hold.script
    const call = post(gateway.mcp, callOf(9, 'slow'), session)
    await server.arrived(isMethod('tools/list'))
    await post(
      gateway.mcp,
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 9 } },
      session,
    )
    hold.release()
    expect((await call).messages).toEqual([])
    await post(gateway.mcp, callOf(2, 'echo'), session)
    expect(server.all(isCall('slow'))).toEqual([])
    await isIdle(2000)
  })

  test('it is heeded over the old transport', async () => {
    gateway = await runFor([server], mcpYaml([targetOf('web', server)]))
    const leaving = new AbortController()
    const stream = await fetch(`${gateway.url}/sse`, { signal: leaving.signal })
    const events = sseEvents(stream)
    const url = `${gateway.url}${(await events.next()).value?.data}`
    await post(url, initialize())
    await events.next()
    const hold = holding(isMethod('initialize'))
    let isForgotten = false
    server.script = (seen, response) => {
      if (!isForgotten && isCall('slow')(seen)) {
        isForgotten = true
        response.writeHead(404).end()
        return true
      }
      return hold.script(seen, response)
    }
    await post(url, callOf(4, 'slow'))
    await server.arrived(isMethod('initialize'), 2)
    server.seen.length = 0
    await post(url, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 4 } })
    hold.release()
    await post(url, callOf(5, 'echo'))
    await server.arrived(isCall('echo'))
    await expectGivenUp()
    leaving.abort()
  })

  test.each([
    { kind: 'without a session', extra: 'statefulMode: stateless' },
    { kind: 'of 2026-07-28', extra: '' },
  ])('it is heeded when a client $kind leaves during the handshake', async ({ extra }) => {
    gateway = await runFor([server], mcpYaml([targetOf('web', server)], extra))
    const hold = holding(isMethod('initialize'))
    server.script = hold.script
    const leaving = new AbortController()
    const send = (id: number, name: string, signal: AbortSignal) =>
      extra === ''
        ? postModernRaw(gateway.mcp, modern(id, 'tools/call', { name }), signal)
        : postRaw(gateway.mcp, callOf(id, name), {}, { signal })
    const call = send(1, 'slow', leaving.signal).catch(() => undefined)
    await server.arrived(isMethod('initialize'))
    leaving.abort()
    await call
    await isIdle(2000)
    // Another of the same caller tells when the first would have had its turn.
    const { signal } = new AbortController()
    const next = send(2, 'echo', signal)
    await eventually(
      () => gateway.metric('agentgateway_requests_in_flight'),
      (count) => count === 1,
    )
    hold.release()
    await (await next).text()
    await isIdle(2000)
    expect(server.all(isCall('slow'))).toEqual([])
  })
})
