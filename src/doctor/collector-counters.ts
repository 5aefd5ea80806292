/** The collector's own counters, by way of Prometheus: it has no port of its own that the stack publishes. */
import type { Examination } from './examination.ts'
import { isFault } from './http.ts'
import { prometheusOf } from './prometheus-api.ts'

export interface CollectorCounters {
  readonly accepted: number
  readonly failed: number
  /** By our clock. */
  readonly scrapedAt: number
}

const ACCEPTED = 'otelcol_receiver_accepted_spans'
const FAILED = 'otelcol_exporter_(send|enqueue)_failed_spans'
const COLLECTOR_JOB = /collector|otel/i

/**
 * Of this job only: Jaeger is built from the collector and counts under the same names. They end in `_total` or not,
 * by the version.
 */
const sumOf = (name: string, job: string) => `sum({__name__=~"${name}(_total)?",job=${JSON.stringify(job)}})`

/** undefined when Prometheus does not see the collector. */
export async function collectorCounters(
  examination: Examination,
  signal: AbortSignal,
): Promise<CollectorCounters | undefined> {
  const prometheus = prometheusOf(examination, signal)
  const targets = await prometheus.targets()
  if (isFault(targets)) return undefined
  const target = targets.value.find(
    ({ labels, health }) => health === 'up' && COLLECTOR_JOB.test(labels.job ?? ''),
  )
  if (target === undefined) return undefined
  const { job = '' } = target.labels
  const [accepted, failed] = await Promise.all([
    prometheus.value(sumOf(ACCEPTED, job)),
    prometheus.value(sumOf(FAILED, job)),
  ])
  if (isFault(accepted) || isFault(failed)) return undefined
  return {
    // A counter appears when it first counts.
    accepted: accepted.value ?? 0,
    failed: failed.value ?? 0,
    scrapedAt: Date.parse(target.lastScrape) - examination.seen.prometheusAheadMs,
  }
}
