/** What reaches a target although nobody judged it, and what a refusal gives away. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { modern, postModern } from '../mcp-lifetime/modern-client.fixture.ts'
import {
  isMethod,
  json,
  mcpYaml,
  runFor,
  type ScriptedServer,
  startScripted,
  targetOf,
} from '../mcp-lifetime/scripted-server.fixture.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { callOf, initialize, type Json, openSession, post, request, sseEvents } from '../support/mcp-lab.ts'

let server: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
beforeEach(async () => {
  server = await startScripted()
})
afterEach(async () => {
  await gateway.close()
  await server.close()
})

const RULES = `policies: {mcpAuthorization: {rules: [{deny: 'mcp.tool.name == "secret"'}, {deny: 'mcp.resource.name == "memo:secret"'}]}}`
const run = async (...extra: string[]) => {
  gateway = await runFor(
    [server],
    mcpYaml([targetOf('web', server)], extra.filter((one) => one !== '').join(', ')),
  )
}

describe('a message without an id', () => {
  const WITHOUT_ID: Json[] = [
    { jsonrpc: '2.0', method: 'tools/call', params: { name: 'secret', arguments: {} } },
    { jsonrpc: '2.0', method: 'tools/call', params: { name: 'echo', arguments: {} } },
    { jsonrpc: '2.0', method: 'resources/read', params: { uri: 'memo:secret' } },
    { jsonrpc: '2.0', method: 'initialize', params: {} },
    { jsonrpc: '2.0', method: 'notifications', params: {} },
    { jsonrpc: '2.0', method: 'Notifications/Tools/call', params: {} },
    { jsonrpc: '2.0', method: ' notifications/x', params: {} },
    { jsonrpc: '2.0', method: 'x/notifications/x', params: {} },
  ]
  const reaches = (message: Json) => server.all(isMethod(String(message.method)))
  /** That this has come, what was before it has, too. */
  const FENCE = { jsonrpc: '2.0', method: 'notifications/fence' }

  test.each(['', 'statefulMode: stateless'])(
    'it reaches no target if it is no notification (%s)',
    async (extra) => {
      await run(RULES, extra)
      const session = extra === '' ? await openSession(gateway.mcp) : {}
      await post(gateway.mcp, callOf(1, 'quick'), session)
      server.seen.length = 0
      for (const message of WITHOUT_ID) expect((await post(gateway.mcp, message, session)).status).toBe(202)
      expect((await post(gateway.mcp, [...WITHOUT_ID, ...WITHOUT_ID], session)).status).toBe(202)
      await post(gateway.mcp, FENCE, session)
      await server.arrived(isMethod('notifications/fence'))
      expect(WITHOUT_ID.flatMap(reaches)).toEqual([])
    },
  )

  test('it reaches no target over the old transport', async () => {
    await run(RULES)
    const leaving = new AbortController()
    const events = sseEvents(await fetch(`${gateway.url}/sse`, { signal: leaving.signal }))
    const url = `${gateway.url}${(await events.next()).value?.data}`
    await post(url, initialize())
    await events.next()
    server.seen.length = 0
    for (const message of WITHOUT_ID) await post(url, message)
    await post(url, FENCE)
    await server.arrived(isMethod('notifications/fence'))
    expect(WITHOUT_ID.flatMap(reaches)).toEqual([])
    leaving.abort()
  })

  test('it reaches no target from a client of 2026-07-28', async () => {
    await run(RULES)
    for (const method of ['tools/call', 'notifications/x']) {
      const { message, headers } = modern(1, method, { name: 'echo', arguments: {} })
      const { id: _, ...withoutId } = message
      expect((await post(gateway.mcp, withoutId, headers)).status).toBe(202)
    }
    await postModern(gateway.mcp, modern(2, 'tools/call', { name: 'quick' }))
    expect(
      server.all(({ params, method }) => params.name === 'echo' || method === 'notifications/x'),
    ).toEqual([])
  })

  test('it reaches the target if it is a notification', async () => {
    await run(RULES)
    const session = await openSession(gateway.mcp)
    const message = {
      jsonrpc: '2.0',
      method: 'notifications/roots/list_changed',
      params: { _meta: { a: 1 } },
    }
    await post(gateway.mcp, message, session)
    expect((await server.arrived(isMethod(message.method))).message).toEqual(message)
  })
})

