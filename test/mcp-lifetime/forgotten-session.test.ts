/** A server that does not know the session any more: nothing runs twice, nobody is given up for another. */
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RunningGateway } from '../support/gateway.ts'
import { callOf, eventually, type Json, openSession, post, postRaw, textOf } from '../support/mcp-lab.ts'
import { follow } from './modern-client.fixture.ts'
import {
  isCall,
  isHttp,
  isMethod,
  mcpYaml,
  openEvents,
  runFor,
  type ScriptedServer,
  type Seen,
  sendEvent,
  startScripted,
  targetOf,
  textResult,
} from './scripted-server.fixture.ts'

let server: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
/** Of calls to `slow`, in the order in which they came. */
let slow: { readonly id: unknown; readonly who: unknown; readonly response: ServerResponse }[]
/** Sessions that the server has forgotten. */
let forgotten: Set<string>

beforeEach(async () => {
  server = await startScripted()
  slow = []
  forgotten = new Set()
})
afterEach(async () => {
  await server.close()
  await gateway.close()
})

const sessionOf = ({ headers }: { readonly headers: Readonly<Record<string, unknown>> }) =>
  String(headers['mcp-session-id'])

/** `slow` is answered by the test, in events; a forgotten session is told to everybody who comes with it. */
async function run(extra = ''): Promise<void> {
  gateway = await runFor([server], mcpYaml([targetOf('web', server)], extra))
  server.script = (seen, response) => {
    if (forgotten.has(sessionOf(seen))) {
      response.writeHead(404).end()
      return true
    }
    if (!isCall('slow')(seen)) return false
    slow.push({ id: seen.message.id, who: (seen.params.arguments as { who?: unknown })?.who, response })
    return openEvents(response)
  }
}

function answerSlow(index: number): void {
  const { id, who, response } = slow[index] ?? {}
  if (response === undefined) throw new Error(`no call ${index}`)
  sendEvent(response, { id, result: textResult(`slow for ${String(who)}`) })
  response.end()
}

const cancelled = () =>
  server.all(isMethod('notifications/cancelled')).map(({ params, headers }) => ({
    id: params.requestId,
    session: headers['mcp-session-id'],
  }))

test.each([1, 3])('it runs a call once that is under way when %i others are told 404', async (count) => {
  await run()
  const session = await openSession(gateway.mcp)
  const slowly = post(gateway.mcp, callOf(1, 'slow', { who: 'me' }), session)
  forgotten.add(sessionOf(await server.arrived(isCall('slow'))))
  const quick = Array.from({ length: count }, (_, index) =>
    post(gateway.mcp, callOf(10 + index, 'quick', { index }), session),
  )
  for (const { status, messages } of await Promise.all(quick)) {
    expect(status).toBe(200)
    expect(textOf(messages.at(-1)?.result)).toBe('did quick')
  }
  answerSlow(0)
  const { messages } = await slowly
  expect(messages.at(-1)).toMatchObject({ id: 1, result: textResult('slow for me') })
  expect(server.all(isCall('slow'))).toHaveLength(1)
  for (const index of Array.from({ length: count }, (_, at) => at)) {
    const asked = server.all(
      (seen) => isCall('quick')(seen) && (seen.params.arguments as { index: number }).index === index,
    )
    expect(asked.map((seen) => forgotten.has(sessionOf(seen)))).toEqual(
      expect.arrayContaining(asked.length === 1 ? [false] : [true, false]),
    )
    expect(asked.length).toBeLessThanOrEqual(2)
  }
  expect(server.all(isMethod('initialize'))).toHaveLength(2)
})

test('it keeps a call under way when the stream for changes is told 404', async () => {
  await run()
  const session = await openSession(gateway.mcp)
  const slowly = post(gateway.mcp, callOf(1, 'slow', { who: 'me' }), session)
  forgotten.add(sessionOf(await server.arrived(isCall('slow'))))
  const leaving = new AbortController()
  const headers = { accept: 'text/event-stream', ...session }
  const stream = await fetch(gateway.mcp, { headers, signal: leaving.signal })
  await server.arrived(isHttp('GET'))
  await server.arrived(isMethod('initialize'), 2)
  answerSlow(0)
  expect((await slowly).messages.at(-1)).toMatchObject({ id: 1, result: textResult('slow for me') })
  expect(server.all(isCall('slow'))).toHaveLength(1)
  leaving.abort()
  await stream.body?.cancel().catch(() => {})
})

