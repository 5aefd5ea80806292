/** One request, one number: the log, its sums, the overview, `/metrics` and the providers' own books agree. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type {
  ApiMeasures,
  CostsModels,
  LogEntry,
  Overview,
  OverviewPanel,
} from '../../src/admin/api-types.ts'
import type { SimulatedProvider } from '../../src/demo/provider.ts'
import type { Reply } from '../support/wire.ts'
import { type AdminLab, BILLED, sendBilled, sendUnbilled, startAdminLab, UNBILLED } from './lab.fixture.ts'

let lab: AdminLab
let replies: readonly Reply[]
/** After the calls that are billed in full. */
let billed: { readonly logs: readonly LogEntry[]; readonly provider: Books }
/** After everything. */
let logs: readonly LogEntry[]
let overview: Overview
let metrics: string

type Books = Pick<SimulatedProvider['totals'], (typeof TOKENS)[number]>

const TOKENS = [
  'inputTokens',
  'outputTokens',
  'cacheReadTokens',
  'cacheWriteTokens',
  'reasoningTokens',
] as const

const sumOf = <T>(all: readonly T[], value: (one: T) => number | undefined) =>
  all.reduce((sum, one) => sum + (value(one) ?? 0), 0)

const tokensOf = (all: readonly LogEntry[]): Books => ({
  inputTokens: sumOf(all, ({ usage }) => usage?.inputTokens),
  outputTokens: sumOf(all, ({ usage }) => usage?.outputTokens),
  cacheReadTokens: sumOf(all, ({ usage }) => usage?.cacheReadTokens),
  cacheWriteTokens: sumOf(all, ({ usage }) => usage?.cacheWriteTokens),
  reasoningTokens: sumOf(all, ({ usage }) => usage?.reasoningTokens),
})

const costOf = (all: readonly LogEntry[]) => sumOf(all, ({ cost }) => cost)

/** What an analytics answer would have to say of these. */
const measuresOf = (all: readonly LogEntry[]) => ({
  requests: all.length,
  failed: all.filter(({ failed }) => failed).length,
  ...tokensOf(all),
  totalTokens: sumOf(all, ({ usage }) => usage?.totalTokens),
  cost: about(costOf(all)),
})

const countsIn = ({ durationMs: _, firstTokenMs: __, ...counts }: ApiMeasures) => counts

/** Money: equal but for the last bits of floating point. */
const about = (value: number): number =>
  ({
    $$typeof: Symbol.for('jest.asymmetricMatcher'),
    asymmetricMatch: (other: unknown) =>
      typeof other === 'number' &&
      Math.abs(other - value) <= 1e-9 * Math.max(Math.abs(value), Math.abs(other)),
    toString: () => 'about',
    toAsymmetricMatcher: () => `about ${value}`,
  }) as unknown as number

/** The sum of a family's samples that bear all these labels. */
function scraped(family: string, ...labels: readonly string[]): number {
  const samples = metrics
    .split('\n')
    .filter((line) => line.startsWith(`${family}{`) && labels.every((label) => line.includes(label)))
  return sumOf(samples, (line) => Number(line.split(' ').at(-1)))
}

/** A family's sums by one label's values, the zeros left out. */
function scrapedBy(family: string, label: string): Record<string, number> {
  const found: Record<string, number> = {}
  for (const line of metrics.split('\n')) {
    if (!line.startsWith(`${family}{`)) continue
    const value = new RegExp(`[{,]${label}="([^"]*)"`).exec(line)?.[1] ?? ''
    const sum = (found[value] ?? 0) + Number(line.split(' ').at(-1))
    if (sum !== 0) found[value] = sum
  }
  return found
}

function panel(title: string): OverviewPanel {
  const found = overview.rows.flatMap(({ panels }) => panels).find((one) => one.title === title)
  if (found === undefined) throw new Error(`no panel ${title}`)
  return found
}
const valuesOf = (title: string) =>
  Object.fromEntries((panel(title).values ?? []).map(({ label, value }) => [label, value]))
const onlyValue = (title: string) => panel(title).values?.map(({ value }) => value)

/** What a panel of rates counted altogether. */
const countedIn = (title: string) =>
  Object.fromEntries(
    (panel(title).series ?? []).flatMap(({ label, points }) => {
      const count = sumOf(points, (point) => point ?? 0) * (overview.stepMs / 1000)
      return count === 0 ? [] : [[label, about(count)]]
    }),
  )

