/** An MCP server over HTTP that behaves, until a test says otherwise; it keeps what it was asked. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { RpcMessage } from './client.fixture.ts'

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly message: RpcMessage | undefined
}

/** Answers in the server's stead when it returns true. */
export type Misbehaviour = (seen: Seen, response: ServerResponse, request: IncomingMessage) => boolean

export interface HostileServer {
  readonly port: number
  readonly url: string
  readonly seen: Seen[]
  readonly saw: (method: string) => Seen[]
  misbehave: Misbehaviour
  readonly connections: () => number
  readonly close: () => Promise<void>
}

async function readAll(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const piece of request) text += piece
  return text
}

const TOOLS = ['echo', 'secret', 'never'].map((name) => ({ name, inputSchema: { type: 'object' } }))

function outcome({ method, params }: RpcMessage): object {
  const content = (text: string) => ({ result: { content: [{ type: 'text', text }] } })
  const args = (params?.arguments ?? {}) as Record<string, unknown>
  switch (method) {
    case 'initialize':
      return {
        result: {
          protocolVersion: params?.protocolVersion,
          capabilities: { tools: {} },
          serverInfo: { name: 'web', version: '1' },
        },
      }
    case 'tools/list':
      return { result: { tools: TOOLS } }
    case 'tools/call':
      if (params?.name === 'echo') return content(String(args.message))
      if (params?.name === 'secret') return content('the secret')
      return { error: { code: -32602, message: `Unknown tool: ${String(params?.name)}` } }
    case 'ping':
      return { result: {} }
    default:
      return { error: { code: -32601, message: 'Method not found' } }
  }
}

export async function startHostileServer(): Promise<HostileServer> {
  const seen: Seen[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ maxHeaderSize: 1024 * 1024 }, (request, response) => {
    void (async () => {
      const body = await readAll(request).catch(() => '')
      const entry: Seen = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        message: body === '' ? undefined : (JSON.parse(body) as RpcMessage),
      }
      seen.push(entry)
      if (handle.misbehave(entry, response, request)) return
      const { message } = entry
      if (request.method !== 'POST' || message === undefined) {
        response.writeHead(request.method === 'DELETE' ? 200 : 405).end()
        return
      }
      if (message.id === undefined || message.method === undefined) {
        response.writeHead(202).end()
        return
      }
      if (message.params?.name === 'never') {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.flushHeaders()
        return
      }
      response.writeHead(200, {
        'content-type': 'application/json',
        ...(message.method === 'initialize' && { 'mcp-session-id': randomUUID() }),
      })
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...outcome(message) }))
    })()
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const handle: HostileServer = {
    port,
    url: `http://127.0.0.1:${port}/mcp`,
    seen,
    saw: (method) => seen.filter(({ message }) => message?.method === method),
    misbehave: () => false,
    connections: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return handle
}
