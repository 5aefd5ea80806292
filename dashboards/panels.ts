/**
 * Small builders over Grafana's own: what all our panels have in common.
 *
 * Descriptions end by saying which of the dashboard's filters the panel follows, read from its queries, so that no
 * panel can claim a filter that it has not.
 */

import { PanelBuilder as BarGaugeBuilder } from '@grafana/grafana-foundation-sdk/bargauge'
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  type Panel,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's variable, not ours.
export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const

export interface Row {
  readonly title: string
  readonly panels: readonly Builder<Panel>[]
}

/** Whole numbers in full: `short` would make 1,296 requests `1.3 K`. */
export const COUNT = 'locale'

/** Grafana knows no tokens. */
export const TOKENS_PER_SECOND = 'suffix: tokens/s'

/** Of quantiles and ratios, which have no value without traffic. */
export const NO_TRAFFIC = 'no traffic yet'

/** Makes `$__rate_interval` at least a minute (four steps): at a few requests a minute, less shows only noise. */
const MIN_STEP = '15s'

/** Every series of the families that tell the backend (of requests) or the model (of calls to models). */
export const BACKEND = 'backend=~"$backend"'
export const MODEL = 'model=~"$model"'

export const perSecond = (selector: string) => `sum(rate(${selector}[$__rate_interval]))`

/** Of what is 0 as long as there is no series. */
export const orZero = (expr: string) => `${expr} or vector(0)`

/** Nothing, rather than NaN, while the whole is nothing; the part may have no series. */
export const share = (part: string, whole: string) => `(${orZero(part)}) / (${whole} > 0)`

export interface Query {
  readonly expr: string
  readonly legend?: string
  /** Of histograms that have them, and once per panel: each query would draw the same points again. */
  readonly exemplar?: boolean
}

export interface PanelOptions {
  readonly title: string
  /** What it means and where to look when it is bad. */
  readonly description: string
  readonly unit: string
  readonly queries: readonly Query[]
  /** Of the 24 columns. */
  readonly width: number
  readonly height?: number
  /** Shown instead of nothing. */
  readonly noValue?: string
  /** Series' names and their colours. */
  readonly colors?: Readonly<Record<string, string>>
}

interface StatOptions extends PanelOptions {
  /** A range query with its line; otherwise one value, as of now. */
  readonly sparkline?: boolean
  /** Where a real limit is; without, the value is blue. */
  readonly limits?: readonly Threshold[]
  /** Words for values. */
  readonly words?: Readonly<Record<string, { readonly text: string; readonly color: string }>>
  /** Shows the series' names and not their values. */
  readonly namesOnly?: boolean
}

interface GraphOptions extends PanelOptions {
  readonly stacked?: boolean
  /** A table below with these of each series: `lastNotNull`, `mean`, `max`. */
  readonly calcs?: readonly string[]
  readonly max?: number
}

type AnyBuilder = StatBuilder | TimeseriesBuilder | BarGaugeBuilder

function filtersOf(queries: readonly Query[]): string {
  const isFollowed = (variable: string) => queries.some(({ expr }) => expr.includes(variable))
  const followed = [
    ...(isFollowed('$backend') ? ['backend'] : []),
    ...(isFollowed('$model') ? ['model'] : []),
  ]
  return followed.length === 0 ? 'No filter applies.' : `Only the ${followed.join(' and ')} filter applies.`
}

function withCommon<B extends AnyBuilder>(builder: B, options: PanelOptions, mode: 'instant' | 'range'): B {
  const { title, description, unit, queries, width, height = 8, noValue, colors = {} } = options
  builder
    .title(title)
    .description(`${description} ${filtersOf(queries)}`)
    .datasource(DATASOURCE)
    .unit(unit)
    .span(width)
    .height(height)
  for (const [index, query] of queries.entries()) builder.withTarget(target(query, index, mode))
  if (noValue !== undefined) builder.noValue(noValue)
  if (unit === COUNT) builder.decimals(0)
  for (const [name, color] of Object.entries(colors)) {
    builder.overrideByName(name, [
      { id: 'color', value: { mode: FieldColorModeId.Fixed, fixedColor: color } },
    ])
  }
  return builder
}

function target({ expr, legend, exemplar = false }: Query, index: number, mode: 'instant' | 'range') {
  const query = new DataqueryBuilder()
    .refId(String.fromCharCode('A'.charCodeAt(0) + index))
    .datasource(DATASOURCE)
    .expr(expr)
    .legendFormat(legend ?? '__auto')
  if (mode === 'instant') return query.instant()
  query.range().interval(MIN_STEP)
  return exemplar ? query.exemplar(true) : query
}

const fixedColor = (color: string) => new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(color)

const last = () => new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false)

export function stat(options: StatOptions): StatBuilder {
  const { sparkline = false, limits, words, namesOnly = false } = options
  const builder = withCommon(new StatBuilder(), { height: 4, ...options }, sparkline ? 'range' : 'instant')
    .reduceOptions(last())
    .graphMode(sparkline ? BigValueGraphMode.Area : BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Value)
  if (namesOnly) builder.textMode(BigValueTextMode.Name)
  if (words !== undefined) builder.mappings([{ type: MappingType.ValueToText, options: { ...words } }])
  if (limits === undefined) return builder.colorScheme(fixedColor('blue'))
  return builder
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .thresholds(
      new ThresholdsConfigBuilder()
        .mode(ThresholdsMode.Absolute)
        .steps([{ value: null, color: 'blue' }, ...limits]),
    )
}

export function graph(options: GraphOptions): TimeseriesBuilder {
  const { stacked = false, calcs, max } = options
  const legend = new VizLegendOptionsBuilder().showLegend(true).placement(LegendPlacement.Bottom)
  const builder = withCommon(new TimeseriesBuilder(), options, 'range')
    .lineWidth(1)
    .fillOpacity(stacked ? 40 : 10)
    .showPoints(VisibilityMode.Auto)
    .min(0)
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .legend(
      calcs === undefined
        ? legend.displayMode(LegendDisplayMode.List)
        : legend.displayMode(LegendDisplayMode.Table).calcs([...calcs]),
    )
  if (stacked) builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal))
  if (max !== undefined) builder.max(max)
  return builder
}

/** A bar per series, as of now: for totals by something. */
export function bars(options: PanelOptions): BarGaugeBuilder {
  return withCommon(new BarGaugeBuilder(), options, 'instant')
    .reduceOptions(last())
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic)
    .min(0)
    .colorScheme(fixedColor('blue'))
}

const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99 } as const

/**
 * One query per quantile of a histogram, named by it. `>= 0` drops the NaN that a quantile is once traffic ends;
 * comparing the buckets instead (`> 0`) would move the quantile, which needs the empty ones too.
 */
export function quantiles(
  histogram: string,
  matchers: string,
  of: {
    readonly which?: readonly (keyof typeof QUANTILES)[]
    readonly name?: string
    readonly exemplarsOn?: string
  } = {},
): Query[] {
  const { which = ['p50', 'p95', 'p99'], name = '', exemplarsOn } = of
  const selector = matchers === '' ? `${histogram}_bucket` : `${histogram}_bucket{${matchers}}`
  return which.map((quantile) => ({
    expr: `histogram_quantile(${QUANTILES[quantile]}, sum by (le) (rate(${selector}[$__rate_interval]))) >= 0`,
    legend: `${name} ${quantile}`.trim(),
    ...(quantile === exemplarsOn && { exemplar: true }),
  }))
}