test.each(['before', 'after'])(
  'it lets the answer to a question reach the call that asked it %s the session was forgotten',
  async (when) => {
    await run()
    const session = await openSession(gateway.mcp, { elicitation: {} })
    const stream = await follow((signal) =>
      postRaw(gateway.mcp, callOf(1, 'slow', { who: 'me' }), session, { signal }),
    )
    const upstream = sessionOf(await server.arrived(isCall('slow')))
    const { response } = slow[0] ?? {}
    if (response === undefined) throw new Error('no call')
    const ask = () =>
      sendEvent(response, { id: 'q', method: 'elicitation/create', params: { message: 'sure?' } })
    const isQuestion = ({ method }: Json) => method === 'elicitation/create'
    if (when === 'before') {
      ask()
      await stream.heard(isQuestion)
    }
    forgotten.add(upstream)
    expect((await post(gateway.mcp, callOf(2, 'quick'), session)).status).toBe(200)
    if (when === 'after') ask()
    const { id } = await stream.heard(isQuestion)
    await post(gateway.mcp, { jsonrpc: '2.0', id, result: { action: 'accept', content: {} } }, session)
    const isAnswer = ({ message }: Seen) => message.id === 'q' && 'result' in message
    const [answer] = await eventually(
      () => server.all(isAnswer),
      (answers) => answers.length > 0,
      2000,
    )
    expect(answer && sessionOf(answer)).toBe(upstream)
    answerSlow(0)
    await stream.heard((message) => message.id === 1)
  },
)

test('it cancels, for a client that leaves, its own call and no other once there is another session', async () => {
  await run('statefulMode: stateless')
  await post(gateway.mcp, callOf(1, 'echo'))
  forgotten.add(sessionOf(await server.arrived(isCall('echo'))))
  const leaving = new AbortController()
  const alice = postRaw(
    gateway.mcp,
    callOf(10, 'slow', { who: 'alice' }),
    {},
    { signal: leaving.signal },
  ).catch(() => undefined)
  await eventually(
    () => slow.length,
    (count) => count === 1,
  )
  const others = ['bob', 'carol', 'dave'].map((who, index) =>
    post(gateway.mcp, callOf(11 + index, 'slow', { who })),
  )
  await eventually(
    () => slow.length,
    (count) => count === 4,
  )
  leaving.abort()
  await alice
  await server.arrived(isMethod('notifications/cancelled'))
  for (const index of [1, 2, 3]) answerSlow(index)
  for (const [index, { messages }] of (await Promise.all(others)).entries())
    expect(messages.at(-1)).toMatchObject({
      id: 11 + index,
      result: textResult(`slow for ${String(slow[index + 1]?.who)}`),
    })
  expect(cancelled().map(({ id }) => id)).toEqual([slow[0]?.id])
})

test('it cancels a call of the session before, where that was left', async () => {
  await run('statefulMode: stateless')
  const leaving = new AbortController()
  const alice = postRaw(
    gateway.mcp,
    callOf(1, 'slow', { who: 'alice' }),
    {},
    { signal: leaving.signal },
  ).catch(() => undefined)
  const upstream = sessionOf(await server.arrived(isCall('slow')))
  forgotten.add(upstream)
  expect((await post(gateway.mcp, callOf(2, 'quick'))).status).toBe(200)
  leaving.abort()
  await alice
  await eventually(
    () => gateway.metric('agentgateway_requests_in_flight'),
    (count) => count === 0,
    3000,
  )
  await server.arrived(isMethod('notifications/cancelled'))
  expect(cancelled()).toEqual([{ id: slow[0]?.id, session: upstream }])
})

test('it answers a call of the session before when the client ends its own', async () => {
  await run()
  const session = await openSession(gateway.mcp)
  const slowly = post(gateway.mcp, callOf(1, 'slow', { who: 'me' }), session)
  forgotten.add(sessionOf(await server.arrived(isCall('slow'))))
  expect((await post(gateway.mcp, callOf(2, 'quick'), session)).status).toBe(200)
  await fetch(gateway.mcp, { method: 'DELETE', headers: session })
  expect((await slowly).messages.at(-1)).toMatchObject({ id: 1, error: { message: 'the session was ended' } })
})
