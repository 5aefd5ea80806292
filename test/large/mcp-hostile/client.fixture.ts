/** A client that sends what no SDK would, and sees every byte of what comes back. */
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { RunningGateway } from '../../support/gateway.ts'
import { type Ask, collect, eventsIn, open, type Reply, send } from '../../support/wire.ts'

export const STDIO_SERVER = fileURLToPath(new URL('stdio-server.fixture.ts', import.meta.url))

export const LATEST = '2025-11-25'

export const JSON_RPC = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
} as const

export interface RpcMessage {
  readonly jsonrpc: string
  readonly id?: unknown
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

export interface Answer extends Reply {
  readonly messages: readonly RpcMessage[]
}

function messagesIn({ headers, body }: Reply): RpcMessage[] {
  const type = String(headers['content-type'] ?? '')
  if (type.startsWith('text/event-stream'))
    return eventsIn(body).map(({ data }) => JSON.parse(data) as RpcMessage)
  if (!type.startsWith('application/json') || body === '') return []
  return [JSON.parse(body) as RpcMessage].flat()
}

export const understood = (reply: Reply): Answer => ({ ...reply, messages: messagesIn(reply) })

type Headers = NonNullable<Ask['headers']>

/** Text is sent as it is, everything else as JSON. */
export async function post(url: string, message: unknown, headers: Headers = {}): Promise<Answer> {
  const body = typeof message === 'string' ? message : JSON.stringify(message)
  return understood(await send(url, { method: 'POST', headers: { ...JSON_RPC, ...headers }, body }))
}

export const request = (id: unknown, method: string, params?: unknown) => ({
  jsonrpc: '2.0',
  id,
  method,
  ...(params !== undefined && { params }),
})

export const initializeRequest = (version: string = LATEST) =>
  request('init', 'initialize', {
    protocolVersion: version,
    capabilities: {},
    clientInfo: { name: 'hostile', version: '1' },
  })

export interface Session {
  readonly id: string
  readonly headers: Headers
  readonly post: (message: unknown, headers?: Headers) => Promise<Answer>
  readonly ask: (method: string, params?: unknown, id?: unknown) => Promise<Answer>
  readonly call: (tool: string, args?: Readonly<Record<string, unknown>>, id?: unknown) => Promise<Answer>
  /** The answer's text, or what was said instead. */
  readonly said: (tool: string, args?: Readonly<Record<string, unknown>>) => Promise<string>
  readonly end: () => Promise<Answer>
}

export async function openSession(gatewayUrl: string, headers: Headers = {}): Promise<Session> {
  const url = `${gatewayUrl}/mcp`
  const begun = await post(url, initializeRequest(), headers)
  const id = begun.headers['mcp-session-id']
  if (typeof id !== 'string') throw new Error(`no session: ${begun.status} ${begun.body}`)
  const own = { ...headers, 'mcp-session-id': id, 'mcp-protocol-version': LATEST }
  let last = 0
  const session: Session = {
    id,
    headers: own,
    post: (message, more = {}) => post(url, message, { ...own, ...more }),
    ask: (method, params, asked = ++last) => session.post(request(asked, method, params)),
    call: (name, args = {}, asked = ++last) => session.ask('tools/call', { name, arguments: args }, asked),
    async said(tool, args) {
      const { messages, body, status } = await session.call(tool, args)
      const content = messages.at(-1)?.result?.content as [{ text: string }] | undefined
      return content?.[0].text ?? `${status} ${body}`
    },
    end: async () => understood(await send(url, { method: 'DELETE', headers: own })),
  }
  await session.post({ jsonrpc: '2.0', method: 'notifications/initialized' })
  return session
}

/** A stream of the gateway's that is read as it comes. */
export async function openStream(url: string, headers: Headers, signal?: AbortSignal) {
  const response = await open(url, {
    headers: { accept: 'text/event-stream', ...headers },
    ...(signal && { signal }),
  })
  return { response, status: response.statusCode ?? 0, all: () => collect(response) }
}

export function expectRpcError(answer: Answer, status: number, code: number | undefined, id: unknown = null) {
  expect({ status: answer.status, body: answer.body }).toMatchObject({ status })
  expect(answer.messages).toEqual([
    {
      jsonrpc: '2.0',
      id,
      error: expect.objectContaining({
        code: code ?? expect.any(Number),
        message: expect.any(String),
      }),
    },
  ])
}

/** The records that came since the last look: each exchange is finished when its answer is read, or soon after. */
export function recordCounter(gateway: RunningGateway) {
  let seen = gateway.records().length
  return {
    /** Begins anew, once nothing is under way. */
    async skip() {
      await expect.poll(() => gateway.metric('agentgateway_requests_in_flight')).toBe(0)
      seen = gateway.records().length
    },
    async next(count = 1): Promise<Readonly<Record<string, unknown>>[]> {
      const all = await gateway.recorded(seen + count)
      const found = all.slice(seen)
      const came = gateway.records().length - seen
      seen += came
      expect(came).toBe(count)
      return found
    },
  }
}
