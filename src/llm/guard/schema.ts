import { z } from 'zod'
import { celExpression } from '../../core/cel-schema.ts'
import { freeHeaderName } from '../../core/header-expressions.ts'
import { NOTED_NAMES } from '../../core/request-names.ts'
import { endpoint, headerName, headerValue, orEmpty } from '../../core/schema.ts'
import { BUILTINS } from './builtins.ts'
import { compilePattern, patternRule } from './pattern.ts'

export const SCOPES = ['systemPrompt', 'messages', 'toolOutput', 'toolInput'] as const

const patternFor = (use: (pattern: string) => unknown) =>
  z.string().superRefine((pattern, context) => {
    try {
      use(pattern)
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      context.addIssue({ code: 'custom', message: `not a usable pattern: ${problem}` })
    }
  })

const ruleSchema = z.union([
  z.strictObject({ builtin: z.enum(BUILTINS) }),
  z.strictObject({ pattern: patternFor(patternRule) }),
])

const headers = z.record(headerName, headerValue)

const rejectionSchema = z.strictObject({
  status: z.int().min(400).max(599).default(403),
  body: z.string().optional(),
  headers: z
    .strictObject({
      add: headers.optional(),
      set: headers.optional(),
      remove: z.array(headerName).optional(),
    })
    .optional(),
})

const regexSchema = z.strictObject({
  action: z.enum(['mask', 'reject']).default('mask'),
  rules: z.array(ruleSchema).min(1),
})

const headerMatchSchema = z.strictObject({
  name: headerName,
  value: z.union([
    z.strictObject({ exact: z.string() }),
    z.strictObject({ regex: patternFor(compilePattern) }),
  ]),
})

/** Of the question itself, which only the gateway can say. */
const OF_THE_QUESTION = ['content-type', 'accept', 'accept-encoding', 'traceparent', 'tracestate']

const questionHeaderName = freeHeaderName.refine((name) => !OF_THE_QUESTION.includes(name.toLowerCase()), {
  error: 'only the gateway itself can say this header',
})

const webhookSchema = z.strictObject({
  target: z
    .strictObject({
      host: endpoint.optional(),
      /** A top-level backend, `/name` or `name`, with its policies. */
      backend: z.string().min(1).optional(),
    })
    .refine(({ host, backend }) => (host === undefined) !== (backend === undefined), {
      error: 'expected exactly one of host, backend',
    }),
  headers: z.record(questionHeaderName, celExpression(NOTED_NAMES)).optional(),
  forwardHeaderMatches: z.array(headerMatchSchema).optional(),
  failureMode: z.enum(['failClosed', 'failOpen']).default('failClosed'),
})
export type WebhookConfig = z.output<typeof webhookSchema>

const moderationSchemaWith = <T extends z.ZodType>(policies: T) =>
  z.strictObject({
    model: z.string().min(1).default('omni-moderation-latest'),
    /** Instead of OpenAI's own. */
    host: endpoint.optional(),
    policies: policies.optional(),
  })

const entryShape = {
  regex: regexSchema.optional(),
  webhook: webhookSchema.optional(),
  scope: z.array(z.enum(SCOPES)).min(1).optional(),
  rejection: rejectionSchema.optional(),
}

interface AnyKind {
  readonly regex?: unknown
  readonly webhook?: unknown
  readonly openAIModeration?: unknown
  readonly scope?: unknown
}

const kindsIn = ({ regex, webhook, openAIModeration }: AnyKind) =>
  [regex, webhook, openAIModeration].filter((kind) => kind !== undefined)
const isOneKind = (entry: AnyKind) => kindsIn(entry).length === 1
const isScopeOfRegex = ({ regex, scope }: AnyKind) => regex !== undefined || scope === undefined
const SCOPE_ERROR = {
  error: 'only `regex` has a scope of its own: services are shown system prompts and messages',
  path: ['scope'],
}

const requestGuardSchemaWith = <T extends z.ZodType>(policies: T) =>
  z
    .strictObject({ ...entryShape, openAIModeration: orEmpty(moderationSchemaWith(policies)).optional() })
    .refine(isOneKind, { error: 'expected exactly one of regex, webhook, openAIModeration' })
    .refine(isScopeOfRegex, SCOPE_ERROR)

const responseGuardSchema = z
  .strictObject(entryShape)
  .refine(isOneKind, { error: 'expected exactly one of regex, webhook' })
  .refine(isScopeOfRegex, SCOPE_ERROR)

/** `policies`: of the services that are asked. */
export const promptGuardSchemaWith = <T extends z.ZodType>(policies: T) =>
  z.strictObject({
    request: z.array(requestGuardSchemaWith(policies)).optional(),
    response: z.array(responseGuardSchema).optional(),
    /** Whether answers that are streamed are looked at, too. */
    streaming: z.enum(['Enabled', 'Disabled']).default('Enabled'),
  })

/** Which policies these may be, `config/` says. */
export const promptGuardSchema = promptGuardSchemaWith(z.unknown())
export type PromptGuardConfig = z.output<typeof promptGuardSchema>
export type GuardConfig = NonNullable<PromptGuardConfig['request']>[number]
export type RegexConfig = z.output<typeof regexSchema>
export type ModerationConfig = NonNullable<GuardConfig['openAIModeration']>
export type RejectionConfig = z.output<typeof rejectionSchema>
