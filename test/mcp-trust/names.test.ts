/** Names of several servers while one of them fails: nobody answers in another's place, and nothing is lost. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  isCall,
  isMethod,
  json,
  mcpYaml,
  runFor,
  type ScriptedServer,
  startScripted,
  targetOf,
} from '../mcp-lifetime/scripted-server.fixture.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { type Answer, callOf, type Json, openSession, post, request } from '../support/mcp-lab.ts'

let a: ScriptedServer
let b: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
beforeEach(async () => {
  a = await startScripted()
  b = await startScripted()
})
afterEach(async () => {
  await gateway.close()
  await Promise.all([a.close(), b.close()])
})

const tools = (...names: string[]) => names.map((name) => ({ name, inputSchema: { type: 'object' } }))

describe('prefixMode never', () => {
  /** `echo` is at both. */
  async function run(): Promise<void> {
    a.script = ({ method, message }, response) =>
      method === 'tools/list' &&
      json(response, 200, { id: message.id, result: { tools: tools('echo', 'mine') } })
    gateway = await runFor([a, b], mcpYaml([targetOf('a', a), targetOf('b', b)], 'prefixMode: never'))
  }
  const refused = async (name: string, session: Record<string, string>) => {
    const { status, messages } = await post(gateway.mcp, callOf(1, name), session)
    expect(messages).toMatchObject([{ id: 1, error: { code: expect.any(Number) } }])
    expect(status).toBeGreaterThanOrEqual(400)
    expect([...a.all(isCall()), ...b.all(isCall())]).toEqual([])
    return messages[0]?.error as Json
  }

  test('it refuses an ambiguous name, also while one of its servers is away', async () => {
    await run()
    const before = await openSession(gateway.mcp)
    expect(await refused('echo', before)).toMatchObject({ message: expect.stringContaining('Ambiguous') })
    await a.close()
    expect(await refused('echo', before)).toMatchObject({ message: expect.stringContaining('Ambiguous') })
    expect(await refused('echo', await openSession(gateway.mcp))).toMatchObject({
      message: expect.stringContaining('Ambiguous'),
    })
  })

  test('it refuses it to a session that began while one is away, where nobody had asked before', async () => {
    await run()
    await a.close()
    await refused('echo', await openSession(gateway.mcp))
  })

  test('it gives a name of a server that is away to nobody else', async () => {
    await run()
    await a.close()
    await refused('mine', await openSession(gateway.mcp))
  })

  test('it calls what only the other has', async () => {
    await run()
    await a.close()
    const session = await openSession(gateway.mcp)
    expect((await post(gateway.mcp, callOf(1, 'quick'), session)).status).toBe(200)
    expect(b.all(isCall('quick'))).toHaveLength(1)
  })
})

describe('a list in pages', () => {
  /** Each server has three pages, `<name>0` to `<name>2`. */
  function paged(server: ScriptedServer, name: string, fails: () => boolean): void {
    server.script = ({ method, params, message }, response) => {
      if (method !== 'tools/list') return false
      const page = Number(String(params.cursor ?? '0').replace(name, ''))
      if (page > 0 && fails())
        return json(response, 200, { id: message.id, error: { code: -32603, message: 'boom' } })
      const more = page < 2 ? { nextCursor: `${name}${page + 1}` } : {}
      return json(response, 200, { id: message.id, result: { tools: tools(`t${page}`), ...more } })
    }
  }
  const listIn = ({ messages }: Answer) =>
    (messages.at(-1) as Json).result as {
      readonly tools: readonly { name: string }[]
      readonly nextCursor?: string
    }
  const cursors = (server: ScriptedServer) =>
    server.all(isMethod('tools/list')).map(({ params }) => params.cursor)

  test('it is gone on with where a server failed on a later page', async () => {
    let isBroken = false
    gateway = await runFor([a, b], mcpYaml([targetOf('a', a), targetOf('b', b)]))
    paged(a, 'a', () => isBroken)
    paged(b, 'b', () => false)
    const session = await openSession(gateway.mcp)
    const page = async (cursor?: string) => {
      const params = cursor === undefined ? {} : { cursor }
      const { tools: listed, nextCursor } = listIn(
        await post(gateway.mcp, request(1, 'tools/list', params), session),
      )
      return { names: listed.map(({ name }) => name), nextCursor }
    }
    const first = await page()
    expect(first.names).toEqual(['a_t0', 'b_t0'])
    isBroken = true
    const second = await page(first.nextCursor)
    expect(second.names).toEqual(['b_t1'])
    isBroken = false
    const third = await page(second.nextCursor)
    expect(third.names).toEqual(['a_t1', 'b_t2'])
    const fourth = await page(third.nextCursor)
    expect(fourth).toEqual({ names: ['a_t2'], nextCursor: undefined })
    expect(cursors(a)).toEqual([undefined, 'a1', 'a1', 'a2'])
    expect(cursors(b)).toEqual([undefined, 'b1', 'b2'])
  })

  test('it is an error when everybody failed on a later page, and the cursor holds for another try', async () => {
    let isBroken = true
    gateway = await runFor([a, b], mcpYaml([targetOf('a', a), targetOf('b', b)]))
    for (const [server, name] of [
      [a, 'a'],
      [b, 'b'],
    ] as const)
      paged(server, name, () => isBroken)
    const session = await openSession(gateway.mcp)
    const { nextCursor } = listIn(await post(gateway.mcp, request(1, 'tools/list'), session))
    const ask = async () =>
      (await post(gateway.mcp, request(2, 'tools/list', { cursor: nextCursor }), session)).messages[0]
    expect(await ask()).toMatchObject({ id: 2, error: { message: 'boom' } })
    isBroken = false
    expect(await ask()).toMatchObject({ result: { tools: [{ name: 'a_t1' }, { name: 'b_t1' }] } })
  })
})
