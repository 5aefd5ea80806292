/**
 * Calls upstreams over pooled connections: one pool per origin and TLS setting, kept over reloads.
 *
 * An HTTP/1.1 client of our own: handlers see each piece as it comes off the socket, and nothing in between looks at it
 * twice.
 */
import { FAULTS } from '../core/errors.ts'
import type { Attempt } from '../core/exchange.ts'
import type { UpstreamAttempt, UpstreamHandler, Upstreams, UpstreamTarget } from '../core/upstream.ts'
import { PoolAttempt, type PoolEntry } from './attempt.ts'
import { connecting } from './connect.ts'
import { asGatewayError } from './faults.ts'
import { Gate } from './gate.ts'
import { Pool } from './pool.ts'
import { outgoing } from './request-head.ts'

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

/** Of a request that cannot go on the wire: nothing is sent. */
function refused(error: Error, attempt: Attempt, handler: UpstreamHandler): UpstreamAttempt {
  const ours = asGatewayError(error, false)
  attempt.endedAt = performance.now()
  attempt.errorType = FAULTS[ours.code].errorType
  attempt.errorMessage = error.message
  handler.onError(ours)
  return { abort() {}, discard() {}, pause() {}, resume() {} }
}

const keyOf = (target: UpstreamTarget) =>
  target.tls === undefined && target.connectTimeoutMs === undefined && target.limits === undefined
    ? `${target.host}:${target.port}`
    : JSON.stringify(target)

export function createUpstreams(settings: UpstreamSettings): Upstreams {
  const pools = new Map<string, PoolEntry>()
  // The usual target is the same object on every request; this spares building its key.
  const byTarget = new WeakMap<UpstreamTarget, PoolEntry>()

  function open(target: UpstreamTarget): PoolEntry {
    const { tls, limits } = target
    const transport = tls === undefined ? 'plaintext' : 'tls'
    return {
      gate:
        limits?.maxRequests === undefined
          ? undefined
          : new Gate(limits.maxRequests, limits.maxPendingRequests),
      pool: new Pool({
        isPlain: tls === undefined,
        connect: connecting(target, {
          timeoutMs: target.connectTimeoutMs ?? settings.connectTimeoutMs,
          keepAlive: settings.keepAlive,
          family: settings.family,
        }),
        mostConnections: limits?.maxConnections ?? settings.poolMaxSize ?? Infinity,
        idleMs: settings.poolIdleMs,
        onConnected: (seconds) => settings.onConnected(transport, seconds),
      }),
    }
  }

  function entryFor(target: UpstreamTarget): PoolEntry {
    const known = byTarget.get(target)
    // A request that began before a reload may still come for a pool that the reload closed.
    if (known !== undefined && !known.pool.isClosed) return known
    const key = keyOf(target)
    const entry = pools.get(key) ?? open(target)
    pools.set(key, entry)
    byTarget.set(target, entry)
    return entry
  }

  return {
    send(target, request, limits, attempt, handler) {
      const entry = entryFor(target)
      const sent = outgoing(request, target)
      if (sent instanceof Error) return refused(sent, attempt, handler)
      const attempted = new PoolAttempt(sent, attempt, handler, entry, limits)
      attempted.enter()
      return attempted
    },
    retain(targets) {
      const wanted = new Set(targets.map(keyOf))
      for (const [key, entry] of pools) {
        if (wanted.has(key)) continue
        pools.delete(key)
        const close = () => entry.pool.close()
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
