/** Requests are received whole before they go on: slow clients keep no upstream waiting, and what failed can be sent again. */
import { z } from 'zod'
import { byteSize } from '../core/schema.ts'

const requestSchema = z.strictObject({
  maxBytes: byteSize,
  failureMode: z.enum(['failClosed', 'failOpen']).default('failClosed'),
})

export const bufferSchema = z.strictObject({ request: requestSchema })
export type BufferConfig = z.output<typeof bufferSchema>
