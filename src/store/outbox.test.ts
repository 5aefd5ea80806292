import { describe, expect, test } from 'vitest'
import type { LlmFacts } from '../core/exchange.ts'
import { tapeOf } from './batch.fixture.ts'
import { finished, httpExchange } from './exchanges.fixture.ts'
import type { Batch } from './messages.ts'
import { createOutbox } from './outbox.ts'
import { readRecords } from './record.ts'
import type { MetricSample } from './types.ts'

const small = finished(httpExchange({ completedAt: 1e12 }))

function outbox() {
  const state = { dropped: 0, taking: true, sent: [] as Batch[] }
  const box = createOutbox(
    (batch) => {
      if (state.taking) state.sent.push(batch)
      return state.taking
    },
    (count) => {
      state.dropped += count
    },
  )
  return { box, state }
}

const sample = (at: number, value: number): MetricSample => ({
  at,
  instance: 'one',
  increments: [{ name: 'x_total', labels: '', value }],
  levels: [],
})

describe('an outbox', () => {
  test('sends 512 records at once, and fewer after a while', async () => {
    const { box, state } = outbox()
    for (let index = 0; index < 1100; index += 1) box.addRecord(small)
    expect(state.sent.map(({ count }) => count)).toEqual([512, 512])
    await expect.poll(() => state.sent.length).toBe(3)
    expect(state.sent[2]?.count).toBe(76)
    expect(state.sent.map(({ mayWait }) => mayWait)).toEqual([true, true, false])
  })

  test('sends what is a megabyte at once, however few records it is', () => {
    const { box, state } = outbox()
    const large = { ...small, payload: { request: 'x'.repeat(400_000), response: undefined } }
    for (let index = 0; index < 7; index += 1) box.addRecord(large)
    expect(state.sent.map(({ count }) => count)).toEqual([3, 3])
    expect(state.sent.every(({ mayWait }) => mayWait)).toBe(true)
  })

  test('says that what it sends may wait while there is room, by number and by size', () => {
    const { box, state } = outbox()
    const mayWait = () => state.sent.map((batch) => batch.mayWait)
    for (let index = 0; index < 118 * 512; index += 1) box.addRecord(small)
    // 117 batches are not yet three quarters of 80,000.
    expect(mayWait().indexOf(false)).toBe(117)
    box.acknowledge(118, 0)
    const large = { ...small, payload: { request: 'x'.repeat(49 * 1024 * 1024), response: undefined } }
    box.addRecord(large)
    expect(mayWait().at(-1)).toBe(false)
    box.acknowledge(1, 0)
    for (let index = 0; index < 512; index += 1) box.addRecord(small)
    expect(mayWait().at(-1)).toBe(true)
  })

  test('says that what it sent may not wait any longer when nothing has followed it for a while', async () => {
    const { box, state } = outbox()
    for (let index = 0; index < 512; index += 1) box.addRecord(small)
    expect(state.sent.map(({ mayWait }) => mayWait)).toEqual([true])
    await expect.poll(() => state.sent.length).toBe(2)
    expect(state.sent[1]).toEqual({ count: 0, tapes: [], samples: [], mayWait: false })
    box.flush()
    expect(state.sent).toHaveLength(2)
    box.acknowledge(2, 0)
    box.close()
    expect(state.dropped).toBe(0)
  })

  test('sends samples too', () => {
    const { box, state } = outbox()
    box.addSample(sample(1, 5))
    box.flush()
    expect(state.sent).toMatchObject([{ count: 0, tapes: [], samples: [JSON.stringify(sample(1, 5))] }])
  })

  test('takes what another outbox sent, and sends it with its own', () => {
    const { box: other, state: from } = outbox()
    const { box, state } = outbox()
    for (let index = 0; index < 3; index += 1) other.addRecord(small)
    other.flush()
    box.addRecord(small)
    for (const batch of from.sent) box.addBatch(batch)
    box.flush()
    const [batch] = state.sent
    expect(batch?.count).toBe(4)
    const [record] = readRecords(tapeOf([small]))
    expect(batch?.tapes.flatMap(readRecords)).toEqual([record, record, record, record])
  })

  test('keeps what another sent until somebody takes it, and drops and counts what is too much', () => {
    const { box, state } = outbox()
    const tapes = [tapeOf([small, small]), tapeOf([small])]
    const texts = 'x'.repeat(64 * 1024 * 1024)
    state.taking = false
    box.addBatch({ count: 3, tapes })
    box.flush()
    box.addBatch({ count: 7, tapes: [{ ...tapeOf([small]), records: 7, texts }] })
    expect(state.dropped).toBe(7)
    state.taking = true
    box.flush()
    expect(state.sent).toMatchObject([{ count: 3, tapes, samples: [] }])
    box.close()
    box.addBatch({ count: 2, tapes })
    expect(state.dropped).toBe(12)
  })

  test('has its own memory of what another process sent', () => {
    const { box, state } = outbox()
    const message = new ArrayBuffer(4096)
    const tape = tapeOf([small])
    const cells = new Int32Array(message, 0, tape.cells.length)
    const numbers = new Float64Array(message, 1024, tape.numbers.length)
    cells.set(tape.cells)
    numbers.set(tape.numbers)
    box.addBatch({ count: 1, tapes: [{ ...tape, cells, numbers }] })
    box.flush()
    expect(state.sent).toMatchObject([{ count: 1, tapes: [tape], samples: [] }])
    for (const { cells, numbers } of state.sent.flatMap(({ tapes }) => tapes)) {
      expect(cells.buffer.byteLength).toBe(cells.byteLength)
      expect(numbers.buffer.byteLength).toBe(numbers.byteLength)
    }
  })

  test('drops a record that cannot be written, and keeps the others whole', () => {
    const { box, state } = outbox()
    const broken = {
      ...small,
      exchange: { ...small.exchange, llm: { finishReasons: [] } as unknown as LlmFacts },
    }
    for (const one of [small, broken, small]) box.addRecord(one)
    box.flush()
    expect(state.dropped).toBe(1)
    expect(state.sent.map(({ count }) => count)).toEqual([2])
    const [record] = readRecords(tapeOf([small]))
    expect(state.sent.flatMap(({ tapes }) => tapes.flatMap(readRecords))).toEqual([record, record])
  })

  test('drops what is more than 80,000 records, and counts it', () => {
    const { box, state } = outbox()
    for (let index = 0; index < 80_010; index += 1) box.addRecord(small)
    expect(state.dropped).toBe(10)
    box.acknowledge(2, 0)
    for (let index = 0; index < 1034; index += 1) box.addRecord(small)
    expect(state.dropped).toBe(20)
  })

  test('drops what is more than 64 MiB', () => {
    const { box, state } = outbox()
    const large = { ...small, payload: { request: 'x'.repeat(1024 * 1024), response: undefined } }
    for (let index = 0; index < 66; index += 1) box.addRecord(large)
    box.flush()
    expect(state.dropped).toBe(2)
  })

  test('adds a sample that it had no room for, or that was lost, to the next', () => {
    const { box, state } = outbox()
    for (let index = 0; index < 80_000; index += 1) box.addRecord(small)
    box.addSample(sample(1, 5))
    box.addSample(sample(2, 10))
    box.acknowledge(100, 0)
    box.addSample(sample(3, 1))
    box.flush()
    expect(state.sent.at(-1)?.samples).toEqual([JSON.stringify(sample(3, 16))])
    box.loseSent()
    box.addSample(sample(4, 2))
    box.flush()
    expect(state.sent.at(-1)?.samples).toEqual([JSON.stringify(sample(4, 18))])
  })

  test('keeps what nobody takes until somebody does', () => {
    const { box, state } = outbox()
    state.taking = false
    for (let index = 0; index < 1200; index += 1) box.addRecord(small)
    expect(state.dropped).toBe(0)
    state.taking = true
    box.flush()
    expect(state.sent.map(({ count, tapes }) => [count, tapes.length])).toEqual([[1200, 3]])
  })

  test('counts what was sent and lost', () => {
    const { box, state } = outbox()
    for (let index = 0; index < 600; index += 1) box.addRecord(small)
    box.loseSent()
    expect(state.dropped).toBe(512)
    box.flush()
    box.acknowledge(1, 30)
    expect(state.dropped).toBe(542)
  })

  test('counts all that it still has at its end, and what comes after', () => {
    const { box, state } = outbox()
    for (let index = 0; index < 600; index += 1) box.addRecord(small)
    box.close()
    box.addRecord(small)
    expect(state.dropped).toBe(601)
  })
})
