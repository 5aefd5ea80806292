import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { createContention } from './priority.ts'

const canPin = existsSync('/usr/bin/taskset') && existsSync('/proc/thread-self/schedstat')

test('a thread took what it had from others if it waited for longer than that, since it was asked last', () => {
  let time = { had: 1e6, waited: 9e9 }
  const takenMs = createContention(() => time)
  expect(takenMs()).toBe(0)
  time = { had: 3e6, waited: 9.003e9 }
  expect(takenMs()).toBe(2)
  time = { had: 6e6, waited: 9.005e9 }
  expect(takenMs()).toBe(0)
})

test('who counts no waiting takes nothing', () => {
  expect(createContention(() => ({ had: 0, waited: 0 }))()).toBe(0)
})

test.skipIf(!canPin)(
  'Linux counts it, for a thread that yields to a busy one on the same processor',
  async () => {
    const [, cpu = '0'] = /^Cpus_allowed_list:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    const fixture = fileURLToPath(new URL('contention.fixture.ts', import.meta.url))
    const { stdout } = await promisify(execFile)('/usr/bin/taskset', ['-c', cpu, process.execPath, fixture])
    expect(JSON.parse(stdout).takenMs).toBeGreaterThan(10)
  },
)
