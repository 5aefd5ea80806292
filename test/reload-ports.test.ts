/** What a reload does to ports: all of it or nothing, and no connection served by a configuration that is gone. */
import { readFileSync } from 'node:fs'
import { request as secureRequest } from 'node:https'
import { type AddressInfo, connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { loadConfig } from '../src/config/load.ts'
import type { Config } from '../src/config/schema.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'

const CERT = fileURLToPath(new URL('fixtures/tls/one.pem', import.meta.url))
const KEY = fileURLToPath(new URL('fixtures/tls/one.key', import.meta.url))
let gateway: RunningGateway

afterEach(() => gateway.close())

function parsed(yaml: string): Config {
  const loaded = loadConfig({ text: yaml, file: 'test.yaml', environment: {} })
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join('\n'))
  return loaded.config
}

const plain = (port: number, answer: string) =>
  `  - {port: ${port}, listeners: [{routes: [{policies: {directResponse: {status: 200, body: ${answer}}}}]}]}\n`
const secure = (port: number, cert: string, answer: string) =>
  `  - {port: ${port}, listeners: [{protocol: HTTPS, tls: {cert: ${cert}, key: ${KEY}}, routes: [{policies: {directResponse: {status: 200, body: ${answer}}}}]}]}\n`
const get = async (url: string) => (await fetch(url, { headers: { connection: 'close' } })).text()

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('a certificate that is none changes nothing', async () => {
  gateway = await runGateway(`binds:\n${plain(0, 'old')}`)
  const next = parsed(`binds:\n${plain(0, 'new')}${secure(0, fileURLToPath(import.meta.url), 'secure')}`)
  await expect(gateway.gateway.reload(next)).rejects.toThrow('the certificate and its key cannot be used')
  expect(await get(gateway.url)).toBe('old')
  expect(gateway.gateway.ports().binds).toHaveLength(1)
})

test('a port goes over from HTTP to HTTPS', async () => {
  const port = await freePort()
  gateway = await runGateway(`binds:\n${plain(port, 'plain')}`)
  expect(await get(`http://127.0.0.1:${port}`)).toBe('plain')
  await gateway.gateway.reload(parsed(`binds:\n${secure(port, CERT, 'secure')}`))
  const body = await new Promise<string>((resolve, reject) => {
    secureRequest(
      { port, host: '127.0.0.1', ca: readFileSync(CERT), rejectUnauthorized: false },
      (response) => {
        response.setEncoding('utf8').on('data', resolve)
      },
    )
      .on('error', reject)
      .end()
  })
  expect(body).toBe('secure')
})

test('a connection to a port that is gone ends with its next response', async () => {
  gateway = await runGateway(`binds:\n${plain(0, 'one')}${plain(0, 'two')}`)
  const [, second = 0] = gateway.gateway.ports().binds
  const socket = connect(second, '127.0.0.1')
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes
  })
  const ended = new Promise((resolve) => socket.once('end', resolve))
  // The head is only half there when the port goes: the connection is not idle.
  await new Promise<void>((resolve) => socket.write('GET / HTTP/1.1\r\n', () => resolve()))
  await expect.poll(() => gateway.metric('agentgateway_downstream_connections_active')).toBeGreaterThan(0)
  await gateway.gateway.reload(parsed(`binds:\n${plain(0, 'one')}`))
  socket.write('host: a\r\n\r\n')
  await ended
  expect(text).toMatch(/Connection: close/i)
})
