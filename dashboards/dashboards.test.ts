import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { renderMetrics } from '../src/telemetry/exposition.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { createRegistry } from '../src/telemetry/registry.ts'
import { agentgatewayDashboard, fileText } from './agentgateway.ts'
import { createLint } from './lint.ts'
import { parsePromql } from './promql.ts'

const folder = new URL('../observability/grafana/provisioning/', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, folder), 'utf8')

const text = read('dashboards/agentgateway.json')
const { datasources } = z
  .looseObject({
    datasources: z.array(
      z.looseObject({
        uid: z.string(),
        type: z.string(),
        name: z.string(),
        isDefault: z.boolean().default(false),
        access: z.string(),
        url: z.string(),
        jsonData: z.looseObject({
          timeInterval: z.string().optional(),
          manageAlerts: z.boolean().optional(),
          exemplarTraceIdDestinations: z
            .array(z.looseObject({ name: z.string(), datasourceUid: z.string() }))
            .default([]),
          tracesToMetrics: z
            .looseObject({
              datasourceUid: z.string(),
              tags: z.array(z.object({ key: z.string(), value: z.string() })),
              queries: z.array(z.object({ name: z.string(), query: z.string() })),
            })
            .optional(),
        }),
      }),
    ),
  })
  .parse(parse(read('datasources/datasources.yml')))
const uids = datasources.map(({ uid }) => uid)

test('the checked-in dashboard is current (npm run dashboards)', () => {
  expect(text).toBe(fileText(agentgatewayDashboard()))
})

test('it keeps its uid, and nobody edits it in the browser', () => {
  expect(agentgatewayDashboard()).toMatchObject({ uid: 'agentgateway', editable: false, graphTooltip: 1 })
})

test('the data sources that are named are there', () => {
  expect(uids).toEqual(['prometheus', 'jaeger'])
  const urls = (agentgatewayDashboard().links ?? []).map(({ url = '' }) => decodeURIComponent(url))
  const named = [text, ...urls].flatMap((part) =>
    [...part.matchAll(/"(?:uid|datasource)": ?"(\w+)"/g)].map(([, uid = '']) => uid),
  )
  const inSources = datasources.flatMap(({ jsonData }) => [
    ...jsonData.exemplarTraceIdDestinations.map(({ datasourceUid }) => datasourceUid),
    ...(jsonData.tracesToMetrics === undefined ? [] : [jsonData.tracesToMetrics.datasourceUid]),
  ])
  expect(new Set(inSources)).toEqual(new Set(['jaeger', 'prometheus']))
  expect(named.filter((uid) => uid !== 'agentgateway' && !uids.includes(uid))).toEqual([])
  expect(named).toContain('jaeger')
})

test('the data sources are asked by Grafana itself, where the stack has them', () => {
  expect(datasources.map(({ access, url }) => `${access} ${url}`)).toEqual([
    'proxy http://prometheus:9090',
    'proxy http://jaeger:16686',
  ])
})

test('Prometheus is asked as it is set up: its scrape interval, its rules, the label of its exemplars', () => {
  const prometheus = datasources.find(({ type }) => type === 'prometheus')
  const { global } = z
    .looseObject({ global: z.looseObject({ scrape_interval: z.string() }) })
    .parse(parse(readFileSync(new URL('../../prometheus/prometheus.yml', folder), 'utf8')))
  expect(prometheus?.jsonData).toMatchObject({ timeInterval: global.scrape_interval, manageAlerts: true })

  const registry = createRegistry()
  registry
    .histogram({ name: 'a_seconds', help: 'A.', buckets: [1] })
    .child()
    .observe(0.5, 'b'.repeat(32), 0)
  const exposition = [...renderMetrics(registry, 'openmetrics')].join('')
  const label = /# \{(\w+)="b{32}"\}/.exec(exposition)?.[1]
  expect(prometheus?.jsonData.exemplarTraceIdDestinations.map(({ name }) => name)).toEqual([label])
})

test('the dashboard begins with the default source', () => {
  const variable = agentgatewayDashboard().templating.list?.find(({ name }) => name === 'datasource')
  const source = datasources.find(({ isDefault }) => isDefault)
  expect(variable?.current).toEqual({ text: source?.name, value: source?.uid })
  expect(variable?.query).toBe(source?.type)
})

test('the dashboard is in the folder that Grafana reads', () => {
  const schema = z.looseObject({
    providers: z.tuple([z.looseObject({ folder: z.string(), options: z.looseObject({ path: z.string() }) })]),
  })
  const [provider] = schema.parse(parse(read('dashboards/dashboards.yml'))).providers
  expect(provider.folder).toBe('AgentGateway')
  expect(provider.options.path).toBe('/etc/grafana/provisioning/dashboards')
})

test('a span leads to metrics that have its labels', () => {
  const registry = createRegistry()
  createMetrics({ registry, version: '1.2.3' })
  const lint = createLint(registry.families(), [])
  const { tags, queries } =
    datasources.find(({ type }) => type === 'jaeger')?.jsonData.tracesToMetrics ?? expect.fail('no queries')
  const tracing = readFileSync(new URL('../docs/tracing.md', import.meta.url), 'utf8')
  for (const { key } of tags) {
    const [, group, name] = /^(.*)\.(\w+)$/.exec(key) ?? []
    const isDocumented = [`\`${key}\``, `\`${group}.*\``].some((attribute) => tracing.includes(attribute))
    const isInGroup = new RegExp(`\`${group}\\.\\{[\\w.,]*\\b${name}\\b`).test(tracing)
    expect(isDocumented || isInGroup, key).toBe(true)
  }
  expect(queries.length).toBeGreaterThan(1)
  for (const { query } of queries) {
    // One `$` is for Grafana's own reading of the file.
    expect(query).toContain('$$__tags')
    const all = query.replaceAll('$$__tags', tags.map(({ value }) => `${value}="x"`).join(', '))
    expect(lint.problems(all)).toEqual([])
    expect(parsePromql(query.replaceAll('$$__tags', '')).errors).toEqual([])
  }
})
