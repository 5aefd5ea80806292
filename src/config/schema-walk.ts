/** Reads a zod schema as data: which keys a place knows and what it expects, in words and as paths. */
import type { z } from 'zod'
import { alternatives, type Path } from './problem.ts'

export type Schema = z.core.$ZodType

/** zod's own closed union of schemas, which has a discriminated `def`. */
const defOf = (schema: Schema) => (schema as z.core.$ZodTypes)._zod.def

/** What a file may hold: without `optional`, preprocessing and transforms; a union becomes its options. */
function options(schema: Schema): Schema[] {
  const def = defOf(schema)
  switch (def.type) {
    case 'optional':
    case 'nullable':
    case 'default':
    case 'readonly':
      return options(def.innerType)
    case 'pipe':
      return options(defOf(def.in).type === 'transform' ? def.out : def.in)
    case 'union':
      return def.options.flatMap(options)
    case 'lazy':
      return [schema] // arbitrary JSON: endless
    default:
      return [schema]
  }
}

const isOptional = (schema: Schema) => schema._zod.optin === 'optional'

export function keysOf(schema: Schema): string[] {
  const def = defOf(schema)
  return def.type === 'object' ? Object.keys(def.shape) : []
}

function requiredKeysOf(schema: Schema): string[] {
  const def = defOf(schema)
  if (def.type !== 'object') return []
  return Object.entries(def.shape).flatMap(([key, value]) => (isOptional(value) ? [] : [key]))
}

function below(schema: Schema, part: string | number): Schema[] {
  const def = defOf(schema)
  if (def.type === 'array' && typeof part === 'number') return options(def.element)
  if (def.type === 'record') return options(def.valueType)
  if (def.type !== 'object' || typeof part !== 'string') return []
  const inner = Object.hasOwn(def.shape, part) ? def.shape[part] : undefined
  return inner === undefined ? [] : options(inner)
}

/** Every schema that may apply at the path. */
export function schemasAt(root: Schema, path: Path): Schema[] {
  let schemas = options(root)
  for (const part of path) schemas = schemas.flatMap((schema) => below(schema, part))
  return schemas
}

/** The message that a string's pattern was given, without its `expected `. */
function patternWords(schema: Schema): string | undefined {
  const errors = defOf(schema).checks?.map((check) => check._zod.def.error) ?? []
  const error = errors.find((found) => found !== undefined) as z.core.$ZodErrorMap | undefined
  const message = error?.({ code: 'custom', input: undefined, path: [] })
  const text = typeof message === 'string' ? message : message?.message
  return text?.startsWith('expected ') === true ? text.slice('expected '.length) : undefined
}

function describeOne(schema: Schema): string {
  const def = defOf(schema)
  switch (def.type) {
    case 'string':
      return patternWords(schema) ?? 'a string'
    case 'number':
      return 'format' in def ? 'a whole number' : 'a number'
    case 'boolean':
      return 'true or false'
    case 'enum':
      return alternatives(Object.values(def.entries).map(String))
    case 'literal':
      return alternatives(def.values.map(String))
    case 'array':
      return 'a list'
    case 'record':
      return 'an object'
    case 'object':
      return 'an object'
    default:
      return 'a value'
  }
}

/** `a string or an object with \`file\``. */
export function describe(schemas: readonly Schema[]): string {
  const objects = schemas.filter((schema) => defOf(schema).type === 'object')
  const words = new Set(schemas.filter((schema) => !objects.includes(schema)).map(describeOne))
  const [first, ...others] = objects.map(requiredKeysOf)
  if (first !== undefined) {
    // One form: all that it needs. Several: the key that tells each apart.
    const keys =
      others.length === 0
        ? first.map((key) => `\`${key}\``).join(' and ')
        : alternatives([first, ...others].flatMap((required) => required.slice(0, 1)))
    words.add(keys === '' ? 'an object' : `an object with ${keys}`)
  }
  return words.size === 0 ? 'a value' : [...words].join(' or ')
}

/** Every key path of a schema, list items as `[]` and free keys as `*`. */
export function keyPaths(root: Schema, prefix = ''): string[] {
  const paths = options(root).flatMap((schema): string[] => {
    const def = defOf(schema)
    if (def.type === 'array') return keyPaths(def.element, `${prefix}[]`)
    if (def.type === 'record') return keyPaths(def.valueType, `${prefix}.*`)
    if (def.type !== 'object') return []
    return Object.entries(def.shape).flatMap(([key, value]) => {
      const path = prefix === '' ? key : `${prefix}.${key}`
      return [path, ...keyPaths(value, path)]
    })
  })
  return [...new Set(paths)]
}
