/**
 * A stand-in for Grafana, which cannot be installed where the tests run: it reads the provisioning folder that the real
 * one would be given, and answers the parts of its HTTP API that tell whether the provisioned things fit together.
 *
 * It proves that the YAML and the JSON can be read, that uids match, and that a panel's query gets an answer from a real
 * Prometheus. It does not prove that the real Grafana accepts these files, draws them, or reaches its data sources by the
 * urls in them: those of `options` are asked instead. Nor does it know roles, folders, tokens or the browser's half of
 * variables.
 *
 * https://grafana.com/docs/grafana/latest/developers/http_api/
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { parse } from 'yaml'
import { type StandIn, sendJson, startServer } from './stand-ins.ts'

export interface GrafanaOptions {
  /** Holds `datasources/*.yaml`, and dashboards as JSON files anywhere below `dashboards/`. */
  readonly folder: string
  /** Asked instead of the url of any data source of this type. */
  readonly prometheusUrl: string
  readonly jaegerUrl?: string
  readonly user?: string
  readonly password?: string
  /** What `$NAME` and `${NAME}` in the YAML stand for. */
  readonly environment?: Readonly<Record<string, string>>
}

interface DataSource {
  readonly name: string
  readonly uid: string
  readonly type: string
  readonly jsonData?: Readonly<Record<string, unknown>>
}

interface Dashboard {
  readonly uid: string
  readonly title: string
}

interface Query {
  readonly refId: string
  readonly datasource: { readonly uid: string }
  readonly expr: string
  readonly instant?: boolean
  readonly range?: boolean
  readonly intervalMs?: number
}

interface QueryRequest {
  readonly from: string
  readonly to: string
  readonly queries: readonly Query[]
}

interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value?: readonly [number, string]
  readonly values?: readonly (readonly [number, string])[]
}

/** Throws when a file of the folder cannot be read, as the real one logs and goes on without. */
export function startGrafana(options: GrafanaOptions): Promise<StandIn> {
  const { folder, user = 'admin', password = 'admin', environment = {} } = options
  const dataSources = filesIn(join(folder, 'datasources'), /\.ya?ml$/).flatMap((file) => {
    const provisioned = parse(readFileSync(file, 'utf8')) as { datasources?: DataSource[] }
    return (expanded(provisioned, environment) as typeof provisioned).datasources ?? []
  })
  const dashboards = filesIn(join(folder, 'dashboards'), /\.json$/).map(
    (file) => JSON.parse(readFileSync(file, 'utf8')) as Dashboard,
  )
  const credentials = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

  return startServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname === '/api/health')
      return sendJson(response, 200, { database: 'ok', version: '13.2.3', commit: 'stand-in' })
    if (request.headers.authorization !== credentials)
      return sendJson(response, 401, {
        message: 'Invalid username or password',
        messageId: 'password-auth.failed',
        statusCode: 401,
        traceID: '',
      })
    if (pathname === '/api/ds/query') return query(request, response)
    const [, kind, uid, action] =
      /^\/api\/(dashboards|datasources)\/uid\/([^/]+)(\/health)?$/.exec(pathname) ?? []
    if (kind === 'dashboards') {
      const dashboard = dashboards.find((one) => one.uid === uid)
      if (dashboard === undefined) return notFound(response, 'Dashboard not found')
      return sendJson(response, 200, { meta: { provisioned: true, type: 'db', version: 1 }, dashboard })
    }
    const source = dataSources.find((one) => one.uid === uid)
    if (kind === undefined) return notFound(response, 'Not found')
    if (source === undefined) return notFound(response, 'Data source not found')
    if (action === undefined) return sendJson(response, 200, source)
    const isWorking = await health(source)
    return sendJson(response, isWorking ? 200 : 400, {
      message: isWorking ? 'Data source is working' : `${source.name} does not answer`,
      status: isWorking ? 'OK' : 'ERROR',
    })
  })

  async function health({ type }: DataSource): Promise<boolean> {
    const urls =
      type === 'prometheus'
        ? [`${options.prometheusUrl}/api/v1/query?query=1%2B1`]
        : ['/api/v3/services', '/api/services'].map((path) => `${options.jaegerUrl}${path}`)
    const replies = await Promise.all(urls.map((url) => fetch(url).catch(() => undefined)))
    return replies.some((reply) => reply?.ok === true)
  }

  async function query(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = (await json(request)) as QueryRequest
    const results: Record<string, unknown> = {}
    let status = 200
    for (const one of asked.queries) {
      const source = dataSources.find(({ uid }) => uid === one.datasource.uid)
      if (source === undefined) return notFound(response, 'Data source not found')
      const result = await answer(one, asked, source)
      results[one.refId] = result
      status = Math.max(status, result.status)
    }
    sendJson(response, status, { results })
  }

  async function answer(one: Query, { from, to }: QueryRequest, source: DataSource) {
    const isInstant = one.instant === true && one.range !== true
    const intervalMs = one.intervalMs ?? 15_000
    const span = { start: momentOf(from), end: momentOf(to) }
    const parameters = new URLSearchParams({
      query: interpolated(one.expr, { intervalMs, source, rangeSeconds: span.end - span.start }),
      ...(isInstant
        ? { time: String(span.end) }
        : { start: String(span.start), end: String(span.end), step: String(intervalMs / 1000) }),
    })
    const path = isInstant ? 'query' : 'query_range'
    const reply = await fetch(`${options.prometheusUrl}/api/v1/${path}?${parameters}`).catch(() => undefined)
    if (reply === undefined) return { status: 502, error: 'connection refused', errorSource: 'downstream' }
    const body = (await reply.json()) as {
      errorType?: string
      error?: string
      data?: { resultType: string; result: Series[] }
    }
    if (body.data === undefined)
      return { status: 400, error: `${body.errorType}: ${body.error}`, errorSource: 'downstream' }
    return { status: 200, frames: framesOf(one.refId, body.data) }
  }
}

