/** What servers ask of clients and tell them, through the gateway, over any pair of transports. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { type ClientTransport, connectClient, connectClientV2, stdioTarget } from '../support/mcp.ts'
import {
  callOf,
  eventually,
  FIXTURE,
  type Json,
  type Lab,
  openSession,
  postRaw,
  sseEvents,
  startLab,
  textOf,
} from '../support/mcp-lab.ts'

let web: Lab
let old: Lab
let gateway: RunningGateway
const directory = mkdtempSync(join(tmpdir(), 'agentgateway-both-ways-'))
const events = join(directory, 'events')
beforeAll(async () => {
  web = await startLab({ name: 'web' })
  old = await startLab({ name: 'old' })
  gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: pipe, ${stdioTarget(FIXTURE, 'pipe', events)}}
  - {name: web, mcp: {host: "${web.url}"}}
  - {name: old, sse: {host: "${old.sseUrl}"}}
`)
})
afterAll(async () => {
  await gateway?.close()
  await Promise.all([web?.stop(), old?.stop()])
  rmSync(directory, { recursive: true, force: true })
})

const TARGETS = ['pipe', 'web', 'old']
const CAPABILITIES = { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } }

/** A client that answers everything, and remembers what it was told. */
async function answering(transport: ClientTransport) {
  const client = await connectClient(gateway.url, transport, { capabilities: CAPABILITIES })
  const asked: string[] = []
  const told: Json[] = []
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    const [message] = params.messages
    asked.push(JSON.stringify(message?.content))
    return {
      model: 'm',
      role: 'assistant' as const,
      content: { type: 'text' as const, text: `answer to ${JSON.stringify(message?.content)}` },
    }
  })
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params.message)
    return { action: 'accept' as const, content: { colour: 'green' } }
  })
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///work', name: 'work' }] }))
  for (const schema of [
    LoggingMessageNotificationSchema,
    ToolListChangedNotificationSchema,
    ResourceUpdatedNotificationSchema,
  ])
    client.setNotificationHandler(schema, (notification) => void told.push(notification as unknown as Json))
  return { client, asked, told }
}

