/**
 * What a process that serves requests is made of, in the order in which a request flows. No stage knows another; they
 * meet in this file, in `compile.ts`, `flow.ts` and `forwarding.ts`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Bind, compile, type Snapshot } from './compile.ts'
import type { ReadText } from './compile-upstream.ts'
import type { Config } from './config/schema.ts'
import type { Settings } from './config/settings.ts'
import { FAULTS, type GatewayError } from './core/errors.ts'
import { beginExchange, type Exchange } from './core/exchange.ts'
import { newTraceId } from './core/trace-context.ts'
import { createFlows, type FlowEntry } from './flow.ts'
import type { Payload } from './forwarding.ts'
import { createLasting, type Lasting } from './lasting.ts'
import type { Handled } from './listen/server.ts'
import { askingOver, fetchingOver } from './mcp/fetch-url.ts'
import { createMcp, type Mcp } from './mcp/runtime.ts'
import { accessLogOf, arrivingOf, createObserving, labelsOf } from './observing.ts'
import { accessLogLine } from './telemetry/access-log.ts'
import type { Logger } from './telemetry/logger.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import { createTracer } from './telemetry/otlp.ts'
import { startProcessMetrics } from './telemetry/process-metrics.ts'
import type { Registry } from './telemetry/registry.ts'
import { neverSample, traceContextFor } from './telemetry/sampling.ts'
import { type TracingSettings, tracingSettings } from './telemetry/tracing-settings.ts'
import type { Seen } from './telemetry/variables.ts'
import { createTelling } from './telling.ts'
import { createUpstreams } from './upstream/client.ts'
import { createEstimator } from './usage/estimate.ts'
import { createPricing, type Pricing } from './usage/price.ts'
import { type CountingLink, countedElsewhere, countFor } from './workers/counting.ts'
import { createOnward, type Onward } from './workers/onward.ts'
import type { Received, ReceptionAddress } from './workers/reception.ts'

export interface LineSink {
  /** A whole line, newline included; never blocks. */
  readonly write: (line: string) => void
  /** False when the deadline came first. */
  readonly flush: (timeoutMs: number) => Promise<boolean>
}

export interface DataPlaneOptions {
  readonly config: Config
  readonly settings: Settings
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly version: string
  readonly readText: ReadText
  readonly logger: Logger
  /** Where access lines go, beside the application's log. */
  readonly accessLog: Pick<LineSink, 'write'>
  readonly registry: Registry
  readonly metrics: Metrics
  /** Where what all share lives, when this is a worker. */
  readonly primary?: Primary | undefined
  /** Undefined: requests are not kept. */
  readonly keep: ((exchange: Exchange, payload: Payload | undefined) => void) | undefined
}

/** What a worker knows of the process that counts for it and has the sessions of MCP. */
export interface Primary {
  readonly link: CountingLink
  readonly reception: ReceptionAddress
}

/** A configuration that can be put to use. */
export interface Next {
  readonly config: Config
  /** What was read of the files that it names. */
  readonly files: ReadonlyMap<string, string>
  readonly binds: readonly Bind[]
  readonly adopt: () => void
}

export interface DataPlane {
  /** The configuration that it was made with. Throws `ConfigProblem` on what only shows when it is put to use. */
  readonly initial: () => Next
  /** Throws `ConfigProblem`; until it is adopted nothing has changed. */
  readonly prepare: (config: Config) => Next
  readonly begin: (request: IncomingMessage, response: ServerResponse, entry: FlowEntry) => Handled
  /** A connection that sent no request: there is no exchange yet, and the record must not lack it. */
  readonly refused: (fault: GatewayError, socket: Socket, entry: FlowEntry) => void
  readonly connected: (socket: Socket, entry: Pick<FlowEntry, 'bind' | 'scheme'>) => void
  /** From here on what a worker's requests take of limits and budgets is counted here. */
  readonly countFor: (link: CountingLink) => void
  /** A request that a worker passes on. */
  readonly receive: (request: IncomingMessage, response: ServerResponse, received: Received) => void
  /** Told after each request. */
  readonly onFinished: (take: (isDraining: boolean) => void) => void
  readonly isDraining: () => boolean
  /** Nothing new from here on, but for those whom nobody has told yet; what is under way may end, the rest is cut. */
  readonly drain: (doors: Doors) => Promise<void>
  readonly close: () => Promise<void>
  /** Log and store are told of all requests that have finished. */
  readonly tell: () => void

