import { describe, expect, test } from 'vitest'
import { limitQuestions, StoreBusyError } from './questions.ts'

function asked() {
  const given: PromiseWithResolvers<number>[] = []
  return {
    given,
    question() {
      const one = Promise.withResolvers<number>()
      given.push(one)
      return one.promise
    },
  }
}

describe('questions', () => {
  test('are asked a few at a time, in their order', async () => {
    const { given, question } = asked()
    const ask = limitQuestions(2)
    const answers = [1, 2, 3].map(() => ask(question))
    await Promise.resolve()
    expect(given).toHaveLength(2)
    given[0]?.resolve(1)
    expect(await answers[0]).toBe(1)
    expect(given).toHaveLength(3)
    given[1]?.reject(new Error('no'))
    await expect(answers[1]).rejects.toThrow('no')
    given[2]?.resolve(3)
    expect(await answers[2]).toBe(3)
  })

  test('are refused when too many wait, or one waits too long', async () => {
    const { given, question } = asked()
    const ask = limitQuestions(1, 20)
    const first = ask(question)
    const waiting = Array.from({ length: 32 }, () => ask(question).catch((error: unknown) => error))
    await expect(ask(question)).rejects.toMatchObject({ code: 'store_busy' })
    for (const error of await Promise.all(waiting)) expect(error).toBeInstanceOf(StoreBusyError)
    given[0]?.resolve(1)
    expect(await first).toBe(1)
    expect(given).toHaveLength(1)
    const next = ask(question)
    await Promise.resolve()
    given[1]?.resolve(2)
    expect(await next).toBe(2)
  })

  test('are not computed for who has left', async () => {
    const { given, question } = asked()
    const ask = limitQuestions(1)
    const leaving = new AbortController()
    const first = ask(question, leaving.signal)
    const second = ask(question, leaving.signal)
    const third = ask(question)
    await Promise.resolve()
    leaving.abort(new Error('left'))
    await expect(first).rejects.toThrow('left')
    await expect(second).rejects.toThrow('left')
    await expect(ask(question, leaving.signal)).rejects.toThrow('left')
    given[0]?.resolve(1)
    await expect.poll(() => given.length).toBe(2)
    given[1]?.resolve(3)
    expect(await third).toBe(3)
  })
})
