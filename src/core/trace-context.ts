/**
 * W3C Trace Context: which trace an exchange belongs to, and whether it is recorded.
 * https://www.w3.org/TR/trace-context/
 *
 * Ids are drawn from a pool of random digits: one call into the crypto module serves some hundred requests.
 */
import { randomFillSync } from 'node:crypto'

export interface TraceContext {
  /** 32 lower-case hex digits. */
  readonly traceId: string
  /** Id of the exchange's SERVER span. */
  readonly spanId: string
  /** The caller's span, when a valid `traceparent` came in. */
  readonly parentSpanId: string | undefined
  readonly sampled: boolean
  /** The caller's `tracestate`, kept as it came. */
  readonly traceState: string | undefined
}

export interface Parent {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const POOL = Buffer.alloc(4096)
let digits = ''
let used = 0

/** So many random hex digits, in lower case; never all zero. */
function randomHex(length: number): string {
  if (used + length > digits.length) {
    digits = randomFillSync(POOL).toString('hex')
    used = 0
  }
  // V8 keeps where it lies among all of them: nothing is copied.
  const hex = digits.slice(used, used + length)
  used += length
  return hex.startsWith('0') && /^0+$/.test(hex) ? randomHex(length) : hex
}

export const newTraceId = () => randomHex(32)
export const newSpanId = () => randomHex(16)

/** The caller's context, or undefined when the header is absent or malformed (then it is treated as absent). */
export function parseTraceparent(header: string | undefined): Parent | undefined {
  if (header === undefined) return undefined
  const match = TRACEPARENT.exec(header)
  if (match === null) return undefined
  const [, version, traceId = '', spanId = '', flags = '', rest] = match
  if (version === 'ff' || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  if (version === '00' && rest !== undefined) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export function formatTraceparent(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}
