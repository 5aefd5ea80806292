/** What all spans are put together from: times, addresses, attributes without gaps. */
import type { Exchange } from '../core/exchange.ts'
import { redact } from '../core/redact.ts'

export type AttributeValue = string | number | boolean | readonly string[]
export type Attributes = Record<string, AttributeValue>
/** Since 1970. */
export type HrTime = readonly [seconds: number, nanos: number]

export interface SpanRecord {
  readonly name: string
  readonly kind: 'server' | 'client'
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly attributes: Attributes
  readonly events: readonly SpanEvent[]
  /** Undefined: nothing failed. */
  readonly error: { readonly message: string | undefined } | undefined
}

export interface SpanEvent {
  readonly name: string
  readonly time: HrTime
  readonly attributes?: Attributes
}

export const spanName = (verb: string, object: string | undefined) =>
  object === undefined ? verb : `${verb} ${clipText(object)}`

export const endOf = (exchange: Exchange) => exchange.endedAt ?? exchange.startedAt

/** A monotonic time as a moment of the calendar, counted from the exchange's one anchor. */
export function timeOf(exchange: Exchange, at: number): HrTime {
  const epochSeconds = Math.floor(exchange.startedAtEpochMs / 1000)
  const restMs = exchange.startedAtEpochMs - epochSeconds * 1000 + (at - exchange.startedAt)
  const wholeSeconds = Math.floor(restMs / 1000)
  const nanos = Math.round((restMs - wholeSeconds * 1000) * 1e6)
  return nanos === 1e9 ? [epochSeconds + wholeSeconds + 1, 0] : [epochSeconds + wholeSeconds, nanos]
}

export function events(
  exchange: Exchange,
  named: readonly (readonly [string, number | undefined])[],
): SpanEvent[] {
  return named.flatMap(([name, at]) => (at === undefined ? [] : [{ name, time: timeOf(exchange, at) }]))
}

/** `host:port`, `[::1]:port` or a bare host. */
export function splitAddress(text: string | undefined): {
  address: string | undefined
  port: number | undefined
} {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text ?? '')
  // Something else, such as a bare IPv6 address.
  if (match === null) return { address: clip(text), port: undefined }
  const address = clip(match[1] ?? match[2])
  return {
    address: address === '' ? undefined : address,
    port: match[3] === undefined ? undefined : Number(match[3]),
  }
}

export const seconds = (ms: number) => Math.round(ms * 1e6) / 1e9
export const aboveZero = (count: number | undefined) => (count !== undefined && count > 0 ? count : undefined)

const MAX_LENGTH = 1024
/** What a client or provider wrote may be megabytes. */
export const clipText = (text: string) =>
  text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text
export const clip = (text: string | undefined) => (text === undefined ? undefined : clipText(text))
export const safe = (message: string | undefined) => (message === undefined ? undefined : redact(message))

export function present(attributes: Readonly<Record<string, AttributeValue | undefined>>): Attributes {
  const result: Attributes = {}
  for (const name in attributes) {
    if (attributes[name] !== undefined) result[name] = attributes[name]
  }
  return result
}
