/**
 * Configuration -> what a request meets: listeners, routes, policies and backends, everything resolved and bound.
 *
 * A snapshot is immutable; a reload builds the next one, and requests under way keep theirs. Whatever only shows
 * when it is put to use (a file that cannot be read, a regular expression) is a `ConfigProblem` with its key path.
 */
import { createSecureContext } from 'node:tls'
import type {
  AiBackendConfig,
  BackendPolicies,
  Config,
  ListenerConfig,
  NamedBackendConfig,
  RouteBackendConfig,
  RouteConfig,
  RoutePolicies,
} from './config/schema.ts'
import { ConfigProblem } from './core/config-problem.ts'
import type { RouteType } from './core/exchange.ts'
import { isHeaderValue } from './core/schema.ts'
import { modelAlias, routeTypeOf } from './llm/model-alias.ts'
import type { LlmBackend } from './llm/plan.ts'
import { providerOf } from './llm/providers/registry.ts'
import type { AiPolicy } from './llm/schema.ts'
import { type BackendAuth, backendAuth } from './policies/backend-auth.ts'
import { cors } from './policies/cors.ts'
import { directResponse } from './policies/direct-response.ts'
import { requestHeaderModifier, responseHeaderModifier } from './policies/header-modifier.ts'
import type { Policy } from './policies/policy.ts'
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
import type { UpstreamTarget, UpstreamTls } from './upstream/client.ts'
import type { BackendTls } from './upstream/schema.ts'
import { type Catalog, catalogSchema } from './usage/price.ts'

type KeyPath = readonly (string | number)[]

export interface Backend {
  /** As metrics and spans show it. */
  readonly name: string
  readonly target: UpstreamTarget
  /** The upstream's `Host`. */
  readonly authority: string
  readonly endpoint: string
  readonly llm: LlmBackend | undefined
  /** Set on plain hosts only; an LLM backend presents its credential itself. */
  readonly auth: BackendAuth | undefined
  readonly policies: readonly Policy[]
  readonly timeouts: Timeouts
  readonly weight: number
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
}

/** Reads a file as text; throws when it cannot. */
export type ReadText = (path: string) => string

interface Context {
  readonly config: Config
  readonly readText: ReadText
  readonly targets: UpstreamTarget[]
}

function readAt(context: Context, path: KeyPath, file: string): string {
  try {
    return context.readText(file)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new ConfigProblem(path, `cannot read ${file}: ${detail}`, { cause })
  }
}

function splitEndpoint(endpoint: string): { readonly host: string; readonly port: number } {
  const colon = endpoint.lastIndexOf(':')
  return { host: endpoint.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(endpoint.slice(colon + 1)) }
}

function upstreamTls(context: Context, config: BackendTls, path: KeyPath): UpstreamTls {
  const pem = (key: 'root' | 'cert' | 'key') => {
    const file = config[key]
    return file === undefined ? undefined : readAt(context, [...path, key], file)
  }
  const [ca, cert, key] = [pem('root'), pem('cert'), pem('key')]
  checkPem(path, { ca, cert, key })
  return {
    ca,
    cert,
    key,
    servername: config.hostname,
    insecure: config.insecure,
    insecureHost: config.insecureHost,
  }
}

/** What is no certificate, or does not fit its key, shows here and not with the first connection. */
function checkPem(
  path: KeyPath,
  files: { readonly ca?: string; readonly cert?: string; readonly key?: string },
): void {
  try {
    createSecureContext(files)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message.replace(/^error:[0-9A-F]+:/, '') : String(cause)
    throw new ConfigProblem(path, `the certificate and its key cannot be used: ${detail}`, { cause })
  }
}

/** Policies that stand on a backend, around it, or on its route; the innermost wins, `ai` field by field. */
interface Layers {
  readonly policies: RoutePolicies & BackendPolicies
  readonly pathOf: (key: string) => KeyPath
}

function layer(outer: Layers, inner: BackendPolicies | undefined, path: KeyPath): Layers {
  if (inner === undefined) return outer
  const ai =
    outer.policies.ai === undefined && inner.ai === undefined
      ? undefined
      : { ...outer.policies.ai, ...inner.ai }
  return {
    policies: { ...outer.policies, ...inner, ai },
    pathOf: (key) => (key in inner ? [...path, key] : outer.pathOf(key)),
  }
}

