/** Spans of a kept request: those that were, or would have been, exported. */
import type { Exchange } from '../core/exchange.ts'
import type { StoredRequest } from '../store/types.ts'
import type { ApiSpan } from './api-types.ts'

type Time = readonly [seconds: number, nanos: number]

/** As `telemetry/` builds them. */
interface BuiltSpan {
  readonly name: string
  readonly kind: 'server' | 'client'
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly startTime: Time
  readonly endTime: Time
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly {
    readonly name: string
    readonly time: Time
    readonly attributes?: Readonly<Record<string, unknown>>
  }[]
  readonly error: { readonly message: string | undefined } | undefined
}

export type SpansOf = (exchange: Exchange) => readonly BuiltSpan[]

const milliseconds = ([seconds, nanos]: Time) => seconds * 1000 + nanos / 1e6

export function spansOfRequest({ exchange }: StoredRequest, spansOf: SpansOf): ApiSpan[] {
  return spansOf(exchange)
    .map(apiSpan)
    .toSorted((one, other) => one.start - other.start)
}

function apiSpan(span: BuiltSpan): ApiSpan {
  const start = milliseconds(span.startTime)
  return {
    name: span.name,
    kind: span.kind,
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId !== undefined && { parentSpanId: span.parentSpanId }),
    start,
    durationMs: milliseconds(differenceOf(span.endTime, span.startTime)),
    attributes: span.attributes as ApiSpan['attributes'],
    events: span.events.map(({ name, time, attributes }) => ({
      name,
      at: milliseconds(time),
      ...(attributes !== undefined && { attributes: attributes as ApiSpan['attributes'] }),
    })),
    ...(span.error !== undefined && { error: { message: span.error.message } }),
  }
}

/** By parts: the sum of both has no room for nanoseconds. */
const differenceOf = ([endSeconds, endNanos]: Time, [seconds, nanos]: Time): Time => [
  endSeconds - seconds,
  endNanos - nanos,
]
const nano = ([seconds, nanos]: Time) => `${seconds}${String(nanos).padStart(9, '0')}`

type OtlpValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: readonly OtlpValue[] } }

function otlpValue(value: unknown): OtlpValue {
  if (Array.isArray(value)) return { arrayValue: { values: value.map(otlpValue) } }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value !== 'number') return { stringValue: String(value) }
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}

const otlpAttributes = (attributes: Readonly<Record<string, unknown>>) =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: otlpValue(value) }))

/** OTLP in JSON below `result`, which is how Jaeger's `/api/v3/traces/{id}` answers. */
export function otlpTrace(requests: readonly StoredRequest[], spansOf: SpansOf, version: string): object {
  const spans = requests.flatMap(({ exchange }) =>
    spansOf(exchange).map((span) => ({
      traceId: span.traceId,
      spanId: span.spanId,
      parentSpanId: span.parentSpanId ?? '',
      name: span.name,
      kind: span.kind === 'server' ? 2 : 3,
      startTimeUnixNano: nano(span.startTime),
      endTimeUnixNano: nano(span.endTime),
      attributes: otlpAttributes(span.attributes),
      events: span.events.map(({ name, time, attributes = {} }) => ({
        name,
        timeUnixNano: nano(time),
        attributes: otlpAttributes(attributes),
      })),
      status: span.error === undefined ? {} : { code: 2, message: span.error.message ?? '' },
    })),
  )
  const resource = { 'service.name': 'agentgateway', 'service.version': version }
  return {
    result: {
      resourceSpans: [
        {
          resource: { attributes: otlpAttributes(resource) },
          scopeSpans: [{ scope: { name: 'agentgateway', version }, spans }],
        },
      ],
    },
  }
}
