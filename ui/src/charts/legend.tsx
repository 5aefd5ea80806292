import { isDark } from '../parts/theme.ts'
import { seriesColor } from './chart-theme.ts'

interface LegendProps {
  readonly labels: readonly string[]
  readonly off: ReadonlySet<string>
  readonly hidden: number
  readonly onToggle: (label: string) => void
}

export function Legend({ labels, off, hidden, onToggle }: LegendProps) {
  return (
    <figcaption class="legend">
      {labels.map((label, index) => (
        <button
          type="button"
          key={label}
          aria-pressed={!off.has(label)}
          title={label}
          onClick={() => onToggle(label)}
        >
          <span class="swatch" style={{ background: seriesColor(label, index, isDark.value) }} />
          <span class="cut">{label}</span>
        </button>
      ))}
      {hidden > 0 && <span class="faint small">and {hidden} smaller ones</span>}
    </figcaption>
  )
}
