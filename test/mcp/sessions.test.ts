/** Sessions as a client sees them: what is refused, what ends them, and what a broken stream can pick up again. */
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { connectClient, stdioTarget } from '../support/mcp.ts'
import {
  callOf,
  eventually,
  FIXTURE,
  initialize,
  type Json,
  type Lab,
  openSession,
  post,
  postRaw,
  request,
  type SseEvent,
  sseEvents,
  startLab,
} from '../support/mcp-lab.ts'

const open: { close: () => Promise<unknown> }[] = []
afterAll(() => Promise.all(open.map((one) => one.close())))

async function gatewayOf(yaml: string): Promise<RunningGateway> {
  const gateway = await runGateway(yaml)
  open.push(gateway)
  return gateway
}

async function labOf(name: string): Promise<Lab> {
  const lab = await startLab({ name })
  open.push({ close: lab.stop })
  return lab
}

const get = (url: string, headers: Record<string, string>, signal?: AbortSignal) =>
  fetch(url, { headers: { accept: 'text/event-stream', ...headers }, ...(signal && { signal }) })

const end = (url: string, headers: Record<string, string>) => fetch(url, { method: 'DELETE', headers })

describe('a gateway with sessions', () => {
  let one: Lab
  let two: Lab
  let url: string
  let gateway: RunningGateway
  beforeAll(async () => {
    one = await labOf('one')
    two = await labOf('two')
    gateway = await gatewayOf(
      `mcp: {port: 0, targets: [{name: one, mcp: {host: "${one.url}"}}, {name: two, mcp: {host: "${two.url}"}}]}`,
    )
    url = `${gateway.url}/mcp`
  })

  test('it gives every client an id of its own', async () => {
    const [first, second] = await Promise.all([openSession(url), openSession(url)])
    expect(first['mcp-session-id']).not.toBe(second['mcp-session-id'])
  })

  test('it sends each server its own id, never the id of the client', async () => {
    const session = await openSession(url)
    await post(url, callOf(1, 'one_echo', { message: 'x' }), session)
    const seen = one.received.map(({ headers }) => headers['mcp-session-id']).filter(Boolean)
    expect(seen.length).toBeGreaterThan(0)
    expect(seen).not.toContain(session['mcp-session-id'])
  })

  test('it ends a session and those of its servers on DELETE, and knows it no more', async () => {
    const closed = () => one.events.filter((line) => line === 'session closed').length
    const before = closed()
    const session = await openSession(url)
    const gone = await end(url, session)
    expect(gone.ok).toBe(true)
    await eventually(closed, (count) => count > before)
    expect((await post(url, request(1, 'ping'), session)).status).toBe(404)
    const stream = await get(url, session)
    await stream.body?.cancel()
    expect(stream.status).toBe(404)
  })

  test('it ends the streams of a session that is deleted', async () => {
    const session = await openSession(url)
    const stream = await get(url, session)
    expect(stream.status).toBe(200)
    const call = await postRaw(url, callOf(1, 'one_hang'), session)
    await end(url, session)
    await stream.text()
    await call.text()
  })

  test.each<[string, unknown, Record<string, string>, number]>([
    ['a request without a session', request(1, 'tools/list'), {}, 400],
    ['a notification without a session', { jsonrpc: '2.0', method: 'notifications/initialized' }, {}, 400],
    ['an unknown id', request(1, 'tools/list'), { 'mcp-session-id': crypto.randomUUID() }, 404],
    ['an id that nobody could have given', request(1, 'ping'), { 'mcp-session-id': 'x'.repeat(3000) }, 404],
    ['a body that is no JSON', '{', {}, 400],
    ['a body that is no message', { hello: 'world' }, {}, 400],
    ['another content type', initialize(), { 'content-type': 'text/plain' }, 415],
    ['a client that takes no stream', initialize(), { accept: 'application/json' }, 406],
    ['a client that takes no JSON', initialize(), { accept: 'text/event-stream' }, 406],
    ['an unknown protocol version', request(1, 'ping'), { 'mcp-protocol-version': '1999-01-01' }, 400],
  ])('it answers %s with %4$i', async (_, message, headers, status) => {
    const answer = await post(url, message, headers)
    expect(answer.status).toBe(status)
    expect(answer.messages).toMatchObject([{ jsonrpc: '2.0', error: { code: expect.any(Number) } }])
  })

  test('it accepts notifications and answers with 202 and nothing', async () => {
    const session = await openSession(url)
    const answer = await post(url, { jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, session)
    expect(answer).toMatchObject({ status: 202, text: '' })
  })

  test('it answers an unknown method with a JSON-RPC error, and the session lives on', async () => {
    const session = await openSession(url)
    const answer = await post(url, request(9, 'no/such'), session)
    expect(answer.messages).toMatchObject([{ id: 9, error: { code: expect.any(Number) } }])
    expect((await post(url, request(10, 'ping'), session)).messages).toMatchObject([{ id: 10, result: {} }])
  })

  test.each([
    ['a string', 'abc'],
    ['nought', 0],
    ['a large number', 2 ** 40],
  ])('it keeps an id that is %s', async (_, id) => {
    const session = await openSession(url)
    const { messages } = await post(url, callOf(id, 'one_echo', { message: 'x' }), session)
    expect(messages).toMatchObject([{ id, result: { content: [{ text: 'one says x' }] } }])
  })

  test('it gives the rest of an answer to a client whose stream broke', async () => {
    const session = await openSession(url)
    const stop = new AbortController()
    const label = 'broken'
    const response = await postRaw(
      url,
      callOf('long', 'one_steps', { label }, { progressToken: 't' }),
      session,
      { signal: stop.signal },
    )
    let last = ''
    for await (const event of sseEvents(response)) {
      if (event.id !== undefined) last = event.id
      if (event.message?.method === 'notifications/progress') break
    }
    stop.abort()
    expect(last).not.toBe('')
    one.release(label)
    const rest = await get(url, { ...session, 'last-event-id': last })
    expect(rest.status).toBe(200)
    const messages: Json[] = []
    for await (const { message } of sseEvents(rest)) {
      if (message !== undefined) messages.push(message)
      if (message?.id === 'long') break
    }
    expect(messages).toMatchObject([
      { method: 'notifications/progress', params: { progress: 2 } },
      { id: 'long', result: { content: [{ text: 'one did broken' }] } },
    ])
  })

  test('it does not take a broken stream for a cancelled call', async () => {
    const session = await openSession(url)
    const stop = new AbortController()
    const from = one.received.length
    const response = await postRaw(
      url,
      callOf(1, 'one_steps', { label: 'kept' }, { progressToken: 1 }),
      session,
      {
        signal: stop.signal,
      },
    )
    for await (const event of sseEvents(response)) if (event.message !== undefined) break
    stop.abort()
    await post(url, request(2, 'ping'), session)
    one.release('kept')
    await post(url, callOf(3, 'one_echo'), session)
    expect(one.received.slice(from).map(({ method }) => method)).not.toContain('notifications/cancelled')
  })

  test('it keeps what the standalone stream missed while it was broken', async () => {
    const session = await openSession(url)
    const stop = new AbortController()
    const stream = await get(url, session, stop.signal)
    expect(stream.status).toBe(200)
    const updated = (uri: string) => post(url, callOf(uri, 'two_touch', { uri }), session)
    await updated('memo:1')
    let seen: (SseEvent & { message?: Json }) | undefined
    for await (const event of sseEvents(stream))
      if (event.message?.method === 'notifications/resources/updated') {
        seen = event
        break
      }
    stop.abort()
    expect(seen?.id).toBeDefined()
    await updated('memo:2')
    await updated('memo:3')
    const again = await get(url, { ...session, 'last-event-id': seen?.id ?? '' })
    expect(again.status).toBe(200)
    const uris: unknown[] = []
    for await (const { message } of sseEvents(again)) {
      if (message?.method === 'notifications/resources/updated') uris.push((message.params as Json).uri)
      if (uris.length === 2) break
    }
    expect(uris).toEqual(['two+memo:2', 'two+memo:3'])
  })

  test('it gives nobody the events of another session', async () => {
    const [mine, theirs] = await Promise.all([openSession(url), openSession(url)])
    one.release('secret')
    const response = await postRaw(
      url,
      callOf(1, 'one_steps', { label: 'secret' }, { progressToken: 1 }),
      mine,
    )
    const events: SseEvent[] = []
    for await (const event of sseEvents(response)) events.push(event)
    const stop = new AbortController()
    const foreign = await get(url, { ...theirs, 'last-event-id': events[0]?.id ?? 'none' }, stop.signal)
    // Whatever the answer is: what is said on it next is what the other session did.
    const call = post(url, callOf(5, 'two_touch', { uri: 'memo:own' }), theirs)
    let first: Json | undefined
    if (foreign.status === 200)
      for await (const { message } of sseEvents(foreign)) {
        first = message
        break
      }
    await call
    stop.abort()
    expect(JSON.stringify(first ?? {})).not.toContain('secret')
  })

  test('it tells an official client that has no stream open of changes once it has', async () => {
    const client = await connectClient(gateway.url)
    const changed = new Promise<void>((resolve) =>
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve()),
    )
    await client.callTool({ name: 'two_add_tool', arguments: { tool: 'later' } })
    await changed
    await client.close()
  })
})

