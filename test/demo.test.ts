/** `agentgateway demo`, as a user runs it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'

const COMMAND = fileURLToPath(new URL('../src/cli/agentgateway.ts', import.meta.url))
const FREE_PORTS = { STATS_ADDR: '127.0.0.1:0', READINESS_ADDR: '127.0.0.1:0', ADMIN_ADDR: '127.0.0.1:0' }
const children: ChildProcess[] = []

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

function demo(...args: string[]) {
  const child = spawn(process.execPath, [COMMAND, 'demo', ...args], {
    env: { ...process.env, ...FREE_PORTS },
  })
  children.push(child)
  let stdout = ''
  let stderr = ''
  let wake = () => {}
  child.stdout.on('data', (bytes) => {
    stdout += bytes
    wake()
  })
  child.stderr.on('data', (bytes) => {
    stderr += bytes
  })
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  async function said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(stdout)
      if (match !== null) return match
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  return { child, exited, said, stdout: () => stdout, stderr: () => stderr }
}

test('--once --json: what was sent, counted and billed agrees', async () => {
  const { exited, stdout, stderr } = demo('--once', '--json')
  expect(await exited).toBe(0)
  expect(stderr()).toBe('')
  const { rows, unexpected, agrees } = JSON.parse(stdout())
  expect(unexpected).toEqual([])
  expect(agrees).toBe(true)
  for (const row of rows) {
    expect(row).toMatchObject({ equal: true })
    expect(row.metrics).toBeGreaterThan(0)
  }
  expect(rows.map((row: { name: string }) => row.name)).toEqual([
    'requests',
    'input tokens',
    'output tokens',
    'cached tokens',
    'cache-written tokens',
    'reasoning tokens',
    'tool calls',
  ])
})

test('--once prints the table that the README shows', async () => {
  const { exited, stdout } = demo('--once')
  expect(await exited).toBe(0)
  expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).toContain(stdout())
})

test('it says what is where, counts along, and ends with Ctrl-C; /metrics has what docs/metrics.md lists', async () => {
  const { child, exited, said, stderr } = demo('--port', '0')
  const [, metricsUrl = ''] = await said(/metrics\s+(\S+)/)
  await said(/requests [1-9]\d* {2}errors/)
  const exposition = await (await fetch(metricsUrl)).text()
  child.kill('SIGINT')
  expect(await exited).toBe(0)
  expect(stderr()).toBe('')

  const page = readFileSync(new URL('../docs/metrics.md', import.meta.url), 'utf8')
  const documented = new Map(
    [...page.matchAll(/^\| `([a-z_]+)` \| (counter|gauge|histogram|info) \|/gm)].map(([, name, type]) => [
      name,
      type === 'info' ? 'gauge' : type,
    ]),
  )
  const exposed = new Map(
    [...exposition.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]),
  )
  expect(documented.size).toBeGreaterThan(35)
  expect(Object.fromEntries(exposed)).toEqual(Object.fromEntries(documented))
})
