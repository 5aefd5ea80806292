/** What policies and upstreams keep over a reload, and share. */
import type { FetchDependencies } from './core/fetch-json.ts'
import type { Ask } from './core/upstream.ts'
import {
  type Budgets,
  type BudgetsOptions,
  type CountedBudgets,
  createBudgets,
} from './policies/budget-book.ts'
import { createKeySets, type KeySets } from './policies/key-sets.ts'
import { type CountedLimits, createLimits, type Limits } from './policies/limits.ts'
import { createPasswords, type Passwords } from './policies/passwords.ts'
import { createHealths, type Healths } from './upstream/health.ts'

export interface Lasting {
  readonly limits: Limits
  readonly budgets: Budgets
  readonly healths: Healths
  readonly passwords: Passwords
  readonly keySets: KeySets
  readonly ask: Ask
  readonly close: () => Promise<void>
}

/** What is counted is counted in this process. */
interface CountedLasting extends Lasting {
  readonly limits: CountedLimits
  readonly budgets: CountedBudgets
}

interface Connected extends FetchDependencies {
  readonly ask: Ask
}

const refuse = () => Promise.reject(new Error('nothing is fetched here'))

/** Of a configuration that is only looked at. */
const UNCONNECTED: Connected = {
  fetch: refuse,
  ask: refuse,
  now: Date.now,
}

export function createLasting(
  deps = UNCONNECTED,
  watchHealth?: Parameters<typeof createHealths>[0],
  watchBudgets: Omit<BudgetsOptions, 'now'> = {},
): CountedLasting {
  const passwords = createPasswords()
  return {
    limits: createLimits(() => performance.now()),
    budgets: createBudgets({ now: deps.now, ...watchBudgets }),
    healths: createHealths(watchHealth),
    passwords,
    keySets: createKeySets(deps),
    ask: deps.ask,
    close: passwords.close,
  }
}
