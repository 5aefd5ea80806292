/**
 * A target over streamable HTTP: each message is a POST, answered in JSON or in a stream of events.
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 *
 * Written on the gateway's own connections rather than on the SDK's transport: that one does not tell to which
 * request a message belongs (a server's question has to reach the client in the reply in which it was asked), and
 * takes one `fetch` per message. A stream that ends before its answer is resumed where the server gave its events ids.
 */
import type { Headers } from '../core/headers.ts'
import { frameSplitter, parseFrame } from '../core/sse.ts'
import type { UpstreamCall, Upstreams } from '../core/upstream.ts'
import {
  type BodyReader,
  forwardedHeaders,
  type HttpEndpoint,
  sendHttp,
  setTrace,
  wholeBody,
} from './http.ts'
import { isRequest, type RequestId, type RpcMessage, readMessage } from './json-rpc.ts'
import { headersOf } from './modern-wire.ts'
import { type Delivery, TargetError, type Transport, type TransportEvents } from './transport.ts'

export interface StreamableHttpOptions {
  readonly upstreams: Upstreams
  readonly endpoint: HttpEndpoint
  readonly path: string
}

const ACCEPT_BOTH = 'application/json, text/event-stream'
const MAX_RESUMES = 5
const RETRY_MS = 1000
const LONGEST_RETRY_MS = 30_000
/** How long a target may take to end a session of which we take leave. */
const LEAVE_MS = 2000
/** How long what is on its way may take when the rest has ended. */
const SAY_MS = 500

const isJson = (headers: Headers) =>
  /^application\/(?:.*\+)?json\b/i.test(String(headers['content-type'] ?? ''))
const isEvents = (headers: Headers) => /^text\/event-stream\b/i.test(String(headers['content-type'] ?? ''))

