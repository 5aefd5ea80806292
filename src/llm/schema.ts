import { z } from 'zod'
import { endpoint, orEmpty } from '../core/schema.ts'
import { promptGuardSchema } from './guard/schema.ts'

const ROUTE_TYPES = [
  'completions',
  'messages',
  'responses',
  'embeddings',
  'models',
  'anthropicTokenCount',
  'passthrough',
  'detect',
] as const

/** Path suffix -> route type; the longest suffix wins, `*` is last. */
const routesSchema = z.record(z.string().min(1), z.enum(ROUTE_TYPES))

const promptSchema = z.strictObject({ role: z.string().min(1), content: z.string() })

/** `policies.ai`, on a route or on a backend; the backend's wins field by field. */
export const aiPolicySchema = z.strictObject({
  routes: routesSchema.optional(),
  /** Body keys added where the client sent none. */
  defaults: z.record(z.string(), z.json()).optional(),
  /** Body keys forced. */
  overrides: z.record(z.string(), z.json()).optional(),
  /** Exact name, then `*` patterns, longest first. */
  modelAliases: z.record(z.string().min(1), z.string().min(1)).optional(),
  prompts: z
    .strictObject({ prepend: z.array(promptSchema).optional(), append: z.array(promptSchema).optional() })
    .optional(),
  promptGuard: promptGuardSchema.optional(),
})
export type AiPolicy = z.output<typeof aiPolicySchema>

const modelPin = z.strictObject({ model: z.string().min(1).optional() })

const CUSTOM_FORMATS = ['completions', 'messages', 'responses', 'embeddings', 'anthropicTokenCount'] as const

export const customProvider = z.strictObject({
  model: z.string().min(1).optional(),
  /** Its name in metrics and traces; `custom` when absent. */
  providerOverride: z.string().min(1).optional(),
  formats: z
    .array(z.strictObject({ type: z.enum(CUSTOM_FORMATS), path: z.string().startsWith('/').optional() }))
    .min(1)
    .optional(),
})

/** Exactly one key. */
const providerSchema = z
  .strictObject({
    openAI: orEmpty(modelPin).optional(),
    anthropic: orEmpty(modelPin).optional(),
    custom: orEmpty(customProvider).optional(),
  })
  .refine((value) => Object.values(value).filter((entry) => entry !== undefined).length === 1, {
    error: 'expected exactly one provider: openAI, anthropic or custom',
  })
export type ProviderConfig = z.output<typeof providerSchema>

/** One provider of an `ai` backend, without its `policies`, which `config/` adds. */
export const aiProviderShape = {
  name: z.string().min(1),
  provider: providerSchema,
  hostOverride: endpoint.optional(),
  pathPrefix: z.string().startsWith('/').optional(),
  pathOverride: z.string().startsWith('/').optional(),
  /** Counting before sending serves token limits, which are not here yet. */
  tokenize: z.literal(false).optional(),
  /** Older spelling of `policies.ai.routes`. */
  routes: routesSchema.optional(),
}
