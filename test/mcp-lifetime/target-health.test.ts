/** What one client's credential brings about is no news of the target, and no reason to ask without end. */
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { initialize, openSession, post } from '../support/mcp-lab.ts'
import {
  isHttp,
  isMethod,
  json,
  mcpYaml,
  openEvents,
  runFor,
  type Seen,
  startScripted,
  targetOf,
} from './scripted-server.fixture.ts'

const REFUSALS: Record<string, (seen: Seen, response: ServerResponse) => boolean> = {
  '401': (_, response) => json(response, 401, { error: {} }, { 'www-authenticate': 'Bearer' }),
  '403': (_, response) => json(response, 403, { error: {} }),
  '429': (_, response) => json(response, 429, { error: {} }, { 'retry-after': '60' }),
  '400': (_, response) => json(response, 400, { error: {} }),
  'an error of MCP': ({ message }, response) =>
    json(response, 200, { id: message.id, error: { code: -32000, message: 'not you' } }),
  'an error of MCP with 400': ({ message }, response) =>
    json(response, 400, { id: message.id, error: { code: -32602, message: 'what?' } }),
}

const BAD = { authorization: 'Bearer mallory' }

describe('a target that refuses one client', () => {
  test.concurrent.each(Object.keys(REFUSALS))(
    'it is up for the others after %s at initialize',
    async (refusal) => {
      const server = await startScripted()
      const gateway = await runFor([server], mcpYaml([targetOf('web', server)]))
      server.script = (seen, response) =>
        seen.headers.authorization === BAD.authorization && REFUSALS[refusal]?.(seen, response)
      for (let count = 0; count < 6; count++) {
        const from = server.all(isMethod('initialize')).length
        expect((await post(gateway.mcp, initialize(), BAD)).status).not.toBe(200)
        // Each is asked for in earnest: nobody waits because of others.
        expect(server.all(isMethod('initialize')).length).toBeGreaterThan(from)
        expect(await gateway.metric('agentgateway_mcp_target_up', { server: 'web' })).toBe(1)
        expect((await post(gateway.mcp, initialize(), { authorization: 'Bearer bob' })).status).toBe(200)
      }
      expect(gateway.log()).not.toContain('target is down')
      await gateway.close()
      await server.close()
    },
  )
})

describe('a client that listens', () => {
  test.concurrent.each(Object.keys(REFUSALS))(
    'it does not ask again and again when its new session is refused with %s',
    async (refusal) => {
      const server = await startScripted()
      const gateway = await runFor([server], mcpYaml([targetOf('web', server)]))
      let stream: ServerResponse | undefined
      server.script = (seen, response) => {
        if (!isHttp('GET')(seen)) return false
        stream = response
        return openEvents(response)
      }
      const session = await openSession(gateway.mcp)
      const leaving = new AbortController()
      const headers = { accept: 'text/event-stream', ...BAD, ...session }
      const listening = await fetch(gateway.mcp, { headers, signal: leaving.signal })
      await server.arrived(isHttp('GET'))
      server.script = (seen, response) => {
        if (isHttp('GET')(seen)) {
          response.writeHead(404).end()
          return true
        }
        return isMethod('initialize')(seen) && REFUSALS[refusal]?.(seen, response)
      }
      const before = server.all(isMethod('initialize')).length
      stream?.end()
      await server.arrived(isMethod('initialize'), before + 1)
      await sleep(2000)
      expect(server.all(isMethod('initialize')).length - before).toBeLessThanOrEqual(3)
      leaving.abort()
      await listening.body?.cancel().catch(() => {})
      await gateway.close()
      await server.close()
    },
  )

  test.concurrent('it is listened for no more at a server of 2026-07-28 once its session has ended', async () => {
    const server = await startScripted()
    server.script = (seen, response) => {
      const { method, message } = seen
      if (method === 'initialize')
        return json(response, 400, { id: message.id, error: { code: -32601, message: 'no' } })
      if (method === 'server/discover')
        return json(response, 200, {
          id: message.id,
          result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
        })
      if (method === 'subscriptions/listen')
        return json(response, 200, { id: message.id, result: { resultType: 'complete' } })
      return false
    }
    const gateway = await runFor([], mcpYaml([targetOf('web', server)]))
    const session = await openSession(gateway.mcp)
    const listening = await fetch(gateway.mcp, { headers: { accept: 'text/event-stream', ...session } })
    await server.arrived(isMethod('subscriptions/listen'))
    await fetch(gateway.mcp, { method: 'DELETE', headers: session })
    await listening.body?.cancel().catch(() => {})
    const before = server.all(isMethod('subscriptions/listen')).length
    await sleep(6000)
    expect(server.all(isMethod('subscriptions/listen'))).toHaveLength(before)
    await gateway.close()
    await server.close()
  })
})