describe('a client of the old transport', () => {
  let lab: Lab
  let gateway: RunningGateway
  beforeAll(async () => {
    lab = await labOf('lab')
    gateway = await gatewayOf(`mcp: {port: 0, targets: [{name: lab, mcp: {host: "${lab.url}"}}]}`)
  })

  test('it is told first where to post, gets 202 there and the answer on the stream', async () => {
    const stop = new AbortController()
    const stream = await get(`${gateway.url}/sse`, {}, stop.signal)
    const events = sseEvents(stream)
    const first = (await events.next()).value
    expect(first).toMatchObject({ event: 'endpoint', data: expect.stringMatching(/\?sessionId=/) })
    const endpoint = new URL(first?.data ?? '', gateway.url).href
    expect(new URL(endpoint).origin).toBe(gateway.url)
    expect(await post(endpoint, initialize())).toMatchObject({ status: 202 })
    const answer = (await events.next()).value
    expect(answer).toMatchObject({
      event: 'message',
      message: { id: 0, result: { serverInfo: { name: 'lab' } } },
    })
    stop.abort()
    await eventually(
      () => gateway.metric('agentgateway_mcp_sessions_active'),
      (count) => count === 0,
    )
    expect((await post(endpoint, request(1, 'ping'))).status).toBe(404)
    await eventually(lab.sessions, (count) => count === 0)
  })

  test.each([
    ['no session', '', 422],
    ['an unknown session', `?sessionId=${crypto.randomUUID()}`, 404],
  ])('it is answered %s with %3$i', async (_, query, status) => {
    expect((await post(`${gateway.url}/sse${query}`, request(1, 'ping'))).status).toBe(status)
  })
})

