/** Compares what the demo's clients sent, what the gateway counted in its two reports, and what was billed. */
import type { SimulatedProvider } from '../demo/provider.ts'
import type { Sent } from '../demo/traffic.ts'

export interface Counts {
  readonly requests: number
  readonly errors: number
  readonly inFlight: number
  readonly input: number
  readonly output: number
  readonly cacheRead: number
  readonly cacheWrite: number
  readonly reasoning: number
  readonly cost: number
  readonly toolCalls: number
}

interface Row {
  readonly name: string
  readonly sent: number | undefined
  readonly metrics: number
  readonly log: number
  readonly billed: number | undefined
  readonly equal: boolean
}

export interface Audit {
  readonly rows: readonly Row[]
  readonly unexpected: readonly { readonly name: string; readonly expected: string; readonly saw: string }[]
  readonly agrees: boolean
}

/** The sum of a family's samples with these labels, out of an exposition. */
function sumOf(exposition: string, name: string, labels = ''): number {
  let sum = 0
  for (const line of exposition.split('\n')) {
    if ((line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels))
      sum += Number(line.split(' ').at(-1))
  }
  return sum
}

/** Reads the gateway's own /metrics, as Prometheus would. */
export async function readCounts(url: string): Promise<Counts> {
  const response = await fetch(url)
  const text = await response.text()
  const tokens = (type: string) =>
    sumOf(text, 'agentgateway_gen_ai_client_token_usage_sum', `gen_ai_token_type="${type}"`)
  const details = (type: string) =>
    sumOf(text, 'agentgateway_gen_ai_client_token_details_total', `gen_ai_token_type="${type}"`)
  const requests = sumOf(text, 'agentgateway_requests_total')
  return {
    requests,
    errors: requests - sumOf(text, 'agentgateway_requests_total', 'error_type="none"'),
    inFlight: sumOf(text, 'agentgateway_requests_in_flight'),
    input: tokens('input'),
    output: tokens('output'),
    cacheRead: details('input_cache_read'),
    cacheWrite: details('input_cache_write'),
    reasoning: details('output_reasoning'),
    cost: sumOf(text, 'agentgateway_gen_ai_client_cost_usd_total'),
    toolCalls: sumOf(text, 'tool_calls_total'),
  }
}

interface Evidence {
  readonly sent: readonly Sent[]
  /** Access lines, as JSON. */
  readonly lines: readonly string[]
  readonly providers: readonly SimulatedProvider[]
  readonly exposition: Counts
}

export function audit({ sent, lines, providers, exposition }: Evidence): Audit {
  const records = lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
  const logged = (field: string) => records.reduce((sum, record) => sum + Number(record[field] ?? 0), 0)
  const billed = (part: (provider: SimulatedProvider) => number) =>
    providers.reduce((sum, one) => sum + part(one), 0)
  const row = (name: string, counted: number, log: number, bill: number | undefined, asked?: number): Row => {
    const equal =
      counted === log &&
      (bill === undefined || bill === counted) &&
      (asked === undefined || asked === counted)
    return { name, sent: asked, metrics: counted, log, billed: bill, equal }
  }
  const rows = [
    row('requests', exposition.requests, records.length, undefined, sent.length),
    row(
      'input tokens',
      exposition.input,
      logged('gen_ai.usage.input_tokens'),
      billed(({ totals }) => totals.inputTokens),
    ),
    row(
      'output tokens',
      exposition.output,
      logged('gen_ai.usage.output_tokens'),
      billed(({ totals }) => totals.outputTokens),
    ),
    row(
      'cached tokens',
      exposition.cacheRead,
      logged('gen_ai.usage.cache_read.input_tokens'),
      billed(({ totals }) => totals.cacheReadTokens),
    ),
    row(
      'cache-written tokens',
      exposition.cacheWrite,
      logged('gen_ai.usage.cache_creation.input_tokens'),
      billed(({ totals }) => totals.cacheWriteTokens),
    ),
    row(
      'reasoning tokens',
      exposition.reasoning,
      logged('gen_ai.usage.reasoning_tokens'),
      billed(({ totals }) => totals.reasoningTokens),
    ),
  ]
  const called = records.filter(
    (one) => one['mcp.method.name'] === 'tools/call' && one['mcp.target'] !== undefined,
  )
  const asked = sent.filter(
    ({ planned, status }) => planned.headers['mcp-method'] === 'tools/call' && status === 200,
  )
  rows.push(row('tool calls', exposition.toolCalls, called.length, undefined, asked.length))
  const unexpected = sent
    .filter(({ asExpected }) => !asExpected)
    .map(({ planned, status, ending, error }) => ({
      name: planned.name,
      expected: `${planned.expected.ending} ${planned.expected.status}`,
      saw: `${ending} ${status}${error === undefined ? '' : ` (${error})`}`,
    }))
  return { rows, unexpected, agrees: unexpected.length === 0 && rows.every(({ equal }) => equal) }
}
