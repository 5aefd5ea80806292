/** By what requests are told apart, where each is to have its own. */
import { type CelExpression, compileCel } from '../core/cel.ts'
import { REQUEST_NAMES } from '../core/request-names.ts'
import type { RequestHead } from './policy.ts'
import { requestVariables } from './request-variables.ts'

/** Whoever has no key, or none that is a text or a number, shares one with all others of that kind. */
export const NOBODY = ''

export function requestKey(expression: string | undefined): (head: RequestHead) => string {
  if (expression === undefined) return () => NOBODY
  const key: CelExpression = compileCel(expression, REQUEST_NAMES)
  return (head) => {
    try {
      const value = key.evaluate(requestVariables(head))
      return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
        ? `=${value}`
        : NOBODY
    } catch {
      return NOBODY
    }
  }
}
