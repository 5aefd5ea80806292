/** Clients that break JSON, JSON-RPC or the transport: a status, an error body and one record each, and no more. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../../support/gateway.ts'
import { stdioTarget } from '../../support/mcp.ts'
import { send } from '../../support/wire.ts'
import {
  expectRpcError,
  initializeRequest,
  JSON_RPC,
  LATEST,
  openSession,
  openStream,
  post,
  recordCounter,
  request,
  type Session,
  STDIO_SERVER,
} from './client.fixture.ts'

let gateway: RunningGateway
let session: Session
let url: string
let legacyUrl: string
let records: ReturnType<typeof recordCounter>

beforeAll(async () => {
  gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: one, ${stdioTarget(STDIO_SERVER, 'well')}}
`)
  url = `${gateway.url}/mcp`
  legacyUrl = `${gateway.url}/sse`
  session = await openSession(gateway.url)
  await gateway.recorded(2)
  records = recordCounter(gateway)
})
afterAll(() => gateway.close())
beforeEach(() => records.skip())

/** The session still works, and nothing but its own record has been added. */
async function expectServing() {
  expect(await session.said('echo', { message: 'still here' })).toBe('still here')
  await records.next()
}

const CALL = request(5, 'tools/call', { name: 'echo', arguments: { message: 'x' } })
const text = (value: unknown) => JSON.stringify(value)

describe('a body that is no message', () => {
  test.each([
    { name: 'an empty body', body: '' },
    { name: 'blanks', body: '  \n' },
    { name: 'half a message', body: text(CALL).slice(0, -5) },
    { name: 'two messages', body: `${text(CALL)}${text(CALL)}` },
    { name: 'NaN as id', body: '{"jsonrpc":"2.0","id":NaN,"method":"ping"}' },
    { name: 'HTML', body: '<html></html>' },
    { name: 'a byte order mark and nothing else', body: '\ufeff' },
    { name: 'a null byte behind the message', body: `${text(CALL)}\u0000` },
    { name: 'an endless array', body: '['.repeat(200_000) },
  ])('it answers $name with 400 and -32700', async ({ body }) => {
    const answer = await session.post(body)
    expectRpcError(answer, 400, -32700)
    await records.next()
    await expectServing()
  })

  test.each([
    { name: 'null', body: null },
    { name: 'a number', body: 5 },
    { name: 'a text', body: '"ping"' },
    { name: 'true', body: true },
    { name: 'an empty object', body: {} },
    { name: 'another version of JSON-RPC', body: { ...CALL, jsonrpc: '1.0' }, ids: [null, 5] },
    { name: 'version 2.0 as a number', body: { ...CALL, jsonrpc: 2 }, ids: [null, 5] },
    { name: 'no version', body: { id: 5, method: 'ping' }, ids: [null, 5] },
    { name: 'no method', body: { jsonrpc: '2.0', id: 5 }, ids: [null, 5] },
    { name: 'a number as method', body: { ...CALL, method: 5 }, ids: [null, 5] },
    { name: 'params that are an array', body: { ...CALL, params: ['echo'] }, ids: [null, 5] },
    { name: 'params that are a text', body: { ...CALL, params: 'echo' }, ids: [null, 5] },
    { name: 'null as id', body: { ...CALL, id: null } },
    { name: 'an object as id', body: { ...CALL, id: { a: 1 } } },
    { name: 'an array as id', body: { ...CALL, id: [1] } },
    { name: 'true as id', body: { ...CALL, id: true } },
    {
      name: 'result and error at once',
      body: { jsonrpc: '2.0', id: 5, result: {}, error: { code: 1, message: '' } },
      ids: [null, 5],
    },
    { name: 'an error that is a text', body: { jsonrpc: '2.0', id: 5, error: 'no' }, ids: [null, 5] },
    { name: 'an empty batch', body: [] },
    { name: 'a batch with one bad message', body: [CALL, { jsonrpc: '2.0', id: {}, method: 'ping' }] },
    { name: 'a batch of batches', body: [[CALL]] },
  ])('it answers $name with 400 and -32600', async ({ body, ids = [null] }) => {
    const answer = await session.post(body)
    expect({ status: answer.status, said: answer.body.slice(0, 200) }).toMatchObject({ status: 400 })
    expect(ids as unknown[]).toContain(answer.messages[0]?.id)
    expectRpcError(answer, 400, -32600, answer.messages[0]?.id)
    await records.next()
    await expectServing()
  })
})

