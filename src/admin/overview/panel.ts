/** What panels are built from: each says what it shows, and how that is found in the history. */
import type { Labels } from '../../core/labels.ts'
import type { OverviewPanel, OverviewUnit } from '../api-types.ts'
import { groups, quantiles, seriesSums, sums, total, totalsBy, type View, type Where } from './view.ts'

export interface Views {
  /** The range that is shown. */
  readonly range: View
  /** The last hour, in steps of ten seconds, whatever is shown. */
  readonly hour: View
}

export interface Panel {
  readonly title: string
  readonly description: string
  readonly unit: OverviewUnit
  readonly type: OverviewPanel['type']
  readonly show: (views: Views) => Pick<OverviewPanel, 'values' | 'series'>
}

export interface Row {
  readonly title: string
  readonly panels: readonly Panel[]
}

type Text = Pick<Panel, 'title' | 'description' | 'unit'>
type Line = NonNullable<OverviewPanel['series']>[number]
type Value = NonNullable<OverviewPanel['values']>[number]

export const stat = (text: Text, values: (views: Views) => readonly Value[]): Panel => ({
  ...text,
  type: 'stat',
  show: (views) => ({ values: values(views) }),
})
export const bars = (text: Text, values: (view: View, views: Views) => readonly Value[]): Panel => ({
  ...text,
  type: 'bargauge',
  show: (views) => ({ values: values(views.range, views) }),
})
export const graph = (text: Text, series: (view: View) => readonly Line[]): Panel => ({
  ...text,
  type: 'timeseries',
  show: ({ range }) => ({ series: series(range) }),
})

/** Per second. */
export const rate = (view: View, label: string, name: string, where?: Where): Line => ({
  label,
  points: [...sums(view, name, where)].map((sum) => sum / view.stepSeconds),
})

/** By what a label says, per second times a factor; the largest first. */
export function ratesBy(view: View, name: string, label: string, factor = 1): Line[] {
  const order = totalsBy(view, name, (labels) => labels[label] ?? '').map((one) => one.label)
  const found = groups(view, name, (labels) => labels[label] ?? '')
  return order.map((value) => ({
    label: value === '' ? 'unknown' : value,
    points: [...seriesSums(view, found.get(value) ?? [])].map((sum) => (sum / view.stepSeconds) * factor),
  }))
}

/** One part of all, per step; null where there is nothing to divide by. */
export const share = (label: string, part: Float64Array, all: Float64Array): Line => ({
  label,
  points: [...part].map((value, step) => {
    const whole = all[step] ?? 0
    return whole === 0 ? null : value / whole
  }),
})

const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99 } as const

export function percentiles(
  view: View,
  histogram: string,
  {
    which = ['p50', 'p95', 'p99'],
    name = '',
    where,
  }: {
    readonly which?: readonly (keyof typeof QUANTILES)[]
    readonly name?: string
    readonly where?: Where
  } = {},
): Line[] {
  const found = quantiles(
    view,
    histogram,
    which.map((one) => QUANTILES[one]),
    where,
  )
  return which.map((one, index) => ({ label: `${name} ${one}`.trim(), points: found[index] ?? [] }))
}

/** Where gauges stand, all together; null where nothing was seen. */
export function level(view: View, label: string, name: string, where?: Where): Line {
  const seen = new Set(view.series(name, where).flatMap(({ points }) => points.map(([step]) => step)))
  return {
    label,
    points: [...sums(view, name, where)].map((value, step) => (seen.has(step) ? value : null)),
  }
}

/** The last that was seen; undefined where nothing was. */
export function lastLevels(
  view: View,
  name: string,
  labelOf: (labels: Labels) => string,
): { label: string; value: number }[] {
  return view.series(name).flatMap(({ labels, points }) => {
    const last = points.at(-1)
    return last === undefined ? [] : [{ label: labelOf(labels), value: last[1] }]
  })
}

/** Of gauges that are 1 as long as all is well; `down` is the word for 0. */
export const standings = (view: View, name: string, labelOf: (labels: Labels) => string, down: string) =>
  lastLevels(view, name, labelOf).map(({ label, value }) => ({
    label,
    value: value >= 1 ? 'up' : down,
    tone: value >= 1 ? ('good' as const) : ('bad' as const),
  }))

export const counted = (view: View, label: string, name: string, where?: Where): Value => ({
  label,
  value: total(view, name, where),
})
