/**
 * The composition root: everything is made here and handed to whom it concerns, in the order in which a request
 * flows. No stage knows another; they meet in this file, in `compile.ts`, `flow.ts` and `forwarding.ts`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type AdminSources, openSideServers, type SideServers } from './admin/servers.ts'
import { adminPort, adminTokenFor, type Reload } from './admin-port.ts'
import { type Bind, compile, type Snapshot } from './compile.ts'
import type { ReadText } from './compile-upstream.ts'
import type { Config } from './config/schema.ts'
import type { Settings } from './config/settings.ts'
import { staticChanges } from './config/static-changes.ts'
import { FAULTS, type GatewayError } from './core/errors.ts'
import { beginExchange, type Exchange } from './core/exchange.ts'
import { newTraceId } from './core/trace-context.ts'
import { createFlows } from './flow.ts'
import type { Payload } from './forwarding.ts'
import { startKeeping } from './keeping.ts'
import { createLasting } from './lasting.ts'
import { type ListeningServer, listen, type TlsListener } from './listen/server.ts'
import { askingOver, fetchingOver } from './mcp/fetch-url.ts'
import { createMcp } from './mcp/runtime.ts'
import { accessLogOf, arrivingOf, createObserving, labelsOf } from './observing.ts'
import { createAccessLog } from './telemetry/access-log.ts'
import { CONTENT_TYPES, negotiateFormat, renderMetrics } from './telemetry/exposition.ts'
import type { Logger } from './telemetry/logger.ts'
import { createMetrics } from './telemetry/metrics.ts'
import { createTracer } from './telemetry/otlp.ts'
import { startProcessMetrics } from './telemetry/process-metrics.ts'
import { createRegistry } from './telemetry/registry.ts'
import { neverSample, traceContextFor } from './telemetry/sampling.ts'
import { type TracingSettings, tracingSettings } from './telemetry/tracing-settings.ts'
import type { Seen } from './telemetry/variables.ts'
import { createUpstreams } from './upstream/client.ts'
import { createEstimator } from './usage/estimate.ts'
import { createPricing } from './usage/price.ts'

export interface GatewayOptions {
  readonly config: Config
  readonly settings: Settings
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly version: string
  readonly readText: ReadText
  readonly logger: Logger
  /** Where access lines go, beside the application's log. */
  readonly accessLog: LineSink
  /** Where requests are kept unless the configuration says; `off` keeps nothing. */
  readonly databaseUrl: string
  /** The variable that led to it. */
  readonly databaseFrom?: string | undefined
  /** What the console tells of where the configuration comes from. */
  readonly source: string
  readonly isDemo?: boolean
}

export interface LineSink {
  /** A whole line, newline included; never blocks. */
  readonly write: (line: string) => void
  /** False when the deadline came first. */
  readonly flush: (timeoutMs: number) => Promise<boolean>
}

export interface GatewayPorts {
  /** By bind, in the configuration's order. */
  readonly binds: readonly number[]
  readonly admin: number | undefined
  readonly stats: number | undefined
  readonly readiness: number | undefined
}

export interface Gateway {
  readonly ports: () => GatewayPorts
  /** Takes the next configuration; throws `ConfigProblem`, and then nothing has changed. Static settings stay. */
  readonly reload: (config: Config) => Promise<void>
  /** A configuration that could not even be read: the running one stays, and gauge and console say so. */
  readonly reloadFailed: (problems: Reload['problems']) => void
  /** What the configuration's reader has to say beside it. */
  readonly warned: (warnings: readonly string[]) => void
  /** Readiness says no from here on; then nothing new is accepted, what is under way may end, the rest is cut. */
  readonly close: () => Promise<void>
  /** Lines that the log could not take. */
  readonly logDropped: (count: number) => void
}

interface OpenBind {
  bind: Bind
  /** Left out by a reload: what is under way may end. */
  isClosing: boolean
  readonly server: ListeningServer
}

function tlsListeners(bind: Bind): readonly TlsListener[] | undefined {
  const secure = bind.listeners.flatMap(({ tls, host }) =>
    tls === undefined ? [] : [{ ...tls, fits: host.fits }],
  )
  return secure.length === 0 ? undefined : secure
}

/** What telemetry gets at the end to reach its collector. */
const FLUSH_MS = 2000
/** What requests that are cut at the end get to be told so and recorded. */
const CUT_MS = 1000
/** Reloads that the console still knows. */
const KEPT_RELOADS = 50

const familyOf = (lookup: Settings['dnsLookupFamily']) =>
  lookup === 'V4Only' ? 4 : lookup === 'V6Only' ? 6 : undefined

