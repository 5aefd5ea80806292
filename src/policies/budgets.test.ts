import { describe, expect, test } from 'vitest'
import { createAccounts } from './budget-accounts.ts'
import { type BudgetInput, budgetLab, memoryBook, type Used } from './budgets.fixture.ts'
import { budgetsSchema } from './budgets.ts'

const TOKENS: BudgetInput = { name: 'team', limit: { tokens: 100 }, window: 'day' }
const USD: BudgetInput = { name: 'team', limit: { usd: '12.50' }, window: 'month' }
const KEYED: BudgetInput = { ...TOKENS, key: 'apiKey.user' }

const RENEWED = 'is spent: it is renewed at 2026-11-27T00:00:00Z'

describe('a budget', () => {
  test('lets requests pass until it is spent, and says when it is renewed', () => {
    const lab = budgetLab(TOKENS)
    lab.spend({ tokens: 99 })
    expect(lab.remaining()).toBe('1')
    lab.spend({ tokens: 51 })
    expect(lab.refusal()).toEqual({
      code: 'budget_exceeded',
      message: `budget team (100 tokens per day) ${RENEWED}`,
      retryAfter: String(14 * 3600),
    })
    lab.setClock('2026-11-26T23:59:59.999Z')
    expect(lab.refusal()?.retryAfter).toBe('1')
    lab.setClock('2026-11-27T00:00:00Z')
    expect(lab.remaining()).toBe('100')
  })

  test('of money is told in dollars', () => {
    const lab = budgetLab(USD)
    lab.spend({ usd: 0.1 })
    expect(lab.remaining()).toBe('12.400000')
    lab.spend({ usd: 12.4 })
    expect(lab.refusal()?.message).toBe(
      'budget team (12.5 USD per month) is spent: it is renewed at 2026-12-01T00:00:00Z',
    )
  })

  test('holds back what requests under way may cost', () => {
    const lab = budgetLab(TOKENS)
    const first = lab.begin(undefined, { tokens: 60 })
    const second = lab.begin(undefined, { tokens: 60 })
    expect(lab.refusal()).toMatchObject({ message: expect.stringContaining('under way'), retryAfter: '1' })
    lab.finish(first, { tokens: 10 })
    expect(lab.refusal()).toBeUndefined()
    lab.finish(second)
    expect(lab.remaining()).toBe('90')
  })

  test('is each key’s own, and of all who have none', () => {
    const lab = budgetLab(KEYED)
    lab.spend({ tokens: 100 }, 'ann')
    expect(lab.refusal('ann')).toBeDefined()
    expect(lab.remaining('bob')).toBe('100')
    lab.spend({ tokens: 100 })
    expect(lab.refusal()).toBeDefined()
  })

  test.each(['sk-abcdefghijklmnop', 'x'.repeat(300), 'a\0b', 'ann\ud800', '*', '🙂'.repeat(150)])(
    'is spent by a key such as %j, whatever it is kept as',
    async (user) => {
      const book = memoryBook()
      const lab = budgetLab(KEYED)
      await lab.budgets.keepIn(book)
      lab.spend({ tokens: 60 }, user)
      expect(lab.remaining(user)).toBe('40')
      await lab.budgets.keep()
      lab.spend({ tokens: 40 }, user)
      expect(lab.refusal(user)).toBeDefined()
      await lab.budgets.close()
      const after = budgetLab(KEYED)
      await after.budgets.keepIn(book)
      expect(after.refusal(user)).toBeDefined()
      expect(after.refusal('bob')).toBeUndefined()
      await after.budgets.close()
    },
  )

  test('that only warns lets all pass, and says so once in a window', () => {
    const told: unknown[] = []
    const watch = () => ({
      limited() {},
      spent() {},
      used() {},
      gone() {},
      exceeded: (...args: unknown[]) => told.push(args),
    })
    const lab = budgetLab({ ...KEYED, action: 'warn' }, { watch })
    lab.spend({ tokens: 150 }, 'ann')
    expect(lab.refusal('ann')).toBeUndefined()
    expect(lab.refusal('ann')).toBeUndefined()
    lab.setClock('2026-11-27T00:00:00Z')
    lab.spend({ tokens: 150 }, 'ann')
    expect(lab.remaining('ann')).toBe('0')
    expect(told).toEqual([
      ['warn', '=ann', true],
      ['warn', '=ann', false],
      ['warn', '=ann', true],
    ])
  })

  test('gives no window anew when the clock goes back', () => {
    const lab = budgetLab(TOKENS)
    lab.setClock('2026-11-27T00:00:01Z')
    lab.spend({ tokens: 100 })
    lab.setClock('2026-11-26T23:59:58Z')
    expect(lab.refusal()).toMatchObject({ retryAfter: String(24 * 3600 + 2) })
    lab.setClock('2026-11-27T00:00:00Z')
    expect(lab.refusal()).toBeDefined()
    lab.setClock('2026-11-28T00:00:00Z')
    expect(lab.refusal()).toBeUndefined()
  })

  test('is renewed although the clock was far ahead for a while', () => {
    const lab = budgetLab(TOKENS)
    lab.setClock('2030-01-01T12:00:00Z')
    lab.spend({ tokens: 100 })
    lab.setClock('2026-11-26T10:00:00Z')
    expect(lab.refusal()).toBeDefined()
    lab.setClock('2026-11-27T00:00:00Z')
    expect(lab.refusal()).toBeUndefined()
  })

  test('counts a request in the window in which it ends', () => {
    const lab = budgetLab(TOKENS)
    const head = lab.begin(undefined, { tokens: 100 })
    lab.setClock('2026-11-27T00:00:00Z')
    expect(lab.refusal()?.message).toContain('under way')
    lab.finish(head, { tokens: 30 })
    expect(lab.remaining()).toBe('70')
  })

  test('tells what is used, of several keys the most', async () => {
    let used = 0
    const watch = () => ({
      limited() {},
      spent() {},
      gone() {},
      exceeded() {},
      used(amount: number) {
        used = amount
      },
    })
    const lab = budgetLab(KEYED, { watch })
    lab.spend({ tokens: 20 }, 'ann')
    lab.spend({ tokens: 50 }, 'bob')
    await lab.budgets.keep()
    expect(used).toBe(50)
    lab.setClock('2026-11-27T00:00:00Z')
    await lab.budgets.keep()
    expect(used).toBe(0)
  })

  test.each([
    [{ ...TOKENS, limit: {} }],
    [{ ...TOKENS, limit: { usd: 1, tokens: 1 } }],
    [{ ...TOKENS, limit: { usd: '0.00' } }],
    [{ ...TOKENS, limit: { usd: '1,5' } }],
    [{ ...TOKENS, limit: { tokens: 1.5 } }],
    [{ ...TOKENS, name: 'A team' }],
    [{ ...TOKENS, name: 'a\r\nx: y' }],
    [{ ...TOKENS, action: 'log' }],
  ])('is not %j', (config) => {
    expect(budgetsSchema.safeParse([config]).success).toBe(false)
  })
})