beforeAll(async () => {
  lab = await startAdminLab()
  replies = await sendBilled(lab)
  await lab.gateway.recorded(BILLED.length)
  const { openAI, anthropic } = lab
  const provider = Object.fromEntries(
    TOKENS.map((name) => [name, openAI.totals[name] + anthropic.totals[name]]),
  ) as unknown as Books
  billed = { logs: await lab.client.all(), provider }
  await sendUnbilled(lab)
  await lab.gateway.recorded(BILLED.length + UNBILLED)
  overview = await lab.client.overview()
  logs = await lab.client.all({ limit: 7 })
  metrics = await lab.gateway.metrics()
})
afterAll(() => lab?.close())

test('it answers the mix as it was planned', () => {
  expect(replies.map(({ status }, index) => [BILLED[index]?.name, status])).toEqual(
    BILLED.map(({ name, status }) => [name, status]),
  )
})

test('it keeps one entry for each request, as the access log does', () => {
  const ids = lab.gateway.records().map((record) => record['trace.id'])
  expect(logs.map(({ traceId }) => traceId).toSorted()).toEqual(ids.toSorted())
  expect(new Set(logs.map(({ id }) => id)).size).toBe(BILLED.length + UNBILLED)
})

test('it counts the tokens that the providers billed', () => {
  expect(tokensOf(billed.logs)).toEqual(billed.provider)
  expect(billed.provider.cacheReadTokens).toBe(1024 + 2048 + 2000)
})

test('it asks for each call what the price list says', async () => {
  const { providers } = await lab.client.get<CostsModels>('/api/costs/models')
  let priced = 0
  for (const { genAi, usage, cost, costParts, costStatus, httpStatus } of billed.logs) {
    if (genAi === undefined || usage === undefined || httpStatus !== 200) continue
    if (costStatus !== 'Exact') {
      expect([genAi.requestModel, cost]).toEqual(['made-by-us', undefined])
      continue
    }
    expect(cost).toEqual(about((costParts?.input ?? 0) + (costParts?.output ?? 0)))
    if (usage.cacheReadTokens + usage.cacheWriteTokens > 0) continue
    const models = providers.find(({ provider }) => provider === genAi.providerName)?.models ?? []
    // `gpt-4o-2024-08-06` costs what `gpt-4o` does.
    const price = models.find(({ model }) => model === genAi.requestModel)
    const { input = Number.NaN, output = 0 } = price ?? {}
    expect([genAi.requestModel, cost]).toEqual([
      genAi.requestModel,
      about((usage.inputTokens * input + usage.outputTokens * output) / 1e6),
    ])
    priced++
  }
  expect(priced).toBeGreaterThanOrEqual(9)
})

test('it has entries that add up to what is scraped', () => {
  const usage = 'agentgateway_gen_ai_client_token_usage_sum'
  const details = 'agentgateway_gen_ai_client_token_details_total'
  expect(tokensOf(logs)).toEqual({
    inputTokens: scraped(usage, 'token_type="input"'),
    outputTokens: scraped(usage, 'token_type="output"'),
    cacheReadTokens: scraped(details, 'token_type="input_cache_read"'),
    cacheWriteTokens: scraped(details, 'token_type="input_cache_write"'),
    reasoningTokens: scraped(details, 'token_type="output_reasoning"'),
  })
  expect(costOf(logs)).toEqual(about(scraped('agentgateway_gen_ai_client_cost_usd_total')))
  expect(costOf(logs)).toBeGreaterThan(0)
  expect(logs.length).toBe(scraped('agentgateway_requests_total'))
})

test('it calls failed what the gateway refused, or a provider or a tool has broken, not what a client left', () => {
  const failed = logs
    .filter((log) => log.failed)
    .map(({ httpStatus, route, operation, outcome }) => {
      return [httpStatus, route, outcome, operation.replace(/^POST.*/, 'POST')]
    })
  expect(failed.toReversed()).toEqual([
    [500, 'default/openai', 'upstream_error', 'POST'],
    [400, 'default/openai', 'rejected', 'POST'],
    [404, undefined, 'rejected', 'POST'],
    [503, 'default/closed', 'upstream_error', 'POST'],
    [200, 'default/openai', 'upstream_midstream_error', 'POST'],
    [200, 'default/mcp', 'completed', 'tools/call fail'],
    [200, 'default/mcp', 'completed', 'tools/call throw'],
  ])
})

test('it tells tokens in total as the sum of both kinds', () => {
  for (const { usage } of logs)
    if (usage !== undefined) expect(usage.totalTokens).toBe(usage.inputTokens + usage.outputTokens)
})

