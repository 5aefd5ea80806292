import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { connect } from '../connection.ts'
import { readMarks } from '../marks.ts'
import { jsonRequest, largeRequest, streamRequest } from '../requests.ts'
import type { ProviderScript } from './provider.ts'

async function provider(script: ProviderScript) {
  const file = fileURLToPath(new URL('provider.ts', import.meta.url))
  const child = spawn(process.execPath, [file, JSON.stringify(script)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    if (child.kill()) await once(child, 'exit')
  })
  const [port] = await once(createInterface(child.stdout), 'line')
  const site = { host: '127.0.0.1', port: Number(port), base: '/v1' }
  const connection = await connect(site)
  onTestFinished(connection.close)
  return { site, connection }
}

test('it answers small and large requests, and streams as often as asked, on one connection', async () => {
  const { site, connection } = await provider({ chunks: 3, chunkDelayMs: 1 })
  for (const request of [jsonRequest(site), largeRequest(site), jsonRequest(site)]) {
    const pieces: Buffer[] = []
    expect(await connection.request(request, (piece) => pieces.push(piece))).toBe(200)
    expect(JSON.parse(Buffer.concat(pieces).toString())).toMatchObject({ object: 'chat.completion' })
  }
  for (let count = 0; count < 2; count++) {
    const delays: number[] = []
    const reader = readMarks((delayMs) => delays.push(delayMs))
    expect(await connection.request(streamRequest(site), reader.read)).toBe(200)
    expect(reader.isWhole()).toBe(true)
    // Head, three chunks, the reason of the end, usage, the end.
    expect([reader.chunks(), reader.events()]).toEqual([3, 7])
    for (const delay of delays) expect(delay).toBeGreaterThanOrEqual(0)
  }
})

test('a stream without end goes on until it is finished', async () => {
  const { site, connection } = await provider({ chunkDelayMs: 1 })
  const other = await connect(site)
  onTestFinished(other.close)
  const reader = readMarks()
  let heard = () => {}
  const fifth = new Promise<void>((resolve) => {
    heard = resolve
  })
  const ended = connection.request(streamRequest(site), (piece) => {
    reader.read(piece)
    if (reader.chunks() >= 5) heard()
  })
  await fifth
  expect(reader.isWhole()).toBe(false)
  await other.request(Buffer.from('POST /finish HTTP/1.1\r\nhost: here\r\ncontent-length: 0\r\n\r\n'))
  expect(await ended).toBe(200)
  expect(reader.isWhole()).toBe(true)
})

test("it speaks Anthropic's API, too", async () => {
  const { site, connection } = await provider({ chunks: 2, chunkDelayMs: 1 })
  const body = JSON.stringify({ model: 'claude-haiku-4-5', max_tokens: 9, stream: true, messages: [] })
  const head = `POST /v1/messages HTTP/1.1\r\nhost: here\r\ncontent-length: ${body.length}\r\n\r\n`
  let text = ''
  await connection.request(Buffer.from(head + body), (piece) => {
    text += piece.toString()
  })
  expect(text.match(/^event: content_block_delta$/gm)).toHaveLength(2)
  expect(text).toMatch(/event: message_stop\ndata: \{.*\}\n\n$/)
  await connection.request(jsonRequest(site))
})
