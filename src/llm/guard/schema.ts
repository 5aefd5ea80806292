import { z } from 'zod'
import { headerName, headerValue } from '../../core/schema.ts'
import { BUILTINS } from './builtins.ts'
import { patternRule } from './pattern.ts'

export const SCOPES = ['systemPrompt', 'messages', 'toolOutput', 'toolInput'] as const

const patternSchema = z.string().superRefine((pattern, context) => {
  try {
    patternRule(pattern)
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    context.addIssue({ code: 'custom', message: `not a usable pattern: ${problem}` })
  }
})

const ruleSchema = z.union([
  z.strictObject({ builtin: z.enum(BUILTINS) }),
  z.strictObject({ pattern: patternSchema }),
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

const guardSchema = z.strictObject({
  regex: z.strictObject({
    action: z.enum(['mask', 'reject']).default('mask'),
    rules: z.array(ruleSchema).min(1),
  }),
  scope: z.array(z.enum(SCOPES)).min(1).default(['systemPrompt', 'messages']),
  rejection: rejectionSchema.optional(),
})
export type GuardConfig = z.output<typeof guardSchema>
export type RejectionConfig = z.output<typeof rejectionSchema>

export const promptGuardSchema = z.strictObject({
  request: z.array(guardSchema).optional(),
  response: z.array(guardSchema).optional(),
  /** Whether answers that are streamed are looked at, too. */
  streaming: z.enum(['Enabled', 'Disabled']).default('Enabled'),
})
export type PromptGuardConfig = z.output<typeof promptGuardSchema>
