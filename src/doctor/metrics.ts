/** Whether the gateway has counted the marked request, by its own /metrics. */
import { count } from './clean.ts'
import { addressOf, type Examination, final, type Look, TLS_ADVICE, waiting, watch } from './examination.ts'
import { type Scrape, scrape } from './exposition.ts'
import { failed, ok, skipped, type Verdict } from './hops.ts'
import { type Fault, isFault } from './http.ts'

const WHERE =
  'the gateway shows them at :15020 unless STATS_ADDR or `config.statsAddr` says otherwise, and a container has to publish that port'

export function metricsHop(examination: Examination, signal: AbortSignal): Promise<Verdict> {
  const at = addressOf(examination, 'metrics')
  const { seen, now } = examination
  const patientUntil = now() + EXEMPLAR_PATIENCE_MS
  return watch(signal, async (): Promise<Look> => {
    const startedAt = now()
    const read = await scrape(examination, signal)
    if (isFault(read)) return final(unreadable(at, read))
    if (seen.markedAt === undefined)
      return final(skipped(`${at}/metrics answers, but there is no marked request to look for`))
    const evidence = evidenceIn(read.value, seen.scrapeBefore)
    if (evidence === undefined) return waiting(uncounted(at, read.value))
    const { hasOurExemplar, hasExemplars } = read.value
    const isCertain = hasOurExemplar || !hasExemplars
    const verdict = ok(
      isCertain
        ? `${at}/metrics has the request: ${evidence}`
        : `${at}/metrics: ${evidence}; that may be others' requests, for no exemplar has our trace id`,
    )
    // Its end and its exemplar are written at once, but somebody else's request may have ended in between.
    const scrapeAfter = read.value.hasOurExemplar ? read : await scrape(examination, signal)
    seen.counted = { at: startedAt, scrape: isFault(scrapeAfter) ? read.value : scrapeAfter.value }
    seen.recorded = isRecorded(seen.counted.scrape)
    return { verdict, isFinal: isCertain || now() >= patientUntil }
  })
}

/** Growth may be somebody else's; where exemplars are left, ours comes at once, unless the next request takes its place. */
const EXEMPLAR_PATIENCE_MS = 1500

/** Every recorded request leaves an exemplar, which the next one in its bucket replaces. */
const isRecorded = ({ hasOurExemplar, hasExemplars }: Scrape) =>
  hasOurExemplar ? true : hasExemplars ? undefined : false

function evidenceIn({ requests, hasOurExemplar }: Scrape, before: Scrape | undefined): string | undefined {
  if (hasOurExemplar) return 'an exemplar has our trace id'
  if (requests === undefined || before === undefined || requests <= (before.requests ?? 0)) return undefined
  return `agentgateway_requests_total grew from ${before.requests ?? 0} to ${requests}`
}

const uncounted = (at: string, { requests }: Scrape) =>
  requests === undefined
    ? failed(
        `${at}/metrics has no agentgateway_requests_total`,
        '`config.metrics.remove` leaves it out, or it is the address of something else (--metrics URL)',
      )
    : failed(
        `${at}/metrics does not have the request: still ${count(requests, 'request')}`,
        'these are the metrics of another gateway than the one that answered: see --gateway and --metrics',
      )

function unreadable(at: string, { fault, why }: Fault): Verdict {
  if (fault === 'nothing') return failed(why, WHERE)
  if (fault === 'certificate' || fault === 'no-tls') return failed(why, TLS_ADVICE[fault])
  if (fault === 'unexpected' || fault === 'not-http')
    return failed(
      `another program answers at ${at}: ${why}`,
      `say with --metrics where the metrics are; ${WHERE}`,
    )
  return failed(why, 'see `docker-compose logs agentgateway`')
}
