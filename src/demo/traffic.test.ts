import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedAnthropic, startSimulatedOpenAI } from './provider.ts'
import { runTraffic, type Sent } from './traffic.ts'
import { MIX } from './traffic-mix.ts'

let openAI: SimulatedProvider
let anthropic: SimulatedProvider
let gatewayUrl: string

async function textOf(message: IncomingMessage): Promise<string> {
  let text = ''
  for await (const piece of message.setEncoding('utf8')) text += String(piece)
  return text
}

/**
 * Stands in for the gateway: chooses the provider by the format of the path and passes bytes on. It translates
 * nothing, so what crosses formats goes to the provider that speaks the format, under a model of its own. MCP it answers
 * itself.
 */
const router = createServer(async (incoming, outgoing) => {
  if (incoming.url === '/mcp') {
    const isThere = incoming.headers['mcp-name'] !== 'tide_times'
    outgoing.writeHead(isThere ? 200 : 400, { 'content-type': 'application/json' }).end('{}')
    return
  }
  const path = (incoming.url ?? '').replace(/^\/(anthropic|openai)\//, '/')
  const isMessages = path.startsWith('/v1/messages')
  const body = (await textOf(incoming)).replace(/"model":"(gpt|claude)-[^"]*"/, (model, vendor: string) =>
    (vendor === 'claude') === isMessages ? model : `"model":"${isMessages ? 'claude' : 'gpt'}-other"`,
  )
  const { 'content-length': _, ...headers } = incoming.headers
  const upstream = httpRequest(
    `${isMessages ? anthropic.url : openAI.url}${path}`,
    { method: incoming.method, headers, agent: false },
    (response) => {
      outgoing.writeHead(response.statusCode ?? 500, response.headers)
      response.on('error', () => outgoing.destroy())
      response.pipe(outgoing)
    },
  )
  upstream.on('error', () => outgoing.destroy())
  outgoing.on('close', () => upstream.destroy())
  upstream.end(body)
})

beforeAll(async () => {
  openAI = await startSimulatedOpenAI()
  anthropic = await startSimulatedAnthropic()
  await new Promise<void>((resolve) => router.listen(0, '127.0.0.1', resolve))
  gatewayUrl = `http://127.0.0.1:${(router.address() as AddressInfo).port}`
})
afterAll(async () => {
  router.close()
  router.closeAllConnections()
  await openAI.close()
  await anthropic.close()
})

test('sends the mix once, and each request ends as planned', async () => {
  const seen: Sent[] = []
  const all = await runTraffic({ gatewayUrl, once: true, onSent: (sent) => seen.push(sent) })
  expect(all.filter((sent) => !sent.asExpected).map(({ planned, ...sent }) => [planned.name, sent])).toEqual(
    [],
  )
  expect(all.map((sent) => sent.planned)).toEqual(MIX)
  expect(seen).toEqual(all)

  await openAI.waitFor(() => openAI.inFlight === 0)
  await anthropic.waitFor(() => anthropic.inFlight === 0)
  const calls = [...openAI.calls, ...anthropic.calls]
  expect(calls).toHaveLength(MIX.filter(({ path }) => path !== '/mcp').length)
  const traces = new Set(calls.map((call) => call.traceparent?.split('-')[1]))
  const passedOn = all.filter(({ planned }) => planned.path !== '/mcp')
  expect(traces).toEqual(new Set(passedOn.map((sent) => sent.traceId)))
  expect(calls.filter((call) => call.aborted)).toHaveLength(2)
})

test('goes on until it is told to stop', async () => {
  const stop = new AbortController()
  let count = 0
  const running = runTraffic({
    gatewayUrl,
    rate: 200,
    signal: stop.signal,
    onSent: () => {
      count += 1
      if (count === 20) stop.abort()
    },
  })
  expect(await running).toEqual([])
  expect(count).toBeGreaterThanOrEqual(20)
})

test('covers what the demo has to show', () => {
  const endings = new Set(MIX.map((planned) => planned.expected.ending))
  expect(endings).toEqual(new Set(['answer', 'error', 'abort', 'broken']))
  expect(new Set(MIX.map((planned) => planned.name)).size).toBe(MIX.length)
})
