/** Whether Grafana lets one in, has the dashboard, and gets numbers for it. */
import { z } from 'zod'
import { addressOf, type Examination, final, type Look, unanswered, waiting, watch } from './examination.ts'
import { failed, ok, type Verdict } from './hops.ts'
import { type Fault, isFault, type Read, under } from './http.ts'

const DASHBOARD = 'agentgateway'
const PANEL = 'Request rate'
const PROMETHEUS = 'prometheus'
const JAEGER = 'jaeger'

const health = z.object({ database: z.string(), version: z.string().optional() })

const panel = z.object({
  title: z.string().default(''),
  datasource: z.union([z.string(), z.object({ uid: z.string().optional() })]).nullish(),
  targets: z.array(z.object({ expr: z.string().optional() })).default([]),
  get panels() {
    return z.array(panel).default([])
  },
})
type Panel = z.infer<typeof panel>

const dashboard = z.object({
  dashboard: z.object({ title: z.string(), panels: z.array(panel).default([]) }),
})

const queryResult = z.object({
  results: z.record(
    z.string(),
    z.object({
      error: z.string().optional(),
      frames: z
        .array(z.object({ data: z.object({ values: z.array(z.array(z.unknown())).default([]) }) }))
        .default([]),
    }),
  ),
})

const datasourceHealth = z.object({ status: z.string(), message: z.string().default('') })

export const identifyGrafana = ({ addresses, http }: Examination, signal: AbortSignal) =>
  http.json(under(addresses.grafana, '/api/health'), health, { signal })

