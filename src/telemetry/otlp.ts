/**
 * Traces: the way of spans to the collector.
 *
 * Nothing here waits for the collector or throws; `onDropped` is all that a lost span does.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Exchange } from '../core/exchange.ts'
import { gather } from '../core/gather.ts'
import { createSpanEncoder } from './otlp-encoding.ts'
import { createExporter, type SpanExporter } from './otlp-exporter.ts'
import { type QueueOptions, SendQueue } from './otlp-queue.ts'
import type { Attributes } from './span-parts.ts'
import { spanCountOf, spansOf } from './spans.ts'
import type { TracingSettings } from './tracing-settings.ts'

export interface TracerOptions {
  /** Of the gateway. */
  readonly version: string
  readonly onDropped: (spans: number) => void
  /** Told when exports begin to fail and when they work again. */
  readonly log: (message: string) => void
  /** Default: random, one per tracer. */
  readonly instanceId?: string
  readonly timeoutMs?: number
  readonly queue?: Pick<
    QueueOptions<unknown>,
    'batchSize' | 'maxQueued' | 'maxConcurrentSends' | 'flushIntervalMs'
  >
}

/** What the configuration makes of an exchange's spans. */
export interface SpanChange {
  /** Of the SERVER span; undefined leaves its own. */
  readonly name: string | undefined
  /** Of the SERVER span. */
  readonly added: Attributes
  /** Attributes that no span has by itself. */
  readonly removed: ReadonlySet<string>
  /** Attributes that the SERVER span does not have by itself. */
  readonly replaced: ReadonlySet<string>
}

export interface Tracer {
  /** Takes a finished exchange; does nothing when it is not sampled. `change` is asked only if it is. */
  readonly export: (exchange: Exchange, change?: () => SpanChange | undefined) => void
  /** False when the deadline came first. */
  readonly flush: (timeoutMs: number) => Promise<boolean>
  readonly close: (timeoutMs: number) => Promise<void>
}

/** Traces that are encoded together, and how long the first of them waits. */
const TOGETHER = 16
const TOGETHER_MS = 100
const later = (encode: () => void) => setTimeout(encode, TOGETHER_MS).unref()

interface Unwritten {
  readonly exchange: Exchange
  readonly change: SpanChange | undefined
}

export function createTracer(settings: TracingSettings, options: TracerOptions): Tracer {
  const { onDropped, log, version } = options
  // At once, not with the first span: loading gRPC would stop the requests of that moment.
  const exporter = createExporter({
    settings,
    userAgent: `agentgateway/${version}`,
    timeoutMs: options.timeoutMs ?? 10_000,
    onRejected: onDropped,
  })
  // Each batch reports it; until the first, nobody listens.
  exporter.catch(() => {})
  const encoder = createSpanEncoder(resourceOf(settings, options), { name: 'agentgateway', version })
  const queue = new SendQueue<Buffer>({
    ...options.queue,
    onDropped,
    onHealth: (error) => {
      if (error === undefined) log(`traces reach ${settings.url} again`)
      else log(`cannot export traces to ${settings.url}: ${error.message.trim()}`)
    },
    send: (spans, done) => exporter.then((ready) => ready.export(encoder.request(spans), done)).catch(done),
  })
  let unwrittenSpans = 0
  const unwritten = gather<Unwritten>(TOGETHER, later, (all) => {
    unwrittenSpans = 0
    for (const { exchange, change } of all)
      queue.add(encoder.encode(spansOf(exchange), exchange.trace.traceState, change))
  })

  return {
    export(exchange, change) {
      if (!exchange.trace.sampled) return
      // Spans that cannot be kept are not built either.
      const count = spanCountOf(exchange)
      if (!queue.hasRoomFor(unwrittenSpans + count)) return onDropped(count)
      unwrittenSpans += count
      unwritten.add({ exchange, change: change?.() })
      // A call that asks its client goes on in another request, and changes: of this one it is told as it is.
      if (exchange.mcp !== undefined) unwritten.flush()
    },
    flush(timeoutMs) {
      unwritten.flush()
      return queue.flush(timeoutMs)
    },
    async close(timeoutMs) {
      unwritten.flush()
      await queue.close(timeoutMs)
      exporter.then(closeExporter, () => {})
    },
  }
}

const closeExporter = (exporter: SpanExporter) => exporter.close()

const resourceOf = (settings: TracingSettings, options: TracerOptions): Attributes => ({
  'service.version': options.version,
  'service.instance.id': options.instanceId ?? randomUUID(),
  'host.name': hostname(),
  'process.pid': process.pid,
  'process.runtime.name': 'nodejs',
  'process.runtime.version': process.versions.node,
  // The spans are not made by OpenTelemetry's SDK, whose name this field is kept for.
  'telemetry.sdk.language': 'nodejs',
  'telemetry.sdk.name': 'agentgateway',
  'telemetry.sdk.version': options.version,
  ...settings.resource,
})
