/** A plausible value for a JSON schema: the arguments of a tool call, or a structured answer. */

const STRINGS: readonly (readonly [RegExp, string])[] = [
  [/city|location|place/i, 'Paris'],
  [/country/i, 'France'],
  [/name/i, 'Ada'],
  [/unit/i, 'celsius'],
  [/date/i, '2026-11-23'],
  [/query|question/i, 'weather in Paris'],
  [/mail/i, 'ada@example.com'],
  [/url/i, 'https://example.com/'],
]

/** Follows types, enums, `anyOf` and local `$ref`s; deep or recursive schemas end in null. */
export function sampleOf(schema: unknown): unknown {
  return sample(schema, '', schema, 0)
}

function sample(schema: unknown, name: string, root: unknown, depth: number): unknown {
  if (!isRecord(schema) || depth > 12) return null
  if (typeof schema.$ref === 'string') return sample(resolve(schema.$ref, root), name, root, depth + 1)
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0]
  const choice = schema.anyOf ?? schema.oneOf ?? schema.allOf
  if (Array.isArray(choice)) return sample(choice[0], name, root, depth + 1)
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type
  switch (type) {
    case 'string':
      return STRINGS.find(([pattern]) => pattern.test(name))?.[1] ?? 'sample'
    case 'integer':
      return typeof schema.minimum === 'number' ? Math.ceil(schema.minimum) : 7
    case 'number':
      return typeof schema.minimum === 'number' ? schema.minimum : 21.5
    case 'boolean':
      return true
    case 'array':
      return [sample(schema.items, name, root, depth + 1)]
    case 'null':
      return null
    default:
      return sampleObject(schema, root, depth)
  }
}

function sampleObject(schema: Record<string, unknown>, root: unknown, depth: number) {
  const value: Record<string, unknown> = {}
  if (!isRecord(schema.properties)) return value
  for (const [key, property] of Object.entries(schema.properties)) {
    value[key] = sample(property, key, root, depth + 1)
  }
  return value
}

function resolve(reference: string, root: unknown): unknown {
  let target = root
  for (const step of reference.replace(/^#\/?/, '').split('/').filter(Boolean)) {
    target = isRecord(target) ? target[step] : undefined
  }
  return target
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
