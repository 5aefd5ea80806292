/** What the configuration has for a model's name: the exact name first, then `*` patterns, most literal characters first, then order. */
import { wildcard } from '../core/wildcard.ts'

const literals = (name: string) => name.replaceAll('*', '').length

export function byModelName<T>(entries: readonly (readonly [string, T])[]): (model: string) => T | undefined {
  const exact = new Map<string, T>()
  const patterns: { readonly name: string; readonly fits: (model: string) => boolean; readonly value: T }[] =
    []
  for (const [name, value] of entries) {
    if (name.includes('*')) patterns.push({ name, fits: wildcard(name), value })
    else if (!exact.has(name)) exact.set(name, value)
  }
  patterns.sort((a, b) => literals(b.name) - literals(a.name))
  return (model) => (exact.has(model) ? exact.get(model) : patterns.find(({ fits }) => fits(model))?.value)
}
