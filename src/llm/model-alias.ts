/** Model names on their way out: exact aliases first, then `*` patterns, the longest first. */

export function modelAlias(aliases: Readonly<Record<string, string>> = {}): (model: string) => string {
  const exact = new Map<string, string>()
  const patterns: {
    readonly before: string
    readonly after: string
    readonly length: number
    readonly to: string
  }[] = []
  for (const [from, to] of Object.entries(aliases)) {
    const star = from.indexOf('*')
    if (star < 0) exact.set(from, to)
    else patterns.push({ before: from.slice(0, star), after: from.slice(star + 1), length: from.length, to })
  }
  patterns.sort((a, b) => b.length - a.length)
  return (model) => {
    const alias = exact.get(model)
    if (alias !== undefined) return alias
    const pattern = patterns.find(
      ({ before, after, length }) =>
        model.length >= length - 1 && model.startsWith(before) && model.endsWith(after),
    )
    return pattern?.to ?? model
  }
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
