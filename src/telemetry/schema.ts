import { z } from 'zod'
import { endpoint } from '../core/schema.ts'

/** A share of requests: a boolean, or a number from 0 to 1 (numbers above are 1). Numerals in quotes count as numbers. */
const sampling = z
  .union([
    z.boolean(),
    z.number(),
    z.string().regex(/^(true|false|\d*\.?\d+)$/, {
      error: 'expected true, false or a number from 0 to 1 (expressions are not supported yet)',
    }),
  ])
  .transform((value) =>
    Math.min(1, Math.max(0, value === 'true' ? 1 : Number(value === 'false' ? 0 : value))),
  )

/** A CEL string literal: `"team-a"` or `'team-a'`, quotes included. */
const celLiteral = z
  .string()
  .regex(/^("[^"]*"|'[^']*')$/, {
    error: 'expected a quoted string such as \'"team-a"\' (expressions are not supported yet)',
  })
  .transform((text) => text.slice(1, -1))

/** `config.tracing`. The endpoint may come from the environment instead. */
export const tracingSchema = z.strictObject({
  otlpEndpoint: z.string().min(1).optional(),
  otlpProtocol: z.enum(['grpc', 'http']).optional(),
  path: z.string().startsWith('/').optional(),
  headers: z.record(z.string(), z.string()).optional(),
  fields: z.strictObject({ remove: z.array(z.string()).optional() }).optional(),
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
  attributes: z.record(z.string(), celLiteral).optional(),
  resources: z.record(z.string(), celLiteral).optional(),
  remove: z.array(z.string()).optional(),
  randomSampling: sampling.optional(),
  clientSampling: sampling.optional(),
})
export type FrontendTracingConfig = z.output<typeof frontendTracingSchema>

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const

export const loggingSchema = z.strictObject({
  /** `info`, or `info,request=off`, or a list of these. */
  level: z.union([z.string(), z.array(z.string())]).optional(),
  format: z.enum(['text', 'json']).optional(),
})
export type LoggingConfig = z.output<typeof loggingSchema>

export const metricsSchema = z.strictObject({
  /** Families to leave out, with or without prefix, unit and `_total`. */
  remove: z.array(z.string()).optional(),
})
export type MetricsConfig = z.output<typeof metricsSchema>

/** `frontendPolicies.accessLog`: whether prompts and completions are kept in the database. */
export const accessLogSchema = z.strictObject({
  database: z.strictObject({ llm: z.enum(['metadata', 'full']).optional() }).optional(),
})
