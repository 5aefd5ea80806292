/** A client's side of MCP over streamable HTTP, in bytes: what the official client says, without what it costs. */
import { join } from 'node:path'
import type { Asked } from './open-loop.ts'
import type { Setup, Upstream } from './targets.ts'

const PATH = '/mcp'
const VERSION = '2025-11-25'

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: {
    protocolVersion: VERSION,
    capabilities: {},
    clientInfo: { name: 'bench', version: '1.0.0' },
  },
})
const INITIALIZED = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })

/** About 1 KB: the arguments of a tool that is told what to do in words. */
const MESSAGE = 'What the tool is to do, said in a sentence. '.repeat(22)

const headersOf = (sessionId: string) => ({
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': VERSION,
  'mcp-session-id': sessionId,
})

export async function startMcpServer(setup: Setup, answers: 'json' | 'events'): Promise<Upstream> {
  const command = [
    process.execPath,
    join(setup.stage.source, 'bench/children/mcp-server.ts'),
    answers,
  ] as const
  const child = setup.stage.start({ name: `mcp-${answers}`, command, on: 'upstream', givesWay: true })
  return { port: Number(await child.firstLine()), child }
}

const urlOf = (port: number) => `http://127.0.0.1:${port}${PATH}`

/** Both steps of the handshake. Resolves with the session's id. */
export async function openSession(port: number): Promise<string> {
  const response = await fetch(urlOf(port), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: INITIALIZE,
  })
  const text = await response.text()
  const id = response.headers.get('mcp-session-id')
  if (!response.ok || id === null) throw new Error(`initialize was answered ${response.status}: ${text}`)
  const told = await fetch(urlOf(port), { method: 'POST', headers: headersOf(id), body: INITIALIZED })
  await told.text()
  return id
}

export async function endSession(port: number, sessionId: string): Promise<void> {
  const response = await fetch(urlOf(port), { method: 'DELETE', headers: headersOf(sessionId) })
  await response.text()
}

function bytesOf(method: string, sessionId: string, body = ''): Buffer {
  const headers = { ...headersOf(sessionId), 'content-length': Buffer.byteLength(body) }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\n${lines.join('')}\r\n${body}`)
}

/** The stream that the official client opens after the handshake, for what belongs to no request. */
export const listenRequest = (sessionId: string) => bytesOf('GET', sessionId)

/** Calls of a session, each with an id of its own. */
export function caller(sessionId: string, tool: string): () => Asked {
  let lastId = 0
  return () => {
    const id = ++lastId
    const params = { name: tool, arguments: { message: MESSAGE } }
    let text = ''
    return {
      bytes: bytesOf('POST', sessionId, JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params })),
      onBody: (piece) => {
        text += piece.toString('latin1')
      },
      isRight: () => text.includes(`"id":${id},`) && text.includes(MESSAGE),
    }
  }
}