describe.each([
  { field: 'httpStatus', label: 'status', of: (log: LogEntry) => String(log.httpStatus) },
  {
    field: 'errorType',
    label: 'error_type',
    // What failed in MCP alone was no failure of HTTP, and is counted by metrics of its own.
    of: (log: LogEntry) =>
      log.errorType === undefined || log.errorType === log.mcp?.errorType ? 'none' : log.errorType,
  },
  { field: 'outcome', label: 'outcome', of: (log: LogEntry) => log.outcome },
  { field: 'backend', label: 'backend', of: (log: LogEntry) => log.backend ?? 'unknown' },
])('by $field', ({ label, of }) => {
  test('it has as many entries as requests were counted', () => {
    const counts: Record<string, number> = {}
    for (const log of logs) counts[of(log)] = (counts[of(log)] ?? 0) + 1
    expect(counts).toEqual(scrapedBy('agentgateway_requests_total', label))
  })
})

describe('the summary', () => {
  test('it has the totals of the log', async () => {
    expect(countsIn((await lab.client.summary()).total)).toEqual(measuresOf(logs))
  })

  test.each([1, 24, 96, 500])('it adds up to its total in %i buckets', async (bucketCount) => {
    const { buckets, total } = await lab.client.summary({ bucketCount })
    expect(buckets.length).toBeGreaterThan(0)
    for (const name of ['requests', 'failed', 'totalTokens', ...TOKENS] as const)
      expect([name, sumOf(buckets, (one) => one[name])]).toEqual([name, total[name]])
    expect(sumOf(buckets, ({ cost }) => cost)).toEqual(about(total.cost))
  })

  test.each<{
    field:
      | 'provider'
      | 'requestModel'
      | 'responseModel'
      | 'httpStatus'
      | 'outcome'
      | 'errorType'
      | 'protocol'
      | 'backend'
      | 'route'
      | 'target'
      | 'operation'
    of: (log: LogEntry) => unknown
  }>([
    { field: 'provider', of: ({ genAi }) => genAi?.providerName },
    { field: 'requestModel', of: ({ genAi }) => genAi?.requestModel },
    { field: 'responseModel', of: ({ genAi }) => genAi?.responseModel },
    { field: 'httpStatus', of: ({ httpStatus }) => httpStatus },
    { field: 'outcome', of: ({ outcome }) => outcome },
    { field: 'errorType', of: ({ errorType }) => errorType },
    { field: 'protocol', of: ({ protocol }) => protocol },
    { field: 'backend', of: ({ backend }) => backend },
    { field: 'route', of: ({ route }) => route },
    { field: 'target', of: ({ mcp }) => mcp?.target },
    { field: 'operation', of: ({ operation }) => operation },
  ])('it has the groups of the log by $field', async ({ field, of }) => {
    const { groups, buckets } = await lab.client.summary({ groupBy: [{ field }], bucketCount: 1 })
    const expected = Object.fromEntries(
      [...Map.groupBy(logs, (log) => String(of(log) ?? '')).entries()].map(([value, some]) => [
        value,
        measuresOf(some),
      ]),
    )
    const told = groups.map(({ group, ...measures }) => [group[field], countsIn(measures)])
    expect(Object.fromEntries(told)).toEqual(expected)
    expect(groups.map(({ requests }) => requests)).toEqual(
      groups.map(({ requests }) => requests).toSorted((one, other) => other - one),
    )
    const inBuckets = Object.keys(expected).map((value) => [
      value,
      sumOf(
        buckets.filter(({ group }) => group[field] === value),
        ({ requests }) => requests,
      ),
    ])
    expect(Object.fromEntries(inBuckets)).toEqual(
      Object.fromEntries(Object.entries(expected).map(([value, { requests }]) => [value, requests])),
    )
  })

  test.each([
    { name: 'the protocol', filters: { protocol: ['llm'] }, fits: (log: LogEntry) => log.protocol === 'llm' },
    { name: 'failure', filters: { failed: true }, fits: (log: LogEntry) => log.failed },
    {
      name: 'provider and status',
      filters: { provider: ['openai'], httpStatus: [200] },
      fits: (log: LogEntry) => log.genAi?.providerName === 'openai' && log.httpStatus === 200,
    },
  ])('it heeds a filter by $name', async ({ filters, fits }) => {
    const { total } = await lab.client.summary({ filters })
    expect(countsIn(total)).toEqual(measuresOf(logs.filter(fits)))
    expect(total.requests).toBeGreaterThan(0)
  })

  test('it has percentiles between which the durations lie', async () => {
    const { total } = await lab.client.summary()
    const durations = logs.map(({ durationMs }) => durationMs)
    const { p50 = 0, p95 = 0, p99 = 0, max = 0, mean = 0 } = total.durationMs ?? {}
    expect(max).toBeCloseTo(Math.max(...durations), 2)
    expect(mean).toBeCloseTo(sumOf(durations, (one) => one) / durations.length, 2)
    expect(p50).toBeLessThanOrEqual(p95)
    expect(p95).toBeLessThanOrEqual(p99)
    expect(p99).toBeLessThanOrEqual(max)
  })

  test('it offers the values that the log has', async () => {
    const { filterOptions } = await lab.client.summary()
    const values = (of: (log: LogEntry) => unknown) =>
      [...new Set(logs.map(of).filter((value) => value !== undefined))].map(String).toSorted()
    expect(filterOptions.requestModel?.toSorted()).toEqual(values(({ genAi }) => genAi?.requestModel))
    expect(filterOptions.httpStatus?.toSorted()).toEqual(values(({ httpStatus }) => httpStatus))
    expect(filterOptions['agentgateway.key']?.toSorted()).toEqual(values(({ key }) => key))
    expect(filterOptions.target).toEqual(['tools'])
  })

  test('it offers the error types that the log has', async () => {
    const { filterOptions } = await lab.client.summary()
    const told = logs.flatMap(({ errorType }) => errorType ?? [])
    expect(filterOptions.errorType?.toSorted()).toEqual([...new Set(told)].toSorted())
  })
})

