/** One attempt to get an answer out of an upstream: keeps its record and its limits, and hands on what arrives. */
import { type ErrorType, errorTypeOfStatus, FAULTS, GatewayError } from '../core/errors.ts'
import type { Attempt } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import type { UpstreamAttempt, UpstreamHandler, WaitLimits } from '../core/upstream.ts'
import type { Connection } from './connection.ts'
import { asGatewayError, SAYS } from './faults.ts'
import type { Gate } from './gate.ts'
import type { Pool, Waiting } from './pool.ts'
import type { OutgoingRequest } from './request-head.ts'

/** What nobody reads may take so long to arrive. */
const DISCARD_MS = 500

export interface PoolEntry {
  readonly pool: Pool
  readonly gate: Gate | undefined
}

export class PoolAttempt implements Waiting, UpstreamAttempt {
  #request: OutgoingRequest | undefined
  comes: Connection | undefined
  readonly #attempt: Attempt
  readonly #handler: UpstreamHandler
  readonly #entry: PoolEntry
  readonly #limits: WaitLimits
  #connection: Connection | undefined
  #timer: NodeJS.Timeout | undefined
  #over = false
  /** Its place in the gate. */
  #start: (() => void) | undefined
  #isQueued = false

  constructor(
    request: OutgoingRequest,
    attempt: Attempt,
    handler: UpstreamHandler,
    entry: PoolEntry,
    limits: WaitLimits,
  ) {
    this.#request = request
    this.#attempt = attempt
    this.#limits = limits
    this.#handler = handler
    this.#entry = entry
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
    this.#leave()
    this.#handler.onError(error)
  }

  /** Nobody waits for the answer any more. */
  #leave(): void {
    if (this.#connection === undefined) this.#entry.pool.forget(this)
    else this.#connection.close()
  }

  /** Asks as soon as the upstream may be asked. */
  enter(): void {
    const { gate, pool } = this.#entry
    if (gate === undefined) {
      pool.send(this)
      return
    }
    let isAtOnce = true
    const turn = () => {
      if (!isAtOnce) this.#noteQueued()
      this.#isQueued = false
      pool.send(this)
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

  takeRequest(): OutgoingRequest | undefined {
    const request = this.#request
    this.#request = undefined
    return request
  }

  onSent(connection: Connection, isFirst: boolean): void {
    this.#connection = connection
    if (isFirst) this.#attempt.connectMs = performance.now() - this.#attempt.startedAt
  }

  onHead(status: number, headers: Headers): void {
    if (this.#over) return
    this.#attempt.headAt = performance.now()
    this.#attempt.status = status
    if (status >= 400) this.#attempt.errorType = errorTypeOfStatus(status)
    this.#arm(this.#limits.idleMs, 'idle_timeout')
    this.#handler.onHead(status, headers)
  }

  onData(chunk: Buffer): void {
    if (this.#over) return
    this.#timer?.refresh()
    this.#handler.onData(chunk)
  }

  onEnd(): void {
    clearTimeout(this.#timer)
    if (this.#over) return
    this.#end()
    this.#handler.onEnd()
  }

  onError(error: Error): void {
    clearTimeout(this.#timer)
    if (this.#over) return
    const ours = asGatewayError(error, this.#connection !== undefined)
    this.#end(FAULTS[ours.code].errorType, error.message)
    this.#handler.onError(ours)
  }

  abort(): void {
    if (this.#over) return
    this.#end(this.#attempt.errorType ?? 'caller_abort')
    this.#leave()
  }

  discard(): void {
    if (this.#over) return
    this.#end()
    if (this.#connection === undefined) {
      this.#leave()
      return
    }
    this.#connection.resume()
    this.#timer = setTimeout(() => this.#leave(), DISCARD_MS)
  }

  pause(): void {
    if (this.#over) return
    // While nobody reads, the upstream's silence is not its own.
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#connection?.pause()
  }

  resume(): void {
    if (this.#over) return
    this.#arm(this.#limits.idleMs, 'idle_timeout')
    this.#connection?.resume()
  }
}
