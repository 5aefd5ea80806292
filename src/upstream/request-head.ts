/** A request as it goes on the wire. What could be read as anything else than itself is refused before a byte is sent. */
import type { Readable } from 'node:stream'
import type { UpstreamRequest, UpstreamTarget } from '../core/upstream.ts'
import { fieldName, isToken } from './field-names.ts'
import { HttpError } from './http-error.ts'

export interface OutgoingRequest {
  readonly method: string
  /** Latin-1, to the empty line. */
  readonly head: string
  readonly body: Buffer | Readable | undefined
  /** Of a body that is a stream; undefined = chunked. */
  readonly length: number | undefined
  /** The other side may not expect what it is sent, or send what is not expected: nothing else follows. */
  readonly isLast: boolean
}

const NO_FIELD_VALUE = /[^\t\x20-\x7e\x80-\xff]/
const NO_TARGET = /[^\x21-\x7e\x80-\xff]/
const LENGTH = /^\d{1,15}$/
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH'])

/** Concern the connection, which is not the client's. */
const REFUSED = new Set(['transfer-encoding', 'keep-alive', 'upgrade'])

/** The client has been told to go on, or is not asked: nobody waits for the upstream's word. */
const DROPPED = new Set(['connection', 'expect'])

const bad = (what: string) => new HttpError('bad_request', what)

/** An error where it cannot go on the wire. */
export function outgoing(request: UpstreamRequest, target: UpstreamTarget): OutgoingRequest | HttpError {
  try {
    return written(request, target)
  } catch (error) {
    if (error instanceof HttpError) return error
    throw error
  }
}

function written(request: UpstreamRequest, target: UpstreamTarget): OutgoingRequest {
  const { method, path, headers } = request
  const body =
    request.body === null || (Buffer.isBuffer(request.body) && request.body.length === 0)
      ? undefined
      : request.body
  if (method !== 'POST' && method !== 'GET' && (!isToken(method) || method === 'CONNECT'))
    throw bad('the method is none')
  if (path.charCodeAt(0) !== 47 || NO_TARGET.test(path)) throw bad('the path is none')
  let host: string | undefined
  let promised: number | undefined
  let fields = ''
  for (const given in headers) {
    const value = headers[given]
    if (value === undefined) continue
    const name = fieldName(given)
    if (name === undefined) throw bad("a header's name is none")
    if (typeof value !== 'string') {
      if (name === 'host' || name === 'content-length') throw bad(`there is more than one ${name}`)
      for (const each of value) fields += field(given, name, each)
    } else if (name === 'host') {
      if (NO_FIELD_VALUE.test(value)) throw bad('the host is none')
      host = value
    } else if (name === 'content-length') promised = lengthOf(value)
    else fields += field(given, name, value)
  }
  const length = Buffer.isBuffer(body) ? body.length : promised
  if (Buffer.isBuffer(body) && promised !== undefined && promised !== length)
    throw bad('the body is not as long as it says')
  const hasPayload = WITH_BODY.has(method)
  const isLast = method === 'HEAD' || (body !== undefined && !hasPayload)
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host ?? authorityOf(target)}\r\nconnection: ${method === 'HEAD' ? 'close' : 'keep-alive'}\r\n${fields}`
  if (body === undefined) head += hasPayload ? 'content-length: 0\r\n\r\n' : '\r\n'
  else
    head += length === undefined ? 'transfer-encoding: chunked\r\n\r\n' : `content-length: ${length}\r\n\r\n`
  return { method, head, body, length, isLast }
}

function authorityOf({ host, port, tls }: UpstreamTarget): string {
  const name = host.includes(':') ? `[${host}]` : host
  return port === (tls === undefined ? 80 : 443) ? name : `${name}:${port}`
}

function field(given: string, name: string, value: string): string {
  if (NO_FIELD_VALUE.test(value)) throw bad(`${name} cannot be sent`)
  if (DROPPED.has(name)) return ''
  if (REFUSED.has(name)) throw bad(`${name} cannot be forwarded`)
  return `${given}: ${value}\r\n`
}

function lengthOf(value: string): number {
  if (!LENGTH.test(value)) throw bad('the length is none')
  return Number(value)
}
