/**
 * An OTLP collector in this process: gRPC and HTTP with protobuf, on free ports.
 *
 * Reads protobuf by hand, field by field: a reader that shares code with the writer would share its mistakes.
 * https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
 */
import { createServer as createHttp1Server } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo, Server, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface Span {
  readonly traceId: string
  readonly spanId: string
  /** Empty for a root. */
  readonly parentSpanId: string
  readonly traceState: string
  readonly name: string
  readonly kind: 'internal' | 'server' | 'client' | 'other'
  readonly startNanos: bigint
  readonly endNanos: bigint
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly string[]
  /** Of the events, in their order. */
  readonly eventAttributes: readonly Readonly<Record<string, unknown>>[]
  readonly hasFailed: boolean
  readonly statusMessage: string
  readonly resource: Readonly<Record<string, unknown>>
}

export interface Collector {
  readonly port: number
  readonly url: string
  readonly spans: readonly Span[]
  /** Headers of every export. */
  readonly requests: readonly Readonly<Record<string, unknown>>[]
  /** Every byte that was exported, as text; without the headers. */
  readonly payloads: () => string
  readonly waitFor: (predicate: (spans: readonly Span[]) => boolean) => Promise<readonly Span[]>
  readonly close: () => Promise<void>
}

export interface CollectorOptions {
  readonly protocol?: 'grpc' | 'http'
  /** Takes the exports in and never answers. */
  readonly silent?: boolean
  /** Answers this instead of success (HTTP only). */
  readonly status?: number
}

interface Field {
  readonly number: number
  readonly value: bigint | Buffer
}

function varint(bytes: Buffer, from: number): { value: bigint; next: number } {
  let value = 0n
  for (let next = from, shift = 0n; ; shift += 7n) {
    const byte = bytes[next++]
    if (byte === undefined) throw new Error('truncated protobuf')
    value |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) return { value, next }
  }
}

function fields(bytes: Buffer): Field[] {
  const found: Field[] = []
  let at = 0
  while (at < bytes.length) {
    const tag = varint(bytes, at)
    const number = Number(tag.value >> 3n)
    const type = Number(tag.value & 7n)
    at = tag.next
    if (type === 0) {
      const { value, next } = varint(bytes, at)
      found.push({ number, value })
      at = next
    } else if (type === 1) {
      found.push({ number, value: bytes.readBigUInt64LE(at) })
      at += 8
    } else if (type === 2) {
      const { value, next } = varint(bytes, at)
      at = next + Number(value)
      found.push({ number, value: bytes.subarray(next, at) })
    } else if (type === 5) {
      found.push({ number, value: BigInt(bytes.readUInt32LE(at)) })
      at += 4
    } else throw new Error(`wire type ${type}`)
  }
  return found
}

const NOTHING = Buffer.alloc(0)
const all = (from: readonly Field[], number: number) =>
  from.flatMap((one) => (one.number === number && Buffer.isBuffer(one.value) ? [one.value] : []))
const bytesOf = (from: readonly Field[], number: number) => all(from, number).at(-1) ?? NOTHING
const textOf = (from: readonly Field[], number: number) => bytesOf(from, number).toString()
const numberOf = (from: readonly Field[], number: number) => {
  const value = from.findLast((one) => one.number === number)?.value
  return typeof value === 'bigint' ? value : 0n
}

function anyValue(bytes: Buffer): unknown {
  const [field] = fields(bytes)
  if (field === undefined) return undefined
  const { number, value } = field
  if (Buffer.isBuffer(value)) {
    if (number === 1) return value.toString()
    if (number === 5) return all(fields(value), 1).map(anyValue)
    return number === 6 ? attributesOf(all(fields(value), 1)) : value
  }
  if (number === 2) return value !== 0n
  if (number === 3) return Number(BigInt.asIntN(64, value))
  const double = Buffer.alloc(8)
  double.writeBigUInt64LE(value)
  return double.readDoubleLE()
}

const attributesOf = (pairs: readonly Buffer[]) =>
  Object.fromEntries(
    pairs.map((pair) => {
      const entry = fields(pair)
      return [textOf(entry, 1), anyValue(bytesOf(entry, 2))]
    }),
  )

const KINDS = new Map<bigint, Span['kind']>([
  [1n, 'internal'],
  [2n, 'server'],
  [3n, 'client'],
])

function spansIn(request: Buffer): Span[] {
  return all(fields(request), 1).flatMap((resourceSpans) => {
    const group = fields(resourceSpans)
    const resource = attributesOf(all(fields(bytesOf(group, 1)), 1))
    return all(group, 2).flatMap((scopeSpans) =>
      all(fields(scopeSpans), 2).map((bytes) => {
        const span = fields(bytes)
        const status = fields(bytesOf(span, 15))
        return {
          traceId: bytesOf(span, 1).toString('hex'),
          spanId: bytesOf(span, 2).toString('hex'),
          traceState: textOf(span, 3),
          parentSpanId: bytesOf(span, 4).toString('hex'),
          name: textOf(span, 5),
          kind: KINDS.get(numberOf(span, 6)) ?? 'other',
          startNanos: numberOf(span, 7),
          endNanos: numberOf(span, 8),
          attributes: attributesOf(all(span, 9)),
          events: all(span, 11).map((event) => textOf(fields(event), 2)),
          eventAttributes: all(span, 11).map((event) => attributesOf(all(fields(event), 3))),
          statusMessage: textOf(status, 2),
          hasFailed: numberOf(status, 3) === 2n,
          resource,
        }
      }),
    )
  })
}

export async function startCollector(options: CollectorOptions = {}): Promise<Collector> {
  const spans: Span[] = []
  const requests: Readonly<Record<string, unknown>>[] = []
  const received: Buffer[] = []
  const waiting = new Set<() => void>()

  function take(headers: Readonly<Record<string, unknown>>, body: Buffer) {
    requests.push(headers)
    received.push(body)
    spans.push(...spansIn(body))
    for (const check of waiting) check()
  }

  const { server, closeSessions } =
    options.protocol === 'http' ? httpServer(options, take) : grpcServer(options, take)
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    spans,
    requests,
    payloads: () => Buffer.concat(received).toString('latin1'),
    waitFor: (predicate) =>
      new Promise((resolve) => {
        function check() {
          if (!predicate(spans)) return
          waiting.delete(check)
          resolve(spans)
        }
        waiting.add(check)
        check()
      }),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      closeSessions()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

type Take = (headers: Readonly<Record<string, unknown>>, body: Buffer) => void
interface Listening {
  readonly server: Server
  readonly closeSessions: () => void
}

function httpServer({ silent = false, status = 200 }: CollectorOptions, take: Take): Listening {
  const server = createHttp1Server(async (request, response) => {
    const body = await buffer(request).catch(() => undefined)
    if (body === undefined) return
    take({ ...request.headers, ':path': request.url }, body)
    if (!silent) response.writeHead(status, { 'content-type': 'application/x-protobuf' }).end()
  })
  return { server, closeSessions: () => server.closeAllConnections() }
}

/** Length-prefixed message in, length-prefixed empty message and trailers out. */
function grpcServer({ silent = false }: CollectorOptions, take: Take): Listening {
  const server = createHttp2Server()
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => {})
    session.once('close', () => sessions.delete(session))
  })
  server.on('stream', async (stream, headers) => {
    stream.on('error', () => {})
    const body = await buffer(stream).catch(() => undefined)
    if (body === undefined) return
    take(headers, body.subarray(5))
    if (silent) return
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(Buffer.alloc(5))
  })
  return {
    server,
    closeSessions: () => {
      for (const session of sessions) session.destroy()
    },
  }
}
