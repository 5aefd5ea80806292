/**
 * Calls upstreams over pooled connections: one pool per origin and TLS setting, kept over reloads.
 *
 * Uses undici's dispatcher directly: its handlers see each chunk as it comes off the socket, without a stream in
 * between. Every limit of undici is set explicitly, for its defaults cut any answer at 300 s.
 */
import { isIP } from 'node:net'
import { buildConnector, type Dispatcher, Pool } from 'undici'
import { type ErrorType, errorTypeOfStatus, FAULTS, type FaultCode, GatewayError } from '../core/errors.ts'
import type { Attempt } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import type {
  UpstreamAttempt,
  UpstreamHandler,
  Upstreams,
  UpstreamTarget,
  WaitLimits,
} from '../core/upstream.ts'
import { Gate } from './gate.ts'

export interface UpstreamSettings {
  readonly connectTimeoutMs: number
  readonly poolIdleMs: number
  readonly poolMaxSize: number | undefined
  readonly keepAlive: { readonly enabled: boolean; readonly initialDelayMs: number }
  /** 4 or 6 = only that family; undefined = both, whichever answers first. */
  readonly family: 4 | 6 | undefined
  /** A connection was opened: `plaintext` or `tls`, and how long that took. */
  readonly onConnected: (transport: 'plaintext' | 'tls', seconds: number) => void
}

interface PoolEntry {
  readonly pool: Pool
  readonly gate: Gate | undefined
  /** How many connections it has opened. */
  connects: number
}

/** Of a response; more than any provider sends. */
const MAX_HEADER_BYTES = 256 * 1024

/** What nobody reads may take so long to arrive. */
const DISCARD_MS = 500

const CONNECT_ERRORS = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_NODATA',
  'EACCES',
])

function faultOf(error: Error, started: boolean): FaultCode {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  switch (code) {
    case 'UND_ERR_CONNECT_TIMEOUT':
      return 'connect_timeout'
    case 'ETIMEDOUT':
      // Keepalive probes without an answer end a connection that stood with the same code.
      return started ? 'upstream_reset' : 'connect_timeout'
    case 'UND_ERR_HEADERS_OVERFLOW':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
    case 'UND_ERR_RES_EXCEEDED_MAX_SIZE':
      return 'upstream_bad_response'
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH':
      return 'bad_request'
    default:
      break
  }
  if (code.startsWith('HPE_') || error.name === 'HTTPParserError') return 'upstream_bad_response'
  if (!started || CONNECT_ERRORS.has(code) || code.startsWith('ERR_TLS') || code.startsWith('CERT_'))
    return 'upstream_connect'
  return 'upstream_reset'
}

const SAYS: Partial<Record<FaultCode, string>> = {
  connect_timeout: 'upstream call timeout: no connection in time',
  upstream_timeout: 'upstream call timeout: no response in time',
  idle_timeout: 'upstream call timeout: the response stalled',
  upstream_bad_response: 'upstream call failed: the response is not valid HTTP',
  upstream_connect: 'upstream call failed: cannot connect',
  upstream_reset: 'upstream call failed: the connection was closed',
  bad_request: 'the request cannot be forwarded',
}

/** undici's error, or the system's, as ours. AggregateErrors (several addresses tried) speak by their first. */
function asGatewayError(error: Error, started: boolean): GatewayError {
  const [first] = error instanceof AggregateError ? error.errors : []
  const cause = first instanceof Error ? first : error
  const fault = faultOf(cause, started)
  return new GatewayError(fault, SAYS[fault] ?? 'upstream call failed', { cause })
}

/** undici's handler of one attempt: keeps the attempt's record and hands on what arrives. */
class AttemptHandler implements Dispatcher.DispatchHandler, UpstreamAttempt {
  readonly #attempt: Attempt
  readonly #handler: UpstreamHandler
  readonly #entry: PoolEntry
  readonly #connectsBefore: number
  readonly #limits: WaitLimits
  #controller: Dispatcher.DispatchController | undefined
  #timer: NodeJS.Timeout | undefined
  #over = false
  /** Its place in the gate. */
  #start: (() => void) | undefined
  #isQueued = false

