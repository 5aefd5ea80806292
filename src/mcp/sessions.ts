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
  /** Takes what ends by itself. */
  readonly whileClosing: (ending: Promise<void>) => void
}

export interface Sessions {
  readonly get: (id: string) => Session | undefined
  /** False when there are too many, and none that could go. */
  readonly add: (session: Session) => boolean
  readonly end: (session: Session) => Promise<void>
  /** It has begun to connect to its targets, and is not one of them yet. Returns how to say that this is over. */
  readonly opening: (session: Session) => () => void
  /** Those that are being opened, too. */
  readonly endAll: (isMeant: (session: Session) => boolean) => Promise<void>
  readonly all: () => Iterable<Session>
  readonly close: () => Promise<void>
}

const SWEEP_MS = 30_000
/** A session that was used a moment ago is not the one to go when there are too many. */
const SAFE_MS = 60_000

export function createSessions({ ttlMs, max, now, onCount, whileClosing }: SessionsOptions): Sessions {
  const sessions = new Map<string, Session>()
  const opening = new Set<Session>()

  async function endAll(isMeant: (session: Session) => boolean): Promise<void> {
    const begun = [...opening].filter(isMeant).map((session) => session.close())
    await Promise.all([...begun, ...[...sessions.values()].filter(isMeant).map(end)])
  }

  async function end(session: Session): Promise<void> {
    if (!sessions.delete(session.id)) return
    onCount(session.backend.spec.name, -1)
    await session.close()
  }

  const idleMs = (session: Session) => (session.isInUse ? 0 : now() - session.usedAt)

  function sweep(): void {
    for (const session of sessions.values()) if (idleMs(session) >= ttlMs) whileClosing(end(session))
  }

  function makeRoom(session: Session): boolean {
    const others = opening.size - (opening.has(session) ? 1 : 0)
    if (sessions.size + others < max) return true
    let oldest: Session | undefined
    for (const one of sessions.values())
      if (idleMs(one) >= SAFE_MS && (oldest === undefined || one.usedAt < oldest.usedAt)) oldest = one
    if (oldest !== undefined) whileClosing(end(oldest))
    return oldest !== undefined
  }

  const timer = ttlMs === 0 ? undefined : setInterval(sweep, Math.min(SWEEP_MS, Math.max(ttlMs / 2, 50)))
  timer?.unref()

  return {
    get: (id) => sessions.get(id),
    add(session) {
      if (!makeRoom(session)) return false
      sessions.set(session.id, session)
      onCount(session.backend.spec.name, 1)
      return true
    },
    end,
    endAll,
    opening(session) {
      opening.add(session)
      return () => opening.delete(session)
    },
    all: () => sessions.values(),
    async close() {
      clearInterval(timer)
      await endAll(() => true)
    },
  }
}
