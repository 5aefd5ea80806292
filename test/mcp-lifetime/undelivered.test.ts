/** What a server says while nobody listens is kept for later, and only so much of it. */
import type { ServerResponse } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { openSession, sseEvents } from '../support/mcp-lab.ts'
import {
  isHttp,
  mcpYaml,
  openEvents,
  runFor,
  sendEvent,
  startScripted,
  targetOf,
} from './scripted-server.fixture.ts'

setFlagsFromString('--expose-gc')
const collect: unknown = runInNewContext('gc')

async function heapBytes(): Promise<number> {
  for (let count = 0; count < 3; count++) {
    if (typeof collect === 'function') collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}

test('it holds little of 100 notifications of 1 MB, and the latest of them', async () => {
  const server = await startScripted()
  const gateway = await runFor([server], mcpYaml([targetOf('web', server)]))
  let stream: ServerResponse | undefined
  server.script = (seen, response) => {
    if (!isHttp('GET')(seen)) return false
    stream = response
    return openEvents(response)
  }
  const session = await openSession(gateway.mcp)
  const headers = { accept: 'text/event-stream', ...session }
  const leaving = new AbortController()
  const first = await fetch(gateway.mcp, { headers, signal: leaving.signal })
  await server.arrived(isHttp('GET'))
  leaving.abort()
  await first.body?.cancel().catch(() => {})
  await gateway.recorded(3)
  const before = await heapBytes()
  for (let index = 0; index < 100; index++) {
    const data = `${index} ${'x'.repeat(1_000_000)}`
    const message = { method: 'notifications/message', params: { level: 'info', data } }
    if (stream !== undefined && !sendEvent(stream, message))
      await new Promise<void>((resolve) => stream?.once('drain', resolve))
  }
  // Its answer shows that all before it was read.
  if (stream !== undefined) sendEvent(stream, { id: 'last', method: 'ping' })
  await server.arrived(({ message }) => message.id === 'last')
  expect((await heapBytes()) - before).toBeLessThan(20_000_000)
  const again = await fetch(gateway.mcp, { headers })
  for await (const { message } of sseEvents(again)) {
    if (message === undefined) continue
    expect(String((message.params as { data: string }).data).slice(0, 3)).toBe('99 ')
    break
  }
  await gateway.close()
  await server.close()
})
