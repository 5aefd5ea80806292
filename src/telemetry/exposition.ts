/**
 * What a scraper is sent: Prometheus' text format 0.0.4, or OpenMetrics 1.0 for scrapers that ask for it.
 *
 * The two look alike and differ where it hurts: in OpenMetrics a counter's metadata lacks `_total`, help texts
 * escape quotes, the text ends in `# EOF`, and only there may exemplars stand (a 0.0.4 parser rejects the scrape).
 * https://prometheus.io/docs/instrumenting/exposition_formats/ and
 * https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
 */
import { type AnyFamily, baseName, escapeLabel, type Registry } from './registry.ts'
import type { Exemplar, Histogram } from './registry-series.ts'

export type Format = 'text' | 'openmetrics'

export const CONTENT_TYPES = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
} as const satisfies Record<Format, string>

/** Written piece by piece, so that a big scrape need not stop the event loop: about this many characters each. */
const PIECE_LENGTH = 64 * 1024

interface Offer {
  readonly format: Format
  readonly type: string
  readonly subtype: string
  readonly version: string
}

const TEXT: Offer = { format: 'text', type: 'text', subtype: 'plain', version: '0.0.4' }
const OPENMETRICS: Offer = {
  format: 'openmetrics',
  type: 'application',
  subtype: 'openmetrics-text',
  version: '1.0.0',
}

interface MediaRange {
  readonly type: string
  readonly subtype: string
  readonly version: string | undefined
  readonly quality: number
}

interface Preference {
  readonly quality: number
  /** How exactly the offer was named: 0 not at all, 1 any type, 2 `type/*`, 3 `type/subtype`, 4 with its version. */
  readonly precision: number
  readonly position: number
}

/** Text unless OpenMetrics is preferred: by quality, then by the more exact name, then by order. Never refuses. */
export function negotiateFormat(accept: string | undefined): Format {
  const ranges = (accept ?? '').split(',').map(parseRange)
  const text = preferenceFor(TEXT, ranges)
  const openMetrics = preferenceFor(OPENMETRICS, ranges)
  if (openMetrics.quality === 0) return 'text'
  if (openMetrics.quality !== text.quality) return openMetrics.quality > text.quality ? 'openmetrics' : 'text'
  if (openMetrics.precision < 3) return 'text'
  if (text.precision < 3) return 'openmetrics'
  return openMetrics.position < text.position ? 'openmetrics' : 'text'
}

function parseRange(range: string): MediaRange {
  const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
  const [type = '', subtype = ''] = name.split('/')
  const parameter = (key: string) =>
    parameters
      .find((text) => text.startsWith(`${key}=`))
      ?.slice(key.length + 1)
      .replaceAll('"', '')
  const quality = Number(parameter('q') ?? 1)
  return {
    type,
    subtype,
    version: parameter('version'),
    quality: quality >= 0 && quality <= 1 ? quality : 0,
  }
}

/** The most exact range that covers the offer decides, RFC 9110 section 12.5.1. */
function preferenceFor(offer: Offer, ranges: readonly MediaRange[]): Preference {
  let best: Preference = { quality: 0, precision: 0, position: 0 }
  for (const [position, range] of ranges.entries()) {
    const precision = precisionOf(offer, range)
    if (precision > best.precision) best = { quality: range.quality, precision, position }
  }
  return best
}

function precisionOf(offer: Offer, range: MediaRange): number {
  if (range.type === '*' && range.subtype === '*') return 1
  if (range.type !== offer.type) return 0
  if (range.subtype === '*') return 2
  if (range.subtype !== offer.subtype) return 0
  if (range.version === undefined) return 3
  return range.version === offer.version ? 4 : 0
}

/** The whole text in pieces. Each family is consistent in itself if its pieces are taken without a pause. */
export function* renderMetrics(registry: Registry, format: Format): Generator<string, void, undefined> {
  let piece = ''
  for (const family of registry.families()) {
    piece += metadata(family, format)
    for (const lines of samples(family, format)) {
      piece += lines
      if (piece.length < PIECE_LENGTH) continue
      yield piece
      piece = ''
    }
  }
  yield format === 'openmetrics' ? `${piece}# EOF\n` : piece
}

function metadata(family: AnyFamily, format: Format): string {
  const { type, help, unit } = family
  if (format === 'text') {
    const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
    return `# HELP ${family.name} ${escaped}\n# TYPE ${family.name} ${type === 'info' ? 'gauge' : type}\n`
  }
  const name = baseName(type, family.name)
  const unitLine = unit !== undefined && name.endsWith(`_${unit}`) ? `# UNIT ${name} ${unit}\n` : ''
  return `# HELP ${name} ${escapeLabel(help)}\n# TYPE ${name} ${type}\n${unitLine}`
}

function* samples(family: AnyFamily, format: Format): Generator<string, void, undefined> {
  switch (family.type) {
    case 'counter':
    case 'gauge':
      for (const series of family.series()) {
        const value = series.current()
        if (value === undefined) continue
        yield `${family.name}${braced(series.labels)} ${formatNumber(value)}\n`
      }
      return
    case 'histogram': {
      for (const series of family.series())
        yield histogramLines(family.name, series, format === 'openmetrics')
      return
    }
    case 'info':
      for (const series of family.series()) yield `${family.name}${braced(series.labels)} 1\n`
      return
    default:
      family satisfies never
  }
}

/** Of each family's bounds: what stands between `le="` and a bucket's count. */
const endings = new WeakMap<Float64Array, readonly string[]>()

function endingsOf(bounds: Float64Array): readonly string[] {
  const known = endings.get(bounds)
  if (known !== undefined) return known
  const made = [...Array.from(bounds, formatBound), '+Inf'].map((bound) => `${bound}"} `)
  endings.set(bounds, made)
  return made
}

function histogramLines(name: string, series: Histogram, withExemplars: boolean): string {
  const { labels, bounds, counts, exemplars } = series
  const ends = endingsOf(bounds)
  const head = labels === '' ? `${name}_bucket{le="` : `${name}_bucket{${labels},le="`
  let text = ''
  let cumulative = 0
  for (let bucket = 0; bucket < counts.length; bucket++) {
    cumulative += Number(counts[bucket])
    const exemplar = withExemplars ? exemplars?.[bucket] : undefined
    text += `${head}${ends[bucket]}${cumulative}${exemplar === undefined ? '' : formatExemplar(exemplar)}\n`
  }
  const group = braced(labels)
  return `${text}${name}_sum${group} ${formatNumber(series.sum)}\n${name}_count${group} ${cumulative}\n`
}

const braced = (labels: string) => (labels === '' ? '' : `{${labels}}`)

function formatExemplar({ traceId, value, atEpochMs }: Exemplar): string {
  return ` # {trace_id="${escapeLabel(traceId)}"} ${formatNumber(value)} ${(atEpochMs / 1000).toFixed(3)}`
}

function formatNumber(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

/**
 * OpenMetrics' canonical number (Go's `%g`, always visibly a float): `1.0`, `0.005`, `5e-05`, `1.048576e+06`.
 * Prometheus 3 rewrites `le` to this and 2.x takes it as it comes, so only this spelling is one series on both.
 */
export function formatBound(bound: number): string {
  const [digits = '', exponent = '0'] = bound.toExponential().split('e')
  const power = Number(exponent)
  if (power >= -4 && power < 6) return Number.isInteger(bound) ? `${bound}.0` : String(bound)
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}