describe('a reload', () => {
  test.each([
    { name: 'a higher limit', next: { ...TOKENS, limit: { tokens: 150 } }, left: '70' },
    { name: 'a lower limit', next: { ...TOKENS, limit: { tokens: 90 } }, left: '10' },
    { name: 'a longer window', next: { ...TOKENS, window: 'month' }, left: '20' },
    { name: 'a shorter window', next: { ...TOKENS, window: '1h' }, left: '100' },
    { name: 'another unit', next: USD, left: '12.500000' },
  ])('with $name', ({ next, left }) => {
    const lab = budgetLab(TOKENS)
    lab.spend({ tokens: 80 })
    lab.reload(next)
    expect(lab.remaining()).toBe(left)
    lab.reload(TOKENS)
  })

  test('finds what was spent in shorter windows of a longer one', async () => {
    const book = memoryBook()
    const lab = budgetLab(TOKENS)
    await lab.budgets.keepIn(book)
    for (const day of ['24', '25', '26']) {
      lab.setClock(`2026-11-${day}T12:00:00Z`)
      lab.spend({ tokens: 10 })
      await lab.budgets.keep()
    }
    expect(lab.remaining()).toBe('90')
    lab.reload({ ...TOKENS, window: 'month' })
    await lab.budgets.keep()
    expect(lab.remaining()).toBe('70')
    lab.reload(TOKENS)
    await lab.budgets.keep()
    expect(lab.remaining()).toBe('90')
    await lab.budgets.close()
  })
})

