import { formatValue } from '../format/numbers.ts'
import { isDark } from '../parts/theme.ts'
import { seriesColor } from './chart-theme.ts'

const SHOWN_AT_MOST = 50

interface BarGaugeProps {
  readonly unit: string
  readonly values: readonly { readonly label: string; readonly value: number | string | null }[]
}

/** One bar for each value, the longest for the largest. */
export function BarGauge({ unit, values }: BarGaugeProps) {
  const numbers = values.map(({ value }) => (typeof value === 'number' ? value : 0))
  const most = Math.max(...numbers, 0)
  const color = seriesColor('', 0, isDark.value)
  return (
    <ul class="gauges" tabIndex={values.length > 6 ? 0 : undefined}>
      {values.slice(0, SHOWN_AT_MOST).map(({ label, value }, index) => (
        <li key={label} class="gauge" title={`${label}: ${value ?? 'not known'}`}>
          <span class="cut">{label}</span>
          <span class="number">{formatValue(unit, value)}</span>
          <span class="bar">
            <span
              style={{ width: `${most > 0 ? ((numbers[index] ?? 0) / most) * 100 : 0}%`, background: color }}
            />
          </span>
        </li>
      ))}
      {values.length > SHOWN_AT_MOST && (
        <li class="faint small">and {values.length - SHOWN_AT_MOST} smaller ones</li>
      )}
    </ul>
  )
}
