/**
 * Another service decides who may pass: asked over HTTP, with the request's head and not its body.
 *
 * What the service alone can say (`includeResponseHeaders`) is taken out of the client's own request, whatever the
 * verdict: upstreams believe it.
 */
import { hash } from 'node:crypto'
import { z } from 'zod'
import { type CelExpression, compileCel } from '../core/cel.ts'
import { celExpression } from '../core/cel-schema.ts'
import { type FaultReply, GatewayError } from '../core/errors.ts'
import { noteEvent } from '../core/exchange.ts'
import { MAX_BYTES, TIMEOUT_MS } from '../core/fetch-json.ts'
import {
  compileHeaders,
  freeHeaderName,
  headerExpressions,
  headerTextOf,
  textOf,
} from '../core/header-expressions.ts'
import type { Headers } from '../core/headers.ts'
import { REQUEST_NAMES } from '../core/request-names.ts'
import { isTarget } from '../core/request-target.ts'
import { durationMs, endpoint, orEmpty } from '../core/schema.ts'
import type { Ask, UpstreamTarget, WholeAnswer } from '../core/upstream.ts'
import type { Policy, RequestHead } from './policy.ts'
import { requestVariables } from './request-variables.ts'

const expression = celExpression(REQUEST_NAMES)

const cacheSchema = z.strictObject({
  key: z.union([expression, z.array(expression).min(1, { error: 'expected at least one expression' })]),
  ttl: durationMs.refine((ttl) => ttl > 0, { error: 'expected a duration above 0s' }),
  maxEntries: z.int().positive().default(10_000),
})

