/** Requests of 2026-07-28 as they are on the wire, and streams of events that a test can look into. */
import { type Answer, type Json, post, postRaw, sseEvents } from '../support/mcp-lab.ts'

const KEY = 'io.modelcontextprotocol/'

export interface ModernOptions {
  readonly capabilities?: Json
  readonly clientInfo?: Json
  readonly meta?: Json
  readonly headers?: Record<string, string>
}

export function modern(id: number | string, method: string, params: Json = {}, options: ModernOptions = {}) {
  const name = params.name ?? params.uri
  const {
    capabilities = {},
    clientInfo = { name: 'modern', version: '1' },
    meta = {},
    headers = {},
  } = options
  return {
    message: {
      jsonrpc: '2.0',
      id,
      method,
      params: {
        ...params,
        _meta: {
          [`${KEY}protocolVersion`]: '2026-07-28',
          [`${KEY}clientInfo`]: clientInfo,
          [`${KEY}clientCapabilities`]: capabilities,
          ...meta,
        },
      },
    },
    headers: {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(name !== undefined && { 'mcp-name': String(name) }),
      ...headers,
    },
  }
}

export type Modern = ReturnType<typeof modern>

export const postModern = (url: string, { message, headers }: Modern): Promise<Answer> =>
  post(url, message, headers)

export const postModernRaw = (url: string, { message, headers }: Modern, signal: AbortSignal) =>
  postRaw(url, message, headers, { signal })

export interface Heard {
  readonly status: number
  readonly messages: Json[]
  /** The first message that fits, past or to come. Rejects when the stream ends before. */
  readonly heard: (fits: (message: Json) => boolean) => Promise<Json>
  readonly leave: () => void
}

/** A response of events that goes on while the test does. */
export async function follow(open: (signal: AbortSignal) => Promise<Response>): Promise<Heard> {
  const leaving = new AbortController()
  const response = await open(leaving.signal)
  const messages: Json[] = []
  let waiting: (() => void)[] = []
  let isOver = false
  const wake = () => {
    const woken = waiting
    waiting = []
    for (const one of woken) one()
  }
  const read = async () => {
    for await (const { message } of sseEvents(response)) {
      if (message !== undefined) messages.push(message)
      wake()
    }
  }
  read()
    .catch(() => {})
    .finally(() => {
      isOver = true
      wake()
    })
  return {
    status: response.status,
    messages,
    async heard(fits) {
      for (;;) {
        const found = messages.find(fits)
        if (found !== undefined) return found
        if (isOver) throw new Error(`the stream ended with ${JSON.stringify(messages)}`)
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
    leave: () => leaving.abort(),
  }
}

export const listenFor = (url: string, id: number, notifications: Json, options: ModernOptions = {}) =>
  follow((signal) =>
    postModernRaw(url, modern(id, 'subscriptions/listen', { notifications }, options), signal),
  )
