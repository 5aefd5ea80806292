import { z } from 'zod'

const valueMatch = z.union([z.strictObject({ exact: z.string() }), z.strictObject({ regex: z.string() })])

const pathMatch = z.union([
  z.strictObject({ exact: z.string().startsWith('/') }),
  z.strictObject({ pathPrefix: z.string().startsWith('/') }),
  z.strictObject({ regex: z.string() }),
])

/** All parts must hold; several matches of a route are alternatives. */
export const matchSchema = z.strictObject({
  path: pathMatch.optional(),
  headers: z.array(z.strictObject({ name: z.string().min(1), value: valueMatch })).optional(),
  method: z.string().min(1).optional(),
  query: z.array(z.strictObject({ name: z.string().min(1), value: valueMatch })).optional(),
})

export type Match = z.output<typeof matchSchema>
export type PathMatch = z.output<typeof pathMatch>
export type ValueMatch = z.output<typeof valueMatch>
