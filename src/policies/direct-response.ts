/** Answers without asking an upstream. */
import { z } from 'zod'
import { compileCel } from '../core/cel.ts'
import { celExpression } from '../core/cel-schema.ts'
import { compileHeaders, headerExpressions } from '../core/header-expressions.ts'
import { NOTED_NAMES } from '../core/request-names.ts'
import type { Policy, RequestHead } from './policy.ts'
import { requestVariables } from './request-variables.ts'

export const directResponseSchema = z
  .strictObject({
    status: z.int().min(200).max(599),
    body: z.string().optional(),
    bodyExpression: celExpression(NOTED_NAMES).optional(),
    headers: headerExpressions(NOTED_NAMES).optional(),
  })
  .refine(({ body, bodyExpression }) => body === undefined || bodyExpression === undefined, {
    error: 'expected body or bodyExpression, not both',
  })
export type DirectResponseConfig = z.output<typeof directResponseSchema>

/** What is no text becomes JSON; what fails, nothing. */
function bodyBy(source: string): (head: RequestHead) => string {
  const expression = compileCel(source, NOTED_NAMES)
  return (head) => {
    try {
      const value = expression.evaluate(requestVariables(head))
      return typeof value === 'string' ? value : JSON.stringify(value)
    } catch {
      return ''
    }
  }
}

export function directResponse({ status, body = '', bodyExpression, headers }: DirectResponseConfig): Policy {
  const bodyOf = bodyExpression === undefined ? () => body : bodyBy(bodyExpression)
  const headersOf = compileHeaders(headers, NOTED_NAMES)
  return {
    onRequest: (head) => ({
      status,
      headers: Object.fromEntries(
        headersOf(requestVariables(head)).filter(([, value]) => value !== undefined),
      ),
      body: bodyOf(head),
    }),
  }
}
