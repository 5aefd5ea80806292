/**
 * Headers, path and authority by expressions in CEL, and notes for later ones.
 *
 * All of them see the headers as they were before. What `set` finds no value for is removed: a client's own header
 * would pass for what the gateway says.
 */
import { z } from 'zod'
import { compileCel, type Names } from '../core/cel.ts'
import { celExpression } from '../core/cel-schema.ts'
import { compileHeaders, freeHeaderName, headerExpressions, textOf } from '../core/header-expressions.ts'
import type { Headers } from '../core/headers.ts'
import { ANSWER_NAMES, REQUEST_NAMES } from '../core/request-names.ts'
import { isAuthority, isTarget } from '../core/request-target.ts'
import type { Policy } from './policy.ts'
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
  return (head) => {
    const variables = requestVariables(head)
    const [newTarget, newHost] = [target(variables), host(variables)]
    head.metadata = noted?.(variables)
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