describe.each<ClientTransport>(['streamable', 'sse'])('a client over %s', (transport) => {
  let client: Client
  let asked: string[]
  let told: Json[]
  beforeAll(async () => {
    ;({ client, asked, told } = await answering(transport))
  })
  afterAll(() => client?.close())

  const call = async (name: string, input: Json = {}) =>
    textOf(await client.callTool({ name, arguments: input }))

  describe.each(TARGETS)('and %s', (target) => {
    test('it carries a sampling request and its answer', async () => {
      expect(await call(`${target}_sample`, { question: 'why' })).toContain(
        `answer to {\\"type\\":\\"text\\",\\"text\\":\\"${target} asks why\\"}`,
      )
    })

    test('it carries an elicitation and its answer', async () => {
      expect(JSON.parse(await call(`${target}_elicit`))).toEqual({
        action: 'accept',
        content: { colour: 'green' },
      })
      expect(asked).toContain(`${target} wants a colour`)
    })

    test('it carries roots', async () => {
      expect(JSON.parse(await call(`${target}_roots`)).roots).toEqual([{ uri: 'file:///work', name: 'work' }])
    })

    test('it carries a ping of the server', async () => {
      expect(await call(`${target}_ping_client`)).toBe('the client is there')
    })

    test('it carries several questions at once', async () => {
      const answers = await Promise.all(
        ['a', 'b', 'c', 'd'].map((question) => call(`${target}_sample`, { question })),
      )
      for (const [index, question] of ['a', 'b', 'c', 'd'].entries())
        expect(answers[index]).toContain(`${target} asks ${question}`)
    })

    test('it carries progress', async () => {
      if (target === 'web') web.release('p')
      if (target === 'old') old.release('p')
      const progress: unknown[] = []
      await client.callTool(
        { name: `${target}_steps`, arguments: { label: 'p', isHeard: true } },
        undefined,
        {
          onprogress: (one) => {
            progress.push(one)
            if (progress.length === 2) void call(`${target}_heard`, { label: 'p' })
          },
        },
      )
      expect(progress).toEqual([
        { progress: 1, total: 2, message: `${target} p` },
        { progress: 2, total: 2, message: `${target} p` },
      ])
    })

    test('it carries log lines of the level that the client set', async () => {
      await client.setLoggingLevel('warning')
      await call(`${target}_log`, { level: 'info', data: `quiet ${target}` })
      await call(`${target}_log`, { level: 'error', data: `loud ${target}` })
      await eventually(
        () => JSON.stringify(told),
        (seen) => seen.includes(`loud ${target}`),
      )
      expect(JSON.stringify(told)).not.toContain(`quiet ${target}`)
    })

    test('it tells that the tools have changed, and lists and calls the new one', async () => {
      const before = told.filter(({ method }) => method === 'notifications/tools/list_changed').length
      await call(`${target}_add_tool`, { tool: `new_${transport}` })
      await eventually(
        () => told.filter(({ method }) => method === 'notifications/tools/list_changed').length,
        (count) => count > before,
      )
      const { tools } = await client.listTools()
      expect(tools.map(({ name }) => name)).toContain(`${target}_new_${transport}`)
      expect(await call(`${target}_new_${transport}`)).toBe(`${target} ran new_${transport}`)
    })

    test('it subscribes to a resource and hears of its updates by its own name', async () => {
      const uri = `${target}+memo:status`
      await client.subscribeResource({ uri })
      await call(`${target}_touch`, { uri: 'memo:status' })
      await eventually(
        () => told.filter(({ method }) => method === 'notifications/resources/updated'),
        (seen) => seen.some(({ params }) => (params as Json).uri === uri),
      )
      await client.unsubscribeResource({ uri })
    })
  })

  test.each(['web', 'old'])('it cancels a call of %s by the id that the server knows', async (target) => {
    const lab = target === 'web' ? web : old
    const from = lab.received.length
    const stop = new AbortController()
    const called = lab.events.filter((line) => line === 'called hang').length
    const call = client.callTool({ name: `${target}_hang`, arguments: {} }, undefined, {
      signal: stop.signal,
    })
    const failed = expect(call).rejects.toThrow()
    await eventually(
      () => lab.events.filter((line) => line === 'called hang').length,
      (count) => count > called,
    )
    stop.abort('enough')
    await failed
    const cancelled = await eventually(
      () => lab.received.slice(from).find(({ method }) => method === 'notifications/cancelled'),
      (seen) => seen !== undefined,
    )
    const request = lab.received
      .slice(from)
      .find(({ message }) => (message.params as Json | undefined)?.name === 'hang')
    expect(cancelled?.message).toMatchObject({ params: { requestId: request?.message.id } })
    await eventually(
      () => lab.events,
      (events) => events.includes(`cancelled hang ${request?.message.id}`),
    )
    const other = target === 'web' ? old : web
    expect(other.received.filter(({ method }) => method === 'notifications/cancelled')).toHaveLength(
      other.events.filter((line) => line.startsWith('cancelled')).length,
    )
  })
})

test.each<ClientTransport>(['streamable', 'sse'])(
  'it cancels a call of a process when the client over %s does, and not its other calls',
  async (transport) => {
    const { client } = await answering(transport)
    const stop = new AbortController()
    const has = (line: RegExp) =>
      eventually(
        () => readFileSync(events, 'utf8'),
        (text) => line.test(text),
      )
    const call = client.callTool({ name: 'pipe_hang', arguments: {} }, undefined, { signal: stop.signal })
    const failed = expect(call).rejects.toThrow()
    const other = client.callTool({ name: 'pipe_steps', arguments: { label: transport, isHeard: true } })
    await eventually(
      () => readFileSync(events, 'utf8').match(/called hang/g)?.length ?? 0,
      (count) => count === (transport === 'streamable' ? 1 : 2),
    )
    stop.abort()
    await failed
    await has(transport === 'streamable' ? /cancelled hang/ : /cancelled hang[\s\S]*cancelled hang/)
    await client.callTool({ name: 'pipe_heard', arguments: { label: transport } })
    expect(textOf(await other)).toBe(`pipe did ${transport}`)
    expect(readFileSync(events, 'utf8')).not.toContain('cancelled steps')
    await client.close()
  },
)

