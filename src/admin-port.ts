/** What the admin port knows: everything that it tells is asked of the parts here, when somebody wants to know. */
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { createAccess, isLoopbackHost } from './admin/access.ts'
import { analyticsRoutes } from './admin/analytics-api.ts'
import type { ConfigState, McpState, Runtime } from './admin/api-types.ts'
import { consoleFiles } from './admin/console.ts'
import { gatewayRoutes } from './admin/gateway-api.ts'
import { ApiError, type Handler, text } from './admin/http.ts'
import { logsRoutes } from './admin/logs-api.ts'
import { overviewRoutes } from './admin/overview/overview.ts'
import { adminHandler, type Route } from './admin/routes.ts'
import { sessionRoutes, stateRoutes } from './admin/state-api.ts'
import { tracesRoutes } from './admin/traces-api.ts'
import type { Bind } from './compile.ts'
import { type ReadText, readAt } from './compile-upstream.ts'
import { redactConfig } from './config/redact.ts'
import type { Config } from './config/schema.ts'
import type { Settings } from './config/settings.ts'
import { ConfigProblem } from './core/config-problem.ts'
import type { Keeping } from './keeping.ts'
import type { Mcp } from './mcp/runtime.ts'
import type { Store } from './store/types.ts'
import { accessLogLine } from './telemetry/access-log.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Registry } from './telemetry/registry.ts'
import type { Share } from './telemetry/sampling.ts'
import { spansOf } from './telemetry/spans.ts'
import type { TracingSettings } from './telemetry/tracing-settings.ts'
import type { Pricing } from './usage/price.ts'

export interface Reload {
  readonly at: number
  readonly result: 'success' | 'failure'
  readonly problems: readonly { readonly place?: string; readonly path?: string; readonly message: string }[]
}

export interface AdminPortOptions {
  readonly version: string
  readonly settings: Settings
  readonly token: string | undefined
  readonly source: string
  readonly isDemo: boolean
  readonly logger: Logger
  readonly registry: Registry
  readonly keeping: Keeping
  readonly mcp: Mcp
  readonly tracing: () => TracingSettings | undefined
  readonly pricing: () => Pricing
  readonly config: () => Config
  readonly warnings: () => readonly string[]
  /** The newest first. */
  readonly reloads: () => readonly Reload[]
  readonly binds: () => readonly { readonly bind: Bind; readonly port: number; readonly tls: boolean }[]
  readonly ports: () => Omit<Runtime['ports'], 'binds'>
  readonly requestsInFlight: () => number
}

/** Where Vite puts the console; from the sources and from the package it is at the same place. */
const CONSOLE = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../dist/ui' : '../ui', import.meta.url),
)
/** Providers of which everybody wants to see prices. */
const PROVIDERS = ['openai', 'anthropic']

const SHORTEST_TOKEN = 16

/**
 * The token that is asked for where the port is not on loopback; made up and told once when none is configured. Throws
 * `ConfigProblem` on one that cannot be read or could be guessed.
 */
export function adminTokenFor(
  { adminAddr: address, adminToken }: Pick<Settings, 'adminAddr' | 'adminToken'>,
  readText: ReadText,
): { readonly token: string | undefined; readonly isNew: boolean } {
  const configured =
    typeof adminToken === 'object'
      ? readAt({ readText }, ['config', 'adminToken', 'file'], adminToken.file).trim()
      : adminToken
  if (configured !== undefined) {
    if (configured.length < SHORTEST_TOKEN)
      throw new ConfigProblem(['config', 'adminToken'], `expected at least ${SHORTEST_TOKEN} characters`)
    return { token: configured, isNew: false }
  }
  if (address === 'off' || (address.host !== undefined && isLoopbackHost(address.host)))
    return { token: undefined, isNew: false }
  return { token: randomBytes(24).toString('base64url'), isNew: true }
}

