/**
 * Limits and budgets of workers: counted in the primary, which is asked for each decision.
 *
 * A worker numbers what it asks to be reserved, so that it may settle that before it has been answered. What a worker
 * still holds when it is gone is given back.
 */
import { GatewayError } from '../core/errors.ts'
import {
  type Budgets,
  type CountedBudget,
  type CountedBudgets,
  type Hold,
  newHold,
} from '../policies/budget-book.ts'
import {
  type CountedLimit,
  type CountedLimits,
  type Limits,
  limitName,
  newShare,
  type Share,
} from '../policies/limits.ts'
import type { LimitAnswer, OfBudget } from './counting-messages.ts'
import type { Link } from './link.ts'
import type { Questions, Told } from './messages.ts'

export type CountingLink = Link<Questions, Told>

/** The primary's end, for one worker. */
export function countFor(
  link: CountingLink,
  { limits, budgets }: { readonly limits: CountedLimits; readonly budgets: CountedBudgets },
): void {
  const shares = new Map<number, { readonly limit: CountedLimit; readonly share: Share }>()
  const holds = new Map<number, { readonly budget: CountedBudget; readonly hold: Hold }>()

  const limitAt = (name: string) => known(limits.named(name), `a limit ${name}`)
  const budgetAt = (shape: OfBudget['budget']) => known(budgets.named(shape), `a budget ${shape.name}`)

  link.onAsk('limit.admit', ({ name, key }) => {
    const limit = limitAt(name)
    const share = newShare(key)
    const wait = limit.admit(share)
    return { wait, standing: limit.standing(share) }
  })
  link.onAsk('limit.reserve', ({ name, key, number, tokens }) => {
    const limit = limitAt(name)
    const share = newShare(key)
    const wait = limit.reserve(share, tokens)
    if (wait === undefined) shares.set(number, { limit, share })
    return { wait, standing: limit.standing(share) }
  })
  link.onTell('limit.settle', ({ name, key, number, used }) => {
    const held = taken(shares, number)
    if (held === undefined) limits.named(name)?.settle(newShare(key), used)
    else held.limit.settle(held.share, used)
  })
  link.onAsk('budget.reserve', ({ budget: shape, key, number, claim }) => {
    const budget = budgetAt(shape)
    const hold = newHold(key)
    const exceeded = budget.reserve(hold, claim)
    holds.set(number, { budget, hold })
    return { key: hold.key, spent: budget.spent(hold), exceeded }
  })
  link.onTell('budget.settle', ({ budget: shape, key, number, amount }) => {
    const held = taken(holds, number)
    if (held === undefined) budgets.named(shape)?.settle(newHold(key), amount)
    else held.budget.settle(held.hold, amount)
  })
  void link.closed.then(() => {
    for (const { limit, share } of shares.values()) limit.settle(share, 0)
    for (const { budget, hold } of holds.values()) budget.settle(hold, 0)
    shares.clear()
    holds.clear()
  })
}

function known<T>(one: T | undefined, what: string): T {
  if (one === undefined) throw new Error(`the primary process does not know ${what}`)
  return one
}

function taken<T>(from: Map<number, T>, number: number | undefined): T | undefined {
  if (number === undefined) return undefined
  const one = from.get(number)
  from.delete(number)
  return one
}

/** A process that is alive answers within milliseconds. */
const ANSWER_MS = 10_000

/** What a worker counts with. */
export function countedElsewhere(
  link: CountingLink,
  answerMs = ANSWER_MS,
): { readonly limits: Limits; readonly budgets: Budgets } {
  let numbers = 0
  /** A request that nobody counts does not pass. */
  const within = <T>(answer: Promise<T>) => answeredWithin(answer, answerMs)

  function limitsElsewhere(): Limits {
    return {
      adopt() {},
      at(place, shape) {
        const name = limitName(place, shape)
        const waitOf = async (share: Share, asked: Promise<LimitAnswer>) => {
          const { wait, standing } = await within(asked)
          share.told = standing
          return wait
        }
        return {
          admit: (share) => waitOf(share, link.ask('limit.admit', { name, key: share.key })),
          reserve(share, tokens) {
            numbers += 1
            share.number = numbers
            return waitOf(share, link.ask('limit.reserve', { name, key: share.key, number: numbers, tokens }))
          },
          settle({ key, number }, used) {
            if (number !== undefined || used !== 0) link.tell('limit.settle', { name, key, number, used })
          },
          standing: ({ told }) => told,
        }
      },
    }
  }

  function budgetsElsewhere(): Budgets {
    const nothing = () => Promise.resolve()
    return {
      retain() {},
      keepIn: nothing,
      keep: nothing,
      close: nothing,
      at({ name, unit }) {
        const budget = { name, unit }
        return {
          async reserve(hold, claim) {
            numbers += 1
            hold.number = numbers
            hold.reserved = claim.estimate
            const body = { budget, key: hold.key, number: numbers, claim }
            const { key, spent, exceeded } = await within(link.ask('budget.reserve', body))
            hold.key = key
            hold.told = spent
            return exceeded
          },
          settle({ key, number }, amount) {
            link.tell('budget.settle', { budget, key, number, amount })
          },
          spent: ({ told }) => told,
        }
      },
    }
  }

  return { limits: limitsElsewhere(), budgets: budgetsElsewhere() }
}

async function answeredWithin<T>(answer: Promise<T>, milliseconds: number): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('no answer in time')), milliseconds)
  try {
    return await Promise.race([answer, late.promise])
  } catch (cause) {
    throw new GatewayError('internal', 'the process that counts limits and budgets does not answer', {
      cause,
    })
  } finally {
    clearTimeout(timer)
  }
}