describe('a body that is large', () => {
  test('it passes on an argument of 10 MB', async () => {
    const message = 'm'.repeat(10 * 1024 * 1024)
    const said = await session.said('echo', { message })
    expect(said.length).toBe(message.length)
    await records.next()
    await expectServing()
  })

  test.each(['arguments', '_meta'])('it survives %s nested deeper than a stack is', async (key) => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const answer = await session.post(
      `{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"report","${key}":{"deep":${deep}}}}`,
    )
    expect([200, 400]).toContain(answer.status)
    expect(answer.messages).toHaveLength(1)
    await records.next()
    await expectServing()
  })

  test('it answers deep nesting in the place of a message with 400', async () => {
    const answer = await session.post(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)
    expectRpcError(answer, 400, -32600)
    await records.next()
    await expectServing()
  })

  test.each(['content-length', 'chunked'])('it answers a body over the limit (%s) with 413', async (how) => {
    const small = await runGateway(`
frontendPolicies: {http: {maxBufferSize: 10000}}
mcp:
  port: 0
  targets:
  - {name: one, ${stdioTarget(STDIO_SERVER, 'well')}}
`)
    try {
      const own = await openSession(small.url)
      await small.recorded(2)
      const counter = recordCounter(small)
      const body = text(
        request(1, 'tools/call', { name: 'echo', arguments: { message: 'x'.repeat(20_000) } }),
      )
      const headers: Record<string, string> = how === 'chunked' ? { 'transfer-encoding': 'chunked' } : {}
      const answer = await own.post(body, headers)
      expectRpcError(answer, 413, undefined)
      await counter.next()
      expect(await own.said('echo', { message: 'on' })).toBe('on')
    } finally {
      await small.close()
    }
  })
})

describe('headers', () => {
  test.each([
    { name: 'no Accept for the event stream', headers: { accept: 'application/json' } },
    { name: 'no Accept for JSON', headers: { accept: 'text/event-stream' } },
    { name: 'Accept for HTML', headers: { accept: 'text/html' } },
    { name: 'an empty Accept', headers: { accept: '' } },
    { name: 'JSON refused by q=0', headers: { accept: 'application/json;q=0, text/event-stream' } },
  ])('it answers $name with 406', async ({ headers }) => {
    expectRpcError(await session.post(CALL, headers), 406, undefined)
    await records.next()
    await expectServing()
  })

  test('it answers a missing Accept with 406', async () => {
    const reply = await send(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'mcp-session-id': session.id },
      body: text(CALL),
    })
    expect(reply.status).toBe(406)
    expect(JSON.parse(reply.body)).toMatchObject({
      jsonrpc: '2.0',
      id: null,
      error: { code: expect.any(Number) },
    })
    await records.next()
    await expectServing()
  })

  test.each([
    'application/json,text/event-stream',
    'APPLICATION/JSON; q=0.9, Text/Event-Stream; q=0.1',
    'text/event-stream, text/html, application/json; charset=utf-8',
  ])('it takes Accept: %s', async (accept) => {
    const answer = await session.post(CALL, { accept })
    expect(answer.status).toBe(200)
    await records.next()
  })

  test.each(['text/plain', 'application/jsonp', 'multipart/form-data', '', 'text/plain; a=application/json'])(
    'it answers Content-Type "%s" with 415',
    async (type) => {
      expectRpcError(await session.post(CALL, { 'content-type': type }), 415, undefined)
      await records.next()
      await expectServing()
    },
  )

  test('it answers a missing Content-Type with 415', async () => {
    const reply = await send(url, {
      method: 'POST',
      headers: { accept: JSON_RPC.accept, 'mcp-session-id': session.id },
      body: text(CALL),
    })
    expect(reply.status).toBe(415)
    await records.next()
  })

  test.each(['application/json; charset=utf-8', 'Application/JSON'])(
    'it takes Content-Type %s',
    async (type) => {
      expect((await session.post(CALL, { 'content-type': type })).status).toBe(200)
      await records.next()
    },
  )

  test.each(['1999-01-01', 'latest', '__proto__', 'constructor', '2025-11-25, 2025-06-18', 'x'.repeat(500)])(
    'it answers protocol version %j with 400 and the versions that it knows',
    async (version) => {
      const answer = await session.post(CALL, { 'mcp-protocol-version': version })
      expectRpcError(answer, 400, undefined, answer.messages[0]?.id)
      expect([null, 5]).toContain(answer.messages[0]?.id)
      expect(answer.messages[0]?.error?.data).toEqual({
        supported: expect.arrayContaining(['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']),
        requested: version,
      })
      await records.next()
      await expectServing()
    },
  )
})

