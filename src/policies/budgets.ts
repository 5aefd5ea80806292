/**
 * How much models may cost, or how many tokens they may use, in a window of time: for all, or for each key.
 *
 * What a request may cost is reserved when it is known what it asks, and settled when it has ended to what its record
 * says. A request passes as long as something is left: the last one may go beyond the limit.
 */
import { z } from 'zod'
import { celExpression } from '../core/cel-schema.ts'
import { keyHash } from '../core/credential-key.ts'
import { GatewayError } from '../core/errors.ts'
import { type Exchange, noteEvent } from '../core/exchange.ts'
import { REQUEST_NAMES } from '../core/request-names.ts'
import type { BudgetUnit } from '../core/spending.ts'
import { type Budget, type Exceeded, type Hold, newHold } from './budget-book.ts'
import { budgetWindowSchema, perWindow } from './budget-window.ts'
import type { ModelRequest, Policy } from './policy.ts'
import { NOBODY, requestKey } from './request-key.ts'

const usd = z
  .union([z.number(), z.string().regex(/^\d+(\.\d+)?$/, { error: 'expected a decimal number' })])
  .transform(Number)
  .refine((amount) => amount > 0 && Number.isFinite(amount), { error: 'expected more than 0' })

const limitSchema = z
  .strictObject({ usd: usd.optional(), tokens: z.int().positive().optional() })
  .refine((limit) => (limit.usd === undefined) !== (limit.tokens === undefined), {
    error: 'expected either usd or tokens',
  })

const budgetSchema = z.strictObject({
  /** Part of a header's name, and a label of metrics. */
  name: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, {
    error: 'expected lower-case letters, digits and hyphens, 64 at most',
  }),
  limit: limitSchema,
  window: budgetWindowSchema,
  key: celExpression(REQUEST_NAMES).optional(),
  action: z.enum(['refuse', 'warn']).default('refuse'),
})
export const budgetsSchema = z.array(budgetSchema).min(1, { error: 'expected at least one budget' })
export type BudgetConfig = z.output<typeof budgetSchema>

export function limitOf({ limit }: BudgetConfig): { readonly unit: BudgetUnit; readonly amount: number } {
  return limit.tokens === undefined
    ? { unit: 'usd', amount: limit.usd ?? 0 }
    : { unit: 'tokens', amount: limit.tokens }
}

const ESTIMATES: Readonly<Record<BudgetUnit, (request: ModelRequest) => number>> = {
  usd: (request) => request.usd(),
  tokens: (request) => request.tokens,
}

const COSTS: Readonly<Record<BudgetUnit, (exchange: Exchange) => number>> = {
  usd: ({ llm }) => llm?.cost?.total ?? 0,
  // Input includes what was read from and written to the cache.
  tokens: ({ llm }) => (llm?.usage === undefined ? 0 : llm.usage.inputTokens + llm.usage.outputTokens),
}

/** Fractions of a dollar that are still worth telling. */
const SHOWN_DIGITS = 6

/** Until one of the requests under way may have ended. */
const SHORTLY_SECONDS = 1

const dateOf = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z')

export function budget(config: BudgetConfig, shared: Budget, now: () => number): Policy {
  const { unit, amount: limit } = limitOf(config)
  const { action } = config
  const keyOf = requestKey(config.key)
  const header = `x-budget-${config.name}-remaining`
  const limitText = `${limit} ${unit === 'usd' ? 'USD' : 'tokens'} ${perWindow(config.window)}`
  /** What is under way. */
  const holds = new WeakMap<Exchange, Hold>()

  function refuse({ isSpent, renewedAt }: Exceeded): never {
    const wait = isSpent ? Math.max(1, Math.ceil((renewedAt - now()) / 1000)) : SHORTLY_SECONDS
    const why = isSpent
      ? `is spent: it is renewed at ${dateOf(renewedAt)}`
      : 'may be spent by requests that are under way: try again shortly'
    throw new GatewayError('budget_exceeded', `budget ${config.name} (${limitText}) ${why}`, {
      headers: { 'retry-after': String(wait) },
    })
  }

  function judge(exchange: Exchange, { key }: Hold, exceeded: Exceeded | undefined): undefined {
    if (exceeded === undefined) return
    noteEvent(exchange, {
      name: 'budget.exceeded',
      policy: config.name,
      limit: limitText,
      keyHash: key === NOBODY ? undefined : keyHash(key),
      action,
    })
    if (action === 'refuse') refuse(exceeded)
  }

  return {
    onRequest(head) {
      holds.set(head.exchange, newHold(keyOf(head)))
      return undefined
    },
    onModelRequest({ exchange }, request) {
      const hold = holds.get(exchange)
      if (hold === undefined) return undefined
      const exceeded = shared.reserve(hold, { estimate: ESTIMATES[unit](request), limit, action })
      if (exceeded instanceof Promise) return exceeded.then((one) => judge(exchange, hold, one))
      return judge(exchange, hold, exceeded)
    },
    onResponse(headers, { exchange }) {
      const hold = holds.get(exchange)
      if (hold?.reserved === undefined) return
      const spent = shared.spent(hold)
      if (spent === undefined) return
      const left = Math.max(0, limit - spent)
      headers[header] = unit === 'usd' ? left.toFixed(SHOWN_DIGITS) : String(left)
    },
    onFinished(exchange) {
      const hold = holds.get(exchange)
      if (hold?.reserved === undefined) return
      holds.delete(exchange)
      shared.settle(hold, COSTS[unit](exchange))
    },
  }
}
