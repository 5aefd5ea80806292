/** Where clients come in: sockets of this process, or worker processes that have theirs. */
import { type BindPorts, createBinds } from './binds.ts'
import type { Settings } from './config/settings.ts'
import type { DataPlane, Next } from './data-plane.ts'

export interface Entrance {
  /** Opens what is new. Rejects when it cannot be, and then nothing has changed. */
  readonly prepare: (next: Next) => Promise<PreparedEntrance>
  readonly ports: () => BindPorts
  /** Undefined: requests are taken. */
  readonly notReady: () => string | undefined
  /** Nothing new from here on; resolves when nothing is under way any more. */
  readonly drain: () => Promise<void>
  /** Before somebody looks at metrics and requests: what other processes have not told yet is known afterwards. */
  readonly refresh?: () => Promise<void>
}

export interface PreparedEntrance {
  readonly adopt: () => Promise<void> | void
  readonly abandon: () => void
}

/** This process serves what comes in. */
export function ownEntrance(plane: DataPlane, settings: Settings): Entrance {
  const binds = createBinds({
    settings,
    onRequest: plane.begin,
    onBadRequest: plane.refused,
    onConnection: plane.connected,
  })
  plane.onFinished(binds.closeIdle)
  return {
    prepare: (next) => binds.prepare(next.binds),
    ports: binds.ports,
    notReady: () => undefined,
    drain: () => plane.drain(binds),
  }
}
