/** The rules for Prometheus and their unit tests, by every promtool at hand: the installed one and the one built here. */
import { execFile, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { componentPath } from './components.ts'
import { OBSERVABILITY } from './compose.ts'

const PROMETHEUS = join(OBSERVABILITY, 'prometheus')
const filesIn = (folder: 'rules' | 'tests') =>
  readdirSync(join(PROMETHEUS, folder))
    .filter((name) => name.endsWith('.yml'))
    .map((name) => `${folder}/${name}`)

const isInstalled = spawnSync('promtool', ['--version']).status === 0
const built = componentPath('promtool')
const tools = [...(isInstalled ? ['promtool'] : []), ...(built === undefined ? [] : [built])]
if (tools.length === 0) process.stdout.write('there is no promtool here: no rule is tested\n')

/** What it has to complain of. */
const complaint = (tool: string, ...args: readonly string[]) =>
  new Promise<string | undefined>((resolve) => {
    execFile(tool, args, { cwd: PROMETHEUS, maxBuffer: Infinity }, (error, stdout, stderr) =>
      resolve(error === null ? undefined : `${error.message}\n${stdout}\n${stderr}`),
    )
  })

describe.skipIf(tools.length === 0).each(tools.length === 0 ? ['promtool'] : tools)('%s', (tool) => {
  test('accepts prometheus.yml', async () => {
    expect(await complaint(tool, 'check', 'config', 'prometheus.yml')).toBeUndefined()
  })
  test.each(filesIn('rules'))('accepts %s', async (file) => {
    expect(await complaint(tool, 'check', 'rules', '--lint-fatal', file)).toBeUndefined()
  })
  test.each(filesIn('tests'))('passes %s', async (file) => {
    expect(await complaint(tool, 'test', 'rules', file)).toBeUndefined()
  })
})