describe('sessions', () => {
  const STRANGE = [
    { name: 'one that nobody has', id: '3f0b9d3e-57a1-4b0e-9d1d-2f6a3b7c8d9e' },
    { name: 'a path', id: '../../etc/passwd' },
    { name: '__proto__', id: '__proto__' },
    { name: 'constructor', id: 'constructor' },
    { name: 'blanks', id: 'a b c' },
    { name: 'quotes', id: '"\'`$()' },
    { name: 'percent signs', id: '%00%0a%0d' },
    { name: 'Latin-1', id: 'é\u00ff' },
    { name: '10 kB', id: 'x'.repeat(10_000) },
    { name: 'base64 of JSON', id: Buffer.from('{"t":"mcp","s":[]}').toString('base64url') },
    {
      name: 'base64 of another target',
      id: Buffer.from('{"t":"mcp","s":[{"t":"x","s":"y"}]}').toString('base64'),
    },
  ]
  test.each(STRANGE)('it does not know a session id: $name', async ({ name, id }) => {
    const answer = await post(url, CALL, { 'mcp-session-id': id })
    if (name === 'one that nobody has') expect(answer.status).toBe(404)
    expect([400, 404]).toContain(answer.status)
    expectRpcError(answer, answer.status, undefined, answer.messages[0]?.id)
    await records.next()
    await expectServing()
  })

  test.each(STRANGE)('it says so to GET and DELETE as well: $name', async ({ id }) => {
    const headers = { 'mcp-session-id': id }
    const got = await send(url, { headers: { ...headers, accept: 'text/event-stream' } })
    expect([400, 404]).toContain(got.status)
    const deleted = await send(url, { method: 'DELETE', headers })
    expect([202, 204, 400, 404]).toContain(deleted.status)
    await records.next(2)
    await expectServing()
  })

  test.each([
    { name: 'a request', message: CALL },
    { name: 'a notification', message: { jsonrpc: '2.0', method: 'notifications/initialized' } },
    { name: 'an answer', message: { jsonrpc: '2.0', id: 1, result: {} } },
  ])('it answers $name without a session with 400', async ({ message }) => {
    const answer = await post(url, message)
    expectRpcError(answer, 400, undefined, answer.messages[0]?.id)
    expect([null, 5]).toContain(answer.messages[0]?.id)
    await records.next()
  })

  test.each(['GET', 'DELETE'])('it answers %s without a session with 400', async (method) => {
    const reply = await send(url, { method, headers: { accept: 'text/event-stream' } })
    expect(reply.status).toBe(400)
    await records.next()
  })

  test('it opens no session in a batch with initialize', async () => {
    const before = await gateway.metric('agentgateway_mcp_sessions_active')
    const answer = await post(url, [initializeRequest(), initializeRequest()])
    expect(answer.status).toBe(400)
    expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(before)
    await records.next()
  })

  test('it keeps a session on which the client initializes once more', async () => {
    const before = await gateway.metric('agentgateway_mcp_sessions_active')
    const again = await session.post(initializeRequest())
    expect([200, 400]).toContain(again.status)
    const other = again.headers['mcp-session-id']
    const isNew = other !== undefined && other !== session.id
    expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(before + (isNew ? 1 : 0))
    await records.next()
    await expectServing()
  })

  test.each([
    { name: 'no params', params: undefined },
    { name: 'no protocol version', params: { capabilities: {}, clientInfo: { name: 'a', version: '1' } } },
    {
      name: 'a version that is a number',
      params: { protocolVersion: 7, capabilities: {}, clientInfo: { name: 'a', version: '1' } },
    },
    { name: 'no client info', params: { protocolVersion: LATEST, capabilities: {} } },
    {
      name: 'capabilities that are a text',
      params: { protocolVersion: LATEST, capabilities: 'all', clientInfo: { name: 'a', version: '1' } },
    },
  ])('it leaves no session behind a refused initialize with $name', async ({ params }) => {
    const before = await gateway.metric('agentgateway_mcp_sessions_active')
    const answer = await post(url, request('i', 'initialize', params))
    expect([200, 400]).toContain(answer.status)
    const opened = answer.headers['mcp-session-id']
    expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(
      before + (opened === undefined ? 0 : 1),
    )
    if (answer.status === 400 || opened === undefined)
      expect(answer.messages[0]?.error?.code).toEqual(expect.any(Number))
    await records.next()
    if (typeof opened === 'string') {
      await send(url, { method: 'DELETE', headers: { 'mcp-session-id': opened } })
      await records.next()
    }
    await expectServing()
  })

  test('it answers initialize for a version of the future with one that it knows', async () => {
    const answer = await post(url, initializeRequest('2099-01-01'))
    expect(answer.status).toBe(200)
    await records.next()
    await send(url, {
      method: 'DELETE',
      headers: { 'mcp-session-id': String(answer.headers['mcp-session-id']) },
    })
    await records.next()
  })

  test('it does not know a session that its client ended', async () => {
    const own = await openSession(gateway.url)
    expect([200, 202, 204]).toContain((await own.end()).status)
    expect((await own.call('echo', { message: 'x' })).status).toBe(404)
    await records.next(4)
    await expectServing()
  })
})

