/** What can be wrong: with the document, which its operator can mend, or with a call, which the model can. */
import type { z } from 'zod'

/** The document cannot be turned into tools. */
export class OpenApiProblem extends Error {
  override readonly name = 'OpenApiProblem'
  /** A JSON pointer, `GET /pets at <pointer>`, or where the text broke off. */
  readonly place: string

  constructor(place: string, message: string, options: ErrorOptions = {}) {
    super(`${place}: ${message}`, options)
    this.place = place
  }
}

/** The arguments of a call do not fit its tool. Safe to show to the client. */
export class OpenApiArgumentError extends Error {
  override readonly name = 'OpenApiArgumentError'
}

/** https://www.rfc-editor.org/rfc/rfc6901#section-3 */
const escapeKey = (key: PropertyKey) => String(key).replaceAll('~', '~0').replaceAll('/', '~1')

export const under = (place: string, ...keys: readonly PropertyKey[]) =>
  place + keys.map((key) => `/${escapeKey(key)}`).join('')

/** The value as the schema has it; throws an OpenApiProblem that points at what does not fit. */
export function checked<T extends z.ZodType>(schema: T, value: unknown, place: string): z.output<T> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new OpenApiProblem(
    under(place, ...(issue?.path ?? [])),
    issue?.message.replace('Invalid input: ', '') ?? 'is malformed',
  )
}
