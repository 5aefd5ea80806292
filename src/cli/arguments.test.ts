import { describe, expect, test } from 'vitest'
import { HELP, parseCommand } from './arguments.ts'

const RUN = { name: 'run', source: { kind: 'default' }, validateOnly: false, json: false }
const DEMO = { name: 'demo', once: false, json: false, port: 3000 }
const file = (name: string) => ({ ...RUN, source: { kind: 'file', file: name } })

describe('parseCommand', () => {
  test.each([
    { line: '', command: RUN },
    { line: 'run', command: RUN },
    { line: '-f a.yaml', command: file('a.yaml') },
    { line: '--file a.yaml', command: file('a.yaml') },
    { line: '--file=a.yaml', command: file('a.yaml') },
    { line: 'run -f a.yaml', command: file('a.yaml') },
    { line: '-f a.yaml run', command: file('a.yaml') },
    { line: '-f -', command: file('-') },
    { line: '-c binds:[]', command: { ...RUN, source: { kind: 'inline', text: 'binds:[]' } } },
    { line: '--validate-only -f a.yaml', command: { ...file('a.yaml'), validateOnly: true } },
    { line: '--json', command: { ...RUN, json: true } },
    { line: 'demo', command: DEMO },
    { line: 'demo --once --json', command: { ...DEMO, once: true, json: true } },
    { line: 'demo --port 0', command: { ...DEMO, port: 0 } },
    { line: 'demo --port 65535', command: { ...DEMO, port: 65_535 } },
    { line: '-h', command: { name: 'help' } },
    { line: 'demo --help --port x', command: { name: 'help' } },
    { line: '-V', command: { name: 'version', short: true } },
    { line: '--version', command: { name: 'version', short: false } },
  ])('it understands `$line`', ({ line, command }) => {
    expect(parseCommand(words(line))).toEqual(command)
  })

  test.each([
    { line: '-f a.yaml -c b', says: /-f and -c exclude each other/ },
    { line: '-f', says: /argument/i },
    { line: '--port 80', says: /--port belongs to demo/ },
    { line: '--once', says: /--once belongs to demo/ },
    { line: '--wrong', says: /--wrong/ },
    { line: '--json=1', says: /--json/ },
    { line: 'serve', says: /unknown command: serve/ },
    { line: 'run now please', says: /unexpected argument: now please/ },
    { line: 'demo -f a.yaml', says: /demo brings its own configuration/ },
    { line: 'demo -c x', says: /demo brings its own configuration/ },
    { line: 'demo --validate-only', says: /demo brings its own configuration/ },
    { line: 'demo --port 65536', says: /0 to 65535/ },
    { line: 'demo --port -1', says: /port/ },
    { line: 'demo --port 8o', says: /--port 8o/ },
    { line: 'demo --port=', says: /--port/ },
  ])('it refuses `$line`', ({ line, says }) => {
    const command = parseCommand(words(line))
    expect(command).toMatchObject({ name: 'usage', message: expect.stringMatching(says) })
  })

  test('it takes a configuration of several lines as one argument', () => {
    const text = 'binds:\n- port: 3000\n'
    expect(parseCommand(['-c', text])).toMatchObject({ source: { kind: 'inline', text } })
  })
})

test.each([
  '--file',
  '--config',
  '--validate-only',
  '--json',
  '--port',
  '--once',
  '--help',
  '--version',
  '-V',
])('it names %s in the help', (option) => {
  expect(HELP).toContain(option)
})

const words = (line: string) => line.split(' ').filter((word) => word !== '')