test('it cancels what a client of SSE had under way when its stream closes', async () => {
  const client = await connectClient(gateway.url, 'sse')
  const count = () => web.events.filter((line) => line === 'called hang').length
  const before = count()
  const cancelled = () => web.events.filter((line) => /^cancelled hang|^session closed/.test(line)).length
  const ended = cancelled()
  client.callTool({ name: 'web_hang', arguments: {} }).catch(() => {})
  await eventually(count, (now) => now > before)
  await client.close()
  await eventually(cancelled, (now) => now > ended)
})

test('it hands a server what the client can do', async () => {
  const { client } = await answering('streamable')
  const asked = web.received.findLast(({ method }) => method === 'initialize')
  expect(asked?.message).toMatchObject({ params: { capabilities: CAPABILITIES } })
  await client.close()
})

test('it tells a server at once that a client cannot be asked', async () => {
  const client = await connectClient(gateway.url)
  await expect(client.callTool({ name: 'web_sample', arguments: {} })).rejects.toMatchObject({ code: -32601 })
  await client.close()
})

test('it lets a server ask client 2', async () => {
  const client = await connectClientV2(gateway.url, 'streamable', { capabilities: CAPABILITIES })
  client.setRequestHandler('elicitation/create', () => ({ action: 'decline' as const }))
  for (const target of TARGETS)
    expect(textOf(await client.callTool({ name: `${target}_elicit`, arguments: {} }))).toBe(
      '{"action":"decline"}',
    )
  await client.close()
})

test('it keeps progress of calls with the same token apart, also in one session', async () => {
  const session = await openSession(`${gateway.url}/mcp`)
  web.release('w')
  old.release('o')
  const streams = await Promise.all([
    postRaw(`${gateway.url}/mcp`, callOf(1, 'web_steps', { label: 'w' }, { progressToken: 'same' }), session),
    postRaw(`${gateway.url}/mcp`, callOf(2, 'old_steps', { label: 'o' }, { progressToken: 'same' }), session),
  ])
  const read = async (response: Response) => {
    const messages: Json[] = []
    for await (const { message } of sseEvents(response)) if (message !== undefined) messages.push(message)
    return messages
  }
  const [ofWeb, ofOld] = await Promise.all(streams.map(read))
  const progress = (label: string, value: number) => ({
    method: 'notifications/progress',
    params: { progressToken: 'same', progress: value, message: label },
  })
  expect(ofWeb).toMatchObject([progress('web w', 1), progress('web w', 2), { id: 1 }])
  expect(ofOld).toMatchObject([progress('old o', 1), progress('old o', 2), { id: 2 }])
})

test('it gives each of 20 clients its own answers and progress', async () => {
  const clients = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      connectClient(gateway.url, index % 2 === 0 ? 'streamable' : 'sse'),
    ),
  )
  for (const index of clients.keys())
    for (const lab of [web, old]) for (const call of [0, 1]) lab.release(`${index}-${call}`)
  await Promise.all(
    clients.map(async (client, index) => {
      await Promise.all(
        TARGETS.flatMap((target) =>
          [0, 1].map(async (call) => {
            const label = `${index}-${call}`
            const heard: (string | undefined)[] = []
            const result = await client.callTool(
              { name: `${target}_steps`, arguments: { label, isHeard: true } },
              undefined,
              {
                onprogress: ({ message }) => {
                  heard.push(message)
                  if (heard.length === 2)
                    void client.callTool({ name: `${target}_heard`, arguments: { label } })
                },
              },
            )
            expect(textOf(result)).toBe(`${target} did ${label}`)
            expect(heard).toEqual([`${target} ${label}`, `${target} ${label}`])
          }),
        ),
      )
    }),
  )
  await Promise.all(clients.map((client) => client.close()))
})
