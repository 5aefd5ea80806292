/** What the tests ask a real Prometheus: https://prometheus.io/docs/prometheus/latest/querying/api/ */
import { urls } from './stack.ts'

export interface Series {
  readonly metric: Readonly<Record<string, string>>
  /** Time in seconds and value. */
  readonly values: readonly (readonly [number, number])[]
}

type Pair = readonly [number, string]

async function get<T>(path: string, parameters: Readonly<Record<string, string>>): Promise<T> {
  const response = await fetch(`${urls.prometheus}/api/v1/${path}?${new URLSearchParams(parameters)}`)
  const reply = (await response.json()) as { status: string; error?: string; data: T }
  if (reply.status !== 'success') throw new Error(`${JSON.stringify(parameters)}: ${reply.error}`)
  return reply.data
}

/** A scalar is a series without labels; a range selector gives its raw samples. */
export async function query(expr: string, time?: number): Promise<Series[]> {
  const data = await get<{
    resultType: string
    result: Pair | { metric: Record<string, string>; value?: Pair; values?: Pair[] }[]
  }>('query', { query: expr, ...(time !== undefined && { time: String(time) }) })
  if (data.resultType === 'scalar') return [{ metric: {}, values: [numeric(data.result as Pair)] }]
  const result = data.result as { metric: Record<string, string>; value?: Pair; values?: Pair[] }[]
  return result.map(({ metric, value, values }) => ({
    metric,
    values: (value === undefined ? (values ?? []) : [value]).map(numeric),
  }))
}

export async function queryRange(
  expr: string,
  range: { readonly start: number; readonly end: number; readonly step: number },
): Promise<Series[]> {
  const { start, end, step } = range
  const parameters = { query: expr, start: String(start), end: String(end), step: String(step) }
  const { result } = await get<{ result: { metric: Record<string, string>; values: Pair[] }[] }>(
    'query_range',
    parameters,
  )
  return result.map(({ metric, values }) => ({ metric, values: values.map(numeric) }))
}

const numeric = ([time, value]: Pair): readonly [number, number] => [
  time,
  value === '+Inf' ? Infinity : value === '-Inf' ? -Infinity : Number(value),
]

/** Of a query that gives one series or none. */
export async function number(expr: string, time?: number): Promise<number | undefined> {
  const [series] = await query(expr, time)
  return series?.values.at(-1)?.[1]
}

export interface Exemplar {
  readonly labels: Readonly<Record<string, string>>
  readonly value: string
}

export async function exemplars(selector: string): Promise<Exemplar[]> {
  const now = Date.now() / 1000
  const found = await get<{ exemplars: Exemplar[] }[]>('query_exemplars', {
    query: selector,
    start: String(now - 3600),
    end: String(now + 60),
  })
  return found.flatMap((series) => series.exemplars)
}

export interface Rule {
  readonly name: string
  readonly type: 'alerting' | 'recording'
  readonly query: string
  readonly health: string
  readonly lastError?: string
  /** Of alerts. */
  readonly state?: 'inactive' | 'pending' | 'firing'
}

export async function rules(): Promise<Rule[]> {
  const { groups } = await get<{ groups: { rules: Rule[] }[] }>('rules', {})
  return groups.flatMap((group) => group.rules)
}

export interface Target {
  readonly labels: Readonly<Record<string, string>>
  readonly health: string
  readonly lastError: string
}

export async function targets(): Promise<Target[]> {
  return (await get<{ activeTargets: Target[] }>('targets', { state: 'active' })).activeTargets
}

/** Resolves once the query gives what is wanted; asked again and again, for scrapes come when they come. */
export async function until(expr: string, isWanted: (value: number | undefined) => boolean): Promise<number> {
  const patience = Date.now() + 90_000
  for (;;) {
    const value = await number(expr)
    if (isWanted(value) && value !== undefined) return value
    if (Date.now() > patience) throw new Error(`${expr} is still ${value}`)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}