export function streamableHttp(
  { upstreams, endpoint, path }: StreamableHttpOptions,
  events: TransportEvents,
): Transport {
  let sessionId: string | undefined
  let version: string | undefined
  let isClosed = false
  let listening: { readonly headers: Headers; lastEventId: string | undefined; failures: number } | undefined
  const calls = new Map<RequestId | symbol, UpstreamCall>()
  /** Messages without an answer that are on their way; they still go out when the rest ends. */
  const saying = new Map<symbol, UpstreamCall>()
  let onSaid: (() => void) | undefined
  const timers = new Set<NodeJS.Timeout>()
  /** Of the last message: with them leave is taken. */
  let lastHeaders: Headers = {}

  function headersFor(from: Headers, accept: string): Headers {
    const headers = forwardedHeaders(from)
    headers.accept = accept
    if (sessionId !== undefined) headers['mcp-session-id'] = sessionId
    if (version !== undefined) headers['mcp-protocol-version'] = version
    return headers
  }

  function later(milliseconds: number, step: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer)
      if (!isClosed) step()
    }, milliseconds)
    timers.add(timer)
  }

  /** True when `answering` has got its answer. */
  function deliver(text: string, answering: RequestId | undefined): boolean {
    let isAnswered = false
    let parsed: unknown
    try {
      parsed = JSON.parse(text)
    } catch {
      throw new TargetError('unexpected_response', `${endpoint.address}: the answer is not JSON`)
    }
    for (const one of Array.isArray(parsed) ? parsed : [parsed]) {
      const message = readMessage(one)
      if (typeof message === 'string')
        throw new TargetError(
          'unexpected_response',
          `${endpoint.address}: not a JSON-RPC message: ${message}`,
        )
      if (!('method' in message) && message.id === answering) isAnswered = true
      events.onMessage(message, answering)
    }
    return isAnswered
  }

  /** Reads events until the stream ends; unless that was all, `onEnd` learns where to go on. */
  function eventReader(
    answering: RequestId | undefined,
    onEnd: (lastEventId: string | undefined, retryMs: number) => void,
  ): BodyReader {
    const splitter = frameSplitter(endpoint.maxBytes)
    let lastEventId: string | undefined
    let retryMs = RETRY_MS
    let isAnswered = false
    return {
      onData(chunk) {
        for (const frame of splitter.push(chunk)) {
          const event = parseFrame(frame)
          if (event === undefined) continue
          if (event.id !== undefined) lastEventId = event.id
          if (event.retry !== undefined) retryMs = Math.min(event.retry, LONGEST_RETRY_MS)
          if (event.data !== '' && (event.event === undefined || event.event === 'message'))
            isAnswered = deliver(event.data, answering) || isAnswered
        }
      },
      onEnd() {
        if (isAnswered && answering !== undefined) calls.delete(answering)
        else onEnd(lastEventId, retryMs)
      },
    }
  }

  function refusal(status: number, headers: Headers, body: Buffer): TargetError {
    const said = /^(?:text\/plain|application\/json)/i.test(String(headers['content-type'] ?? ''))
      ? `: ${body.toString('utf8', 0, 300)}`
      : ''
    return new TargetError('transport_error', `${endpoint.address}: the server answered ${status}${said}`, {
      reply: { status, headers, body },
      isExpired: status === 404 && sessionId !== undefined,
    })
  }

  const refusalReader = (status: number, headers: Headers, done: (error: TargetError) => void) =>
    wholeBody(endpoint.maxBytes, (body) => done(refusal(status, headers, body)))

  /** The stream of a request is over. Was that all, or does it go on elsewhere? */
  function resume(
    id: RequestId,
    headers: Headers,
    from: string | undefined,
    retryMs: number,
    tries: number,
  ): void {
    const isPending = calls.delete(id)
    if (!isPending || isClosed) return
    if (from === undefined || tries >= MAX_RESUMES) {
      events.onLost(
        id,
        new TargetError('transport_error', `${endpoint.address}: the stream ended without an answer`),
      )
      return
    }
    const placeholder: UpstreamCall = { abort() {}, pause() {}, resume() {} }
    calls.set(id, placeholder)
    later(retryMs, () => {
      if (calls.get(id) !== placeholder) return
      const request = { ...headersFor(headers, 'text/event-stream'), 'last-event-id': from }
      const again = (last: string | undefined, ms: number) =>
        resume(id, headers, last ?? from, ms, last === undefined ? tries + 1 : 0)
      const call = sendHttp(
        upstreams,
        endpoint,
        { method: 'GET', path, headers: request, body: null },
        {
          onHead(status, answered) {
            if (status === 200 && isEvents(answered)) return eventReader(id, again)
            return refusalReader(status, answered, (error) => {
              if (calls.delete(id)) events.onLost(id, error)
            })
          },
          onError: () => again(undefined, retryMs),
        },
      )
      calls.set(id, call)
    })
  }

  function post(message: RpcMessage, delivery: Delivery, settle: (error?: TargetError) => void): void {
    if (isClosed) {
      settle(new TargetError('unavailable', 'the session was ended'))
      return
    }
    lastHeaders = delivery.headers
    const id = isRequest(message) ? message.id : undefined
    const said = Symbol('notification')
    const isHandshake = isRequest(message) && message.method === 'initialize'
    if (isHandshake) {
      sessionId = undefined
      version = undefined
    }
    const headers = headersFor(delivery.headers, ACCEPT_BOTH)
    headers['content-type'] = 'application/json'
    setTrace(headers, delivery)
    Object.assign(headers, headersOf(message))
    const body = Buffer.from(JSON.stringify(message))
    const end = (error?: TargetError) => {
      if (id !== undefined) calls.delete(id)
      else if (saying.delete(said) && saying.size === 0) onSaid?.()
      settle(error)
    }
    const call = sendHttp(
      upstreams,
      endpoint,
      { method: 'POST', path, headers, body },
      {
        onHead(status, answered) {
          if (status >= 300) return refusalReader(status, answered, end)
          if (isHandshake) sessionId = answered['mcp-session-id']?.toString()
          if (id === undefined) return wholeBody(endpoint.maxBytes, () => end())
          if (isEvents(answered)) {
            settle()
            return eventReader(id, (last, retryMs) => resume(id, delivery.headers, last, retryMs, 0))
          }
          if (!isJson(answered))
            throw new TargetError(
              'unexpected_response',
              `${endpoint.address}: neither JSON nor events in the answer`,
            )
          return wholeBody(endpoint.maxBytes, (whole) => {
            const isAnswered = deliver(whole.toString('utf8'), id)
            if (calls.delete(id) && !isAnswered)
              events.onLost(
                id,
                new TargetError('unexpected_response', `${endpoint.address}: no answer in the reply`),
              )
            settle()
          })
        },
        onError(error) {
          if (id !== undefined && calls.delete(id)) events.onLost(id, error)
          end(error)
        },
      },
      delivery.call,
    )
    if (id === undefined) saying.set(said, call)
    else calls.set(id, call)
  }

  /** The stream for what belongs to no request. A server may refuse it, and then has nothing to say. */
  function openListener(): void {
    const state = listening
    if (state === undefined || isClosed) return
    const headers = headersFor(state.headers, 'text/event-stream')
    if (state.lastEventId !== undefined) headers['last-event-id'] = state.lastEventId
    const key = Symbol('listener')
    const again = (afterMs: number) => {
      calls.delete(key)
      state.failures++
      later(Math.min(afterMs * 2 ** Math.min(state.failures - 1, 5), LONGEST_RETRY_MS), openListener)
    }
    const call = sendHttp(
      upstreams,
      endpoint,
      { method: 'GET', path, headers, body: null },
      {
        onHead(status, answered) {
          if (status === 200 && isEvents(answered)) {
            state.failures = 0
            return eventReader(undefined, (last, retryMs) => {
              if (last !== undefined) state.lastEventId = last
              again(retryMs)
            })
          }
          return refusalReader(status, answered, (error) => {
            calls.delete(key)
            if (error.isExpired) events.onExpired(error)
            else if (status >= 500) again(RETRY_MS)
          })
        },
        onError: () => again(RETRY_MS),
      },
    )
    calls.set(key, call)
  }

  function close(error: TargetError): void {
    if (isClosed) return
    isClosed = true
    for (const timer of timers) clearTimeout(timer)
    timers.clear()
    for (const call of calls.values()) call.abort()
    calls.clear()
    events.onClosed(error)
  }

  async function saidAll(): Promise<void> {
    if (saying.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    onSaid = resolve
    const timer = setTimeout(resolve, SAY_MS)
    await promise
    clearTimeout(timer)
    for (const call of saying.values()) call.abort()
  }

  /** Best effort: a server that does not answer forgets the session by itself. */
  function leave(): Promise<void> {
    if (sessionId === undefined) return Promise.resolve()
    const headers = headersFor(lastHeaders, ACCEPT_BOTH)
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        resolve()
      }
      const call = sendHttp(
        upstreams,
        endpoint,
        { method: 'DELETE', path, headers, body: null },
        {
          onHead: () => wholeBody(endpoint.maxBytes, done),
          onError: done,
        },
      )
      const timer = setTimeout(() => {
        call.abort()
        resolve()
      }, LEAVE_MS)
    })
  }

  return {
    open: () => Promise.resolve(),
    send: (message, delivery) =>
      new Promise((resolve, reject) => {
        post(message, delivery, (error) => (error === undefined ? resolve() : reject(error)))
      }),
    negotiated(protocolVersion) {
      version = protocolVersion
    },
    listen(headers) {
      if (listening !== undefined) return
      listening = { headers, lastEventId: undefined, failures: 0 }
      openListener()
    },
    abandon(id) {
      calls.get(id)?.abort()
      calls.delete(id)
    },
    async close() {
      close(new TargetError('unavailable', 'the session was ended'))
      await saidAll()
      await leave()
    },
    sessionId: () => sessionId,
  }
}
