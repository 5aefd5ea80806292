/**
 * Configuration -> what a request meets: listeners, routes, policies and backends, everything resolved and bound.
 *
 * A snapshot is immutable; a reload builds the next one, and requests under way keep theirs. Whatever only shows
 * when it is put to use (a file that cannot be read, a regular expression) is a `ConfigProblem` with its key path.
 */

import { mcpRouteMatches, mcpSource } from './compile-mcp.ts'
import {
  backendTimeouts,
  type Context,
  checkPem,
  credentialOf,
  type KeyPath,
  type Layers,
  layer,
  outermost,
  type ReadText,
  readAt,
  secretAt,
  splitEndpoint,
  target,
  upstreamTls,
} from './compile-upstream.ts'
import type {
  AiBackendConfig,
  BackendPolicies,
  Config,
  ListenerConfig,
  McpSectionConfig,
  NamedBackendConfig,
  RouteBackendConfig,
  RouteConfig,
  RoutePolicies,
} from './config/schema.ts'
import { ConfigProblem } from './core/config-problem.ts'
import type { RouteType } from './core/exchange.ts'
import type { UpstreamTarget } from './core/upstream.ts'
import { promptGuard } from './llm/guard/guard.ts'
import { modelAlias, routeTypeOf } from './llm/model-alias.ts'
import type { LlmBackend } from './llm/plan.ts'
import { providerOf } from './llm/providers/registry.ts'
import type { AiPolicy } from './llm/schema.ts'
import type { McpSource } from './mcp/source.ts'
import { outlineOf, type RouteOutline } from './outline.ts'
import { apiKey } from './policies/api-key.ts'
import type { BackendAuth } from './policies/backend-auth.ts'
import { cors } from './policies/cors.ts'
import { directResponse } from './policies/direct-response.ts'
import { requestHeaderModifier, responseHeaderModifier } from './policies/header-modifier.ts'
import type { Policy } from './policies/policy.ts'
import { createLimits, type Limits, rateLimit } from './policies/rate-limit.ts'
import { type Timeouts, timeouts } from './policies/timeout.ts'
import { urlRewrite } from './policies/url-rewrite.ts'
import {
  compileRoutes,
  type HostTest,
  hostTest,
  type Matched,
  type RouteHead,
  type RouteSource,
} from './route/match.ts'
import { type Catalog, catalogSchema } from './usage/price.ts'

export type Backend = ForwardingBackend | FederatingBackend

interface AnyBackend {
  /** As metrics and spans show it. */
  readonly name: string
  readonly policies: readonly Policy[]
  readonly weight: number
}

/** MCP servers behind one endpoint. */
export interface FederatingBackend extends AnyBackend {
  readonly mcp: McpSource
  readonly llm: undefined
}

export interface ForwardingBackend extends AnyBackend {
  readonly mcp: undefined
  readonly target: UpstreamTarget
  /** The upstream's `Host`. */
  readonly authority: string
  readonly endpoint: string
  readonly llm: LlmBackend | undefined
  /** Set on plain hosts only; an LLM backend presents its credential itself. */
  readonly auth: BackendAuth | undefined
  readonly timeouts: Timeouts
}

export interface Route {
  /** `default/<name>` */
  readonly name: string
  readonly policies: readonly Policy[]
  readonly backends: readonly Backend[]
  readonly totalWeight: number
  readonly timeouts: Timeouts
}

export interface Listener {
  readonly name: string
  readonly host: HostTest
  readonly tls:
    | { readonly cert: string; readonly key: string; readonly hostname: string | undefined }
    | undefined
  readonly match: (head: RouteHead) => Matched<Route> | undefined
  readonly outlines: readonly RouteOutline[]
}

export interface Bind {
  /** `bind/3000`, by the configured port. */
  readonly name: string
  readonly port: number
  /** Best hostname first. */
  readonly listeners: readonly Listener[]
}

