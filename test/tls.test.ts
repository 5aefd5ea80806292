/** TLS on both sides. The certificates are for one.test and *.wild.test, from a root of their own, until 2126. */
import { readFileSync } from 'node:fs'
import { connect, type PeerCertificate } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { chatBody, gatewayWith, hostBackend, openAIBackend, toYaml, under } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { send, sendBytes, sendJson } from './support/wire.ts'

const file = (name: string) => fileURLToPath(new URL(`fixtures/tls/${name}`, import.meta.url))
const root = readFileSync(file('ca.pem'), 'utf8')
const pair = (name: string) => ({ cert: file(`${name}.pem`), key: file(`${name}.key`) })

describe('to clients', () => {
  let gateway: RunningGateway
  let url: string
  let port: number

  beforeAll(async () => {
    const says = (body: string) => [{ policies: { directResponse: { status: 200, body } } }]
    gateway = await runGateway(
      toYaml({
        binds: [
          {
            port: 0,
            listeners: [
              { protocol: 'HTTPS', hostname: '*.wild.test', tls: pair('wild'), routes: says('wild') },
              { protocol: 'HTTPS', hostname: 'one.test', tls: pair('one'), routes: says('one') },
            ],
          },
        ],
      }),
    )
    port = Number(new URL(gateway.url).port)
    url = `https://127.0.0.1:${port}`
  })

  afterAll(() => gateway.close())

  const ask = (servername: string, host = servername) =>
    send(url, { headers: { host }, tls: { ca: root, servername } })

  test.each([
    { name: 'one.test', by: 'one' },
    { name: 'a.wild.test', by: 'wild' },
    { name: 'b.wild.test', by: 'wild' },
  ])('it serves $name with the certificate of that name', async ({ name, by }) => {
    const before = gateway.records().length
    expect(await ask(name)).toMatchObject({ status: 200, body: by })
    expect(await certificate(port, name)).toMatchObject({ subject: { CN: `${by}.test` } })
    expect(gateway.records()[before]).toMatchObject({ 'http.status': 200, 'http.host': name })
  })

  test('it answers 421 when the request is for another host than the connection', async () => {
    const reply = await ask('one.test', 'a.wild.test')
    expect(reply).toMatchObject({ status: 421, body: 'misdirected request' })
  })

  test('it survives a client that speaks no TLS', async () => {
    expect(await sendBytes(gateway.url, 'GET / HTTP/1.1\r\nhost: one.test\r\n\r\n')).not.toContain('200')
    expect(await ask('one.test')).toMatchObject({ status: 200 })
  })
})

function certificate(port: number, servername: string): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername, ca: root }, () => {
      resolve(socket.getPeerCertificate())
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

describe('to upstreams', () => {
  let provider: SimulatedProvider
  let gateway: RunningGateway

  const TRUSTED = {
    '/named': { root: file('ca.pem'), hostname: 'one.test' },
    '/insecure': { insecure: true },
  }
  const LENIENT = { '/any-name': { root: file('ca.pem'), insecureHost: true } }
  const REFUSED = {
    '/untrusted': { hostname: 'one.test' },
    '/wrong-name': { root: file('ca.pem'), hostname: 'two.test' },
    '/own-name': { root: file('ca.pem') },
  }

  beforeAll(async () => {
    const { cert, key } = pair('one')
    provider = await startSimulatedOpenAI({
      tls: { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') },
    })
    const policies = { urlRewrite: { path: { prefix: '/' } } }
    gateway = await runGateway(
      gatewayWith([
        ...Object.entries({ ...TRUSTED, ...LENIENT, ...REFUSED }).flatMap(([path, backendTLS]) => [
          {
            matches: under(path),
            policies,
            backends: [{ ...hostBackend(provider), policies: { backendTLS } }],
          },
          {
            matches: under(`/llm${path}`),
            policies,
            backends: [openAIBackend(provider, { backendTLS })],
          },
        ]),
        { matches: under('/plaintext'), policies, backends: [hostBackend(provider)] },
      ]),
    )
  })

  afterAll(async () => {
    await gateway.close()
    await provider.close()
  })

  const ask = (path: string) =>
    sendJson(`${gateway.url}${path}/v1/chat/completions`, chatBody(), { authorization: 'Bearer sk-test' })
  const everyway = (paths: object) => Object.keys(paths).flatMap((path) => [path, `/llm${path}`])

  test.each(everyway({ ...TRUSTED, ...LENIENT }))('it trusts as it is told at %s', async (path) => {
    const before = provider.calls.length
    expect(await ask(path)).toMatchObject({ status: 200 })
    expect(provider.calls).toHaveLength(before + 1)
  })

  test.each([...everyway(REFUSED), '/plaintext'])(
    'it answers 503 when there can be no trust at %s',
    async (path) => {
      const calls = provider.calls.length
      const before = gateway.records().length
      const reply = await ask(path)
      expect(reply.status).toBe(503)
      expect(reply.body).toContain('upstream call failed')
      expect(provider.calls).toHaveLength(calls)
      const record = (await gateway.recorded(before + 1))[before]
      expect(record).toMatchObject({ outcome: 'upstream_error' })
      if (path !== '/plaintext') expect(record).toMatchObject({ error_type: 'provider_connect' })
    },
  )
})
