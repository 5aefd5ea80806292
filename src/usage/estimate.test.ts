import { afterEach, describe, expect, test } from 'vitest'
import { createEstimator, type Estimator } from './estimate.ts'

const opened: Estimator[] = []
function estimator(): Estimator {
  const made = createEstimator()
  opened.push(made)
  return made
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
})

describe('count', () => {
  test('it counts the tokens of each text, with the o200k tokenizer', async () => {
    const counts = await estimator().count([
      'Hello world',
      '',
      'Hello, world!',
      'antidisestablishmentarianism',
    ])
    expect(counts).toEqual([2, 0, 4, 6])
  })

  test('it counts nothing of nothing', async () => {
    expect(await estimator().count([])).toEqual([])
  })

  test('it gives each of many askers the answer to its own question', async () => {
    const { count } = estimator()
    const texts = Array.from({ length: 50 }, (_, index) => 'word '.repeat(index + 1).trim())
    const counts = await Promise.all(texts.map((text) => count([text])))
    expect(counts).toEqual(texts.map((_, index) => [index + 1]))
  })
})

describe('without a tokenizer', () => {
  test('it falls back to four characters a token once it is closed', async () => {
    const { count, close } = estimator()
    await close()
    expect(await count(['12345678', '123456789', ''])).toEqual([2, 3, 0])
  })

  test('it leaves nobody waiting when it is closed', async () => {
    const { count, close } = estimator()
    const waiting = count(['x'.repeat(400)])
    await close()
    const [tokens = 0] = await waiting
    expect(tokens).toBeGreaterThan(0)
  })

  test('it counts roughly what comes beyond a thousand questions under way', async () => {
    const { count } = estimator()
    const text = 'word '.repeat(100)
    const counts = await Promise.all(Array.from({ length: 1001 }, () => count([text])))
    expect(counts.at(-1)).toEqual([125])
    expect(new Set(counts.slice(0, 1000).map(([tokens]) => tokens)).size).toBe(1)
    expect(counts[0]).not.toEqual([125])
  })

  test('it can be closed twice, and unused', async () => {
    const unused = createEstimator()
    await unused.close()
    await unused.close()
  })
})