const httpSchema = z.strictObject({
  /** An expression never begins with a slash. */
  path: z.union([z.string().regex(/^\//).refine(isTarget), expression]).optional(),
  redirect: expression.optional(),
  includeResponseHeaders: z.array(freeHeaderName).default([]),
  addRequestHeaders: headerExpressions(REQUEST_NAMES).optional(),
})

export const extAuthzSchema = z.strictObject({
  host: endpoint,
  protocol: z.strictObject({ http: orEmpty(httpSchema) }),
  failureMode: z
    .union([z.enum(['deny', 'allow']), z.strictObject({ denyWithStatus: z.int().min(400).max(599) })])
    .default('deny'),
  includeRequestHeaders: z.array(freeHeaderName).default(['authorization']),
  cache: cacheSchema.optional(),
})
export type ExtAuthzConfig = z.output<typeof extAuthzSchema>

type Variables = ReturnType<typeof requestVariables>

const LIMITS = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES }
const MESSAGE = 'external authorization failed'

/** What an answer is not understood, or a login not begun, without. */
const ABOUT_DENIAL = ['www-authenticate', 'location', 'set-cookie', 'retry-after', 'cache-control']
const ABOUT_BODY = ['content-type', 'content-encoding']

function picked(headers: Readonly<Headers>, names: readonly string[]): Record<string, string | string[]> {
  const copy: Record<string, string | string[]> = {}
  for (const name of names) {
    const value = headers[name]
    if (value !== undefined) copy[name] = value
  }
  return copy
}

type Granted = ReturnType<typeof picked>

/** Of what may pass; by the hash of the key, which may hold credentials. */
function createCache({ key, ttl, maxEntries }: z.output<typeof cacheSchema>, now: () => number) {
  const parts = [key].flat().map((source) => compileCel(source, REQUEST_NAMES))
  const known = new Map<string, { readonly granted: Granted; readonly until: number }>()
  return {
    /** Undefined where a part of the key is missing. */
    keyOf(variables: Variables): string | undefined {
      try {
        const values = parts.map((part) => part.evaluate(variables))
        return values.includes(null) ? undefined : hash('sha256', JSON.stringify(values))
      } catch {
        return undefined
      }
    },
    get(name: string): Granted | undefined {
      const found = known.get(name)
      return found !== undefined && now() < found.until ? found.granted : undefined
    },
    add(name: string, granted: Granted): void {
      known.delete(name)
      known.set(name, { granted, until: now() + ttl })
      const [oldest] = known.keys()
      if (known.size > maxEntries && oldest !== undefined) known.delete(oldest)
    },
  }
}

/** Throws where there is nothing that could be asked for: what a client can bring about is no failure of the service. */
function targetBy(path: string | undefined): (variables: Variables, own: string) => string {
  const isText = path?.startsWith('/') === true
  const compiled = path === undefined || isText ? undefined : compileCel(path, REQUEST_NAMES)
  return (variables, own) => {
    const target = compiled === undefined ? (path ?? own) : textOf(compiled, variables)
    if (target !== undefined && isTarget(target)) return target
    throw new GatewayError('ext_authz_denied', MESSAGE)
  }
}

export interface ExtAuthzDependencies {
  readonly ask: Ask
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number
}

export function extAuthz(
  config: ExtAuthzConfig,
  service: UpstreamTarget,
  deps: ExtAuthzDependencies,
): Policy {
  const { failureMode, protocol, host } = config
  const lower = (names: readonly string[]) => names.map((name) => name.toLowerCase())
  const included = lower(protocol.http.includeResponseHeaders)
  const sent = lower(config.includeRequestHeaders)
  const added = compileHeaders(protocol.http.addRequestHeaders, REQUEST_NAMES)
  const targetOf = targetBy(protocol.http.path)
  const { redirect: source } = protocol.http
  const redirect = source === undefined ? undefined : compileCel(source, REQUEST_NAMES)
  const cache = config.cache && createCache(config.cache, deps.now)

  function questionAbout({ exchange, headers: received }: RequestHead, variables: Variables) {
    const { path, query } = exchange
    const own = query === '' ? path : `${path}?${query}`
    const headers: Headers = picked(received, sent)
    for (const [name, value] of added(variables)) headers[name] = value
    Object.assign(headers, {
      'accept-encoding': 'identity',
      'x-forwarded-for': exchange.clientAddress,
      'x-forwarded-host': exchange.host,
      'x-forwarded-method': exchange.method,
      'x-forwarded-proto': exchange.scheme,
      'x-forwarded-uri': own,
      host,
    })
    for (const name in headers) if (headers[name] === undefined) delete headers[name]
    return { method: 'GET', path: targetOf(variables, own), headers, body: null }
  }

  function pass({ headers }: RequestHead, granted: Granted): undefined {
    for (const name of included) delete headers[name]
    Object.assign(headers, granted)
  }

  function fail(head: RequestHead, cause: unknown): undefined {
    noteEvent(head.exchange, {
      name: 'ext_authz.failed',
      policy: host,
      action: failureMode === 'allow' ? 'allow' : 'deny',
      reason: cause instanceof Error ? cause.message : undefined,
    })
    if (failureMode === 'allow') return pass(head, {})
    const status = typeof failureMode === 'object' ? failureMode.denyWithStatus : undefined
    const reply = status === undefined ? undefined : { status, headers: {}, body: undefined }
    throw new GatewayError('ext_authz_unavailable', MESSAGE, { cause, reply })
  }

  async function judge(head: RequestHead, variables: Variables, key: string | undefined): Promise<undefined> {
    const question = questionAbout(head, variables)
    let answer: WholeAnswer
    try {
      answer = await deps.ask(service, question, LIMITS)
    } catch (cause) {
      return fail(head, cause)
    }
    if (answer.status >= 500) return fail(head, new Error(`${host} answered ${answer.status}`))
    if (answer.status >= 300) {
      noteEvent(head.exchange, { name: 'ext_authz.denied', policy: host, status: answer.status })
      throw new GatewayError('ext_authz_denied', MESSAGE, {
        reply: redirected(answer, included, redirect, variables) ?? denied(answer, included),
      })
    }
    const granted = picked(answer.headers, included)
    if (key !== undefined) cache?.add(key, granted)
    return pass(head, granted)
  }

  return {
    onRequest(head) {
      const variables = requestVariables(head)
      const key = cache?.keyOf(variables)
      const granted = key === undefined ? undefined : cache?.get(key)
      return granted === undefined ? judge(head, variables, key) : pass(head, granted)
    },
  }
}

/** As the service answered; without a body of its own, in the client's API. */
function denied({ status, headers, body }: WholeAnswer, included: readonly string[]): FaultReply {
  const hasBody = body.length > 0
  return {
    status,
    headers: picked(headers, [...ABOUT_DENIAL, ...included, ...(hasBody ? ABOUT_BODY : [])]),
    body: hasBody ? body : undefined,
  }
}

function redirected(
  { status, headers }: WholeAnswer,
  included: readonly string[],
  redirect: CelExpression | undefined,
  variables: Variables,
): FaultReply | undefined {
  const location = status === 401 && redirect !== undefined ? headerTextOf(redirect, variables) : undefined
  if (location === undefined) return undefined
  return {
    status: 302,
    headers: { ...picked(headers, ['set-cookie', ...included]), location },
    body: undefined,
  }
}
