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
      async handler(request, response) {
        const asked = await readJson(request, searchSchema)
        const range = rangeOf(asked.timeRange)
        const filters = filtersOf(asked.filters)
        const { requests, next } = await store().search({
          limit: asked.limit ?? DEFAULT_LIMIT,
          range,
          filters,
          ...(asked.cursor !== undefined && { before: cursorOf(asked.cursor) }),
        })
        const shown = new Set(requests.map(({ id }) => id))
        const ids = [...new Set(requests.map(({ exchange }) => exchange.trace.traceId))]
        const traces = await Promise.all(
          ids.map(async (traceId) => {
            const all = await store().trace(traceId)
            // It is told where the newest of its requests is that fits, and on no other page.
            if (all.length > 1 && asked.cursor !== undefined) {
              const newest = await store().search({ limit: 1, range, filters: { ...filters, traceId } })
              if (!newest.requests.some(({ id }) => shown.has(id))) return undefined
            }
            return summaryOf(traceId, all, spansOf)
          }),
        )
        const found: TracesFound = {
          traces: traces.filter((one) => one !== undefined),
          nextCursor: next === undefined ? null : cursorText(next),
        }
        json(response, 200, found)
      },
    },
    {
      method: 'GET',
      path: '/api/traces/*',
      async handler(request, response) {
        const traceId = traceIdIn(request.url, '/api/traces/')
        const requests = await store().trace(traceId)
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
      async handler(request, response) {
        const traceId = traceIdIn(request.url, '/api/v3/traces/')
        const requests = await store().trace(traceId)
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
  const starts = requests.map(({ exchange }) => exchange.startedAtEpochMs)
  const ends = requests.map(({ exchange }) => {
    const { startedAtEpochMs, startedAt, endedAt } = exchange
    return startedAtEpochMs + ((endedAt ?? startedAt) - startedAt)
  })
  const from = Math.min(...starts)
  const models = requests.flatMap(({ exchange: { llm } }) => llm?.requestModel ?? llm?.originalModel ?? [])
  return {
    traceId,
    startedAt: new Date(from).toISOString(),
    durationMs: Math.round((Math.max(...ends) - from) * 1000) / 1000,
    operation: first.operation,
    ...(models[0] !== undefined && { model: models[0] }),
    httpStatus: first.exchange.status,
    spans: requests.reduce((sum, { exchange }) => sum + spansOf(exchange).length, 0),
    failed: requests.some(({ failed }) => failed),
    requests: requests.length,
  }
}
