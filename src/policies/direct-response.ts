/** Answers without asking an upstream. */
import { z } from 'zod'
import type { Policy } from './policy.ts'

export const directResponseSchema = z.strictObject({
  status: z.int().min(200).max(599),
  body: z.string().optional(),
})

export function directResponse(config: z.output<typeof directResponseSchema>): Policy {
  const reply = { status: config.status, headers: {}, body: config.body ?? '' }
  return { onRequest: () => ({ ...reply, headers: {} }) }
}
