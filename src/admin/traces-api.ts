/** `/api/traces/…` and, as Jaeger has it, `/api/v3/traces/{id}`: requests by the trace that they belong to. */
import type { Store, StoredRequest } from '../store/types.ts'
import type { TraceGot, TracesFound } from './api-types.ts'
import { ApiError, json, readJson } from './http.ts'
import { cursorOf, cursorText, logEntry } from './log-entry.ts'
import { filtersOf, rangeOf, searchSchema } from './query.ts'
import type { Route } from './routes.ts'
import { otlpTrace, type SpansOf, spansOfRequest } from './spans.ts'

export interface TracesSources {
  readonly store: () => Store
  readonly spansOf: SpansOf
  readonly version: string
}

const DEFAULT_LIMIT = 50

/** Throws `ApiError`. */
function traceIdIn(url: string | undefined, prefix: string): string {
  const [path = ''] = (url ?? '').split('?')
  const id = path.slice(prefix.length).toLowerCase()
  if (!/^[0-9a-f]{32}$/.test(id)) throw new ApiError(400, 'expected a trace id: 32 hex digits')
  return id
}

export function tracesRoutes({ store, spansOf, version }: TracesSources): Route[] {
  return [
    {
      method: 'POST',
      path: '/api/traces/search',
      async handler(request, response, left) {
        const asked = await readJson(request, searchSchema)
        const range = rangeOf(asked.timeRange)
        const filters = filtersOf(asked.filters)
        const { requests, next } = await store().search(
          {
            limit: asked.limit ?? DEFAULT_LIMIT,
            range,
            filters,
            ...(asked.cursor !== undefined && { before: cursorOf(asked.cursor) }),
          },
          left,
        )
        const shown = new Set(requests.map(({ id }) => id))
        const ids = new Set(requests.map(({ exchange }) => exchange.trace.traceId))
        const traces: TracesFound['traces'][number][] = []
        // One after the other: a page must not be all that the store has time for.
        for (const traceId of ids) {
          const all = await store().trace(traceId, left)
          // It is told where the newest of its requests is that fits, and on no other page.
          if (all.length > 1 && asked.cursor !== undefined) {
            const newest = await store().search({ limit: 1, range, filters: { ...filters, traceId } }, left)
            if (!newest.requests.some(({ id }) => shown.has(id))) continue
          }
          const summary = summaryOf(traceId, all, spansOf)
          if (summary !== undefined) traces.push(summary)
        }
        const found: TracesFound = { traces, nextCursor: next === undefined ? null : cursorText(next) }
        json(response, 200, found)
      },
    },
    {
      method: 'GET',
      path: '/api/traces/*',
      async handler(request, response, left) {
        const traceId = traceIdIn(request.url, '/api/traces/')
        const requests = await store().trace(traceId, left)
        if (requests.length === 0) throw new ApiError(404, `no request of trace ${traceId} is kept`)
        const got: TraceGot = {
          traceId,
          spans: requests
            .flatMap((one) => spansOfRequest(one, spansOf))
            .toSorted((one, other) => one.start - other.start),
          requests: requests.map(logEntry),
        }
        json(response, 200, got)
      },
    },
    {
      method: 'GET',
      path: '/api/v3/services',
      handler: (_request, response) => json(response, 200, { services: ['agentgateway'] }),
    },
    {
      method: 'GET',
      path: '/api/v3/traces/*',
      async handler(request, response, left) {
        const traceId = traceIdIn(request.url, '/api/v3/traces/')
        const requests = await store().trace(traceId, left)
        if (requests.length === 0)
          json(response, 404, { error: { httpCode: 404, message: `no request of trace ${traceId} is kept` } })
        else json(response, 200, otlpTrace(requests, spansOf, version))
      },
    },
  ]
}

function summaryOf(
  traceId: string,
  requests: readonly StoredRequest[],
  spansOf: SpansOf,
): TracesFound['traces'][number] | undefined {
  const [first] = requests
  if (first === undefined) return undefined
  const spans = requests.flatMap((one) => spansOfRequest(one, spansOf))
  const from = requests.reduce(
    (soFar, { exchange }) => Math.min(soFar, exchange.startedAtEpochMs),
    Number.POSITIVE_INFINITY,
  )
  // A call may end after the request that it was made for: a client that leaves does not wait for it.
  const to = spans.reduce((soFar, { start, durationMs }) => Math.max(soFar, start + durationMs), from)
  const models = requests.flatMap(({ exchange: { llm } }) => llm?.requestModel ?? llm?.originalModel ?? [])
  return {
    traceId,
    startedAt: new Date(from).toISOString(),
    durationMs: Math.round((to - from) * 1000) / 1000,
    operation: first.operation,
    ...(models[0] !== undefined && { model: models[0] }),
    httpStatus: first.exchange.status,
    spans: spans.length,
    failed: requests.some(({ failed }) => failed),
    requests: requests.length,
  }
}
