/** Whether the marked request's trace has arrived where people look at traces. */
import { count } from './clean.ts'
import { COMPARE, countDropped } from './collector.ts'
import { addressOf, type Examination, final, type Look, unanswered, waiting, watch } from './examination.ts'
import { failed, ok, skipped, type Verdict } from './hops.ts'
import { isFault } from './http.ts'
import { findTrace, identifyJaeger, treeOf } from './jaeger-trace.ts'

/** Where the gateway says that it recorded nothing, it is nearly certain that nothing will come. */
const SHORT_WAIT_MS = 3000

export async function jaegerHop(examination: Examination, signal: AbortSignal): Promise<Verdict> {
  const { seen } = examination
  const found = await identifyJaeger(examination, signal)
  if (isFault(found)) return unanswered(examination, 'jaeger', found)
  if (seen.markedAt === undefined)
    return skipped(`${addressOf(examination, 'jaeger')} answers, but there is no marked request to look for`)
  const patience = seen.recorded === false ? [AbortSignal.timeout(SHORT_WAIT_MS)] : []
  let spansBefore = -1
  return watch(AbortSignal.any([signal, ...patience]), async (): Promise<Look> => {
    const read = await findTrace(examination, signal)
    if (isFault(read)) return final(failed(read.why, 'see `docker-compose logs jaeger`'))
    const spans = read.value
    if (spans.length === 0) {
      await countDropped(examination, signal)
      return waiting(
        failed(`${addressOf(examination, 'jaeger')} does not have the trace`, reasonFor(examination)),
      )
    }
    const services = [...new Set(spans.map(({ service }) => service))].join(', ')
    const tree = examination.clean(`${services}: ${treeOf(spans)}`)
    const verdict = ok(
      `${addressOf(examination, 'jaeger')} has the trace, ${count(spans.length, 'span')} of ${tree}`,
    )
    // They are stored one by one: it is whole when it has stopped growing.
    const isWhole = spans.length === spansBefore
    spansBefore = spans.length
    return { verdict, isFinal: isWhole }
  })
}

const TRACING_OFF =
  '`config.tracing` is missing in its configuration, or `clientSampling` leaves traces out (docs/tracing.md)'
const COLLECTOR_LOSES =
  'the collector lost it: see `docker-compose logs otel-collector`; its exporter must lead to Jaeger (jaeger:4317), and no sampler may drop it'

/** The likeliest first, by what the hops before have shown. */
function reasonFor({ seen }: Examination): string {
  if (seen.recorded === false) return `the gateway did not record the trace: ${TRACING_OFF}`
  if (seen.dropped > 0) return `the gateway could not deliver its spans: ${COMPARE}`
  if (seen.collector === 'failed' || seen.collector === 'absent')
    return 'the collector before it is missing: see the hop before'
  if (seen.accepted === true) return COLLECTOR_LOSES
  if (seen.accepted === false) return `the collector got nothing: ${COMPARE}; or ${TRACING_OFF}`
  return seen.recorded === true
    ? `the gateway recorded it and dropped nothing: ${COMPARE}; or ${COLLECTOR_LOSES}`
    : `in this order: ${TRACING_OFF}; ${COMPARE}; ${COLLECTOR_LOSES}`
}
