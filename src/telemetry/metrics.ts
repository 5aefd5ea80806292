/**
 * What happened, told to the metrics: one method per event, the finished Exchange being the one that matters.
 *
 * `finished` runs for every request and allocates next to nothing (numbers in docs/metrics.md).
 */
import type { Exchange, LlmFacts, Protocol } from '../core/exchange.ts'
import type { Usage } from '../core/usage.ts'
import { type Families, registerFamilies } from './metrics-families.ts'
import { observeMcp } from './metrics-mcp.ts'
import { type LlmSeries, type RequestSeries, requestSeries, UNKNOWN } from './metrics-series.ts'
import { OVERFLOW, type Registry, toLabelValue } from './registry.ts'

const CALL_SUBTYPES = { http: 'Http', llm: 'Llm', mcp: 'Mcp', tcp: 'Tcp' } as const satisfies Record<
  Protocol,
  string
>
const SIGNALS = ['traces', 'logs', 'metrics', 'requests'] as const
export type Signal = (typeof SIGNALS)[number]

/** How a worker process ended: by itself, by a signal, because it did not answer, or before it could serve. */
const WORKER_ENDS = ['exit', 'signal', 'unresponsive', 'start'] as const
export type WorkerEnd = (typeof WORKER_ENDS)[number]

/** A client's connection: what is known of it when it opens. */
export interface Connection {
  readonly bind: string
  readonly listener: string | undefined
  readonly protocol: 'http' | 'https' | 'tcp' | 'tls'
}

export interface MetricsOptions {
  readonly registry: Registry
  readonly version: string
  /** `config.metrics.remove`. */
  readonly removed?: readonly string[]
  /** Names of labels that the configuration adds to what is told of requests. */
  readonly addedLabels?: readonly string[]
  /** Told once for each of them that has more values than it may. */
  readonly onLabelOverflow?: (label: string, maxValues: number) => void
}

/** Of one added label, for the life of the process; further ones read `_overflow`. */
const MAX_LABEL_VALUES = 100

export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics(options: MetricsOptions) {
  const { registry, version, removed = [], addedLabels = [], onLabelOverflow = () => {} } = options
  registry.hide(removed)
  const families = registerFamilies(registry, version, addedLabels)
  const requests = requestSeries(families, addedLabels)
  const unknownLabels = addedLabels.map(() => UNKNOWN)
  const bounded = addedLabels.map((label) =>
    boundedValues(MAX_LABEL_VALUES, (isFirst) => {
      families.labelOverflow.child(label).inc()
      if (isFirst) onLabelOverflow(label, MAX_LABEL_VALUES)
    }),
  )
  const connectionValues = ({ bind, listener = UNKNOWN, protocol }: Connection) =>
    [bind, listener, protocol] as const

  // A counter that is absent until its first event hides that event from rate().
  for (const signal of SIGNALS) families.telemetryDropped.child(signal)
  for (const result of ['success', 'failure']) families.configReloads.child(result)
  const inFlight = families.requestsInFlight.child()

  return {
    started(): void {
      inFlight.add(1)
    },
    /** Once per `started`, when the exchange will not change any more; with values of the added labels. */
    finished(exchange: Exchange, values?: readonly (string | undefined)[]): void {
      inFlight.add(-1)
      const added =
        values === undefined ? unknownLabels : bounded.map((labelOf, index) => labelOf(values[index]))
      const series = requests(exchange, added)
      observeRequest(families, series, exchange)
      observeProcessing(families, series, exchange)
      observeAttempts(families, exchange)
      if (exchange.mcp !== undefined) observeMcp(families, exchange, added)
      const { llm } = exchange
      for (const { phase, action, guard } of llm?.guards ?? [])
        families.guardChecks.child(phase, action, guard).inc()
      if (llm !== undefined && isTold(exchange, llm)) observeLlm(families, series.llm(llm), exchange, llm)
    },
    requestsInFlight: () => inFlight.current() ?? 0,
    connectionOpened(connection: Connection): void {
      const values = connectionValues(connection)
      families.connections.child(...values).inc()
      families.connectionsActive.child(...values).add(1)
    },
    connectionClosed(connection: Connection): void {
      families.connectionsActive.child(...connectionValues(connection)).add(-1)
    },
    /** A new connection to an upstream: every one, also those whose request was abandoned meanwhile. */
    upstreamConnected(transport: 'plaintext' | 'tls', seconds: number): void {
      families.upstreamConnect.child(transport).observe(seconds)
    },
    /** The configuration at start, which is no reload. */
    configLoaded(): void {
      families.configSynchronized.child().set(1)
    },
    configReloaded(result: 'success' | 'failure'): void {
      families.configSynchronized.child().set(result === 'success' ? 1 : 0)
      families.configReloads.child(result).inc()
    },
    /** Of one provider among several; told when it is first heard of, too. */
    backendUp(group: string, backend: string): void {
      families.backendUp.child(group, backend).set(1)
      // Born with the backend, so that rate() sees the first one.
      families.backendEvictions.child(group, backend)
    },
    backendEvicted(group: string, backend: string): void {
      families.backendUp.child(group, backend).set(0)
      families.backendEvictions.child(group, backend).inc()
    },
    backendGone(group: string, backend: string): void {
      families.backendUp.child(group, backend).withdraw()
    },
    budgetLimited(budget: string, unit: string, limit: number): void {
      families.budgetLimit.child(budget, unit).set(limit)
      // Born with the budget, so that rate() sees the first ones.
      families.budgetSpent.child(budget, unit)
      for (const action of ['refuse', 'warn']) families.budgetExceeded.child(budget, action)
    },
    budgetSpent(budget: string, unit: string, amount: number): void {
      families.budgetSpent.child(budget, unit).inc(amount)
    },
    budgetUsed(budget: string, unit: string, amount: number): void {
      families.budgetUsed.child(budget, unit).set(amount)
    },
    budgetExceeded(budget: string, action: string): void {
      families.budgetExceeded.child(budget, action).inc()
    },
    budgetGone(budget: string, unit: string): void {
      families.budgetLimit.child(budget, unit).withdraw()
      families.budgetUsed.child(budget, unit).withdraw()
    },
    mcpSessions(backend: string, change: 1 | -1): void {
      families.mcpSessions.child(backend).add(change)
    },
    mcpTarget(backend: string, server: string, isUp: boolean): void {
      families.mcpTargetUp.child(backend, server).set(isUp ? 1 : 0)
      // Born with the target, so that rate() sees the first one.
      families.mcpTargetRestarts.child(backend, server)
    },
    mcpTargetGone(backend: string, server: string): void {
      families.mcpTargetUp.child(backend, server).withdraw()
    },
    mcpRestarted(backend: string, server: string): void {
      families.mcpTargetRestarts.child(backend, server).inc()
    },
    /** Worker processes that serve. */
    workersServing(count: number): void {
      families.workers.child().set(count)
      // Born with the workers, so that rate() sees the first ones.
      for (const reason of WORKER_ENDS) families.workerRestarts.child(reason)
    },
    workerRestarted(reason: WorkerEnd): void {
      families.workerRestarts.child(reason).inc()
    },
    telemetryDropped(signal: Signal, count: number): void {
      families.telemetryDropped.child(signal).inc(count)
    },
  }
}

