/**
 * A client that shows what really came over the wire: heads of any size, bodies that break off, its own pace.
 * `fetch` hides all three.
 */
import { type IncomingHttpHeaders, type IncomingMessage, request as openRequest } from 'node:http'
import { request as openSecureRequest, type RequestOptions } from 'node:https'
import { connect } from 'node:net'

export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer
  /** Leaves: closes the connection, at whatever point the exchange is. */
  readonly signal?: AbortSignal
  /** Certificates to trust, server name and the like. */
  readonly tls?: Pick<RequestOptions, 'ca' | 'servername' | 'rejectUnauthorized'>
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** As far as it came. */
  readonly body: string
  /** The connection broke before the end that HTTP promised. */
  readonly broken: boolean
}

/** Resolves with the response's head; each call has a connection of its own. Rejects when there is no head. */
export function open(url: string, ask: Ask = {}): Promise<IncomingMessage> {
  const options: RequestOptions = {
    method: ask.method ?? (ask.body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(ask.body !== undefined &&
        ask.headers?.['transfer-encoding'] === undefined && {
          'content-length': String(Buffer.byteLength(ask.body)),
        }),
      ...ask.headers,
    },
    agent: false,
    signal: ask.signal,
    maxHeaderSize: 1024 * 1024,
    ...ask.tls,
  }
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:') ? openSecureRequest(url, options) : openRequest(url, options)
    request.once('response', (response) => {
      // What breaks later is the response's affair.
      request.on('error', () => {})
      resolve(response)
    })
    request.once('error', reject)
    request.end(ask.body)
  })
}

export async function collect(response: IncomingMessage): Promise<Reply> {
  let body = ''
  let broken = false
  response.setEncoding('utf8')
  try {
    for await (const piece of response) body += piece
  } catch {
    broken = true
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body, broken }
}

export const send = async (url: string, ask: Ask = {}): Promise<Reply> => collect(await open(url, ask))

export const sendJson = (url: string, body: unknown, headers: Ask['headers'] = {}): Promise<Reply> =>
  send(url, { headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })

/** Writes bytes that no HTTP client would, and resolves with all that came back once the connection is closed. */
export function sendBytes(url: string, bytes: string | Buffer): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
  let answer = ''
  socket.setEncoding('utf8')
  socket.on('data', (piece: string) => {
    answer += piece
  })
  // The gateway may answer and close before it has read everything.
  socket.on('error', () => {})
  socket.write(bytes)
  return new Promise((resolve) => socket.once('close', () => resolve(answer)))
}

export interface SseEvent {
  readonly event: string | undefined
  readonly data: string
}

/** The complete events of a stream's text. */
export function eventsIn(body: string): SseEvent[] {
  return body
    .split(/\r?\n\r?\n/)
    .map((block) => {
      const lines = block.split(/\r?\n/)
      const field = (name: string) =>
        lines
          .filter((line) => line.startsWith(`${name}:`))
          .map((line) => line.slice(name.length + 1).replace(/^ /, ''))
      return { event: field('event')[0], data: field('data').join('\n') }
    })
    .filter(({ data }) => data !== '')
}
