// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how a reference is written
/** Whatever the text: a result, in good time, and never an exception. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DEFAULT_CONFIG } from './default-config.ts'
import { formatProblems } from './format.ts'
import { loadConfig } from './load.ts'
import { redactConfig } from './redact.ts'
import { settings } from './settings.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(read('docs/configuration.md')) ?? []
const SEEDS = [read('test/fixtures/tutorial.yaml'), DEFAULT_CONFIG, example]
const PIECES = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ':',
    ': ',
    '- ',
    '\n',
    '\t',
    '  ',
    '#',
    '"',
    "'",
    '|',
    '>',
    '&a ',
    '*a',
    '!x ',
    '%',
    '@',
    '`',
  ],
  ...[
    '$',
    '$$',
    '${',
    '$A',
    '${B:-{}}',
    '~/',
    '? ',
    '<<: *a\n',
    '---\n',
    '...\n',
    'null',
    '.nan',
    '0x1',
    '-1',
    '1e999',
  ],
  ...[
    '__proto__: 1\n',
    'constructor: {}\n',
    'toString',
    '\ud800',
    '\ue000',
    '\u0000',
    '\ufeff',
    'policies: {ai: {}}',
  ],
]

/** A small generator with a seed, so that a failure can be repeated (mulberry32). */
function random(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}

function mutate(text: string, pick: (limit: number) => number): string {
  let mutated = text
  for (let count = pick(4); count >= 0; count -= 1) {
    const at = pick(mutated.length + 1)
    const length = pick(3) === 0 ? pick(20) : 0
    const piece = pick(3) === 0 ? mutated.slice(at, at + pick(60)) : (PIECES[pick(PIECES.length)] ?? '')
    mutated = mutated.slice(0, at) + piece + mutated.slice(at + length)
  }
  return mutated
}

test('random mutations of good files never throw', () => {
  for (let seed = 0; seed < 3000; seed += 1) {
    const pick = random(seed)
    const text = mutate(SEEDS[pick(SEEDS.length)] ?? '', pick)
    const environment = { A: PIECES[pick(PIECES.length)], OPENAI_API_KEY: 'sk-12345678' }
    const result = loadConfig({ text, file: 'fuzz', environment, home: '/home' })
    if (result.ok) {
      settings(result.config, environment)
      redactConfig(result.config)
      continue
    }
    expect(result.problems.length, text).toBeGreaterThan(0)
    const lines = text.split('\n').length
    for (const problem of result.problems) {
      expect(problem.line, text).toBeGreaterThanOrEqual(1)
      expect(problem.line, text).toBeLessThanOrEqual(lines)
      expect(problem.column, text).toBeGreaterThanOrEqual(1)
      expect(problem.message, text).not.toBe('')
    }
    formatProblems(result.problems, { text, colour: true })
  }
})
