import { z } from 'zod'
import { celExpression, celProblem } from '../core/cel-schema.ts'
import { endpoint } from '../core/schema.ts'
import { LINE_KEYS } from './access-log.ts'
import { TAKEN_LABELS } from './metrics-families.ts'
import { FINISHED_NAMES, SAMPLING_NAMES } from './variables.ts'

const NUMERAL = /^(true|false|\d*\.?\d+)$/

/** An expression, unless it is one that stands for itself. */
const share = z.string().superRefine((text, context) => {
  if (NUMERAL.test(text)) return
  const problem = celProblem(text, SAMPLING_NAMES)
  if (problem === undefined) return
  const message = `expected true, false, a number from 0 to 1 or a CEL expression: ${problem}`
  context.addIssue({ code: 'custom', message })
})

/** A share of requests: a boolean, or a number from 0 to 1 (numbers above are 1), in quotes or not; or an expression. */
const sampling = z
  .union([z.boolean(), z.number(), share])
  .transform((value) =>
    typeof value === 'string' && !NUMERAL.test(value)
      ? value
      : Math.min(1, Math.max(0, value === 'true' ? 1 : Number(value === 'false' ? 0 : value))),
  )

/** Of a finished request. */
const finishedExpression = celExpression(FINISHED_NAMES)
const attributeName = z.string().min(1).max(256)
const fields = z.record(attributeName, finishedExpression)
const names = z.array(z.string())

/** `config.tracing`. The endpoint may come from the environment instead. */
export const tracingSchema = z.strictObject({
  otlpEndpoint: z.string().min(1).optional(),
  otlpProtocol: z.enum(['grpc', 'http']).optional(),
  path: z.string().startsWith('/').optional(),
  headers: z.record(z.string(), z.string()).optional(),
  fields: z.strictObject({ add: fields.optional(), remove: names.optional() }).optional(),
  randomSampling: sampling.optional(),
  clientSampling: sampling.optional(),
})
export type TracingConfig = z.output<typeof tracingSchema>

/** `frontendPolicies.tracing`, upstream's newer form of the same. */
export const frontendTracingSchema = z.strictObject({
  host: endpoint,
  protocol: z.enum(['grpc', 'http']).optional(),
  path: z.string().startsWith('/').optional(),
  headers: z.record(z.string(), z.string()).optional(),
  attributes: fields.optional(),
  resources: z.record(attributeName, celExpression({})).optional(),
  remove: names.optional(),
  filter: finishedExpression.optional(),
  randomSampling: sampling.optional(),
  clientSampling: sampling.optional(),
})
export type FrontendTracingConfig = z.output<typeof frontendTracingSchema>

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const

/** Each line has them, whatever it tells. */
const lineFields = z.record(
  attributeName.refine((name) => !LINE_KEYS.some((key) => key === name), {
    error: `${LINE_KEYS.map((key) => `\`${key}\``).join(', ')} are there in each line`,
  }),
  finishedExpression,
)

export const loggingSchema = z.strictObject({
  /** `info`, or `info,request=off`, or a list of these. */
  level: z.union([z.string(), z.array(z.string())]).optional(),
  format: z.enum(['text', 'json']).optional(),
  filter: finishedExpression.optional(),
  fields: z.strictObject({ add: lineFields.optional(), remove: names.optional() }).optional(),
})
export type LoggingConfig = z.output<typeof loggingSchema>

const MAX_LABELS = 16

const labelName = z
  .string()
  .regex(/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/, { error: 'a label is made of letters, digits and `_`' })
  .refine((name) => !TAKEN_LABELS.has(name), { error: 'there is a label of this name already' })

export const metricsSchema = z.strictObject({
  /** Families to leave out, with or without prefix, unit and `_total`. */
  remove: names.optional(),
  fields: z
    .strictObject({
      add: z
        .record(labelName, finishedExpression)
        .refine((labels) => Object.keys(labels).length <= MAX_LABELS, {
          error: `expected at most ${MAX_LABELS} labels`,
        })
        .optional(),
    })
    .optional(),
})
export type MetricsConfig = z.output<typeof metricsSchema>

/** Who asked, in other words than the policies'. */
export const standardAttributesSchema = z.strictObject({
  user: finishedExpression.optional(),
  group: finishedExpression.optional(),
})
export type StandardAttributesConfig = z.output<typeof standardAttributesSchema>

/** As many as a record has room for. */
const MAX_KEPT = 32

const keptFields = lineFields.refine((sources) => Object.keys(sources).length <= MAX_KEPT, {
  error: `no more than ${MAX_KEPT}`,
})

/** `frontendPolicies.accessLog`; `database`: which requests are kept, what besides, and whether prompts and completions are. */
export const accessLogSchema = z.strictObject({
  filter: finishedExpression.optional(),
  add: lineFields.optional(),
  remove: names.optional(),
  database: z
    .strictObject({
      filter: finishedExpression.optional(),
      llm: z.enum(['metadata', 'full']).optional(),
      add: keptFields.optional(),
    })
    .optional(),
})
export type AccessLogConfig = z.output<typeof accessLogSchema>