export interface Snapshot {
  readonly binds: readonly Bind[]
  readonly targets: readonly UpstreamTarget[]
  readonly catalogs: readonly Catalog[]
  readonly mcp: readonly McpSource[]
}

/** Header modifiers of the backend itself; the route's own are the route's. */
function headerPolicies(policies: BackendPolicies | undefined): Policy[] {
  const compiled: Policy[] = []
  if (policies?.requestHeaderModifier !== undefined)
    compiled.push(requestHeaderModifier(policies.requestHeaderModifier))
  if (policies?.responseHeaderModifier !== undefined)
    compiled.push(responseHeaderModifier(policies.responseHeaderModifier))
  return compiled
}

function hostBackend(
  context: Context,
  endpoint: string,
  name: string,
  layers: Layers,
  own: BackendPolicies | undefined,
  weight: number,
): Backend {
  const { host, port } = splitEndpoint(endpoint)
  const tlsConfig = layers.policies.backendTLS
  const tls =
    tlsConfig === undefined ? undefined : upstreamTls(context, tlsConfig, layers.pathOf('backendTLS'))
  return {
    name,
    target: target(context, host, port, tls, layers),
    authority: endpoint,
    endpoint,
    llm: undefined,
    auth: credentialOf(context, layers),
    policies: headerPolicies(own),
    timeouts: backendTimeouts(layers),
    weight,
    mcp: undefined,
  }
}

function llmBackend(context: Context, config: AiBackendConfig, layers: Layers, path: KeyPath): LlmBackend {
  const { provider, pin } = providerOf(config.provider)
  const ai: AiPolicy = layers.policies.ai ?? {}
  const overridden = ai.overrides?.model
  const configured = [pin, overridden, ai.defaults?.model, ...Object.values(ai.modelAliases ?? {})]
  if (provider.host === undefined && config.hostOverride === undefined) {
    throw new ConfigProblem([...path, 'hostOverride'], 'a custom provider needs hostOverride: host:port')
  }
  return {
    name: config.name,
    provider,
    credential: credentialOf(context, layers),
    hostOverridden: config.hostOverride !== undefined,
    pathPrefix: config.pathPrefix,
    pathOverride: config.pathOverride,
    pinnedModel: pin,
    routeType: routeTypeOf<RouteType>(config.routes ?? ai.routes, 'completions'),
    overrides: ai.overrides,
    defaults: ai.defaults,
    alias: ai.modelAliases === undefined ? undefined : modelAlias(ai.modelAliases),
    configuredModels: new Set(configured.filter((model) => typeof model === 'string')),
    prompts: ai.prompts,
    guard: ai.promptGuard && promptGuard(ai.promptGuard),
  }
}

function aiBackend(
  context: Context,
  config: AiBackendConfig,
  outer: Layers,
  path: KeyPath,
  own: BackendPolicies | undefined,
  weight: number,
): Backend {
  const layers = layer(outer, config.policies, [...path, 'policies'])
  const llm = llmBackend(context, config, layers, path)
  const { provider } = llm
  const override = config.hostOverride === undefined ? undefined : splitEndpoint(config.hostOverride)
  const host = override?.host ?? provider.host ?? ''
  const port = override?.port ?? provider.port
  const tlsConfig = layers.policies.backendTLS
  // An override drops the provider's TLS with its host, as upstream has it; `backendTLS: {}` brings it back.
  const plain = override !== undefined && tlsConfig === undefined
  const tls = plain ? undefined : upstreamTls(context, tlsConfig ?? {}, layers.pathOf('backendTLS'))
  const usual = tls === undefined ? 80 : 443
  const endpoint = config.hostOverride ?? `${host}:${port}`
  return {
    name: config.name,
    target: target(context, host, port, tls, layers),
    authority: port === usual ? endpoint.replace(/:\d+$/, '') : endpoint,
    endpoint,
    llm,
    auth: undefined,
    policies: [...headerPolicies(own), ...headerPolicies(config.policies)],
    timeouts: backendTimeouts(layers),
    weight,
    mcp: undefined,
  }
}

