/**
 * Reading a client's request, which may hold anything.
 *
 * Every reader takes the place that it reads (`messages[2].content[0]`) and throws a `TranslationError` that
 * names it. A field that a client set to null counts as absent, as both APIs have it.
 */
import { TranslationError } from './translation.ts'

export type Json = Record<string, unknown>

export function fail(place: string, problem: string): never {
  throw new TranslationError(`${place}: ${problem}`)
}

function typeName(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function objectAt(value: unknown, place: string): Json {
  return isObject(value) ? value : fail(place, `expected an object, found ${typeName(value)}`)
}

export function arrayAt(value: unknown, place: string): readonly unknown[] {
  return Array.isArray(value) ? value : fail(place, `expected an array, found ${typeName(value)}`)
}

/** Content that is no string. */
export function partsAt(value: unknown, place: string): readonly unknown[] {
  return Array.isArray(value) ? value : fail(place, `expected a string or an array, found ${typeName(value)}`)
}

export function stringAt(value: unknown, place: string): string {
  return typeof value === 'string' ? value : fail(place, `expected a string, found ${typeName(value)}`)
}

export function nameAt(value: unknown, place: string): string {
  return stringAt(value, place) || fail(place, 'expected a string that is not empty')
}

export function booleanAt(value: unknown, place: string): boolean {
  return typeof value === 'boolean' ? value : fail(place, `expected a boolean, found ${typeName(value)}`)
}

export function numberAt(value: unknown, place: string): number {
  return typeof value === 'number' ? value : fail(place, `expected a number, found ${typeName(value)}`)
}

export function wholeNumberAt(value: unknown, place: string): number {
  return Number.isInteger(value) && Number(value) >= 0
    ? Number(value)
    : fail(place, 'expected a whole number that is not negative')
}

/** Applies a reader unless the field is absent. */
export function optional<T>(
  value: unknown,
  place: string,
  read: (value: unknown, place: string) => T,
): T | undefined {
  return value === undefined || value === null ? undefined : read(value, place)
}

/** JSON text of a client's value. */
export function jsonTextAt(value: unknown, place: string): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    // The only way in which a value that came from JSON fails: it overflows the stack.
    throw new TranslationError(`${place}: nested too deeply`, { cause })
  }
}

/** The key paths of what a translation leaves out, each once; an array's indices become `[]`. */
export interface DroppedFields {
  readonly add: (place: string) => void
  /** Every key of `rest` that holds something. */
  readonly addRest: (place: string, rest: Json) => void
  readonly list: () => readonly string[]
}

export function droppedFields(): DroppedFields {
  const paths = new Set<string>()

  function add(place: string): void {
    paths.add(place.replace(/\[\d+\]/g, '[]'))
  }

  function addRest(place: string, rest: Json): void {
    for (const key of Object.keys(rest)) {
      if (rest[key] !== undefined && rest[key] !== null) add(place === '' ? key : `${place}.${key}`)
    }
  }

  return { add, addRest, list: () => [...paths] }
}
