import { describe, expect, test } from 'vitest'
import { type QueueOptions, type Send, SendQueue, Unavailable } from './otlp-queue.ts'

/** A collector whose answers the test gives. */
function queue(options: Partial<QueueOptions<number>> = {}) {
  const sent: number[][] = []
  const answers: ((error?: Error) => void)[] = []
  const dropped: number[] = []
  const health: (string | undefined)[] = []
  const send: Send<number> = (batch, done) => {
    sent.push(batch)
    answers.push(done)
  }
  const queue = new SendQueue<number>({
    send,
    onDropped: (items) => dropped.push(items),
    onHealth: (error) => health.push(error?.message),
    batchSize: 3,
    maxQueued: 6,
    maxConcurrentSends: 2,
    flushIntervalMs: 1e9,
    ...options,
  })
  return { queue, sent, answers, dropped, health }
}

describe('SendQueue', () => {
  test('sends a batch as soon as it is full', () => {
    const { queue: q, sent } = queue()
    q.add([1, 2])
    expect(sent).toEqual([])
    q.add([3, 4])
    expect(sent).toEqual([[1, 2, 3]])
  })

  test('sends what there is when the interval is over', async () => {
    const arrived = Promise.withResolvers<number[]>()
    const { queue: q } = queue({ flushIntervalMs: 1, send: arrived.resolve })
    q.add([1])
    expect(await arrived.promise).toEqual([1])
  })

  test('keeps to its bounds: sends on their way, items that wait', () => {
    const { queue: q, sent, dropped, answers } = queue()
    for (let item = 0; item < 20; item++) q.add([item])
    expect(sent).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ])
    expect(dropped).toEqual(new Array(8).fill(1))
    expect(q.hasRoomFor(1)).toBe(false)
    answers[0]?.()
    expect(sent[2]).toEqual([6, 7, 8])
    expect(q.hasRoomFor(3)).toBe(true)
    expect(q.hasRoomFor(4)).toBe(false)
  })

  test('drops the spans of one exchange together', () => {
    const { queue: q, dropped } = queue({ maxConcurrentSends: 0 })
    q.add([1, 2, 3, 4, 5])
    q.add([6, 7])
    expect(dropped).toEqual([2])
  })

  test('counts what a failed send lost, and tells of the change only', () => {
    const { queue: q, answers, dropped, health } = queue()
    for (let round = 0; round < 4; round++) {
      q.add([1, 2, 3])
      answers[round]?.(round < 2 ? new Error('down') : undefined)
    }
    expect(dropped).toEqual([3, 3])
    expect(health).toEqual(['down', undefined])
  })

  test('survives a send that throws, and an answer that comes twice', () => {
    const { queue: q, dropped } = queue({
      send: () => {
        throw new Error('thrown')
      },
    })
    q.add([1, 2, 3])
    expect(dropped).toEqual([3])

    const twice = queue()
    twice.queue.add([1, 2, 3])
    twice.answers[0]?.(new Error('once'))
    twice.answers[0]?.(new Error('twice'))
    expect(twice.dropped).toEqual([3])
  })

  /** Answers as soon as something is sent. */
  function answering(answers: readonly (Error | undefined)[], retryDelaysMs: readonly number[]) {
    const left = [...answers]
    const ended = Promise.withResolvers<void>()
    const sent: number[][] = []
    const made = queue({
      retryDelaysMs,
      send(batch, done) {
        sent.push(batch)
        done(left.shift())
        if (left.length === 0) ended.resolve()
      },
    })
    return { ...made, sent, ended: ended.promise }
  }
  const down = new Unavailable('down')

  test('sends again what nobody took, and loses nothing', async () => {
    const { queue: q, sent, dropped, health, ended } = answering([down, down, undefined], [1, 1, 1])
    q.add([1, 2, 3])
    await ended
    expect(sent).toEqual(Array(3).fill([1, 2, 3]))
    expect(dropped).toEqual([])
    expect(health).toEqual(['down', undefined])
    expect(await q.flush(0)).toBe(true)
  })

  test('gives it up after the last try', async () => {
    const { queue: q, sent, dropped, ended } = answering([down, down, down], [1, 1])
    q.add([1, 2, 3])
    await ended
    expect(sent.length).toBe(3)
    expect(dropped).toEqual([3])
  })

  test('does not send again what was refused', () => {
    const { queue: q, sent, dropped } = answering([new Error('refused')], [1])
    q.add([1, 2, 3])
    expect([sent.length, dropped]).toEqual([1, [3]])
  })

  test('keeps to its bounds while batches wait for their next try', () => {
    const { queue: q, answers, sent, dropped } = queue({ retryDelaysMs: [1e9] })
    for (let item = 0; item < 20; item++) q.add([item])
    for (const answer of answers) answer(down)
    q.add([20])
    expect(sent.length).toBe(2)
    expect(dropped).toEqual(new Array(9).fill(1))
  })

  test('gives what waits one last try when it has to end', async () => {
    const { queue: q, sent, dropped, ended } = answering([down, down], [1e9])
    q.add([1, 2, 3])
    await q.close(60_000)
    await ended
    expect(sent.length).toBe(2)
    expect(dropped).toEqual([3])
  })

  test('flushes smaller batches too, and those that come meanwhile', async () => {
    const { queue: q, sent, answers } = queue()
    q.add([1])
    const flushed = q.flush(60_000)
    q.add([2])
    expect(sent).toEqual([[1]])
    answers[0]?.()
    expect(sent).toEqual([[1], [2]])
    answers[1]?.()
    expect(await flushed).toBe(true)
    expect(await q.flush(0)).toBe(true)
  })

  test('gives a flush up at its deadline', async () => {
    const { queue: q, answers } = queue()
    q.add([1])
    expect(await q.flush(1)).toBe(false)
    answers[0]?.()
    expect(await q.flush(0)).toBe(true)
  })

  test('counts what is left when it closes, and takes nothing after', async () => {
    const { queue: q, dropped, answers, sent } = queue({ maxConcurrentSends: 1 })
    q.add([1, 2, 3])
    q.add([4, 5])
    await q.close(1)
    expect(dropped).toEqual([2])
    q.add([6])
    expect(dropped).toEqual([2, 1])
    answers[0]?.(new Error('too late'))
    expect(dropped).toEqual([2, 1, 3])
    expect(sent.length).toBe(1)
  })
})
