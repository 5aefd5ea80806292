/** A new configuration under load: by an editor's rename and by Kubernetes' exchange of links, good ones and bad ones. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { Agent, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { type Command, endCommands, ready, says, startCommand } from './support/command.ts'
import { chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { collect, open, send, sendJson } from './support/wire.ts'

let provider: SimulatedProvider
const directories: string[] = []

beforeAll(async () => {
  provider = await startSimulatedOpenAI()
})

afterAll(async () => {
  endCommands()
  for (const directory of directories) rmSync(directory, { recursive: true })
  await provider.close()
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'agentgateway-reload-'))
  directories.push(directory)
  return directory
}

const answering = (body: string) => gatewayWith([{ policies: { directResponse: { status: 200, body } } }])

/** As vim does it: a new file takes the old one's name. */
function replace(file: string, content: string) {
  writeFileSync(`${file}.new`, content)
  renameSync(`${file}.new`, file)
}

/** As the kubelet does it: `file` is a link through `..data`, a link to a directory with a date for a name. */
function publish(directory: string, version: string, content: string) {
  mkdirSync(join(directory, version))
  writeFileSync(join(directory, version, 'config.yaml'), content)
  symlinkSync(version, join(directory, '..data_tmp'))
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'))
}

const reloads = (command: Command, count: number) =>
  command.line(() => command.lines().filter(says('configuration reloaded')).length >= count)

async function synchronized(statsUrl: string): Promise<number> {
  const { body } = await send(`${statsUrl}/metrics`)
  return Number(/^agentgateway_config_synchronized (\S+)$/m.exec(body)?.[1])
}

/** Clients on kept and on new connections that ask until they are told to stop; every answer they got. */
function startLoad(url: string) {
  const kept = new Agent({ keepAlive: true, maxSockets: 8 })
  const answers: string[] = []
  const failures: unknown[] = []
  let running = true
  async function client(agent: Agent | false) {
    while (running) {
      try {
        const response = await new Promise<IncomingMessage>((resolve, reject) =>
          get(url, { agent }, resolve).once('error', reject),
        )
        answers.push(`${response.statusCode} ${await text(response)}`)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  const clients = [kept, kept, kept, false as const].map(client)
  return {
    async stop() {
      running = false
      await Promise.all(clients)
      kept.destroy()
      return { answers: new Set(answers), failures, count: answers.length }
    },
  }
}

const VERSIONS = ['one', 'two', 'three', 'four']

test.concurrent.each([
  {
    way: 'a rename over the file',
    place: (directory: string) => join(directory, 'config.yaml'),
    publish: (directory: string, version: string) =>
      replace(join(directory, 'config.yaml'), answering(version)),
  },
  {
    way: 'an exchange of links',
    place: (directory: string) => {
      symlinkSync(join('..data', 'config.yaml'), join(directory, 'config.yaml'))
      return join(directory, 'config.yaml')
    },
    publish: (directory: string, version: string) => publish(directory, version, answering(version)),
  },
  {
    way: 'writing in place',
    place: (directory: string) => join(directory, 'config.yaml'),
    publish: (directory: string, version: string) =>
      writeFileSync(join(directory, 'config.yaml'), answering(version)),
  },
])('it takes over a file changed by $way, and no request fails', async ({ place, publish: change }) => {
  const directory = newDirectory()
  const file = place(directory)
  change(directory, 'one')
  const command = startCommand(['-f', file], { environment: { RUST_LOG: 'info,request=off' } })
  const { url } = await ready(command)
  const load = startLoad(url)
  for (const [index, version] of VERSIONS.slice(1).entries()) {
    change(directory, version)
    await reloads(command, index + 1)
    expect(await send(url)).toMatchObject({ status: 200, body: version })
  }
  const { answers, failures, count } = await load.stop()
  expect(failures).toEqual([])
  expect(count).toBeGreaterThan(20)
  expect([...answers].sort()).toEqual(VERSIONS.map((version) => `200 ${version}`).sort())
})

test.concurrent('it keeps the running configuration when the file is bad or gone, says so, and takes the next good one', async () => {
  const directory = newDirectory()
  const file = join(directory, 'config.yaml')
  writeFileSync(file, answering('one'))
  const command = startCommand(['-f', file])
  const { url, statsUrl } = await ready(command)
  expect(await synchronized(statsUrl)).toBe(1)

  replace(file, 'binds: [{port: 0, listners: []}]')
  const complaint = await command.line((line) => line.path === 'binds[0].listners')
  expect(complaint).toMatchObject({ level: 'error', place: expect.stringContaining(`${file}:1:`) })
  expect(await synchronized(statsUrl)).toBe(0)
  expect(await send(url)).toMatchObject({ body: 'one' })

  replace(file, answering('two'))
  await reloads(command, 1)
  expect(await synchronized(statsUrl)).toBe(1)
  expect(await send(url)).toMatchObject({ body: 'two' })

  rmSync(file)
  expect(await send(url)).toMatchObject({ body: 'two' })
  writeFileSync(file, answering('three'))
  await reloads(command, 2)
  expect(await send(url)).toMatchObject({ body: 'three' })
})

test.concurrent('it finishes what began under the old configuration on the old one', async () => {
  const directory = newDirectory()
  const file = join(directory, 'config.yaml')
  writeFileSync(file, gatewayWith([{ matches: under('/v1'), backends: [openAIBackend(provider)] }]))
  const command = startCommand(['-f', file])
  const { url } = await ready(command)
  const streams = await Promise.all(
    Array.from({ length: 4 }, () =>
      open(`${url}/v1/chat/completions`, {
        headers: {
          'content-type': 'application/json',
          authorization: 'Bearer sk-test',
          'x-simulate': JSON.stringify({ text: 'word '.repeat(40), chunks: 40, chunkDelayMs: 40 }),
        },
        body: JSON.stringify(chatBody({ stream: true })),
      }),
    ),
  )
  replace(file, answering('new'))
  await reloads(command, 1)
  expect(await send(`${url}/v1/chat/completions`)).toMatchObject({ body: 'new' })
  expect(provider.openStreams).toBe(4)
  for (const response of streams) {
    const { body, broken } = await collect(response)
    expect({ broken, isWhole: body.includes('[DONE]') }).toEqual({ broken: false, isWhole: true })
  }
})

test.concurrent('it takes over a key from a file when only that file changes', async () => {
  const directory = newDirectory()
  const file = join(directory, 'config.yaml')
  const key = join(directory, 'key')
  writeFileSync(key, 'sk-first\n')
  const backend = openAIBackend(provider, { backendAuth: { key: { file: key } } })
  writeFileSync(file, gatewayWith([{ backends: [backend] }]))
  const command = startCommand(['-f', file])
  const { url } = await ready(command)
  const ask = () => sendJson(`${url}/v1/chat/completions`, chatBody())
  expect(await ask()).toMatchObject({ status: 200 })
  replace(key, 'sk-second\n')
  await reloads(command, 1)
  expect(await ask()).toMatchObject({ status: 200 })
  expect(
    provider.calls.filter(({ streamed }) => !streamed).map(({ headers }) => headers.authorization),
  ).toEqual(['Bearer sk-first', 'Bearer sk-second'])
})