/** Rejects with `ConfigProblem`, or with the system's error when a port cannot be had; then nothing is left open. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { settings, logger, environment, version } = options
  let { config } = options
  // 7 telemetry first: every stage below reports to it.
  const registry = createRegistry()
  let labels = labelsOf(config)
  const metrics = createMetrics({
    registry,
    version,
    removed: config.config?.metrics?.remove,
    addedLabels: Object.keys(labels),
    onLabelOverflow: (label, maxValues) =>
      logger.warn('metrics', 'a label has more values than it may: further ones read _overflow', {
        label,
        maxValues,
      }),
  })
  const lasting = createLasting(
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
  let snapshot = compile(config, options.readText, lasting)
  const adminToken = adminTokenFor(settings, options.readText)

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
  const keeping = await startKeeping({
    url: settings.database.url ?? options.databaseUrl,
    from: options.databaseFrom,
    settings: settings.database,
    registry,
    metrics,
    logger,
  })
  await lasting.budgets.keepIn(keeping.store)
  if (keeping.store === undefined && snapshot.budgets.length > 0)
    logger.warn('budgets', 'what budgets spend is counted in memory, and forgotten at the end')
  const accessLog = createAccessLog(settings.logFormat, options.accessLog)

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

  // 1-5 the request's way.
  let draining = false
  let inFlight = 0
  let idle: (() => void) | undefined
  const open = new Map<string, OpenBind>()
  /** Closed to new connections by a reload, and not done yet. */
  const retired = new Set<OpenBind>()

  /** Prompts and completions are kept with their requests: as the configuration says now, not as it did at the start. */
  const keepsPayloads = () => keeping.store !== undefined && accessLogOf(config).database?.llm === 'full'

  function finished(exchange: Exchange, payload?: Payload, flow?: { readonly seen: Seen }): void {
    const view = observing.view?.(exchange, () => flow?.seen)
    view?.identify()
    metrics.finished(exchange, view?.labels())
    if (logger.isEnabled('request', 'info') && view?.isLogged() !== false)
      accessLog.add(exchange, view?.line())
    if (exchange.trace.sampled && view?.isTraced() !== false) tracer?.export(exchange, view?.span)
    if (keeping.store !== undefined) view?.keep()
    keeping.finished(exchange, keepsPayloads() ? payload : undefined)
    inFlight--
    for (const { server } of retired) server.closeIdle()
    if (!draining) return
    for (const { server } of open.values()) server.closeIdle()
    if (inFlight === 0) idle?.()
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
    serveMcp: mcp.serve,
    traceContextFor: (traceparent, tracestate, request) =>
      traceContextFor(
        typeof traceparent === 'string' ? traceparent : undefined,
        typeof tracestate === 'string' ? tracestate : undefined,
        observing.sample,
        () => arrivingOf(request, observing.isHidden),
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

  /** A connection that sent no request: there is no exchange yet, and the record must not lack it. */
  function refused(entry: OpenBind, fault: GatewayError, socket: Socket, scheme: 'http' | 'https'): void {
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
      bind: entry.bind.name,
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

  async function openBind(bind: Bind): Promise<OpenBind> {
    const tls = tlsListeners(bind)
    const scheme = tls === undefined ? 'http' : 'https'
    let entry: OpenBind | undefined
    const server = await listen({
      host: settings.enableIpv6 ? undefined : '0.0.0.0',
      port: bind.port,
      tls,
      idleMs: settings.http1IdleTimeoutMs,
      onRequest(request: IncomingMessage, response: ServerResponse) {
        return flows.begin(request, response, {
          bind: entry?.bind ?? bind,
          scheme,
          isClosing: entry?.isClosing ?? false,
        })
      },
      onBadRequest(fault, socket) {
        if (entry !== undefined) refused(entry, fault, socket as Socket, scheme)
      },
      onConnection(socket) {
        const connection = { bind: bind.name, listener: undefined, protocol: scheme } as const
        metrics.connectionOpened(connection)
        socket.on('close', () => metrics.connectionClosed(connection))
      },
    })
    entry = { bind, server, isClosing: false }
    return entry
  }

  /** Ports with number 0 are told apart by their place. */
  const keysOf = (binds: readonly Bind[]) =>
    binds.map(
      (bind, index) =>
        `${bind.port === 0 ? `#${index}` : bind.port}${tlsListeners(bind) === undefined ? '' : ' tls'}`,
    )

  function retire(key: string, entry: OpenBind): void {
    open.delete(key)
    retired.add(entry)
    entry.isClosing = true
    entry.server.stop()
    entry.server.closed.then(() => retired.delete(entry))
  }

  /** Opens what is new before it closes what is gone; a port that cannot be had leaves everything as it was. */
  async function applyBinds(binds: readonly Bind[]): Promise<void> {
    const keys = keysOf(binds)
    const isGone = (key: string) => !keys.includes(key)
    const added: [string, OpenBind][] = []
    try {
      for (const [index, bind] of binds.entries()) {
        const key = keys[index] ?? ''
        if (open.has(key)) continue
        // The same port with or without TLS: the one has to go before the other can come.
        for (const [oldKey, old] of open)
          if (old.bind.port === bind.port && isGone(oldKey)) retire(oldKey, old)
        added.push([key, await openBind(bind)])
      }
    } catch (error) {
      for (const [, { server }] of added) server.stop()
      throw error
    }
    for (const [index, bind] of binds.entries()) {
      const known = open.get(keys[index] ?? '')
      if (known === undefined) continue
      known.bind = bind
      const tls = tlsListeners(bind)
      if (tls !== undefined) known.server.setTls(tls)
    }
    for (const [key, entry] of open) if (isGone(key)) retire(key, entry)
    for (const [key, entry] of added) open.set(key, entry)
  }

  if (adminToken.isNew)
    // In the message: a field of that name would be hidden, and nobody could sign in.
    logger.warn(
      'admin',
      `the admin port is open to other machines and asks them for a token: ${adminToken.token} until the next start`,
    )
  let warnings: readonly string[] = []
  const reloads: Reload[] = []
  function reloaded(result: Reload['result'], problems: Reload['problems']): void {
    metrics.configReloaded(result)
    reloads.unshift({ at: Date.now(), result, problems })
    reloads.splice(KEPT_RELOADS)
  }

  let waitsForRestart = ''
  /** What the configuration says of static settings that differ from those that run. In the log once, not at every reload. */
  function afterRestart(next: Config): Reload['problems'] {
    const paths = staticChanges(options.config, next)
    const keys = paths.join(', ')
    if (keys !== waitsForRestart && paths.length > 0)
      logger.warn('config', 'changed settings take effect at the next start only', { keys })
    waitsForRestart = keys
    return paths.map((path) => ({ path, message: 'changed, which takes effect at the next start only' }))
  }

  let side: SideServers | undefined
  const sources: AdminSources = {
    metrics(accept) {
      const format = negotiateFormat(accept)
      return { contentType: CONTENT_TYPES[format], pieces: renderMetrics(registry, format) }
    },
    notReady: () => (draining ? 'draining' : undefined),
    admin: adminPort({
      version,
      settings,
      token: adminToken.token,
      source: options.source,
      isDemo: options.isDemo ?? false,
      logger,
      registry,
      keeping,
      mcp,
      tracing: () => tracing,
      pricing: () => pricing,
      config: () => config,
      warnings: () => warnings,
      reloads: () => reloads,
      binds: () => {
        const keys = keysOf(snapshot.binds)
        return snapshot.binds.map((bind, index) => ({
          bind,
          port: open.get(keys[index] ?? '')?.server.port ?? 0,
          tls: tlsListeners(bind) !== undefined,
        }))
      },
      ports: () => side?.ports ?? {},
      requestsInFlight: () => inFlight,
    }),
  }

  async function closeEverything(side: SideServers | undefined): Promise<void> {
    await mcp.close()
    await tracer?.close(FLUSH_MS)
    await lasting.budgets.close()
    await keeping.close()
    await upstreams.close()
    await estimator.close()
    await lasting.close()
    await side?.close()
    processMetrics.close()
    accessLog.flush()
    await options.accessLog.flush(FLUSH_MS)
  }

  // 8 admin.
  try {
    const prepared = mcp.prepare(snapshot.mcp)
    side = await openSideServers(
      { admin: settings.adminAddr, stats: settings.statsAddr, readiness: settings.readinessAddr },
      sources,
    )
    await applyBinds(snapshot.binds)
    mcp.adopt(prepared)
  } catch (error) {
    await closeEverything(side)
    throw error
  }
  metrics.configLoaded()

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
    ports: () => ({
      binds: keysOf(snapshot.binds).map((key) => open.get(key)?.server.port ?? 0),
      admin: side.ports.admin,
      stats: side.ports.stats,
      readiness: side.ports.readiness,
    }),
    async reload(nextConfig) {
      const next = compile(nextConfig, options.readText, lasting)
      const nextTracing = tracingOf(nextConfig)
      const prepared = mcp.prepare(next.mcp)
      await lasting.budgets.keep()
      await applyBinds(next.binds)
      adopt(next, nextConfig, nextTracing)
      mcp.adopt(prepared)
      // What is kept of windows that are others now.
      await lasting.budgets.keep()
      reloaded('success', afterRestart(nextConfig))
    },
    reloadFailed: (problems) => reloaded('failure', problems),
    warned(next) {
      warnings = next
    },
    logDropped: (count) => metrics.telemetryDropped('logs', count),
    async close() {
      draining = true
      mcp.drain()
      const { connectionMinTerminationDeadlineMs: min, connectionTerminationDeadlineMs: max } = settings
      // New requests are still taken for a while, so that whoever routes here can learn that it ends.
      if (min > 0) await new Promise((resolve) => setTimeout(resolve, min))
      for (const { server } of open.values()) server.stop()
      await idleWithin(Math.max(0, max - min))
      flows.cutAll()
      // What was cut is told to its client, and owes its record: an estimate of its tokens takes a moment.
      await idleWithin(CUT_MS)
      const all = [...open.values(), ...retired]
      for (const { server } of all) server.destroy()
      await Promise.all(all.map(({ server }) => server.closed))
      await idleWithin(CUT_MS)
      await closeEverything(side)
    },
  }
}
