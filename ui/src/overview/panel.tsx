import type { OverviewPanel } from '../../../src/admin/api-types.ts'
import { BarGauge } from '../charts/bar-gauge.tsx'
import { TimeChart } from '../charts/time-chart.tsx'
import { exact, formatValue } from '../format/numbers.ts'
import { href, navigate } from '../navigation/location.ts'
import { Tip } from '../parts/tip.tsx'

interface PanelProps {
  readonly panel: OverviewPanel
  readonly from: number
  readonly stepMs: number
}

export function OverviewPanelCard({ panel, from, stepMs }: PanelProps) {
  return (
    <article class={`card panel ${panel.type}`}>
      <header class="panel-head">
        <h3 class="cut" title={panel.title}>
          {panel.title}
        </h3>
        {panel.description !== '' && <Tip about={panel.title} text={panel.description} />}
      </header>
      <Content panel={panel} from={from} stepMs={stepMs} />
    </article>
  )
}

function Content({ panel, from, stepMs }: PanelProps) {
  const { type: kind, unit, values = [], series = [] } = panel
  switch (kind) {
    case 'stat':
      return <Stat unit={unit} values={values} />
    case 'bargauge':
      return values.length === 0 ? (
        <p class="faint">Nothing in this time</p>
      ) : (
        <BarGauge unit={unit} values={values} />
      )
    case 'timeseries':
      return (
        <TimeChart
          label={panel.title}
          from={from}
          stepMs={stepMs}
          unit={unit}
          series={series}
          onSelect={showRequests}
        />
      )
    default:
      kind satisfies never
      return <p class="faint">This console does not know panels of this kind.</p>
  }
}

/** Dragging over a chart asks: what came in at that time? */
function showRequests(from: Date, to: Date) {
  navigate(href('/requests', { from: from.toISOString(), to: to.toISOString() }))
}

function Stat({
  unit,
  values,
}: {
  readonly unit: string
  readonly values: NonNullable<OverviewPanel['values']>
}) {
  const isOne = values.length === 1
  return (
    <div class="stat-values">
      {values.length === 0 && (
        <p class="stat-value">
          <strong class="faint">–</strong>
        </p>
      )}
      {values.map(({ label, value, tone }) => (
        <p
          key={label}
          class={`stat-value${isOne ? '' : ' many'}`}
          title={typeof value === 'number' ? `${label} ${exact(value)}`.trim() : undefined}
        >
          <strong class={tone ?? ''}>{formatValue(unit, value)}</strong>
          {!isOne && <span class="cut">{label}</span>}
        </p>
      ))}
    </div>
  )
}
