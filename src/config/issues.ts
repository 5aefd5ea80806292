/**
 * zod's issues as sentences about the file.
 *
 * zod reports a union as the failures of all its branches; here the branch that the writer most likely meant is
 * found by the keys that are there, and only its failures are told.
 */
import { closest, distance } from 'fastest-levenshtein'
import type { z } from 'zod'
import { alternatives, type Finding, formatPath, type Path } from './problem.ts'
import { describe, keysOf, type Schema, schemasAt } from './schema-walk.ts'
import { isSecretKey } from './secret-keys.ts'

type Issue = z.core.$ZodIssue

export interface IssueContext {
  readonly schema: Schema
  readonly data: unknown
  readonly referencesAt: (path: Path) => readonly string[]
}

const MAX_SHOWN = 60

export function findingsFromIssues(issues: readonly Issue[], context: IssueContext): Finding[] {
  return issues.flatMap((issue) => findingsFromIssue(issue, [], context))
}

function findingsFromIssue(issue: Issue, base: Path, context: IssueContext): Finding[] {
  const path = [...base, ...issue.path.filter((part) => typeof part !== 'symbol')]
  const value = valueAt(context.data, path)
  const schemas = schemasAt(context.schema, path)
  if (value === undefined && path.length > 0 && issue.code !== 'unrecognized_keys') {
    const key = String(path.at(-1))
    return [{ path, message: `\`${key}\` is required: expected ${describe(schemas)}`, missing: true }]
  }
  const found = describeFound(value, path, context)

  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey([...path, key], schemas))
    case 'invalid_union':
      return unionFindings(issue, path, context)
    case 'invalid_type':
      return [
        { path, message: `expected ${describe(schemas)}, found ${found}`, hint: typeHint(schemas, value) },
      ]
    case 'invalid_value': {
      const words = issue.values.map(String)
      const near = typeof value === 'string' ? nearest(value, words) : undefined
      const hint = near === undefined ? undefined : `did you mean \`${near}\`?`
      return [{ path, message: `expected ${alternatives(words)}, found ${found}`, hint }]
    }
    case 'invalid_key':
      return [
        {
          path,
          message: keyMessage(issue),
          atKey: true,
        },
      ]
    case 'too_small':
    case 'too_big':
      return [{ path, message: `expected ${sizeWords(issue)}, found ${found}` }]
    case 'invalid_format':
      return [{ path, message: `${formatWords(issue)}, found ${found}` }]
    default:
      return [{ path, message: issue.message }]
  }
}

export function valueAt(data: unknown, path: Path): unknown {
  let value = data
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string | number, unknown>)[part]
  }
  return value
}

/** A value from the environment or under a secret's name is not repeated: messages end up in logs. */
function describeFound(value: unknown, path: Path, context: IssueContext): string {
  const references = context.referencesAt(path)
  const hidden = references.length > 0 || path.some((part) => typeof part === 'string' && isSecretKey(part))
  const from = references.length > 0 ? ` (from ${references.join(', ')})` : ''
  if (value === undefined || value === null) return `nothing${from}`
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  switch (typeof value) {
    case 'string': {
      const shown = value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value
      return hidden ? `a string${from}` : `the string ${JSON.stringify(shown)}`
    }
    case 'number':
    case 'boolean':
      if (hidden) return `a ${typeof value}${from}`
      return typeof value === 'number' ? `the number ${value}` : `${value}`
    default:
      return 'an object'
  }
}

