/**
 * Colours of charts. The canvas knows no custom properties, so they stand here as well as in `tokens.css`.
 */
interface ChartTheme {
  readonly series: readonly string[]
  readonly grid: string
  readonly text: string
}

// Neighbours differ in brightness too, for readers who do not tell all the hues apart.
const LIGHT: ChartTheme = {
  series: [
    '#2563c9',
    '#c2610a',
    '#0f8a7e',
    '#b3307a',
    '#7250cc',
    '#7d7a00',
    '#1287a8',
    '#a8431f',
    '#4d7c2a',
    '#5b6878',
  ],
  grid: '#e6e9ed',
  text: '#5d6775',
}

const DARK: ChartTheme = {
  series: [
    '#6aa6ff',
    '#f0a45b',
    '#3fd0bf',
    '#ee82b6',
    '#b09bff',
    '#d6cf5c',
    '#56c4e8',
    '#f2856a',
    '#9ccc74',
    '#a3afbf',
  ],
  grid: '#1f2630',
  text: '#8b97a7',
}

export function chartTheme(isDark: boolean): ChartTheme {
  return isDark ? DARK : LIGHT
}

const TONES: readonly { readonly fits: RegExp; readonly light: string; readonly dark: string }[] = [
  {
    fits: /^(?:5\d\d|5xx|failed|error|upstream_error|internal|timeout|upstream_midstream_error)$/i,
    light: '#c22f38',
    dark: '#ff7d7d',
  },
  { fits: /^(?:4\d\d|4xx|rejected|shed|client_abort)$/i, light: '#b86e00', dark: '#eeb04f' },
  { fits: /^(?:2\d\d|2xx|completed|success)$/i, light: '#178a4c', dark: '#58cf86' },
]

/** Statuses and outcomes have the colour of what they mean, everything else the one of its place. */
export function seriesColor(label: string, index: number, isDark: boolean): string {
  const tone = TONES.find(({ fits }) => fits.test(label))
  if (tone !== undefined) return isDark ? tone.dark : tone.light
  const { series } = chartTheme(isDark)
  return series[index % series.length] ?? series[0] ?? 'gray'
}