/** Every request has a value for each label: what is missing is unknown, what is too much has overflowed. */
function boundedValues(
  max: number,
  onOverflow: (isFirst: boolean) => void,
): (value: string | undefined) => string {
  const known = new Set<string>()
  let hasOverflowed = false
  return (value) => {
    if (value === undefined || value === '') return UNKNOWN
    const label = toLabelValue(value)
    if (known.has(label)) return label
    if (known.size < max) {
      known.add(label)
      return label
    }
    onOverflow(!hasOverflowed)
    hasOverflowed = true
    return OVERFLOW
  }
}

/** Neither what never reached a model, which would flatter the models, nor what passed through unread. */
function isTold(exchange: Exchange, llm: LlmFacts): boolean {
  return exchange.attempts.length > 0 && (llm.routeType !== 'passthrough' || llm.usage !== undefined)
}

const endOf = (exchange: Exchange) => exchange.endedAt ?? performance.now()
const durationMs = (exchange: Exchange) => endOf(exchange) - exchange.startedAt
const exemplarId = ({ trace }: Exchange) => (trace.sampled ? trace.traceId : undefined)

function observeRequest(families: Families, series: RequestSeries, exchange: Exchange): void {
  const { labels } = series
  const ms = durationMs(exchange)
  series.requests.inc()
  series.duration.observe(ms / 1000, exemplarId(exchange), exchange.startedAtEpochMs + ms)
  if (exchange.responseBytes > 0) {
    series.responseBytes ??= families.responseBytes.childOf(labels)
    series.responseBytes.inc(exchange.responseBytes)
  }
  if (exchange.attempts.length > 1) {
    series.retries ??= families.retries.childOf(labels)
    series.retries.inc(exchange.attempts.length - 1)
  }
}

