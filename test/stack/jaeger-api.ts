/** A trace as Jaeger tells it: `/api/v3/traces/{id}`, OTLP JSON under `result`. */
import { urls } from './stack.ts'

export interface Span {
  readonly name: string
  readonly service: string
  readonly kind: number
  readonly spanId: string
  readonly parentSpanId: string
  readonly attributes: Readonly<Record<string, unknown>>
  /** 2 is an error. */
  readonly statusCode: number
  readonly statusMessage: string
  readonly events: readonly string[]
}

interface AnyValue {
  readonly stringValue?: string
  readonly intValue?: string | number
  readonly doubleValue?: number
  readonly boolValue?: boolean
  readonly arrayValue?: { readonly values?: readonly AnyValue[] }
}
type Attributes = readonly { readonly key: string; readonly value: AnyValue }[]

interface OtlpTraces {
  readonly resourceSpans?: readonly {
    readonly resource: { readonly attributes?: Attributes }
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
  }[]
}

interface OtlpSpan {
  readonly name: string
  readonly kind: number
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes?: Attributes
  readonly status?: { readonly code?: number; readonly message?: string }
  readonly events?: readonly { readonly name: string }[]
}

function plain(value: AnyValue): unknown {
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plain)
  if (value.intValue !== undefined) return Number(value.intValue)
  return value.stringValue ?? value.doubleValue ?? value.boolValue
}

const record = (attributes: Attributes = []) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]))

/** Empty when Jaeger has no such trace. */
async function trace(id: string): Promise<Span[]> {
  const response = await fetch(`${urls.jaeger}/api/v3/traces/${id}`)
  if (response.status === 404) {
    await response.arrayBuffer()
    return []
  }
  if (!response.ok) throw new Error(`Jaeger answers ${response.status}: ${await response.text()}`)
  const { result } = (await response.json()) as { result: OtlpTraces }
  return (result.resourceSpans ?? []).flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        name: span.name,
        service: String(record(resource.attributes)['service.name']),
        kind: span.kind,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? '',
        attributes: record(span.attributes),
        statusCode: span.status?.code ?? 0,
        statusMessage: span.status?.message ?? '',
        events: (span.events ?? []).map(({ name }) => name),
      })),
    ),
  )
}

/** Resolves once Jaeger has so many spans of the trace. */
export async function traceOf(id: string, spans: number, patienceMs = 60_000): Promise<Span[]> {
  const patience = Date.now() + patienceMs
  for (;;) {
    const found = await trace(id)
    if (found.length >= spans) return found
    if (Date.now() > patience) throw new Error(`Jaeger has ${found.length} of ${spans} spans of trace ${id}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

export async function services(): Promise<string[]> {
  const response = await fetch(`${urls.jaeger}/api/v3/services`)
  return ((await response.json()) as { services: string[] }).services
}
