/**
 * Configuration -> what a request meets: listeners, routes, policies and backends, everything resolved and bound.
 *
 * A snapshot is immutable; a reload builds the next one, and requests under way keep theirs. Whatever only shows
 * when it is put to use (a file that cannot be read, a regular expression) is a `ConfigProblem` with its key path.
 */

import { callerPolicies } from './compile-callers.ts'
import { aiTiers, headerPolicies, hostBackend } from './compile-forwarding.ts'
import { modelBackend } from './compile-llm.ts'
import { mcpRouteMatches, mcpSource } from './compile-mcp.ts'
import {
  type Context,
  checkPem,
  type KeyPath,
  type Layers,
  layer,
  outermost,
  type ReadText,
  readAt,
} from './compile-upstream.ts'
import { type AttachedRoute, type AttachedSection, type ListenerPlan, listening } from './config/listening.ts'
import type {
  Config,
  McpSectionConfig,
  NamedBackendConfig,
  RouteBackendConfig,
  RoutePolicies,
} from './config/schema.ts'
import type { CelExpression } from './core/cel.ts'
import { ConfigProblem } from './core/config-problem.ts'
import type { RouteType } from './core/exchange.ts'
import type { UpstreamTarget } from './core/upstream.ts'
import { createLasting, type Lasting } from './lasting.ts'
import type { ListedModel } from './llm/model-list.ts'
import type { LlmBackend } from './llm/plan.ts'
import type { McpSource } from './mcp/source.ts'
import { outlineOf, type RouteOutline } from './outline.ts'
import type { BackendAuth } from './policies/backend-auth.ts'
import type { Budget } from './policies/budget-book.ts'
import { type BudgetConfig, budget, limitOf } from './policies/budgets.ts'
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

export type Backend = PooledBackend | ModelBackend | FederatingBackend

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

/** What the choice of an upstream may depend on, beside the model's name. */
export interface ModelChoice {
  readonly random: () => number
  /** For conditions. */
  readonly variables: () => Readonly<Record<string, unknown>>
}

/** Models by name. */
export interface Models {
  readonly routeType: (path: string) => RouteType
  /** Undefined for a name that clients cannot ask. */
  readonly find: (model: string) => ((choice: ModelChoice) => PooledBackend['tiers']) | undefined
  /** Those that clients can ask. */
  readonly list: readonly ListedModel[]
  /** Of these the one that has this name, or whose pattern fits it. */
  readonly listed: (model: string) => ListedModel | undefined
}

/** Upstreams of which the model's name says which are asked. */
export interface ModelBackend extends AnyBackend {
  readonly mcp: undefined
  readonly models: Models
}

/** Upstreams of which one answers. */
export interface PooledBackend extends AnyBackend {
  readonly mcp: undefined
  readonly models: undefined
  /** In order of preference; those of one tier share the load. */
  readonly tiers: readonly (readonly ForwardingBackend[])[]
}

export interface ForwardingBackend {
  /** As metrics and spans show it. */
  readonly name: string
  readonly policies: readonly Policy[]
  /** Undefined for one without an alternative. */
  readonly health: Health | undefined
  /** Which of its answers are failures; undefined: those that usually are. */
  readonly unhealthy: CelExpression | undefined
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
  /** One of its backends is MCP servers. */
  readonly servesMcp: boolean
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
  /** One of its routes does. */
  readonly servesMcp: boolean
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
  readonly budgets: readonly Budget[]
}

/** The route that a backend belongs to, as far as backends look at it. */
interface Surroundings {
  readonly layers: Layers
  /** No other route has it; the same after a reload. */
  readonly key: string
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
    // Wherever it is asked, it is the same one, unless it is asked in another way.
    const isShared = name !== undefined && config.policies === undefined
    const key = isShared ? `backends\0${name}` : `${route.key}\0${path.at(-1)}`
    const group = { key, label: shown }
    const tiers = aiTiers(context, source.ai, layers, { path: [...at, 'ai'], group })
    return { name: shown, policies, weight, mcp: undefined, models: undefined, tiers }
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
  return { name: shown, policies, weight, mcp: undefined, models: undefined, tiers }
}

function oneBudget(context: Context, config: BudgetConfig): Policy {
  const { unit, amount } = limitOf(config)
  const shared = context.lasting.budgets.at({ name: config.name, unit, limit: amount, window: config.window })
  context.budgets.push(shared)
  return budget(config, shared, Date.now)
}

/** The route phase, in upstream's order: cors, who it is, authorization, limits, budgets, transformations, csrf, header modifiers, rewrite, redirect, delay, direct response. */
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
  for (const one of config?.budgets ?? []) compiled.push(oneBudget(context, one))
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

interface CompiledRoute {
  readonly source: RouteSource<Route>
  readonly outline: RouteOutline
}

/** One without a name is known by what it matches: its place in the list changes with those before it. */
function routeKey({ routeKeys }: Context, { config, place }: AttachedRoute): string {
  const first = [place, config.name ?? JSON.stringify([config.hostnames, config.matches])].join('\0')
  let key = first
  for (let count = 2; routeKeys.has(key); count += 1) key = `${first}\0${count}`
  routeKeys.add(key)
  return key
}

