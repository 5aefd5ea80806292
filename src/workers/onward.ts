/**
 * A worker's way of passing a request on to the primary, and the answer back: as they are, and as they come.
 *
 * There is no exchange here: the primary makes the one record. Whoever leaves is missed on the other side.
 */
import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
  request as send,
} from 'node:http'
import { GatewayError } from '../core/errors.ts'
import { faultReply } from '../fault-reply.ts'
import { addressOf, hasBody } from '../listen/incoming.ts'
import type { Handled } from '../listen/server.ts'
import { INTRODUCTION, type Introduction } from './introduction.ts'
import { MAX_HEADER_BYTES, type ReceptionAddress } from './reception.ts'

export interface Passed {
  /** `bind/3000` */
  readonly bind: string
  /** Among those of the configuration. */
  readonly place: number
  readonly scheme: 'http' | 'https'
  /** The client's connection is closed with the response. */
  readonly isLast: () => boolean
}

export interface Onward {
  /** `done`: once, when the client's response is closed. */
  readonly pass: (
    request: IncomingMessage,
    response: ServerResponse,
    passed: Passed,
    done: () => void,
  ) => Handled
  readonly close: () => void
}

export interface OnwardOptions {
  /** The primary could not be reached, or did not answer. */
  readonly onFailed: (error: Error) => void
}

const MAX_IDLE = 64

/** Methods for which Node announces no body by itself. */
const BODILESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

/** Without those whose lower-case names are left out. */
function headersFrom(rawHeaders: readonly string[], leftOut: ReadonlySet<string>): string[] {
  const headers: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (!leftOut.has(name.toLowerCase())) headers.push(name, rawHeaders[index + 1] ?? '')
  }
  return headers
}

const NOT_PASSED = new Set([INTRODUCTION, 'connection', 'keep-alive'])
const NOT_ANSWERED = new Set(['connection', 'keep-alive', 'transfer-encoding'])

export function createOnward({ path, secret }: ReceptionAddress, { onFailed }: OnwardOptions): Onward {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: MAX_IDLE })

  /** Throws on a head that cannot go on the wire. */
  function begin(request: IncomingMessage, { bind, place, scheme }: Passed): ClientRequest {
    const { rawHeaders, socket, httpVersion, method = 'GET' } = request
    const introduction: Introduction = {
      secret,
      bind,
      place,
      scheme,
      httpVersion,
      clientAddress: addressOf(request),
      localAddress: socket.localAddress ?? '',
      connection: request.headers.connection,
    }
    const headers = [INTRODUCTION, JSON.stringify(introduction), ...headersFrom(rawHeaders, NOT_PASSED)]
    if (!hasBody(request) && !BODILESS.has(method) && request.headers['content-length'] === undefined)
      headers.push('content-length', '0')
    return send({
      socketPath: path,
      agent,
      method,
      path: request.url ?? '/',
      headers,
      setHost: false,
      maxHeaderSize: MAX_HEADER_BYTES,
    })
  }

  return {
    pass(request, response, passed, done) {
      let onward: ClientRequest | undefined
      function fail(fault: GatewayError): void {
        leave()
        if (response.headersSent) {
          response.destroy()
          return
        }
        const { headers, body } = faultReply(fault, 'mcp')
        response.shouldKeepAlive = false
        response.writeHead(fault.status, headers)
        response.end(body)
      }
      function leave(): void {
        if (onward === undefined || onward.destroyed) return
        request.unpipe(onward)
        breakOff(onward)
      }
      response.on('error', () => {})
      response.on('close', () => {
        leave()
        done()
      })
      try {
        onward = begin(request, passed)
      } catch (cause) {
        fail(new GatewayError('bad_request', 'the request is not valid HTTP', { cause }))
        return { fail }
      }
      onward.on('response', (answer) => answerWith(answer, request, response, passed))
      onward.on('error', (cause) => {
        // Not of one that has been given up, here or by its client.
        if (response.destroyed || response.writableEnded) return
        onFailed(cause)
        fail(new GatewayError('internal', 'the process that serves MCP does not answer', { cause }))
      })
      if (hasBody(request)) request.pipe(onward)
      else onward.end()
      return { fail }
    },
    close: () => agent.destroy(),
  }
}

/** The primary is to hear of it all the same, and to record it. */
function breakOff(onward: ClientRequest): void {
  onward.flushHeaders()
  if (onward.socket !== null) onward.socket.destroySoon()
  else onward.once('socket', (socket) => process.nextTick(() => socket.destroySoon()))
}

function answerWith(
  answer: IncomingMessage,
  request: IncomingMessage,
  response: ServerResponse,
  { isLast }: Passed,
): void {
  if (response.headersSent || response.destroyed) {
    answer.resume()
    return
  }
  // What is left of the request is not read: the connection cannot serve another one.
  if (!request.complete || isLast()) response.shouldKeepAlive = false
  const { statusCode = 502, statusMessage, rawHeaders, headers } = answer
  response.writeHead(statusCode, statusMessage, headersFrom(rawHeaders, NOT_ANSWERED))
  // A stream's first event may be long in coming.
  if (headers['content-length'] === undefined) response.flushHeaders()
  answer.on('close', () => {
    if (!answer.complete) response.destroy()
  })
  answer.on('error', () => {})
  answer.pipe(response)
}
