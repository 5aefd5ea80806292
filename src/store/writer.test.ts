import { describe, expect, test } from 'vitest'
import { batchOf } from './batch.fixture.ts'
import { finished, httpExchange } from './exchanges.fixture.ts'
import type { Prepared } from './prepared.ts'
import { createWriter, type Outcome } from './writer.ts'

const record = (path: string) => finished(httpExchange({ completedAt: 1e12, path }))
const paths = ({ records }: Prepared) => records.map(({ exchange }) => exchange.path)

function writer(outcomeOf: (prepared: Prepared) => Outcome, isStarved?: () => boolean) {
  const kept: string[] = []
  const done: (readonly [batches: number, lost: number])[] = []
  const made = createWriter({
    async write(prepared) {
      const outcome = outcomeOf(prepared)
      if (outcome === 'kept') kept.push(...paths(prepared))
      return outcome
    },
    onDone: (...told) => done.push(told),
    ...(isStarved !== undefined && { isStarved }),
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

  describe('where requests leave no processor time', () => {
    const many = (taken: number) => batchOf({ records: Array(1500).fill(record('/')), taken })

    test('lets what is there wait until there is some', async () => {
      let asked = 0
      let isStarved = true
      const { made, kept, done } = writer(
        () => 'kept',
        () => {
          asked += 1
          return isStarved
        },
      )
      made.add(many(0.1))
      made.add(many(0.2))
      await expect.poll(() => asked, { timeout: 5000 }).toBeGreaterThan(2)
      expect(kept).toEqual([])
      isStarved = false
      await expect.poll(() => kept.length, { timeout: 5000 }).toBe(3000)
      expect(done.reduce((sum, [batches]) => sum + batches, 0)).toBe(2)
      await made.close()
    })

    test('but not what somebody waits for', async () => {
      const { made, kept } = writer(
        () => 'kept',
        () => true,
      )
      made.add(many(0.1))
      made.add(many(0.2))
      await made.tried()
      expect(kept).toHaveLength(3000)
      made.add(many(0.1))
      made.add(many(0.2))
      await made.close()
      expect(kept).toHaveLength(6000)
    })

    test.each([
      { what: 'little', batches: [many(0.01)] },
      { what: 'what leaves little room', batches: [many(0.1), many(0.8)] },
    ])('nor $what', async ({ batches }) => {
      const { made, kept } = writer(
        () => 'kept',
        () => true,
      )
      for (const batch of batches) made.add(batch)
      await expect.poll(() => kept.length, { timeout: 5000 }).toBe(batches.length * 1500)
      await made.close()
    })
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
