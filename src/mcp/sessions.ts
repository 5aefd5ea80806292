/**
 * The sessions that there are. Clients seldom end theirs, so that each has a time after which it is forgotten and all
 * together have a number that they cannot exceed.
 */
import type { Session } from './session.ts'

export interface SessionsOptions {
  readonly ttlMs: number
  readonly max: number
  readonly now: () => number
  readonly onCount: (backend: string, change: 1 | -1) => void
}

export interface Sessions {
  readonly get: (id: string) => Session | undefined
  /** False when there are too many, and none that could go. */
  readonly add: (session: Session) => boolean
  readonly end: (session: Session) => Promise<void>
  readonly all: () => Iterable<Session>
  readonly close: () => Promise<void>
}

const SWEEP_MS = 30_000
/** A session that was used a moment ago is not the one to go when there are too many. */
const SAFE_MS = 60_000

export function createSessions({ ttlMs, max, now, onCount }: SessionsOptions): Sessions {
  const sessions = new Map<string, Session>()

  async function end(session: Session): Promise<void> {
    if (!sessions.delete(session.id)) return
    onCount(session.backend.spec.name, -1)
    await session.close()
  }

  const idleMs = (session: Session) => (session.isInUse ? 0 : now() - session.usedAt)

  function sweep(): void {
    for (const session of sessions.values()) if (idleMs(session) >= ttlMs) end(session).catch(() => {})
  }

  function makeRoom(): boolean {
    if (sessions.size < max) return true
    let oldest: Session | undefined
    for (const session of sessions.values())
      if (idleMs(session) >= SAFE_MS && (oldest === undefined || session.usedAt < oldest.usedAt))
        oldest = session
    if (oldest !== undefined) end(oldest).catch(() => {})
    return oldest !== undefined
  }

  const timer = ttlMs === 0 ? undefined : setInterval(sweep, Math.min(SWEEP_MS, Math.max(ttlMs / 2, 50)))
  timer?.unref()

  return {
    get: (id) => sessions.get(id),
    add(session) {
      if (!makeRoom()) return false
      sessions.set(session.id, session)
      onCount(session.backend.spec.name, 1)
      return true
    },
    end,
    all: () => sessions.values(),
    async close() {
      clearInterval(timer)
      await Promise.all([...sessions.values()].map(end))
    },
  }
}
