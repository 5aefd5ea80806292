import { expect, test } from 'vitest'
import { excess, judge, judgeTails, over, paired, playRounds, type Round, ratio } from './rounds.ts'

const round = (gateway: number, nginx?: number): Round<number> =>
  new Map([['gateway', gateway], ...(nginx === undefined ? [] : [['nginx', nginx] as const])])
const itself = (value: number) => value

test('every round has each candidate once', async () => {
  const said: string[] = []
  const candidates = ['a', 'b', 'c'].map((name) => ({ name }))
  const settings = { rounds: 2, quick: false, progress: (message: string) => void said.push(message) }
  const rounds = await playRounds(
    settings,
    candidates,
    async ({ name }) => ({
      found: name.toUpperCase(),
      words: 'measured',
    }),
    () => [],
  )
  expect(rounds.map((one) => Object.fromEntries(one))).toEqual(
    Array.from({ length: 2 }, () => ({ a: 'A', b: 'B', c: 'C' })),
  )
  expect(said.toSorted()[0]).toBe('round 1/2: a: measured')
})

test('candidates are compared within a round, not across', () => {
  const rounds = [round(10, 20), round(30, 30), round(9, 10)]
  expect(paired(rounds, ['gateway', 'nginx'], itself, ratio)).toEqual({ median: 0.9, min: 0.5, max: 1 })
  expect(paired(rounds, ['gateway', 'nginx'], itself, excess)).toEqual({ median: -1, min: -10, max: 0 })
  expect(over(rounds, 'gateway', itself)).toEqual({ median: 10, min: 9, max: 30 })
})

test('without the other there is nothing to compare', () => {
  expect(paired([round(1)], ['gateway', 'nginx'], itself, ratio)).toBeUndefined()
})

test.each([
  { name: 'is played again', values: [1, 11, 2, 3], played: [1, 11, 2, 3] },
  { name: 'is played again, and again', values: [11, 11, 1, 11, 2, 3], played: [11, 11, 1, 11, 2, 3] },
  { name: 'is not played for ever', values: Array(9).fill(11), played: Array(6).fill(11) },
])('a round that does not count $name', async ({ values, played }) => {
  const settings = { rounds: 3, quick: false, progress: () => undefined }
  const measure = async () => ({ found: values.shift() ?? 0, words: '' })
  const rounds = await playRounds(settings, [{ name: 'gateway' }], measure, slow)
  expect(rounds.map((one) => one.get('gateway'))).toEqual(played)
})

test('where it is to be quick no round is played again', async () => {
  const settings = { rounds: 1, quick: true, progress: () => undefined }
  const measure = async () => ({ found: 11, words: '' })
  expect(await playRounds(settings, [{ name: 'gateway' }], measure, slow)).toHaveLength(1)
})

test('of six rounds two that count are enough for three, and one is not', () => {
  expect(
    judge(
      [11, 1, 11, 11, 2, 11].map((value) => round(value)),
      slow,
      3,
    ).invalid,
  ).toEqual([])
  expect(
    judge(
      [11, 1, 11, 11, 11, 11].map((value) => round(value)),
      slow,
      3,
    ).invalid,
  ).toHaveLength(5)
})

const slow = (one: Round<number>) =>
  (one.get('gateway') ?? 0) > 10 ? ['gateway: the generator was late'] : []

test('a round that tells of the generator is left out', () => {
  const rounds = [round(1), round(11), round(2)]
  expect(judge(rounds, slow, rounds.length)).toEqual({
    kept: [rounds[0], rounds[2]],
    dropped: ['round 2: gateway: the generator was late'],
    invalid: [],
  })
})

test.each([
  { name: 'one of two', values: [1, 11] },
  { name: 'two of three', values: [11, 12, 1] },
  { name: 'the only one', values: [11] },
])('when $name does, nothing counts', ({ values }) => {
  const rounds = values.map((value) => round(value))
  const { kept, dropped, invalid } = judge(rounds, slow, rounds.length)
  expect(kept).toEqual(rounds)
  expect(dropped).toEqual([])
  expect(invalid).toHaveLength(values.filter((value) => value > 10).length)
})

test('an aim of the last percent is measured where enough rounds count', () => {
  const value = { median: 1, min: 1, max: 1 }
  expect(judgeTails([round(1), round(2)], slow, 2).aim(value)).toEqual({ value })
  expect(judgeTails([round(1), round(11)], slow, 2).aim(value)).toEqual({
    value: undefined,
    note: 'round 2: gateway: the generator was late',
  })
})
