/**
 * A trace out of Jaeger, by its id.
 *
 * Asks /api/v3 first: Jaeger 2.21 took most of the older API away, and 1.x has no other.
 * https://www.jaegertracing.io/docs/latest/architecture/apis/
 */
import { z } from 'zod'
import type { Examination } from './examination.ts'
import { type Fault, isFault, parsed, type Read, under } from './http.ts'

export interface TraceSpan {
  readonly id: string
  readonly parentId: string
  readonly name: string
  readonly service: string
  /** Comparable within a trace. */
  readonly start: string
}

const otlpAttributes = z.array(
  z.object({ key: z.string(), value: z.object({ stringValue: z.string().optional() }) }),
)
const otlpChunk = z.object({
  result: z.object({
    resourceSpans: z
      .array(
        z.object({
          resource: z.object({ attributes: otlpAttributes.default([]) }).optional(),
          scopeSpans: z.array(
            z.object({
              spans: z.array(
                z.object({
                  spanId: z.string(),
                  parentSpanId: z.string().default(''),
                  name: z.string(),
                  startTimeUnixNano: z.coerce.string().default(''),
                }),
              ),
            }),
          ),
        }),
      )
      .default([]),
  }),
})

const jaegerTrace = z.object({
  data: z.array(
    z.object({
      spans: z.array(
        z.object({
          spanID: z.string(),
          operationName: z.string(),
          processID: z.string(),
          startTime: z.number(),
          references: z.array(z.object({ spanID: z.string() })).default([]),
        }),
      ),
      processes: z.record(z.string(), z.object({ serviceName: z.string() })),
    }),
  ),
})

export const notFound = z.object({ error: z.object({}) })

/** Jaeger lists its services; any other program does not. */
export async function identifyJaeger(examination: Examination, signal: AbortSignal): Promise<Read<object>> {
  const { addresses, http } = examination
  const services = z.object({ services: z.array(z.string()).nullish() })
  const read = await http.json(under(addresses.jaeger, '/api/v3/services'), services, { signal })
  if (!isFault(read) || (read.fault !== 'unexpected' && read.status !== 404)) return read
  const olderServices = z.object({ data: z.array(z.string()).nullable() })
  const older = await http.json(under(addresses.jaeger, '/api/services'), olderServices, { signal })
  return isFault(older) ? { ...read, fault: 'unexpected' } : older
}

/** No spans: it does not have the trace, or not yet. */
export async function findTrace(
  { addresses, http, clean, traceId }: Examination,
  signal: AbortSignal,
): Promise<Read<readonly TraceSpan[]>> {
  const reply = await http.ask(under(addresses.jaeger, `/api/v3/traces/${traceId}`), { signal })
  if (isFault(reply)) return reply
  if (reply.status === 200) {
    const spans = otlpSpans(reply.text)
    if (spans !== undefined) return { value: spans }
  }
  if (reply.status === 404 && notFound.safeParse(parsed(reply.text)).success) return { value: [] }
  const older = await http.ask(under(addresses.jaeger, `/api/traces/${traceId}`), { signal })
  if (isFault(older)) return older
  if (older.status === 404) return { value: [] }
  const read = jaegerTrace.safeParse(parsed(older.text))
  if (read.success) return { value: read.data.data.flatMap(olderSpans) }
  const strange: Fault = {
    fault: 'unexpected',
    why: `GET /api/v3/traces/ID answered ${reply.status} with something else than a trace: ${clean(reply.text)}`,
  }
  return strange
}

/** The answer is a stream: one object, or one per line. undefined when it is none of ours. */
export function otlpSpans(text: string): TraceSpan[] | undefined {
  const whole = parsed(text)
  const chunks =
    whole === undefined
      ? text
          .trim()
          .split(/(?<=\})\s*\n\s*(?=\{)/)
          .map(parsed)
      : [whole]
  const read = z.array(otlpChunk).safeParse(chunks)
  if (!read.success) return undefined
  return read.data
    .flatMap(({ result }) => result.resourceSpans)
    .flatMap(({ resource, scopeSpans }) => {
      const name = resource?.attributes.find(({ key }) => key === 'service.name')
      const service = name?.value.stringValue ?? 'unknown'
      return scopeSpans
        .flatMap(({ spans }) => spans)
        .map((span) => ({
          id: span.spanId,
          parentId: span.parentSpanId,
          name: span.name,
          service,
          start: span.startTimeUnixNano.padStart(20, '0'),
        }))
    })
}

const olderSpans = ({ spans, processes }: z.infer<typeof jaegerTrace>['data'][number]): TraceSpan[] =>
  spans.map((span) => ({
    id: span.spanID,
    parentId: span.references[0]?.spanID ?? '',
    name: span.operationName,
    service: processes[span.processID]?.serviceName ?? 'unknown',
    start: String(span.startTime).padStart(20, '0'),
  }))

/** `a → b → (c, d)`, in order of time. */
export function treeOf(spans: readonly TraceSpan[]): string {
  const sorted = spans.toSorted((one, other) => (one.start < other.start ? -1 : 1))
  const ids = new Set(spans.map(({ id }) => id))
  const below = (parentId: string) => branch(sorted.filter((span) => span.parentId === parentId))
  const branch = (level: readonly TraceSpan[]): string => {
    const texts = level.map(({ id, name }) => [name, below(id)].filter((text) => text !== '').join(' → '))
    return texts.length > 1 ? `(${texts.join(', ')})` : (texts[0] ?? '')
  }
  return branch(sorted.filter(({ parentId }) => !ids.has(parentId)))
}
