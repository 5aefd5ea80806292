/**
 * A process of its own: as little of an MCP server as a gateway can be put before, with one tool, `echo`.
 * Argument: `json` or `events`, how it answers calls. Prints its port.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'

const asEvents = process.argv[2] === 'events'

const messageSchema = z.looseObject({
  id: z.union([z.number(), z.string()]).optional(),
  method: z.string().optional(),
  params: z.looseObject({ arguments: z.looseObject({ message: z.string() }).optional() }).optional(),
})
type Message = z.output<typeof messageSchema>

const ECHO = {
  name: 'echo',
  description: 'Says the message again',
  inputSchema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
}

function resultOf({ method, params }: Message): object {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'bench', version: '1.0.0' },
      }
    case 'tools/list':
      return { tools: [ECHO] }
    case 'tools/call':
      return { content: [{ type: 'text', text: params?.arguments?.message ?? '' }] }
    default:
      return {}
  }
}

function answer(body: string, response: ServerResponse): void {
  const message = messageSchema.parse(JSON.parse(body))
  if (message.id === undefined) {
    response.writeHead(202).end()
    return
  }
  const text = JSON.stringify({ jsonrpc: '2.0', id: message.id, result: resultOf(message) })
  const session = message.method === 'initialize' ? { 'mcp-session-id': randomUUID() } : {}
  if (asEvents && message.method === 'tools/call') {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`event: message\ndata: ${text}\n\n`)
    response.end()
    return
  }
  response
    .writeHead(200, {
      ...session,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    })
    .end(text)
}

function handle(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === 'GET') {
    // Nothing to say, and held open: as servers do that may say something some day.
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    return
  }
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (piece: string) => {
    body += piece
  })
  request.on('end', () => {
    if (request.method === 'POST') answer(body, response)
    else response.writeHead(200).end()
  })
}

// Idle sessions stay: the gateway keeps its connections for longer than Node's five seconds.
const server = createServer({ keepAliveTimeout: 120_000 }, handle)
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
