import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Queue } from './queue.ts'

test('it gives what a list would give', () => {
  const step = fc.oneof(fc.constant('add'), fc.constant('take'), fc.nat(20))
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const queue = new Queue<{ n: number }>()
      let list: { n: number }[] = []
      for (const [n, made] of steps.entries()) {
        if (made === 'add') {
          queue.add({ n })
          list.push({ n })
        } else if (made === 'take') expect(queue.take()).toEqual(list.shift())
        else {
          const item = queue.find((each) => each.n === made)
          expect(item).toEqual(list.find((each) => each.n === made))
          if (item !== undefined) {
            expect(queue.remove(item)).toBe(true)
            expect(queue.remove(item)).toBe(false)
          }
          list = list.filter((each) => each.n !== made)
        }
        expect(queue.size).toBe(list.length)
      }
    }),
  )
})

test('it stays in order however many go through it', () => {
  const queue = new Queue<{ n: number }>()
  let taken = 0
  for (let n = 0; n < 10_000; n++) {
    queue.add({ n })
    if (n % 3 > 0) expect(queue.take()?.n).toBe(taken++)
  }
  while (queue.size > 0) expect(queue.take()?.n).toBe(taken++)
  expect(taken).toBe(10_000)
  expect(queue.take()).toBeUndefined()
})