/** The route that a backend belongs to, as far as backends look at it. */
interface Surroundings {
  readonly layers: Layers
  /** As configured. */
  readonly name: string | undefined
  readonly hostnames: readonly string[]
}

function oneBackend(
  context: Context,
  config: RouteBackendConfig,
  route: Surroundings,
  path: KeyPath,
): Backend {
  const weight = config.weight ?? 1
  let source: RouteBackendConfig | NamedBackendConfig = config
  let at = path
  let outer = route.layers
  let name: string | undefined
  let own = config.policies
  if (config.backend !== undefined) {
    const wanted = config.backend.replace(/^\//, '')
    const index = (context.config.backends ?? []).findIndex((one) => one.name === wanted)
    const named = context.config.backends?.[index]
    if (named === undefined)
      throw new ConfigProblem([...path, 'backend'], `there is no top-level backend named ${wanted}`)
    source = named
    at = ['backends', index]
    outer = layer(route.layers, named.policies, [...at, 'policies'])
    own = named.policies === undefined ? own : { ...named.policies, ...own }
    name = named.name
  }
  const layers = layer(outer, config.policies, [...path, 'policies'])
  if (source.ai !== undefined) return aiBackend(context, source.ai, layers, [...at, 'ai'], own, weight)
  if (source.mcp !== undefined) {
    const place = {
      layers,
      path: [...at, 'mcp'],
      name: name ?? route.name ?? 'mcp',
      hostnames: route.hostnames,
    }
    const mcp = mcpSource(context, source.mcp, place)
    return { name: mcp.name, mcp, llm: undefined, policies: headerPolicies(own), weight }
  }
  const host = source.host ?? ''
  return hostBackend(context, host, name ?? host, layers, own, weight)
}

/** The route phase, in upstream's order: cors, keys, limits, header modifiers, rewrite, direct response. */
function routePolicies(
  context: Context,
  config: RoutePolicies | undefined,
  { place, path }: { readonly place: string; readonly path: KeyPath },
): Policy[] {
  const compiled: Policy[] = []
  if (config?.cors !== undefined) compiled.push(cors(config.cors))
  if (config?.apiKey !== undefined) {
    const at = [...path, 'apiKey', 'keys']
    compiled.push(apiKey(config.apiKey, (key, index) => secretAt(context, [...at, index, 'key'], key)))
  }
  for (const [index, limit] of config?.localRateLimit?.entries() ?? [])
    compiled.push(rateLimit(limit, context.limits.at(`${place} ${index}`, limit)))
  if (config?.requestHeaderModifier !== undefined)
    compiled.push(requestHeaderModifier(config.requestHeaderModifier))
  if (config?.responseHeaderModifier !== undefined)
    compiled.push(responseHeaderModifier(config.responseHeaderModifier))
  if (config?.urlRewrite !== undefined) compiled.push(urlRewrite(config.urlRewrite))
  if (config?.directResponse !== undefined) compiled.push(directResponse(config.directResponse))
  return compiled
}

function oneRoute(
  context: Context,
  config: RouteConfig,
  index: number,
  path: KeyPath,
  listener: ListenerConfig,
): RouteSource<Route> {
  const policiesPath = [...path, 'policies']
  const layers = outermost(config.policies, policiesPath)
  // The route's header modifiers run with the route, not once more with each backend.
  const inherited: Layers = {
    ...layers,
    policies: { ...layers.policies, requestHeaderModifier: undefined, responseHeaderModifier: undefined },
  }
  const surroundings: Surroundings = {
    layers: inherited,
    name: config.name,
    hostnames: [...(config.hostnames ?? []), ...(listener.hostname === undefined ? [] : [listener.hostname])],
  }
  const backends = (config.backends ?? []).map((backend, position) =>
    oneBackend(context, backend, surroundings, [...path, 'backends', position]),
  )
  const name = `default/${config.name ?? `route${index}`}`
  const target: Route = {
    name,
    policies: routePolicies(context, config.policies, {
      place: [...path.slice(0, -2), name].join(' '),
      path: policiesPath,
    }),
    backends,
    totalWeight: backends.reduce((sum, backend) => sum + backend.weight, 0),
    timeouts: timeouts(config.policies?.timeout),
  }
  return { hostnames: config.hostnames, matches: mcpRouteMatches(config), target, path }
}

function oneListener(context: Context, config: ListenerConfig, index: number, path: KeyPath): Listener {
  const routes = (config.routes ?? []).map((route, position) =>
    oneRoute(context, route, position, [...path, 'routes', position], config),
  )
  const tls = config.tls && {
    cert: readAt(context, [...path, 'tls', 'cert'], config.tls.cert),
    key: readAt(context, [...path, 'tls', 'key'], config.tls.key),
    hostname: config.hostname,
  }
  if (tls !== undefined) checkPem([...path, 'tls', 'cert'], tls)
  return {
    name: config.name ?? `listener${index}`,
    host: hostTest(config.hostname),
    tls,
    match: compileRoutes(routes),
    outlines: routes.map(({ target: route }, position) => outlineOf(config.routes?.[position], route)),
  }
}

function readCatalogs(context: Context): Catalog[] {
  return (context.config.config?.modelCatalog ?? []).map((entry, index) => {
    const path = ['config', 'modelCatalog', index, 'file' in entry ? 'file' : 'inline']
    const source = 'file' in entry ? readAt(context, path, entry.file) : entry.inline
    let json: unknown = source
    if (typeof source === 'string') {
      try {
        json = JSON.parse(source)
      } catch (cause) {
        throw new ConfigProblem(
          path,
          `the model catalog is not valid JSON: ${cause instanceof Error ? cause.message : ''}`,
          { cause },
        )
      }
    }
    const parsed = catalogSchema.safeParse(json)
    if (parsed.success) return parsed.data
    const [issue] = parsed.error.issues
    throw new ConfigProblem(path, `the model catalog is wrong at ${issue?.path.join('.')}: ${issue?.message}`)
  })
}

/** The port of the top-level `mcp:`. */
function mcpBind(context: Context, config: McpSectionConfig): Bind {
  const port = config.port ?? 3000
  const layers = outermost(config.policies, ['mcp', 'policies'])
  const mcp = mcpSource(context, config, { layers, path: ['mcp'], name: 'mcp', hostnames: [] })
  const backend: Backend = { name: mcp.name, mcp, llm: undefined, policies: [], weight: 1 }
  const name = 'internal/default'
  const target: Route = {
    name,
    policies: routePolicies(context, config.policies, { place: name, path: ['mcp', 'policies'] }),
    backends: [backend],
    totalWeight: 1,
    timeouts: timeouts(config.policies?.timeout),
  }
  const match = compileRoutes([{ hostnames: undefined, matches: undefined, target, path: ['mcp'] }])
  return {
    name: `bind/${port}`,
    port,
    listeners: [
      {
        name: 'mcp',
        host: hostTest(undefined),
        tls: undefined,
        match,
        outlines: [outlineOf(undefined, target)],
      },
    ],
  }
}

/** Throws `ConfigProblem`. `limits` hold what outlives a reload. */
export function compile(
  config: Config,
  readText: ReadText,
  limits: Limits = createLimits(() => performance.now()),
): Snapshot {
  const context: Context = { config, readText, targets: [], mcp: [], limits }
  const binds = (config.binds ?? []).map((bind, index): Bind => {
    const listeners = bind.listeners.map((listener, position) =>
      oneListener(context, listener, position, ['binds', index, 'listeners', position]),
    )
    listeners.sort((a, b) => b.host.rank[0] - a.host.rank[0] || b.host.rank[1] - a.host.rank[1])
    return { name: `bind/${bind.port}`, port: bind.port, listeners }
  })
  if (config.mcp !== undefined) binds.push(mcpBind(context, config.mcp))
  return { binds, targets: context.targets, catalogs: readCatalogs(context), mcp: context.mcp }
}
