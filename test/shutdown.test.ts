/** The end of the process: what is under way may finish, within a deadline; nothing that happened goes untold. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import { type Collector, startCollector } from './support/collector.ts'
import { endCommands, ready, says, startCommand } from './support/command.ts'
import { chatBody, gatewayWith, openAIBackend } from './support/configuration.ts'
import { collect, open, send } from './support/wire.ts'

let provider: SimulatedProvider
let collector: Collector

beforeAll(async () => {
  provider = await startSimulatedOpenAI()
  collector = await startCollector()
})

afterAll(async () => {
  endCommands()
  await provider.close()
  await collector.close()
})

function start(config: object = {}) {
  const yaml = gatewayWith([{ backends: [openAIBackend(provider)] }], {
    config: { tracing: { otlpEndpoint: collector.url, randomSampling: true }, ...config },
  })
  return startCommand(['-c', yaml])
}

const stream = (url: string, script: Script) =>
  open(`${url}/v1/chat/completions`, {
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer sk-test',
      'x-simulate': JSON.stringify(script),
    },
    body: JSON.stringify(chatBody({ stream: true })),
  })

const isRecord = (line: Readonly<Record<string, unknown>>) => line.scope === 'request'

test.concurrent('it lets a stream finish, takes nothing new, says that it drains, and ends with 0', async () => {
  const command = start({ connectionTerminationDeadline: '20s' })
  const { url, readinessUrl } = await ready(command)
  const response = await stream(url, { text: 'word '.repeat(40), chunks: 40, chunkDelayMs: 40 })
  expect(await send(`${readinessUrl}/healthz/ready`)).toMatchObject({ status: 200 })

  command.kill('SIGTERM')
  await command.line(says('draining'))
  expect(await send(`${readinessUrl}/healthz/ready`)).toMatchObject({ status: 503 })
  await expect(stream(url, {})).rejects.toThrow(/ECONNREFUSED|ECONNRESET/)

  const reply = await collect(response)
  expect(reply).toMatchObject({ status: 200, broken: false })
  expect(reply.body).toContain('[DONE]')
  expect(await command.exited).toMatchObject({ code: 0, stderr: '' })
  expect(command.lines().filter(isRecord)).toMatchObject([{ outcome: 'completed', 'http.status': 200 }])
  expect(command.lines().at(-1)).toMatchObject({ message: 'stopped' })

  const traceId = String(response.headers['x-trace-id'])
  const spans = collector.spans.filter((span) => span.traceId === traceId)
  expect(spans.map(({ kind }) => kind).sort()).toEqual(['client', 'client', 'server'])
})

test.concurrent('it closes kept connections of clients that are idle, and those of the others after their answer', async () => {
  const command = start({ connectionTerminationDeadline: '20s' })
  const { url } = await ready(command)
  const first = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-test' },
    body: JSON.stringify(chatBody()),
  })
  expect(first.status).toBe(200)
  await first.text()
  // The connection of `fetch` is still open: with nothing on it, it must not hold up the end.
  command.kill('SIGTERM')
  expect(await command.exited).toMatchObject({ code: 0 })
})

test.concurrent('it still takes requests for the minimum that it is told', async () => {
  const command = start({ connectionMinTerminationDeadline: '2s', connectionTerminationDeadline: '20s' })
  const { url, readinessUrl } = await ready(command)
  command.kill('SIGTERM')
  await command.line(says('draining'))
  expect(await send(`${readinessUrl}/healthz/ready`)).toMatchObject({ status: 503 })
  const reply = await collect(await stream(url, {}))
  expect(reply).toMatchObject({ status: 200, broken: false, headers: { connection: 'close' } })
  expect(await command.exited).toMatchObject({ code: 0 })
})

test.concurrent('it cuts what is not done at the deadline, keeps its record and ends with 0', async () => {
  const command = start({ connectionTerminationDeadline: '300ms' })
  const { url } = await ready(command)
  const response = await stream(url, { fault: 'stall', afterChunks: 3, chunks: 9 })
  const reply = collect(response)
  command.kill('SIGTERM')
  expect(await command.exited).toMatchObject({ code: 0 })
  const { body } = await reply
  expect(body).not.toContain('[DONE]')
  const records = command.lines().filter(isRecord)
  expect(records).toHaveLength(1)
  // Neither the client nor the provider did that.
  expect(records[0]).toMatchObject({ 'http.status': 200, error_type: 'gateway_shutdown', outcome: 'shed' })
  const traceId = String(response.headers['x-trace-id'])
  expect(collector.spans.some((span) => span.traceId === traceId)).toBe(true)
})

test.concurrent('it ends at once at the second Ctrl-C', async () => {
  const command = start({ connectionTerminationDeadline: '10m' })
  const { url } = await ready(command)
  const response = await stream(url, { fault: 'stall', afterChunks: 3, chunks: 9 })
  const reply = collect(response)
  command.kill('SIGINT')
  await command.line(says('draining'))
  command.kill('SIGINT')
  expect(await command.exited).toMatchObject({ code: 130 })
  expect(await reply).toMatchObject({ broken: true })
})
