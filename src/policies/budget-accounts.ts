/**
 * What each key of a budget has spent in the window that it is in.
 *
 * When the clock goes back over a window's border, what was spent stays spent: nobody is given a window anew.
 */
import { hash } from 'node:crypto'
import { redact } from '../core/redact.ts'
import { type BudgetWindow, type Span, spanAt } from './budget-window.ts'

export interface Account {
  readonly key: string
  span: Span
  /** What all gateways have spent, as far as is known here. */
  saved: number
  /** Handed over to be kept, and not acknowledged. */
  sent: number
  unsaved: number
  /** For requests under way. */
  reserved: number
  /** It was said in this window that it is spent. */
  isTold: boolean
}

export const spentBy = ({ saved, sent, unsaved }: Account) => saved + sent + unsaved

export interface Accounts {
  readonly span: () => Span
  readonly use: (window: BudgetWindow) => void
  /**
   * The key's own, in the window of this moment; not to be kept, but its `key` may be, which differs where there are too
   * many keys.
   */
  readonly of: (key: string) => Account
  /** What was spent here, or may have been spent elsewhere, is to be compared with what is kept. */
  readonly touch: (account: Account) => void
  /** All that was touched since the last time. */
  readonly takeTouched: () => readonly Account[]
  /** False once its window is over. */
  readonly isCurrent: (account: Account) => boolean
  /** What one key has spent at most. */
  readonly largest: () => number
}

/** Clients may choose the key. */
const MAX_KEYS = 10_000
const FREED_AT_ONCE = 1000
/** After looking for room in vain; looking takes longer than a request may. */
const NOT_LOOKED = 1000

/** Of all keys that are too many. */
const REST = '*'

/** What every database takes as it is. */
const PLAIN = /^\P{C}{0,200}$/u

/** No key of a request is one: those begin with `=`, or are empty. */
const HASHED = /^[\da-f]{64}$/

/** As it is kept and logged: one that looks like a secret is not told. A name's name is itself. */
const nameOf = (key: string) =>
  HASHED.test(key) || (PLAIN.test(key) && redact(key) === key) ? key : hash('sha256', key)

export function createAccounts(first: BudgetWindow, now: () => number): Accounts {
  let window = first
  let current: Span = { start: 0, end: 0 }
  /** Whoever was used last comes last. */
  const byKey = new Map<string, Account>()
  let touched = new Set<Account>()
  let vain = 0

  function span(): Span {
    const at = now()
    if (at < current.start || at >= current.end) current = spanAt(window, at)
    return current
  }

  const opened = (key: string, reserved: number): Account => ({
    key,
    span: span(),
    saved: 0,
    sent: 0,
    unsaved: 0,
    reserved,
    isTold: false,
  })

  const isCurrent = (account: Account) => account.span.start >= span().start

  /** What is not kept anywhere else has to stay while it counts. */
  function isFree(account: Account): boolean {
    if (account.reserved > 0 || touched.has(account)) return false
    return !isCurrent(account) || account.sent + account.unsaved === 0
  }

  function makeRoom(): boolean {
    if (byKey.size < MAX_KEYS) return true
    if (vain > 0) {
      vain -= 1
      return false
    }
    let freed = 0
    for (const [key, account] of byKey) {
      if (freed === FREED_AT_ONCE) break
      if (!isFree(account)) continue
      byKey.delete(key)
      freed += 1
    }
    if (freed === 0) vain = NOT_LOOKED
    return freed > 0
  }

  function renewed(account: Account): Account {
    if (isCurrent(account)) {
      // One that was begun before the clock went back is the same when it comes again.
      if (account.span.start !== span().end) account.span = span()
      return account
    }
    // While what is kept cannot be written, windows that are over are not to pile up.
    if (touched.size > 2 * MAX_KEYS) touched.delete(account)
    const next = opened(account.key, account.reserved)
    touched.add(next)
    return next
  }

  function of(key: string): Account {
    const name = nameOf(key)
    const known = byKey.get(name)
    if (known === undefined && name !== REST && !makeRoom()) return of(REST)
    const account = known === undefined ? opened(name, 0) : renewed(known)
    byKey.delete(name)
    byKey.set(name, account)
    return account
  }

  return {
    span,
    use(next) {
      if (next === window) return
      window = next
      current = { start: 0, end: 0 }
      for (const key of [...byKey.keys()]) touched.add(of(key))
    },
    of,
    touch(account) {
      touched.add(account)
    },
    takeTouched() {
      const taken = [...touched]
      touched = new Set()
      vain = 0
      return taken
    },
    isCurrent,
    largest() {
      let most = 0
      for (const account of byKey.values()) if (isCurrent(account)) most = Math.max(most, spentBy(account))
      return most
    },
  }
}
