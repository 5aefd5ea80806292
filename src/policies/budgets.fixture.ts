/** Budgets with a clock and a book of the test's own. */
import type { z } from 'zod'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import type { SpendingBook, SpendingReport, Spent } from '../core/spending.ts'
import { type BudgetsOptions, createBudgets } from './budget-book.ts'
import { budget, budgetsSchema, limitOf } from './budgets.ts'
import type { RequestHead } from './policy.ts'
import { requestHead } from './request-head.fixture.ts'

export type BudgetInput = z.input<typeof budgetsSchema>[number]

export interface MemoryBook extends SpendingBook {
  readonly reports: SpendingReport[]
  readonly total: (budget: string, since?: number) => number
  /** Before: nothing was taken; after: it was, and nobody heard of it. */
  fails: 'before' | 'after' | undefined
}

export function memoryBook(): MemoryBook {
  const reports: SpendingReport[] = []
  const seen = new Set<string>()
  const spendings = () => reports.flatMap((report) => report.spendings)
  return {
    reports,
    fails: undefined,
    total: (name, since = 0) =>
      spendings()
        .filter(({ budget: of, windowStart }) => of === name && windowStart >= since)
        .reduce((sum, { amount }) => sum + amount, 0),
    async spend(report) {
      if (this.fails === 'before') throw new Error('away')
      const id = `${report.writer} ${report.number}`
      if (!seen.has(id)) reports.push(report)
      seen.add(id)
      if (this.fails === 'after') throw new Error('lost')
    },
    async spent(queries) {
      if (this.fails !== undefined) throw new Error('away')
      return queries.flatMap(({ budget: name, unit, since, keys }) => {
        const sums = new Map<string, number>()
        for (const one of spendings())
          if (one.budget === name && one.unit === unit && one.windowStart >= since)
            sums.set(one.key, (sums.get(one.key) ?? 0) + one.amount)
        return [...sums]
          .filter(([key]) => keys?.includes(key) ?? true)
          .map(([key, amount]): Spent => ({ budget: name, unit, key, amount }))
      })
    },
  }
}

export interface Used {
  readonly tokens?: number
  readonly usd?: number
}

export function budgetLab(config: BudgetInput, options: Partial<BudgetsOptions> = {}) {
  let now = Date.parse('2026-11-26T10:00:00Z')
  const budgets = createBudgets({ now: () => now, ...options })
  const policyOf = (wanted: BudgetInput) => {
    const [parsed] = budgetsSchema.parse([wanted])
    if (parsed === undefined) throw new Error('no budget')
    const { unit, amount: limit } = limitOf(parsed)
    const shared = budgets.at({ name: parsed.name, unit, limit, window: parsed.window })
    budgets.retain([shared])
    return budget(parsed, shared, () => now)
  }
  let policy = policyOf(config)

  function begin(user?: string, estimate: Used = {}): RequestHead {
    const head = requestHead(user === undefined ? {} : { apiKey: { user } })
    policy.onRequest?.(head)
    policy.onModelRequest?.(head, {
      model: 'm',
      tokens: estimate.tokens ?? 0,
      usd: () => estimate.usd ?? 0,
    })
    return head
  }
  function finish({ exchange }: RequestHead, { tokens, usd }: Used = {}): void {
    exchange.llm = {
      ...(tokens !== undefined && { usage: { inputTokens: tokens, outputTokens: 0 } }),
      ...(usd !== undefined && { cost: { total: usd } }),
    } as unknown as NonNullable<Exchange['llm']>
    policy.onFinished?.(exchange)
  }
  return {
    budgets,
    begin,
    finish,
    spend(used: Used, user?: string) {
      finish(begin(user), used)
    },
    /** What it is told, or undefined when it may pass. */
    refusal(user?: string) {
      try {
        finish(begin(user))
      } catch (error) {
        if (error instanceof GatewayError)
          return { code: error.code, message: error.message, retryAfter: error.headers['retry-after'] }
        throw error
      }
      return undefined
    },
    remaining(user?: string): string | undefined {
      const head = begin(user)
      const headers: Headers = {}
      policy.onResponse?.(headers, head, 200)
      finish(head)
      return headers['x-budget-team-remaining'] as string | undefined
    },
    setClock(at: string) {
      now = Date.parse(at)
    },
    reload(next: BudgetInput) {
      policy = policyOf(next)
    },
  }
}
