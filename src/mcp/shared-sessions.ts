/**
 * Connections to targets for clients that have no session: those of `statefulMode: stateless`, and those of a
 * revision of the protocol that has none.
 *
 * A connection per request would start a process, or shake hands over HTTP, for each. Requests with the same
 * credential share one instead; who comes with another, or with none, never sees a session of somebody else's.
 */
import { createHash } from 'node:crypto'
import type { Headers } from '../core/headers.ts'
import type { McpBackend, Target } from './backend.ts'
import { tooManySessions } from './refusal.ts'
import { Session } from './session.ts'
import type { ClientIdentity } from './transport.ts'
import { LATEST_LEGACY } from './versions.ts'

export interface SharedSessionsOptions {
  readonly version: string
  readonly ttlMs: number
  readonly max: number
  readonly now: () => number
  /** Takes what ends by itself. */
  readonly whileClosing: (ending: Promise<void>) => void
  readonly onRestart: (backend: McpBackend, target: Target) => void
  readonly log: (message: string, fields: Readonly<Record<string, string>>) => void
}

export interface SharedSessions {
  /** Throws `Refusal` when there are too many. `identity`: what the client says of itself in each request; without one nobody can be asked anything. */
  readonly of: (
    backend: McpBackend,
    owner: string | undefined,
    headers: Headers,
    identity?: ClientIdentity,
  ) => Session
  /** Those of backends that are gone. */
  readonly retain: (backends: ReadonlySet<McpBackend>) => void
  /** Those on which clients wait for changes. */
  readonly endStreams: () => void
  readonly close: () => Promise<void>
}

const SWEEP_MS = 30_000

/** What tells one caller from another at a target. */
const CREDENTIALS = ['authorization', 'cookie', 'x-api-key']

export function createSharedSessions(options: SharedSessionsOptions): SharedSessions {
  const { now, ttlMs, max } = options
  const sessions = new Map<string, Session>()
  const ids = new WeakMap<McpBackend, number>()
  let lastId = 0

  const own: ClientIdentity = {
    protocolVersion: LATEST_LEGACY,
    capabilities: {},
    clientInfo: { name: 'agentgateway', version: options.version },
  }

  function keyOf(
    backend: McpBackend,
    owner: string | undefined,
    headers: Headers,
    identity: ClientIdentity,
  ): string {
    let id = ids.get(backend)
    if (id === undefined) {
      id = ++lastId
      ids.set(backend, id)
    }
    const hash = createHash('sha256').update(
      JSON.stringify([owner, identity, ...CREDENTIALS.map((name) => headers[name])]),
    )
    return `${id} ${hash.digest('base64')}`
  }

  function end(key: string, session: Session): void {
    sessions.delete(key)
    options.whileClosing(session.close())
  }

  function sweep(): void {
    for (const [key, session] of sessions)
      if (!session.isInUse && now() - session.usedAt >= ttlMs) end(key, session)
  }

  const timer = ttlMs === 0 ? undefined : setInterval(sweep, Math.min(SWEEP_MS, Math.max(ttlMs / 2, 50)))
  timer?.unref()

  return {
    of(backend, owner, headers, identity = own) {
      const key = keyOf(backend, owner, headers, identity)
      const known = sessions.get(key)
      if (known !== undefined) {
        // The order of the map is the order of use: whoever is first was used longest ago.
        sessions.delete(key)
        sessions.set(key, known)
        return known
      }
      if (sessions.size >= max) {
        const oldest = [...sessions].find(([, session]) => !session.isInUse)
        if (oldest === undefined) throw tooManySessions()
        end(...oldest)
      }
      const session = new Session(
        {
          id: '',
          backend,
          owner,
          identity,
          isInteractive: false,
          onRestart: (target) => options.onRestart(backend, target),
          log: options.log,
        },
        now(),
      )
      sessions.set(key, session)
      return session
    },
    retain(backends) {
      for (const [key, session] of sessions) if (!backends.has(session.backend)) end(key, session)
    },
    endStreams() {
      for (const session of sessions.values()) for (const stream of session.watches) stream.end()
    },
    async close() {
      clearInterval(timer)
      const all = [...sessions.values()]
      sessions.clear()
      await Promise.all(all.map((session) => session.close()))
    },
  }
}
