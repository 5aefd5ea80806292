import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { send, sendBytes } from '../../test/support/wire.ts'
import { readBody } from './body.ts'

const LIMIT = 100_000
const TEXT = Buffer.from('{"text":"é…🙂"}')

let url: string
let latest: IncomingMessage
/** How often the latest request was answered for. */
let calls = 0
const server = createServer((request, response) => {
  latest = request
  calls = 0
  readBody(request, LIMIT, (error, body) => {
    calls++
    if (error === undefined) response.end(body)
    else response.writeHead(error.status, { connection: 'close' }).end(`${error.code}: ${error.message}`)
  })
})

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.close()
  server.closeAllConnections()
})

const upload = (body: Buffer, encoding?: string, chunked = false) =>
  send(url, {
    body,
    headers: {
      ...(encoding !== undefined && { 'content-encoding': encoding }),
      ...(chunked && { 'transfer-encoding': 'chunked' }),
    },
  })

describe('a body', () => {
  test.each([
    { name: 'as it is', body: TEXT },
    { name: 'identity', body: TEXT, encoding: 'identity' },
    { name: 'gzip', body: gzipSync(TEXT), encoding: 'gzip' },
    { name: 'GZIP', body: gzipSync(TEXT), encoding: 'GZIP' },
    { name: 'deflate', body: deflateSync(TEXT), encoding: 'deflate' },
    { name: 'br', body: brotliCompressSync(TEXT), encoding: 'br' },
    { name: 'zstd', body: zstdCompressSync(TEXT), encoding: 'zstd' },
  ])('it is read and decoded: $name', async ({ body, encoding }) => {
    for (const chunked of [false, true])
      expect(await upload(body, encoding, chunked)).toMatchObject({ status: 200, body: TEXT.toString() })
    expect(calls).toBe(1)
  })

  test('it may be empty', async () => {
    expect(await send(url)).toMatchObject({ status: 200, body: '' })
    expect(await upload(Buffer.alloc(0), undefined, true)).toMatchObject({ status: 200, body: '' })
  })

  test('it may come byte by byte', async () => {
    const chunks = [...TEXT].map((byte) =>
      Buffer.concat([Buffer.from('1\r\n'), Buffer.of(byte), Buffer.from('\r\n')]),
    )
    const head = 'POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n'
    const answer = await sendBytes(
      url,
      Buffer.concat([Buffer.from(head), ...chunks, Buffer.from('0\r\n\r\n')]),
    )
    expect(answer).toContain(TEXT.toString())
  })
})

describe('the limit', () => {
  const full = Buffer.alloc(LIMIT, 'x')
  const over = Buffer.alloc(LIMIT + 1, 'x')

  test.each([
    { name: 'with its length', encoding: undefined, pack: (body: Buffer) => body, chunked: false },
    { name: 'without its length', encoding: undefined, pack: (body: Buffer) => body, chunked: true },
    { name: 'packed', encoding: 'gzip', pack: (body: Buffer) => gzipSync(body), chunked: false },
  ])('it is the last byte that fits, decoded: $name', async ({ encoding, pack, chunked }) => {
    expect(await upload(pack(full), encoding, chunked)).toMatchObject({ status: 200, body: full.toString() })
    expect(await upload(pack(over), encoding, chunked)).toMatchObject({
      status: 413,
      body: expect.stringMatching(/^body_too_large: .*100000 bytes/),
    })
    expect(calls).toBe(1)
  })

  test('it holds before a byte of a long body has come', async () => {
    const head = `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${LIMIT + 1}\r\n\r\n`
    expect(await sendBytes(url, head)).toMatch(/^HTTP\/1\.1 413 /)
  })

  test.each([
    { encoding: 'gzip', pack: gzipSync },
    { encoding: 'deflate', pack: deflateSync },
    {
      encoding: 'br',
      pack: (body: Buffer) => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
    },
    { encoding: 'zstd', pack: zstdCompressSync },
  ])('it stops a bomb before it unfolds: $encoding', async ({ encoding, pack }) => {
    const bomb = pack(Buffer.alloc(64 * 1024 * 1024))
    expect(bomb.length).toBeLessThan(LIMIT)
    const before = process.memoryUsage().arrayBuffers
    expect(await upload(bomb, encoding)).toMatchObject({ status: 413 })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024)
  })
})

describe('an encoding', () => {
  test.each(['compress', 'gzip, br', 'constructor', 'toString'])(
    'it is refused when it is not known: %s',
    async (encoding) => {
      expect(await upload(TEXT, encoding)).toMatchObject({
        status: 415,
        body: `unsupported_encoding: failed to process LLM request: unknown content-encoding ${encoding}`,
      })
    },
  )

  test.each([
    { name: 'plain text for gzip', body: TEXT, encoding: 'gzip' },
    { name: 'half a gzip', body: gzipSync(TEXT).subarray(0, -6), encoding: 'gzip' },
    { name: 'plain text for br', body: TEXT, encoding: 'br' },
    { name: 'plain text for zstd', body: TEXT, encoding: 'zstd' },
    { name: 'gzip for deflate', body: gzipSync(TEXT), encoding: 'deflate' },
  ])('it has to be the right one: $name', async ({ body, encoding }) => {
    expect(await upload(body, encoding)).toMatchObject({
      status: 400,
      body: expect.stringMatching(`^invalid_body: .* not valid ${encoding}`),
    })
  })
})

test.each([
  { name: 'a plain body', head: '' },
  { name: 'a packed body', head: 'content-encoding: gzip\r\n' },
])('it calls back never when the client leaves in the middle of $name', async ({ head }) => {
  const arrived = once(server, 'request')
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(`POST / HTTP/1.1\r\nhost: a\r\n${head}content-length: 99\r\n\r\n`)
  socket.write(gzipSync(TEXT).subarray(0, 12))
  await arrived
  const closed = new Promise((resolve) => latest.once('close', resolve))
  socket.destroy()
  await closed
  await new Promise((resolve) => setImmediate(resolve))
  expect(calls).toBe(0)
})
