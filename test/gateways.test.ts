/** `gateways`: routes and models at one port, over HTTP and HTTPS. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { chatBody, toYaml } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { send } from './support/wire.ts'

const file = (name: string) => fileURLToPath(new URL(`fixtures/tls/${name}`, import.meta.url))

let provider: SimulatedProvider
let gateway: RunningGateway

beforeAll(async () => {
  provider = await startSimulatedOpenAI()
  const tls = { cert: file('one.pem'), key: file('one.key') }
  gateway = await runGateway(
    toYaml({
      gateways: { default: { port: 0 }, edge: { port: 0, tls } },
      routes: [
        {
          gateways: ['default', 'edge'],
          matches: [{ path: { exact: '/ping' } }],
          policies: { directResponse: { status: 200, body: 'pong' } },
        },
      ],
      llm: {
        models: [{ name: '*', provider: 'openAI', params: { baseUrl: `http://127.0.0.1:${provider.port}` } }],
      },
    }),
  )
})

afterAll(async () => {
  await gateway.close()
  await provider.close()
})

test('a route, and models beside it', async () => {
  expect(await send(`${gateway.url}/ping`)).toMatchObject({ status: 200, body: 'pong' })
  const client = new OpenAI({ apiKey: 'k', baseURL: `${gateway.url}/v1`, maxRetries: 0 })
  const answer = await client.chat.completions.create(chatBody() as never)
  expect(answer.choices[0]?.message.content).toBeTruthy()
})

test('a gateway with TLS is HTTPS, and has only what names it', async () => {
  const url = `https://127.0.0.1:${gateway.gateway.ports().binds[1]}`
  const tls = { ca: readFileSync(file('ca.pem'), 'utf8'), servername: 'one.test' }
  const headers = { host: 'one.test' }
  expect(await send(`${url}/ping`, { headers, tls })).toMatchObject({ status: 200, body: 'pong' })
  expect(await send(`${url}/v1/models`, { headers, tls })).toMatchObject({ status: 404 })
})
