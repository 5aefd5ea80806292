import { expect, test } from 'vitest'
import { isObject, parseJson } from '../format/json.ts'
import { McpError, openMcpSession } from './mcp-session.ts'

interface Sent {
  readonly method: string
  readonly headers: Headers
  readonly message: Record<string, unknown>
}

const json = (body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json', ...headers } })

const stream = (...messages: unknown[]) =>
  new Response(messages.map((message) => `event: message\ndata: ${JSON.stringify(message)}\n\n`).join(''), {
    headers: { 'content-type': 'text/event-stream', 'x-trace-id': 'abc' },
  })

/** A server that answers `initialize`, and everything else as `answer` says. */
function connect(answer: (sent: Sent) => Response) {
  const sent: Sent[] = []
  const session = openMcpSession({
    url: '/api/gateway/3000/mcp',
    headers: () => ({ 'x-agentgateway-csrf': '1' }),
    now: () => 0,
    fetch: async (_, init) => {
      const body = parseJson(String(init.body ?? '{}'))
      const one = {
        method: init.method ?? '',
        headers: new Headers(init.headers),
        message: isObject(body) ? body : {},
      }
      sent.push(one)
      if (one.message.method === 'initialize') {
        const result = { protocolVersion: '2025-06-18', serverInfo: { name: 'demo' }, capabilities: {} }
        return json({ jsonrpc: '2.0', id: one.message.id, result }, { 'mcp-session-id': 's1' })
      }
      if (one.message.method === 'notifications/initialized') return new Response(null, { status: 202 })
      return answer(one)
    },
  })
  return { session, sent }
}

test('opens a session and keeps its id and revision', async () => {
  const { session, sent } = connect(() => json({}))
  const opened = await session
  await opened.close()
  expect(opened).toMatchObject({ serverName: 'demo', protocolVersion: '2025-06-18' })
  expect(sent.map(({ method, message }) => message.method ?? method)).toEqual([
    'initialize',
    'notifications/initialized',
    'DELETE',
  ])
  expect(sent[1]?.headers.get('mcp-session-id')).toBe('s1')
  expect(sent[1]?.headers.get('mcp-protocol-version')).toBe('2025-06-18')
  expect(sent[0]?.headers.get('accept')).toBe('application/json, text/event-stream')
})

test('lists the tools of every page, and leaves out what has no name', async () => {
  const { session } = connect(({ message }) => {
    const cursor = isObject(message.params) ? message.params.cursor : undefined
    const result =
      cursor === undefined ? { tools: [{ name: 'a' }, {}], nextCursor: '2' } : { tools: [{ name: 'b' }] }
    return json({ jsonrpc: '2.0', id: message.id, result })
  })
  const tools = await (await session).listTools()
  expect(tools.map(({ name }) => name)).toEqual(['a', 'b'])
})

test('takes the answer out of a stream, with what was told before it', async () => {
  const { session } = connect(({ message }) =>
    stream(
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } },
      { jsonrpc: '2.0', id: message.id, result: { content: [] } },
    ),
  )
  const answer = await (await session).callTool('a', {})
  expect(answer).toMatchObject({ result: { content: [] }, traceId: 'abc' })
  expect(answer.notifications).toHaveLength(1)
})

test.each([
  [
    'a JSON-RPC error',
    () => json({ jsonrpc: '2.0', id: 2, error: { code: -32602, message: 'no such tool' } }),
    'no such tool',
  ],
  [
    'a refusal without JSON-RPC',
    () => new Response('{"error":"route not found"}', { status: 404 }),
    'The gateway answered 404: route not found',
  ],
  ['a stream that breaks off', () => stream(), 'The stream ended before the answer.'],
])('throws %s', async (_, answer, message) => {
  const { session } = connect(answer)
  const opened = await session
  const error = await opened.callTool('a', {}).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(McpError)
  expect(error).toMatchObject({ message })
})
