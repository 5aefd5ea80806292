/** The top-level `llm:` -> which upstreams are behind a model's name. A model is what a provider of `ai` is, written shorter. */
import type { ForwardingBackend, ModelBackend, ModelChoice, PooledBackend } from './compile.ts'
import { aiProvider } from './compile-forwarding.ts'
import { type Context, type KeyPath, type Layers, secretAt } from './compile-upstream.ts'
import type { AiPolicy } from './config/ai-schema.ts'
import {
  type LlmProviderConfig,
  MODEL_NAMES,
  type ModelConfig,
  type OwnProvider,
  type VirtualModelConfig,
} from './config/llm-schema.ts'
import type { LlmSectionConfig } from './config/schema.ts'
import { compileCel } from './core/cel.ts'
import { GatewayError } from './core/errors.ts'
import type { RouteType } from './core/exchange.ts'
import { routeTypeOf } from './llm/model-alias.ts'
import { modelIdIn } from './llm/model-list.ts'
import { byModelName } from './llm/model-names.ts'
import { PRESETS } from './llm/providers/presets.ts'
import type { ProviderConfig } from './llm/schema.ts'

type Tiers = PooledBackend['tiers']
type Choose = (choice: ModelChoice) => Tiers

/** By the ends of paths, as upstream has them. What has no API here cannot be told which model it is for. */
const ROUTES: NonNullable<AiPolicy['routes']> = {
  '/v1/chat/completions': 'completions',
  '/v1/messages': 'messages',
  '/v1/messages/count_tokens': 'anthropicTokenCount',
  '/v1/responses': 'responses',
  '/v1/embeddings': 'embeddings',
  '/models': 'models',
  '*': 'passthrough',
}

interface Section {
  readonly context: Context
  readonly config: LlmSectionConfig
  readonly indexOf: (model: string) => number | undefined
}

/** For whom a model is compiled. */
interface Use {
  /** As it is asked for; undefined where that is the client's choice. */
  readonly name: string | undefined
  /** Undefined where there is nobody else to ask. */
  readonly group: string | undefined
}

export function modelBackend(context: Context, config: LlmSectionConfig): ModelBackend {
  const { models, virtualModels = [] } = config
  const indexOf = byModelName(models.map(({ name }, index) => [name, index]))
  const section: Section = { context, config, indexOf }
  const byEnd = routeTypeOf<RouteType>(ROUTES, 'passthrough')
  const routeType = (path: string): RouteType => {
    const ofEnd = byEnd(path)
    return ofEnd === 'passthrough' && modelIdIn(path) !== undefined ? 'models' : ofEnd
  }
  const open = models.flatMap((model, index) => (model.visibility === 'internal' ? [] : [{ model, index }]))
  const clientModels = open.map(({ model, index }): [string, Choose] => {
    const tiers = [[oneModel(section, index, { name: undefined, group: undefined })]]
    return [model.name, () => tiers]
  })
  const virtual = virtualModels.map((one): [string, Choose] => [
    one.name,
    virtualModel(section, one, undefined),
  ])
  const list = [
    ...open.map(({ model }) => ({ id: model.name, ownedBy: ownerOf(section, model) })),
    ...virtualModels.map(({ name }) => ({ id: name, ownedBy: 'agentgateway' })),
  ]
  return {
    name: 'llm',
    policies: [],
    weight: 1,
    mcp: undefined,
    models: {
      routeType,
      find: byModelName([...clientModels, ...virtual]),
      list,
      listed: byModelName(list.map((one) => [one.id, one])),
    },
  }
}

function target(section: Section, name: string, group: string | undefined): Choose {
  const virtual = section.config.virtualModels?.find((one) => one.name === name)
  if (virtual !== undefined) return virtualModel(section, virtual, group)
  const tiers = [[oneModel(section, section.indexOf(name) ?? 0, { name, group })]]
  return () => tiers
}

function virtualModel(
  section: Section,
  { name, routing }: VirtualModelConfig,
  group: string | undefined,
): Choose {
  if (routing.weighted !== undefined) {
    const { targets } = routing.weighted
    return weighted(
      targets.map(({ model, weight = 1 }) => ({ choose: target(section, model, group), weight })),
    )
  }
  if (routing.failover !== undefined) {
    const { targets } = routing.failover
    const own = group ?? (targets.length > 1 ? name : undefined)
    const byPriority = Map.groupBy(targets, ({ priority }) => priority)
    return failover(
      [...byPriority.entries()]
        .sort(([a], [b]) => a - b)
        .map(([, equals]) => equals.map(({ model }) => target(section, model, own))),
    )
  }
  return conditional(
    name,
    (routing.conditional?.targets ?? []).map(({ when, model }) => ({
      condition: when === undefined ? undefined : compileCel(when, MODEL_NAMES),
      choose: target(section, model, group),
    })),
  )
}

function weighted(targets: readonly { readonly choose: Choose; readonly weight: number }[]): Choose {
  const total = targets.reduce((sum, { weight }) => sum + weight, 0)
  return (choice) => {
    let at = choice.random() * total
    const drawn = targets.find(({ weight }) => {
      at -= weight
      return at < 0
    })
    return (drawn ?? targets[0])?.choose(choice) ?? []
  }
}

/** Each of equals may have tiers of its own: their first ones together, then their second ones. */
function failover(priorities: readonly (readonly Choose[])[]): Choose {
  return (choice) =>
    priorities.flatMap((equals) => {
      const each = equals.map((choose) => choose(choice))
      const depth = Math.max(...each.map((tiers) => tiers.length))
      return Array.from({ length: depth }, (_, tier) => each.flatMap((tiers) => tiers[tier] ?? []))
    })
}