export function adminPort(options: AdminPortOptions): Handler {
  const { keeping, logger, registry, version } = options
  const access = createAccess({ token: options.token, now: Date.now })
  const lineOf = accessLogLine('json')

  const store = (): Store => {
    if (keeping.store !== undefined) return keeping.store
    throw new ApiError(503, 'no requests are kept: config.database.url is off')
  }
  const files: Route = { method: 'GET', path: '/ui/*', isOpen: true, handler: consoleFiles(CONSOLE) }

  return adminHandler({
    access,
    unexpected: (error) =>
      logger.error('admin', 'internal error', {
        error: error instanceof Error ? error : new Error(String(error)),
      }),
    routes: [
      { ...files, path: '/' },
      { ...files, path: '/ui' },
      files,
      {
        method: 'GET',
        path: '/config_dump',
        handler: (_request, response) => {
          const dump = { version, config: redactConfig(options.config()) }
          text(response, 200, `${JSON.stringify(dump, undefined, 2)}\n`, 'application/json')
        },
      },
      ...sessionRoutes(access),
      ...stateRoutes({
        runtime: () => runtimeOf(options),
        configState: () => configStateOf(options),
        mcpState: () => mcpStateOf(options),
        costsModels: () => ({ loaded: true, providers: options.pricing().list(PROVIDERS) }),
      }),
      ...logsRoutes({
        store,
        spansOf,
        attributesOf: ({ exchange }) => ({
          ...JSON.parse(lineOf(exchange)),
          ...Object.fromEntries(exchange.attributes ?? []),
        }),
      }),
      ...analyticsRoutes({ store }),
      ...tracesRoutes({ store, spansOf, version }),
      ...overviewRoutes({
        store,
        sampleNow: keeping.sampleNow,
        bounds: (name) => boundsOf(registry, name),
        now: Date.now,
      }),
      ...gatewayRoutes({
        ports: () =>
          options
            .binds()
            .filter(({ tls }) => !tls)
            .map(({ port }) => port),
      }),
    ],
  })
}

function boundsOf(registry: Registry, name: string): readonly number[] {
  const family = registry.families().find((one) => one.name === name)
  const [series] = family?.type === 'histogram' ? family.series() : []
  return series === undefined ? [] : [...series.bounds]
}

const sampledInWords = (share: Share) =>
  typeof share === 'number' ? `${share * 100} % of new traces` : 'new traces by an expression'

async function runtimeOf(options: AdminPortOptions): Promise<Runtime> {
  const { keeping, settings } = options
  const tracing = options.tracing()
  const status = await keeping.store?.status().catch(() => undefined)
  return {
    version: options.version,
    node: process.versions.node,
    startedAt: new Date(Date.now() - process.uptime() * 1000).toISOString(),
    now: new Date().toISOString(),
    residentBytes: process.memoryUsage.rss(),
    requestsInFlight: options.requestsInFlight(),
    ports: { binds: options.binds().map(({ port, tls }) => ({ port, tls })), ...options.ports() },
    ...(tracing && {
      tracing: {
        endpoint: tracing.url,
        protocol: tracing.protocol,
        sampled: sampledInWords(tracing.sampling.random),
      },
    }),
    ...(status && {
      store: {
        kind: status.kind,
        url: status.url,
        requests: status.requests,
        bytes: status.bytes,
        dropped: status.dropped,
        retentionMs: settings.database.retentionMs,
        ...(status.oldest !== undefined && { oldest: new Date(status.oldest).toISOString() }),
        ...(status.problem !== undefined && { problem: status.problem }),
      },
    }),
    isDemo: options.isDemo,
  }
}

function configStateOf(options: AdminPortOptions): ConfigState {
  const reloads = options.reloads()
  return {
    source: options.source,
    effective: redactConfig(options.config()),
    routes: options
      .binds()
      .flatMap(({ bind, port }) =>
        bind.listeners.flatMap(({ name, outlines }) =>
          outlines.map(({ path: _, ...outline }) => ({ port, listener: name, ...outline })),
        ),
      ),
    reloads: reloads.map(({ at, ...reload }) => ({ at: new Date(at).toISOString(), ...reload })),
    isStale: reloads[0]?.result === 'failure',
    warnings: options.warnings(),
  }
}

function mcpStateOf({ mcp, binds }: AdminPortOptions): McpState {
  const places = binds().flatMap(({ bind, port }) =>
    bind.listeners.flatMap(({ outlines }) =>
      outlines.flatMap(({ backends, path }) => backends.map(({ name }) => ({ backend: name, port, path }))),
    ),
  )
  return {
    backends: mcp.status().flatMap((status) => {
      const place = places.find(({ backend }) => backend === status.backend)
      return place === undefined ? [] : [{ ...status, port: place.port, path: place.path }]
    }),
  }
}