test('it ends a session that was idle for its time, and the processes of it', async () => {
  const gateway = await gatewayOf(`
config: {mcp: {sessionTtl: 300ms}}
mcp: {port: 0, targets: [{name: pipe, ${stdioTarget(FIXTURE, 'pipe')}}]}
`)
  const url = `${gateway.url}/mcp`
  const session = await openSession(url)
  const { messages } = await post(url, callOf(1, 'whoami'), session)
  const [, pid] = JSON.stringify(messages).match(/pipe (\d+)/) ?? []
  await eventually(
    () => gateway.metric('agentgateway_mcp_sessions_active'),
    (count) => count === 0,
    12_000,
  )
  expect((await post(url, request(2, 'ping'), session)).status).toBe(404)
  const isAlive = () => {
    try {
      return process.kill(Number(pid), 0)
    } catch {
      return false
    }
  }
  await eventually(isAlive, (alive) => !alive)
})

test('it does not end a session that is idle but has a call under way', async () => {
  const lab = await labOf('lab')
  const gateway = await gatewayOf(`
config: {mcp: {sessionTtl: 300ms}}
mcp: {port: 0, targets: [{name: lab, mcp: {host: "${lab.url}"}}]}
`)
  const url = `${gateway.url}/mcp`
  const idle = await openSession(url)
  const busy = await openSession(url)
  const call = post(url, callOf(1, 'hold', { label: 'long' }), busy)
  await eventually(
    () => gateway.metric('agentgateway_mcp_sessions_active'),
    (count) => count === 1,
    12_000,
  )
  expect((await post(url, request(2, 'ping'), idle)).status).toBe(404)
  lab.release('long')
  expect((await call).messages).toMatchObject([{ id: 1, result: { content: [{ text: 'lab went on' }] } }])
})