/** The known word that was probably meant. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined
  const lower = word.toLowerCase()
  const same = known.find((candidate) => candidate.toLowerCase() === lower)
  if (same !== undefined) return same
  // Half a name, such as `prefix` for `pathPrefix`.
  const longer = known.filter((candidate) => lower.length > 3 && candidate.toLowerCase().includes(lower))
  if (longer.length === 1) return longer[0]
  const best = closest(word, [...known])
  const typos = word.length < 4 ? 1 : word.length < 8 ? 2 : 3 // two letters that changed places count as two
  return distance(word, best) <= typos ? best : undefined
}

function unknownKey(path: Path, schemas: readonly Schema[]): Finding {
  const key = String(path.at(-1))
  const known = [...new Set(schemas.flatMap(keysOf))]
  const near = nearest(key, known)
  const list = known.length <= 12 ? `known here: ${alternatives(known)}` : undefined
  const hint = near !== undefined ? `did you mean \`${near}\`?` : known.length === 0 ? undefined : list
  return { path, message: `unknown key \`${key}\``, hint, atKey: true }
}

function typeHint(schemas: readonly Schema[], value: unknown): string | undefined {
  const words = describe(schemas)
  if (typeof value === 'number' && words.startsWith('a duration')) return `write a unit: ${value}s`
  if ((typeof value === 'number' || typeof value === 'boolean') && words.startsWith('a string'))
    return `put it in quotes: "${value}"`
  const unquoted = typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))
  if (unquoted && / number$/.test(words)) return 'remove the quotes'
  return undefined
}

function keyMessage(issue: z.core.$ZodIssueInvalidKey): string {
  const [first] = issue.issues
  if (first?.code === 'too_small') return 'a key cannot be empty here'
  return `\`${String(issue.path.at(-1))}\` cannot be a key here: ${first?.message ?? 'not allowed'}`
}

function sizeWords(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const small = issue.code === 'too_small'
  const limit = small ? issue.minimum : issue.maximum
  const bound =
    issue.inclusive === false ? (small ? 'more than' : 'less than') : small ? 'at least' : 'at most'
  if (issue.origin === 'string')
    return small && limit === 1 ? 'text that is not empty' : `${bound} ${limit} characters`
  if (issue.origin === 'array') return `a list with ${bound} ${limit} ${limit === 1 ? 'item' : 'items'}`
  return `a number of ${bound} ${limit}`
}

function formatWords(issue: z.core.$ZodIssueInvalidStringFormat): string {
  if (issue.format === 'starts_with' && 'prefix' in issue)
    return `expected text that begins with "${String(issue.prefix)}"`
  return issue.message
}

/** A union in a union (`key` of `backendAuth`) is one list of branches. */
function branchesOf(errors: readonly (readonly Issue[])[]): (readonly Issue[])[] {
  return errors.flatMap((branch) => {
    const [only] = branch
    const nested = branch.length === 1 && only?.code === 'invalid_union' && only.path.length === 0
    return nested ? branchesOf(only.errors) : [branch]
  })
}

/** The branch is for another kind of value altogether. */
const isOtherKind = (branch: readonly Issue[], value: unknown) =>
  branch.some(
    (issue) =>
      issue.path.length === 0 &&
      (issue.code === 'invalid_type' || (issue.code === 'invalid_value' && typeof value === 'object')),
  )

function misfit(branch: readonly Issue[], value: unknown): number {
  let count = 0
  for (const issue of branch) {
    if (issue.code === 'unrecognized_keys') count += issue.keys.length
    else if (issue.path.length === 1 && valueAt(value, issue.path as Path) === undefined) count += 1
  }
  return count
}

function unionFindings(issue: z.core.$ZodIssueInvalidUnion, path: Path, context: IssueContext): Finding[] {
  const value = valueAt(context.data, path)
  const schemas = schemasAt(context.schema, path)
  const found = describeFound(value, path, context)
  const fitting = branchesOf(issue.errors).filter((branch) => !isOtherKind(branch, value))
  if (fitting.length === 0)
    return [
      { path, message: `expected ${describe(schemas)}, found ${found}`, hint: typeHint(schemas, value) },
    ]

  const ranked = fitting
    .map((branch) => ({ branch, misfit: misfit(branch, value) }))
    .sort((left, right) => left.misfit - right.misfit)
  const [best, second] = ranked
  if (best !== undefined && (second === undefined || best.misfit < second.misfit))
    return best.branch.flatMap((inner) => findingsFromIssue(inner, path, context))

  // No branch stands out: say which keys there are to choose from.
  const known = new Set(schemas.flatMap(keysOf))
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : []
  const unknown = keys.filter((key) => !known.has(key))
  if (unknown.length > 0) return unknown.map((key) => unknownKey([...path, key], schemas))
  const name = formatPath(path.slice(-1)) || 'this'
  const got = keys.length === 0 ? 'nothing' : keys.map((key) => `\`${key}\``).join(' and ')
  return [{ path, message: `\`${name}\` takes exactly one of ${alternatives([...known])}, found ${got}` }]
}
