/** The top-level `llm:`, without its `policies`: models by name, and where they are. */
import { z } from 'zod'
import type { Names } from '../core/cel.ts'
import { celExpression } from '../core/cel-schema.ts'
import { NOTED_NAMES } from '../core/request-names.ts'
import { httpUrl, orEmpty, secret } from '../core/schema.ts'
import { PRESET_NAMES } from '../llm/providers/presets.ts'
import { customProvider } from '../llm/schema.ts'
import { backendAuthSchema } from '../policies/backend-auth.ts'
import { headerModifierSchema } from '../policies/header-modifier.ts'
import { healthSchema } from '../upstream/health.ts'
import { backendTlsSchema } from '../upstream/schema.ts'
import { aiPolicySchema } from './ai-schema.ts'

const name = z.string().min(1)

const baseUrl = httpUrl.refine(
  (text) => {
    const { username, password, search, hash } = new URL(text)
    return [username, password, search, hash].every((part) => part === '')
  },
  { error: 'expected a URL without user, query and fragment' },
)

const params = z.strictObject({
  model: name.optional(),
  apiKey: secret.optional(),
  baseUrl: baseUrl.optional(),
})

const ownProvider = z.union([
  z.enum(['openAI', 'openai', 'anthropic', ...PRESET_NAMES]),
  z.strictObject({ custom: orEmpty(customProvider.omit({ model: true })) }),
])
export type OwnProvider = z.output<typeof ownProvider>

const { defaults, overrides, promptGuard } = aiPolicySchema.shape

const settings = z.strictObject({
  defaults,
  overrides,
  requestHeaders: headerModifierSchema.optional(),
  responseHeaders: headerModifierSchema.optional(),
  tls: orEmpty(backendTlsSchema).optional(),
  auth: backendAuthSchema.optional(),
  health: orEmpty(healthSchema).optional(),
  guardrails: promptGuard,
})

const providerSchema = z.strictObject({
  name,
  provider: ownProvider,
  params: params.omit({ model: true }).optional(),
  defaults: settings.optional(),
})
export type LlmProviderConfig = z.output<typeof providerSchema>

const modelSchema = z.strictObject({
  name: name.regex(/^(?:\*?[^*]+|[^*]+\*|\*)$/, {
    error: 'expected a name, with one `*` at its start or end at most',
  }),
  provider: z.union([...ownProvider.options, z.strictObject({ reference: name })]),
  params: params.optional(),
  visibility: z.enum(['public', 'internal']).optional(),
  ...settings.shape,
})
export type ModelConfig = z.output<typeof modelSchema>

/** What a condition of a virtual model knows: the request, and its body. */
export const MODEL_NAMES = { ...NOTED_NAMES, llmRequest: true } as const satisfies Names

const someTargets = <T extends z.ZodType>(target: T) => z.strictObject({ targets: z.array(target).min(1) })

const routingSchema = z
  .strictObject({
    weighted: someTargets(z.strictObject({ model: name, weight: z.int().nonnegative().optional() }))
      .refine(({ targets }) => targets.some(({ weight }) => weight !== 0), {
        error: 'expected a target with a weight above 0',
      })
      .optional(),
    failover: someTargets(z.strictObject({ model: name, priority: z.int().nonnegative() })).optional(),
    conditional: someTargets(
      z.strictObject({ when: celExpression(MODEL_NAMES).optional(), model: name }),
    ).optional(),
  })
  .refine((routing) => Object.values(routing).filter((one) => one !== undefined).length === 1, {
    error: 'expected exactly one of weighted, failover, conditional',
  })

const virtualModelSchema = z.strictObject({
  name: name.regex(/^[^*]+$/, { error: 'expected a name without `*`' }),
  routing: routingSchema,
})
export type VirtualModelConfig = z.output<typeof virtualModelSchema>

export const llmSectionShape = {
  providers: z.array(providerSchema).optional(),
  models: z.array(modelSchema).min(1),
  virtualModels: z.array(virtualModelSchema).optional(),
}
