/** Streams that their clients leave when they have seen the last event, while the provider keeps the connection open. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chatBody, gatewayWith } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'

const CHAT = '/v1/chat/completions'
const chunk = (delta: object, finish_reason: string | null = null) => ({
  id: 'c',
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta, finish_reason }],
})
const TEXT = JSON.stringify(chunk({ role: 'assistant', content: 'Hello' }))
const WHOLE = [TEXT, JSON.stringify(chunk({}, 'stop')), '[DONE]']
const HALF = [TEXT]
const FAILED = [TEXT, JSON.stringify({ error: { message: 'it broke' } })]

let answers: (readonly string[] | 503)[]
/** What the provider has to say after the first event, which its client has to have seen. */
let goOn: () => void
let provider: Server
let gateway: RunningGateway

beforeEach(async () => {
  answers = []
  goOn = () => {}
  provider = createServer((request, response) => {
    request.resume().on('end', () => {
      const events = answers.shift() ?? WHOLE
      if (events === 503) response.writeHead(503).end()
      else {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        const [begin = '', ...rest] = events.map((data) => `data: ${data}\n\n`)
        response.write(begin)
        goOn = () => {
          goOn = () => {}
          for (const event of rest) response.write(event)
        }
      }
    })
  })
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  const { port } = provider.address() as AddressInfo
  const openAI = (name: string) => ({
    name,
    hostOverride: `127.0.0.1:${port}`,
    provider: { openAI: {} },
  })
  const groups = ['first', 'second'].map((name) => ({ providers: [openAI(name)] }))
  gateway = await runGateway(
    gatewayWith([
      { backends: [{ ai: { groups, policies: { ai: { routes: { [CHAT]: 'completions' } } } } }] },
    ]),
  )
})

afterEach(async () => {
  await gateway.close()
  provider.closeAllConnections()
  await new Promise((resolve) => provider.close(resolve))
})

/** Leaves after the event that has `last` in it. */
async function ask(last: string): Promise<void> {
  const leaving = new AbortController()
  const { body } = await fetch(`${gateway.url}${CHAT}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(chatBody({ stream: true })),
    signal: leaving.signal,
  })
  let text = ''
  for await (const bytes of body ?? []) {
    text += Buffer.from(bytes).toString()
    if (text.includes(last)) break
    goOn()
  }
  leaving.abort()
}

test.each([
  { name: 'that were whole are successes', events: WHOLE, last: '[DONE]', evictions: 0 },
  { name: 'that told of an error are failures', events: FAILED, last: 'it broke', evictions: 1 },
  { name: 'that could have gone on are neither', events: HALF, last: 'Hello', evictions: 0 },
])('those $name', async ({ events, last, evictions }) => {
  answers = [503, WHOLE, 503, WHOLE, events]
  await ask('[DONE]')
  await ask('[DONE]')
  await ask(last)
  await gateway.recorded(3)
  expect(await gateway.metric('agentgateway_backend_evictions_total', { backend: 'first' })).toBe(evictions)
  answers = [503, WHOLE]
  await ask('[DONE]')
  await gateway.recorded(4)
  expect(await gateway.metric('agentgateway_backend_evictions_total', { backend: 'first' })).toBe(
    events === WHOLE ? 0 : 1,
  )
})
