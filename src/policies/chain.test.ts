import { describe, expect, test } from 'vitest'
import { onModelRequest, onRequest } from './chain.ts'
import type { DirectReply, Policy } from './policy.ts'
import { requestHead } from './request-head.fixture.ts'

const REPLY: DirectReply = { status: 418, headers: {}, body: '' }

function policies(...replies: readonly ReturnType<NonNullable<Policy['onRequest']>>[]) {
  const asked: number[] = []
  const chain: Policy[] = replies.map((reply, index) => ({
    onRequest() {
      asked.push(index)
      return reply
    },
  }))
  return { asked, chain }
}

describe('a chain of policies', () => {
  test('ends with the first reply', () => {
    const { asked, chain } = policies(undefined, REPLY, undefined)
    expect(onRequest([{}, ...chain], requestHead())).toBe(REPLY)
    expect(asked).toEqual([0, 1])
  })

  test('does not wait where nobody has to', () => {
    const { asked, chain } = policies(undefined, undefined)
    expect(onRequest(chain, requestHead())).toBeUndefined()
    expect(asked).toEqual([0, 1])
  })

  test('goes on in its order after one that waits', async () => {
    const { asked, chain } = policies(undefined, Promise.resolve(undefined), undefined, REPLY, undefined)
    await expect(onRequest(chain, requestHead())).resolves.toBe(REPLY)
    expect(asked).toEqual([0, 1, 2, 3])
  })

  test('ends with the reply that had to be waited for', async () => {
    const { asked, chain } = policies(Promise.resolve(REPLY), undefined)
    await expect(onRequest(chain, requestHead())).resolves.toBe(REPLY)
    expect(asked).toEqual([0])
  })

  test('ends with what one of them throws, at once or later', async () => {
    const { asked, chain } = policies(Promise.reject(new Error('no')), undefined)
    await expect(onRequest(chain, requestHead())).rejects.toThrow('no')
    expect(asked).toEqual([0])
  })
})

describe('what a model is asked', () => {
  const REQUEST = { model: 'm', tokens: 1, usd: () => 0 }

  function listeners(...answers: readonly (undefined | Promise<undefined>)[]) {
    const told: number[] = []
    const chain: Policy[] = answers.map((answer, index) => ({
      onModelRequest(_, request) {
        expect(request).toBe(REQUEST)
        told.push(index)
        return answer
      },
    }))
    return { told, chain: [{}, ...chain] }
  }

  test('is told to all, and nobody waits where nobody has to', () => {
    const { told, chain } = listeners(undefined, undefined)
    expect(onModelRequest(chain, requestHead(), REQUEST)).toBeUndefined()
    expect(told).toEqual([0, 1])
  })

  test('is told in their order, after one that waits', async () => {
    const gate = Promise.withResolvers<undefined>()
    const { told, chain } = listeners(undefined, gate.promise, undefined)
    const done = onModelRequest(chain, requestHead(), REQUEST)
    expect(told).toEqual([0, 1])
    gate.resolve(undefined)
    await done
    expect(told).toEqual([0, 1, 2])
  })

  test('is told to nobody behind one that refuses', async () => {
    const { told, chain } = listeners(Promise.reject(new Error('no')), undefined)
    await expect(onModelRequest(chain, requestHead(), REQUEST)).rejects.toThrow('no')
    expect(told).toEqual([0])
  })
})
