import { describe, expect, test, vi } from 'vitest'
import type { Batch } from './messages.ts'
import { createOutbox } from './outbox.ts'

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

describe('an outbox', () => {
  test('sends five hundred records at once, and fewer after a while', async () => {
    const { box, state } = outbox()
    for (let index = 0; index < 1100; index += 1) box.addRecord('{}')
    expect(state.sent.map(({ records }) => records.length)).toEqual([500, 500])
    await vi.waitFor(() => expect(state.sent).toHaveLength(3))
    expect(state.sent[2]?.records).toHaveLength(100)
  })

  test('sends samples too', () => {
    const { box, state } = outbox()
    box.addSample('{"at":1}')
    box.flush()
    expect(state.sent).toEqual([{ records: [], samples: ['{"at":1}'] }])
  })

  test('drops what is more than 50,000 records, and counts it', () => {
    const { box, state } = outbox()
    for (let index = 0; index < 50_010; index += 1) box.addRecord('{}')
    expect(state.dropped).toBe(10)
    box.acknowledge(2, 0)
    for (let index = 0; index < 1010; index += 1) box.addRecord('{}')
    expect(state.dropped).toBe(20)
  })

  test('drops what is more than 64 MiB', () => {
    const { box, state } = outbox()
    const large = 'x'.repeat(1024 * 1024)
    for (let index = 0; index < 66; index += 1) box.addRecord(large)
    expect(state.dropped).toBe(2)
  })

  test('keeps what nobody takes until somebody does', () => {
    const { box, state } = outbox()
    state.taking = false
    for (let index = 0; index < 1200; index += 1) box.addRecord('{}')
    expect(state.dropped).toBe(0)
    state.taking = true
    box.flush()
    expect(state.sent.map(({ records }) => records.length)).toEqual([1200])
  })

  test('counts what was sent and lost', () => {
    const { box, state } = outbox()
    for (let index = 0; index < 600; index += 1) box.addRecord('{}')
    box.loseSent()
    expect(state.dropped).toBe(500)
    box.flush()
    box.acknowledge(1, 30)
    expect(state.dropped).toBe(530)
  })

  test('counts all that it still has at its end, and what comes after', () => {
    const { box, state } = outbox()
    for (let index = 0; index < 600; index += 1) box.addRecord('{}')
    box.close()
    box.addRecord('{}')
    expect(state.dropped).toBe(601)
  })
})
