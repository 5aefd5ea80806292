/** Model names on their way out: exact aliases first, then `*` patterns, the longest first. */
import { byModelName } from './model-names.ts'

export function modelAlias(aliases: Readonly<Record<string, string>> = {}): (model: string) => string {
  const aliasOf = byModelName(Object.entries(aliases))
  return (model) => aliasOf(model) ?? model
}

/** Path -> route type: the longest suffix wins, `*` is last; without a hit it is `completions`. */
export function routeTypeOf<T extends string>(
  routes: Readonly<Record<string, T>> | undefined,
  fallback: T,
): (path: string) => T {
  const { '*': rest = fallback, ...suffixes } = routes ?? {}
  const sorted = Object.entries(suffixes).sort(([a], [b]) => b.length - a.length)
  return (path) => sorted.find(([suffix]) => path.endsWith(suffix))?.[1] ?? rest
}
