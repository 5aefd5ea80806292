/** MCP over several workers: one session, whichever of them takes a request, and one record of each request. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../../src/demo/provider.ts'
import { chatBody, openAIBackend, toYaml } from '../support/configuration.ts'
import {
  callOf,
  eventually,
  initialize,
  type Lab,
  openSession,
  post,
  postRaw,
  request,
  sseEvents,
  startLab,
  textOf,
} from '../support/mcp-lab.ts'
import { send, sendBytes, sendJson } from '../support/wire.ts'
import { startWorkersLab, type WorkersLab } from '../support/workers-lab.ts'

let server: Lab
let provider: SimulatedProvider
const open: { close: () => Promise<unknown> }[] = []

beforeAll(async () => {
  server = await startLab({ name: 'lab' })
  provider = await startSimulatedOpenAI()
})
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})
afterAll(async () => {
  await server.stop()
  await provider.close()
})

const target = () => ({ name: 'lab', mcp: { host: server.url } })
const mcpRoute = (policies: object = {}) => ({
  name: 'mcp',
  matches: [{ path: { pathPrefix: '/mcp' } }, { path: { pathPrefix: '/sse' } }],
  policies,
  backends: [{ mcp: { targets: [target()] } }],
})
const yamlWith = (policies: object = {}, listener: object = {}) =>
  toYaml({
    binds: [
      {
        port: 0,
        listeners: [
          { ...listener, routes: [mcpRoute(policies), { name: 'gpt', backends: [openAIBackend(provider)] }] },
        ],
      },
    ],
  })

async function labOf(yaml: string, count?: number): Promise<WorkersLab> {
  const lab = await startWorkersLab(yaml, count)
  open.push(lab)
  return lab
}

/** Goes to one worker after the other. */
function inTurn({ workers }: WorkersLab) {
  let turn = 0
  const asked: string[] = []
  const fetchInTurn = (input: string | URL, init?: RequestInit) => {
    const url = new URL(input)
    const worker = turn++ % workers.length
    url.port = new URL(workers[worker]?.url ?? '').port
    asked.push(`${init?.method ?? 'GET'} ${worker}`)
    return fetch(url, init)
  }
  return { fetch: fetchInTurn, asked }
}

const urlOf = ({ workers }: WorkersLab, worker = 0) => workers[worker]?.url ?? ''

const recordsOfWorkers = ({ workers }: WorkersLab) => workers.flatMap((worker) => worker.records())

