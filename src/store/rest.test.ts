import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { call, createRest, createSignals, tell } from './rest.ts'

function busy() {
  const signals = createSignals()
  tell(signals, { taken: 0.1, isCalm: false })
  return signals
}

function rested(work: () => void): number {
  const begun = performance.now()
  work()
  return performance.now() - begun
}

describe('the store’s thread', () => {
  test('does not rest while there is processor time', () => {
    const { rest } = createRest(busy(), () => 0)
    expect(rested(() => rest(true))).toBeLessThan(100)
  })

  test('rests for four times as long as it was starved', () => {
    const { rest } = createRest(busy(), () => 50)
    expect(rested(() => rest(true))).toBeGreaterThan(195)
  })

  test('does not rest when it may not, and asks how it was nevertheless', () => {
    let asked = 0
    const { rest } = createRest(busy(), () => {
      asked += 1
      return 1000
    })
    expect(rested(() => rest(false))).toBeLessThan(100)
    expect(asked).toBe(1)
  })

  test('nor before it is told anything, nor where requests are few', () => {
    const signals = createSignals()
    const { rest, heard } = createRest(signals, () => 50)
    expect(rested(() => rest(true))).toBeLessThan(100)
    tell(signals, { taken: 0, isCalm: true })
    tell(signals, { taken: 0, isCalm: false })
    // That they were few is not read yet.
    expect(rested(() => rest(true))).toBeLessThan(100)
    heard()
    expect(rested(() => rest(true))).toBeGreaterThan(195)
  })

  test('nor where little room is left', () => {
    const signals = busy()
    const { rest, heard } = createRest(signals, () => 50)
    tell(signals, { taken: 0.75, isCalm: false })
    heard()
    expect(rested(() => rest(true))).toBeLessThan(100)
    tell(signals, { taken: 0.74, isCalm: false })
    expect(rested(() => rest(true))).toBeGreaterThan(195)
  })

  test('does not sleep through a call that it has not heard, and sleeps when it has', () => {
    const signals = busy()
    const { rest, heard } = createRest(signals, () => 50)
    call(signals)
    expect(rested(() => rest(true))).toBeLessThan(100)
    heard()
    expect(rested(() => rest(true))).toBeGreaterThan(195)
  })

  test.each(['a call', 'too little room', 'few requests', 'its end'])('is woken by %s', async (what) => {
    const signals = busy()
    const url = new URL('rest.ts', import.meta.url).href
    const code = `
      const { parentPort, workerData } = await import('node:worker_threads')
      const { createRest } = await import(${JSON.stringify(url)})
      parentPort.postMessage('sleeps')
      createRest(workerData, () => 1e6).rest(true)
      parentPort.postMessage('woke')`
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: signals,
    })
    const told: unknown[] = []
    worker.on('message', (message) => told.push(message))
    await expect.poll(() => told, { timeout: 10_000 }).toEqual(['sleeps'])
    await setTimeout(300)
    tell(signals, { taken: 0.5, isCalm: false })
    expect(told).toEqual(['sleeps'])
    const begun = performance.now()
    if (what === 'a call') call(signals)
    if (what === 'too little room') tell(signals, { taken: 0.8, isCalm: false })
    if (what === 'few requests') tell(signals, { taken: 0.1, isCalm: true })
    if (what !== 'its end')
      await expect.poll(() => told, { timeout: 10_000, interval: 10 }).toEqual(['sleeps', 'woke'])
    await worker.terminate()
    // By itself it would sleep for four seconds.
    expect(performance.now() - begun).toBeLessThan(3000)
  })
})
