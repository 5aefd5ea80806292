import { describe, expect, test } from 'vitest'
import { onRequest } from './chain.ts'
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
