import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { call, createCalls, createRest } from './rest.ts'

function rested(work: () => void): number {
  const begun = performance.now()
  work()
  return performance.now() - begun
}

describe('the store’s thread', () => {
  test('does not rest while it takes nothing from others', () => {
    const { rest } = createRest(createCalls(), () => 0)
    expect(rested(() => rest(true))).toBeLessThan(100)
  })

  test('rests for two hundred times as long as it took a processor from others', () => {
    const { rest } = createRest(createCalls(), () => 1)
    expect(rested(() => rest(true))).toBeGreaterThan(195)
  })

  test('does not rest when it may not, and asks how it was nevertheless', () => {
    let asked = 0
    const { rest } = createRest(createCalls(), () => {
      asked += 1
      return 1000
    })
    expect(rested(() => rest(false))).toBeLessThan(100)
    expect(asked).toBe(1)
  })

  test('does not sleep through a call that it has not heard, and sleeps when it has', () => {
    const calls = createCalls()
    const { rest, heard } = createRest(calls, () => 1)
    call(calls)
    expect(rested(() => rest(true))).toBeLessThan(100)
    heard()
    expect(rested(() => rest(true))).toBeGreaterThan(195)
  })

  test.each(['a call', 'its end'])('is woken by %s', async (what) => {
    const calls = createCalls()
    const url = new URL('rest.ts', import.meta.url).href
    const code = `
      const { parentPort, workerData } = await import('node:worker_threads')
      const { createRest } = await import(${JSON.stringify(url)})
      parentPort.postMessage('sleeps')
      createRest(workerData, () => 1e6).rest(true)
      parentPort.postMessage('woke')`
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: calls,
    })
    const told: unknown[] = []
    worker.on('message', (message) => told.push(message))
    await expect.poll(() => told, { timeout: 10_000 }).toEqual(['sleeps'])
    await setTimeout(300)
    expect(told).toEqual(['sleeps'])
    const begun = performance.now()
    if (what === 'a call') call(calls)
    if (what !== 'its end')
      await expect.poll(() => told, { timeout: 10_000, interval: 10 }).toEqual(['sleeps', 'woke'])
    await worker.terminate()
    // By itself it would sleep for eight seconds.
    expect(performance.now() - begun).toBeLessThan(3000)
  })
})
