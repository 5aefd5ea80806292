/**
 * Host, path, headers, method and query -> route. A pure function of the configuration and the request's head.
 *
 * Choice is by specificity, as the Gateway API orders it: best hostname first (exact, then the longest wildcard,
 * then none), then exact path, regular expression, longer prefix, then a given method, more headers, more query parameters,
 * then the file's order. The order is settled once, at compile time; a request takes the first that fits.
 */
import { ConfigProblem } from '../core/config-problem.ts'
import type { Match, PathMatch, ValueMatch } from './schema.ts'

export interface RouteHead {
  readonly method: string
  /** Lower-case, without port. */
  readonly hostname: string
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

export interface Matched<T> {
  readonly target: T
  /** The pattern as a span's name shows it: `/v1/*`. */
  readonly pattern: string
  /** The literal prefix that matched; undefined for exact and regex matches. */
  readonly prefix: string | undefined
}

export interface RouteSource<T> {
  readonly hostnames: readonly string[] | undefined
  readonly matches: readonly Match[] | undefined
  readonly target: T
  /** Where it stands in the configuration, for errors. */
  readonly path: readonly (string | number)[]
}

interface Candidate<T> extends Matched<T> {
  readonly hostRank: readonly [number, number]
  readonly rank: readonly number[]
  readonly fits: (head: RouteHead) => boolean
}

type Test = (head: RouteHead) => boolean

export interface HostTest {
  readonly fits: (hostname: string) => boolean
  /** Exact 2, wildcard 1, none 0; then the length. Higher is better. */
  readonly rank: readonly [number, number]
}

/** `*.example.com` fits any name below it; undefined and `*` fit all. */
export function hostTest(pattern: string | undefined): HostTest {
  if (pattern === undefined || pattern === '*') return { fits: () => true, rank: [0, 0] }
  const lower = pattern.toLowerCase()
  if (lower.startsWith('*.')) {
    const suffix = lower.slice(1)
    return { fits: (name) => name.length > suffix.length && name.endsWith(suffix), rank: [1, lower.length] }
  }
  return { fits: (name) => name === lower, rank: [2, lower.length] }
}

function wholeRegex(source: string, path: readonly (string | number)[]): RegExp {
  try {
    return new RegExp(`^(?:${source})$`)
  } catch (cause) {
    throw new ConfigProblem(path, `not a regular expression: ${source}`, { cause })
  }
}

function pathTest(match: PathMatch | undefined, at: readonly (string | number)[]) {
  if (match !== undefined && 'exact' in match) {
    const { exact } = match
    const test: Test = (head) => head.path === exact
    return { test, rank: [3, exact.length], pattern: exact, prefix: undefined }
  }
  if (match !== undefined && 'regex' in match) {
    const regex = wholeRegex(match.regex, [...at, 'regex'])
    const test: Test = (head) => regex.test(head.path)
    return { test, rank: [2, match.regex.length], pattern: match.regex, prefix: undefined }
  }
  const prefix = (match?.pathPrefix ?? '/').replace(/\/+$/, '')
  const test: Test =
    prefix === ''
      ? () => true
      : ({ path }) =>
          path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/')
  return { test, rank: [1, prefix.length], pattern: `${prefix}/*`, prefix: prefix === '' ? '/' : prefix }
}

function valueTest(match: ValueMatch, at: readonly (string | number)[]): (value: string) => boolean {
  if ('exact' in match) return (value) => value === match.exact
  const regex = wholeRegex(match.regex, [...at, 'value', 'regex'])
  return (value) => regex.test(value)
}

function headerValue(head: RouteHead, name: string): string | undefined {
  if (name === ':method') return head.method
  if (name === ':authority') return head.hostname
  if (name === ':path') return head.query === '' ? head.path : `${head.path}?${head.query}`
  const value = head.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

function compileMatch<T>(source: RouteSource<T>, match: Match, at: readonly (string | number)[]) {
  const path = pathTest(match.path, [...at, 'path'])
  const tests: Test[] = [path.test]
  const method = match.method?.toUpperCase()
  if (method !== undefined) tests.push((head) => head.method === method)
  for (const [index, header] of (match.headers ?? []).entries()) {
    const fits = valueTest(header.value, [...at, 'headers', index])
    const name = header.name.toLowerCase()
    tests.push((head) => {
      const value = headerValue(head, name)
      return value !== undefined && fits(value)
    })
  }
  for (const [index, parameter] of (match.query ?? []).entries()) {
    const fits = valueTest(parameter.value, [...at, 'query', index])
    tests.push((head) => {
      const value = new URLSearchParams(head.query).get(parameter.name)
      return value !== null && fits(value)
    })
  }
  const [only] = tests
  return {
    target: source.target,
    pattern: path.pattern,
    prefix: path.prefix,
    rank: [...path.rank, method === undefined ? 0 : 1, match.headers?.length ?? 0, match.query?.length ?? 0],
    fits:
      tests.length === 1 && only !== undefined
        ? only
        : (head: RouteHead) => tests.every((test) => test(head)),
  }
}

/** Higher ranks first; equal ranks keep the file's order (sort is stable). */
function byRank(a: readonly number[], b: readonly number[]): number {
  for (const [index, rank] of a.entries()) {
    const difference = (b[index] ?? 0) - rank
    if (difference !== 0) return difference
  }
  return 0
}

/** Throws `ConfigProblem` on a regular expression that does not compile. */
export function compileRoutes<T>(
  sources: readonly RouteSource<T>[],
): (head: RouteHead) => Matched<T> | undefined {
  const candidates: Candidate<T>[] = []
  for (const source of sources) {
    for (const hostname of source.hostnames ?? [undefined]) {
      const host = hostTest(hostname)
      for (const [index, match] of (source.matches ?? [{}]).entries()) {
        const compiled = compileMatch(source, match, [...source.path, 'matches', index])
        const fits: Test =
          hostname === undefined ? compiled.fits : (head) => host.fits(head.hostname) && compiled.fits(head)
        candidates.push({ ...compiled, hostRank: host.rank, fits })
      }
    }
  }
  candidates.sort((a, b) => byRank([...a.hostRank, ...a.rank], [...b.hostRank, ...b.rank]))
  return (head) => candidates.find((candidate) => candidate.fits(head))
}