describe('the official client', () => {
  test.each([
    { name: 'of sessions', mode: undefined },
    { name: 'of 2026-07-28', mode: { pin: '2026-07-28' } as const },
  ])('$name is served whichever worker it meets, and recorded once', async ({ mode }) => {
    const lab = await labOf(yamlWith())
    const { fetch: fetchInTurn, asked } = inTurn(lab)
    const client = new Client(
      { name: 'test', version: '1' },
      { capabilities: { sampling: {} }, ...(mode && { versionNegotiation: { mode } }) },
    )
    client.setRequestHandler('sampling/createMessage', () => ({
      role: 'assistant',
      model: 'test',
      content: { type: 'text', text: 'sampled' },
    }))
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${urlOf(lab)}/mcp`), { fetch: fetchInTurn }),
    )
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo')
    for (const message of ['a', 'b', 'c', 'd'])
      expect(textOf(await client.callTool({ name: 'echo', arguments: { message } }))).toBe(
        `lab says ${message}`,
      )
    if (mode === undefined) expect(textOf(await client.callTool({ name: 'sample' }))).toContain('sampled')
    await client.close()
    expect(new Set(asked.map((one) => one.split(' ')[1]))).toEqual(new Set(['0', '1']))
    const records = await lab.recorded(asked.length)
    expect(records).toHaveLength(asked.length)
    expect(new Set(records.map((record) => record['mcp.session.id']).filter(Boolean)).size).toBeLessThan(2)
    expect(recordsOfWorkers(lab)).toEqual([])
    expect([lab.primary, ...lab.workers].flatMap(({ complaints }) => complaints())).toEqual([])
  })

  test('over HTTP+SSE: a stream from one worker answers what another one takes', async () => {
    const lab = await labOf(yamlWith())
    const { fetch: fetchInTurn, asked } = inTurn(lab)
    const client = new Client({ name: 'test', version: '1' })
    await client.connect(new SSEClientTransport(new URL(`${urlOf(lab)}/sse`), { fetch: fetchInTurn }))
    expect(textOf(await client.callTool({ name: 'echo', arguments: { message: 'x' } }))).toBe('lab says x')
    await client.close()
    expect(asked.slice(0, 2)).toEqual(['GET 0', 'POST 1'])
  })

  test('that has no token learns from any worker where to get one', async () => {
    const lab = await labOf(
      yamlWith({
        mcpAuthentication: {
          issuer: 'https://id.example',
          audiences: ['mcp'],
          jwks: { inline: JSON.stringify({ keys: [] }) },
        },
      }),
    )
    for (const { url } of lab.workers) {
      const refused = await postRaw(`${url}/mcp`, initialize())
      expect(refused.status).toBe(401)
      const metadata = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate') ?? '')?.[1]
      expect(metadata).toBe(`${url}/.well-known/oauth-protected-resource/mcp`)
      expect(await (await fetch(metadata ?? '')).json()).toMatchObject({ resource: `${url}/mcp` })
    }
    const { fetch: fetchInTurn } = inTurn(lab)
    const transport = new StreamableHTTPClientTransport(new URL(`${urlOf(lab)}/mcp`), { fetch: fetchInTurn })
    await expect(new Client({ name: 'test', version: '1' }).connect(transport)).rejects.toMatchObject({
      data: { status: 401 },
    })
    expect(recordsOfWorkers(lab)).toEqual([])
  })
})

describe('a session', () => {
  test('its stream comes unbuffered through one worker, and DELETE at another ends it', async () => {
    const lab = await labOf(yamlWith())
    const [one, two] = [urlOf(lab, 0), urlOf(lab, 1)]
    const session = await openSession(`${one}/mcp`)
    const stream = await fetch(`${two}/mcp`, { headers: { accept: 'text/event-stream', ...session } })
    // The head is there although nothing follows yet.
    expect(stream.status).toBe(200)
    const events = sseEvents(stream)
    const changed = (async () => {
      for await (const { message } of events)
        if (message?.method === 'notifications/tools/list_changed') return true
      return false
    })()
    await post(`${one}/mcp`, callOf(1, 'add_tool'), session)
    expect(await changed).toBe(true)
    expect((await fetch(`${one}/mcp`, { method: 'DELETE', headers: session })).ok).toBe(true)
    expect((await events.next()).done).toBe(true)
    expect((await post(`${two}/mcp`, request(2, 'ping'), session)).status).toBe(404)
  })

  test('a client that leaves one worker is missed by the server, and recorded', async () => {
    const lab = await labOf(yamlWith())
    const session = await openSession(`${urlOf(lab)}/mcp`)
    const leaving = new AbortController()
    const call = postRaw(`${urlOf(lab, 1)}/mcp`, callOf(7, 'hang'), session, { signal: leaving.signal })
    await server.happened(/^called hang/)
    leaving.abort()
    await expect(call.then((response) => response.text())).rejects.toThrow()
    await post(
      `${urlOf(lab)}/mcp`,
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } },
      session,
    )
    const records = await lab.recorded(4)
    expect(records.find((record) => record['gen_ai.tool.name'] === 'hang')).toMatchObject({
      outcome: 'client_abort',
    })
  })

  test('draining ends its idle stream at the client of a worker', async () => {
    const lab = await labOf(yamlWith())
    const session = await openSession(`${urlOf(lab)}/mcp`)
    const stream = await fetch(`${urlOf(lab, 1)}/mcp`, {
      headers: { accept: 'text/event-stream', ...session },
    })
    await lab.drain()
    await stream.text()
    expect((await lab.recorded(3))[2]).toMatchObject({ 'http.method': 'GET', outcome: 'completed' })
  })
})

describe('what is recorded', () => {
  test('the client’s address, port and protocol are its own, whatever it says', async () => {
    const lab = await labOf(yamlWith())
    const forged = JSON.stringify({
      secret: 'x',
      bind: 'bind/9',
      place: 0,
      clientAddress: '6.6.6.6',
      localAddress: '6.6.6.6',
      scheme: 'https',
      httpVersion: '9.9',
    })
    const ping = JSON.stringify(request(1, 'ping'))
    const answer = await sendBytes(
      urlOf(lab),
      [
        'POST /mcp HTTP/1.0',
        'Host: gateway.test',
        'Content-Type: application/json',
        'Accept: application/json, text/event-stream',
        `X-Agentgateway-Introduction: ${forged}`,
        `x-agentgateway-introduction: ${forged}`,
        `Content-Length: ${ping.length}`,
        '',
        ping,
      ].join('\r\n'),
    )
    // It has come over the loopback, where `Host` has to be a name of this machine.
    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
    expect((await lab.recorded(1))[0]).toMatchObject({
      'src.addr': '127.0.0.1',
      bind: 'bind/0',
      'http.version': 'HTTP/1.0',
      'http.host': 'gateway.test',
    })
  })

  test('nobody without the secret is taken for a worker', async () => {
    const lab = await labOf(yamlWith())
    for (const header of ['', 'x-agentgateway-introduction: {}\r\n', 'x-agentgateway-introduction: \r\n']) {
      const socket = connect(lab.reception.address.path)
      let text = ''
      socket.on('data', (piece: Buffer) => {
        text += piece.toString()
      })
      socket.on('error', () => {})
      socket.write(`GET /mcp HTTP/1.1\r\nHost: x\r\n${header}\r\n`)
      await once(socket, 'close')
      expect(text).toBe('')
    }
    expect(lab.primary.records()).toEqual([])
  })

  test('a client of a port with TLS is told of https', async () => {
    const file = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))
    const authentication = {
      issuer: 'https://id.example',
      audiences: ['mcp'],
      jwks: { inline: JSON.stringify({ keys: [] }) },
    }
    const lab = await labOf(
      yamlWith(
        { mcpAuthentication: authentication },
        { protocol: 'HTTPS', hostname: 'one.test', tls: { cert: file('one.pem'), key: file('one.key') } },
      ),
    )
    const reply = await send(`${urlOf(lab).replace('http:', 'https:')}/mcp`, {
      body: JSON.stringify(initialize()),
      headers: { 'content-type': 'application/json', host: 'one.test' },
      tls: { ca: readFileSync(file('ca.pem'), 'utf8'), servername: 'one.test' },
    })
    expect(reply.status).toBe(401)
    expect(reply.headers['www-authenticate']).toContain('https://one.test/')
  })

  test('what is for models stays with its worker', async () => {
    const lab = await labOf(yamlWith())
    const reply = await sendJson(`${urlOf(lab)}/v1/chat/completions`, chatBody(), {
      authorization: 'Bearer k',
    })
    expect(reply.status).toBe(200)
    await eventually(
      () => lab.workers[0]?.records() ?? [],
      (records) => records.length === 1,
    )
    expect(lab.primary.records()).toEqual([])
  })
})

describe('a request', () => {
  test('limits of its route are of all workers', async () => {
    const lab = await labOf(
      yamlWith({ localRateLimit: [{ maxTokens: 10, tokensPerFill: 1, fillInterval: '1h' }] }),
    )
    const statuses = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const reply = await post(`${urlOf(lab, index % 2)}/mcp`, request(1, 'ping'))
        return `${reply.status} ${reply.headers.get('x-ratelimit-limit')}`
      }),
    )
    expect(statuses.filter((one) => one === '429 10')).toHaveLength(20)
  })

  test.each<{ name: string; headers: Record<string, string> }>([
    { name: 'of known length', headers: {} },
    { name: 'in chunks', headers: { 'transfer-encoding': 'chunked' } },
  ])('a body that is too large is refused, and its connection closed: $name', async ({ headers }) => {
    const lab = await labOf(
      toYaml({ ...JSON.parse(yamlWith()), frontendPolicies: { http: { maxBufferSize: 1000 } } }),
    )
    const reply = await send(`${urlOf(lab)}/mcp`, { body: Buffer.alloc(4_000_000), headers })
    expect(reply.status).toBe(413)
    expect(reply.headers.connection).toBe('close')
    expect((await lab.recorded(1))[0]).toMatchObject({ error_type: 'caller_too_large' })
  })

  test('one whose body breaks off is told so, and the worker goes on', async () => {
    const lab = await labOf(yamlWith())
    const answer = await sendBytes(
      urlOf(lab),
      'POST /mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nnonsense\r\n',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect((await lab.recorded(1))[0]).toMatchObject({ 'http.path': '/mcp', outcome: 'client_abort' })
    await openSession(`${urlOf(lab)}/mcp`)
  })

  test('one whose client leaves at once is recorded', async () => {
    const lab = await labOf(yamlWith())
    const { port } = new URL(urlOf(lab))
    const socket = connect(Number(port), '127.0.0.1')
    socket.write('POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n', () => socket.resetAndDestroy())
    expect((await lab.recorded(1))[0]).toMatchObject({ 'http.path': '/mcp', outcome: 'client_abort' })
  })

  test('connections of clients serve one request after the other, and so do those to the primary', async () => {
    const lab = await labOf(yamlWith())
    const one = 'HEAD /mcp HTTP/1.1\r\nHost: x\r\n\r\n'
    const last = 'OPTIONS /mcp HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    const answer = await sendBytes(urlOf(lab), `${one}${one}${last}`)
    expect(answer.match(/^HTTP\/1\.1 /gm)).toHaveLength(3)
    expect(answer.match(/^connection: close/gim)).toHaveLength(1)
    expect(await lab.recorded(3)).toHaveLength(3)
  })

  test('it may have as many headers as Node takes', async () => {
    const lab = await labOf(yamlWith())
    const statuses = await Promise.all(
      Array.from({ length: 9 }, async (_, more) => {
        const many = Array.from({ length: 992 + more }, (_, index) => `h${index}: x\r\n`).join('')
        const head = `GET /mcp HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${many}\r\n`
        return (await sendBytes(urlOf(lab), head)).slice(0, 12)
      }),
    )
    for (const status of statuses) expect(status).toMatch(/^HTTP\/1\.1 (403|431)$/)
  })

  test('it fails, and says why, when the primary is gone', async () => {
    const lab = await labOf(yamlWith(), 1)
    await lab.reception.close()
    const reply = await post(`${urlOf(lab)}/mcp`, initialize())
    expect(reply).toMatchObject({
      status: 500,
      messages: [{ error: { message: 'the process that serves MCP does not answer' } }],
    })
    expect(lab.workers[0]?.complaints()).toMatchObject([{ scope: 'workers' }])
  })

  test('its stream breaks when the primary goes', async () => {
    const lab = await labOf(yamlWith(), 1)
    const session = await openSession(`${urlOf(lab)}/mcp`)
    const stream = await fetch(`${urlOf(lab)}/mcp`, { headers: { accept: 'text/event-stream', ...session } })
    expect(stream.status).toBe(200)
    await lab.reception.close()
    await expect(stream.text()).rejects.toThrow()
  })

  test('a route that a reload took from MCP is the worker’s own', async () => {
    const lab = await labOf(yamlWith())
    await openSession(`${urlOf(lab)}/mcp`)
    const before = lab.primary.records().length
    lab.reload(
      toYaml({
        binds: [{ port: 0, listeners: [{ routes: [{ name: 'gpt', backends: [openAIBackend(provider)] }] }] }],
      }),
    )
    const adopted = lab.workers[0]?.plane.binds()[0]?.listeners[0]?.servesMcp
    expect(adopted).toBe(false)
    expect(lab.primary.records()).toHaveLength(before)
  })
})
