/** What policies share that ask who calls: how strict they are, and where the credential is. */
import { z } from 'zod'
import { compileCel } from '../core/cel.ts'
import { celExpression } from '../core/cel-schema.ts'
import { isGateways } from '../core/header-expressions.ts'
import type { Headers } from '../core/headers.ts'
import { REQUEST_NAMES } from '../core/request-names.ts'
import { headerName, headerValue } from '../core/schema.ts'
import type { RequestHead } from './policy.ts'
import { requestVariables } from './request-variables.ts'

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
    expression: celExpression(REQUEST_NAMES).optional(),
  })
  .refine((location) => Object.values(location).filter((place) => place !== undefined).length === 1, {
    error: 'expected exactly one of header, queryParameter, cookie, expression',
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

/**
 * What an expression makes of the request, with all headers that it names. Of what it takes from elsewhere, nothing
 * can be removed but headers that hold the credential as it is.
 */
function computedPlace(source: string): Place {
  const expression = compileCel(source, REQUEST_NAMES)
  const named = expression.membersOf('request.headers')

  function valuesIn(head: RequestHead): readonly string[] {
    try {
      const made: readonly unknown[] = [expression.evaluate(requestVariables(head))].flat()
      return made.filter((value): value is string => typeof value === 'string' && value !== '')
    } catch {
      return []
    }
  }

  return {
    described: 'KEY where an expression of the configuration finds it',
    prefix: '',
    valuesIn,
    removeFrom(head) {
      const found = valuesIn(head)
      const holdsOne = (value: Headers[string] = '') =>
        [value].flat().some((text) => found.some((credential) => text.includes(credential)))
      for (const [name, value] of Object.entries(head.headers))
        if (!isGateways(name) && (named.includes(name) || holdsOne(value))) delete head.headers[name]
    },
  }
}

export function placeOf({ header, queryParameter, cookie, expression }: CredentialLocation): Place {
  if (expression !== undefined) return computedPlace(expression)
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
