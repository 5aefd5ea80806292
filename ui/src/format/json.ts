/**
 * Reading JSON whose shape is not ours: tools' schemas, providers' answers, stored payloads.
 */
export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `read(value, 'choices', 0, 'delta')`, undefined where the way ends. */
export function read(value: unknown, ...path: readonly (string | number)[]): unknown {
  let at = value
  for (const step of path) {
    if (typeof step === 'number') at = Array.isArray(at) ? at[step] : undefined
    else at = isObject(at) && Object.hasOwn(at, step) ? at[step] : undefined
  }
  return at
}

export function readText(value: unknown, ...path: readonly (string | number)[]): string | undefined {
  const found = read(value, ...path)
  return typeof found === 'string' ? found : undefined
}

export function readNumber(value: unknown, ...path: readonly (string | number)[]): number | undefined {
  const found = read(value, ...path)
  return typeof found === 'number' ? found : undefined
}

export function readList(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = read(value, ...path)
  return Array.isArray(found) ? found : []
}

/** Undefined for text that is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** JSON indented; other text as it is. */
export function prettyPrint(text: string): string {
  const value = parseJson(text)
  return value === undefined || typeof value === 'string' ? text : JSON.stringify(value, undefined, 2)
}