/** Of exchanges that called an upstream: what the gateway answers by itself would flatter the overhead. */
function observeProcessing(families: Families, series: RequestSeries, exchange: Exchange): void {
  const { labels } = series
  const { requestProcessingMs, responseProcessingMs, chunkDelayCounts } = exchange
  if (requestProcessingMs !== undefined) {
    series.overhead ??= families.overhead.childOf(labels)
    series.overhead.observe((requestProcessingMs + responseProcessingMs) / 1000)
    series.requestProcessing ??= families.requestProcessing.childOf(labels)
    series.requestProcessing.observe(requestProcessingMs / 1000)
  }
  if (exchange.attempts.some((attempt) => attempt.headAt !== undefined)) {
    series.responseProcessing ??= families.responseProcessing.childOf(labels)
    series.responseProcessing.observe(responseProcessingMs / 1000)
  }
  if (chunkDelayCounts !== undefined) {
    series.chunkDelay ??= families.chunkDelay.childOf(labels)
    series.chunkDelay.merge(chunkDelayCounts, exchange.chunkDelaySumMs / 1000)
  }
  if (exchange.stalledMs > 0) {
    series.stalled ??= families.stalled.childOf(labels)
    series.stalled.inc(exchange.stalledMs / 1000)
  }
}

function observeAttempts(families: Families, exchange: Exchange): void {
  for (const { headAt, startedAt } of exchange.attempts) {
    if (headAt !== undefined) {
      const seconds = (headAt - startedAt) / 1000
      families.upstreamCall.child('Primary', CALL_SUBTYPES[exchange.protocol]).observe(seconds)
    }
  }
}

function observeLlm(families: Families, series: LlmSeries, exchange: Exchange, llm: LlmFacts): void {
  const { labels } = series
  const ms = durationMs(exchange)
  series.duration.observe(ms / 1000, exemplarId(exchange), exchange.startedAtEpochMs + ms)
  if (llm.operation === 'chat' || llm.operation === 'embeddings') {
    series.usageSource ??= families.usageSource.childOf(labels)
    series.usageSource.inc()
  }
  if (llm.costStatus !== undefined) {
    series.costLookups ??= families.costLookups.childOf(labels)
    series.costLookups.inc()
  }
  if (llm.cost !== undefined) {
    series.cost ??= families.cost.childOf(labels)
    series.cost.inc(llm.cost.total)
  }
  if (llm.usage !== undefined) observeTokens(families, series, exchange, llm.usage)
  if (llm.streaming && llm.firstTokenAt !== undefined) {
    observeTokenTimes(families, series, exchange, llm, llm.firstTokenAt)
  }
}

const tokenType = (type: string) => ({ gen_ai_token_type: type, token_type: type })

function observeTokens(families: Families, series: LlmSeries, exchange: Exchange, usage: Usage): void {
  const { labels } = series
  const traceId = exemplarId(exchange)
  const at = exchange.startedAtEpochMs + durationMs(exchange)
  series.input ??= families.tokenUsage.childOf({ ...labels, ...tokenType('input') })
  series.input.observe(usage.inputTokens, traceId, at)
  if (labels.gen_ai_operation_name !== 'embeddings') {
    series.output ??= families.tokenUsage.childOf({ ...labels, ...tokenType('output') })
    series.output.observe(usage.outputTokens, traceId, at)
  }
  if (usage.cacheReadTokens > 0) {
    series.cacheRead ??= families.tokenDetails.childOf({ ...labels, ...tokenType('input_cache_read') })
    series.cacheRead.inc(usage.cacheReadTokens)
  }
  if (usage.cacheWriteTokens > 0) {
    series.cacheWrite ??= families.tokenDetails.childOf({ ...labels, ...tokenType('input_cache_write') })
    series.cacheWrite.inc(usage.cacheWriteTokens)
  }
  if (usage.reasoningTokens > 0) {
    series.reasoning ??= families.tokenDetails.childOf({ ...labels, ...tokenType('output_reasoning') })
    series.reasoning.inc(usage.reasoningTokens)
  }
}

function observeTokenTimes(
  families: Families,
  series: LlmSeries,
  exchange: Exchange,
  llm: LlmFacts,
  firstTokenAt: number,
): void {
  const { labels } = series
  const at = exchange.startedAtEpochMs + (firstTokenAt - exchange.startedAt)
  series.timeToFirstToken ??= families.timeToFirstToken.childOf(labels)
  series.timeToFirstToken.observe((firstTokenAt - exchange.startedAt) / 1000, exemplarId(exchange), at)
  const tokens = llm.usage?.outputTokens ?? 0
  // A stream that was cut has reported only the tokens of its beginning: its time per token would be far too long.
  if (tokens > 0 && llm.usageSource !== 'partial') {
    series.timePerOutputToken ??= families.timePerOutputToken.childOf(labels)
    series.timePerOutputToken.observe((endOf(exchange) - firstTokenAt) / 1000 / tokens)
  }
}
