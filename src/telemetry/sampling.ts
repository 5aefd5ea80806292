/**
 * Which exchanges are traced, decided once, before anything else is known of them.
 *
 * Ids are given out even where nothing is recorded: the log line needs them, and a caller that traces finds its
 * own trace id there. A caller that says "not sampled" is obeyed, whatever is configured here.
 */
import {
  newSpanId,
  newTraceId,
  type Parent,
  parseTraceparent,
  type TraceContext,
} from '../core/trace-context.ts'

export interface SamplingRatios {
  /** Share of the exchanges without a caller's trace that start one. */
  readonly random: number
  /** Share of the caller's sampled traces that are continued. */
  readonly client: number
}

export type Sampler = (parent: Parent | undefined) => boolean

/** Tracing is off. */
export const neverSample: Sampler = () => false

export function createSampler(ratios: SamplingRatios, random: () => number = Math.random): Sampler {
  return (parent) => {
    if (parent === undefined) return ratios.random > 0 && random() < ratios.random
    return parent.sampled && isWithin(parent.traceId, ratios.client)
  }
}

/**
 * The trace id's last 52 bits are its lottery number, so that every gateway on a trace's way decides alike; the
 * same end and direction as OpenTelemetry's probability sampling.
 * https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
 */
function isWithin(traceId: string, ratio: number): boolean {
  if (ratio >= 1) return true
  if (ratio <= 0) return false
  return Number.parseInt(traceId.slice(-13), 16) / 2 ** 52 >= 1 - ratio
}

/** A malformed `traceparent` counts as none; then its `tracestate` means nothing either. */
export function traceContextFor(
  traceparent: string | undefined,
  tracestate: string | undefined,
  sampler: Sampler,
): TraceContext {
  const parent = parseTraceparent(traceparent)
  return {
    traceId: parent?.traceId ?? newTraceId(),
    spanId: newSpanId(),
    parentSpanId: parent?.spanId,
    sampled: sampler(parent),
    traceState: parent === undefined ? undefined : tracestate,
  }
}
