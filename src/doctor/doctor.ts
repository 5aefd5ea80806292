/**
 * Sends one marked request through the gateway and follows it, hop by hop, to where people look at it.
 *
 * Knows no process and prints nothing. A hop never ends the run: what it cannot explain is its failure.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { newTraceId } from '../core/trace-context.ts'
import { cleaner } from './clean.ts'
import { collectorHop, identifyCollector } from './collector.ts'
import { collectorCounters } from './collector-counters.ts'
import { consoleHop } from './console.ts'
import { BETWEEN_LOOKS_MS, type Examination, isExpected, type Keys, type Seen } from './examination.ts'
import { scrape } from './exposition.ts'
import { grafanaHop, identifyGrafana } from './grafana.ts'
import {
  type Addresses,
  failed,
  HOPS,
  type HopName,
  type HopResult,
  STACK,
  type StackPlace,
  skipped,
  type Verdict,
} from './hops.ts'
import { basic, createHttp, decoded, isFault, type Read } from './http.ts'
import { jaegerHop } from './jaeger.ts'
import { identifyJaeger } from './jaeger-trace.ts'
import { gatewayHop, providerHop } from './marked-request.ts'
import { metricsHop } from './metrics.ts'
import { identifyPrometheus, prometheusHop, scrapeIntervalMs } from './prometheus.ts'
import { prometheusOf } from './prometheus-api.ts'

export interface DoctorOptions {
  readonly addresses: Addresses
  /** Those of them that were asked for: what is missing there is broken. */
  readonly named: ReadonlySet<string>
  readonly skip: ReadonlySet<HopName>
  readonly model: string | undefined
  /** For each hop. Undefined: half a minute, and for Prometheus as long as its scrapes are apart. */
  readonly timeoutMs: number | undefined
  /** How long a part that should be there and is not may take to start. */
  readonly startingMs?: number
  readonly keys: Keys
  readonly grafana: { readonly user: string; readonly password: string }
  /** Of a console that asks for one. */
  readonly adminToken?: string
  readonly version: string
  readonly now?: () => number
  /** Ends the run between two hops, and the wait of the one it is at. */
  readonly signal?: AbortSignal
  readonly onWait?: (hop: HopName) => void
}

export interface Run {
  readonly traceId: string
  /** One per hop, in the order of `HOPS`, as they come. */
  readonly results: AsyncGenerator<HopResult, void, undefined>
}

export function examine(options: DoctorOptions): Run {
  const examination = begin(options)
  return { traceId: examination.traceId, results: visit(examination, options) }
}

const USUAL_TIMEOUT_MS = 30_000
const USUAL_STARTING_MS = 10_000
const LONGEST_CONNECT_MS = 5000

function begin({ addresses, named, skip, now = Date.now, ...options }: DoctorOptions): Examination {
  const { keys, grafana, timeoutMs = USUAL_TIMEOUT_MS } = options
  const logins = Object.values(addresses).flatMap((address) => {
    const { username = '', password = '' } = URL.parse(address) ?? {}
    return password === ''
      ? []
      : [{ user: decoded(username), password: decoded(password), written: password }]
  })
  const clean = cleaner([
    ...[keys.openAI, keys.anthropic, grafana.password, options.adminToken],
    ...logins.flatMap(({ password, written }) => [password, written]),
    // As they are sent, for servers that repeat what they got.
    ...[grafana, ...logins].map(({ user, password }) => basic(user, password)),
  ])
  return {
    addresses,
    http: createHttp({ clean, connectMs: Math.min(timeoutMs, LONGEST_CONNECT_MS) }),
    clean,
    now,
    timeoutMs,
    userAgent: `agentgateway-doctor/${options.version}`,
    traceId: newTraceId(),
    keys,
    model: options.model,
    grafana,
    adminToken: options.adminToken,
    isSkipped: (hop) => skip.has(hop),
    isNamed: (hop) => named.has(hop),
    seen: nothingSeen(),
  }
}

const nothingSeen = (): Seen => ({
  present: new Set(),
  prometheusAheadMs: 0,
  scrapeIntervalMs: undefined,
  scrapeBefore: undefined,
  collectorBefore: undefined,
  markedAt: undefined,
  answer: undefined,
  counted: undefined,
  recorded: undefined,
  dropped: 0,
  accepted: undefined,
  collector: undefined,
})

