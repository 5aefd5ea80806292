/** A session that ends while calls are under way: whoever waits is told, and the record says why. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunningGateway } from '../support/gateway.ts'
import { callOf, initialize, openSession, post, postRaw, sseEvents } from '../support/mcp-lab.ts'
import { reload } from './configuration.fixture.ts'
import { follow, modern, postModern } from './modern-client.fixture.ts'
import {
  isCall,
  isHttp,
  isMethod,
  mcpYaml,
  runFor,
  type ScriptedServer,
  startScripted,
  targetOf,
} from './scripted-server.fixture.ts'

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

const yaml = (which: ScriptedServer, extra = '') => mcpYaml([targetOf('web', which)], extra)

async function run(extra = ''): Promise<void> {
  gateway = await runFor([server], yaml(server, extra))
  server.script = isCall('slow')
}

const ENDS: Record<string, (session: Record<string, string>, extra: string) => Promise<unknown>> = {
  'its client with DELETE': (session) => fetch(gateway.mcp, { method: 'DELETE', headers: session }),
  'a reload that changes the target': (_, extra) => reload(gateway, yaml(other, extra)),
  'a reload that removes the backend': () => reload(gateway, 'binds: []'),
}

/** Of tool calls, whatever kind of client made them. */
async function errorTypes(count: number): Promise<unknown[]> {
  await gateway.recorded(count)
  return gateway
    .records()
    .filter((record) => record['mcp.method.name'] === 'tools/call')
    .map((record) => record['mcp.error.type'] ?? record['error.type'] ?? 'none')
}

async function theRecord(): Promise<Readonly<Record<string, unknown>>> {
  for (let count = 1; ; count++) {
    const record = (await gateway.recorded(count)).at(-1)
    if (JSON.stringify(record).includes('tools/call')) return record ?? {}
  }
}

describe('a call under way', () => {
  // The stream of an answer that takes long begins by itself: on a very busy machine before the session has ended.
  test.each(Object.keys(ENDS))(
    'it is answered with 503 when its session is ended by %s',
    { retry: 2 },
    async (by) => {
      await run()
      const session = await openSession(gateway.mcp)
      const calls = [1, 'two'].map((id) => post(gateway.mcp, callOf(id, 'slow'), session))
      await server.arrived(isCall('slow'), 2)
      await ENDS[by]?.(session, '')
      const answers = await Promise.all(calls)
      expect(answers.map(({ status }) => status)).toEqual([503, 503])
      expect(answers.map(({ messages }) => messages)).toEqual(
        [1, 'two'].map((id) => [
          { jsonrpc: '2.0', id, error: { code: -32603, message: expect.any(String) } },
        ]),
      )
    },
  )

  test.each(Object.keys(ENDS))(
    'it is answered by an event in a stream when its session is ended by %s',
    async (by) => {
      await run()
      const session = await openSession(gateway.mcp)
      const response = await postRaw(gateway.mcp, callOf(7, 'slow'), session)
      expect(response.headers.get('content-type')).toBe('text/event-stream')
      await ENDS[by]?.(session, '')
      const messages: unknown[] = []
      for await (const { message } of sseEvents(response)) if (message !== undefined) messages.push(message)
      expect(messages).toEqual([
        { jsonrpc: '2.0', id: 7, error: { code: -32603, message: expect.any(String) } },
      ])
    },
  )

  test.each(Object.keys(ENDS))(
    'it is recorded as unavailable when its session is ended by %s',
    async (by) => {
      await run()
      const session = await openSession(gateway.mcp)
      const call = post(gateway.mcp, callOf(1, 'slow'), session)
      await server.arrived(isCall('slow'))
      await ENDS[by]?.(session, '')
      await call
      const record = await theRecord()
      expect(record).toMatchObject({ 'mcp.error.type': 'unavailable' })
      expect(record).not.toMatchObject({ outcome: 'ok' })
      const labels = { method: 'tools/call', error_type: 'unavailable' }
      expect(await gateway.metric('agentgateway_mcp_requests_total', labels)).toBe(1)
      expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
    },
  )

  test.each([
    { kind: 'of a client without a session', extra: 'statefulMode: stateless' },
    { kind: 'of 2026-07-28', extra: '' },
  ])('it is answered when a reload ends the connection $kind', async ({ extra }) => {
    await run(extra)
    const call =
      extra === ''
        ? postModern(gateway.mcp, modern(5, 'tools/call', { name: 'slow' }))
        : post(gateway.mcp, callOf(5, 'slow'))
    await server.arrived(isCall('slow'))
    await reload(gateway, yaml(other, extra))
    const { messages } = await call
    expect(messages.at(-1)).toMatchObject({ id: 5, error: { code: -32603 } })
    expect(await errorTypes(1)).toEqual(['unavailable'])
  })

  test('it is answered over the old transport when a reload ends the session', async () => {
    await run()
    const stream = await follow((signal) => fetch(`${gateway.url}/sse`, { signal }))
    // The address comes as an event that is no message: any session's will do, there is one only.
    const { promise, resolve } = Promise.withResolvers<string>()
    const second = await fetch(`${gateway.url}/sse`)
    const reading = (async () => {
      const messages: unknown[] = []
      for await (const { event, data, message } of sseEvents(second)) {
        if (event === 'endpoint') resolve(data)
        if (message !== undefined) messages.push(message)
      }
      return messages
    })()
    const url = `${gateway.url}${await promise}`
    await post(url, initialize())
    await post(url, callOf(3, 'slow'))
    await server.arrived(isCall('slow'))
    await reload(gateway, yaml(other))
    expect((await reading).at(-1)).toMatchObject({ id: 3, error: { code: -32603 } })
    stream.leave()
  })

  test('it leaves the calls of other sessions alone when a client ends its own', async () => {
    await run()
    const [mine, theirs] = [await openSession(gateway.mcp), await openSession(gateway.mcp)]
    const call = post(gateway.mcp, callOf(1, 'slow'), mine)
    const another = post(gateway.mcp, callOf(2, 'quick'), theirs)
    await server.arrived(isCall('slow'))
    await fetch(gateway.mcp, { method: 'DELETE', headers: mine })
    expect((await call).messages.at(-1)).toMatchObject({ id: 1, error: {} })
    expect((await another).status).toBe(200)
    expect((await post(gateway.mcp, callOf(3, 'quick'), theirs)).status).toBe(200)
  })
})

describe('a handshake under way', () => {
  /** What the target leaves without an answer. */
  const STAGES = ['initialize', 'notifications/initialized']

  test.each(STAGES)('it is answered when a reload takes the backend away before %s is', async (stage) => {
    await run()
    server.script = isMethod(stage)
    const beginning = post(gateway.mcp, initialize({}, 'first'))
    await server.arrived(isMethod(stage))
    await reload(gateway, yaml(other))
    await other.arrived(isHttp('DELETE'))
    const answer = await Promise.race([beginning, sleep(3000, 'nothing in 3 s')])
    expect(answer).toMatchObject({ status: 503, messages: [{ id: 'first', error: { code: -32603 } }] })
    expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(0)
  })
})