function credentialOf(context: Context, layers: Layers): BackendAuth | undefined {
  const config = layers.policies.backendAuth
  if (config === undefined) return undefined
  const isPlaced = typeof config.key === 'object' && 'value' in config.key
  const path = [...layers.pathOf('backendAuth'), 'key', ...(isPlaced ? ['value'] : []), 'file']
  return backendAuth(config, (file) => {
    const key = readAt(context, path, file).trim()
    if (!isHeaderValue(key)) throw new ConfigProblem(path, `${file} does not hold a key on one line`)
    return key
  })
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

function backendTimeouts(layers: Layers): Timeouts {
  const base = timeouts(layers.policies.timeout)
  const own = layers.policies.http?.requestTimeout
  return own === undefined ? base : { ...base, firstByteMs: own }
}

function target(
  context: Context,
  host: string,
  port: number,
  tls: UpstreamTls | undefined,
  layers: Layers,
): UpstreamTarget {
  const made: UpstreamTarget = { host, port, tls, connectTimeoutMs: layers.policies.tcp?.connectTimeout }
  context.targets.push(made)
  return made
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
  }
}

function oneBackend(context: Context, config: RouteBackendConfig, route: Layers, path: KeyPath): Backend {
  const weight = config.weight ?? 1
  let source: RouteBackendConfig | NamedBackendConfig = config
  let at = path
  let outer = route
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
    outer = layer(route, named.policies, [...at, 'policies'])
    own = named.policies === undefined ? own : { ...named.policies, ...own }
    name = named.name
  }
  const layers = layer(outer, config.policies, [...path, 'policies'])
  if (source.ai !== undefined) return aiBackend(context, source.ai, layers, [...at, 'ai'], own, weight)
  const host = source.host ?? ''
  return hostBackend(context, host, name ?? host, layers, own, weight)
}

/** The route phase, in upstream's order: cors, header modifiers, rewrite, direct response. */
function routePolicies(config: RoutePolicies | undefined): Policy[] {
  const compiled: Policy[] = []
  if (config?.cors !== undefined) compiled.push(cors(config.cors))
  if (config?.requestHeaderModifier !== undefined)
    compiled.push(requestHeaderModifier(config.requestHeaderModifier))
  if (config?.responseHeaderModifier !== undefined)
    compiled.push(responseHeaderModifier(config.responseHeaderModifier))
  if (config?.urlRewrite !== undefined) compiled.push(urlRewrite(config.urlRewrite))
  if (config?.directResponse !== undefined) compiled.push(directResponse(config.directResponse))
  return compiled
}

function oneRoute(context: Context, config: RouteConfig, index: number, path: KeyPath): RouteSource<Route> {
  const policiesPath = [...path, 'policies']
  const layers: Layers = { policies: { ...config.policies }, pathOf: (key) => [...policiesPath, key] }
  // The route's header modifiers run with the route, not once more with each backend.
  const inherited: Layers = {
    ...layers,
    policies: { ...layers.policies, requestHeaderModifier: undefined, responseHeaderModifier: undefined },
  }
  const backends = (config.backends ?? []).map((backend, position) =>
    oneBackend(context, backend, inherited, [...path, 'backends', position]),
  )
  const target: Route = {
    name: `default/${config.name ?? `route${index}`}`,
    policies: routePolicies(config.policies),
    backends,
    totalWeight: backends.reduce((sum, backend) => sum + backend.weight, 0),
    timeouts: timeouts(config.policies?.timeout),
  }
  return { hostnames: config.hostnames, matches: config.matches, target, path }
}

function oneListener(context: Context, config: ListenerConfig, index: number, path: KeyPath): Listener {
  const routes = (config.routes ?? []).map((route, position) =>
    oneRoute(context, route, position, [...path, 'routes', position]),
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

/** Throws `ConfigProblem`. */
export function compile(config: Config, readText: ReadText): Snapshot {
  const context: Context = { config, readText, targets: [] }
  const binds = (config.binds ?? []).map((bind, index): Bind => {
    const listeners = bind.listeners.map((listener, position) =>
      oneListener(context, listener, position, ['binds', index, 'listeners', position]),
    )
    listeners.sort((a, b) => b.host.rank[0] - a.host.rank[0] || b.host.rank[1] - a.host.rank[1])
    return { name: `bind/${bind.port}`, port: bind.port, listeners }
  })
  return { binds, targets: context.targets, catalogs: readCatalogs(context) }
}
