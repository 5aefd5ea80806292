/** What budgets have spent, as they and whoever keeps it tell each other. */

export type BudgetUnit = 'usd' | 'tokens'

/** Whose spending it is. */
interface Holder {
  readonly budget: string
  readonly unit: BudgetUnit
  readonly key: string
}

/** What has been added in a window; milliseconds since 1970. */
export interface Spending extends Holder {
  readonly windowStart: number
  readonly windowEnd: number
  readonly amount: number
}

/** Taken once, however often it is handed over: whoever does not hear of its success hands the same over again. */
export interface SpendingReport {
  readonly writer: string
  /** Of one writer: one more than the last. */
  readonly number: number
  readonly spendings: readonly Spending[]
}

export interface SpentQuery {
  readonly budget: string
  readonly unit: BudgetUnit
  /** In windows that begin then or later. */
  readonly since: number
  /** Undefined: of all, those who have spent the most. */
  readonly keys: readonly string[] | undefined
}

export interface Spent extends Holder {
  readonly amount: number
}

/** Keeps what was spent, by all who share it. */
export interface SpendingBook {
  readonly spend: (report: SpendingReport) => Promise<unknown>
  /** Who has spent nothing is left out. */
  readonly spent: (queries: readonly SpentQuery[]) => Promise<readonly Spent[]>
}
