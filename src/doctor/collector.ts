/**
 * Whether the collector takes traces, and whether ours got there.
 *
 * It is asked in its own protocol, with an export of no spans: an open port proves little where Docker holds it. What
 * became of our spans is told by those who count them: the gateway what it had to give up, the collector (by way of
 * Prometheus) what it accepted.
 */
import { connect } from 'node:net'
import { count } from './clean.ts'
import { collectorCounters } from './collector-counters.ts'
import { type Examination, final, type Look, unanswered, waiting, watch } from './examination.ts'
import { scrape } from './exposition.ts'
import { failed, ok, type Verdict } from './hops.ts'
import { type Fault, faultOf, isFault, type Read } from './http.ts'
import { findTrace } from './jaeger-trace.ts'

const METHOD = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'

/** Sends an empty ExportTraceServiceRequest, which is no bytes at all. */
export async function identifyCollector(examination: Examination, signal: AbortSignal): Promise<Read<true>> {
  const { addresses, clean, now, timeoutMs, userAgent } = examination
  const address = addresses.collector
  const url = new URL(`grpc://${address}`)
  const unconnected = await connects(url, signal)
  if (unconnected !== undefined) return faultOf(unconnected, url, clean)
  const grpc = await import('@grpc/grpc-js')
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.primary_user_agent': userAgent,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
  })
  const asIs = (bytes: Buffer) => bytes
  try {
    return await new Promise((resolve) => {
      const deadline = now() + timeoutMs
      const nothing = Buffer.alloc(0)
      const call = client.makeUnaryRequest(METHOD, asIs, asIs, nothing, { deadline }, (error) => {
        signal.removeEventListener('abort', cancel)
        resolve(error === null ? { value: true } : grpcFault(error, address, examination))
      })
      const cancel = () => call.cancel()
      if (signal.aborted) cancel()
      else signal.addEventListener('abort', cancel)
    })
  } finally {
    client.close()
  }
}

/** https://grpc.io/docs/guides/status-codes/ */
const CANCELLED = 1
const DEADLINE_EXCEEDED = 4
const UNIMPLEMENTED = 12

function grpcFault(
  { code, details }: { readonly code: number; readonly details: string },
  address: string,
  { clean }: Examination,
): Fault {
  switch (code) {
    case CANCELLED:
    case DEADLINE_EXCEEDED:
      return { fault: 'silent', why: `${address} takes the connection and does not answer in time` }
    case UNIMPLEMENTED:
      return {
        fault: 'unexpected',
        why: `what answers at ${address} takes no traces over gRPC (${clean(details)})`,
      }
    default:
      if (/protocol error|parse error/i.test(details))
        return { fault: 'not-http', why: `what answers at ${address} does not speak gRPC` }
      return { fault: 'dropped', why: `${address} does not take an export over gRPC (${clean(details)})` }
  }
}

/** Resolves with what prevents a connection. */
function connects({ hostname, port }: URL, signal: AbortSignal): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), signal })
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', (error) =>
      resolve(signal.aborted ? Object.assign(new Error('no connection'), { code: 'ETIMEDOUT' }) : error),
    )
  })
}

/** The gateway sends after a second, and gives a collector that does not answer ten more. */
const LONGEST_EXPORT_MS = 12_000
const USUAL_EXPORT_MS = 3000

export async function collectorHop(examination: Examination, signal: AbortSignal): Promise<Verdict> {
  const { addresses, seen } = examination
  const reply = await identifyCollector(examination, signal)
  const verdict = isFault(reply)
    ? unanswered(examination, 'collector', reply)
    : ok(`${addresses.collector} takes traces`)
  const result = await followSpans(examination, signal, verdict)
  seen.collector = result.status
  return result
}

/** `verdict` is what the port itself has said: it stands unless the counters know more. */
function followSpans(examination: Examination, signal: AbortSignal, verdict: Verdict): Promise<Verdict> {
  const { seen } = examination
  if (seen.recorded === false && verdict.status === 'ok')
    return Promise.resolve(
      ok(`${verdict.detail}; the gateway recorded no trace of the request, so nothing came`),
    )
  if (seen.recorded === false || seen.markedAt === undefined) return Promise.resolve(verdict)
  const patience = AbortSignal.timeout(seen.recorded === true ? LONGEST_EXPORT_MS : USUAL_EXPORT_MS)
  return watch(AbortSignal.any([signal, patience]), () => lookAtSpans(examination, signal, verdict))
}

export const COMPARE =
  '`config.tracing.otlpEndpoint` must be the collector as the gateway sees it (in the stack: http://otel-collector:4317)'

async function lookAtSpans(examination: Examination, signal: AbortSignal, verdict: Verdict): Promise<Look> {
  const { seen } = examination
  await countDropped(examination, signal)
  if (seen.dropped > 0) return final(undelivered(verdict, seen.dropped))
  if (verdict.status !== 'ok') {
    const isElsewhere = seen.recorded !== true || (await isInJaeger(examination, signal))
    return { verdict, isFinal: isElsewhere }
  }
  const before = seen.collectorBefore
  const counters = before && (await collectorCounters(examination, signal))
  if (before === undefined || counters === undefined)
    return (await isInJaeger(examination, signal))
      ? final(ok(`${verdict.detail}, and the trace went on to Jaeger`))
      : waiting(verdict)
  if (counters.failed > before.failed)
    return final(
      failed(
        `it could not hand on ${count(counters.failed - before.failed, 'span')} since the request`,
        "see `docker-compose logs otel-collector`: its exporter's endpoint must be Jaeger's OTLP port (jaeger:4317)",
      ),
    )
  seen.accepted = counters.accepted > before.accepted
  if (seen.accepted)
    return final(
      ok(
        `${verdict.detail}, accepted ${count(counters.accepted - before.accepted, 'span')} since the request`,
      ),
    )
  const isFresh = counters.scrapedAt > (seen.markedAt ?? 0) + USUAL_EXPORT_MS
  return { verdict: ok(`${verdict.detail}; its own counters show none since the request`), isFinal: isFresh }
}

function undelivered(verdict: Verdict, dropped: number): Verdict {
  const detail = `the gateway could not deliver its spans: ${count(dropped, 'span')} dropped since the request`
  return verdict.status === 'ok'
    ? failed(detail, `${COMPARE}; its log says why (scope tracing)`)
    : failed(
        `${detail}; ${verdict.detail}`,
        `start the collector (\`docker-compose ps otel-collector\`), or see where the gateway looks for it: ${COMPARE}`,
      )
}

/** Writes to `seen.dropped`. */
export async function countDropped(examination: Examination, signal: AbortSignal): Promise<void> {
  const { isSkipped, seen } = examination
  if (isSkipped('metrics') || seen.scrapeBefore === undefined) return
  const read = await scrape(examination, signal)
  if (!isFault(read)) seen.dropped = read.value.droppedSpans - seen.scrapeBefore.droppedSpans
}

async function isInJaeger(examination: Examination, signal: AbortSignal): Promise<boolean> {
  if (examination.isSkipped('jaeger') || !examination.seen.present.has('jaeger')) return false
  const read = await findTrace(examination, signal)
  return !isFault(read) && read.value.length > 0
}
