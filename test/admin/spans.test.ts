/** The spans of the console are those that a collector was sent for the same request. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ApiSpan, LogEntry, TraceGot, TracesFound } from '../../src/admin/api-types.ts'
import { type Collector, type Span, startCollector } from '../support/collector.ts'
import { chatBody, messagesBody } from '../support/configuration.ts'
import { callOf, openSession, post } from '../support/mcp-lab.ts'
import {
  type AdminLab,
  askFor,
  CHAT,
  call,
  MESSAGES,
  sendUnbilled,
  startAdminLab,
  UNBILLED,
} from './lab.fixture.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const REQUESTS = UNBILLED + 8

let collector: Collector
let lab: AdminLab
let logs: readonly LogEntry[]
let received: readonly Span[]

beforeAll(async () => {
  collector = await startCollector({ protocol: 'http' })
  lab = await startAdminLab({
    more: {
      frontendPolicies: {
        tracing: {
          host: `127.0.0.1:${collector.port}`,
          protocol: 'http',
          randomSampling: true,
          attributes: { 'test.added': '"yes"' },
        },
      },
    },
  })
  const headers = { traceparent: `00-${TRACE}-${PARENT}-01` }
  await call(lab, { path: CHAT, body: chatBody({ stream: true }), headers })
  await call(lab, { path: MESSAGES, body: messagesBody(), headers })
  await call(lab, { path: CHAT, body: chatBody(), script: { status: 500 } })
  await call(lab, { path: '/nowhere', body: {} })
  await call(lab, { path: '/closed', body: {} })
  const url = `${lab.gateway.url}/mcp`
  const session = await openSession(url)
  await post(url, [callOf(1, 'echo')], session)
  await sendUnbilled(lab)
  await lab.gateway.recorded(REQUESTS)
  logs = await lab.client.all()
  const servers = (spans: readonly Span[]) => spans.filter(({ kind }) => kind === 'server')
  received = await collector.waitFor((spans) => servers(spans).length === REQUESTS)
})
afterAll(async () => {
  await lab?.close()
  await collector?.close()
})

const byId = <T extends { readonly spanId: string }>(spans: readonly T[]) =>
  spans.toSorted((one, other) => one.spanId.localeCompare(other.spanId))

const withoutAdded = ({ 'test.added': _, ...attributes }: Span['attributes']) => attributes

/** What of a span can be told in JSON numbers. */
const comparable = (span: Span) => ({
  name: span.name,
  kind: span.kind,
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId,
  durationNanos: Number(span.endNanos - span.startNanos),
  attributes: withoutAdded(span.attributes),
  events: span.events,
  eventAttributes: span.eventAttributes,
  error: span.hasFailed ? span.statusMessage : undefined,
})

const fromApi = (span: ApiSpan) => ({
  name: span.name,
  kind: span.kind,
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId ?? '',
  durationNanos: Math.round(span.durationMs * 1e6),
  attributes: span.attributes,
  events: span.events.map(({ name }) => name),
  eventAttributes: span.events.map(({ attributes = {} }) => attributes),
  error: span.error && (span.error.message ?? ''),
})

/** The server span with that id and all below it. */
function sent(serverSpanId: string): readonly Span[] {
  const found = received.filter(({ spanId }) => spanId === serverSpanId)
  for (const parent of found)
    found.push(...received.filter(({ parentSpanId }) => parentSpanId === parent.spanId))
  return found
}

test('it got every span in the collector, with what the configuration adds', () => {
  expect(logs).toHaveLength(REQUESTS)
  const [server] = received.filter(({ kind }) => kind === 'server')
  expect(server?.attributes['test.added']).toBe('yes')
})

test('it opens a request with the spans that were sent, in the order of their start', async () => {
  for (const { id, spanId, traceId } of logs) {
    const { spans } = await lab.client.log(id)
    const expected = sent(spanId)
    expect(byId(spans).map(fromApi)).toEqual(byId(expected).map(comparable))
    expect(spans.map(({ start }) => start)).toEqual(spans.map(({ start }) => start).toSorted((a, b) => a - b))
    expect(spans.every((span) => span.traceId === traceId)).toBe(true)
    for (const span of spans) {
      const nanos = expected.find((one) => one.spanId === span.spanId)?.startNanos ?? 0n
      expect(Math.abs(span.start - Number(nanos) / 1e6)).toBeLessThan(0.001)
    }
  }
})

test('it has the spans of all requests in a trace', async () => {
  for (const traceId of new Set(logs.map((log) => log.traceId))) {
    const { spans, requests } = await lab.client.get<TraceGot>(`/api/traces/${traceId}`)
    expect(byId(spans).map(fromApi)).toEqual(
      byId(received.filter((span) => span.traceId === traceId)).map(comparable),
    )
    expect(requests.map(({ id }) => id).toSorted()).toEqual(
      logs
        .filter((log) => log.traceId === traceId)
        .map(({ id }) => id)
        .toSorted(),
    )
  }
})

interface OtlpValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: string
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values: readonly OtlpValue[] }
}
interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly { readonly key: string; readonly value: OtlpValue }[]
  readonly events: readonly {
    readonly name: string
    readonly timeUnixNano: string
    readonly attributes: OtlpSpan['attributes']
  }[]
  readonly status: { readonly code?: number; readonly message?: string }
}

