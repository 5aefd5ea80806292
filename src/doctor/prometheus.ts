/** Whether Prometheus has fetched the gateway's metrics since the marked request. */
import { count, seconds } from './clean.ts'
import { addressOf, type Examination, final, type Look, unanswered, waiting, watch } from './examination.ts'
import { failed, ok, skipped, type Verdict } from './hops.ts'
import { isFault, type Read } from './http.ts'
import { prometheusOf, selectorOf, type Target } from './prometheus-api.ts'

export const identifyPrometheus = (examination: Examination, signal: AbortSignal) =>
  prometheusOf(examination, signal).buildInfo()

export async function prometheusHop(examination: Examination, signal: AbortSignal): Promise<Verdict> {
  const prometheus = prometheusOf(examination, signal)
  let build: Read<unknown> = await prometheus.buildInfo()
  if (isFault(build) && build.status === 503) {
    // It reads its log before it answers.
    const started = await watch(signal, async () => {
      build = await prometheus.buildInfo()
      const isReady = !isFault(build) || build.status !== 503
      return { verdict: failed('it is not ready yet', 'wait, and see its log'), isFinal: isReady }
    })
    if (isFault(build) && build.status === 503) return started
  }
  if (isFault(build)) return unanswered(examination, 'prometheus', build)
  examination.seen.prometheusAheadMs = await prometheus.aheadMs()
  return watch(signal, () => lookAtTarget(examination, signal))
}

const JOB = 'agentgateway'
const STATS_PORT = '15020'

/** Of several, the one whose port is that of the metrics that we read ourselves. */
function gatewayTarget(targets: readonly Target[], metricsAddress: string): Target | undefined {
  const portOf = (target: Target) => URL.parse(target.scrapeUrl)?.port
  const ofJob = targets.filter(({ labels }) => labels.job === JOB)
  const candidates = ofJob.length > 0 ? ofJob : targets.filter((target) => portOf(target) === STATS_PORT)
  const port = new URL(metricsAddress).port
  return candidates.find((target) => portOf(target) === port) ?? candidates[0]
}

/** Written as `1m30s`. */
export async function scrapeIntervalMs(
  examination: Examination,
  signal: AbortSignal,
): Promise<number | undefined> {
  const read = await prometheusOf(examination, signal).targets()
  const target = isFault(read) ? undefined : gatewayTarget(read.value, examination.addresses.metrics)
  const parts = [...(target?.scrapeInterval ?? '').matchAll(/(\d+)(ms|s|m|h)/g)]
  if (parts.length === 0) return undefined
  return parts.reduce((sum, [, count, unit = 'ms']) => sum + Number(count) * (UNITS[unit] ?? 1), 0)
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

async function lookAtTarget(examination: Examination, signal: AbortSignal): Promise<Look> {
  const { addresses, clean, seen } = examination
  const at = addressOf(examination, 'prometheus')
  const read = await prometheusOf(examination, signal).targets()
  if (isFault(read)) return final(failed(read.why, 'see `docker-compose logs prometheus`'))
  const target = gatewayTarget(read.value, addresses.metrics)
  if (target === undefined) {
    const verdict = failed(
      `${at} does not scrape the gateway: no target with job ${JOB} or port ${STATS_PORT} among ${count(read.value.length, 'target')}`,
      `add a job \`${JOB}\` with the gateway's stats address to prometheus.yml`,
    )
    // For its first seconds it knows no targets at all.
    return read.value.length === 0 ? waiting(verdict) : final(verdict)
  }
  const url = clean(target.scrapeUrl)
  const scrapedAt = Date.parse(target.lastScrape) - seen.prometheusAheadMs
  const since = seen.counted?.at ?? seen.markedAt
  const isFresh = since === undefined || scrapedAt >= since
  if (target.health === 'down') {
    const verdict = failed(
      `its target ${url} is down: ${clean(target.lastError)}`,
      'from where Prometheus runs, the gateway must be reachable at that address: see prometheus.yml and `docker-compose ps agentgateway`',
    )
    return { verdict, isFinal: isFresh }
  }
  if (target.health !== 'up' || !isFresh)
    return waiting(
      failed(
        `it has not scraped ${url} since the request (every ${target.scrapeInterval ?? '?'})`,
        'wait longer than its scrape interval: --timeout SECONDS',
      ),
    )
  if (since === undefined)
    return final(skipped(`its target ${url} is up, but there is no marked request to look for`))
  return lookAtSeries(examination, signal, { target, afterMs: Math.max(0, scrapedAt - since) })
}

async function lookAtSeries(
  examination: Examination,
  signal: AbortSignal,
  { target, afterMs }: { readonly target: Target; readonly afterMs: number },
): Promise<Look> {
  const { clean, seen } = examination
  const url = clean(target.scrapeUrl)
  const read = await prometheusOf(examination, signal).value(
    `sum(agentgateway_requests_total${selectorOf(target)})`,
  )
  if (isFault(read)) return final(failed(read.why, 'see `docker-compose logs prometheus`'))
  const requests = read.value
  const counted = seen.counted?.scrape.requests
  // A scrape is reported just before its samples can be queried.
  if (requests === undefined)
    return waiting(
      failed(
        `it scrapes ${url} and has no agentgateway_requests_total from it`,
        'see `metric_relabel_configs` in prometheus.yml, and `config.metrics.remove` of the gateway',
      ),
    )
  if (counted !== undefined && requests < counted)
    return waiting(
      failed(
        `${url} shows ${count(requests, 'request')}, the gateway itself ${counted}`,
        'Prometheus scrapes another gateway than the one that answered: compare prometheus.yml with --gateway and --metrics',
      ),
    )
  const exemplar = await exemplarNote(examination, signal)
  const scraped = `scraped ${url} ${seconds(afterMs)} after the request: ${count(requests, 'request')} in all`
  return final(ok(`${addressOf(examination, 'prometheus')} ${scraped}${exemplar}`))
}

async function exemplarNote(examination: Examination, signal: AbortSignal): Promise<string> {
  const { seen, traceId } = examination
  if (seen.recorded === false || seen.markedAt === undefined) return ''
  const traceIds = await prometheusOf(examination, signal).exemplarTraceIds(
    'agentgateway_request_duration_seconds_bucket',
    seen.markedAt + seen.prometheusAheadMs,
  )
  if (traceIds.includes(traceId)) return ', and an exemplar with our trace id'
  return seen.recorded === true && traceIds.length === 0
    ? '; it keeps no exemplars: start it with --enable-feature=exemplar-storage'
    : ''
}
