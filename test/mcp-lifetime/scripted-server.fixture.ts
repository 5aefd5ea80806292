/**
 * An MCP server over HTTP that says what a test makes it say, and tells what it was asked. A test waits for what
 * arrives here: nothing has to be slept for.
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import type { Json } from '../support/mcp-lab.ts'

export interface Seen {
  readonly http: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly method: string | undefined
  readonly params: Json
  readonly message: Json
}

/** Answers in the server's stead when it returns true. */
export type Script = (seen: Seen, response: ServerResponse) => boolean | undefined

export interface ScriptedServer {
  readonly port: number
  readonly url: string
  readonly seen: Seen[]
  script: Script
  readonly all: (fits: (seen: Seen) => boolean) => Seen[]
  /** The `count`th that fits, past or to come. */
  readonly arrived: (fits: (seen: Seen) => boolean, count?: number) => Promise<Seen>
  readonly close: () => Promise<void>
}

export const isCall =
  (name?: string) =>
  ({ method, params }: Seen): boolean =>
    method === 'tools/call' && (name === undefined || params.name === name)
export const isMethod =
  (wanted: string) =>
  ({ method }: Seen): boolean =>
    method === wanted
export const isHttp =
  (wanted: string) =>
  ({ http }: Seen): boolean =>
    http === wanted

export function json(
  response: ServerResponse,
  status: number,
  body: Json,
  headers: Record<string, string> = {},
) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify({ jsonrpc: '2.0', ...body }))
  return true
}

/** The head of a stream of events, at once. */
export function openEvents(response: ServerResponse): true {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
  return true
}

export const sendEvent = (response: ServerResponse, message: Json) =>
  response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`)

export const textResult = (said: string, more: Json = {}): Json => ({
  content: [{ type: 'text', text: said }],
  ...more,
})

const TOOLS = ['echo', 'slow', 'quick', 'secret'].map((name) => ({ name, inputSchema: { type: 'object' } }))

function outcome({ method, params }: Seen): Json {
  switch (method) {
    case 'initialize':
      return {
        result: {
          protocolVersion: params.protocolVersion,
          capabilities: { tools: {}, logging: {}, resources: { subscribe: true } },
          serverInfo: { name: 'scripted', version: '1' },
        },
      }
    case 'tools/list':
      return { result: { tools: TOOLS } }
    case 'tools/call':
      return { result: textResult(`did ${String(params.name)}`) }
    case 'ping':
    case 'logging/setLevel':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return { result: {} }
    default:
      return { error: { code: -32601, message: `no ${String(method)}` } }
  }
}

export async function startScripted(): Promise<ScriptedServer> {
  const seen: Seen[] = []
  let waiting: (() => void)[] = []
  let sessions = 0
  const http = createServer(async (request, response) => {
    response.on('error', () => {})
    const body = await text(request).catch(() => '')
    const message = body === '' ? {} : (JSON.parse(body) as Json)
    const { method, params } = message
    const entry: Seen = {
      http: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      method: typeof method === 'string' ? method : undefined,
      params: (params ?? {}) as Json,
      message,
    }
    seen.push(entry)
    const woken = waiting
    waiting = []
    for (const wake of woken) wake()
    if (server.script(entry, response) === true) return
    if (entry.http !== 'POST') return void response.writeHead(entry.http === 'DELETE' ? 200 : 405).end()
    if (message.id === undefined || entry.method === undefined) return void response.writeHead(202).end()
    const session = entry.method === 'initialize' ? { 'mcp-session-id': `up-${++sessions}` } : {}
    json(response, 200, { id: message.id, ...outcome(entry) }, session as Record<string, string>)
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  const all = (fits: (one: Seen) => boolean) => seen.filter(fits)
  const server: ScriptedServer = {
    port,
    url: `http://127.0.0.1:${port}/mcp`,
    seen,
    script: () => false,
    all,
    async arrived(fits, count = 1) {
      for (;;) {
        const found = all(fits)[count - 1]
        if (found !== undefined) return found
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
    async close() {
      if (!http.listening) return
      const closed = once(http, 'close')
      http.close()
      http.closeAllConnections()
      await closed
    },
  }
  return server
}

export const targetOf = (name: string, { url }: ScriptedServer, more = '') =>
  `{name: ${name}, mcp: {host: "${url}"}${more}}`

/** `extra` stands in `mcp:`, `top` beside it; flow style. */
export const mcpYaml = (targets: readonly string[], extra = '', top = '') =>
  `${top}\nmcp: {port: 0, ${extra === '' ? '' : `${extra}, `}targets: [${targets.join(', ')}]}\n`

/** A gateway that has made sure of its targets; from here on the servers see only what the test brings about. */
export async function runFor(
  servers: readonly ScriptedServer[],
  yaml: string,
): Promise<RunningGateway & { readonly mcp: string }> {
  const gateway = await runGateway(yaml)
  // The probe takes its leave.
  await Promise.all(servers.map((server) => server.arrived(isHttp('DELETE'))))
  for (const { seen } of servers) seen.length = 0
  return { ...gateway, mcp: `${gateway.url}/mcp` }
}
