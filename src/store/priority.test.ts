import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { createStarvation } from './priority.ts'

const canPin = existsSync('/usr/bin/taskset') && existsSync('/proc/thread-self/schedstat')

test('a thread was starved that waited ten times as long as it worked, since it was asked last', () => {
  let time = { had: 1e6, waited: 9e9 }
  const starvedMs = createStarvation(() => time)
  expect(starvedMs()).toBe(0)
  time = { had: 3e6, waited: 9.021e9 }
  expect(starvedMs()).toBe(21)
  time = { had: 5e6, waited: 9.04e9 }
  expect(starvedMs()).toBe(0)
})

test('who counts no waiting is never starved', () => {
  expect(createStarvation(() => ({ had: 0, waited: 0 }))()).toBe(0)
})

test.skipIf(!canPin)(
  'Linux counts it, for a thread that yields to a busy one on the same processor',
  async () => {
    const [, cpu = '0'] = /^Cpus_allowed_list:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    const fixture = fileURLToPath(new URL('starving.fixture.ts', import.meta.url))
    const { stdout } = await promisify(execFile)('/usr/bin/taskset', ['-c', cpu, process.execPath, fixture])
    expect(JSON.parse(stdout).starvedMs).toBeGreaterThan(200)
  },
)
