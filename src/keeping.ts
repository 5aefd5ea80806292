/** The request store beside the metrics: what is handed to it, and when. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Settings } from './config/settings.ts'
import { ConfigProblem } from './core/config-problem.ts'
import type { Exchange } from './core/exchange.ts'
import { createStore } from './store/store.ts'
import type { Payload, Store } from './store/types.ts'
import type { Logger } from './telemetry/logger.ts'
import { watchGrowth } from './telemetry/metric-history.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { Registry } from './telemetry/registry.ts'
import { isFailedExchange, operationOf } from './telemetry/spans.ts'

export interface Keeping {
  /** Undefined: nothing is kept. */
  readonly store: Store | undefined
  readonly finished: (exchange: Exchange, payload: Payload | undefined) => void
  /** Hands over what the metrics have grown by until now. */
  readonly sampleNow: () => void
  readonly close: () => Promise<void>
}

export interface KeepingOptions {
  /** `off` keeps nothing. */
  readonly url: string
  readonly settings: Settings['database']
  readonly registry: Registry
  readonly metrics: Metrics
  readonly logger: Logger
}

const SAMPLE_MS = 10_000
const CLOSE_MS = 2000
/** What is kept in memory is not to fill it. */
const MAX_IN_MEMORY = 128 * 1024 * 1024

const NOTHING: Keeping = { store: undefined, finished() {}, sampleNow() {}, close: () => Promise.resolve() }

/** Rejects with `ConfigProblem` on a database that cannot be one. */
export async function startKeeping(options: KeepingOptions): Promise<Keeping> {
  const { url, settings, registry, metrics, logger } = options
  if (url === 'off') return NOTHING
  let store: Store
  try {
    store = await createStore({
      url,
      maxConnections: settings.maxConnections,
      retention: { ageMs: settings.retentionMs, bytes: bytesFor(url, settings.retentionBytes) },
      onDropped: (count) => metrics.telemetryDropped('requests', count),
      log: (level, message, fields) => logger[level]('store', message, fields),
    })
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new ConfigProblem(['config', 'database', 'url'], detail, { cause })
  }
  const instance = `${hostname()} ${randomUUID()}`
  const growth = watchGrowth(registry)
  const sampleNow = () => store.sample({ at: Date.now(), instance, ...growth() })
  const timer = setInterval(sampleNow, SAMPLE_MS)
  timer.unref()
  return {
    store,
    finished(exchange, payload) {
      const operation = operationOf(exchange)
      store.record({ exchange, operation, failed: isFailedExchange(exchange), payload })
    },
    sampleNow,
    async close() {
      clearInterval(timer)
      sampleNow()
      await store.close(CLOSE_MS)
    },
  }
}

function bytesFor(url: string, configured: number): number {
  if (!url.includes(':memory:')) return configured
  return configured === 0 ? MAX_IN_MEMORY : Math.min(configured, MAX_IN_MEMORY)
}
