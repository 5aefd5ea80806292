/**
 * Headers whose values are CEL expressions.
 *
 * What clients send ends up in them: a value is one line that any server takes, or there is none.
 */
import { z } from 'zod'
import { type CelExpression, compileCel, type Names } from './cel.ts'
import { celExpression } from './cel-schema.ts'
import { isHopByHop } from './headers.ts'
import { headerName, headerValue } from './schema.ts'

/** Of one header; servers commonly take so much for all of them. */
const MAX_VALUE_LENGTH = 16 * 1024

/** The connection's and the message's own, which only the gateway can say. */
export const isGateways = (name: string) => isHopByHop(name) || name === 'host' || name === 'content-length'

export const freeHeaderName = headerName.refine((name) => !isGateways(name.toLowerCase()), {
  error: 'only the gateway itself can say this header',
})

export const headerExpressions = (names: Names) => z.record(freeHeaderName, celExpression(names))

type Variables = Readonly<Record<string, unknown>>

/** Undefined where the expression fails, or makes what is no text, number or boolean. */
export function textOf(expression: CelExpression, variables: Variables): string | undefined {
  try {
    const value = expression.evaluate(variables)
    return ['string', 'number', 'bigint', 'boolean'].includes(typeof value) ? String(value) : undefined
  } catch {
    return undefined
  }
}

/** Undefined for what is no header's value, too. */
export function headerTextOf(expression: CelExpression, variables: Variables): string | undefined {
  const text = textOf(expression, variables)
  if (text === undefined || text.length > MAX_VALUE_LENGTH) return undefined
  return headerValue.safeParse(text).success ? text : undefined
}

/** Names in lower case, with their values as of now. */
export function compileHeaders(
  expressions: Readonly<Record<string, string>> = {},
  names: Names,
): (variables: Variables) => (readonly [name: string, value: string | undefined])[] {
  const compiled = Object.entries(expressions).map(
    ([name, source]) => [name.toLowerCase(), compileCel(source, names)] as const,
  )
  return (variables) => compiled.map(([name, expression]) => [name, headerTextOf(expression, variables)])
}
