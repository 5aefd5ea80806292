/** What was wrong with a request, found by a schema: one problem, with the input that caused it. */
import type { z } from 'zod'

type Issue = z.core.$ZodIssue

/** A body after `JSON.parse`, before anything is known of it. */
export type Json = Record<string, unknown>

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The issue that a person would name: in a union, that of the branch that came furthest. */
export function firstIssue(error: z.core.$ZodError): Issue {
  const [first] = error.issues
  if (first === undefined) throw new Error('a schema failed without saying why', { cause: error })
  return furthest(first)
}

function furthest(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue
  let best: Issue = issue
  for (const branch of issue.errors) {
    const [first] = branch
    if (first === undefined) continue
    const found = furthest(first)
    // A branch whose very type is wrong says nothing; the others know the value from inside.
    if (found.path.length === 0 && found.code === 'invalid_type') continue
    if (best === issue || found.path.length + issue.path.length > best.path.length) {
      best = { ...found, path: [...issue.path, ...found.path] }
    }
  }
  return best
}

/** The value at a path of the input. */
export function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input
  for (const key of path) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
  }
  return value
}