  readonly config: () => Config
  readonly binds: () => readonly Bind[]
  readonly pricing: () => Pricing
  readonly tracing: () => TracingSettings | undefined
  readonly budgets: Lasting['budgets']
  readonly hasBudgets: () => boolean
  readonly mcp: Mcp
}

/** Where clients come in. */
export interface Doors {
  readonly stop: () => void
  readonly destroy: () => Promise<void>
}

/** What telemetry gets at the end to reach its collector. */
export const FLUSH_MS = 2000
/** What requests that are cut at the end get to be told so and recorded. */
const CUT_MS = 1000

const familyOf = (lookup: Settings['dnsLookupFamily']) =>
  lookup === 'V4Only' ? 4 : lookup === 'V6Only' ? 6 : undefined

/** The metrics of a process, with the labels that the configuration adds. */
export function metricsOf(
  config: Config,
  { registry, version, logger }: Pick<DataPlaneOptions, 'registry' | 'version' | 'logger'>,
): Metrics {
  return createMetrics({
    registry,
    version,
    removed: config.config?.metrics?.remove,
    addedLabels: Object.keys(labelsOf(config)),
    onLabelOverflow: (label, maxValues) =>
      logger.warn('metrics', 'a label has more values than it may: further ones read _overflow', {
        label,
        maxValues,
      }),
  })
}

/** Remembers what it reads. */
function reading(read: ReadText): {
  readonly files: ReadonlyMap<string, string>
  readonly readText: ReadText
} {
  const files = new Map<string, string>()
  return {
    files,
    readText(path) {
      const text = read(path)
      files.set(path, text)
      return text
    },
  }
}

