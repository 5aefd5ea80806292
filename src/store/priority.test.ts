import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { createStarvation } from './priority.ts'

const canPin = existsSync('/usr/bin/taskset') && existsSync('/proc/thread-self/schedstat')

test('a thread is starved that waited ten times as long as it worked, since it was asked last', () => {
  let time = { had: 1000, waited: 900_000 }
  const isStarved = createStarvation(() => time)
  expect(isStarved()).toBe(false)
  time = { had: 1100, waited: 901_001 }
  expect(isStarved()).toBe(true)
  time = { had: 1200, waited: 901_900 }
  expect(isStarved()).toBe(false)
})

test('who counts no waiting is never starved', () => {
  expect(createStarvation(() => ({ had: 0, waited: 0 }))()).toBe(false)
})

test.skipIf(!canPin)(
  'Linux counts it, for a thread that yields to a busy one on the same processor',
  async () => {
    const [, cpu = '0'] = /^Cpus_allowed_list:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    const fixture = fileURLToPath(new URL('starving.fixture.ts', import.meta.url))
    const { stdout } = await promisify(execFile)('/usr/bin/taskset', ['-c', cpu, process.execPath, fixture])
    expect(JSON.parse(stdout)).toEqual({ isStarved: true })
  },
)
