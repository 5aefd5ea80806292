/**
 * Small stand-ins for Prometheus and Jaeger: they speak the parts of the real HTTP APIs that are asked of them, from
 * what a test gives them. They prove that we read the documented shapes, not that the real programs write them.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Span } from './collector.ts'

export interface StandIn {
  readonly port: number
  readonly url: string
  readonly close: () => Promise<void>
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

/** Any HTTP server on a free port. */
export async function startServer(handler: Handler, wantedPort = 0): Promise<StandIn> {
  const server = createServer(async (request, response) => {
    try {
      await handler(request, response)
    } catch (error) {
      if (!response.headersSent) response.writeHead(500)
      response.end(`the stand-in failed: ${error instanceof Error ? error.stack : error}`)
    }
  })
  await new Promise<void>((resolve) => server.listen(wantedPort, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

export interface PrometheusOptions {
  /** Of the gateway that it scrapes: each time that somebody asks for its targets. */
  readonly statsUrl: string
  /** Over the target that it shows. */
  readonly target?: Readonly<Record<string, unknown>>
  readonly otherTargets?: readonly Readonly<Record<string, unknown>>[]
  readonly hasNoTarget?: boolean
  /** `false`: as without --enable-feature=exemplar-storage. */
  readonly hasExemplars?: boolean
  /** Answers to queries that it does not know itself; undefined is an empty vector. */
  readonly query?: (promql: string) => number | undefined
}

const LABELS = { job: 'agentgateway', instance: 'agentgateway:15020' }

/** https://prometheus.io/docs/prometheus/latest/querying/api/ */
export function startPrometheus(options: PrometheusOptions): Promise<StandIn> {
  let exposition = ''
  const scrape = async () => {
    const response = await fetch(`${options.statsUrl}/metrics`, {
      headers: { accept: 'application/openmetrics-text; version=1.0.0' },
    })
    exposition = await response.text()
  }
  const answerTo = (promql: string) => {
    if (promql === 'vector(time())') return Date.now() / 1000
    return (
      options.query?.(promql) ??
      (promql.includes('agentgateway_requests_total') ? sumOf(exposition) : undefined)
    )
  }
  return startServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const success = (data: unknown) => sendJson(response, 200, { status: 'success', data })
    switch (pathname) {
      case '/api/v1/status/buildinfo':
        return success({ version: '3.16.0', revision: '', goVersion: 'go1.26' })
      case '/api/v1/targets': {
        await scrape()
        const target = {
          discoveredLabels: {},
          labels: LABELS,
          scrapePool: LABELS.job,
          scrapeUrl: 'http://agentgateway:15020/metrics',
          globalUrl: 'http://agentgateway:15020/metrics',
          lastError: '',
          lastScrape: new Date().toISOString(),
          lastScrapeDuration: 0.002,
          health: 'up',
          scrapeInterval: '5s',
          scrapeTimeout: '5s',
          ...options.target,
        }
        const targets = options.hasNoTarget === true ? [] : [target]
        return success({ activeTargets: [...targets, ...(options.otherTargets ?? [])], droppedTargets: [] })
      }
      case '/api/v1/query': {
        const value = answerTo(searchParams.get('query') ?? '')
        const result = value === undefined ? [] : [{ metric: {}, value: [Date.now() / 1000, String(value)] }]
        return success({ resultType: 'vector', result })
      }
      case '/api/v1/query_exemplars': {
        const ids = [...exposition.matchAll(/ # \{trace_id="(\w+)"/g)].map(([, traceId]) => ({
          labels: { trace_id: traceId },
          value: '0.1',
          timestamp: Date.now() / 1000,
        }))
        return success(options.hasExemplars === false ? [] : [{ seriesLabels: {}, exemplars: ids }])
      }
      default:
        response.writeHead(404).end('404 page not found\n')
    }
  })
}

function sumOf(exposition: string): number {
  const samples = exposition.split('\n').filter((line) => line.startsWith('agentgateway_requests_total{'))
  return samples.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

export interface JaegerOptions {
  readonly spans: () => readonly Span[]
  /** `2`: /api/v3 too. `1`: as Jaeger 1.x; the user interface answers what it does not know. */
  readonly version?: 1 | 2
  /** Sends each span in an object of its own, one per line. */
  readonly isStream?: boolean
}

/** https://www.jaegertracing.io/docs/latest/architecture/apis/ */
export function startJaeger({ spans, version = 2, isStream = false }: JaegerOptions): Promise<StandIn> {
  return startServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const [, traceId] = /\/traces\/(\w+)$/.exec(pathname) ?? []
    const found = spans().filter((span) => span.traceId === traceId)
    const services = [...new Set(spans().map(serviceOf))]
    if (version === 2 && pathname === '/api/v3/services') return sendJson(response, 200, { services })
    if (pathname === '/api/services')
      return sendJson(response, 200, { data: services, total: services.length, errors: null })
    if (version === 2 && pathname.startsWith('/api/v3/traces/')) {
      if (found.length === 0)
        return sendJson(response, 404, { error: { httpCode: 404, message: 'No traces found' } })
      const groups = isStream ? found.map((span) => [span]) : [found]
      const lines = groups.map((group) => JSON.stringify({ result: { resourceSpans: [otlp(group)] } }))
      response.writeHead(200, { 'content-type': 'application/json' }).end(lines.join('\n'))
      return
    }
    if (pathname.startsWith('/api/traces/')) {
      if (found.length === 0)
        return sendJson(response, 404, { data: null, errors: [{ code: 404, msg: 'trace not found' }] })
      return sendJson(response, 200, { data: [older(found)], errors: null })
    }
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Jaeger UI</title>')
  })
}

const serviceOf = ({ resource }: Span) => String(resource['service.name'])

const otlp = (spans: readonly Span[]) => ({
  resource: {
    attributes: spans.slice(0, 1).map((span) => ({
      key: 'service.name',
      value: { stringValue: serviceOf(span) },
    })),
  },
  scopeSpans: [
    {
      scope: { name: 'agentgateway' },
      spans: spans.map(({ traceId, spanId, parentSpanId, name, kind, startNanos, endNanos }) => ({
        traceId,
        spanId,
        parentSpanId,
        name,
        kind: kind === 'server' ? 2 : 3,
        startTimeUnixNano: String(startNanos),
        endTimeUnixNano: String(endNanos),
        status: {},
      })),
    },
  ],
})

const older = (spans: readonly Span[]) => ({
  traceID: spans[0]?.traceId,
  spans: spans.map(({ traceId, spanId, parentSpanId, name, startNanos, endNanos }) => ({
    traceID: traceId,
    spanID: spanId,
    operationName: name,
    references: parentSpanId === '' ? [] : [{ refType: 'CHILD_OF', traceID: traceId, spanID: parentSpanId }],
    startTime: Number(startNanos / 1000n),
    duration: Number((endNanos - startNanos) / 1000n),
    tags: [],
    logs: [],
    processID: 'p1',
  })),
  processes: { p1: { serviceName: spans.map(serviceOf)[0], tags: [] } },
})
