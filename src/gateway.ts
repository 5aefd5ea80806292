/**
 * A gateway: requests are served, kept and told of, and the configuration can be exchanged while it runs.
 *
 * With worker processes these serve requests, and this one does all the rest.
 */
import { type AdminSources, openSideServers, type SideServers } from './admin/servers.ts'
import { adminPort, adminTokenFor, type Reload } from './admin-port.ts'
import { keysOf, tlsListeners } from './binds.ts'
import type { ReadText } from './compile-upstream.ts'
import type { Config } from './config/schema.ts'
import type { Settings } from './config/settings.ts'
import { staticChanges } from './config/static-changes.ts'
import { createDataPlane, type DataPlane, FLUSH_MS, type LineSink, metricsOf } from './data-plane.ts'
import { type Entrance, ownEntrance } from './entrance.ts'
import { startKeeping } from './keeping.ts'
import { CONTENT_TYPES, negotiateFormat, renderMetrics } from './telemetry/exposition.ts'
import type { Logger } from './telemetry/logger.ts'
import { createRegistry } from './telemetry/registry.ts'
import { createWorkers, type WorkersChoice } from './workers/primary.ts'

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
  /** Undefined: this process serves requests by itself. */
  readonly workers?: WorkersChoice | undefined
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

/** Reloads that the console still knows. */
const KEPT_RELOADS = 50

/** Rejects with `ConfigProblem`, or with the system's error when a port cannot be had; then nothing is left open. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { settings, logger, version, environment, config } = options
  const adminToken = adminTokenFor(settings, options.readText)
  const registry = createRegistry()
  const metrics = metricsOf(config, { registry, version, logger })
  const keeping = await startKeeping({
    url: settings.database.url ?? options.databaseUrl,
    from: options.databaseFrom,
    settings: settings.database,
    registry,
    metrics,
    logger,
  })
  let plane: DataPlane
  try {
    plane = createDataPlane({
      ...options,
      registry,
      metrics,
      keep: keeping.store && keeping.finished,
    })
  } catch (error) {
    await keeping.close()
    throw error
  }
  await plane.budgets.keepIn(keeping.store)
  if (keeping.store === undefined && plane.hasBudgets())
    logger.warn('budgets', 'what budgets spend is counted in memory, and forgotten at the end')
  const { workers } = options
  const entrance =
    workers === undefined
      ? ownEntrance(plane, settings)
      : createWorkers({
          ...workers,
          plane,
          settings,
          environment,
          version,
          registry,
          metrics,
          logger,
          keeping,
        })

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
    refresh: entrance.refresh,
    metrics(accept) {
      const format = negotiateFormat(accept)
      return { contentType: CONTENT_TYPES[format], pieces: renderMetrics(registry, format) }
    },
    notReady: () => (plane.isDraining() ? 'draining' : entrance.notReady()),
    admin: adminPort({
      version,
      settings,
      token: adminToken.token,
      source: options.source,
      isDemo: options.isDemo ?? false,
      logger,
      registry,
      keeping,
      mcp: plane.mcp,
      tracing: plane.tracing,
      pricing: plane.pricing,
      config: plane.config,
      warnings: () => warnings,
      reloads: () => reloads,
      binds: () =>
        portsOf(plane, entrance).map(({ bind, port }) => ({
          bind,
          port,
          tls: tlsListeners(bind) !== undefined,
        })),
      ports: () => side?.ports ?? {},
      requestsInFlight: metrics.requestsInFlight,
    }),
  }

  async function closeEverything(): Promise<void> {
    await plane.close()
    await keeping.close()
    await side?.close()
    await options.accessLog.flush(FLUSH_MS)
  }

  // 8 admin.
  try {
    const initial = plane.initial()
    side = await openSideServers(
      { admin: settings.adminAddr, stats: settings.statsAddr, readiness: settings.readinessAddr },
      sources,
    )
    const opened = await entrance.prepare(initial)
    await opened.adopt()
    initial.adopt()
  } catch (error) {
    await closeEverything()
    throw error
  }
  metrics.configLoaded()
  const { ports } = side

  return {
    ports: () => ({
      binds: portsOf(plane, entrance).map(({ port }) => port),
      admin: ports.admin,
      stats: ports.stats,
      readiness: ports.readiness,
    }),
    async reload(nextConfig) {
      const next = plane.prepare(nextConfig)
      await plane.budgets.keep()
      const opened = await entrance.prepare(next)
      // Before workers, who pass on what is new to this process and ask it.
      next.adopt()
      await opened.adopt()
      // What is kept of windows that are others now.
      await plane.budgets.keep()
      reloaded('success', afterRestart(nextConfig))
    },
    reloadFailed: (problems) => reloaded('failure', problems),
    warned(next) {
      warnings = next
    },
    logDropped: (count) => metrics.telemetryDropped('logs', count),
    async close() {
      await entrance.drain()
      await closeEverything()
    },
  }
}

function portsOf(plane: DataPlane, entrance: Entrance) {
  const binds = plane.binds()
  const keys = keysOf(binds)
  const ports = entrance.ports()
  return binds.map((bind, index) => ({ bind, port: ports[keys[index] ?? ''] ?? 0 }))
}
