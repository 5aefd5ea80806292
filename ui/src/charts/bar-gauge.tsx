import { useState } from 'preact/hooks'
import { formatValue } from '../format/numbers.ts'
import { isDark } from '../parts/theme.ts'
import { seriesColor } from './chart-theme.ts'

/** As many as stand beside a chart. */
const SHOWN_AT_FIRST = 7
const SHOWN_AT_MOST = 50

interface BarGaugeProps {
  readonly unit: string
  readonly values: readonly { readonly label: string; readonly value: number | string | null }[]
}

/** One bar for each value, the longest for the largest. */
export function BarGauge({ unit, values }: BarGaugeProps) {
  const [isAll, setAll] = useState(false)
  const numbers = values.map(({ value }) => (typeof value === 'number' ? value : 0))
  const most = Math.max(...numbers, 0)
  const color = seriesColor('', 0, isDark.value)
  // A button for the last one alone would take its place.
  const isCut = !isAll && values.length > SHOWN_AT_FIRST + 1
  const shown = values.slice(0, isCut ? SHOWN_AT_FIRST : SHOWN_AT_MOST)
  return (
    <ul class="gauges">
      {shown.map(({ label, value }, index) => (
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
      {isCut ? (
        <li>
          <button type="button" class="button quiet more-gauges" onClick={() => setAll(true)}>
            Show {Math.min(values.length, SHOWN_AT_MOST) - shown.length} more
          </button>
        </li>
      ) : (
        values.length > shown.length && (
          <li class="faint small">and {values.length - shown.length} smaller ones</li>
        )
      )}
    </ul>
  )
}
