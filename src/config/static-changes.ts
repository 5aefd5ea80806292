/** Which changes of a configuration a reload does not put to use: settings that are read once, at the start. */
import { isDeepStrictEqual } from 'node:util'
import { type Config, IGNORED_CONFIG_KEYS } from './schema.ts'

/** Below `config`: what is reloaded after all, and what has no effect at all. */
const OTHERS = new Set<string>([
  'modelCatalog',
  'sensitiveHeaders',
  'histograms',
  'storage',
  'standardAttributes',
  ...IGNORED_CONFIG_KEYS,
])

/** The keys, as paths, that need a restart. */
export function staticChanges(running: Config, next: Config): readonly string[] {
  const changed = (path: string, of: (config: Config) => unknown) => differences(of(running), of(next), path)
  return [
    ...changed('config', ({ config = {} }) => ofStart(config)),
    ...changed('frontendPolicies.http', ({ frontendPolicies }) => frontendPolicies?.http),
    ...changed('frontendPolicies.tracing', ({ frontendPolicies }) =>
      without(frontendPolicies?.tracing, ['attributes', 'remove', 'filter', ...SAMPLING]),
    ),
  ]
}

const SAMPLING = ['randomSampling', 'clientSampling'] as const

/** Of labels the names alone: other expressions for them are put to use. */
function ofStart(config: NonNullable<Config['config']>): Section {
  const { tracing, logging, metrics } = config
  const labels = Object.keys(metrics?.fields?.add ?? {})
  const read = {
    ...config,
    tracing: without(tracing, ['fields', ...SAMPLING]),
    logging: without(logging, ['filter', 'fields']),
    metrics: metrics && {
      remove: metrics.remove,
      fields: { add: Object.fromEntries(labels.map((name) => [name, true])) },
    },
  }
  return Object.fromEntries(Object.entries(read).filter(([key]) => !OTHERS.has(key)))
}

/** Without what is exchanged after all. */
const without = (section: object | undefined, keys: readonly string[]): Section | undefined =>
  section && Object.fromEntries(Object.entries(section).filter(([key]) => !keys.includes(key)))

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
