/** Prompt guards of the configuration, with the services that some of them ask. */
import {
  type Context,
  credentialOf,
  type KeyPath,
  type Layers,
  outermost,
  splitEndpoint,
  target,
  upstreamTls,
} from './compile-upstream.ts'
import type { AiPolicy } from './config/ai-schema.ts'
import { ConfigProblem } from './core/config-problem.ts'
import { type PromptGuard, promptGuard } from './llm/guard/guard.ts'
import { MODERATION_HOST, moderationWire } from './llm/guard/moderation.ts'
import type { WebhookConfig } from './llm/guard/schema.ts'
import { askOver, type GuardService, type Place } from './llm/guard/service.ts'
import { webhookWire } from './llm/guard/webhook.ts'

type Entry = NonNullable<NonNullable<AiPolicy['promptGuard']>['request']>[number]
type ModerationConfig = NonNullable<Entry['openAIModeration']>

export function promptGuardOf(context: Context, layers: Layers): PromptGuard | undefined {
  const config = layers.policies.ai?.promptGuard
  if (config === undefined) return undefined
  const path = [...layers.pathOf('ai'), 'promptGuard']
  return promptGuard(config, (phase, index): GuardService => {
    const at = [...path, phase, index]
    const entry: Entry = config[phase]?.[index] ?? {}
    if (entry.webhook !== undefined) return webhook(context, entry.webhook, [...at, 'webhook'])
    if (entry.openAIModeration !== undefined)
      return moderation(context, entry.openAIModeration, [...at, 'openAIModeration'])
    throw new ConfigProblem(at, 'a guard needs a kind')
  })
}

function webhook(context: Context, config: WebhookConfig, path: KeyPath): GuardService {
  const place = webhookPlace(context, config, [...path, 'target'])
  return {
    kind: 'webhook',
    id: JSON.stringify(['webhook', config]),
    failsOpen: config.failureMode === 'failOpen',
    ask: askOver(context.lasting.ask, place, webhookWire(config)),
  }
}

function webhookPlace(context: Context, { target: { host, backend } }: WebhookConfig, path: KeyPath): Place {
  if (backend === undefined) return placeAt(context, host ?? '', outermost(undefined, path))
  const name = backend.replace(/^\//, '')
  const index = (context.config.backends ?? []).findIndex((one) => one.name === name)
  const named = context.config.backends?.[index]
  if (named?.host !== undefined)
    return placeAt(context, named.host, outermost(named.policies, ['backends', index, 'policies']))
  const problem =
    named === undefined ? `there is no top-level backend named ${name}` : `${name} has no \`host\``
  throw new ConfigProblem([...path, 'backend'], problem)
}

/** A host of one's own has TLS where it is asked for, as providers have. */
function moderation(context: Context, config: ModerationConfig, path: KeyPath): GuardService {
  const { host, policies } = config
  const withTls = host === undefined ? { backendTLS: {}, ...policies } : policies
  const place = placeAt(context, host ?? MODERATION_HOST, outermost(withTls, [...path, 'policies']))
  return {
    kind: 'openAIModeration',
    id: JSON.stringify(['openAIModeration', config]),
    failsOpen: false,
    ask: askOver(context.lasting.ask, place, moderationWire(config)),
  }
}

function placeAt(context: Context, endpoint: string, layers: Layers): Place {
  const { host, port } = splitEndpoint(endpoint)
  const { backendTLS } = layers.policies
  const tls = backendTLS && upstreamTls(context, backendTLS, layers.pathOf('backendTLS'))
  const isUsual = port === (tls === undefined ? 80 : 443)
  return {
    target: target(context, host, port, tls, layers),
    authority: isUsual ? endpoint.replace(/:\d+$/, '') : endpoint,
    auth: credentialOf(context, layers),
  }
}