describe('methods of HTTP', () => {
  test.each(['PUT', 'PATCH'])('it answers %s with 405 and what is allowed', async (method) => {
    const reply = await send(url, { method, headers: { ...JSON_RPC, ...session.headers }, body: text(CALL) })
    expect(reply.status).toBe(405)
    for (const allowed of ['GET', 'POST', 'DELETE']) expect(reply.headers.allow).toContain(allowed)
    await records.next()
    await expectServing()
  })

  test.each([
    { name: 'without sessionId', query: '', status: 422 },
    { name: 'with an empty sessionId', query: '?sessionId=', status: [404, 422] },
    {
      name: 'with an unknown sessionId',
      query: '?sessionId=3f0b9d3e-57a1-4b0e-9d1d-2f6a3b7c8d9e',
      status: 404,
    },
    { name: 'with __proto__', query: '?sessionId=__proto__', status: 404 },
    { name: 'with a broken escape', query: '?sessionId=%E0%A4%A', status: [400, 404, 422] },
    { name: 'with two of them', query: '?sessionId=a&sessionId=b', status: [404, 422] },
  ])('it answers a legacy POST $name', async ({ query, status }) => {
    const answer = await post(`${legacyUrl}${query}`, CALL)
    expect([status].flat()).toContain(answer.status)
    expectRpcError(answer, answer.status, undefined, answer.messages[0]?.id)
    await records.next()
    await expectServing()
  })

  test('it does not take the id of one transport for a session of the other', async () => {
    const answer = await post(`${legacyUrl}?sessionId=${encodeURIComponent(session.id)}`, CALL)
    expect(answer.status).toBe(404)
    await records.next()
    await expectServing()
  })

  test.each(['PUT', 'DELETE', 'PATCH'])('it answers %s on /sse with 405', async (method) => {
    const reply = await send(legacyUrl, { method, headers: JSON_RPC, body: text(CALL) })
    expect(reply.status).toBe(405)
    expect(reply.headers.allow).toContain('GET')
    await records.next()
  })

  test('it answers what is malformed on a legacy session, too, and ends with the stream', async () => {
    const leave = new AbortController()
    const { response } = await openStream(legacyUrl, {}, leave.signal)
    response.setEncoding('utf8')
    const endpoint = await new Promise<string>((resolve) => {
      let heard = ''
      response.on('error', () => {})
      response.on('data', (piece: string) => {
        heard += piece
        const found = /event: ?endpoint\r?\ndata: ?(.*)\r?\n\r?\n/.exec(heard)
        if (found?.[1] !== undefined) resolve(found[1])
      })
    })
    const messageUrl = new URL(endpoint, legacyUrl).href
    expect((await post(messageUrl, '{')).status).toBe(400)
    expect((await post(messageUrl, [])).status).toBe(400)
    expect((await post(messageUrl, initializeRequest())).status).toBe(202)
    await records.next(3)
    leave.abort()
    await records.next()
    await expect.poll(async () => (await post(messageUrl, CALL)).status).toBe(404)
  })
})

