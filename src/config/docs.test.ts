/** The examples of documents that are files, or parts of one. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compile } from '../compile.ts'
import { loadConfig } from './load.ts'

const NAMES = ['OPENAI_API_KEY', 'ANTHROPIC_API_KEY', 'TEAM_KEY', 'OWNER_KEY']
const environment = Object.fromEntries(NAMES.map((name) => [name, `value-of-${name}`]))

const examplesOf = (names: readonly string[]) =>
  names.flatMap((name) => {
    const text = readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8')
    const found = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, example = '']) => example)
    return found.map((example, index) => ({ name: `docs/${name}.md ${index + 1}`, example }))
  })

test.each(examplesOf(['models']))('$name can be run', ({ example }) => {
  const loaded = loadConfig({ text: example, file: 'docs', environment })
  expect(loaded).toMatchObject({ ok: true, warnings: [] })
  if (loaded.ok) expect(compile(loaded.config, () => 'a key').binds).not.toEqual([])
})

test.each(examplesOf(['cel', 'logging', 'metrics', 'tracing']))(
  '$name is a part of a file',
  ({ example }) => {
    expect(loadConfig({ text: example, file: 'docs', environment })).toMatchObject({ ok: true })
  },
)
