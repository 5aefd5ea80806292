/** Public keys that tokens are checked with. https://www.rfc-editor.org/rfc/rfc7517#section-5 */
import { createLocalJWKSet, type JSONWebKeySet, type LocalJWKSet } from 'jose'
import { z } from 'zod'
import { httpUrl } from './schema.ts'

const keySetSchema = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) })

const inlineKeySet = z.union([
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text)
      } catch {
        context.issues.push({ code: 'custom', message: 'expected a key set as JSON', input: text })
        return z.NEVER
      }
    })
    .pipe(keySetSchema),
  keySetSchema,
])

/** A bare string is the key set itself as JSON, not an address: upstream reads it so. */
export const keySourceSchema = z.union([
  z.strictObject({ url: httpUrl }),
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ inline: inlineKeySet }),
  inlineKeySet.transform((inline) => ({ inline })),
])
export type KeySource = z.output<typeof keySourceSchema>

/** Throws when it is none. What else a key holds is read, and doubted, by jose. */
export const keySetOf = (document: unknown): LocalJWKSet =>
  createLocalJWKSet(keySetSchema.parse(document) as JSONWebKeySet)
