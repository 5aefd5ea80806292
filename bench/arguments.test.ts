import { expect, test } from 'vitest'
import { parse } from './arguments.ts'
import { CELLS } from './settings.ts'

test('without arguments everything is measured', () => {
  expect(parse([])).toEqual({
    seconds: 3,
    rounds: 5,
    quick: false,
    cells: CELLS,
    json: undefined,
    markdownFile: undefined,
    others: [],
    upstreamPort: undefined,
  })
})

test('--quick is one round of a second, unless more is asked for', () => {
  expect(parse(['--quick'])).toMatchObject({ quick: true, seconds: 1, rounds: 1 })
  expect(parse(['--quick', '--rounds', '3'])).toMatchObject({ seconds: 1, rounds: 3 })
})

test('cells keep their order', () => {
  expect(parse(['--only', 'start,latency'])).toMatchObject({ cells: ['latency', 'start'] })
})

test.each([
  { argv: ['--json'], json: 'standard output' },
  { argv: ['--json', 'run.json'], json: { file: 'run.json' } },
  { argv: ['--json=run.json'], json: { file: 'run.json' } },
  { argv: ['--json', '--quick'], json: 'standard output' },
])('$argv writes JSON to $json', ({ argv, json }) => {
  expect(parse(argv)).toMatchObject({ json })
})

test('--markdown names a file', () => {
  expect(parse(['--markdown', 'run.md'])).toMatchObject({ markdownFile: 'run.md' })
})

test.each([
  { url: 'http://127.0.0.1:4000/v1', site: { host: '127.0.0.1', port: 4000, base: '/v1' } },
  { url: 'http://localhost:8787', site: { host: 'localhost', port: 8787, base: '/v1' } },
  { url: 'http://other.test/openai/v1/', site: { host: 'other.test', port: 80, base: '/openai/v1' } },
  { url: 'http://[::1]:9', site: { host: '::1', port: 9, base: '/v1' } },
])('another gateway at $url', ({ url, site }) => {
  const asked = parse(['--gateway', `other=${url}`, '--upstream-port', '9101'])
  expect(asked).toMatchObject({ others: [{ name: 'other', ...site }], upstreamPort: 9101 })
})

test('there may be several', () => {
  const argv = ['--gateway', 'a=http://h:1', '--gateway', 'b=http://h:2', '--upstream-port', '9101']
  expect(parse(argv)).toMatchObject({ others: [{ name: 'a' }, { name: 'b' }] })
})

test.each([['--help'], ['-h']])('%s asks for help', (argument) => {
  expect(parse([argument])).toBe('help')
})

test.each([
  { argv: ['--seconds', '0'], wrong: '--seconds wants a whole number from 1 to 600' },
  { argv: ['--rounds', 'many'], wrong: '--rounds wants a whole number from 1 to 600' },
  { argv: ['--only', 'latency,speed'], wrong: /^--only wants some of saturation, / },
  { argv: ['--gateway', 'a=http://h:1'], wrong: /^--gateway wants --upstream-port/ },
  { argv: ['--gateway', 'http://h:1', '--upstream-port', '1'], wrong: /^--gateway wants NAME=URL/ },
  { argv: ['--gateway', 'a=https://h:1', '--upstream-port', '1'], wrong: /^--gateway wants NAME=URL/ },
  { argv: ['--gateway', 'nginx=http://h:1', '--upstream-port', '1'], wrong: /^--gateway cannot be named/ },
  {
    argv: ['--gateway', 'a=http://h:1', '--gateway', 'a=http://h:2', '--upstream-port', '1'],
    wrong: /^--gateway wants another name/,
  },
  { argv: ['--fast'], wrong: /--fast/ },
])('$argv is refused', ({ argv, wrong }) => {
  const asked = parse(argv)
  expect(asked).toMatchObject({
    wrong: typeof wrong === 'string' ? wrong : expect.stringMatching(wrong),
  })
})
