/**
 * Spans as OTLP's protobuf.
 * https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
 *
 * By hand, for this is done for every trace: OpenTelemetry's serialiser, and the objects that it reads, take several
 * times as long (docs/performance.md). Members that are zero or empty are left out, as proto3 does.
 */
import type { SpanChange } from './otlp.ts'
import { lengthOf, ProtobufWriter, readProtobuf } from './protobuf-writer.ts'
import type { Attributes, AttributeValue, SpanRecord } from './span-parts.ts'

const KINDS = { server: 2, client: 3 } as const
const STATUS_ERROR = 2
/** Sampled; and it is known whether the parent is another process's. */
const FLAGS = 0x101
const FLAG_REMOTE = 0x200

/** Field numbers. */
const REQUEST_RESOURCE_SPANS = 1
const RESOURCE_SPANS = { resource: 1, scopeSpans: 2 } as const
const SCOPE_SPANS = { scope: 1, spans: 2 } as const
const RESOURCE_ATTRIBUTES = 1
const SCOPE = { name: 1, version: 2 } as const
const SPAN = {
  traceId: 1,
  spanId: 2,
  traceState: 3,
  parentSpanId: 4,
  name: 5,
  kind: 6,
  start: 7,
  end: 8,
  attributes: 9,
  events: 11,
  status: 15,
  flags: 16,
} as const
const EVENT = { time: 1, name: 2, attributes: 3 } as const
const STATUS = { message: 2, code: 3 } as const
const KEY_VALUE = { key: 1, value: 2 } as const
const ANY = { string: 1, bool: 2, int: 3, double: 4, array: 5 } as const
const ARRAY_VALUES = 1
const RESPONSE_PARTIAL_SUCCESS = 1
const PARTIAL_REJECTED = 1

export interface SpanEncoder {
  /** One after the other; each is for `request` alone. */
  readonly encode: (
    spans: readonly SpanRecord[],
    traceState: string | undefined,
    change: SpanChange | undefined,
  ) => Buffer[]
  /** An `ExportTraceServiceRequest` of what `encode` gave. */
  readonly request: (spans: readonly Buffer[]) => Buffer
}

/** A new one is begun when this one is full: what was written stays where it is until it is sent. */
const CHUNK_BYTES = 64 * 1024
const NEARLY_FULL = CHUNK_BYTES - 8 * 1024

export function createSpanEncoder(
  resource: Attributes,
  scope: { readonly name: string; readonly version: string },
): SpanEncoder {
  const resourceBytes = written((writer) =>
    writer.nested(RESOURCE_SPANS.resource, () => writeAttributes(writer, RESOURCE_ATTRIBUTES, resource)),
  )
  const scopeBytes = written((writer) =>
    writer.nested(SCOPE_SPANS.scope, () => {
      writer.text(SCOPE.name, scope.name)
      writer.text(SCOPE.version, scope.version)
    }),
  )
  let writer = new ProtobufWriter(CHUNK_BYTES)

  return {
    encode(spans, traceState, change) {
      return spans.map((span) => {
        if (writer.length > NEARLY_FULL) writer = new ProtobufWriter(CHUNK_BYTES)
        const start = writer.length
        writeSpan(writer, { span, traceState, change })
        return writer.since(start)
      })
    },
    request(spans) {
      let scopeSpans = scopeBytes.length
      for (const { length } of spans) scopeSpans += length
      const scopeSpansHead = lengthOf(RESOURCE_SPANS.scopeSpans, scopeSpans)
      const resourceSpans = resourceBytes.length + scopeSpansHead.length + scopeSpans
      return Buffer.concat([
        lengthOf(REQUEST_RESOURCE_SPANS, resourceSpans),
        resourceBytes,
        scopeSpansHead,
        scopeBytes,
        ...spans,
      ])
    },
  }
}

function written(write: (writer: ProtobufWriter) => void): Buffer {
  const writer = new ProtobufWriter(1024)
  write(writer)
  return writer.since(0)
}

interface Written {
  readonly span: SpanRecord
  readonly traceState: string | undefined
  readonly change: SpanChange | undefined
}

function writeSpan(writer: ProtobufWriter, { span, traceState, change }: Written): void {
  const isServer = span.kind === 'server'
  const { parentSpanId, error } = span
  const start = writer.begin(SCOPE_SPANS.spans)
  writer.hex(SPAN.traceId, span.traceId)
  writer.hex(SPAN.spanId, span.spanId)
  if (traceState !== undefined) writer.text(SPAN.traceState, traceState)
  if (parentSpanId !== undefined) writer.hex(SPAN.parentSpanId, parentSpanId)
  writer.text(SPAN.name, (isServer ? change?.name : undefined) ?? span.name)
  writer.int(SPAN.kind, KINDS[span.kind])
  writer.fixedNanos(SPAN.start, span.startTime)
  writer.fixedNanos(SPAN.end, span.endTime)
  writeAttributes(writer, SPAN.attributes, change === undefined ? span.attributes : changed(span, change))
  for (const { name, time, attributes } of span.events) {
    const eventStart = writer.begin(SPAN.events)
    writer.fixedNanos(EVENT.time, time)
    writer.text(EVENT.name, name)
    if (attributes !== undefined) writeAttributes(writer, EVENT.attributes, attributes)
    writer.end(eventStart)
  }
  if (error !== undefined) {
    const statusStart = writer.begin(SPAN.status)
    if (error.message !== undefined) writer.text(STATUS.message, error.message)
    writer.int(STATUS.code, STATUS_ERROR)
    writer.end(statusStart)
  }
  writer.fixed32(SPAN.flags, isServer && parentSpanId !== undefined ? FLAGS | FLAG_REMOTE : FLAGS)
  writer.end(start)
}

function changed({ kind, attributes }: SpanRecord, change: SpanChange): Attributes {
  const kept = { ...attributes }
  for (const name of change.removed) delete kept[name]
  if (kind !== 'server') return kept
  for (const name of change.replaced) delete kept[name]
  return Object.assign(kept, change.added)
}

function writeAttributes(writer: ProtobufWriter, field: number, attributes: Attributes): void {
  for (const name in attributes) {
    const value = attributes[name]
    if (value === undefined) continue
    const start = writer.begin(field)
    writer.text(KEY_VALUE.key, name)
    writeValue(writer, KEY_VALUE.value, value)
    writer.end(start)
  }
}

function writeValue(writer: ProtobufWriter, field: number, value: AttributeValue): void {
  const start = writer.begin(field)
  if (typeof value === 'string') writer.text(ANY.string, value)
  else if (typeof value === 'boolean') writer.bool(ANY.bool, value)
  else if (typeof value !== 'number') {
    const listStart = writer.begin(ANY.array)
    for (const one of value) writeValue(writer, ARRAY_VALUES, one)
    writer.end(listStart)
  } else if (Number.isSafeInteger(value)) writer.int(ANY.int, value)
  else writer.double(ANY.double, value)
  writer.end(start)
}

/** Spans that the collector took delivery of and refused. An answer that is none is none about that. */
export function rejectedSpans(response: Uint8Array): number {
  try {
    const partial = readProtobuf(response).get(RESPONSE_PARTIAL_SUCCESS)
    const rejected = partial instanceof Uint8Array ? readProtobuf(partial).get(PARTIAL_REJECTED) : 0
    return typeof rejected === 'number' ? rejected : 0
  } catch {
    return 0
  }
}
