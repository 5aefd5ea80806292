/**
 * One port: sockets, TLS, idle and header limits, and an orderly end.
 *
 * Node's own request timeout is off, for it would cut a slow upload; the header timeout stays, for it is what
 * stands against a client that never finishes its head.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createSecureContext, type SecureContext } from 'node:tls'
import { GatewayError } from '../core/errors.ts'

export interface TlsListener {
  readonly cert: string
  readonly key: string
  /** For SNI; undefined serves every other name. */
  readonly hostname: string | undefined
  readonly fits: (hostname: string) => boolean
}

/** A request that was handed over. */
export interface Handled {
  /** It turns out to be broken, and its response is not begun. */
  fail(fault: GatewayError): void
}

/** What a connection is busy with. Kept per connection: a Map of requests would keep dead ones alive for the collector. */
interface Busy {
  response: ServerResponse | undefined
  handled: Handled | undefined
}

export interface ServerOptions {
  /** undefined = all interfaces, IPv6 included where the machine has it. */
  readonly host: string | undefined
  readonly port: number
  /** Other processes may listen there as well, and the system spreads connections over them. */
  readonly reusePort?: boolean
  /** Best hostname first; undefined = plaintext. */
  readonly tls: readonly TlsListener[] | undefined
  readonly idleMs: number
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => Handled
  /** A connection whose bytes are no HTTP request; the reply is already written. */
  readonly onBadRequest: (fault: GatewayError, socket: Duplex) => void
  readonly onConnection: (socket: Socket) => void
}

export interface ListeningServer {
  readonly port: number
  readonly address: string
  /** New certificates for the connections to come. */
  readonly setTls: (tls: readonly TlsListener[]) => void
  /** Accepts no more connections and closes the idle ones. */
  readonly stop: () => void
  /** Closes connections that became idle since. */
  readonly closeIdle: () => void
  /** Resolves once every connection is closed. */
  readonly closed: Promise<void>
  readonly destroy: () => void
}

/** Larger than Node's 16 KiB: agents send long headers. Beyond it: 431. */
const MAX_HEADER_BYTES = 64 * 1024
const HEADERS_TIMEOUT_MS = 60_000

/** What Node's parser says -> which fault it is. */
function clientFault(error: Error): GatewayError {
  const code = 'code' in error ? error.code : ''
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new GatewayError('headers_too_large', `the request's headers exceed ${MAX_HEADER_BYTES} bytes`, {
      cause: error,
    })
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new GatewayError('client_timeout', 'the request took too long to arrive', { cause: error })
  return new GatewayError('bad_request', 'the request is not valid HTTP', { cause: error })
}

const STATUS_TEXT: Record<number, string> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
}

/** Writes a reply by hand and closes the connection: Node has let go of it. */
function writeRaw(socket: Duplex, fault: GatewayError): void {
  const { status, message } = fault
  const head = `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? 'Error'}\r\ncontent-type: text/plain\r\nconnection: close\r\n`
  socket.end(`${head}content-length: ${Buffer.byteLength(message)}\r\n\r\n${message}`, () => socket.destroy())
}

function contextFor(listeners: readonly TlsListener[]): (name: string) => SecureContext | undefined {
  const contexts = listeners.map(({ cert, key, fits }) => ({
    fits,
    context: createSecureContext({ cert, key }),
  }))
  return (name) => contexts.find(({ fits }) => fits(name.toLowerCase()))?.context
}

/** Rejects when the port cannot be had (`EADDRINUSE`, `EACCES`). Throws when a certificate is not one. */
export async function listen(options: ServerOptions): Promise<ListeningServer> {
  let find = contextFor(options.tls ?? [])
  /** The latest request of each connection that has a response to come. */
  const connections = new WeakMap<Duplex, Busy>()

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    let busy = connections.get(socket)
    if (busy === undefined) {
      busy = { response: undefined, handled: undefined }
      connections.set(socket, busy)
    }
    const connection = busy
    connection.response = response
    response.on('close', () => {
      if (connection.response !== response) return
      connection.response = undefined
      connection.handled = undefined
    })
    connection.handled = options.onRequest(request, response)
  }

  const settings = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: 0,
    keepAliveTimeout: options.idleMs,
    // A request without `Host` is refused by the flow, so that it has a record, too.
    requireHostHeader: false,
    noDelay: true,
    keepAlive: true,
  }
  const [first] = options.tls ?? []
  const server: Server | SecureServer =
    first === undefined
      ? createServer(settings, onRequest)
      : createSecureServer(
          {
            ...settings,
            cert: first.cert,
            key: first.key,
            SNICallback: (name, done) => done(null, find(name)),
            ALPNProtocols: ['http/1.1'],
          },
          onRequest,
        )
  // Node's own list of connections lacks those that it has let go of, and TLS handshakes.
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    options.onConnection(socket)
  })
  server.on('clientError', (error: Error, socket: Duplex) => {
    // A peer that reset the connection, or already got its answer, cannot be told anything.
    if (('code' in error && error.code === 'ECONNRESET') || !socket.writable) {
      socket.destroy()
      return
    }
    const busy = connections.get(socket)
    const response = busy?.response
    // In the middle of its upload the client closes its half: it has left.
    if (response !== undefined && 'code' in error && error.code === 'HPE_INVALID_EOF_STATE') {
      socket.destroy()
      return
    }
    const fault = clientFault(error)
    if (response === undefined) {
      writeRaw(socket, fault)
      options.onBadRequest(fault, socket)
    } else if (!response.headersSent) {
      busy?.handled?.fail(fault)
    } else if (fault.code !== 'client_timeout') {
      // Nothing can be said inside a running response. A next request that is slow to come is no reason to end it.
      socket.destroy()
    }
  })
  // An `Expect` other than 100-continue: it may be ignored, and then the request is as good as any.
  server.on('checkExpectation', onRequest)
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy())
    if (connections.get(socket)?.response !== undefined) {
      socket.destroy()
      return
    }
    const fault = new GatewayError('method_not_allowed', `method ${request.method} is not allowed`)
    writeRaw(socket, fault)
    options.onBadRequest(fault, socket)
  })

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    const { port, host, reusePort = false } = options
    server.listen({ port, host, reusePort }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  server.on('error', () => {})
  const { port, address } = server.address() as AddressInfo
  const closed = new Promise<void>((resolve) => server.once('close', () => resolve()))

  return {
    port,
    address,
    setTls(tls) {
      find = contextFor(tls)
      const [best] = tls
      if (best !== undefined && 'setSecureContext' in server)
        server.setSecureContext({ cert: best.cert, key: best.key })
    },
    stop() {
      server.close()
      server.closeIdleConnections()
    },
    closeIdle: () => server.closeIdleConnections(),
    closed,
    destroy() {
      for (const socket of sockets) socket.destroy()
    },
  }
}
