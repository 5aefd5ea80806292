/**
 * Values that the configuration takes out of finished requests by expressions in CEL.
 *
 * No request fails by them: what cannot be evaluated is left out, and told once for each expression, in the log, at
 * `debug`. What looks like a secret is taken out of every text, as out of all that is logged.
 */
import { type CelExpression, compileCel } from '../core/cel.ts'
import { redact } from '../core/redact.ts'
import { FINISHED_NAMES, type Variables } from './variables.ts'

/** Texts without secrets. */
export type FieldValue = string | number | boolean | readonly unknown[] | Readonly<Record<string, unknown>>

/** Told once for each place. */
export type OnFailed = (place: string, problem: string) => void

export interface Field {
  readonly name: string
  readonly expression: CelExpression
  /** Undefined where there is none. */
  readonly evaluate: (variables: Variables) => FieldValue | undefined
}

const MAX_LENGTH = 4096
/** Deeper than any value of ours. */
const MAX_DEPTH = 16

export function compileField(name: string, source: string, place: string, onFailed: OnFailed): Field {
  const expression = compileCel(source, FINISHED_NAMES)
  let isTold = false
  function failed(problem: string): undefined {
    if (!isTold) onFailed(place, problem)
    isTold = true
  }
  return {
    name,
    expression,
    evaluate(variables) {
      try {
        const value = expression.evaluate(variables)
        if (value === null) return undefined
        return fieldValue(value) ?? failed('neither text, number, boolean, list nor map')
      } catch (error) {
        return failed(error instanceof Error ? error.message : String(error))
      }
    },
  }
}

/** In the order of the file. */
export const compileFields = (
  sources: Readonly<Record<string, string>> = {},
  place: string,
  onFailed: OnFailed,
): readonly Field[] =>
  Object.entries(sources).map(([name, source]) => compileField(name, source, `${place}.${name}`, onFailed))

function fieldValue(value: unknown, depth = 0): FieldValue | undefined {
  switch (typeof value) {
    case 'string':
      return redact(value)
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value : undefined
    case 'bigint':
      return String(value)
    case 'object':
      break
    default:
      return undefined
  }
  if (value === null || depth > MAX_DEPTH) return undefined
  if (Array.isArray(value)) return value.map((item) => fieldValue(item, depth + 1) ?? null)
  // Timestamps and durations are the library's own objects: `string(…)` makes a text of them.
  if (Object.getPrototypeOf(value) !== Object.prototype) return undefined
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [redact(key), fieldValue(member, depth + 1) ?? null]),
  )
}

/** Of lists and maps their JSON, as long as all values may be. */
export function textOfField(value: FieldValue): string {
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text
}
