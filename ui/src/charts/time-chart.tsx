/**
 * Values over time, drawn by uPlot. Charts of one page share their cursor; dragging over one chooses a span of time.
 *
 * The chart is made when it first comes into view: a page has dozens of them, and most are below the fold.
 */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { formatValue } from '../format/numbers.ts'
import { formatStep } from '../format/times.ts'
import { isDark } from '../parts/theme.ts'
import { chartTheme, seriesColor } from './chart-theme.ts'
import { cursorTip } from './cursor-tip.ts'
import { Legend } from './legend.tsx'
import { largest, lonelyPoints, type Series, stackSeries } from './stack.ts'

const DRAWN_AT_MOST = 30
/** The areas below more lines than these only cover one another. */
const FILLED_AT_MOST = 2
const DEFAULT_HEIGHT = 190

interface TimeChartProps {
  readonly label: string
  /** Milliseconds since 1970. */
  readonly from: number
  readonly stepMs: number
  readonly unit: string
  readonly series: readonly Series[]
  readonly isStacked?: boolean
  readonly height?: number
  readonly onSelect?: (from: Date, to: Date) => void
}

export function TimeChart(props: TimeChartProps) {
  const { label, from, stepMs, unit, series, isStacked = false, height = DEFAULT_HEIGHT } = props
  const frame = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | undefined>(undefined)
  const [isSeen, setSeen] = useState(false)
  const [off, setOff] = useState<ReadonlySet<string>>(new Set())

  const { shown, hidden } = useMemo(() => largest(series, DRAWN_AT_MOST), [series])
  const latest = useRef({ props, shown })
  latest.current = { props, shown }
  const dark = isDark.value
  const names = shown.map((one) => one.label).join('\n')
  const length = shown[0]?.points.length ?? 0
  const isEmpty = shown.every(({ points }) => points.every((value) => value === null))

  const data = useMemo((): uPlot.AlignedData => {
    const times = Array.from({ length }, (_, index) => (from + index * stepMs) / 1000)
    const isOn = (index: number) => !off.has(shown[index]?.label ?? '')
    const values = isStacked ? stackSeries(shown, isOn) : shown.map(({ points }) => [...points])
    return [times, ...values]
  }, [shown, from, stepMs, length, isStacked, off])

  useEffect(() => {
    if (frame.current === null) return
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) setSeen(true)
      },
      { rootMargin: '300px' },
    )
    observer.observe(frame.current)
    return () => observer.disconnect()
  }, [])

  // Made anew only when what cannot be changed changes
  useEffect(() => {
    const target = frame.current
    if (!isSeen || isEmpty || target === null) return
    const labels = names.split('\n')
    const made = new uPlot(
      {
        width: target.clientWidth,
        height,
        padding: [10, 18, 0, 0],
        legend: { show: false },
        cursor: {
          sync: { key: 'page', filters: { pub: isMovement } },
          drag: { x: true, y: false, dist: 6 },
          points: { size: 6 },
          y: false,
        },
        scales: { y: { range: (_, low, high) => yRange(low, high, unit) } },
        series: [
          {},
          ...labels.map((name, index) =>
            lineOf({ name, index, dark, isStacked, hasFill: labels.length <= FILLED_AT_MOST }),
          ),
        ],
        ...(isStacked && {
          bands: labels.slice(1).map((_, index) => ({ series: [index + 2, index + 1] as [number, number] })),
        }),
        axes: axesOf(dark, unit),
        plugins: [
          cursorTip({
            color: (index) => seriesColor(labels[index] ?? '', index, dark),
            title: (index) =>
              formatStep(
                new Date(latest.current.props.from + index * latest.current.props.stepMs),
                latest.current.props.stepMs,
              ),
            values: (index) =>
              latest.current.shown.map(({ label: name, points }) => ({ name, value: points[index] ?? null })),
            format: (value) => formatValue(unit, value),
          }),
        ],
        hooks: { setSelect: [(u) => selected(u, latest.current.props.onSelect)] },
      },
      data,
      target,
    )
    chart.current = made
    const observer = new ResizeObserver(() => made.setSize({ width: target.clientWidth, height }))
    observer.observe(target)
    return () => {
      observer.disconnect()
      made.destroy()
      chart.current = undefined
    }
  }, [isSeen, isEmpty, names, dark, unit, height, isStacked])

  useEffect(() => {
    chart.current?.setData(data)
  }, [data])

  function toggle(name: string) {
    const next = new Set(off)
    if (!next.delete(name)) next.add(name)
    setOff(next)
    shown.forEach((one, index) => {
      chart.current?.setSeries(index + 1, { show: !next.has(one.label) })
    })
  }

  return (
    <figure class="chart">
      <div
        ref={frame}
        role="img"
        aria-label={summary(label, unit, shown)}
        style={{ minHeight: `${height}px` }}
      >
        {isEmpty && (
          <div class="chart-none" style={{ height: `${height}px` }}>
            Nothing in this time
          </div>
        )}
      </div>
      {shown.length > 0 && !isEmpty && (
        <Legend labels={shown.map((one) => one.label)} off={off} onToggle={toggle} hidden={hidden} />
      )}
    </figure>
  )
}

