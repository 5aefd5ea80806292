import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('V8 knows what it is told', async () => {
  const url = new URL('garbage.ts', import.meta.url)
  const code = `const { collectSeldom } = await import(${JSON.stringify(url.href)}); collectSeldom()()`
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code])
  // Of a flag that is none it says so, and goes on.
  expect(stderr).toBe('')
})
