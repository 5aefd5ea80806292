/** What workers ask the primary of limits and budgets, and tell it. */
import type { BudgetShape, Claim, Exceeded } from '../policies/budget-book.ts'
import type { Standing, Wait } from '../policies/limits.ts'

interface OfLimit {
  readonly name: string
  readonly key: string
}

export interface LimitAnswer {
  readonly wait: Wait
  readonly standing: Standing
}

export interface OfBudget {
  readonly budget: Pick<BudgetShape, 'name' | 'unit'>
  readonly key: string
}

interface BudgetAnswer {
  /** The account's. */
  readonly key: string
  readonly spent: number
  readonly exceeded: Exceeded | undefined
}

export interface CountingQuestions {
  'limit.admit'(body: OfLimit): LimitAnswer
  'limit.reserve'(body: OfLimit & { readonly number: number; readonly tokens: number }): LimitAnswer
  'budget.reserve'(body: OfBudget & { readonly number: number; readonly claim: Claim }): BudgetAnswer
}

export interface CountingTold {
  /** `number`: undefined where nothing is reserved. */
  'limit.settle': OfLimit & { readonly number: number | undefined; readonly used: number }
  'budget.settle': OfBudget & { readonly number: number | undefined; readonly amount: number }
}
