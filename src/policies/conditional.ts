/** One policy in several forms: the first one whose condition holds is the request's. */
import { z } from 'zod'
import { compileCel } from '../core/cel.ts'
import { celExpression } from '../core/cel-schema.ts'
import type { Exchange } from '../core/exchange.ts'
import { REQUEST_NAMES } from '../core/request-names.ts'
import { isTrue } from '../core/rules.ts'
import type { Policy } from './policy.ts'
import { requestVariables } from './request-variables.ts'

const MAX_FORMS = 64

export interface Conditional<Config extends object> {
  readonly conditional: readonly (Config & { readonly condition?: string | undefined })[]
}

/** What a policy's own schema is extended with. */
export const CONDITION = { condition: celExpression(REQUEST_NAMES).optional() }

export const conditionalSchema = <Form extends z.ZodType<{ readonly condition?: string | undefined }>>(
  form: Form,
) =>
  z.strictObject({
    conditional: z
      .array(form)
      .min(1, { error: 'expected at least one form' })
      .max(MAX_FORMS)
      .superRefine((forms, context) => {
        const index = forms.slice(0, -1).findIndex(({ condition }) => condition === undefined)
        if (index >= 0)
          context.addIssue({
            code: 'custom',
            message: 'only the last form may be without a condition: what is behind it would never be chosen',
            path: [index],
          })
      }),
  })

/** A condition that cannot be evaluated does not hold. */
export function conditional<Config extends object>(
  { conditional: forms }: Conditional<Config>,
  build: (config: Config, index: number) => Policy,
): Policy {
  const choices = forms.map(({ condition, ...config }, index) => ({
    condition: condition === undefined ? undefined : compileCel(condition, REQUEST_NAMES),
    policy: build(config as Config, index),
  }))
  const chosen = new WeakMap<Exchange, Policy>()
  return {
    onRequest(head) {
      const variables = requestVariables(head)
      const policy = choices.find(
        ({ condition }) => condition === undefined || isTrue(condition, variables, false),
      )?.policy
      if (policy === undefined) return undefined
      chosen.set(head.exchange, policy)
      return policy.onRequest?.(head)
    },
    onModelRequest: (head, request) => chosen.get(head.exchange)?.onModelRequest?.(head, request),
    onResponse: (headers, head, status) => chosen.get(head.exchange)?.onResponse?.(headers, head, status),
    onFinished: (exchange) => chosen.get(exchange)?.onFinished?.(exchange),
  }
}

/** Of a policy with conditions or without. */
export const eitherWay = <Config extends object>(
  config: Config | Conditional<Config>,
  build: (config: Config) => Policy,
): Policy => ('conditional' in config ? conditional(config, build) : build(config))