  constructor(attempt: Attempt, handler: UpstreamHandler, entry: PoolEntry, limits: WaitLimits) {
    this.#attempt = attempt
    this.#limits = limits
    this.#handler = handler
    this.#entry = entry
    this.#connectsBefore = entry.connects
    this.#arm(limits.firstByteMs, 'upstream_timeout')
  }

  #arm(milliseconds: number, fault: 'upstream_timeout' | 'idle_timeout'): void {
    clearTimeout(this.#timer)
    this.#timer = milliseconds === 0 ? undefined : setTimeout(() => this.#timeOut(fault), milliseconds)
  }

  #timeOut(fault: 'upstream_timeout' | 'idle_timeout'): void {
    if (this.#over) return
    const error = new GatewayError(fault, SAYS[fault] ?? fault)
    this.#end(FAULTS[fault].errorType, error.message)
    this.#controller?.abort(error)
    this.#handler.onError(error)
  }

  /** Asks as soon as the upstream may be asked. */
  enter(start: () => void): void {
    const { gate } = this.#entry
    if (gate === undefined) {
      start()
      return
    }
    let isAtOnce = true
    const turn = () => {
      if (!isAtOnce) this.#noteQueued()
      this.#isQueued = false
      start()
    }
    this.#start = turn
    this.#isQueued = true
    if (gate.enter(turn)) {
      isAtOnce = false
      return
    }
    this.#start = undefined
    this.#isQueued = false
    const error = new GatewayError('overloaded', 'the upstream has as much to do as it may have')
    this.#end(FAULTS.overloaded.errorType, error.message)
    this.#handler.onError(error)
  }