describe('names that objects have', () => {
  test('it passes on own __proto__ and constructor keys of arguments', async () => {
    const args = '{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}},"a":1}'
    const answer = await session.post(
      `{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"arguments","arguments":${args},"__proto__":{"name":"secret"}}}`,
    )
    const content = answer.messages[0]?.result?.content as [{ text: string }] | undefined
    expect(content?.[0].text).toBe(args)
    expect(({} as { polluted?: string }).polluted).toBeUndefined()
    await records.next()
  })

  test('it passes on own __proto__ and constructor keys of results', async () => {
    const answer = await session.call('proto')
    expect(answer.body).toContain(
      '"structuredContent":{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}},"hasOwnProperty":1}',
    )
    expect(({} as { polluted?: string }).polluted).toBeUndefined()
    await records.next()
  })

  test('it does not find a method in the prototype of a message', async () => {
    const answer = await session.post('{"__proto__":{"method":"ping","jsonrpc":"2.0","id":1}}')
    expectRpcError(answer, 400, -32600)
    await records.next()
  })

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', ''])(
    'it knows neither a tool, prompt, resource nor method of the name "%s"',
    async (name) => {
      for (const [method, params] of [
        ['tools/call', { name, arguments: {} }],
        ['prompts/get', { name }],
        ['resources/read', { uri: name }],
        ['completion/complete', { ref: { type: name, name }, argument: { name: 'a', value: '' } }],
        [name === '' ? 'x' : name, {}],
      ] as const) {
        const answer = await session.ask(method, params, 31)
        expect(answer.status).toBeLessThan(501)
        expect(answer.messages).toHaveLength(1)
        expect(answer.messages[0]).toMatchObject({ jsonrpc: '2.0', id: 31 })
        await records.next()
      }
      await expectServing()
    },
  )

  test.each([
    { name: 'no params', params: undefined },
    { name: 'no name', params: {} },
    { name: 'a name that is a number', params: { name: 5 } },
    { name: 'a name that is an object', params: { name: { toString: 'x' } } },
    { name: 'arguments that are a text', params: { name: 'echo', arguments: 'x' } },
    { name: 'arguments that are an array', params: { name: 'arguments', arguments: [1] } },
  ])('it answers a tool call with $name once', async ({ params }) => {
    const answer = await session.ask('tools/call', params, 32)
    expect([200, 400]).toContain(answer.status)
    expect(answer.messages).toHaveLength(1)
    expect(answer.messages[0]).toMatchObject({ id: 32 })
    await records.next()
    await expectServing()
  })
})

