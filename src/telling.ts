/**
 * What log and store are told of finished exchanges: a little later, of several one after the other. What one of the two has read of
 * an exchange is then in the processor's caches for the other.
 */
import type { Exchange } from './core/exchange.ts'
import { gather } from './core/gather.ts'
import type { Payload } from './store/types.ts'
import type { LineChange } from './telemetry/access-log.ts'

export interface Ended {
  /** It must not change any more but for what is MCP's. */
  readonly exchange: Exchange
  readonly isLogged: boolean
  readonly change: LineChange | undefined
  readonly isKept: boolean
  readonly payload: Payload | undefined
}

export interface Telling {
  /** When the event loop comes round. */
  readonly add: (ended: Ended) => void
  /** Now, of all that is there. */
  readonly flush: () => void
}

export interface TellingOptions {
  readonly log: (exchange: Exchange, change: LineChange | undefined) => void
  readonly keep: (exchange: Exchange, payload: Payload | undefined) => void
}

const TOGETHER = 64

export function createTelling({ log, keep }: TellingOptions): Telling {
  const untold = gather<Ended>(TOGETHER, setImmediate, (all) => {
    for (const { exchange, isLogged, change, isKept, payload } of all) {
      if (isKept) keep(exchange, payload)
      if (isLogged) log(exchange, change)
    }
  })
  return {
    add(ended) {
      untold.add(ended)
      // A call that asks its client goes on in another request, and changes: of this one it is told as it is.
      if (ended.exchange.mcp !== undefined) untold.flush()
    },
    flush: untold.flush,
  }
}
