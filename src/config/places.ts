/** The data of a configuration before validation, with its places; what has another form than expected is not there. */
import { nearest } from './issues.ts'
import type { Finding, Path } from './problem.ts'

type Data = Readonly<Record<string, unknown>>

export interface Placed {
  readonly path: Path
  readonly value: Data
}

export const isData = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const child = ({ value, path }: Placed, key: string): Placed | undefined => {
  const inner = value[key]
  return isData(inner) ? { path: [...path, key], value: inner } : undefined
}

export const children = ({ value, path }: Placed, key: string): Placed[] => {
  const list = value[key]
  if (!Array.isArray(list)) return []
  return list.flatMap((item: unknown, index) =>
    isData(item) ? [{ path: [...path, key, index], value: item }] : [],
  )
}

/** Of a map whose keys are names. */
export const members = (from: Placed, key: string): { readonly key: string; readonly place: Placed }[] => {
  const map = child(from, key)
  return Object.keys(map?.value ?? {}).flatMap((name) => {
    const place = map && child(map, name)
    return place === undefined ? [] : [{ key: name, place }]
  })
}

export const descend = (from: Placed, ...keys: readonly string[]): Placed | undefined =>
  keys.reduce<Placed | undefined>((place, key) => place && child(place, key), from)

export function duplicates(
  places: readonly Placed[],
  key: string,
  word: string,
  isExempt: (value: unknown) => boolean = () => false,
): Finding[] {
  const seen = new Set<unknown>()
  return places.flatMap(({ path, value }) => {
    const found = value[key]
    if ((typeof found !== 'string' && typeof found !== 'number') || isExempt(found)) return []
    if (!seen.has(found)) {
      seen.add(found)
      return []
    }
    return [
      {
        path: [...path, key],
        message: `duplicate ${word} ${typeof found === 'number' ? found : `\`${found}\``}`,
      },
    ]
  })
}

/** What a name refers to must be there. */
export function missing(
  name: unknown,
  named: readonly Placed[],
  { path, what }: { readonly path: Path; readonly what: (name: string) => string },
): Finding[] {
  if (typeof name !== 'string') return []
  const names = named.flatMap(({ value }) => (typeof value.name === 'string' ? [value.name] : []))
  if (names.includes(name)) return []
  const near = nearest(name, names)
  const hint = near === undefined ? undefined : `did you mean \`${near}\`?`
  return [{ path, message: what(name), hint }]
}
