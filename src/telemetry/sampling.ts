/**
 * Which exchanges are traced, decided once, before anything else is known of them.
 *
 * Ids are given out even where nothing is recorded: the log line needs them, and a caller that traces finds its
 * own trace id there. A caller that says "not sampled" is obeyed, whatever is configured here.
 */
import type { CelExpression } from '../core/cel.ts'
import {
  newSpanId,
  newTraceId,
  type Parent,
  parseTraceparent,
  type TraceContext,
} from '../core/trace-context.ts'
import type { Variables } from './variables.ts'

/** From 0 to 1; or an expression of the request, which says it as a number or as a boolean. */
export type Share = number | CelExpression

export interface SamplingRatios {
  /** Share of the exchanges without a caller's trace that start one. */
  readonly random: Share
  /** Share of the caller's sampled traces that are continued. */
  readonly client: Share
}

/** `variables` are of the request whose head has arrived; asked for only where an expression wants them. */
export type Sampler = (parent: Parent | undefined, variables: () => Variables) => boolean

/** Tracing is off. */
export const neverSample: Sampler = () => false

export function createSampler(ratios: SamplingRatios, random: () => number = Math.random): Sampler {
  return (parent, variables) => {
    if (parent !== undefined)
      return parent.sampled && isWithin(parent.traceId, ratioOf(ratios.client, variables))
    const ratio = ratioOf(ratios.random, variables)
    return ratio > 0 && random() < ratio
  }
}

/** What cannot be evaluated samples nothing. */
function ratioOf(share: Share, variables: () => Variables): number {
  if (typeof share === 'number') return share
  try {
    const value = share.evaluate(variables())
    const ratio = typeof value === 'boolean' || typeof value === 'number' ? Number(value) : 0
    return ratio > 0 ? Math.min(1, ratio) : 0
  } catch {
    return 0
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

const NO_VARIABLES = () => ({})

/** A malformed `traceparent` counts as none; then its `tracestate` means nothing either. */
export function traceContextFor(
  traceparent: string | undefined,
  tracestate: string | undefined,
  sampler: Sampler,
  variables: () => Variables = NO_VARIABLES,
): TraceContext {
  const parent = parseTraceparent(traceparent)
  return {
    traceId: parent?.traceId ?? newTraceId(),
    spanId: newSpanId(),
    parentSpanId: parent?.spanId,
    sampled: sampler(parent, variables),
    traceState: parent === undefined ? undefined : tracestate,
  }
}
