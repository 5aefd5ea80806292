/**
 * Configuration -> what a request meets: listeners, routes, policies and backends, everything resolved and bound.
 *
 * A snapshot is immutable; a reload builds the next one, and requests under way keep theirs. Whatever only shows
 * when it is put to use (a file that cannot be read, a regular expression) is a `ConfigProblem` with its key path.
 */

import { callerPolicies } from './compile-callers.ts'
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
  splitEndpoint,
  target,
  upstreamTls,
} from './compile-upstream.ts'
import type {
  AiBackendConfig,
  AiProviderConfig,
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
import { createLasting, type Lasting } from './lasting.ts'
import { promptGuard } from './llm/guard/guard.ts'
import { modelAlias, routeTypeOf } from './llm/model-alias.ts'
import type { LlmBackend } from './llm/plan.ts'
import { providerOf } from './llm/providers/registry.ts'
import type { AiPolicy } from './llm/schema.ts'
import type { McpSource } from './mcp/source.ts'
import { outlineOf, type RouteOutline } from './outline.ts'
import type { BackendAuth } from './policies/backend-auth.ts'
import type { BufferConfig } from './policies/buffer.ts'
import { eitherWay } from './policies/conditional.ts'
import { cors } from './policies/cors.ts'
import { csrf } from './policies/csrf.ts'
import { delay } from './policies/delay.ts'
import { directResponse } from './policies/direct-response.ts'
import { requestHeaderModifier, responseHeaderModifier } from './policies/header-modifier.ts'
import type { Policy } from './policies/policy.ts'
import { localRateLimit } from './policies/rate-limit.ts'
import { requestRedirect } from './policies/request-redirect.ts'
import { type Retry, retry } from './policies/retry.ts'
import { type Timeouts, timeouts } from './policies/timeout.ts'
import { transformations } from './policies/transformations.ts'
import { urlRewrite } from './policies/url-rewrite.ts'
import {
  compileRoutes,
  type HostTest,
  hostTest,
  type Matched,
  type RouteHead,
  type RouteSource,
} from './route/match.ts'
import type { Health } from './upstream/health.ts'
import { type Catalog, catalogSchema } from './usage/price.ts'

export type Backend = PooledBackend | FederatingBackend

interface AnyBackend {
  /** As metrics and spans show it. */
  readonly name: string
  readonly policies: readonly Policy[]
  readonly weight: number
}

/** MCP servers behind one endpoint. */
export interface FederatingBackend extends AnyBackend {
  readonly mcp: McpSource
}

/** Upstreams of which one answers. */
export interface PooledBackend extends AnyBackend {
  readonly mcp: undefined
  /** In order of preference; those of one tier share the load. */
  readonly tiers: readonly (readonly ForwardingBackend[])[]
}

export interface ForwardingBackend {
  /** As metrics and spans show it. */
  readonly name: string
  readonly policies: readonly Policy[]
  /** Undefined for one without an alternative. */
  readonly health: Health | undefined
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
  readonly retry: Retry
  /** Of requests. */
  readonly buffer: BufferConfig['request'] | undefined
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
  readonly healths: readonly Health[]
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

function hostBackend(context: Context, endpoint: string, name: string, layers: Layers): ForwardingBackend {
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
    policies: [],
    health: undefined,
    timeouts: backendTimeouts(layers),
  }
}

function llmBackend(context: Context, config: AiProviderConfig, layers: Layers, path: KeyPath): LlmBackend {
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

function healthOf(context: Context, group: string, backend: string, { policies }: Layers): Health {
  const health = context.lasting.healths.at(group, backend, policies.health ?? {})
  context.watched.push(health)
  return health
}

/** `group`: undefined where there is nobody else to ask. */
function aiProvider(
  context: Context,
  config: AiProviderConfig,
  outer: Layers,
  { path, group }: { readonly path: KeyPath; readonly group: string | undefined },
): ForwardingBackend {
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
    policies: headerPolicies(config.policies),
    health: group === undefined ? undefined : healthOf(context, group, config.name, layers),
    timeouts: backendTimeouts(layers),
  }
}

const isProvider = (config: AiBackendConfig): config is AiBackendConfig & AiProviderConfig =>
  config.name !== undefined && config.provider !== undefined

function aiTiers(
  context: Context,
  config: AiBackendConfig,
  outer: Layers,
  { path, name }: { readonly path: KeyPath; readonly name: string },
): readonly (readonly ForwardingBackend[])[] {
  if (isProvider(config)) return [[aiProvider(context, config, outer, { path, group: undefined })]]
  const groups = config.groups ?? []
  const layers = layer(outer, config.policies, [...path, 'policies'])
  const hasOthers = groups.flatMap(({ providers }) => providers).length > 1
  return groups.map(({ providers }, group) =>
    providers.map((provider, index) =>
      aiProvider(context, provider, layers, {
        path: [...path, 'groups', group, 'providers', index],
        group: hasOthers ? name : undefined,
      }),
    ),
  )
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
  const policies = headerPolicies(own)
  if (source.ai !== undefined) {
    const shown = source.ai.name ?? name ?? route.name ?? 'ai'
    const tiers = aiTiers(context, source.ai, layers, { path: [...at, 'ai'], name: shown })
    return { name: shown, policies, weight, mcp: undefined, tiers }
  }
  if (source.mcp !== undefined) {
    const place = {
      layers,
      path: [...at, 'mcp'],
      name: name ?? route.name ?? 'mcp',
      hostnames: route.hostnames,
    }
    const mcp = mcpSource(context, source.mcp, place)
    return { name: mcp.name, mcp, policies, weight }
  }
  const host = source.host ?? ''
  const shown = name ?? host
  const tiers = [[hostBackend(context, host, shown, layers)]]
  return { name: shown, policies, weight, mcp: undefined, tiers }
}

/** The route phase, in upstream's order: cors, who it is, authorization, limits, transformations, csrf, header modifiers, rewrite, redirect, delay, direct response. */
function routePolicies(
  context: Context,
  config: RoutePolicies | undefined,
  { place, path }: { readonly place: string; readonly path: KeyPath },
): Policy[] {
  const compiled: Policy[] = []
  if (config?.cors !== undefined) compiled.push(cors(config.cors))
  compiled.push(...callerPolicies(context, config, path))
  if (config?.localRateLimit !== undefined)
    compiled.push(...localRateLimit(config.localRateLimit, context.lasting.limits, place))
  if (config?.transformations !== undefined) compiled.push(eitherWay(config.transformations, transformations))
  if (config?.csrf !== undefined) compiled.push(csrf(config.csrf))
  if (config?.requestHeaderModifier !== undefined)
    compiled.push(requestHeaderModifier(config.requestHeaderModifier))
  if (config?.responseHeaderModifier !== undefined)
    compiled.push(responseHeaderModifier(config.responseHeaderModifier))
  if (config?.urlRewrite !== undefined) compiled.push(urlRewrite(config.urlRewrite))
  if (config?.requestRedirect !== undefined) compiled.push(requestRedirect(config.requestRedirect))
  if (config?.delay !== undefined) compiled.push(delay(config.delay))
  if (config?.directResponse !== undefined) compiled.push(eitherWay(config.directResponse, directResponse))
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
    retry: retry(config.policies?.retry),
    buffer: config.policies?.buffer?.request,
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
  const backend: Backend = { name: mcp.name, mcp, policies: [], weight: 1 }
  const name = 'internal/default'
  const target: Route = {
    name,
    policies: routePolicies(context, config.policies, { place: name, path: ['mcp', 'policies'] }),
    backends: [backend],
    totalWeight: 1,
    retry: retry(undefined),
    buffer: config.policies?.buffer?.request,
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

/** Throws `ConfigProblem`. */
export function compile(config: Config, readText: ReadText, lasting: Lasting = createLasting()): Snapshot {
  const context: Context = { config, readText, targets: [], mcp: [], watched: [], lasting }
  const binds = (config.binds ?? []).map((bind, index): Bind => {
    const listeners = bind.listeners.map((listener, position) =>
      oneListener(context, listener, position, ['binds', index, 'listeners', position]),
    )
    listeners.sort((a, b) => b.host.rank[0] - a.host.rank[0] || b.host.rank[1] - a.host.rank[1])
    return { name: `bind/${bind.port}`, port: bind.port, listeners }
  })
  if (config.mcp !== undefined) binds.push(mcpBind(context, config.mcp))
  return {
    binds,
    targets: context.targets,
    catalogs: readCatalogs(context),
    mcp: context.mcp,
    healths: context.watched,
  }
}
