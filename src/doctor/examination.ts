/**
 * One run of the doctor: where everything is, the mark that it looks for, and what it has seen so far.
 *
 * Later hops are judged by what earlier ones saw, so `seen` is written as the run goes on; nothing else is.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Clean } from './clean.ts'
import type { CollectorCounters } from './collector-counters.ts'
import type { Scrape } from './exposition.ts'
import { type Addresses, absent, failed, type StackPlace, type Verdict } from './hops.ts'
import { type Answer, type Fault, type Http, shown } from './http.ts'

export interface Examination {
  readonly addresses: Addresses
  readonly http: Http
  readonly clean: Clean
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly timeoutMs: number
  readonly userAgent: string
  readonly traceId: string
  readonly keys: Keys
  readonly model: string | undefined
  readonly grafana: { readonly user: string; readonly password: string }
  readonly adminToken: string | undefined
  readonly isSkipped: (hop: StackPlace | 'metrics') => boolean
  /** Whether the address was given, rather than taken from the defaults. */
  readonly isNamed: (hop: StackPlace | 'console') => boolean
  readonly seen: Seen
}

/** Of the client. */
export interface Keys {
  readonly openAI: string | undefined
  readonly anthropic: string | undefined
}

export interface Seen {
  /** Those of the stack that answered, as what they should be, before the request was sent. */
  present: ReadonlySet<StackPlace>
  /** How far Prometheus' clock is ahead of ours. */
  prometheusAheadMs: number
  /** How often it scrapes the gateway, where it says so. */
  scrapeIntervalMs: number | undefined
  /** The gateway's metrics before the request. */
  scrapeBefore: Scrape | undefined
  collectorBefore: CollectorCounters | undefined
  /** When the marked request ended; undefined while no gateway is known to have taken it. */
  markedAt: number | undefined
  answer: Answer | Fault | undefined
  /** The metrics that have the marked request in them, and when they were read. */
  counted: { readonly at: number; readonly scrape: Scrape } | undefined
  /** Whether the gateway recorded the trace; undefined when that cannot be told. */
  recorded: boolean | undefined
  /** Spans that the gateway gave up since. */
  dropped: number
  /** Whether the collector's own counters show spans since; undefined when nobody reads them. */
  accepted: boolean | undefined
  collector: Verdict['status'] | undefined
}

/** Whether a part of the stack has to be there: it was asked for, or others of the stack are running. */
export const isExpected = ({ seen, isNamed }: Examination, hop: StackPlace) =>
  isNamed(hop) || seen.present.size > 0

/** Nobody is there, or somebody else. */
const missing = (examination: Examination, hop: StackPlace, why: string, advice: string): Verdict =>
  isExpected(examination, hop) ? failed(why, advice) : absent(why)

/** What docker-compose calls them. */
const CONTAINERS: Readonly<Record<StackPlace, string>> = {
  prometheus: 'prometheus',
  collector: 'otel-collector',
  jaeger: 'jaeger',
  grafana: 'grafana',
}

/** A member of the stack did not answer as it should. */
export function unanswered(
  examination: Examination,
  hop: StackPlace,
  { fault, why, status }: Fault,
): Verdict {
  const container = CONTAINERS[hop]
  const option = `say with --${hop} where it is`
  const start = `see \`docker-compose ps ${container}\` and \`docker-compose logs ${container}\`, or ${option}`
  if (fault === 'nothing') return missing(examination, hop, why, start)
  if (status === 401 || status === 403)
    return failed(why, `give a user and a password in the address: --${hop} http://USER:PASSWORD@HOST:PORT`)
  if (fault === 'unexpected' || fault === 'not-http' || (status !== undefined && status < 500))
    return missing(
      examination,
      hop,
      `another program has the port: ${why}`,
      `free the port and start ${container}, or ${option}`,
    )
  if (fault === 'certificate' || fault === 'no-tls') return failed(why, TLS_ADVICE[fault])
  return failed(why, start)
}

export const TLS_ADVICE = {
  'no-tls': 'write the address with http:// instead of https://',
  certificate:
    'trust its authority with NODE_EXTRA_CA_CERTS=FILE, or use the name that the certificate is for',
} as const

/** A verdict that may yet change, or not. */
export interface Look {
  readonly verdict: Verdict
  readonly isFinal: boolean
}

export const final = (verdict: Verdict): Look => ({ verdict, isFinal: true })
/** Not yet; when the time is up, this is what it was. */
export const waiting = (verdict: Verdict): Look => ({ verdict, isFinal: false })

export const BETWEEN_LOOKS_MS = 150

/** Looks until the verdict is final or the time is up. */
export async function watch(signal: AbortSignal, look: () => Promise<Look>): Promise<Verdict> {
  let last = await look()
  while (!last.isFinal && !signal.aborted) {
    await pause(BETWEEN_LOOKS_MS, undefined, { signal }).catch(() => {})
    if (signal.aborted) break
    const next = await look()
    // A look that was cut off knows less than the one before.
    if (signal.aborted) break
    last = next
  }
  return last.verdict
}

export const addressOf = ({ addresses }: Examination, place: Exclude<keyof Addresses, 'collector'>) =>
  shown(addresses[place])
