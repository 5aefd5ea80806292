import { expect, test } from 'vitest'
import { Gate } from './gate.ts'

function crowd(gate: Gate) {
  const started: string[] = []
  const starts = new Map<string, () => void>()
  return {
    started,
    enter(name: string): boolean {
      const start = () => void started.push(name)
      starts.set(name, start)
      return gate.enter(start)
    },
    leave: (name: string) => gate.leave(starts.get(name) ?? (() => {})),
  }
}

test('so many at a time, so many wait, and the others are refused', () => {
  const { started, enter, leave } = crowd(new Gate(2, 2))
  expect(['a', 'b', 'c', 'd', 'e'].map(enter)).toEqual([true, true, true, true, false])
  expect(started).toEqual(['a', 'b'])
  leave('b')
  expect(started).toEqual(['a', 'b', 'c'])
  expect([enter('f'), enter('g')]).toEqual([true, false])
  for (const name of ['a', 'c', 'd', 'f']) leave(name)
  expect(started).toEqual(['a', 'b', 'c', 'd', 'f'])
  expect([enter('h'), enter('i')]).toEqual([true, true])
  expect(started.slice(-2)).toEqual(['h', 'i'])
})

test('whoever gives up waiting has no turn', () => {
  const { started, enter, leave } = crowd(new Gate(1, 2))
  for (const name of ['a', 'b', 'c']) enter(name)
  leave('b')
  leave('a')
  expect(started).toEqual(['a', 'c'])
})

test('without a queue nobody waits', () => {
  const { enter, leave } = crowd(new Gate(1, 0))
  expect([enter('a'), enter('b')]).toEqual([true, false])
  leave('a')
  expect(enter('c')).toBe(true)
})
