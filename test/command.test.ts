/** The `agentgateway` command as a user meets it: what it prints, what it listens on, with which status it ends. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { endCommands, ready, startCommand } from './support/command.ts'
import { send } from './support/wire.ts'

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-command-'))
afterAll(() => {
  endCommands()
  rmSync(directory, { recursive: true })
})

const answering = (body: string, port = 0) =>
  JSON.stringify({
    binds: [{ port, listeners: [{ routes: [{ policies: { directResponse: { status: 200, body } } }] }] }],
  })

const WRONG = `binds:
  - port: 3000
    listners:
      - routes: []
  - port: 70000
    listeners: []
`

function fileWith(name: string, text: string): string {
  const file = join(directory, name)
  writeFileSync(file, text)
  return file
}

describe('it prints and ends with 0:', () => {
  test.concurrent.each([
    { args: ['--version'], stdout: /^\{"version":"\d+\.\d+\.\d+.*\}\n$/ },
    { args: ['-V'], stdout: /^\d+\.\d+\.\d+\S*\n$/ },
    { args: ['--help'], stdout: /^[\s\S]*--validate-only[\s\S]*Exit status/ },
    { args: ['--validate-only', '-c', answering('x')], stdout: /^Configuration is valid!\n$/ },
    {
      args: ['--validate-only', '-f', fileWith('good.yaml', answering('x'))],
      stdout: /^Configuration is valid!\n$/,
    },
  ])('$args', async ({ args, stdout }) => {
    const exit = await startCommand(args).exited
    expect(exit).toMatchObject({ code: 0, stderr: '' })
    expect(exit.stdout).toMatch(stdout)
  })
})

describe('it complains on stderr and ends with 2:', () => {
  test.concurrent.each([
    { args: ['--what'], stderr: /--what/ },
    { args: ['serve'], stderr: /serve/ },
    { args: ['-f', 'a', '-c', 'b'], stderr: /-f and -c/ },
    { args: ['-f', join(directory, 'none.yaml')], stderr: /none\.yaml/ },
    { args: ['-c', 'binds: ['], stderr: /:\d+:\d+/ },
    { args: ['-c', 'config: {statsAddr: nowhere}'], stderr: /statsAddr/ },
  ])('$args', async ({ args, stderr }) => {
    const exit = await startCommand(args).exited
    expect(exit).toMatchObject({ code: 2, stdout: '' })
    expect(exit.stderr).toMatch(stderr)
  })
})

test.concurrent('migrate writes the newer form of a file, and nothing of a wrong one', async () => {
  const source = fileWith('binds.yaml', answering('x', 1))
  const migrated = await startCommand(['migrate', '-f', source]).exited
  expect(migrated).toMatchObject({ code: 0, stderr: '' })
  expect(migrated.stdout).toContain('gateways')
  const output = join(directory, 'gateways.yaml')
  expect(await startCommand(['migrate', '-f', source, '-o', output]).exited).toMatchObject({
    code: 0,
    stdout: '',
  })
  expect(readFileSync(output, 'utf8')).toBe(migrated.stdout)
  const wrong = await startCommand(['migrate', '-f', fileWith('wrong-binds.yaml', WRONG)]).exited
  expect(wrong).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringContaining('wrong-binds.yaml:3:5'),
  })
})

test.concurrent('import makes a configuration of LiteLLM’s, and tells what is left', async () => {
  const file = fileWith(
    'litellm.yaml',
    'model_list: [{model_name: a, litellm_params: {model: openai/b, api_key: os.environ/NOBODY, rpm: 1}}]',
  )
  const { code, stdout, stderr } = await startCommand(['import', '--from', 'litellm', '-f', file]).exited
  expect([code, stderr]).toEqual([
    0,
    'not carried over: model_list[0].litellm_params.rpm: it has no counterpart here\n',
  ])
  expect(stdout).toContain('apiKey: $NOBODY')
  const empty = await startCommand(['import', '--from', 'litellm', '-f', fileWith('empty.yaml', '{}')]).exited
  expect(empty).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('llm.models') })
})

test.concurrent.each([{ args: [] }, { args: ['--validate-only'] }])(
  'it lists every mistake of a file with its place, and ends with 2: $args',
  async ({ args }) => {
    const file = fileWith('wrong.yaml', WRONG)
    const { code, stdout, stderr } = await startCommand([...args, '-f', file]).exited
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(`${file}:3:5: binds[0].listners: unknown key`)
    expect(stderr).toContain('listeners`?')
    expect(stderr).toContain(`${file}:5:11: binds[1].port`)
    expect(stderr).toMatch(/\d problems in the configuration\n$/)
  },
)

test.concurrent('it reports mistakes as JSON when asked', async () => {
  const { code, stderr } = await startCommand(['--json', '--validate-only', '-c', WRONG]).exited
  expect(code).toBe(2)
  const text = JSON.stringify(JSON.parse(stderr))
  expect(text).toContain('binds[0].listners')
  expect(text).toContain('binds[1].port')
})

test.concurrent.each([
  { name: 'a file', args: ['-f', fileWith('run.yaml', answering('hello'))] },
  { name: 'run and a file', args: ['run', '--file', fileWith('run.yaml', answering('hello'))] },
  { name: 'standard input', args: ['-f', '-'], input: answering('hello') },
  { name: 'the command line', args: ['-c', answering('hello')] },
])('it runs what it is given by $name, and stops at SIGTERM with 0', async ({ args, input }) => {
  const command = startCommand(args, { input })
  const { url, readinessUrl, statsUrl, adminUrl } = await ready(command)
  expect(await send(url)).toMatchObject({ status: 200, body: 'hello' })
  expect(await send(`${readinessUrl}/healthz/ready`)).toMatchObject({ status: 200 })
  expect((await send(`${statsUrl}/metrics`)).body).toContain('agentgateway_requests_total{')
  expect(JSON.parse((await send(`${adminUrl}/config_dump`)).body)).toMatchObject({ config: { binds: [{}] } })
  command.kill('SIGTERM')
  expect(await command.exited).toMatchObject({ code: 0, stderr: '' })
})

test.concurrent('it answers only GET, and only what it has, at its side doors', async () => {
  const { readinessUrl, statsUrl, adminUrl } = await ready(startCommand(['-c', answering('x')]))
  const statuses = await Promise.all(
    [readinessUrl, statsUrl, adminUrl].flatMap((url, index) => {
      const path = ['/healthz/ready', '/metrics', '/config_dump'][index]
      return [send(`${url}${path}`), send(`${url}${path}`, { method: 'POST' }), send(`${url}/else`)]
    }),
  )
  expect(statuses.map(({ status }) => status)).toEqual([200, 405, 404, 200, 405, 404, 200, 405, 404])
})

test.concurrent('it shows the admin door to this machine only, unless told otherwise', async () => {
  const command = startCommand(['-c', answering('x')], { environment: { ADMIN_ADDR: 'localhost:0' } })
  const { adminUrl } = await ready(command)
  const outside = new URL(adminUrl)
  outside.hostname = await addressOfThisMachine()
  await expect(send(`${outside.origin}/config_dump`)).rejects.toThrow(/ECONNREFUSED/)
  expect((await send(`${adminUrl}/config_dump`)).status).toBe(200)
})

/** One that is not loopback; 127.0.0.2 where the machine has no network. */
async function addressOfThisMachine(): Promise<string> {
  const { networkInterfaces } = await import('node:os')
  const found = Object.values(networkInterfaces())
    .flatMap((one) => one ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')
  return found?.address ?? '127.0.0.2'
}

describe('it ends with 1 and says why when a port is taken:', () => {
  test.concurrent.each([
    { name: 'of a bind', args: (port: number) => ['-c', answering('x', port)], environment: () => ({}) },
    {
      name: 'of the metrics',
      args: () => ['-c', answering('x')],
      environment: (port: number) => ({ STATS_ADDR: `127.0.0.1:${port}` }),
    },
  ])('$name', async ({ args, environment }) => {
    const taken = createServer((_request, response) => response.end('mine'))
    await once(taken.listen(0), 'listening')
    const { port } = taken.address() as AddressInfo
    const { code, stderr } = await startCommand(args(port), { environment: environment(port) }).exited
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`EADDRINUSE.*${port}`))
    expect(await send(`http://127.0.0.1:${port}`)).toMatchObject({ body: 'mine' })
    taken.close()
  })
})