  #noteQueued(): void {
    this.#attempt.queuedMs = performance.now() - this.#attempt.startedAt
  }

  #end(errorType?: ErrorType, message?: string): void {
    this.#over = true
    if (this.#isQueued) this.#noteQueued()
    clearTimeout(this.#timer)
    const start = this.#start
    this.#start = undefined
    if (start !== undefined) this.#entry.gate?.leave(start)
    this.#attempt.endedAt = performance.now()
    if (errorType !== undefined) this.#attempt.errorType = errorType
    if (message !== undefined) this.#attempt.errorMessage = message
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#over) {
      controller.abort(new Error('abandoned'))
      return
    }
    this.#controller = controller
    if (this.#entry.connects > this.#connectsBefore)
      this.#attempt.connectMs = performance.now() - this.#attempt.startedAt
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (this.#over || status < 200) return
    this.#attempt.headAt = performance.now()
    this.#attempt.status = status
    if (status >= 400) this.#attempt.errorType = errorTypeOfStatus(status)
    this.#arm(this.#limits.idleMs, 'idle_timeout')
    this.#handler.onHead(status, headers)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return
    this.#timer?.refresh()
    this.#handler.onData(chunk)
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer)
    if (this.#over) return
    this.#end()
    this.#handler.onEnd()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#timer)
    if (this.#over) return
    const ours = asGatewayError(error, this.#controller !== undefined)
    this.#end(FAULTS[ours.code].errorType, error.message)
    this.#handler.onError(ours)
  }

  abort(): void {
    if (this.#over) return
    this.#end(this.#attempt.errorType ?? 'caller_abort')
    this.#controller?.abort(new Error('abandoned'))
  }

  discard(): void {
    if (this.#over) return
    this.#end()
    this.#timer = setTimeout(() => this.#controller?.abort(new Error('abandoned')), DISCARD_MS)
  }

  pause(): void {
    // While nobody reads, the upstream's silence is not its own.
    clearTimeout(this.#timer)
    this.#controller?.pause()
  }

  resume(): void {
    if (this.#over) return
    this.#arm(this.#limits.idleMs, 'idle_timeout')
    this.#controller?.resume()
  }
}

const keyOf = (target: UpstreamTarget) =>
  target.tls === undefined && target.connectTimeoutMs === undefined && target.limits === undefined
    ? `${target.host}:${target.port}`
    : JSON.stringify(target)

/** The name for SNI and verification: never the request's Host, which may be the client's. */
const serverNameOf = ({ tls, host }: UpstreamTarget) => tls?.servername ?? host

export function createUpstreams(settings: UpstreamSettings): Upstreams {
  const pools = new Map<string, PoolEntry>()
  // The usual target is the same object on every request; this spares building its key.
  const byTarget = new WeakMap<UpstreamTarget, PoolEntry>()

  function open(target: UpstreamTarget): PoolEntry {
    const { tls, limits } = target
    const timeout = target.connectTimeoutMs ?? settings.connectTimeoutMs
    const connect = buildConnector({
      // Ours below is exact; undici's ticks twice a second.
      timeout: 0,
      keepAlive: settings.keepAlive.enabled,
      keepAliveInitialDelay: settings.keepAlive.initialDelayMs,
      allowH2: false,
      ...(settings.family !== undefined && { family: settings.family, autoSelectFamily: false }),
      ...(tls !== undefined && {
        ca: tls.ca,
        cert: tls.cert,
        key: tls.key,
        servername: tls.servername,
        rejectUnauthorized: tls.insecure !== true,
        ...(tls.insecureHost === true && { checkServerIdentity: () => undefined }),
      }),
    })
    const transport = tls === undefined ? 'plaintext' : 'tls'
    const name = serverNameOf(target)
    // An address is no server name; without one Node verifies the address itself.
    const servername = isIP(name) === 0 ? name : ''
    const host = target.host.includes(':') ? `[${target.host}]` : target.host
    const entry: PoolEntry = {
      connects: 0,
      gate:
        limits?.maxRequests === undefined
          ? undefined
          : new Gate(limits.maxRequests, limits.maxPendingRequests),
      pool: new Pool(`${tls === undefined ? 'http' : 'https'}://${host}:${target.port}`, {
        connections: limits?.maxConnections ?? settings.poolMaxSize ?? null,
        pipelining: 1,
        keepAliveTimeout: settings.poolIdleMs,
        keepAliveMaxTimeout: Math.max(settings.poolIdleMs, 600_000),
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: 0,
        bodyTimeout: 0,
        allowH2: false,
        connect(options, callback) {
          const startedAt = performance.now()
          const timer = timeout === 0 ? undefined : setTimeout(giveUp, timeout)
          let isOver = false
          function giveUp(): void {
            isOver = true
            const message = `no connection to ${target.host}:${target.port} in ${timeout} ms`
            callback(Object.assign(new Error(message), { code: 'UND_ERR_CONNECT_TIMEOUT' }), null)
          }
          connect(tls === undefined ? options : { ...options, servername }, (error, socket) => {
            clearTimeout(timer)
            if (isOver) {
              socket?.destroy()
              return
            }
            if (error !== null) {
              callback(error, null)
              return
            }
            entry.connects++
            settings.onConnected(transport, (performance.now() - startedAt) / 1000)
            callback(null, socket)
          })
        },
      }),
    }
    return entry
  }

  function entryFor(target: UpstreamTarget): PoolEntry {
    const known = byTarget.get(target)
    // A request that began before a reload may still come for a pool that the reload closed.
    if (known !== undefined && !known.pool.closed) return known
    const key = keyOf(target)
    const entry = pools.get(key) ?? open(target)
    pools.set(key, entry)
    byTarget.set(target, entry)
    return entry
  }

  return {
    send(target, request, limits, attempt, handler) {
      const entry = entryFor(target)
      const attempted = new AttemptHandler(attempt, handler, entry, limits)
      const options: Dispatcher.DispatchOptions & { readonly servername: string } = {
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body,
        // Else undici takes it from the request's Host, and opens a new connection whenever that is another.
        servername: serverNameOf(target),
      }
      attempted.enter(() => {
        try {
          entry.pool.dispatch(options, attempted)
        } catch (error) {
          // undici checks its arguments synchronously: a path or a header that cannot go on the wire.
          attempted.onResponseError(
            {} as Dispatcher.DispatchController,
            error instanceof Error ? error : new Error(String(error)),
          )
        }
      })
      return attempted
    },
    retain(targets) {
      const wanted = new Set(targets.map(keyOf))
      for (const [key, entry] of pools) {
        if (wanted.has(key)) continue
        pools.delete(key)
        const close = () => entry.pool.close(() => {})
        // A closed pool would refuse those that still wait for their turn.
        if (entry.gate === undefined) close()
        else entry.gate.whenEmpty(close)
      }
    },
    async close() {
      const all = [...pools.values()]
      pools.clear()
      await Promise.all(all.map(({ pool }) => pool.destroy()))
    },
  }
}
