/** The fixture server over HTTP in this process, and MCP over raw HTTP for what an SDK client hides. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Server as McpServer } from '@modelcontextprotocol/sdk/server/index.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { type FixtureOptions, fixtureServer } from './mcp-fixture.ts'

export const FIXTURE = fileURLToPath(new URL('./mcp-fixture.ts', import.meta.url))

export type Json = Record<string, unknown>

export interface Received {
  readonly headers: IncomingMessage['headers']
  readonly method: string
  readonly message: Json
}

export interface Lab {
  readonly name: string
  readonly port: number
  readonly url: string
  readonly sseUrl: string
  /** Every message that a client sent, in order. */
  readonly received: Received[]
  readonly events: string[]
  /** Resolves once an event matches, also when that was before. */
  readonly happened: (event: RegExp) => Promise<string>
  /** Lets a call that waits under `label` go on, also when it comes later. */
  readonly release: (label: string) => void
  readonly sessions: () => number
  /** Ends every session without a word to the clients: their ids are unknown from now on. */
  readonly forget: () => void
  /** Of the newest session. */
  readonly newest: () => McpServer
  readonly stop: () => Promise<void>
  /** On the same port as before. */
  readonly start: () => Promise<void>
}

type LabOptions = Omit<FixtureOptions, 'held' | 'event'> & {
  /** Answers POSTs with plain JSON instead of a stream. */
  readonly json?: boolean
  /** Headers and body of a request are read, and nothing is ever answered. */
  readonly silent?: boolean
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks).toString()
  return body === '' ? undefined : JSON.parse(body)
}

export async function startLab(options: LabOptions): Promise<Lab> {
  const received: Received[] = []
  const events: string[] = []
  const waiting = new Set<() => void>()
  const doors = new Map<string, { open: Promise<void>; release: () => void }>()
  const streamable = new Map<string, StreamableHTTPServerTransport>()
  const legacy = new Map<string, SSEServerTransport>()
  const sockets = new Set<Socket>()
  let newest: McpServer | undefined

  const event = (line: string) => {
    events.push(line)
    for (const wake of [...waiting]) wake()
  }
  const door = (label: string) => {
    const known = doors.get(label)
    if (known !== undefined) return known
    const { promise, resolve } = Promise.withResolvers<void>()
    const made = { open: promise, release: resolve }
    doors.set(label, made)
    return made
  }
  const build = () => {
    newest = fixtureServer({ ...options, event, held: (label) => door(label).open })
    return newest
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://lab')
    const body = request.method === 'POST' ? await readJson(request) : undefined
    for (const message of body === undefined ? [] : [body].flat())
      received.push({
        headers: request.headers,
        method: String((message as Json).method),
        message: message as Json,
      })
    if (options.silent) return
    if (url.pathname === '/sse') {
      const transport = new SSEServerTransport('/messages', response)
      legacy.set(transport.sessionId, transport)
      response.on('close', () => legacy.delete(transport.sessionId))
      return build().connect(transport)
    }
    if (url.pathname === '/messages') {
      const transport = legacy.get(url.searchParams.get('sessionId') ?? '')
      if (transport === undefined) return void response.writeHead(404).end()
      return transport.handlePostMessage(request, response, body)
    }
    const id = request.headers['mcp-session-id']
    if (id !== undefined) {
      const transport = streamable.get(String(id))
      if (transport !== undefined) return transport.handleRequest(request, response, body)
      response.writeHead(404, { 'content-type': 'application/json' })
      return void response.end(
        JSON.stringify({ jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null }),
      )
    }
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: options.json === true,
      onsessioninitialized: (made) => void streamable.set(made, transport),
      onsessionclosed: (gone) => {
        streamable.delete(gone)
        event('session closed')
      },
    })
    await build().connect(transport)
    await transport.handleRequest(request, response, body)
  }

  const http = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  http.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  let port = 0
  const start = async () => {
    http.listen(port, '127.0.0.1')
    await once(http, 'listening')
    port = (http.address() as AddressInfo).port
  }
  await start()
  const forget = () => {
    streamable.clear()
    legacy.clear()
  }
  return {
    name: options.name,
    port,
    url: `http://127.0.0.1:${port}/mcp`,
    sseUrl: `http://127.0.0.1:${port}/sse`,
    received,
    events,
    async happened(pattern) {
      for (;;) {
        const found = events.find((line) => pattern.test(line))
        if (found !== undefined) return found
        await new Promise<void>((resolve) => {
          const wake = () => {
            waiting.delete(wake)
            resolve()
          }
          waiting.add(wake)
        })
      }
    },
    release: (label) => door(label).release(),
    sessions: () => streamable.size + legacy.size,
    forget,
    newest() {
      if (newest === undefined) throw new Error('no session yet')
      return newest
    },
    async stop() {
      forget()
      if (!http.listening) return
      const closed = once(http, 'close')
      http.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
    start,
  }
}

