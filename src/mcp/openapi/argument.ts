/** One value of a tool call as text for a path, a query or a header. */
import { OpenApiArgumentError } from './problem.ts'

/** `query.limit`: how messages name an argument. */
export type Label = string

export function scalarText(value: unknown, label: Label): string {
  if (typeof value === 'string') {
    // Half a surrogate pair has no encoding.
    if (!value.isWellFormed()) throw new OpenApiArgumentError(`${label} is not valid Unicode`)
    return value
  }
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new OpenApiArgumentError(`${label} has to be a string, a number or a boolean`)
}
