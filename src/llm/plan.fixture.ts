/** Backends, requests and plans for the tests of this stage. */
import type { RouteType } from '../core/exchange.ts'
import { promptGuard, type ServiceOf } from './guard/guard.ts'
import { modelAlias, routeTypeOf } from './model-alias.ts'
import { type LlmBackend, type LlmPlan, type LlmRequest, planLlm } from './plan.ts'
import { providerOf } from './providers/registry.ts'
import type { AiPolicy, ProviderConfig } from './schema.ts'

export interface BackendChange {
  readonly provider?: ProviderConfig
  readonly ai?: AiPolicy
  readonly hostOverridden?: boolean
  readonly pathPrefix?: string
  readonly pathOverride?: string
  readonly credential?: LlmBackend['credential']
  readonly serviceOf?: ServiceOf
}

/** Paths as the documentation's example has them. */
const ROUTES: NonNullable<AiPolicy['routes']> = {
  '/v1/chat/completions': 'completions',
  '/v1/responses': 'responses',
  '/v1/messages': 'messages',
  '/v1/messages/count_tokens': 'anthropicTokenCount',
  '/v1/embeddings': 'embeddings',
  '/v1/models': 'models',
  '*': 'passthrough',
}

const noService: ServiceOf = () => {
  throw new Error('no service is asked here')
}

export function backendOf(change: BackendChange = {}): LlmBackend {
  const { provider, pin } = providerOf(change.provider ?? { openAI: {} })
  const { ai = {} } = change
  return {
    name: 'main',
    provider,
    credential: change.credential,
    hostOverridden: change.hostOverridden ?? false,
    pathPrefix: change.pathPrefix,
    pathOverride: change.pathOverride,
    pinnedModel: pin,
    routeType: routeTypeOf<RouteType>(ai.routes ?? ROUTES, 'completions'),
    overrides: ai.overrides,
    defaults: ai.defaults,
    alias: ai.modelAliases === undefined ? undefined : modelAlias(ai.modelAliases),
    configuredModels: new Set([pin ?? '', ...Object.values(ai.modelAliases ?? {})]),
    prompts: ai.prompts,
    guard: ai.promptGuard && promptGuard(ai.promptGuard, change.serviceOf ?? noService),
  }
}

export function requestOf(path: string, body: unknown, change: Partial<LlmRequest> = {}): LlmRequest {
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)
  return {
    method: 'POST',
    path,
    query: '',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(text),
    ...change,
  }
}

/** The provider's API in which each plan of `planOf` speaks. */
const PATHS = { completions: '/v1/chat/completions', messages: '/v1/messages', responses: '/v1/responses' }

/** A plan from a client's format to a provider's, for what comes back. */
export function planOf(
  client: 'completions' | 'messages' | 'responses',
  provider: 'completions' | 'messages' | 'responses',
  fields: Readonly<Record<string, unknown>> = {},
): LlmPlan {
  const backend = backendOf({ provider: { custom: { formats: [{ type: provider }] } } })
  const turns =
    client === 'responses' ? { input: 'hello' } : { messages: [{ role: 'user', content: 'hello' }] }
  const limit = client === 'messages' ? { max_tokens: 100 } : {}
  return planLlm(backend, requestOf(PATHS[client], { model: 'm', ...turns, ...limit, ...fields }))
}