test('it holds no more sessions than it may', async () => {
  const lab = await labOf('lab')
  const gateway = await gatewayOf(`
config: {mcp: {maxSessions: 2}}
mcp: {port: 0, targets: [{name: lab, mcp: {host: "${lab.url}"}}]}
`)
  const url = `${gateway.url}/mcp`
  const sessions = [await openSession(url), await openSession(url)]
  const third = await post(url, initialize())
  const alive = await Promise.all(
    sessions.map(async (session) => (await post(url, request(1, 'ping'), session)).status === 200),
  )
  // It may refuse the newcomer or let the one go that was idle longest, but it must say so and stay at two.
  if (third.status === 200) expect(alive).toEqual([false, true])
  else {
    expect([429, 503]).toContain(third.status)
    expect(third.messages).toMatchObject([{ error: { code: expect.any(Number) } }])
    expect(alive).toEqual([true, true])
    await end(url, sessions[0] ?? {})
    expect((await post(url, initialize())).status).toBe(200)
  }
  expect(await gateway.metric('agentgateway_mcp_sessions_active')).toBe(2)
})

test('it knows a session only on the backend that gave it', async () => {
  const lab = await labOf('lab')
  const backend = (name: string) => ({ mcp: { targets: [{ name, mcp: { host: lab.url } }] } })
  const gateway = await gatewayOf(
    JSON.stringify({
      binds: [
        {
          port: 0,
          listeners: [
            {
              routes: ['one', 'two'].map((name) => ({
                name,
                matches: [{ path: { pathPrefix: `/${name}` } }],
                backends: [backend(name)],
              })),
            },
          ],
        },
      ],
    }),
  )
  const session = await openSession(`${gateway.url}/one/mcp`)
  expect((await post(`${gateway.url}/one/mcp`, request(1, 'ping'), session)).status).toBe(200)
  expect((await post(`${gateway.url}/two/mcp`, request(1, 'ping'), session)).status).toBe(404)
  const stream = await get(`${gateway.url}/two/mcp`, session)
  await stream.body?.cancel()
  expect(stream.status).toBe(404)
  await end(`${gateway.url}/two/mcp`, session)
  expect((await post(`${gateway.url}/one/mcp`, request(1, 'ping'), session)).status).toBe(200)
})

describe('dnsRebindingProtection', () => {
  test.each([
    ['a local name', {}, 200],
    ['a foreign origin', { origin: 'http://evil.example' }, 403],
    ['a local origin', { origin: 'http://localhost:5173' }, 200],
  ])('it answers %s with %3$i', async (_, headers, status) => {
    const lab = await labOf('lab')
    const gateway = await gatewayOf(
      `mcp: {port: 0, dnsRebindingProtection: true, targets: [{name: lab, mcp: {host: "${lab.url}"}}]}`,
    )
    expect((await post(`${gateway.url}/mcp`, initialize(), headers)).status).toBe(status)
  })
})