/** Requests with a login. */
function grafanaOf({ addresses, http, grafana: login }: Examination, signal: AbortSignal) {
  const request = <T>(path: string, schema: z.ZodType<T>, body?: unknown) =>
    http.json(under(addresses.grafana, path), schema, {
      signal,
      login,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  return {
    dashboard: () => request(`/api/dashboards/uid/${DASHBOARD}`, dashboard),
    jaegerHealth: () => request(`/api/datasources/uid/${JAEGER}/health`, datasourceHealth),
    /** As the panel itself asks: through Grafana, by its own data source. */
    query: (uid: string, expr: string) =>
      request('/api/ds/query', queryResult, {
        from: 'now-5m',
        to: 'now',
        queries: [
          {
            refId: 'A',
            datasource: { uid, type: 'prometheus' },
            expr,
            instant: true,
            range: false,
            intervalMs: 15_000,
            maxDataPoints: 100,
          },
        ],
      }),
  }
}

export async function grafanaHop(examination: Examination, signal: AbortSignal): Promise<Verdict> {
  const at = addressOf(examination, 'grafana')
  const found = await identifyGrafana(examination, signal)
  if (isFault(found)) return unanswered(examination, 'grafana', found)
  if (found.value.database !== 'ok')
    return failed(`${at}: its database is ${examination.clean(found.value.database)}`, SEE_LOG)
  const read = await grafanaOf(examination, signal).dashboard()
  if (isFault(read)) return dashboardProblem(examination, read)
  const { title, panels } = read.value.dashboard
  const chart = findPanel(panels)
  const expr = chart?.targets.find((target) => target.expr !== undefined)?.expr
  if (chart === undefined || expr === undefined)
    return failed(`the dashboard ${DASHBOARD} has no panel “${PANEL}” with a query`, DASHBOARD_ADVICE)
  const { datasource } = chart
  const uid = (typeof datasource === 'string' ? datasource : datasource?.uid) ?? PROMETHEUS
  const query = { uid: uid.startsWith('$') ? PROMETHEUS : uid, expr: interpolated(expr) }
  const answered = await watch(signal, () => lookAtPanel(examination, signal, query))
  if (answered.status !== 'ok') return answered
  const traces = await jaegerProblem(examination, signal)
  const panelText = `“${examination.clean(title)}” is there, its panel “${PANEL}” ${answered.detail}`
  return traces ?? ok(`${at}: login works, ${panelText}`)
}

const SEE_LOG = 'see `docker-compose logs grafana`'
const DASHBOARD_ADVICE =
  'it comes from observability/grafana/provisioning/dashboards: see that the folder is mounted, and `docker-compose logs grafana` for what provisioning says'

function dashboardProblem({ grafana, clean }: Examination, fault: Fault): Verdict {
  if (fault.status === 401 || fault.status === 403)
    return failed(
      `it refuses the login of ${clean(grafana.user)}`,
      'set GF_SECURITY_ADMIN_USER and GF_SECURITY_ADMIN_PASSWORD for the doctor as they were when the stack was first started: Grafana reads them only while its volume is new. A new one: `docker-compose exec grafana grafana cli admin reset-admin-password NEW`',
    )
  if (fault.status === 404) return failed(`the dashboard ${DASHBOARD} is not there`, DASHBOARD_ADVICE)
  return failed(fault.why, SEE_LOG)
}

/** Rows that are folded have their panels inside. */
function findPanel(panels: readonly Panel[]): Panel | undefined {
  for (const one of panels) {
    const found = one.title === PANEL ? one : findPanel(one.panels)
    if (found !== undefined) return found
  }
  return undefined
}

/** Long enough for two scrapes, whatever their interval. */
const INTERVAL = '5m'

/**
 * What the browser does before it asks: time spans become `INTERVAL`, every other variable "all". The panel's own
 * `or vector(0)` goes, for it makes a missing series look like one that counts nothing.
 */
export const interpolated = (expr: string) =>
  expr
    .replace(/\$\{(\w+)[^}]*\}|\$(\w+)/g, (_match, braced?: string, bare?: string) =>
      (braced ?? bare)?.startsWith('__') ? INTERVAL : '.*',
    )
    .replace(/\s+or\s+vector\(0\)\s*$/, '')

async function lookAtPanel(
  examination: Examination,
  signal: AbortSignal,
  { uid, expr }: { readonly uid: string; readonly expr: string },
): Promise<Look> {
  const { clean } = examination
  const read = await grafanaOf(examination, signal).query(uid, expr)
  if (isFault(read))
    return final(failed(`its data source ${clean(uid)} does not answer: ${read.why}`, SOURCE_ADVICE))
  const result = read.value.results.A
  if (result?.error !== undefined)
    return final(failed(`its data source ${clean(uid)} says: ${clean(result.error)}`, SOURCE_ADVICE))
  // The first field is the time.
  const value = result?.frames.flatMap(({ data }) => data.values.slice(1).flat()).find(isNumber)
  if (value === 0) return final(ok('answers (0 requests/s)'))
  if (value !== undefined) return final(ok(`shows ${Number(value.toPrecision(3))} requests/s`))
  return waiting(
    failed(
      `the panel “${PANEL}” has no data`,
      'a rate needs two scrapes: try again in a minute; if it stays empty, see the hop prometheus',
    ),
  )
}

const isNumber = (value: unknown): value is number => typeof value === 'number'

const SOURCE_ADVICE =
  'its url in observability/grafana/provisioning/datasources must be Prometheus as Grafana sees it (http://prometheus:9090)'

/** Only where there is a Jaeger to lead to. */
async function jaegerProblem(examination: Examination, signal: AbortSignal): Promise<Verdict | undefined> {
  if (examination.isSkipped('jaeger') || !examination.seen.present.has('jaeger')) return undefined
  const read: Read<z.infer<typeof datasourceHealth>> = await grafanaOf(examination, signal).jaegerHealth()
  if (!isFault(read) && read.value.status === 'OK') return undefined
  const why = isFault(read) ? read.why : examination.clean(read.value.message)
  return failed(
    `its data source ${JAEGER} does not work: ${why}`,
    'links from charts to traces need it: its url in observability/grafana/provisioning/datasources must be Jaeger as Grafana sees it (http://jaeger:16686)',
  )
}
