/**
 * The part of a JSON value that has a text in it, in a name or in a value. What fits by its name is kept whole.
 */
import { isObject } from '../format/json.ts'

/** Undefined where nothing fits. */
export function filterJson(value: unknown, text: string): unknown {
  const wanted = text.toLowerCase()
  if (Array.isArray(value)) {
    const kept = value.map((one) => filterJson(one, text)).filter((one) => one !== undefined)
    return kept.length > 0 ? kept : undefined
  }
  if (isObject(value)) {
    const kept = Object.entries(value).flatMap(([name, one]) => {
      if (name.toLowerCase().includes(wanted)) return [[name, one] as const]
      const part = filterJson(one, text)
      return part === undefined ? [] : [[name, part] as const]
    })
    return kept.length > 0 ? Object.fromEntries(kept) : undefined
  }
  return String(value).toLowerCase().includes(wanted) ? value : undefined
}
