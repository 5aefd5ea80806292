/** JSON as it comes from outside: objects are only looked into by their own keys, never by inherited ones. */

export type JsonObject = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A parameter may be called `constructor`. */
export const own = (object: JsonObject, key: string): unknown =>
  Object.hasOwn(object, key) ? object[key] : undefined

/** About as many characters as the value has as JSON. */
export function weightOf(value: unknown): number {
  if (typeof value === 'string') return value.length + 2
  if (typeof value !== 'object' || value === null) return 5
  let weight = 2
  for (const [key, item] of Object.entries(value)) weight += key.length + 4 + weightOf(item)
  return weight
}