function plainOf(value: OtlpValue): unknown {
  if (value.arrayValue !== undefined) return value.arrayValue.values.map(plainOf)
  if (value.intValue !== undefined) return Number(value.intValue)
  return value.stringValue ?? value.boolValue ?? value.doubleValue
}

const record = (attributes: OtlpSpan['attributes']) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, plainOf(value)]))

test('it tells a trace in OTLP to the nanosecond as it was sent', async () => {
  for (const traceId of new Set(logs.map((log) => log.traceId))) {
    const { result } = await askFor<{
      result: { resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[] }
    }>(lab.gateway.adminUrl, `/api/v3/traces/${traceId}`)
    const spans = result.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans))
    const told = byId(spans).map((span) => ({
      traceId: span.traceId,
      spanId: span.spanId,
      parentSpanId: span.parentSpanId,
      name: span.name,
      kind: span.kind === 2 ? 'server' : 'client',
      startNanos: BigInt(span.startTimeUnixNano),
      endNanos: BigInt(span.endTimeUnixNano),
      attributes: record(span.attributes),
      events: span.events.map(({ name }) => name),
      eventAttributes: span.events.map(({ attributes }) => record(attributes)),
      hasFailed: span.status.code === 2,
      statusMessage: span.status.message ?? '',
    }))
    const expected = byId(received.filter((span) => span.traceId === traceId)).map(
      ({ traceState: _, resource: __, ...span }) => ({ ...span, attributes: withoutAdded(span.attributes) }),
    )
    expect(told).toEqual(expected)
  }
})

test('it hangs what a caller began below the caller', async () => {
  const { spans, requests } = await lab.client.get<TraceGot>(`/api/traces/${TRACE}`)
  expect(requests).toHaveLength(2)
  const servers = spans.filter(({ kind }) => kind === 'server')
  expect(servers.map(({ parentSpanId }) => parentSpanId)).toEqual([PARENT, PARENT])
})

test('it takes an id in capitals too', async () => {
  const { traceId } = await lab.client.get<TraceGot>(`/api/traces/${TRACE.toUpperCase()}`)
  expect(traceId).toBe(TRACE)
})

describe('the search for traces', () => {
  const find = (body: unknown) => askFor<TracesFound>(lab.gateway.adminUrl, '/api/traces/search', body)

  test('it sums up each trace', async () => {
    const { traces } = await find({ limit: 500 })
    expect(traces.map(({ traceId }) => traceId).toSorted()).toEqual(
      [...new Set(logs.map(({ traceId }) => traceId))].toSorted(),
    )
    for (const trace of traces) {
      const own = logs.filter(({ traceId }) => traceId === trace.traceId)
      const spans = received.filter(({ traceId }) => traceId === trace.traceId)
      const first = own.toSorted((one, other) => one.startedAt.localeCompare(other.startedAt))[0]
      const starts = spans.map(({ startNanos }) => Number(startNanos) / 1e6)
      const ends = spans.map(({ endNanos }) => Number(endNanos) / 1e6)
      expect(trace).toMatchObject({
        requests: own.length,
        spans: spans.length,
        failed: own.some(({ failed }) => failed),
        operation: first?.operation,
        startedAt: first?.startedAt,
        httpStatus: first?.httpStatus,
      })
      expect(trace.model).toBe(first?.genAi?.requestModel)
      expect(Math.abs(trace.durationMs - (Math.max(...ends) - Math.min(...starts)))).toBeLessThan(1)
    }
  })

  test('it tells a trace whole when one of its requests fits', async () => {
    const { traces } = await find({ filters: { provider: ['anthropic'], traceId: TRACE } })
    expect(traces).toMatchObject([{ traceId: TRACE, requests: 2 }])
  })

  test('it pages to the end without loss', async () => {
    const found: string[] = []
    let cursor: string | null | undefined
    do {
      const page: TracesFound = await find({ limit: 3, ...(cursor && { cursor }) })
      found.push(...page.traces.map(({ traceId }) => traceId))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(new Set(found)).toEqual(new Set(logs.map(({ traceId }) => traceId)))
    expect(found.length).toBe(new Set(found).size)
  })
})

test('it knows spans without a collector too', async () => {
  const other = await startAdminLab()
  try {
    const reply = await call(other, { path: CHAT, body: chatBody({ stream: true }) })
    await other.gateway.recorded(1)
    const { spans } = await other.client.get<TraceGot>(`/api/traces/${reply.headers['x-trace-id']}`)
    expect(spans.map(({ kind }) => kind)).toEqual(['server', 'client', 'client'])
  } finally {
    await other.close()
  }
})

test('it finds a page of traces, though there are more of them than the store takes questions at a time', async () => {
  const other = await startAdminLab()
  try {
    for (let index = 0; index < 150; index++) await call(other, { path: '/nowhere', body: {} })
    await other.gateway.recorded(150)
    const found = await askFor<TracesFound>(other.gateway.adminUrl, '/api/traces/search', { limit: 150 })
    expect(found.traces).toHaveLength(150)
  } finally {
    await other.close()
  }
})
