/**
 * The dashboard, as Grafana's Classic JSON: every Grafana since 10 reads it, from files and by import alike.
 *
 * Its uid is frozen: Grafana 13 cannot save a provisioned dashboard whose file came back with another one.
 */
import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { cost } from './cost-row.ts'
import { gatewayHealth } from './health-row.ts'
import { latency, outcomes } from './latency-rows.ts'
import { mcpServers, toolCalls } from './mcp-row.ts'
import { DATASOURCE, type Row } from './panels.ts'
import { overview, requests, tokenUsage } from './tutorial-rows.ts'

/** Of observability/grafana/provisioning/datasources. */
const PROMETHEUS = { text: 'Prometheus', value: 'prometheus' }
const JAEGER = 'jaeger'

/** The first four are the tutorial's, by name and in its order. */
const ROWS: readonly Row[] = [
  overview,
  tokenUsage,
  requests,
  toolCalls,
  mcpServers,
  latency,
  cost,
  outcomes,
  gatewayHealth,
]

/** `.*` for "All", so that it includes series that were born since the page was loaded. */
function filter(name: string, label: string, metric: string): QueryVariableBuilder {
  const query = `label_values(${metric}, ${name})`
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query({ qryType: 1, query, refId: 'PrometheusVariableQueryEditor-VariableQuery' })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current({ selected: true, text: ['All'], value: ['$__all'] })
}

/** Grafana's own view of Jaeger, which is there wherever Grafana is. */
function tracesUrl(): string {
  const query = {
    refId: 'A',
    datasource: { type: 'jaeger', uid: JAEGER },
    queryType: 'search',
    service: 'agentgateway',
  }
  const range = { from: '$__from', to: '$__to' }
  const panes = JSON.stringify({ traces: { datasource: JAEGER, queries: [query], range } })
  return `/explore?schemaVersion=1&orgId=1&panes=${encodeURIComponent(panes).replaceAll('%24', '$')}`
}

export function agentgatewayDashboard(): Dashboard {
  const builder = new DashboardBuilder('AgentGateway')
    .uid('agentgateway')
    .description('Traffic, tokens, latency and cost of AgentGateway, and how the gateway itself is.')
    .tags(['agentgateway', 'llm', 'mcp'])
    .readonly()
    .timezone('browser')
    .time({ from: 'now-1h', to: 'now' })
    .refresh('10s')
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(
      new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus').current(PROMETHEUS),
    )
    .withVariable(filter('backend', 'Backend', 'agentgateway_requests_total'))
    .withVariable(filter('model', 'Model', 'agentgateway_gen_ai_client_token_usage_count'))
    .annotation(
      new AnnotationQueryBuilder()
        .name('Firing alerts')
        .datasource(DATASOURCE)
        .enable(true)
        .iconColor('red')
        .expr('ALERTS{alertstate="firing"}')
        .titleFormat('{{alertname}}'),
    )
    .link(
      new DashboardLinkBuilder('Traces')
        .type(DashboardLinkType.Link)
        .icon('external link')
        .tooltip('Search for traces of the time range shown')
        .url(tracesUrl())
        .targetBlank(true),
    )
  for (const { title, panels } of ROWS) {
    builder.withRow(new RowBuilder(title))
    for (const panel of panels) builder.withPanel(panel)
  }
  return finished(builder.build())
}

/** With what the builders leave out (ids), and without what they add: they put links and annotations in a menu. */
function finished({ panels, links, annotations, ...dashboard }: Dashboard): Dashboard {
  return {
    ...dashboard,
    panels: panels?.map((panel, index) => ({ ...panel, id: index + 1 })),
    links: links?.map(({ placement, ...link }) => link),
    annotations: { list: annotations.list?.map(({ placement, ...annotation }) => annotation) },
  }
}

/** The text of the file: keys sorted, so that it changes only where the dashboard does. */
export const fileText = (dashboard: Dashboard) => `${JSON.stringify(sorted(dashboard), undefined, 2)}\n`

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]))
}
