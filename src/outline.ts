/** Routes in words, for people: what the console shows of the configuration in force. */
import type { Backend, Route } from './compile.ts'
import type { RouteConfig } from './config/schema.ts'
import { isSecretKey } from './config/secret-keys.ts'

export interface RouteOutline {
  readonly route: string
  readonly hostnames: readonly string[]
  /** `GET /v1/*`, `header x-team: a`; alternatives. */
  readonly matches: readonly string[]
  readonly backends: readonly { readonly name: string; readonly kind: string }[]
  readonly policies: readonly string[]
  /** Of its first match; where clients find what is behind it. */
  readonly path: string
}

type Match = NonNullable<RouteConfig['matches']>[number]

function pathOf(match: Match | undefined): string {
  const { path } = match ?? {}
  if (path === undefined) return '/'
  return 'exact' in path ? path.exact : 'pathPrefix' in path ? path.pathPrefix : path.regex
}

function inWords(match: Match): string {
  const { path, method, headers = [], query = [] } = match
  const isPrefix = path === undefined || 'pathPrefix' in path
  const pattern = isPrefix ? `${pathOf(match).replace(/\/$/, '')}/*` : pathOf(match)
  const about = (kind: string, entries: readonly object[]) =>
    entries.map((entry) => {
      const { name, value } = entry as { name: string; value: Record<string, string> }
      return `${kind} ${name}: ${isSecretKey(name) ? '<redacted>' : (Object.values(value)[0] ?? '')}`
    })
  return [
    method === undefined ? pattern : `${method} ${pattern}`,
    ...about('header', headers),
    ...about('query', query),
  ].join(', ')
}

function outlinesOf(backend: Backend): RouteOutline['backends'] {
  if (backend.mcp !== undefined) return [{ name: backend.name, kind: 'mcp' }]
  if (backend.models !== undefined)
    return backend.models.list.map(({ id, ownedBy }) => ({ name: id, kind: ownedBy }))
  return backend.tiers.flat().map(({ name, llm }) => ({ name, kind: llm?.provider.name ?? 'http' }))
}

/** `config`: undefined for the routes of the top-level `mcp:` and `llm:`. */
export function outlineOf(config: RouteConfig | undefined, { name, backends }: Route): RouteOutline {
  const ofBackends = (config?.backends ?? []).flatMap(({ policies }) => Object.keys(policies ?? {}))
  return {
    route: name,
    hostnames: config?.hostnames ?? [],
    matches: config?.matches?.map(inWords) ?? ['/*'],
    backends: backends.flatMap(outlinesOf),
    policies: [...new Set([...Object.keys(config?.policies ?? {}), ...ofBackends])],
    path:
      config?.matches === undefined && backends[0]?.mcp !== undefined ? '/mcp' : pathOf(config?.matches?.[0]),
  }
}
