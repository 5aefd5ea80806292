/**
 * The configuration without its secrets, for `/config_dump`.
 *
 * Judged by names, not by the schema: a key that a later version adds is covered when it is called a key, a token
 * or a secret. Numbers are never secrets here (`max_tokens: 100`); paths of files stay.
 */
import { isSecretKey } from './secret-keys.ts'

const REDACTED = '<redacted>'

/** Maps whose keys are names of the user's own choosing: a model may well be called `token-counter`. */
const FREE_NAMES = new Set(['routes', 'modelAliases'])
/** Inside a secret, what says where it comes from or goes to. */
const OPEN_INSIDE_SECRETS = new Set(['file', 'location'])

interface Context {
  /** Lower-case names of headers that the user calls sensitive. */
  readonly headers: ReadonlySet<string>
}

export function redactConfig(config: unknown): unknown {
  return redact(config, [], { headers: sensitiveHeaders(config) })
}

function sensitiveHeaders(config: unknown): ReadonlySet<string> {
  const names = property(property(config, 'config'), 'sensitiveHeaders')
  const texts = Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
  return new Set(texts.map((name) => name.toLowerCase()))
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}

function redact(value: unknown, path: readonly string[], context: Context): unknown {
  if (typeof value === 'string') return scrub(value)
  if (Array.isArray(value)) return value.map((item: unknown) => redact(item, path, context))
  if (!isPlainObject(value)) return value
  // `{name: authorization, value: {exact: …}}`: the name is a value here.
  const isNamedSecret = typeof value.name === 'string' && 'value' in value && isSecret([value.name], context)
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => {
    const below = [...path, key]
    if (isNamedSecret && key === 'value') return [key, hide(inner, below, context)]
    return [key, isSecret(below, context) ? hide(inner, below, context) : redact(inner, below, context)]
  })
  return Object.fromEntries(entries)
}

const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !(value instanceof RegExp) && !(value instanceof Date)

function isSecret(path: readonly string[], context: Context): boolean {
  const key = path.at(-1) ?? ''
  const parent = path.at(-2) ?? ''
  if (FREE_NAMES.has(parent)) return false
  // `tls.key` is the path of a PEM file.
  if (/tls$/i.test(parent)) return false
  if (parent === 'headers' && path.at(-3) === 'tracing') return true
  return context.headers.has(key.toLowerCase()) || isSecretKey(key)
}

function hide(value: unknown, path: readonly string[], context: Context): unknown {
  if (typeof value === 'string') return REDACTED
  if (Array.isArray(value)) return value.map((item: unknown) => hide(item, path, context))
  if (!isPlainObject(value)) return value
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => [
    key,
    OPEN_INSIDE_SECRETS.has(key)
      ? redact(inner, [...path, key], context)
      : hide(inner, [...path, key], context),
  ])
  return Object.fromEntries(entries)
}

/** Secrets inside other text: in URLs, after `Bearer`, and keys that providers mark as such. */
function scrub(text: string): string {
  return text
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^/?#\s@]*@/gi, `$1${REDACTED}@`)
    .replace(/([?&])([^=&#\s]+)=([^&#\s]*)/g, (whole, mark: string, name: string) =>
      isSecretKey(name) ? `${mark}${name}=${REDACTED}` : whole,
    )
    .replace(/\b(Bearer|Basic)\s+[^\s"']+/g, `$1 ${REDACTED}`)
    .replace(/\b(?:sk|pk|rk)-[A-Za-z0-9_-]{8,}/g, REDACTED)
}
