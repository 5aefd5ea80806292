/**
 * Traces: the way of spans to the collector.
 *
 * Nothing here waits for the collector or throws; `onDropped` is all that a lost span does.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { type Attributes, type SpanContext, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { TraceState } from '@opentelemetry/core'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Exchange } from '../core/exchange.ts'
import { createExporter, type SpanExporter } from './otlp-exporter.ts'
import { type QueueOptions, SendQueue } from './otlp-queue.ts'
import type { SpanRecord } from './span-parts.ts'
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
  const queue = new SendQueue<ReadableSpan>({
    ...options.queue,
    onDropped,
    onHealth: (error) => {
      if (error === undefined) log(`traces reach ${settings.url} again`)
      else log(`cannot export traces to ${settings.url}: ${error.message.trim()}`)
    },
    send: (spans, done) => exporter.then((ready) => ready.export(spans, done)).catch(done),
  })
  const toReadable = readableSpans(settings, options)

  return {
    export(exchange, change) {
      if (!exchange.trace.sampled) return
      // Spans that cannot be kept are not built either.
      const count = spanCountOf(exchange)
      if (queue.hasRoomFor(count)) queue.add(toReadable(exchange, change?.()))
      else onDropped(count)
    },
    flush: (timeoutMs) => queue.flush(timeoutMs),
    async close(timeoutMs) {
      await queue.close(timeoutMs)
      exporter.then(closeExporter, () => {})
    },
  }
}

const closeExporter = (exporter: SpanExporter) => exporter.close()

function readableSpans(
  settings: TracingSettings,
  options: TracerOptions,
): (exchange: Exchange, change: SpanChange | undefined) => ReadableSpan[] {
  const resource = resourceOf(settings, options)
  // One object for all: the serialiser groups spans by its identity.
  const instrumentationScope = { name: 'agentgateway', version: options.version }

  return (exchange, change) => {
    const { traceId, traceState } = exchange.trace
    const context = contextFor(traceId, traceState === undefined ? undefined : new TraceState(traceState))
    return spansOf(exchange).map((span) => ({
      ...described(span, change),
      spanContext: () => context(span.spanId),
      parentSpanContext:
        span.parentSpanId === undefined
          ? undefined
          : { ...context(span.parentSpanId), isRemote: span.kind === 'server' },
      resource,
      instrumentationScope,
    }))
  }
}

const contextFor =
  (traceId: string, traceState: TraceState | undefined) =>
  (spanId: string): SpanContext => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED, traceState })

type Described = Omit<ReadableSpan, 'spanContext' | 'parentSpanContext' | 'resource' | 'instrumentationScope'>

function described(span: SpanRecord, change: SpanChange | undefined): Described {
  const ofServer = span.kind === 'server' ? change : undefined
  const { attributes } = span
  for (const name of change?.removed ?? []) delete attributes[name]
  for (const name of ofServer?.replaced ?? []) delete attributes[name]
  Object.assign(attributes, ofServer?.added)
  const [startSeconds, startNanos] = span.startTime
  const [endSeconds, endNanos] = span.endTime
  const borrow = endNanos < startNanos ? 1 : 0
  return {
    name: ofServer?.name ?? span.name,
    kind: span.kind === 'server' ? SpanKind.SERVER : SpanKind.CLIENT,
    startTime: span.startTime,
    endTime: span.endTime,
    duration: [endSeconds - startSeconds - borrow, endNanos - startNanos + borrow * 1e9],
    ended: true,
    attributes,
    status:
      span.error === undefined
        ? { code: SpanStatusCode.UNSET }
        : { code: SpanStatusCode.ERROR, message: span.error.message },
    events: span.events.map((event) => ({
      ...event,
      attributes: event.attributes ?? {},
      droppedAttributesCount: 0,
    })),
    links: [],
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}

function resourceOf(settings: TracingSettings, options: TracerOptions): Resource {
  return resourceFromAttributes({
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
}
