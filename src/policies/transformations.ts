/**
 * Headers, path, authority and body by expressions in CEL, and notes for later ones.
 *
 * All of them see the headers as they were before. What `set` finds no value for is removed: a client's own header
 * would pass for what the gateway says.
 */
import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import { compileCel, type Names } from '../core/cel.ts'
import { celExpression } from '../core/cel-schema.ts'
import { compileHeaders, freeHeaderName, headerExpressions, textOf } from '../core/header-expressions.ts'
import type { Headers } from '../core/headers.ts'
import { ANSWER_NAMES, BODY_NAMES, REQUEST_NAMES } from '../core/request-names.ts'
import { isAuthority, isTarget } from '../core/request-target.ts'
import type { Policy, RequestHead } from './policy.ts'
import { answerVariables, requestVariables } from './request-variables.ts'

const pseudoHeader = z.enum([':path', ':authority'])

const changeSchema = (names: Names) =>
  z.strictObject({
    add: headerExpressions(names).optional(),
    set: headerExpressions(names).optional(),
    remove: z.array(freeHeaderName).optional(),
  })

export const transformationsSchema = z.strictObject({
  request: changeSchema(REQUEST_NAMES)
    .extend({
      set: z.record(z.union([freeHeaderName, pseudoHeader]), celExpression(REQUEST_NAMES)).optional(),
      body: celExpression(BODY_NAMES).optional(),
      metadata: z.record(z.string().min(1), celExpression(REQUEST_NAMES)).optional(),
    })
    .optional(),
  response: changeSchema(ANSWER_NAMES).optional(),
})
export type TransformationsConfig = z.output<typeof transformationsSchema>

type Variables = Readonly<Record<string, unknown>>

function headerChange(
  { add, set, remove = [] }: z.output<ReturnType<typeof changeSchema>>,
  names: Names,
): (headers: Headers, variables: Variables) => void {
  const setting = compileHeaders(set, names)
  const adding = compileHeaders(add, names)
  const removed = remove.map((name) => name.toLowerCase())
  return (headers, variables) => {
    const [toSet, toAdd] = [setting(variables), adding(variables)]
    for (const [name, value] of toSet) {
      if (value === undefined) delete headers[name]
      else headers[name] = value
    }
    for (const [name, value] of toAdd)
      if (value !== undefined) headers[name] = [headers[name] ?? [], value].flat()
    for (const name of removed) delete headers[name]
  }
}

/** An expression's text, where it passes the test. */
function pseudoValue(source: string | undefined, fits: (text: string) => boolean) {
  const expression = source === undefined ? undefined : compileCel(source, REQUEST_NAMES)
  return (variables: Variables) => {
    const text = expression && textOf(expression, variables)
    return text !== undefined && fits(text) ? text : undefined
  }
}

/** What JSON has, and whole numbers of any length. */
const isPlain = (value: unknown) =>
  typeof value === 'object' && value !== null
    ? Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
    : value !== null && value !== undefined

/** Texts and bytes as they are, the rest as JSON. */
function bodyOf(value: unknown): Buffer | undefined {
  if (typeof value === 'string') return Buffer.from(value)
  if (value instanceof Uint8Array) return Buffer.from(value)
  return isPlain(value) ? Buffer.from(JSON.stringify(value)) : undefined
}

/** The client's own stays where the expression fails, or makes none of at most `maxBytes`. */
function bodyBy(source: string): (variables: Variables) => RequestHead['changeBody'] {
  const expression = compileCel(source, BODY_NAMES)
  return ({ request, ...others }) =>
    (body, maxBytes) => {
      const text = isUtf8(body) ? body.toString('utf8') : undefined
      try {
        const made = bodyOf(expression.evaluate({ ...others, request: { ...Object(request), body: text } }))
        return made === undefined || made.length > maxBytes ? body : made
      } catch {
        return body
      }
    }
}

/** What fails, gives null or a value of the language's own is not noted. */
function notedBy(expressions: Readonly<Record<string, string>>): (variables: Variables) => Variables {
  const compiled = Object.entries(expressions).map(
    ([name, source]) => [name, compileCel(source, REQUEST_NAMES)] as const,
  )
  return (variables) => {
    const noted = new Map<string, unknown>()
    for (const [name, expression] of compiled) {
      try {
        const value = expression.evaluate(variables)
        if (isPlain(value)) noted.set(name, value)
      } catch {}
    }
    return Object.fromEntries(noted)
  }
}

function requestChange(config: NonNullable<TransformationsConfig['request']>): Policy['onRequest'] {
  const { ':path': path, ':authority': authority, ...set } = config.set ?? {}
  const target = pseudoValue(path, isTarget)
  const host = pseudoValue(authority, isAuthority)
  const change = headerChange({ ...config, set }, REQUEST_NAMES)
  const noted = config.metadata && notedBy(config.metadata)
  const rewritten = config.body === undefined ? undefined : bodyBy(config.body)
  return (head) => {
    const variables = requestVariables(head)
    const [newTarget, newHost] = [target(variables), host(variables)]
    head.metadata = noted?.(variables)
    head.changeBody = rewritten?.({
      ...variables,
      request: { ...variables.request, headers: { ...head.headers } },
    })
    change(head.headers, variables)
    if (newHost !== undefined) head.authority = newHost
    if (newTarget !== undefined) {
      const mark = newTarget.indexOf('?')
      head.path = mark < 0 ? newTarget : newTarget.slice(0, mark)
      head.query = mark < 0 ? '' : newTarget.slice(mark + 1)
    }
    return undefined
  }
}

function responseChange(config: NonNullable<TransformationsConfig['response']>): Policy['onResponse'] {
  const change = headerChange(config, ANSWER_NAMES)
  return (headers, head, code) => change(headers, answerVariables(head, code, headers))
}

export function transformations({ request, response }: TransformationsConfig): Policy {
  return {
    ...(request !== undefined && { onRequest: requestChange(request) }),
    ...(response !== undefined && { onResponse: responseChange(response) }),
  }
}
