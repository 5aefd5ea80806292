import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { batchOf } from './batch.fixture.ts'
import { finished, httpExchange } from './exchanges.fixture.ts'
import type { Prepared } from './prepared.ts'
import { createWriter, type Outcome } from './writer.ts'

const record = (path: string) => finished(httpExchange({ completedAt: 1e12, path }))
const paths = ({ records }: Prepared) => records.map(({ exchange }) => exchange.path)

function writer(outcomeOf: (prepared: Prepared) => Outcome, rest?: (mayRest: boolean) => void) {
  const kept: string[] = []
  const done: (readonly [batches: number, lost: number])[] = []
  const made = createWriter({
    async write(prepared) {
      const outcome = outcomeOf(prepared)
      if (outcome === 'kept') kept.push(...paths(prepared))
      return outcome
    },
    onDone: (...told) => done.push(told),
    ...(rest !== undefined && { rest }),
  })
  return { made, kept, done }
}

describe('a writer', () => {
  test('loses of what is refused only what is to blame', async () => {
    const { made, kept, done } = writer((prepared) =>
      paths(prepared).some((path) => path === '/7' || path === '/70') ? 'refused' : 'kept',
    )
    const all = Array.from({ length: 100 }, (_, index) => `/${index}`)
    made.add(batchOf({ records: all.map(record) }))
    await made.tried()
    expect(kept).toEqual(all.filter((path) => path !== '/7' && path !== '/70'))
    expect(done).toEqual([[1, 2]])
  })

  test('does not try for ever where all is refused', async () => {
    let tries = 0
    const { made, done } = writer(() => {
      tries += 1
      return 'refused'
    })
    made.add(batchOf({ records: Array.from({ length: 2000 }, (_, index) => record(`/${index}`)) }))
    await made.tried()
    expect(done).toEqual([[1, 2000]])
    expect(tries).toBeLessThan(100)
  })

  test('tries again what may succeed later, by itself, in order and with the same ids', async () => {
    let works = false
    const ids: string[] = []
    const { made, kept, done } = writer((prepared) => {
      ids.push(...prepared.ids)
      return works ? 'kept' : 'later'
    })
    made.add(batchOf({ records: [record('/1')] }))
    await made.tried()
    made.add(batchOf({ records: [record('/2')] }))
    expect([kept, done]).toEqual([[], []])
    works = true
    await expect.poll(() => kept).toEqual(['/1', '/2'])
    expect(new Set(ids).size).toBe(2)
    expect(done.reduce((sum, [batches]) => sum + batches, 0)).toBe(2)
    await made.close()
  })

  describe('asks whether it is to rest', () => {
    const many = batchOf({ records: Array(1500).fill(record('/')) })

    test('before it writes much that nobody waits for, and reads what has come meanwhile', async () => {
      const rested: number[] = []
      const { made, kept } = writer(
        () => 'kept',
        (mayRest) => {
          if (!mayRest) return
          rested.push(kept.length)
          if (rested.length === 1) made.add(many)
        },
      )
      made.add(many)
      made.add(many)
      await expect.poll(() => kept.length).toBe(4500)
      // The last of them are few.
      expect(rested).toEqual([0, 1500])
      await made.close()
    })

    test('but not before it writes what somebody waits for', async () => {
      let rested = 0
      const { made, kept } = writer(
        () => 'kept',
        (mayRest) => {
          if (mayRest) rested += 1
        },
      )
      for (let time = 0; time < 3; time += 1) made.add(many)
      await made.tried()
      expect(kept).toHaveLength(4500)
      for (let time = 0; time < 3; time += 1) made.add(many)
      await made.close()
      expect(kept).toHaveLength(9000)
      expect(rested).toBe(0)
    })
  })

  test('has tried what was there before somebody asked, although there is always more', async () => {
    let isMore = true
    const { made, kept } = writer(() => {
      if (isMore) made.add(batchOf({ records: [record('/more')] }))
      return 'kept'
    })
    made.add(batchOf({ records: [record('/asked')] }))
    await made.tried()
    expect(kept[0]).toBe('/asked')
    isMore = false
    await made.close()
    expect(kept.length).toBeGreaterThan(1)
  })

  test('tries again for somebody who came while it tried in vain', async () => {
    let tries = 0
    const { made, kept } = writer(() => {
      tries += 1
      if (tries === 1) second = made.tried()
      return tries === 1 ? 'later' : 'kept'
    })
    let second: Promise<void> | undefined
    made.add(batchOf({ records: [record('/1')] }))
    await made.tried()
    await second
    expect(kept).toEqual(['/1'])
    await made.close()
  })

  test('writes at its end what comes while it does, and nothing after it', async () => {
    const { made, kept, done } = writer(() => {
      if (kept.length === 0) made.add(batchOf({ records: [record('/2')] }))
      return 'kept'
    })
    made.add(batchOf({ records: [record('/1')] }))
    await made.close()
    expect(kept).toEqual(['/1', '/2'])
    made.add(batchOf({ records: [record('/3')] }))
    await setImmediate()
    await setImmediate()
    expect(kept).toEqual(['/1', '/2'])
    expect(done.reduce((sum, [batches]) => sum + batches, 0)).toBe(2)
  })

  test('writes what comes at whatever moment', async () => {
    const { made, kept } = writer(
      () => 'kept',
      () => {
        if (kept.length < 3) queueMicrotask(() => made.add(batchOf({ records: [record(`/${kept.length}`)] })))
      },
    )
    made.add(batchOf({ records: [record('/first')] }))
    await expect.poll(() => kept.length).toBeGreaterThanOrEqual(3)
    await made.close()
  })

  test('tries once for all who wait', async () => {
    let tries = 0
    const { made } = writer(() => {
      tries += 1
      return 'later'
    })
    made.add(batchOf({ records: [record('/1')] }))
    await Promise.all(Array.from({ length: 20 }, () => made.tried()))
    expect(tries).toBeLessThanOrEqual(3)
    await made.close()
  })
})
