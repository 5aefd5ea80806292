import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { startProcessMetrics } from '../src/telemetry/process-metrics.ts'
import { createRegistry } from '../src/telemetry/registry.ts'
import { createLint, fixedDurations } from './lint.ts'
import { interpolate, parsePromql, queriesOf, rulesOf } from './promql.ts'

/** The rows and panels that the tutorial names, in its order. They come first. */
const TUTORIAL = {
  Overview: ['Request rate', 'Total requests (1h)', 'Error rate', 'Tokens used (1h)'],
  'Token Usage': ['Input vs Output tokens over time', 'Token usage by model'],
  Requests: ['Requests by status code', 'Requests by backend'],
  'Tool Calls (MCP)': ['Tool call rate', 'MCP operation breakdown'],
}

/** Families on no panel, and why. */
const NOT_SHOWN: Readonly<Record<string, string>> = {}

/** Durations other than Grafana's own, by panel. */
const FIXED_DURATIONS: Readonly<Record<string, readonly string[]>> = {
  'Total requests (1h)': ['1h'],
  'Tokens used (1h)': ['1h'],
  // The tutorial's query.
  'Error rate': ['5m'],
}

/** Alerts on a bare counter, and why. */
const BARE_COUNTERS: Readonly<Record<string, string>> = {
  AgentGatewaySeriesOverflow: 'a full family stays full until the process ends',
}

/** Unusual enough to be told from durations that a query writes itself. */
const DURATIONS = { rateInterval: '61s', interval: '62s', range: '63s' }

const folder = new URL('../observability/', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, folder), 'utf8')

const gridSchema = z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() })
const dashboardSchema = z.looseObject({
  panels: z.array(
    z.looseObject({
      id: z.number(),
      type: z.string(),
      title: z.string().min(1),
      gridPos: gridSchema,
      description: z.string().optional(),
      datasource: z.unknown().optional(),
      fieldConfig: z.looseObject({ defaults: z.looseObject({ unit: z.string().optional() }) }).optional(),
      targets: z
        .array(
          z.looseObject({
            refId: z.string(),
            datasource: z.unknown().optional(),
            instant: z.boolean().optional(),
            range: z.boolean().optional(),
            exemplar: z.boolean().optional(),
          }),
        )
        .default([]),
    }),
  ),
  templating: z.looseObject({
    list: z.array(z.looseObject({ name: z.string(), definition: z.string().optional() })),
  }),
})

const json: unknown = JSON.parse(read('grafana/provisioning/dashboards/agentgateway.json'))
const dashboard = dashboardSchema.parse(json)
const rows = dashboard.panels.filter(({ type }) => type === 'row')
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const queries = queriesOf(json).map((query) => ({ ...query, plain: interpolate(query.expr, DURATIONS) }))
const ruleFiles = readdirSync(new URL('prometheus/rules/', folder)).filter((name) => name.endsWith('.yml'))
const rules = ruleFiles.flatMap((name) => rulesOf(read(`prometheus/rules/${name}`)))

const registry = createRegistry()
createMetrics({ registry, version: '1.2.3' })
const processMetrics = startProcessMetrics(registry)
afterAll(() => processMetrics.close())
const families = registry.families()
const lint = createLint(families, rules)

/** Titles with what is wrong, those without fault left out. */
function faults<T>(items: readonly T[], title: (item: T) => string, check: (item: T) => readonly string[]) {
  return items.flatMap((item) => check(item).map((fault) => `${title(item)}: ${fault}`))
}

describe('the lint sees', () => {
  test.each([
    ['sum(', 'syntax error'],
    ['agentgateway_request_total', 'no such metric'],
    ['rate(agentgateway_request_duration_seconds[5m])', 'no such metric'],
    ['{job="agentgateway"}', 'no metric by name'],
    ['{__name__=~"agentgateway_.*"}', 'name not known'],
    ['rate(agentgateway_requests_total{code="200"}[5m])', 'no label code'],
    ['rate(agentgateway_gen_ai_client_cost_usd_total{backend="a"}[5m])', 'no label backend'],
    ['rate(agentgateway_requests_total{le="1.0"}[5m])', 'no label le'],
    ['rate(agentgateway_request_duration_seconds_bucket{le="5"}[5m])', '5 is no bound'],
    ['sum(agentgateway_requests_total)', 'counter without rate'],
    ['agentgateway_metric_overflow_total > 0', 'counter without rate'],
    ['up == 1 and on (job) agentgateway_retries_total > 5', 'counter without rate'],
    ['sum by (code) (rate(agentgateway_requests_total[5m]))', 'grouped by code'],
    [
      'sum by (model) (sum by (provider) (rate(agentgateway_gen_ai_client_cost_usd_total[5m])))',
      'grouped by model',
    ],
    ['histogram_quantile(0.9, sum(rate(agentgateway_overhead_seconds_bucket[5m])))', 'quantile without le'],
    ['histogram_quantile(0.9, rate(agentgateway_overhead_seconds_sum[5m]))', 'no buckets'],
  ])('the fault of %s', (expr, problem) => {
    expect(lint.problems(expr)).toEqual([expect.stringContaining(problem)])
  })

  test.each([
    'sum by (backend, job) (rate(agentgateway_requests_total{status=~"5..", instance="a"}[5m]))',
    'histogram_quantile(0.9, sum by (le) (rate(agentgateway_overhead_seconds_bucket[5m])))',
    'rate(agentgateway_request_duration_seconds_bucket{le="5.0"}[5m]) > 0 or agentgateway_requests_in_flight',
    'agentgateway_retries_total unless agentgateway_retries_total offset 1h',
    'up == 1 unless on (job) (process_start_time_seconds and on (job) agentgateway_retries_total)',
    'sum by (class) (label_replace(rate(agentgateway_requests_total[5m]), "class", "$1", "status", "(.).*"))',
    'up == 0',
  ])('no fault in %s', (expr) => {
    expect(lint.problems(expr)).toEqual([])
  })
})