function oneRoute(context: Context, attached: AttachedRoute): CompiledRoute {
  const { config, index, path, place, hostnames } = attached
  const policiesPath = [...path, 'policies']
  const layers = outermost(config.policies, policiesPath)
  // The route's header modifiers run with the route, not once more with each backend.
  const inherited: Layers = {
    ...layers,
    policies: { ...layers.policies, requestHeaderModifier: undefined, responseHeaderModifier: undefined },
  }
  const surroundings: Surroundings = {
    layers: inherited,
    key: routeKey(context, attached),
    name: config.name,
    hostnames: [...(config.hostnames ?? []), ...hostnames],
  }
  const backends = (config.backends ?? []).map((backend, position) =>
    oneBackend(context, backend, surroundings, [...path, 'backends', position]),
  )
  const name = `default/${config.name ?? `route${index}`}`
  const target: Route = {
    name,
    policies: routePolicies(context, config.policies, {
      place: `${place} ${name}`,
      path: policiesPath,
    }),
    backends,
    totalWeight: backends.reduce((sum, backend) => sum + backend.weight, 0),
    servesMcp: backends.some(({ mcp }) => mcp !== undefined),
    retry: retry(config.policies?.retry),
    buffer: config.policies?.buffer?.request,
    timeouts: timeouts(config.policies?.timeout),
  }
  return {
    source: { hostnames: config.hostnames, matches: mcpRouteMatches(config), target, path },
    outline: outlineOf(config, target),
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

/** What MCP's clients ask for, where the port is not for them alone. */
const MCP_PATHS = ['/mcp', '/sse', '/.well-known'].map((pathPrefix) => ({ path: { pathPrefix } }))

function mcpBackend(context: Context, config: McpSectionConfig): Backend {
  const layers = outermost(config.policies, ['mcp', 'policies'])
  const mcp = mcpSource(context, config, { layers, path: ['mcp'], name: 'mcp', hostnames: [] })
  return { name: mcp.name, mcp, policies: [], weight: 1 }
}

function sectionRoute(context: Context, { key, isShared }: AttachedSection): CompiledRoute {
  const { mcp, llm } = context.config
  const policies: RoutePolicies | undefined = context.config[key]?.policies
  const backends = [
    ...(key === 'mcp' && mcp !== undefined ? [mcpBackend(context, mcp)] : []),
    ...(key === 'llm' && llm !== undefined ? [modelBackend(context, llm)] : []),
  ]
  // As it was when `mcp` was the only one.
  const name = key === 'mcp' ? 'internal/default' : `internal/${key}`
  const target: Route = {
    name,
    policies: routePolicies(context, policies, { place: name, path: [key, 'policies'] }),
    backends,
    totalWeight: 1,
    servesMcp: key === 'mcp',
    retry: retry(policies?.retry),
    buffer: policies?.buffer?.request,
    timeouts: timeouts(policies?.timeout),
  }
  const matches = key === 'mcp' && isShared ? MCP_PATHS : undefined
  return {
    source: { hostnames: undefined, matches, target, path: [key] },
    outline: outlineOf(matches && { matches }, target),
  }
}

/** Each route and section once, however many listeners it has. */
function compiledRoutes(context: Context) {
  const routes = new Map<AttachedRoute, CompiledRoute>()
  const sections = new Map<AttachedSection['key'], CompiledRoute>()
  return ({ routes: attached, sections: ofSections }: ListenerPlan): CompiledRoute[] => [
    ...attached.map((route) => kept(routes, route, () => oneRoute(context, route))),
    ...ofSections.map((section) => kept(sections, section.key, () => sectionRoute(context, section))),
  ]
}

function kept<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

function oneListener(
  context: Context,
  { name, hostname, tls: files, path }: ListenerPlan,
  routes: readonly CompiledRoute[],
): Listener {
  const tls = files && {
    cert: readAt(context, [...path, 'tls', 'cert'], files.cert),
    key: readAt(context, [...path, 'tls', 'key'], files.key),
    hostname,
  }
  if (tls !== undefined) checkPem([...path, 'tls', 'cert'], tls)
  return {
    name,
    host: hostTest(hostname),
    tls,
    match: compileRoutes(routes.map(({ source }) => source)),
    outlines: routes.map(({ outline }) => outline),
    servesMcp: routes.some(({ source }) => source.target.servesMcp),
  }
}

/** Throws `ConfigProblem`. */
export function compile(config: Config, readText: ReadText, lasting: Lasting = createLasting()): Snapshot {
  const context: Context = {
    config,
    readText,
    targets: [],
    mcp: [],
    watched: [],
    routeKeys: new Set(),
    budgets: [],
    lasting,
  }
  const routesOf = compiledRoutes(context)
  const binds = listening(config).map(({ port, listeners }): Bind => {
    const compiled = listeners.map((listener) => oneListener(context, listener, routesOf(listener)))
    compiled.sort((a, b) => b.host.rank[0] - a.host.rank[0] || b.host.rank[1] - a.host.rank[1])
    return { name: `bind/${port}`, port, listeners: compiled }
  })
  return {
    binds,
    targets: context.targets,
    catalogs: readCatalogs(context),
    mcp: context.mcp,
    healths: context.watched,
    budgets: context.budgets,
  }
}