interface ConditionalTarget {
  /** Undefined: always. */
  readonly condition: ReturnType<typeof compileCel> | undefined
  readonly choose: Choose
}

/** A condition that cannot be evaluated does not hold. */
function conditional(name: string, targets: readonly ConditionalTarget[]): Choose {
  return (choice) => {
    const variables = choice.variables()
    const fitting = targets.find(({ condition }) => {
      try {
        return condition === undefined || condition.evaluate(variables) === true
      } catch {
        return false
      }
    })
    if (fitting !== undefined) return fitting.choose(choice)
    throw new GatewayError(
      'virtual_model_no_matching_target',
      `no target of the model ${name} fits this request`,
    )
  }
}

interface Origin {
  readonly provider: OwnProvider
  readonly params: LlmProviderConfig['params']
  readonly settings: LlmProviderConfig['defaults']
  readonly path: KeyPath
  readonly settingsPath: KeyPath
}

/** Where a model comes from: the provider that it refers to, or what it says itself. */
function originOf({ config }: Section, model: ModelConfig, path: KeyPath): Origin {
  const { provider, params } = model
  if (typeof provider === 'string' || !('reference' in provider))
    return { provider, params, settings: undefined, path, settingsPath: path }
  const index = (config.providers ?? []).findIndex(({ name }) => name === provider.reference)
  const named = config.providers?.[index]
  if (named === undefined) throw new Error(`no provider ${provider.reference}`)
  const at = ['llm', 'providers', index]
  return {
    provider: named.provider,
    params: named.params,
    settings: named.defaults,
    path: at,
    settingsPath: [...at, 'defaults'],
  }
}

function ownerOf(section: Section, model: ModelConfig): string {
  const { provider } = originOf(section, model, [])
  if (typeof provider === 'object') return provider.custom.providerOverride ?? 'custom'
  return provider === 'openAI' ? 'openai' : provider
}

function providerConfig(provider: OwnProvider, model: string | undefined): ProviderConfig {
  if (typeof provider === 'object') return { custom: { ...provider.custom, model } }
  if (provider === 'openAI' || provider === 'openai') return { openAI: { model } }
  if (provider === 'anthropic') return { anthropic: { model } }
  return { custom: { model, providerOverride: provider, formats: [...PRESETS[provider].formats] } }
}

const usualBaseUrl = (provider: OwnProvider) =>
  typeof provider === 'string' && provider in PRESETS
    ? PRESETS[provider as keyof typeof PRESETS].baseUrl
    : undefined

/** Without a path of its own it has that of the API. */
function addressOf(baseUrl: string | undefined) {
  if (baseUrl === undefined) return { isTls: false }
  const { protocol, hostname, port, pathname } = new URL(baseUrl)
  const isTls = protocol === 'https:'
  return {
    isTls,
    hostOverride: `${hostname}:${port === '' ? (isTls ? 443 : 80) : port}`,
    pathPrefix: pathname === '/' ? '/v1' : pathname,
  }
}

function oneModel(section: Section, index: number, { name, group }: Use): ForwardingBackend {
  const { context, config } = section
  const model = config.models[index]
  if (model === undefined) throw new Error(`no model ${name}`)
  const path: KeyPath = ['llm', 'models', index]
  const { provider, params, settings, path: origin, settingsPath } = originOf(section, model, path)
  const { isTls, ...address } = addressOf(params?.baseUrl ?? usualBaseUrl(provider))
  const setting = <K extends keyof ModelConfig & keyof NonNullable<typeof settings>>(key: K) =>
    model[key] ?? settings?.[key]
  const [tls, auth, apiKey] = [setting('tls') ?? (isTls ? {} : undefined), setting('auth'), params?.apiKey]
  const backendAuth = auth ?? (apiKey && { key: secretAt(context, [...origin, 'params', 'apiKey'], apiKey) })
  const places: Readonly<Record<string, 'tls' | 'auth'>> = { backendTLS: 'tls', backendAuth: 'auth' }
  const layers: Layers = {
    policies: {
      timeout: config.policies?.timeout,
      ...(tls && { backendTLS: tls }),
      ...(backendAuth && { backendAuth }),
      health: setting('health'),
      ai: {
        defaults: setting('defaults'),
        overrides: setting('overrides'),
        promptGuard: together(config.policies?.guardrails, setting('guardrails')),
        routes: ROUTES,
      },
    },
    pathOf: (policy) => {
      const key = places[policy]
      return key === undefined ? path : [...(model[key] === undefined ? settingsPath : path), key]
    },
    authorization: [],
  }
  const own = name ?? (model.name.includes('*') ? undefined : model.name)
  return aiProvider(
    context,
    {
      name: name ?? model.name,
      provider: providerConfig(provider, model.params?.model ?? own),
      ...address,
      policies: {
        requestHeaderModifier: setting('requestHeaders'),
        responseHeaderModifier: setting('responseHeaders'),
      },
    },
    layers,
    { path, group: group === undefined ? undefined : { key: 'llm', label: group } },
  )
}

type PromptGuardConfig = AiPolicy['promptGuard']

/** The section's guards come first. */
function together(outer: PromptGuardConfig, inner: PromptGuardConfig): PromptGuardConfig {
  if (outer === undefined || inner === undefined) return outer ?? inner
  return {
    request: [...(outer.request ?? []), ...(inner.request ?? [])],
    response: [...(outer.response ?? []), ...(inner.response ?? [])],
    streaming: [outer, inner].some(({ streaming }) => streaming === 'Enabled') ? 'Enabled' : 'Disabled',
  }
}