describe('ids', () => {
  test.each([0, -1, 1.5, 2 ** 53, '', '0', 'x'.repeat(10_000), '__proto__', 'agw_one_n_1', '\u0000\n'])(
    'it gives back the id %j as it was',
    async (id) => {
      const answer = await session.call('echo', { message: 'x' }, id)
      expect(answer.status).toBe(200)
      expect(answer.messages.at(-1)?.id).toBe(id)
      await records.next()
    },
  )

  test('it tells requests with the same id apart, or refuses the second', async () => {
    const first = session.call('hold', { key: 'twin' }, 40)
    await expect
      .poll(async () => (await session.said('report')).match(/tools\/call/g)?.length)
      .toBeGreaterThan(1)
    const second = await session.call('echo', { message: 'second' }, 40)
    if (second.status === 200) expect(JSON.stringify(second.messages)).toContain('"second"')
    else expectRpcError(second, 400, undefined, second.messages[0]?.id)
    await expect.poll(() => session.said('release', { key: 'twin' })).toBe('released')
    const answer = await first
    expect(JSON.stringify(answer.messages)).toContain('held twin')
    expect(answer.messages.at(-1)?.id).toBe(40)
    await records.skip()
    await expectServing()
  })

  test('it tells the number 1 from the text "1"', async () => {
    const [number, string] = await Promise.all([
      session.call('echo', { message: 'number' }, 1),
      session.call('echo', { message: 'text' }, '1'),
    ])
    expect(number.messages).toEqual([expect.objectContaining({ id: 1 })])
    expect(number.body).toContain('number')
    expect(string.messages).toEqual([expect.objectContaining({ id: '1' })])
    expect(string.body).toContain('"text":"text"')
    await records.next(2)
  })

  test.each([99, 'agw_one_n_1', 'agw_', 'agw___proto___n_1', 'agw_one_s_constructor', '__proto__'])(
    'it does nothing with an answer to a question that nobody asked: %j',
    async (id) => {
      for (const outcome of [{ result: {} }, { error: { code: 1, message: 'no' } }]) {
        const answer = await session.post({ jsonrpc: '2.0', id, ...outcome })
        expect([202, 400]).toContain(answer.status)
        if (answer.status === 202) expect(answer.body).toBe('')
        await records.next()
      }
      await expectServing()
    },
  )

  test.each([
    { name: 'progress', method: 'notifications/progress', params: { progressToken: 'none', progress: 1 } },
    { name: 'cancel', method: 'notifications/cancelled', params: { requestId: 4711 } },
    { name: 'cancel without an id', method: 'notifications/cancelled', params: {} },
    { name: 'cancel without params', method: 'notifications/cancelled', params: undefined },
    { name: 'cancel of an object', method: 'notifications/cancelled', params: { requestId: { a: 1 } } },
    { name: 'an unknown notification', method: 'notifications/__proto__', params: {} },
  ])('it takes $name of nothing', async ({ method, params }) => {
    const answer = await session.post({ jsonrpc: '2.0', method, ...(params && { params }) })
    expect({ status: answer.status, body: answer.body }).toEqual({ status: 202, body: '' })
    await records.next()
    await expectServing()
  })

  test("it leaves another session's call alone when its id is cancelled", async () => {
    const other = await openSession(gateway.url)
    const call = session.call('hold', { key: 'mine' }, 50)
    await expect.poll(() => session.said('report')).toContain('tools/call')
    for (const requestId of [50, '50', 1, 2, 3])
      await other.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } })
    await expect.poll(() => session.said('release', { key: 'mine' })).toBe('released')
    expect(JSON.stringify((await call).messages)).toContain('held mine')
    expect(await session.said('report')).not.toContain('cancelled for another')
    await other.end()
    await records.skip()
  })
})

test('it stands a flood of notifications, with a record of each', async () => {
  const before = gateway.records().length
  const count = 1500
  for (let sent = 0; sent < count; sent += 50)
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const answer = await session.post({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' })
        expect(answer.status).toBe(202)
      }),
    )
  await gateway.recorded(before + count)
  expect(gateway.records()).toHaveLength(before + count)
  await records.skip()
  await expectServing()
  expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
})
