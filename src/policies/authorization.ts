/**
 * Which requests may pass: rules in CEL, about who asks and for what.
 *
 * It fails closed: a `deny` that cannot be evaluated denies. Here every rule is about every request, while those of
 * `mcpAuthorization` may be about something else than what is judged.
 */
import { GatewayError } from '../core/errors.ts'
import { REQUEST_NAMES } from '../core/request-names.ts'
import { compileRules, type RulesConfig, rulesSchema } from '../core/rules.ts'
import type { Policy } from './policy.ts'
import { requestVariables } from './request-variables.ts'

export const authorizationSchema = rulesSchema(REQUEST_NAMES)

export function authorization(config: RulesConfig): Policy {
  const allows = compileRules(config, REQUEST_NAMES, { deniesOnError: true })
  return {
    onRequest(head) {
      if (!allows(requestVariables(head))) throw new GatewayError('forbidden', 'authorization failed')
      return undefined
    },
  }
}
