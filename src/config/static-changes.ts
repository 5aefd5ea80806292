/** Which changes of a configuration a reload does not put to use: settings that are read once, at the start. */
import { isDeepStrictEqual } from 'node:util'
import { type Config, IGNORED_CONFIG_KEYS } from './schema.ts'

/** Below `config`: what is reloaded after all, and what has no effect at all. */
const OTHERS = new Set<string>([
  'modelCatalog',
  'sensitiveHeaders',
  'histograms',
  'storage',
  ...IGNORED_CONFIG_KEYS,
])

/** The keys, as paths, that need a restart. */
export function staticChanges(running: Config, next: Config): readonly string[] {
  const changed = (path: string, of: (config: Config) => unknown) => differences(of(running), of(next), path)
  return [
    ...changed('config', ({ config = {} }) =>
      Object.fromEntries(Object.entries(config).filter(([key]) => !OTHERS.has(key))),
    ),
    ...changed('frontendPolicies.http', ({ frontendPolicies }) => frontendPolicies?.http),
    ...changed('frontendPolicies.tracing', ({ frontendPolicies }) => frontendPolicies?.tracing),
  ]
}

type Section = Readonly<Record<string, unknown>>

/** An address is one value in the file, whatever it is read as. */
const isSection = (value: unknown, path: string): value is Section | undefined =>
  value === undefined ||
  (typeof value === 'object' && value !== null && !Array.isArray(value) && !path.endsWith('Addr'))

function differences(one: unknown, other: unknown, path: string): string[] {
  if (isDeepStrictEqual(one, other)) return []
  if (!isSection(one, path) || !isSection(other, path)) return [path]
  const keys = new Set([...Object.keys(one ?? {}), ...Object.keys(other ?? {})])
  return [...keys].flatMap((key) => differences(one?.[key], other?.[key], `${path}.${key}`))
}