describe('queries', () => {
  test('there are panels and rules', () => {
    expect(panels.length).toBeGreaterThan(30)
    expect(rules.length).toBeGreaterThan(0)
  })

  test('those of panels are right', () => {
    expect(
      faults(
        queries,
        ({ panel, refId }) => `${panel} ${refId}`,
        ({ plain }) => lint.problems(plain),
      ),
    ).toEqual([])
  })

  test('those of rules are right', () => {
    const found = faults(
      rules,
      ({ name }) => name,
      ({ name, expr }) =>
        lint
          .problems(expr)
          .filter((fault) => !(name in BARE_COUNTERS && fault.includes('counter without rate'))),
    )
    expect(found).toEqual([])
  })

  test('the exceptions are of rules that there are', () => {
    expect(Object.keys(BARE_COUNTERS).filter((name) => !rules.some((rule) => rule.name === name))).toEqual([])
  })

  test('panels show every family', () => {
    const shown = new Set(queries.flatMap(({ plain }) => lint.familiesIn(plain)))
    const hidden = families.map(({ name }) => name).filter((name) => !shown.has(name))
    expect(hidden.toSorted()).toEqual(Object.keys(NOT_SHOWN).toSorted())
  })

  test("panels' windows are Grafana's", () => {
    const found = faults(
      queries,
      ({ panel }) => panel,
      ({ panel, plain, instant }) =>
        fixedDurations({ expr: plain }, [
          instant ? DURATIONS.range : DURATIONS.rateInterval,
          ...(FIXED_DURATIONS[panel] ?? []),
        ]),
    )
    expect(found).toEqual([])
  })

  test.each([
    { label: 'backend', matcher: 'backend=~"$backend"' },
    { label: 'model', matcher: 'model=~"$model"' },
  ])('panels follow the $label filter wherever the label is', ({ label, matcher }) => {
    const found = faults(
      queries,
      ({ panel, refId }) => `${panel} ${refId}`,
      ({ expr, plain }) => {
        const selectors = parsePromql(plain).selectors
        const filtered = selectors.filter(({ metric = '' }) => lint.labelsOf(metric)?.has(label))
        const written = expr.split(matcher).length - 1
        return filtered.length === written ? [] : [`${written} of ${filtered.length} selectors`]
      },
    )
    expect(found).toEqual([])
  })

  test('filters offer the values of labels that there are', () => {
    const offered = dashboard.templating.list.flatMap(({ definition = '' }) => {
      const [, metric = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(definition) ?? []
      return metric === '' ? [] : [lint.labelsOf(metric)?.has(label)]
    })
    expect(offered).toEqual([true, true])
  })
})

describe('panels', () => {
  const titles = panels.map(({ title }) => title)

  test('the rows and panels of the tutorial come first', () => {
    const found = rows.slice(0, 4).map((row, index) => {
      const below = rows[index + 1]?.gridPos.y ?? Infinity
      const inRow = panels.filter(({ gridPos }) => gridPos.y > row.gridPos.y && gridPos.y < below)
      return [row.title, inRow.map(({ title }) => title)]
    })
    expect(found).toEqual(Object.entries(TUTORIAL))
  })

  test('titles and ids are unique', () => {
    expect(new Set(titles).size).toBe(titles.length)
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
  })

  test('they are complete', () => {
    const source = { type: 'prometheus', uid: '$' + '{datasource}' }
    const isOurs = (datasource: unknown) => JSON.stringify(datasource) === JSON.stringify(source)
    const found = faults(
      panels,
      ({ title }) => title,
      (panel) => [
        ...(/\. (Only the .*filter applies|No filter applies)\.$/.test(panel.description ?? '')
          ? []
          : ['description']),
        ...((panel.fieldConfig?.defaults.unit ?? '') === '' ? ['unit'] : []),
        ...(isOurs(panel.datasource) ? [] : ['datasource']),
        ...(panel.targets.every(({ datasource }) => isOurs(datasource)) ? [] : ["a query's datasource"]),
        ...(panel.targets.length === 0 ? ['queries'] : []),
        ...(panel.targets.some(({ instant, range }) => instant === range)
          ? ['neither instant nor range']
          : []),
        ...(new Set(panel.targets.map(({ refId }) => refId)).size < panel.targets.length ? ['refIds'] : []),
      ],
    )
    expect(found).toEqual([])
  })

  test('panels with exemplars ask for them once', () => {
    const asking = panels.filter(({ targets }) => targets.some(({ exemplar }) => exemplar))
    expect(asking.map(({ title }) => title)).toEqual([
      'Tool call latency',
      'Request duration',
      'Model call duration',
      'Time to first token',
    ])
    for (const { type, targets } of asking) {
      expect(type).toBe('timeseries')
      expect(targets.filter(({ exemplar, range }) => exemplar && range)).toHaveLength(1)
    }
  })

  test('they fill the grid without overlapping', () => {
    const taken = new Map<string, string>()
    for (const { title, gridPos } of dashboard.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x},${y}`), title).toBeUndefined()
          expect(x, title).toBeLessThan(24)
          taken.set(`${x},${y}`, title)
        }
      }
    }
    const height = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h))
    expect(taken.size).toBe(24 * height)
  })
})
