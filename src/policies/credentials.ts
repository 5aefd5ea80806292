/** What policies share that ask who calls: how strict they are, and where the credential is. */
import { z } from 'zod'
import { headerName, headerValue } from '../core/schema.ts'
import type { RequestHead } from './policy.ts'

/**
 * `strict`: no request without a valid credential. `optional`: a request may bring none, but no wrong one.
 * `permissive`: all pass.
 */
export const credentialMode = z.enum(['strict', 'optional', 'permissive']).default('strict')
type CredentialMode = z.output<typeof credentialMode>

export const credentialLocation = z
  .strictObject({
    header: z.strictObject({ name: headerName, prefix: headerValue.optional() }).optional(),
    queryParameter: z.strictObject({ name: z.string().min(1) }).optional(),
    cookie: z.strictObject({ name: headerName }).optional(),
  })
  .refine((location) => Object.values(location).filter((place) => place !== undefined).length === 1, {
    error: 'expected exactly one of header, queryParameter, cookie',
  })
type CredentialLocation = z.output<typeof credentialLocation>

export interface Place {
  /** As clients are told it: `x-api-key: KEY`. */
  readonly described: string
  readonly prefix: string
  /** As they came, with the prefix. */
  readonly valuesIn: (head: RequestHead) => readonly string[]
  /** All of them: what was checked is for nobody else. */
  readonly removeFrom: (head: RequestHead) => void
}

/** `name` in lower case. */
export const headerPlace = (name: string, prefix: string): Place => ({
  described: `${name}: ${prefix}KEY`,
  prefix,
  valuesIn: ({ headers }) => [headers[name] ?? []].flat(),
  removeFrom({ headers }) {
    delete headers[name]
  },
})

/** One `name=value`, as servers commonly read it. */
const readPair = (pair: string) => [...new URLSearchParams(pair)][0] ?? ['', '']

function queryPlace(name: string): Place {
  const pairsOf = (query: string) => (query === '' ? [] : query.split('&'))
  const without = (query: string) =>
    pairsOf(query)
      .filter((pair) => readPair(pair)[0] !== name)
      .join('&')
  return {
    described: `the query parameter ${name}`,
    prefix: '',
    valuesIn: ({ query }) =>
      pairsOf(query)
        .map(readPair)
        .flatMap(([key, value]) => (key === name ? [value] : [])),
    removeFrom(head) {
      head.query = without(head.query)
      head.exchange.query = without(head.exchange.query)
    },
  }
}

/** https://www.rfc-editor.org/rfc/rfc6265#section-4.2 */
function cookiePlace(name: string): Place {
  const pairsOf = ({ headers }: RequestHead) =>
    [headers.cookie ?? []].flat().flatMap((text) => text.split(';'))
  const nameOf = (pair: string) => pair.split('=', 1).join().trim()
  const textIn = (pair: string) => pair.slice(pair.indexOf('=') + 1).trim()
  return {
    described: `the cookie ${name}`,
    prefix: '',
    valuesIn: (head) =>
      pairsOf(head)
        .filter((pair) => nameOf(pair) === name)
        .map((pair) => textIn(pair).replace(/^"(.*)"$/, '$1')),
    removeFrom(head) {
      const rest = pairsOf(head).filter((pair) => nameOf(pair) !== name)
      if (rest.length === 0) delete head.headers.cookie
      else head.headers.cookie = rest.map((pair) => pair.trim()).join('; ')
    },
  }
}

export function placeOf({ header, queryParameter, cookie }: CredentialLocation): Place {
  if (queryParameter !== undefined) return queryPlace(queryParameter.name)
  if (cookie !== undefined) return cookiePlace(cookie.name)
  return headerPlace(header?.name.toLowerCase() ?? 'authorization', header?.prefix ?? '')
}

/** Without those of another scheme. */
export function credentialsAt(head: RequestHead, { valuesIn, prefix }: Place): readonly string[] {
  return valuesIn(head)
    .filter((value) => value.toLowerCase().startsWith(prefix.toLowerCase()))
    .map((value) => value.slice(prefix.length).trim())
}

/** `id` is that of nobody else in its `kind`. */
export function proven(head: RequestHead, kind: string, id: unknown): void {
  head.caller = JSON.stringify([head.caller, kind, id])
}

/** Whether a request passes that brought no valid credential. */
export const passesUnproven = (mode: CredentialMode, isPresent: boolean) =>
  mode === 'permissive' || (mode === 'optional' && !isPresent)