/** Throws `ConfigProblem`. */
export function createDataPlane(options: DataPlaneOptions): DataPlane {
  const { settings, logger, environment, version, registry, metrics, keep, primary } = options
  let { config } = options
  // 7 telemetry first: every stage below reports to it.
  let labels = labelsOf(config)
  const counted = createLasting(
    { fetch: (...args) => fetch(...args), ask: (...args) => ask(...args), now: Date.now },
    (group, backend) => ({
      up: () => metrics.backendUp(group, backend),
      evicted: () => metrics.backendEvicted(group, backend),
      gone: () => metrics.backendGone(group, backend),
    }),
    {
      watch: (name, unit) => ({
        limited: (limit) => metrics.budgetLimited(name, unit, limit),
        spent: (amount) => metrics.budgetSpent(name, unit, amount),
        used: (amount) => metrics.budgetUsed(name, unit, amount),
        exceeded(action, key, isFirst) {
          metrics.budgetExceeded(name, action)
          if (action === 'warn' && isFirst)
            logger.warn('budgets', 'a budget is spent, and requests go on', { budget: name, key })
        },
        gone: () => metrics.budgetGone(name, unit),
      }),
      onProblem(problem) {
        if (problem === undefined) logger.info('budgets', 'what budgets spend is kept again')
        else
          logger.warn('budgets', 'what budgets spend is counted in memory until it can be kept', { problem })
      },
    },
  )
  const lasting: Lasting = primary === undefined ? counted : { ...counted, ...countedElsewhere(primary.link) }
  const firstReading = reading(options.readText)
  let snapshot = compile(config, firstReading.readText, lasting)

  const processMetrics = startProcessMetrics(registry)
  const tracingOf = ({ config: own, frontendPolicies }: Config) =>
    tracingSettings(own?.tracing, frontendPolicies?.tracing, environment)
  let tracing = tracingOf(config)
  const observingOf = (next: Config, nextTracing: TracingSettings | undefined) =>
    createObserving(next, nextTracing, {
      labels,
      onFailed: (place, problem) =>
        logger.debug('telemetry', 'an expression has no value', { place, problem }),
    })
  let observing = observingOf(config, tracing)
  const tracer =
    tracing &&
    createTracer(tracing, {
      version,
      onDropped: (count) => metrics.telemetryDropped('traces', count),
      log: (message) => logger.warn('tracing', message),
    })
  const lineOf = accessLogLine(settings.logFormat)
  const telling = createTelling({
    log: (exchange, change) => options.accessLog.write(lineOf(exchange, change)),
    keep: (exchange, payload) => keep?.(exchange, payload),
  })

  // 6 usage.
  const estimator = createEstimator()
  let pricing = createPricing(snapshot.catalogs)

  // 5 upstream.
  const upstreams = createUpstreams({
    connectTimeoutMs: settings.upstream.connectTimeoutMs,
    poolIdleMs: settings.upstream.poolIdleTimeoutMs,
    poolMaxSize: settings.upstream.poolMaxSize,
    keepAlive: {
      enabled: settings.upstream.keepalives.enabled,
      initialDelayMs: settings.upstream.keepalives.timeMs,
    },
    family: familyOf(settings.dnsLookupFamily),
    onConnected: (transport, seconds) => metrics.upstreamConnected(transport, seconds),
  })

  const ask = askingOver(upstreams)
  const fetch = fetchingOver(ask)

  // 4 MCP.
  const mcp = createMcp({
    upstreams,
    version,
    environment,
    readText: options.readText,
    fetch,
    sessionTtlMs: settings.mcp.sessionTtlMs,
    maxSessions: settings.mcp.maxSessions,
    maxBytes: settings.maxBufferSize,
    now: () => performance.now(),
    random: Math.random,
    events: {
      sessions: metrics.mcpSessions,
      target: metrics.mcpTarget,
      targetGone: metrics.mcpTargetGone,
      restarted: metrics.mcpRestarted,
      log: (level, message, fields) => logger[level]('mcp', message, fields),
      unexpected: (error) =>
        logger.error('mcp', 'internal error', {
          error: error instanceof Error ? error : new Error(String(error)),
        }),
    },
  })

  const prepareMcp = (sources: Snapshot['mcp']) => mcp.prepare(primary === undefined ? sources : [])
  const onward =
    primary &&
    createOnward(primary.reception, {
      onFailed: (error) => logger.error('workers', 'the primary process does not answer', { error }),
    })

  // 1-5 the request's way.
  let draining = false
  let inFlight = 0
  let idle: (() => void) | undefined
  let onFinished = (_isDraining: boolean) => {}

  /** Prompts and completions are kept with their requests: as the configuration says now, not as it did at the start. */
  const keepsPayloads = () => keep !== undefined && accessLogOf(config).database?.llm === 'full'

  function finished(exchange: Exchange, payload?: Payload, flow?: { readonly seen: Seen }): void {
    const view = observing.view?.(exchange, () => flow?.seen)
    view?.identify()
    metrics.finished(exchange, view?.labels())
    const isLogged = logger.isEnabled('request', 'info') && view?.isLogged() !== false
    const isKept = keep !== undefined && view?.isKept() !== false
    if (isKept) view?.keep()
    if (isLogged || isKept) {
      const change = isLogged ? view?.line() : undefined
      telling.add({ exchange, isLogged, change, isKept, payload: keepsPayloads() ? payload : undefined })
    }
    if (exchange.trace.sampled && view?.isTraced() !== false) tracer?.export(exchange, view?.span)
    ended()
  }

  function ended(): void {
    inFlight--
    onFinished(draining)
    if (draining && inFlight === 0) idle?.()
  }

  function passOn(
    { pass }: Onward,
    request: IncomingMessage,
    response: ServerResponse,
    { bind, scheme, isClosing }: FlowEntry,
  ): Handled {
    inFlight++
    const isLast = () => isClosing || draining
    return pass(
      request,
      response,
      { bind: bind.name, place: snapshot.binds.indexOf(bind), scheme, isLast },
      ended,
    )
  }

  const adopted = Promise.withResolvers<void>()
  function adoptFirst(prepared: ReturnType<typeof prepareMcp>): void {
    mcp.adopt(prepared)
    adopted.resolve()
  }

  /** As configured now: one that is gone has no listeners. */
  function bindOf({ bind: name, place }: Received): Bind {
    const isIt = (bind: Bind | undefined) => bind?.name === name
    const placed = snapshot.binds[place]
    return (isIt(placed) ? placed : snapshot.binds.find(isIt)) ?? { name, port: 0, listeners: [] }
  }

  /** Resolves once nothing is in flight, or when the time is over. */
  async function idleWithin(milliseconds: number): Promise<void> {
    if (inFlight === 0) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      idle = resolve
      timer = setTimeout(resolve, milliseconds)
    })
    clearTimeout(timer)
  }

  const flows = createFlows({
    upstreams,
    handOver: onward && ((request, response, entry) => passOn(onward, request, response, entry)),
    serveMcp: mcp.serve,
    traceContextFor: (traceparent, tracestate, request, origin) =>
      traceContextFor(
        typeof traceparent === 'string' ? traceparent : undefined,
        typeof tracestate === 'string' ? tracestate : undefined,
        observing.sample,
        () => arrivingOf(request, observing.isHidden, origin),
      ),
    pricing: () => pricing,
    countTokens: estimator.count,
    maxBodyBytes: () => settings.maxBufferSize,
    relay: {
      now: () => performance.now(),
      epochSeconds: () => Math.floor(Date.now() / 1000),
      newId: newTraceId,
      maxBytes: settings.maxBufferSize,
    },
    draining: () => draining,
    keepsPayloads,
    readsResponseHeaders: () => observing.readsResponseHeaders,
    started: () => {
      inFlight++
      metrics.started()
    },
    finished,
    debug: (message, fields) => logger.debug('llm', message, fields),
    unexpected: (error) =>
      logger.error('gateway', 'internal error', {
        error: error instanceof Error ? error : new Error(String(error)),
      }),
    random: Math.random,
  })

  function refused(fault: GatewayError, socket: Socket, { bind, scheme }: FlowEntry): void {
    const exchange = beginExchange({
      trace: traceContextFor(undefined, undefined, neverSample),
      clientAddress: socket.remoteAddress ?? '',
      method: 'unknown',
      host: '',
      path: '',
      query: '',
      httpVersion: '1.1',
      scheme,
      userAgent: undefined,
      bind: bind.name,
    })
    inFlight++
    metrics.started()
    const { outcome, errorType, reason, status } = FAULTS[fault.code]
    Object.assign(exchange, {
      outcome,
      errorType,
      reason,
      status,
      errorMessage: fault.message,
      endedAt: performance.now(),
    })
    finished(exchange)
  }

  function adopt(next: Snapshot, nextConfig: Config, nextTracing: TracingSettings | undefined): void {
    snapshot = next
    config = nextConfig
    // Where they go is settled at the start, and whether they go anywhere.
    if (tracing !== undefined && nextTracing !== undefined) {
      const { sampling, attributes, remove, filter } = nextTracing
      tracing = { ...tracing, sampling, attributes, remove, filter }
    }
    const nextLabels = labelsOf(config)
    labels = Object.fromEntries(Object.entries(labels).map(([name, old]) => [name, nextLabels[name] ?? old]))
    observing = observingOf(config, tracing)
    pricing = createPricing(next.catalogs)
    upstreams.retain(next.targets)
    lasting.limits.adopt()
    lasting.healths.retain(next.healths)
    lasting.budgets.retain(next.budgets)
  }

  return {
    initial() {
      const prepared = prepareMcp(snapshot.mcp)
      return { config, files: firstReading.files, binds: snapshot.binds, adopt: () => adoptFirst(prepared) }
    },
    prepare(nextConfig) {
      const { files, readText } = reading(options.readText)
      const next = compile(nextConfig, readText, lasting)
      const nextTracing = tracingOf(nextConfig)
      const prepared = prepareMcp(next.mcp)
      return {
        config: nextConfig,
        files,
        binds: next.binds,
        adopt() {
          adopt(next, nextConfig, nextTracing)
          mcp.adopt(prepared)
        },
      }
    },
    begin: flows.begin,
    countFor: (link) => countFor(link, counted),
    receive(request, response, received) {
      const { origin } = received
      // Workers may be there before all of this process is.
      void adopted.promise.then(() => {
        if (response.destroyed) return
        flows.begin(request, response, {
          bind: bindOf(received),
          scheme: origin.scheme,
          isClosing: false,
          origin,
        })
      })
    },
    refused,
    connected(socket, { bind, scheme }) {
      const connection = { bind: bind.name, listener: undefined, protocol: scheme } as const
      metrics.connectionOpened(connection)
      socket.on('close', () => metrics.connectionClosed(connection))
    },
    onFinished(take) {
      onFinished = take
    },
    isDraining: () => draining,
    async drain(doors) {
      draining = true
      mcp.drain()
      const { connectionMinTerminationDeadlineMs: min, connectionTerminationDeadlineMs: max } = settings
      // New requests are still taken for a while, so that whoever routes here can learn that it ends.
      if (min > 0) await new Promise((resolve) => setTimeout(resolve, min))
      doors.stop()
      await idleWithin(Math.max(0, max - min))
      flows.cutAll()
      // What was cut is told to its client, and owes its record: an estimate of its tokens takes a moment.
      await idleWithin(CUT_MS)
      await doors.destroy()
      await idleWithin(CUT_MS)
    },
    async close() {
      onward?.close()
      await mcp.close()
      await tracer?.close(FLUSH_MS)
      await lasting.budgets.close()
      await upstreams.close()
      await estimator.close()
      await lasting.close()
      processMetrics.close()
      telling.flush()
    },
    tell: telling.flush,

    config: () => config,
    binds: () => snapshot.binds,
    pricing: () => pricing,
    tracing: () => tracing,
    budgets: lasting.budgets,
    hasBudgets: () => snapshot.budgets.length > 0,
    mcp,
  }
}
