/**
 * The span of time that a page is about: one that moves with the clock (`range=1h`) or a fixed one (`from`, `to`).
 */
import type { ApiTimeRange } from '../../../src/admin/api-types.ts'

const MINUTE_MS = 60_000

export const RANGES = [
  { id: '15m', label: '15 min', spoken: 'last 15 minutes', ms: 15 * MINUTE_MS },
  { id: '1h', label: '1 h', spoken: 'last hour', ms: 60 * MINUTE_MS },
  { id: '6h', label: '6 h', spoken: 'last 6 hours', ms: 360 * MINUTE_MS },
  { id: '24h', label: '24 h', spoken: 'last 24 hours', ms: 1440 * MINUTE_MS },
  { id: '7d', label: '7 d', spoken: 'last 7 days', ms: 10_080 * MINUTE_MS },
  { id: '30d', label: '30 d', spoken: 'last 30 days', ms: 43_200 * MINUTE_MS },
] as const

export type RangeId = (typeof RANGES)[number]['id']

export type Span =
  | { readonly kind: 'moving'; readonly id: RangeId }
  | { readonly kind: 'fixed'; readonly from: string | undefined; readonly to: string | undefined }

function moment(text: string | null): string | undefined {
  if (text === null) return undefined
  const at = new Date(text)
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}

/** What the address does not say, or says wrongly, is `otherwise`. */
export function readSpan(query: URLSearchParams, otherwise: RangeId): Span {
  const from = moment(query.get('from'))
  const to = moment(query.get('to'))
  if (from !== undefined || to !== undefined) return { kind: 'fixed', from, to }
  const named = RANGES.find((range) => range.id === query.get('range'))
  return { kind: 'moving', id: named?.id ?? otherwise }
}

function rangeMs(id: RangeId): number {
  return RANGES.find((range) => range.id === id)?.ms ?? 0
}

/** A moving span has no end: it would be old as soon as it is said. */
export function toTimeRange(span: Span, now: number): ApiTimeRange {
  if (span.kind === 'moving') return { from: new Date(now - rangeMs(span.id)).toISOString() }
  return {
    ...(span.from !== undefined && { from: span.from }),
    ...(span.to !== undefined && { to: span.to }),
  }
}

/** The address's parameters of a span. */
export function spanQuery(span: Span): Record<'range' | 'from' | 'to', string | undefined> {
  if (span.kind === 'moving') return { range: span.id, from: undefined, to: undefined }
  return { range: undefined, from: span.from, to: span.to }
}
