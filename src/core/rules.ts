/** Who may do what: rules in CEL, with upstream's algorithm. */
import { z } from 'zod'
import { type CelExpression, compileCel, type Names } from './cel.ts'
import { celExpression } from './cel-schema.ts'

/** A bare expression is an `allow`. */
export function rulesSchema(names: Names) {
  const expression = celExpression(names)
  const rule = z.union([
    expression,
    z.strictObject({ allow: expression }),
    z.strictObject({ deny: expression }),
    z.strictObject({ require: expression }),
  ])
  return z.strictObject({ rules: z.array(rule) })
}
export type RulesConfig = z.output<ReturnType<typeof rulesSchema>>

type Variables = Readonly<Record<string, unknown>>

/**
 * An `allow` or `require` that cannot be evaluated does not hold; `deniesOnError` says whether a `deny` then does.
 */
export function compileRules(
  { rules }: RulesConfig,
  names: Names,
  { deniesOnError }: { readonly deniesOnError: boolean },
): (variables: Variables) => boolean {
  const allow: CelExpression[] = []
  const deny: CelExpression[] = []
  const require: CelExpression[] = []
  for (const rule of rules) {
    if (typeof rule === 'string') allow.push(compileCel(rule, names))
    else if ('allow' in rule) allow.push(compileCel(rule.allow, names))
    else if ('deny' in rule) deny.push(compileCel(rule.deny, names))
    else require.push(compileCel(rule.require, names))
  }

  return (variables) => {
    const holds = (condition: CelExpression) => isTrue(condition, variables, false)
    if (deny.some((condition) => isTrue(condition, variables, deniesOnError))) return false
    if (!require.every(holds)) return false
    return allow.length === 0 || allow.some(holds)
  }
}

/** `onError`: what an expression counts for that cannot be evaluated. */
export function isTrue(
  condition: CelExpression,
  variables: Variables,
  onError: boolean,
  failed?: (condition: CelExpression) => void,
): boolean {
  try {
    return condition.evaluate(variables) === true
  } catch {
    failed?.(condition)
    return onError
  }
}