type Hop = (examination: Examination, signal: AbortSignal) => Verdict | Promise<Verdict>

const VISITS: Readonly<Record<HopName, Hop>> = {
  gateway: gatewayHop,
  provider: providerHop,
  metrics: metricsHop,
  console: consoleHop,
  prometheus: prometheusHop,
  collector: collectorHop,
  jaeger: jaegerHop,
  grafana: grafanaHop,
}

async function* visit(examination: Examination, options: DoctorOptions): Run['results'] {
  const { http, now } = examination
  try {
    // What it could not see, the hops will say.
    await lookAround(examination, options).catch(() => {})
    for (const hop of HOPS) {
      options.signal?.throwIfAborted()
      if (options.skip.has(hop)) {
        yield { hop, ...skipped('left out, by --skip'), ms: 0 }
        continue
      }
      options.onWait?.(hop)
      const startedAt = now()
      const timeoutMs = limitOf(hop, examination, options)
      const verdict = await bounded({ ...options, timeoutMs }, async (signal) => {
        await arrival(hop, examination, AbortSignal.any([signal, startingLimit(timeoutMs, options)]))
        return VISITS[hop](examination, signal)
      }).catch((error) =>
        failed(
          `the doctor cannot make sense of it: ${examination.clean(String(error))}`,
          'please report this',
        ),
      )
      yield { hop, ...verdict, ms: Math.round(now() - startedAt) }
    }
  } finally {
    await http.close()
  }
}

/** Where nobody has said how long to wait, Prometheus may take the time until its next scrape. */
function limitOf(hop: HopName, { seen, timeoutMs }: Examination, options: DoctorOptions): number {
  if (hop !== 'prometheus' || options.timeoutMs !== undefined) return timeoutMs
  return Math.max(timeoutMs, (seen.scrapeIntervalMs ?? 0) + LONGEST_CONNECT_MS)
}

const startingLimit = (timeoutMs: number, { startingMs = USUAL_STARTING_MS }: DoctorOptions) =>
  AbortSignal.timeout(Math.min(startingMs, timeoutMs / 2))

/** Waits for a part of the stack that should be there and may just be starting. */
async function arrival(hop: HopName, examination: Examination, signal: AbortSignal): Promise<void> {
  const place = STACK.find((name) => name === hop)
  if (place === undefined || !isExpected(examination, place)) return
  while (!signal.aborted) {
    const reply = await IDENTIFY[place](examination, signal)
    if (!isFault(reply) || !['nothing', 'dropped'].includes(reply.fault)) return
    await pause(BETWEEN_LOOKS_MS, undefined, { signal }).catch(() => {})
  }
}

const bounded = async <T>(
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  act: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> =>
  act(AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])]))

const LONGEST_LOOK_MS = 3000

const IDENTIFY: Readonly<
  Record<StackPlace, (examination: Examination, signal: AbortSignal) => Promise<Read<unknown>>>
> = {
  prometheus: identifyPrometheus,
  collector: identifyCollector,
  jaeger: identifyJaeger,
  grafana: identifyGrafana,
}

/** Who is there, and what they have counted before the request. */
async function lookAround(examination: Examination, options: DoctorOptions): Promise<void> {
  const { isSkipped, seen } = examination
  const limits = { ...options, timeoutMs: Math.min(examination.timeoutMs, LONGEST_LOOK_MS) }
  await bounded(limits, async (signal) => {
    const wanted = STACK.filter((hop) => !isSkipped(hop))
    const [scraped, ...found] = await Promise.all([
      isSkipped('metrics') ? undefined : scrape(examination, signal),
      ...wanted.map((hop) => IDENTIFY[hop](examination, signal)),
    ])
    if (scraped !== undefined && !isFault(scraped)) seen.scrapeBefore = scraped.value
    seen.present = new Set(wanted.filter((_hop, index) => isThere(found[index])))
    if (!seen.present.has('prometheus')) return
    seen.prometheusAheadMs = await prometheusOf(examination, signal).aheadMs()
    seen.scrapeIntervalMs = await scrapeIntervalMs(examination, signal)
    seen.collectorBefore = await collectorCounters(examination, signal)
  })
}

/** A refusal such as 401 or 503 is an answer of the real thing, too. */
const isThere = (reply: Read<unknown> | undefined) =>
  reply !== undefined && (!isFault(reply) || [401, 403, 503].includes(reply.status ?? 0))