/** One per series; an empty one where there is none. https://grafana.com/developers/plugin-tools/introduction/data-frames */
function framesOf(refId: string, { resultType, result }: { resultType: string; result: readonly Series[] }) {
  const meta = {
    type: resultType === 'matrix' ? 'timeseries-multi' : 'numeric-multi',
    custom: { resultType },
  }
  if (result.length === 0) return [{ schema: { refId, meta, fields: [] }, data: { values: [] } }]
  return result.map(({ metric, value, values = value === undefined ? [] : [value] }) => ({
    schema: {
      refId,
      meta,
      fields: [
        { name: 'Time', type: 'time', typeInfo: { frame: 'time.Time' } },
        { name: 'Value', type: 'number', typeInfo: { frame: 'float64' }, labels: metric },
      ],
    },
    data: { values: [values.map(([at]) => at * 1000), values.map(([, number]) => jsonNumber(number))] },
  }))
}

/** JSON has no NaN and no infinity: Grafana lists them apart, as `entities`. */
const jsonNumber = (text: string) => (Number.isFinite(Number(text)) ? Number(text) : null)

/** The variables that Grafana's server fills in; those of the dashboard are the browser's. */
function interpolated(
  expr: string,
  options: { readonly intervalMs: number; readonly source: DataSource; readonly rangeSeconds: number },
): string {
  const scrapeSeconds = Number.parseFloat(String(options.source.jsonData?.timeInterval ?? '15s'))
  const intervalSeconds = Math.max(1, options.intervalMs / 1000)
  const values: Readonly<Record<string, number>> = {
    rate_interval: Math.max(intervalSeconds + scrapeSeconds, 4 * scrapeSeconds),
    interval: intervalSeconds,
    range: options.rangeSeconds,
  }
  return expr.replace(
    /\$\{?__(rate_interval|interval|range)\}?/g,
    (_match, name: string) => `${values[name]}s`,
  )
}

/** `now`, `now-5m` or milliseconds, as seconds. */
function momentOf(text: string): number {
  const [, amount, unit] = /^now(?:-(\d+)([smhd]))?$/.exec(text) ?? []
  if (!text.startsWith('now')) return Number(text) / 1000
  const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 }[unit ?? 's'] ?? 1
  return Date.now() / 1000 - Number(amount ?? 0) * unitSeconds
}

/** `$NAME`, `${NAME}` from the environment, `$$` for a dollar, as in Grafana's own provisioning. */
function expanded(value: unknown, environment: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string')
    return value.replace(/\$\$|\$\{(\w+)\}|\$(\w+)/g, (match, braced?: string, bare?: string) =>
      match === '$$' ? '$' : (environment[braced ?? bare ?? ''] ?? ''),
    )
  if (Array.isArray(value)) return value.map((one) => expanded(one, environment))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, expanded(one, environment)]))
}

function filesIn(folder: string, name: RegExp): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => name.test(file))
    .sort()
    .map((file) => join(folder, file))
}

const notFound = (response: ServerResponse, message: string) =>
  sendJson(response, 404, { message, traceID: '' })
