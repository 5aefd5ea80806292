/** Users with passwords, as a browser asks: the challenge, the password's end at the gateway, a new file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadConfig } from '../src/config/load.ts'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { chatBody, gatewayWith, hostBackend, openAIBackend, under } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { send, sendJson } from './support/wire.ts'

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-basic-auth-'))
const file = join(directory, 'users')
const ANN = 'ann:$2y$04$0/L8XHr7yOx2l3jZnLYAaeABxK2Lb2909H5zR907QA5QaPbanREsm'
let openAI: SimulatedProvider
let configuration: string
let gateway: RunningGateway

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  writeFileSync(file, ANN)
  const rules = { authorization: { rules: ['basicAuth.username == "ann"'] } }
  configuration = gatewayWith([
    {
      matches: under('/v1'),
      policies: { basicAuth: { htpasswd: { file }, realm: 'Models' }, ...rules },
      backends: [openAIBackend(openAI, { backendAuth: { key: 'sk-owner' } })],
    },
    {
      policies: { basicAuth: { htpasswd: 'bob:$$apr1$$x$$tMwYqBfQwi3FYAr0aJc8M/' }, ...rules },
      backends: [hostBackend(openAI)],
    },
  ])
  gateway = await runGateway(configuration)
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  rmSync(directory, { recursive: true })
})

const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
const chat = (headers: Record<string, string>) =>
  sendJson(`${gateway.url}/v1/chat/completions`, chatBody(), headers)

test('none, a wrong one, the right one', async () => {
  const none = await chat({})
  expect(none).toMatchObject({
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="Models", charset="UTF-8"' },
  })
  expect(JSON.parse(none.body).error.code).toBe('unauthenticated')
  expect(await chat(basic('ann:hunter2'))).toMatchObject({ status: 401 })
  expect(await chat(basic('bob:s3cret'))).toMatchObject({ status: 401 })
  expect(openAI.calls).toEqual([])
  const [first, ...others] = await Promise.all([1, 2, 3, 4].map(() => chat(basic('ann:s3cret'))))
  for (const { status } of [first, ...others].filter((reply) => reply !== undefined)) expect(status).toBe(200)
  expect(openAI.calls.map(({ headers }) => headers.authorization)).toEqual(Array(4).fill('Bearer sk-owner'))
})

test('who it is, the next policy judges', async () => {
  expect(await send(gateway.url, { headers: basic('bob:') })).toMatchObject({
    status: 403,
    body: 'authorization failed',
  })
})

test('after a reload the file’s new word counts, whatever was remembered', async () => {
  writeFileSync(file, 'bob:$apr1$x$tMwYqBfQwi3FYAr0aJc8M/\n')
  const loaded = loadConfig({ text: configuration, file: 'gateway.yaml', environment: {} })
  if (!loaded.ok) throw new Error('the configuration is not valid')
  await gateway.gateway.reload(loaded.config)
  expect(await chat(basic('ann:s3cret'))).toMatchObject({ status: 401 })
  writeFileSync(file, 'ann:hunter2')
  await expect(gateway.gateway.reload(loaded.config)).rejects.toThrow(/line 1 has no hash/)
})
