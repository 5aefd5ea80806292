/** Requests wait before they go on: to slow callers down, or to try out what happens then. */
import { z } from 'zod'
import { compileCel } from '../core/cel.ts'
import { celExpression } from '../core/cel-schema.ts'
import type { Exchange } from '../core/exchange.ts'
import { textOf } from '../core/header-expressions.ts'
import { NOTED_NAMES } from '../core/request-names.ts'
import { durationMs } from '../core/schema.ts'
import type { Policy, RequestHead } from './policy.ts'
import { requestVariables } from './request-variables.ts'

export const delaySchema = z.strictObject({ duration: z.union([durationMs, celExpression(NOTED_NAMES)]) })
export type DelayConfig = z.output<typeof delaySchema>

/** What an expression makes that is no duration is no delay. */
function millisecondsBy(duration: DelayConfig['duration']): (head: RequestHead) => number {
  if (typeof duration === 'number') return () => duration
  const expression = compileCel(duration, NOTED_NAMES)
  return (head) => durationMs.safeParse(textOf(expression, requestVariables(head))).data ?? 0
}

export function delay({ duration }: DelayConfig): Policy {
  const millisecondsFor = millisecondsBy(duration)
  const waiting = new WeakMap<Exchange, NodeJS.Timeout>()
  return {
    onRequest(head) {
      const milliseconds = millisecondsFor(head)
      if (milliseconds <= 0) return undefined
      return new Promise((resolve) => {
        waiting.set(
          head.exchange,
          setTimeout(() => resolve(undefined), milliseconds),
        )
      })
    },
    // Who leaves is waited for no longer.
    onFinished: (exchange) => clearTimeout(waiting.get(exchange)),
  }
}
