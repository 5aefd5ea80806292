/**
 * Numbers for people: three significant digits and a unit. The exact value belongs into the `title` beside it.
 *
 * The console speaks English, so its numbers do too, whatever the browser's language.
 */
const NO_VALUE = '–'
/** Keeps a number and its unit on one line. */
const SPACE = '\u00a0'

/** Sums of doubles are not exact beyond that: $0.000042, and not $0.000042000000000000004. */
const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 12 })
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

const COUNT_STEPS = ['', 'k', 'M', 'B', 'T'] as const
const BYTE_STEPS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** At most three significant digits, no trailing zeros, no exponent. */
function short(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 100) return whole.format(value)
  const digits = size >= 10 ? 1 : size >= 1 ? 2 : Math.min(20, 1 - Math.floor(Math.log10(size)))
  return String(Number(value.toFixed(digits))).includes('e')
    ? value.toFixed(digits)
    : String(Number(value.toFixed(digits)))
}

function stepped(value: number, base: number, steps: readonly string[]): string {
  let rest = value
  let step = 0
  // 999.6 would be shown as 1,000: it belongs to the next step.
  while (Math.abs(rest) >= base - 0.5 && step < steps.length - 1) {
    rest /= base
    step += 1
  }
  const unit = steps[step] ?? ''
  return unit === '' ? short(rest) : `${short(rest)}${SPACE}${unit}`
}

export function exact(value: number): string {
  return grouped.format(value)
}

/** Up to 9,999 in full, then 12.3 k, 1.2 M. */
export function formatCount(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 10_000) return whole.format(value)
  return stepped(value, 1000, COUNT_STEPS)
}

export function formatBytes(value: number): string {
  return stepped(value, 1024, BYTE_STEPS)
}

/** Cents and more with two decimals, less with two significant digits. */
export function formatUsd(value: number): string {
  const sign = value < 0 ? '-' : ''
  const size = Math.abs(value)
  if (size === 0) return '$0'
  if (size < 0.000_000_1) return `${sign}<$0.0000001`
  if (size < 0.1) return `${sign}$${size.toFixed(Math.max(2, 1 - Math.floor(Math.log10(size))))}`
  if (size < 10_000)
    return `${sign}$${size.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`
  return `${sign}$${stepped(size, 1000, COUNT_STEPS)}`
}

/** A share of 1 as a percentage. */
export function formatShare(value: number): string {
  const percent = value * 100
  if (percent > 99.9 && percent < 100) return `>99.9${SPACE}%`
  return `${short(percent)}${SPACE}%`
}

export function formatMs(value: number): string {
  if (value < 0.000_5) return `0${SPACE}ms`
  if (value < 1) return `${short(value)}${SPACE}ms`
  if (value < 999.5) return `${short(value)}${SPACE}ms`
  if (value < 59_950) return `${short(value / 1000)}${SPACE}s`
  const seconds = Math.round(value / 1000)
  if (seconds < 3600) return parts(Math.floor(seconds / 60), 'min', seconds % 60, 's')
  const minutes = Math.round(seconds / 60)
  if (minutes < 1440) return parts(Math.floor(minutes / 60), 'h', minutes % 60, 'min')
  const hours = Math.round(minutes / 60)
  return parts(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function parts(large: number, largeUnit: string, small: number, smallUnit: string): string {
  const head = `${large}${SPACE}${largeUnit}`
  return small === 0 ? head : `${head}${SPACE}${small}${SPACE}${smallUnit}`
}

type Formatter = (value: number) => string

const PANEL_FORMATS: Readonly<Record<string, Formatter>> = {
  count: formatCount,
  perSecond: (value) => `${stepped(value, 1000, COUNT_STEPS)}/s`,
  share: formatShare,
  seconds: (value) => formatMs(value * 1000),
  usd: formatUsd,
  usdPerHour: (value) => `${formatUsd(value)}/h`,
  bytes: formatBytes,
  bytesPerSecond: (value) => `${formatBytes(value)}/s`,
  tokensPerSecond: (value) => `${stepped(value, 1000, COUNT_STEPS)}/s`,
}

/** A value of an overview's panel; units that a newer gateway invents are shown as plain numbers. */
export function formatValue(unit: string, value: number | string | null | undefined): string {
  if (value === null || value === undefined) return NO_VALUE
  if (typeof value === 'string') return value === '' ? NO_VALUE : value
  return (PANEL_FORMATS[unit] ?? formatCount)(value)
}

export function optional(value: number | undefined, format: Formatter): string {
  return value === undefined ? NO_VALUE : format(value)
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}