export interface SseEvent {
  readonly id?: string
  readonly event?: string
  readonly data: string
}

/** The events of a stream, and the JSON-RPC message in each. Ends with the stream. */
export async function* sseEvents(response: Response): AsyncGenerator<SseEvent & { readonly message?: Json }> {
  if (response.body === null) return
  let rest = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    rest += chunk
    for (;;) {
      const end = /\r?\n\r?\n/.exec(rest)
      if (end === null) break
      const block = rest.slice(0, end.index)
      rest = rest.slice(end.index + end[0].length)
      const fields: Record<string, string> = {}
      let data: string | undefined
      for (const line of block.split(/\r?\n/)) {
        const colon = line.indexOf(':')
        if (colon === 0) continue
        const field = colon < 0 ? line : line.slice(0, colon)
        const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
        if (field === 'data') data = data === undefined ? value : `${data}\n${value}`
        else fields[field] = value
      }
      if (data === undefined && fields.id === undefined) continue
      yield {
        ...(fields.id !== undefined && { id: fields.id }),
        ...(fields.event !== undefined && { event: fields.event }),
        data: data ?? '',
        ...(data?.startsWith('{') && { message: JSON.parse(data) as Json }),
      }
    }
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Of JSON and of a stream alike. */
  readonly messages: readonly Json[]
  readonly text: string
}

const POST_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

export const postRaw = (
  url: string,
  message: unknown,
  headers: Record<string, string> = {},
  more: RequestInit = {},
) =>
  fetch(url, {
    method: 'POST',
    headers: { ...POST_HEADERS, ...headers },
    body: typeof message === 'string' ? message : JSON.stringify(message),
    ...more,
  })

/** Posts a message and reads the answer to its end. */
export async function post(
  url: string,
  message: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await postRaw(url, message, headers)
  const { status } = response
  if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
    const messages: Json[] = []
    for await (const event of sseEvents(response))
      if (event.message !== undefined) messages.push(event.message)
    return { status, headers: response.headers, messages, text: '' }
  }
  const body = await response.text()
  let messages: Json[] = []
  try {
    messages = body === '' ? [] : ([JSON.parse(body)].flat() as Json[])
  } catch {
    // not JSON: the test looks at the text
  }
  return { status, headers: response.headers, messages, text: body }
}

export const initialize = (capabilities: Json = {}, id: number | string = 0) => ({
  jsonrpc: '2.0',
  id,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'raw', version: '0' } },
})

export const request = (id: number | string, method: string, params: Json = {}) => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
})

export const callOf = (id: number | string, name: string, input: Json = {}, meta?: Json) =>
  request(id, 'tools/call', { name, arguments: input, ...(meta !== undefined && { _meta: meta }) })

/** Headers of an initialised session. */
export async function openSession(url: string, capabilities: Json = {}): Promise<Record<string, string>> {
  const { status, headers, text } = await post(url, initialize(capabilities))
  const id = headers.get('mcp-session-id')
  if (status !== 200 || id === null) throw new Error(`no session: ${status} ${text}`)
  const session = { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' }
  await post(url, { jsonrpc: '2.0', method: 'notifications/initialized' }, session)
  return session
}

/** For what announces itself by no event: asks until `seen` holds, and says what it saw last. */
export async function eventually<T>(
  look: () => T | Promise<T>,
  seen: (value: T) => boolean,
  deadlineMs = 8000,
): Promise<T> {
  const end = Date.now() + deadlineMs
  for (;;) {
    const value = await look()
    if (seen(value)) return value
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms; last: ${JSON.stringify(value)}`)
    await sleep(20)
  }
}

/** The text of a tool's result. */
export const textOf = (result: unknown): string =>
  ((result as { content?: { text?: string }[] }).content ?? []).map((one) => one.text ?? '').join('\n')
