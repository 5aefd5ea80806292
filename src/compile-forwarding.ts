/** Backends of the configuration that forward a request: hosts, and providers of models, alone or in groups. */
import type { ForwardingBackend } from './compile.ts'
import { promptGuardOf } from './compile-guards.ts'
import {
  backendTimeouts,
  type Context,
  credentialOf,
  type KeyPath,
  type Layers,
  layer,
  splitEndpoint,
  target,
  upstreamTls,
} from './compile-upstream.ts'
import type { AiPolicy } from './config/ai-schema.ts'
import type { AiBackendConfig, AiProviderConfig, BackendPolicies } from './config/schema.ts'
import { ConfigProblem } from './core/config-problem.ts'
import type { RouteType } from './core/exchange.ts'
import { modelAlias, routeTypeOf } from './llm/model-alias.ts'
import type { LlmBackend } from './llm/plan.ts'
import { providerOf } from './llm/providers/registry.ts'
import { requestHeaderModifier, responseHeaderModifier } from './policies/header-modifier.ts'
import type { Policy } from './policies/policy.ts'
import { type GroupName, type Health, unhealthyAnswer } from './upstream/health.ts'

/** Header modifiers of the backend itself; the route's own are the route's. */
export function headerPolicies(policies: BackendPolicies | undefined): Policy[] {
  const compiled: Policy[] = []
  if (policies?.requestHeaderModifier !== undefined)
    compiled.push(requestHeaderModifier(policies.requestHeaderModifier))
  if (policies?.responseHeaderModifier !== undefined)
    compiled.push(responseHeaderModifier(policies.responseHeaderModifier))
  return compiled
}

export function hostBackend(
  context: Context,
  endpoint: string,
  name: string,
  layers: Layers,
): ForwardingBackend {
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
    unhealthy: undefined,
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
    guard: promptGuardOf(context, layers),
  }
}

function healthOf(context: Context, group: GroupName, backend: string, { policies }: Layers): Health {
  const health = context.lasting.healths.at(group, backend, policies.health ?? {})
  context.watched.push(health)
  return health
}

/** `group`: undefined where there is nobody else to ask. */
export function aiProvider(
  context: Context,
  config: AiProviderConfig,
  outer: Layers,
  { path, group }: { readonly path: KeyPath; readonly group: GroupName | undefined },
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
    unhealthy: group === undefined ? undefined : unhealthyAnswer(layers.policies.health ?? {}),
    timeouts: backendTimeouts(layers),
  }
}

const isProvider = (config: AiBackendConfig): config is AiBackendConfig & AiProviderConfig =>
  config.name !== undefined && config.provider !== undefined

export function aiTiers(
  context: Context,
  config: AiBackendConfig,
  outer: Layers,
  { path, group: name }: { readonly path: KeyPath; readonly group: GroupName },
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