describe('what is kept', () => {
  test('is there after a restart', async () => {
    const book = memoryBook()
    const before = budgetLab(KEYED)
    await before.budgets.keepIn(book)
    before.spend({ tokens: 30 }, 'ann')
    await before.budgets.close()
    const after = budgetLab(KEYED)
    await after.budgets.keepIn(book)
    expect(after.remaining('ann')).toBe('70')
    await after.budgets.close()
  })

  test('is known once it can be had, where it was away at the start', async () => {
    const book = memoryBook()
    const before = budgetLab(KEYED)
    await before.budgets.keepIn(book)
    before.spend({ tokens: 30 }, 'ann')
    await before.budgets.close()
    const after = budgetLab(KEYED)
    book.fails = 'before'
    await after.budgets.keepIn(book)
    book.fails = undefined
    await after.budgets.keep()
    expect(after.remaining('ann')).toBe('70')
    await after.budgets.close()
  })

  test('adds up over gateways', async () => {
    const book = memoryBook()
    const [one, other] = [budgetLab(TOKENS), budgetLab(TOKENS)]
    for (const { budgets } of [one, other]) await budgets.keepIn(book)
    one.spend({ tokens: 60 })
    other.spend({ tokens: 40 })
    for (const { budgets } of [one, other, one]) {
      expect(one.refusal()).toBeUndefined()
      await budgets.keep()
    }
    expect(one.refusal()).toBeDefined()
    expect(other.refusal()).toBeDefined()
    for (const { budgets } of [one, other]) await budgets.close()
  })

  test.each(['before', 'after'] as const)('is added once when it fails %s it is taken', async (fails) => {
    const problems: unknown[] = []
    const book = memoryBook()
    const lab = budgetLab(TOKENS, { onProblem: (problem) => problems.push(problem) })
    book.fails = fails
    await lab.budgets.keepIn(book)
    for (let index = 0; index < 3; index++) {
      lab.spend({ tokens: 10 })
      await lab.budgets.keep()
    }
    expect(lab.remaining()).toBe('70')
    book.fails = undefined
    await lab.budgets.keep()
    expect(book.total('team')).toBe(30)
    expect(lab.remaining()).toBe('70')
    expect(problems).toEqual(['away', undefined])
    await lab.budgets.close()
  })

  test('bounds what is in memory, and forgets nobody', async () => {
    const book = memoryBook()
    const lab = budgetLab(KEYED)
    await lab.budgets.keepIn(book)
    lab.spend({ tokens: 100 }, 'ann')
    for (let index = 0; index < 11_000; index++) {
      lab.spend({ tokens: 1 }, `user ${index}`)
      if (index % 5000 === 0) await lab.budgets.keep()
    }
    await lab.budgets.keep()
    expect(lab.refusal('ann')).toBeUndefined()
    await lab.budgets.keep()
    expect(lab.refusal('ann')).toBeDefined()
    expect(book.total('team')).toBe(11_100)
    await lab.budgets.close()
  })

  test('of many keys that are too many not each looks for room', () => {
    let asked = 0
    const accounts = createAccounts('day', () => {
      asked += 1
      return 0
    })
    for (let index = 0; index < 10_000; index++) accounts.of(`=user ${index}`).unsaved = 1
    asked = 0
    for (let index = 0; index < 1000; index++) expect(accounts.of(`=other ${index}`).key).toBe('*')
    expect(asked).toBeLessThan(100_000)
  })

  test('does not tell what looks like a secret', async () => {
    const book = memoryBook()
    const lab = budgetLab(KEYED)
    await lab.budgets.keepIn(book)
    const secret = 'sk-abcdefghijklmnop'
    lab.spend({ tokens: 10 }, secret)
    lab.spend({ tokens: 10 }, 'x'.repeat(1000))
    await lab.budgets.close()
    const keys = book.reports.flatMap(({ spendings }) => spendings.map(({ key }) => key))
    expect(keys).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringMatching(/^[0-9a-f]{64}$/)])
  })
})

function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
    return state / 2 ** 32
  }
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])('any order of requests ends exact (%i)', async (seed) => {
  const random = randomFrom(seed)
  const book = memoryBook()
  const units: readonly BudgetInput[] = [
    { name: 'team', limit: { usd: 1e9 }, window: '1h', key: 'apiKey.user' },
    { name: 'team', limit: { tokens: 1e9 }, window: '1h', key: 'apiKey.user' },
  ]
  for (const config of units) {
    const lab = budgetLab(config)
    await lab.budgets.keepIn(book)
    const amount = () => ('tokens' in config.limit ? Math.floor(random() * 5000) : random() / 100)
    const used = (value: number): Used => ({ tokens: value, usd: value })
    const open: ReturnType<typeof lab.begin>[] = []
    const windows = new Map<number, number>()
    let at = Date.parse('2026-11-26T10:00:00Z')
    let sum = 0
    const before = book.total('team')
    for (let step = 0; step < 1000; step++) {
      const dice = random()
      if (dice < 0.45) open.push(lab.begin(`user ${Math.floor(random() * 5)}`, used(amount())))
      else if (dice < 0.9) {
        const [head] = open.splice(Math.floor(random() * open.length), 1)
        if (head === undefined) continue
        const value = dice < 0.6 ? 0 : amount()
        lab.finish(head, dice < 0.6 ? {} : used(value))
        sum += value
        const start = Math.floor(at / 3_600_000) * 3_600_000
        windows.set(start, (windows.get(start) ?? 0) + value)
      } else if (dice < 0.97) {
        book.fails = ([undefined, 'before', 'after'] as const)[Math.floor(random() * 3)]
        await lab.budgets.keep()
      } else {
        at += random() * 1_800_000
        lab.setClock(new Date(at).toISOString())
      }
    }
    book.fails = undefined
    for (const head of open) lab.finish(head)
    await lab.budgets.keep()
    await lab.budgets.close()
    expect(Math.abs(book.total('team') - before - sum)).toBeLessThan(1e-9)
    const kept = new Map<number, number>()
    const unit = 'tokens' in config.limit ? 'tokens' : 'usd'
    for (const one of book.reports.flatMap(({ spendings }) => spendings))
      if (one.unit === unit) kept.set(one.windowStart, (kept.get(one.windowStart) ?? 0) + one.amount)
    for (const [start, value] of windows) expect(Math.abs((kept.get(start) ?? 0) - value)).toBeLessThan(1e-9)
  }
})
