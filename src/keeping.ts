/** The request store beside the metrics: what is handed to it, and when. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { KEPT_METRICS } from './admin/overview/metrics.ts'
import type { Settings } from './config/settings.ts'
import { ConfigProblem } from './core/config-problem.ts'
import type { Exchange } from './core/exchange.ts'
import { createStore } from './store/store.ts'
import type { Finished, Payload, Store, StoreOptions } from './store/types.ts'
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
  /** The variable that led to the URL where the configuration has none; without either nobody has chosen it. */
  readonly from?: string | undefined
  readonly settings: Settings['database']
  readonly registry: Registry
  readonly metrics: Metrics
  readonly logger: Logger
}

const SAMPLE_MS = 10_000
/** As long as what is waiting is being written. */
const CLOSE_MS = 10_000
/** What is kept in memory is not to fill it. */
const MAX_IN_MEMORY = 128 * 1024 * 1024

const NOTHING: Keeping = { store: undefined, finished() {}, sampleNow() {}, close: () => Promise.resolve() }

/** Rejects on a database that cannot be one: with `ConfigProblem` when the configuration names it. */
export async function startKeeping(options: KeepingOptions): Promise<Keeping> {
  const { url, registry } = options
  if (url === 'off') return NOTHING
  const store = await openStore(options)
  const instance = `${hostname()} ${randomUUID()}`
  const growth = watchGrowth(registry, KEPT_METRICS)
  const sampleNow = () => store.sample({ at: Date.now(), instance, ...growth() })
  const timer = setInterval(sampleNow, SAMPLE_MS)
  timer.unref()
  return {
    store,
    finished: (exchange, payload) => store.record(finishedOf(exchange, payload)),
    sampleNow,
    async close() {
      clearInterval(timer)
      sampleNow()
      await store.close(CLOSE_MS)
    },
  }
}

/** What is kept of a request. */
export function finishedOf(exchange: Exchange, payload: Payload | undefined): Finished {
  return { exchange, operation: operationOf(exchange), failed: isFailedExchange(exchange), payload }
}

const IN_MEMORY = 'sqlite::memory:'

async function openStore(options: KeepingOptions): Promise<Store> {
  const { url, from, settings, logger } = options
  try {
    return await createStore(storeOptions(url, options))
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    if (settings.url !== undefined) throw new ConfigProblem(['config', 'database', 'url'], detail, { cause })
    if (from !== undefined)
      throw new Error(`${from} names a folder that cannot be used: ${detail}`, { cause })
    logger.warn('store', 'requests are kept in memory, and gone at the end', { problem: detail })
    return createStore(storeOptions(IN_MEMORY, options))
  }
}

function storeOptions(url: string, { settings, metrics, logger }: KeepingOptions): StoreOptions {
  return {
    url,
    maxConnections: settings.maxConnections,
    retention: { ageMs: settings.retentionMs, bytes: bytesFor(url, settings.retentionBytes) },
    onDropped: (count) => metrics.telemetryDropped('requests', count),
    log: (level, message, fields) => logger[level]('store', message, fields),
  }
}

function bytesFor(url: string, configured: number): number {
  if (!url.includes(':memory:')) return configured
  return configured === 0 ? MAX_IN_MEMORY : Math.min(configured, MAX_IN_MEMORY)
}