describe('the overview', () => {
  test('it counts requests and tokens as the log does', () => {
    expect(onlyValue('Total requests (1h)')).toEqual([logs.length])
    expect(onlyValue('Tokens used (1h)')).toEqual([sumOf(logs, ({ usage }) => usage?.totalTokens)])
    expect(onlyValue('Total cost')).toEqual([about(costOf(logs))])
    expect(overview.hasData).toBe(true)
  })

  test('it shares tokens among models as is scraped', () => {
    expect(valuesOf('Token usage by model')).toEqual(
      scrapedBy('agentgateway_gen_ai_client_token_usage_sum', 'model'),
    )
  })

  test('it tells errors by type as the log does', () => {
    const { none: _, ...errors } = scrapedBy('agentgateway_requests_total', 'error_type')
    expect(valuesOf('Errors by type')).toEqual(errors)
  })

  test('it tells MCP operations as they were asked for', () => {
    expect(Object.values(valuesOf('MCP operation breakdown'))).toEqual([
      scraped('tool_calls_total'),
      scraped('tool_call_errors_total'),
      scraped('list_calls_total'),
      scraped('read_resource_calls_total'),
      scraped('get_prompt_calls_total'),
    ])
    expect(Object.values(valuesOf('MCP operation breakdown'))).toEqual([3, 2, 1, 1, 1])
  })

  test('it has the largest first in each bar gauge', () => {
    for (const { title, type, values = [] } of overview.rows.flatMap(({ panels }) => panels)) {
      if (type !== 'bargauge' || title === 'MCP operation breakdown') continue
      const told = values.map(({ value }) => Number(value))
      expect([title, told]).toEqual([title, told.toSorted((one, other) => other - one)])
    }
  })

  test.each([
    { title: 'Requests by outcome', family: 'agentgateway_requests_total', label: 'outcome' },
    { title: 'Requests by backend', family: 'agentgateway_requests_total', label: 'backend' },
    { title: 'MCP messages by method', family: 'agentgateway_mcp_requests_total', label: 'method' },
    { title: 'Bytes sent to clients', family: 'agentgateway_response_bytes_total', label: 'backend' },
  ])('it has rates in "$title" that add up to what is scraped', ({ title, family, label }) => {
    expect(countedIn(title)).toEqual(scrapedBy(family, label))
  })

  test('it has rates of tokens and money that add up', () => {
    const usage = 'agentgateway_gen_ai_client_token_usage_sum'
    expect(countedIn('Input vs Output tokens over time')).toEqual({
      input: scraped(usage, 'token_type="input"'),
      output: scraped(usage, 'token_type="output"'),
    })
    const perHour = panel('Cost per hour by model').series ?? []
    const spent =
      sumOf(perHour, ({ points }) => sumOf(points, (point) => point ?? 0)) * (overview.stepMs / 3_600_000)
    expect(spent).toEqual(about(costOf(logs)))
  })

  test('it has the failed tools of MCP by target and kind', () => {
    expect(sumOf(Object.values(valuesOf('MCP failures')), Number)).toBe(
      scraped('agentgateway_mcp_requests_total') - scraped('agentgateway_mcp_requests_total', 'status="ok"'),
    )
    expect(sumOf(Object.values(valuesOf('Most called tools')), Number)).toBe(scraped('tool_calls_total'))
  })

  test('it has models without a price, as often as they were asked', () => {
    const expected = Object.entries(scrapedBy('agentgateway_cost_catalog_lookups_total', 'status'))
    const unpriced = expected.filter(([status]) => status !== 'Exact')
    expect(sumOf(Object.values(valuesOf('Unpriced requests')), Number)).toBe(
      sumOf(unpriced, ([, count]) => count),
    )
  })
})
