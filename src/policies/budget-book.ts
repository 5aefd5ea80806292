/**
 * All budgets of a process, by name, and how they stay in step with what is kept of them: what is spent here is added
 * there, and what others have added is learnt.
 *
 * No request waits for it. Where nothing is kept, or cannot be at the moment, budgets are counted in memory.
 */
import { randomUUID } from 'node:crypto'
import type { BudgetUnit, Spending, SpendingBook, SpendingReport } from '../core/spending.ts'
import { type Account, type Accounts, createAccounts, spentBy } from './budget-accounts.ts'
import type { BudgetWindow } from './budget-window.ts'

export interface BudgetWatch {
  readonly limited: (limit: number) => void
  readonly spent: (amount: number) => void
  /** In the window of this moment, of several keys the most. */
  readonly used: (amount: number) => void
  /** A request came when nothing was left. `isFirst`: of this key in this window. */
  readonly exceeded: (action: 'refuse' | 'warn', key: string, isFirst: boolean) => void
  /** The configuration names it no more. */
  readonly gone: () => void
}

const NOBODY: BudgetWatch = { limited() {}, spent() {}, used() {}, exceeded() {}, gone() {} }

export interface BudgetShape {
  readonly name: string
  readonly unit: BudgetUnit
  readonly limit: number
  readonly window: BudgetWindow
}

/** What one request holds of a budget. */
export interface Hold {
  /** The request's, and once something is reserved the account's. */
  key: string
  /** Until it is settled; undefined: nobody was asked. */
  reserved: number | undefined
  /** Of a budget that is counted elsewhere: what was spent when it was told last. */
  told: number | undefined
  /** Of a budget that is counted elsewhere: what is reserved is known there by this number. */
  number: number | undefined
}

export const newHold = (key: string): Hold => ({
  key,
  reserved: undefined,
  told: undefined,
  number: undefined,
})

export interface Claim {
  readonly estimate: number
  readonly limit: number
  readonly action: 'refuse' | 'warn'
}

export interface Exceeded {
  /** Or only may be, by requests that are under way. */
  readonly isSpent: boolean
  readonly renewedAt: number
}

/** One may be counted in another process, which then is asked and waited for: here a request never waits. */
export interface Budget {
  /** Reserves the estimate; not where the limit is exceeded and the action is to refuse. */
  readonly reserve: (hold: Hold, claim: Claim) => Exceeded | undefined | Promise<Exceeded | undefined>
  /** Gives back what was reserved, and spends the amount; also when the reservation is still waited for. */
  readonly settle: (hold: Hold, amount: number) => void
  /** In the window of this moment; undefined while it is not known. */
  readonly spent: (hold: Hold) => number | undefined
}

export interface CountedBudget extends Budget {
  readonly reserve: (hold: Hold, claim: Claim) => Exceeded | undefined
  readonly spent: (hold: Hold) => number
}

