import { z } from 'zod'
import { durationMs } from '../core/schema.ts'

/** Paths of PEM files; read at load and watched. */
export const listenerTlsSchema = z.strictObject({
  cert: z.string().min(1),
  key: z.string().min(1),
})

export const frontendHttpSchema = z.strictObject({
  /** Largest request or response body that is held in memory, bytes. */
  maxBufferSize: z.int().positive().optional(),
  /** How long an idle client connection is kept. */
  http1IdleTimeout: durationMs.optional(),
})
export type FrontendHttp = z.output<typeof frontendHttpSchema>
