/**
 * A schema object of OpenAPI 3.0 or 3.1 in the words of JSON Schema 2020-12, which MCP speaks.
 *
 * Only OpenAPI 3.1 is JSON Schema. What 3.0 writes differently (`nullable`, `exclusiveMinimum: true`) is translated
 * in documents of either version: left as it is, some clients refuse the whole tool for it.
 * https://spec.openapis.org/oas/v3.0.3#schema-object
 */
import { isObject, type JsonObject, own } from './json.ts'

/** Their values are schemas by name. */
export const SCHEMA_MAPS: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  'dependentSchemas',
])

/** Their values are schemas, or lists of schemas. */
export const SCHEMAS: ReadonlySet<string> = new Set([
  'items',
  'additionalItems',
  'additionalProperties',
  'unevaluatedItems',
  'unevaluatedProperties',
  'prefixItems',
  'contains',
  'propertyNames',
  'contentSchema',
  'not',
  'if',
  'then',
  'else',
  'allOf',
  'anyOf',
  'oneOf',
])

/** Beside a `$ref` these say something about its use; everything else there narrows the schema. */
export const ANNOTATIONS: ReadonlySet<string> = new Set([
  'title',
  'description',
  'default',
  'deprecated',
  'example',
  'examples',
  'readOnly',
  'writeOnly',
])

/**
 * Dropped: what names the schema or a base for its references (they are all rewritten), definitions (those that are
 * used are inlined), and what tells a model nothing.
 */
const DROPPED = new Set([
  '$id',
  '$schema',
  '$anchor',
  '$dynamicAnchor',
  '$vocabulary',
  '$comment',
  '$defs',
  'definitions',
  'discriminator',
  'xml',
  'externalDocs',
])

export const isDropped = (keyword: string) => DROPPED.has(keyword) || keyword.startsWith('x-')

export function toJsonSchema(schema: JsonObject): JsonObject {
  const { nullable, example, required, ...rest } = schema
  return {
    ...others(rest),
    ...limitOf(rest, 'minimum', 'exclusiveMinimum'),
    ...limitOf(rest, 'maximum', 'exclusiveMaximum'),
    ...(nullable === true && nullableOf(rest)),
    ...(example !== undefined && rest.examples === undefined && { examples: [example] }),
    ...requiredOf(required, rest.properties),
  }
}

const LIMITS = new Set(['minimum', 'exclusiveMinimum', 'maximum', 'exclusiveMaximum'])

const others = (schema: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => !LIMITS.has(keyword)))

function limitOf(schema: JsonObject, limit: string, exclusive: string): JsonObject {
  const value = schema[limit]
  const isExclusive = schema[exclusive]
  if (isExclusive === true) return value === undefined ? {} : { [exclusive]: value }
  return {
    ...(value !== undefined && { [limit]: value }),
    ...(typeof isExclusive === 'number' && { [exclusive]: isExclusive }),
  }
}

/** Without a type there is nothing that `nullable` could widen. https://spec.openapis.org/oas/v3.0.3#fixed-fields-19 */
function nullableOf(schema: JsonObject): JsonObject {
  if (typeof schema.type !== 'string') return {}
  const values = schema.enum
  return {
    type: [schema.type, 'null'],
    ...(Array.isArray(values) && !values.includes(null) && { enum: [...values, null] }),
  }
}

/** A required `readOnly` property is required of replies only. https://spec.openapis.org/oas/v3.0.3#fixed-fields-19 */
function requiredOf(required: unknown, properties: unknown): JsonObject {
  if (!Array.isArray(required)) return {}
  const isReadOnly = (name: unknown) => {
    const property = isObject(properties) && typeof name === 'string' ? own(properties, name) : undefined
    return isObject(property) && property.readOnly === true
  }
  const names = required.filter((name) => !isReadOnly(name))
  return names.length > 0 ? { required: names } : {}
}