/** Of all routes: one name is one budget. They outlive a reload. */
export interface Budgets {
  /** One that is known already keeps its shape until it is retained. */
  readonly at: (shape: BudgetShape) => Budget
  /** In the shapes that were read last. The others are gone, until they are named again. */
  readonly retain: (budgets: readonly Budget[]) => void
  /** From now on. Resolves when what is kept there already is known, or cannot be; undefined: nowhere. */
  readonly keepIn: (book: SpendingBook | undefined) => Promise<void>
  /** Now, and not only with the next beat. */
  readonly keep: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface CountedBudgets extends Budgets {
  readonly at: (shape: BudgetShape) => CountedBudget
  readonly named: (shape: Pick<BudgetShape, 'name' | 'unit'>) => CountedBudget | undefined
}

export interface BudgetsOptions {
  readonly now: () => number
  readonly watch?: (name: string, unit: BudgetUnit) => BudgetWatch
  /** Undefined: kept again. */
  readonly onProblem?: (problem: string | undefined) => void
}

/** With the time that writing takes, nothing is a second behind. */
const BEAT_MS = 500
/** At the end. */
const CLOSE_MS = 3000

interface Known extends CountedBudget {
  shape: BudgetShape
  next: BudgetShape
  readonly accounts: Accounts
  readonly watch: BudgetWatch
  /** What is kept of its window is known, of all keys. */
  isLearnt: boolean
  isGone: boolean
}

type Touched = readonly [Known, Account]

const nameOf = ({ name, unit }: Pick<BudgetShape, 'name' | 'unit'>) => `${name} ${unit}`

/** Reports have no account twice: two windows of a key that begin alike are added up. */
function spendingsOf(touched: readonly Touched[]): readonly Spending[] {
  const rows = new Map<string, Spending>()
  for (const [{ shape }, { key, span, sent }] of touched) {
    if (sent === 0) continue
    const row = JSON.stringify([shape.name, shape.unit, key, span.start])
    const amount = sent + (rows.get(row)?.amount ?? 0)
    rows.set(row, {
      budget: shape.name,
      unit: shape.unit,
      key,
      windowStart: span.start,
      windowEnd: span.end,
      amount,
    })
  }
  return [...rows.values()]
}

export function createBudgets({
  now,
  watch = () => NOBODY,
  onProblem = () => {},
}: BudgetsOptions): CountedBudgets {
  const writer = randomUUID()
  const known = new Map<string, Known>()
  let book: SpendingBook | undefined
  let reports = 0
  /** Until it is acknowledged. */
  let pending: { readonly report: SpendingReport; readonly accounts: readonly Account[] } | undefined
  let beat: NodeJS.Timeout | undefined
  let keeping: Promise<void> = Promise.resolve()
  let isTroubled = false

  function create(shape: BudgetShape): Known {
    const accounts = createAccounts(shape.window, now)
    const watching = watch(shape.name, shape.unit)
    const of = (key: string) => {
      const account = accounts.of(key)
      accounts.touch(account)
      return account
    }
    watching.limited(shape.limit)
    return {
      shape,
      next: shape,
      accounts,
      watch: watching,
      isLearnt: false,
      isGone: false,
      reserve(hold, { estimate, limit, action }) {
        const account = of(hold.key)
        const spent = spentBy(account)
        const isExceeded = spent + (action === 'refuse' ? account.reserved : 0) >= limit
        hold.key = account.key
        hold.reserved = isExceeded && action === 'refuse' ? 0 : estimate
        account.reserved += hold.reserved
        if (!isExceeded) return undefined
        watching.exceeded(action, account.key, !account.isTold)
        account.isTold = true
        return { isSpent: spent >= limit, renewedAt: account.span.end }
      },
      settle(hold, amount) {
        const account = of(hold.key)
        account.reserved = Math.max(0, account.reserved - (hold.reserved ?? 0))
        account.unsaved += amount
        hold.reserved = 0
        watching.spent(amount)
      },
      spent: ({ key }) => spentBy(of(key)),
    }
  }

  function adopt(one: Known): void {
    const { shape, next } = one
    one.shape = next
    one.isGone = false
    if (shape.window !== next.window) one.isLearnt = false
    one.accounts.use(next.window)
    one.watch.limited(next.limit)
  }

  function tell(): void {
    for (const { accounts, watch: watching, isGone } of known.values())
      if (!isGone) watching.used(accounts.largest())
  }

  function troubled(error: unknown): void {
    if (!isTroubled) onProblem(error instanceof Error ? error.message : String(error))
    isTroubled = true
  }

  function works(): void {
    if (isTroubled) onProblem(undefined)
    isTroubled = false
  }

  function newReport(touched: readonly Touched[]): NonNullable<typeof pending> {
    for (const [, account] of touched) {
      account.sent = account.unsaved
      account.unsaved = 0
    }
    reports += 1
    const report = { writer, number: reports, spendings: spendingsOf(touched) }
    return { report, accounts: touched.map(([, account]) => account) }
  }

  async function deliver(to: SpendingBook): Promise<void> {
    if (pending === undefined) return
    if (pending.report.spendings.length > 0) await to.spend(pending.report)
    for (const account of pending.accounts) {
      account.saved += account.sent
      account.sent = 0
    }
    pending = undefined
  }

  /** `touched`: undefined: of all keys. */
  async function learn(from: SpendingBook, budgets: readonly Known[], touched?: readonly Touched[]) {
    const since = new Map<string, number>()
    const queries = budgets.flatMap(({ shape: { name, unit }, accounts }) => {
      const keys = touched?.flatMap(([of, { key }]) => (of.accounts === accounts ? [key] : []))
      const { start } = accounts.span()
      since.set(`${name} ${unit}`, start)
      return keys?.length === 0 ? [] : [{ budget: name, unit, since: start, keys }]
    })
    if (queries.length === 0) return
    const found = await from.spent(queries)
    // Who has spent the most comes last, and is forgotten last.
    for (const { budget, unit, key, amount } of found.toReversed()) {
      const name = `${budget} ${unit}`
      const accounts = known.get(name)?.accounts
      // A window may have begun meanwhile.
      if (accounts === undefined || accounts.span().start !== since.get(name)) continue
      const account = accounts.of(key)
      // What was lost there is not given back.
      account.saved = Math.max(account.saved, amount)
    }
  }

  async function learnNew(from: SpendingBook, budgets: readonly Known[]): Promise<void> {
    // It may be given another window meanwhile.
    for (const one of budgets) one.isLearnt = true
    try {
      await learn(from, budgets)
    } catch (error) {
      for (const one of budgets) one.isLearnt = false
      throw error
    }
  }

  async function keepOnce(): Promise<void> {
    const budgets = [...known.values()]
    const unlearnt = budgets.filter(({ isLearnt }) => !isLearnt)
    const touched = budgets.flatMap((one): Touched[] =>
      one.accounts.takeTouched().map((account) => [one, account]),
    )
    if (book === undefined) return
    if (touched.length === 0 && unlearnt.length === 0 && pending === undefined) return
    try {
      await deliver(book)
      pending = newReport(touched)
      await deliver(book)
      await learnNew(book, unlearnt)
      await learn(
        book,
        budgets,
        touched.filter(([{ accounts }, account]) => accounts.isCurrent(account)),
      )
      works()
    } catch (error) {
      for (const [{ accounts }, account] of touched) accounts.touch(account)
      troubled(error)
    }
  }

  function keep(): Promise<void> {
    keeping = keeping.then(keepOnce).then(tell)
    return keeping
  }

  return {
    at(shape) {
      const name = nameOf(shape)
      const budget = known.get(name) ?? create(shape)
      known.set(name, budget)
      budget.next = shape
      return budget
    },
    named: (shape) => known.get(nameOf(shape)),
    retain(budgets) {
      for (const one of known.values()) {
        if (budgets.includes(one)) adopt(one)
        else if (!one.isGone) {
          one.isGone = true
          one.watch.gone()
        }
      }
      tell()
    },
    keepIn(kept) {
      book = kept
      beat ??= setInterval(keep, BEAT_MS).unref()
      return keep()
    },
    keep,
    async close() {
      clearInterval(beat)
      const deadline = Promise.withResolvers<void>()
      const timer = setTimeout(deadline.resolve, CLOSE_MS)
      await Promise.race([keep(), deadline.promise])
      clearTimeout(timer)
    },
  }
}