describe('with rules', () => {
  const HIDDEN = (missing: Json) => async (): Promise<void> => {
    await run(RULES)
    server.script = ({ method, message }, response) =>
      method?.startsWith('resources/') === true && json(response, 200, { id: message.id, error: missing })
    const session = await openSession(gateway.mcp)
    const answers: unknown[] = []
    for (const name of ['secret', 'absent']) {
      const { status, headers, text } = await post(
        gateway.mcp,
        request(1, 'resources/read', { uri: `memo:${name}` }),
        session,
      )
      answers.push([status, headers.get('content-type'), text.replaceAll(name, '…')])
    }
    expect(answers[0]).toEqual(answers[1])
    expect(server.all(({ params }) => params.uri === 'memo:secret')).toEqual([])
  }

  test(
    'it looks the same whether a resource is denied or missing',
    HIDDEN({ code: -32002, message: 'Resource not found', data: { uri: 'memo:absent' } }),
  )
  test(
    'it looks the same whether a resource is denied or missing at a server of 2026-07-28',
    HIDDEN({ code: -32602, message: 'No such resource: memo:absent' }),
  )

  test('it looks the same for a client of 2026-07-28', async () => {
    await run(RULES)
    server.script = ({ method, message }, response) =>
      method === 'resources/read' &&
      json(response, 200, { id: message.id, error: { code: -32002, message: 'none' } })
    const answers = await Promise.all(
      ['secret', 'absent'].map((name) =>
        postModern(gateway.mcp, modern(1, 'resources/read', { uri: `memo:${name}` })),
      ),
    )
    const [denied, missing] = answers.map(({ status, text, messages }, index) => [
      status,
      (text || JSON.stringify(messages)).replaceAll(index === 0 ? 'secret' : 'absent', '…'),
    ])
    expect(denied).toEqual(missing)
  })

  test('it looks the same whether a tool is denied or missing', async () => {
    await run(RULES)
    const session = await openSession(gateway.mcp)
    const answers: unknown[] = []
    for (const name of ['secret', 'absent']) {
      const { status, text } = await post(gateway.mcp, callOf(1, name), session)
      answers.push([status, text.replaceAll(name, '…')])
    }
    expect(answers[0]).toEqual(answers[1])
  })

  test('it looks the same whether the resource of a completion is denied or missing', async () => {
    await run(RULES)
    server.script = ({ method, message }, response) =>
      method === 'completion/complete' &&
      json(response, 200, { id: message.id, error: { code: -32602, message: 'Resource not found' } })
    const session = await openSession(gateway.mcp)
    const answers: unknown[] = []
    for (const name of ['secret', 'absent']) {
      const params = {
        ref: { type: 'ref/resource', uri: `memo:${name}` },
        argument: { name: 'x', value: 'y' },
      }
      const { status, text } = await post(gateway.mcp, request(1, 'completion/complete', params), session)
      answers.push([status, text.replaceAll(name, '…')])
    }
    expect(answers[0]).toEqual(answers[1])
  })

  test.each(['tools/callAll', 'x-private/do', 'constructor', '__proto__'])(
    'it does not pass %s on to a lone target',
    async (method) => {
      await run(RULES)
      const session = await openSession(gateway.mcp)
      server.seen.length = 0
      const { messages } = await post(gateway.mcp, request(1, method, { name: 'secret' }), session)
      expect(messages).toMatchObject([{ id: 1, error: { code: -32601 } }])
      expect(server.all(isMethod(method))).toEqual([])
    },
  )

  test('it passes an unknown method on to a lone target where there are none', async () => {
    await run()
    const session = await openSession(gateway.mcp)
    await post(gateway.mcp, request(1, 'x-private/do', { a: 1 }), session)
    expect(server.all(isMethod('x-private/do'))).toHaveLength(1)
  })
})

describe('an OpenAPI target', () => {
  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'nope'])(
    'it has no method %s',
    async (method) => {
      const document = `{openapi: 3.0.0, info: {title: x, version: "1"}, paths: {/a: {get: {operationId: geta, responses: {}}}}}`
      const running = await runGateway(
        mcpYaml([
          `{name: shop, openapi: {host: "http://127.0.0.1:${server.port}", schema: {inline: ${document}}}}`,
        ]),
      )
      gateway = { ...running, mcp: `${running.url}/mcp` }
      const session = await openSession(gateway.mcp)
      const { messages } = await post(gateway.mcp, request('id', method), session)
      expect(messages).toMatchObject([{ jsonrpc: '2.0', id: 'id', error: { code: -32601 } }])
    },
  )
})
