import { availableParallelism } from 'node:os'
import { describe, expect, test } from 'vitest'
import { parseCommand } from './arguments.ts'
import { HELP } from './help.ts'

const RUN = { name: 'run', source: { kind: 'default' }, workers: undefined, validateOnly: false, json: false }
const DEMO = { name: 'demo', once: false, json: false, port: 3000 }
const DOCTOR = {
  name: 'doctor',
  addresses: {},
  skip: [],
  model: undefined,
  timeoutMs: undefined,
  json: false,
}
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
    { line: '--workers 3', command: { ...RUN, workers: 3 } },
    { line: 'run --workers auto', command: { ...RUN, workers: availableParallelism() } },
    { line: '--workers 100%', command: { ...RUN, workers: availableParallelism() } },
    { line: '--validate-only -f a.yaml', command: { ...file('a.yaml'), validateOnly: true } },
    { line: '--json', command: { ...RUN, json: true } },
    { line: 'demo', command: DEMO },
    { line: 'demo --once --json', command: { ...DEMO, once: true, json: true } },
    { line: 'demo --port 0', command: { ...DEMO, port: 0 } },
    { line: 'demo --port 65535', command: { ...DEMO, port: 65_535 } },
    { line: 'demo providers', command: { name: 'demo-providers', host: '127.0.0.1', port: 9101 } },
    {
      line: 'demo providers --host 0.0.0.0 --port 0',
      command: { name: 'demo-providers', host: '0.0.0.0', port: 0 },
    },
    {
      line: 'demo traffic',
      command: { name: 'demo-traffic', gatewayUrl: 'http://localhost:3000', rate: 2 },
    },
    {
      line: 'demo traffic --gateway http://agentgateway:3100/ --rate 0.5',
      command: { name: 'demo-traffic', gatewayUrl: 'http://agentgateway:3100', rate: 0.5 },
    },
    { line: 'migrate -f a.yaml', command: { name: 'migrate', file: 'a.yaml', output: undefined } },
    { line: 'migrate -f - -o b.yaml', command: { name: 'migrate', file: '-', output: 'b.yaml' } },
    {
      line: 'import --from litellm -f a.yaml --output b.yaml',
      command: { name: 'import', file: 'a.yaml', output: 'b.yaml' },
    },
    { line: 'doctor', command: DOCTOR },
    { line: 'doctor --json --timeout 0.5', command: { ...DOCTOR, json: true, timeoutMs: 500 } },
    { line: 'doctor --model claude-x', command: { ...DOCTOR, model: 'claude-x' } },
    {
      line: 'doctor --skip jaeger,grafana --skip provider',
      command: { ...DOCTOR, skip: ['jaeger', 'grafana', 'provider'] },
    },
    {
      line: 'doctor --gateway http://a:1 --metrics https://b/m --collector [::1]:4317 --grafana http://u:p@c',
      command: {
        ...DOCTOR,
        addresses: {
          gateway: 'http://a:1',
          metrics: 'https://b/m',
          collector: '[::1]:4317',
          grafana: 'http://u:p@c',
        },
      },
    },
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
    { line: '--port 80', says: /--port is an option of demo and demo providers, not of run/ },
    { line: '--workers 0', says: /--workers 0: expected a number from 1 to 256, auto, or a share/ },
    { line: 'demo --workers 2', says: /--workers is an option of run, not of demo/ },
    { line: '--once', says: /--once is an option of demo, not of run/ },
    { line: '--wrong', says: /--wrong/ },
    { line: '--json=1', says: /--json/ },
    { line: 'toString', says: /unknown command: toString/ },
    { line: 'serve', says: /unknown command: serve/ },
    { line: 'run now please', says: /unexpected argument: now please/ },
    { line: 'demo -f a.yaml', says: /--file is an option of run, migrate and import, not of demo/ },
    { line: 'demo -c x', says: /--config is an option of run/ },
    { line: 'demo --validate-only', says: /--validate-only is an option of run/ },
    { line: 'demo clients', says: /unexpected argument: clients/ },
    { line: 'demo traffic now', says: /unexpected argument: now/ },
    { line: 'demo traffic --port 1', says: /--port is an option of .*, not of demo traffic/ },
    { line: 'demo traffic --gateway 3000', says: /--gateway 3000: expected http/ },
    { line: 'demo traffic --rate 0', says: /--rate 0/ },
    { line: 'demo providers --once', says: /--once is an option of demo, not of demo providers/ },
    { line: 'demo providers --port 65535', says: /0 to 65534/ },
    { line: 'demo --host ::1', says: /--host is an option of demo providers, not of demo/ },
    { line: '--jaeger http://a', says: /--jaeger is an option of doctor/ },
    { line: '--gateway http://a', says: /--gateway is an option of demo traffic and doctor, not of run/ },
    { line: 'demo --timeout 3', says: /--timeout is an option of doctor, not of demo/ },
    { line: 'migrate', says: /migrate needs -f FILE/ },
    { line: 'import -f a.yaml', says: /import needs --from litellm/ },
    { line: 'import --from litellm', says: /import needs -f FILE/ },
    { line: 'run -o a.yaml', says: /--output is an option of migrate and import, not of run/ },
    { line: 'doctor now', says: /unexpected argument: now/ },
    { line: 'doctor -f a.yaml', says: /--file is an option of run, migrate and import, not of doctor/ },
    { line: 'doctor --port 1', says: /--port is an option of .*, not of doctor/ },
    { line: 'doctor --gateway localhost:3000', says: /--gateway: expected http:\/\/host:port/ },
    { line: 'doctor --jaeger ftp://a', says: /--jaeger: expected http/ },
    { line: 'doctor --collector http://a:4317', says: /--collector: expected host:port, without http/ },
    { line: 'doctor --collector a', says: /--collector: expected host:port/ },
    { line: 'doctor --collector a:99999', says: /--collector: expected/ },
    { line: 'doctor --skip tempo', says: /--skip tempo: expected some of gateway, provider/ },
    { line: 'doctor --timeout 0', says: /--timeout 0: expected seconds/ },
    { line: 'doctor --timeout soon', says: /--timeout soon/ },
    { line: 'doctor --timeout=', says: /--timeout/ },
    { line: 'doctor --model=', says: /--model: expected a name/ },
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
  '--collector',
  '--skip',
  '--model',
  '--timeout',
  '--help',
  '--version',
  '-V',
])('it names %s in the help', (option) => {
  expect(HELP).toContain(option)
})

const words = (line: string) => line.split(' ').filter((word) => word !== '')