/** The cursor is shared; a selection is one chart's own. */
const isMovement = (type: string) => type === 'mousemove' || type === 'mouseleave'

interface LineOptions {
  readonly name: string
  readonly index: number
  readonly dark: boolean
  readonly isStacked: boolean
  readonly hasFill: boolean
}

function lineOf({ name, index, dark, isStacked, hasFill }: LineOptions): uPlot.Series {
  const stroke = seriesColor(name, index, dark)
  return {
    label: name,
    stroke,
    // An edge would be drawn for layers of no height, too, and hide the ones below.
    width: isStacked ? 0 : 1.5,
    ...(isStacked ? { fill: `${stroke}b8` } : hasFill && { fill: `${stroke}14` }),
    points: {
      show: false,
      size: 4,
      filter: (chart, series) => lonelyPoints([...(chart.data[series] ?? [])]),
    },
    spanGaps: false,
    // After a full turn of the palette the same colour comes again, dashed.
    ...(index >= 10 && !isStacked && { dash: [6, 4] }),
  }
}

function axesOf(dark: boolean, unit: string): uPlot.Axis[] {
  const { grid, text } = chartTheme(dark)
  const common = { stroke: text, font: '11px system-ui, sans-serif', ticks: { show: false } }
  return [
    {
      ...common,
      grid: { show: false },
      space: 70,
      size: 26,
      gap: 6,
      values: (_, splits, __, ___, stepSeconds) => splits.map((at) => timeLabel(at, stepSeconds)),
    },
    {
      ...common,
      grid: { stroke: grid, width: 1 },
      size: 58,
      space: 34,
      values: (_, splits) => splits.map((value) => formatValue(unit, value)),
    },
  ]
}

/** The hour, and at midnight the day. */
function timeLabel(seconds: number, stepSeconds: number): string {
  const at = new Date(seconds * 1000)
  const isMidnight = at.getHours() === 0 && at.getMinutes() === 0 && at.getSeconds() === 0
  const options: Intl.DateTimeFormatOptions = isMidnight
    ? { month: 'short', day: 'numeric' }
    : { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...(stepSeconds < 60 && { second: '2-digit' }) }
  return at.toLocaleString('en-US', options)
}

function yRange(low: number | null, high: number | null, unit: string): [number, number] {
  const top = Math.max(high ?? 0, 0)
  const bottom = Math.min(low ?? 0, 0)
  if (top === 0 && bottom === 0) return [0, 1]
  if (unit === 'share' && bottom === 0 && top > 0.9 && top <= 1) return [0, 1]
  return [bottom * 1.1, top * 1.1]
}

function selected(chart: uPlot, onSelect: TimeChartProps['onSelect']): void {
  const { left, width } = chart.select
  if (width === 0) return
  const moment = (position: number) => new Date(chart.posToVal(position, 'x') * 1000)
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
  onSelect?.(moment(left), moment(left + width))
}

function summary(label: string, unit: string, series: readonly Series[]): string {
  const said = series.slice(0, 6).map(({ label: name, points }) => {
    const last = points.findLast((value) => value !== null)
    return `${name} ${formatValue(unit, last)}`
  })
  return said.length === 0 ? `${label}: nothing` : `${label}, latest: ${said.join('; ')}`
}
