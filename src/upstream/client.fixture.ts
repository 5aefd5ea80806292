/** Upstreams that say exactly what a test wants, and calls to them. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { GatewayError } from '../core/errors.ts'
import { type Attempt, beginAttempt } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import type {
  UpstreamCall,
  UpstreamRequest,
  Upstreams,
  UpstreamTarget,
  WaitLimits,
} from '../core/upstream.ts'
import { createUpstreams, type UpstreamSettings } from './client.ts'

export interface RawServer {
  readonly target: UpstreamTarget
  readonly sockets: readonly Socket[]
  /** Heads of the requests that came. */
  readonly heads: readonly string[]
  readonly close: () => void
}

/** Answers each request with `answer`: bytes, or whatever it does with the socket. */
export async function rawServer(answer: string | ((socket: Socket) => void)): Promise<RawServer> {
  const sockets: Socket[] = []
  const heads: string[] = []
  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      const [head = ''] = bytes.toString('latin1').split('\r\n\r\n')
      if (!/ HTTP\/1\.1\r\n/.test(head)) return
      heads.push(head)
      if (typeof answer === 'string') socket.write(answer, 'latin1')
      else answer(socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    target: { host: '127.0.0.1', port, tls: undefined, connectTimeoutMs: undefined },
    sockets,
    heads,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

export const upstreamsWith = (change: Partial<UpstreamSettings> = {}): Upstreams =>
  createUpstreams({
    connectTimeoutMs: 10_000,
    poolIdleMs: 60_000,
    poolMaxSize: undefined,
    keepAlive: { enabled: true, initialDelayMs: 60_000 },
    family: undefined,
    onConnected() {},
    ...change,
  })

export interface Called {
  readonly call: UpstreamCall
  readonly attempt: Attempt
  /** What the handler was told, in order. */
  readonly told: string[]
  status: number | undefined
  headers: Headers
  body: string
  error: GatewayError | undefined
  /** From the call to its end. */
  ms: number
  /** Resolves with the handler's last word. */
  readonly over: Promise<Called>
  /** Resolves with the first piece of the body. */
  readonly begun: Promise<void>
}

const GET: UpstreamRequest = { method: 'GET', path: '/', headers: { host: 'a.test' }, body: null }
const NO_LIMITS: WaitLimits = { firstByteMs: 0, idleMs: 0 }

export function callTo(
  upstreams: Upstreams,
  target: UpstreamTarget,
  change: Partial<UpstreamRequest> = {},
  limits: Partial<WaitLimits> = {},
): Called {
  const startedAt = performance.now()
  const over = Promise.withResolvers<Called>()
  const begun = Promise.withResolvers<void>()
  const attempt = beginAttempt(`${target.host}:${target.port}`, startedAt)
  const told: string[] = []
  const seen = { told, status: undefined, headers: {}, body: '', error: undefined, ms: 0 } as {
    -readonly [Key in keyof Called]: Called[Key]
  }
  const end = (word: string) => {
    told.push(word)
    seen.ms = performance.now() - startedAt
    over.resolve(seen)
  }
  seen.call = upstreams.send(target, { ...GET, ...change }, { ...NO_LIMITS, ...limits }, attempt, {
    onHead(status, headers) {
      told.push('head')
      seen.status = status
      seen.headers = headers
    },
    onData(chunk) {
      if (told.at(-1) !== 'data') told.push('data')
      seen.body += chunk.toString('latin1')
      begun.resolve()
    },
    onEnd: () => end('end'),
    onError(error) {
      seen.error = error
      end('error')
    },
  })
  seen.attempt = attempt
  seen.over = over.promise
  seen.begun = begun.promise
  return seen
}
