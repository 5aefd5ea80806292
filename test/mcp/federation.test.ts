/** Several servers behind one endpoint, seen by both generations of the official client, over any pair of transports. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import {
  connectClient,
  connectClientV2,
  EVERYTHING,
  everythingOverHttp,
  type McpServer,
  rpcCodeOf,
  stdioTarget,
} from '../support/mcp.ts'

let streamable: McpServer
let sse: McpServer
let gateway: RunningGateway

beforeAll(async () => {
  ;[streamable, sse] = await Promise.all([everythingOverHttp('streamableHttp'), everythingOverHttp('sse')])
  gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: pipe, ${stdioTarget(EVERYTHING, 'stdio')}}
  - {name: web, mcp: {host: "${streamable.url}"}}
  - {name: old, sse: {host: "${sse.url}"}}
`)
})
afterAll(async () => {
  await gateway?.close()
  await Promise.all([streamable?.stop(), sse?.stop()])
})

const TARGETS = ['pipe', 'web', 'old']
const BASE = 'demo://resource/dynamic/text'

/** Of JSON-RPC: an error of HTTP would tell a program nothing. */
const REFUSALS = [-32600, -32602, -32002]

const CLIENTS = {
  'client 1 over streamable HTTP': () => connectClient(gateway.url, 'streamable'),
  'client 1 over SSE': () => connectClient(gateway.url, 'sse'),
  // Their methods that the tests use are the same; their types are not.
  'client 2 over streamable HTTP': () =>
    connectClientV2(gateway.url, 'streamable') as unknown as ReturnType<typeof connectClient>,
  'client 2 over SSE': () =>
    connectClientV2(gateway.url, 'sse') as unknown as ReturnType<typeof connectClient>,
  'client 2 that asks for the newest protocol': () =>
    connectClientV2(gateway.url, 'streamable', {
      versionNegotiation: { mode: 'auto' },
    }) as unknown as ReturnType<typeof connectClient>,
}

describe.each(Object.entries(CLIENTS))('%s', (name, connect) => {
  const isNewest = name.includes('newest')
  let client: Awaited<ReturnType<typeof connectClient>>
  beforeAll(async () => {
    client = await connect()
  })
  afterAll(() => client?.close())

  test('it names the gateway and tells what all servers can do', () => {
    expect(client.getServerVersion()?.name).toBe('agentgateway')
    expect(client.getServerCapabilities()).toMatchObject({
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true },
    })
    for (const target of TARGETS) expect(client.getInstructions()).toContain(`[${target}]`)
  })

  // The newest protocol has none.
  if (!isNewest)
    test('it answers a ping', async () => {
      await expect(client.ping()).resolves.toBeDefined()
    })

  test('it lists the tools of every target in the order of the targets', async () => {
    const { tools } = await client.listTools()
    const names = tools.map((tool) => tool.name)
    for (const target of TARGETS) expect(names).toContain(`${target}_echo`)
    expect([...new Set(names.map((one) => one.split('_')[0]))]).toEqual(TARGETS)
    expect(new Set(names).size).toBe(names.length)
    const echo = tools.find((tool) => tool.name === 'web_echo')
    expect(echo).toMatchObject({ title: 'Echo Tool', inputSchema: { required: ['message'] } })
  })

  test('it lists resources, templates and prompts of every target', async () => {
    const { resources } = await client.listResources()
    const { resourceTemplates } = await client.listResourceTemplates()
    const { prompts } = await client.listPrompts()
    for (const target of TARGETS) {
      expect(resources.some(({ uri }) => uri.startsWith(`${target}+demo://resource/static/`))).toBe(true)
      expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toContain(
        `${target}+${BASE}/{resourceId}`,
      )
      expect(prompts.map((prompt) => prompt.name)).toContain(`${target}_args-prompt`)
    }
  })

  describe.each(TARGETS)('%s', (target) => {
    test('it calls a tool by its prefixed name', async () => {
      const result = await client.callTool({ name: `${target}_echo`, arguments: { message: 'hello' } })
      expect(result.content).toEqual([{ type: 'text', text: 'Echo: hello' }])
    })

    test('it passes structured content on', async () => {
      const result = await client.callTool({
        name: `${target}_get-structured-content`,
        arguments: { location: 'New York' },
      })
      expect(result.structuredContent).toEqual({ temperature: 33, conditions: 'Cloudy', humidity: 82 })
    })

    test('it reads a resource, whose contents are named as the client named them', async () => {
      const uri = `${target}+${BASE}/7`
      const { contents } = await client.readResource({ uri })
      expect(contents).toMatchObject([{ uri, mimeType: 'text/plain' }])
    })

    test('it reads every resource that a tool linked to or embedded', async () => {
      const links = await client.callTool({ name: `${target}_get-resource-links`, arguments: { count: 2 } })
      const embedded = await client.callTool({
        name: `${target}_get-resource-reference`,
        arguments: { resourceType: 'Text', resourceId: 3 },
      })
      type Block = { type: string; uri?: string; resource?: { uri: string } }
      const uris = [...(links.content as Block[]), ...(embedded.content as Block[])]
        .filter((block) => block.type !== 'text')
        .map((block) => block.uri ?? block.resource?.uri ?? '')
      expect(uris).toHaveLength(3)
      for (const uri of uris) {
        expect(uri.startsWith(`${target}+demo://`)).toBe(true)
        expect((await client.readResource({ uri })).contents[0]?.uri).toBe(uri)
      }
    })

    test('it gets a prompt, with the resource in it renamed', async () => {
      const plain = await client.getPrompt({ name: `${target}_args-prompt`, arguments: { city: 'Oslo' } })
      expect(plain.messages[0]?.content).toEqual({ type: 'text', text: "What's weather in Oslo?" })
      const { messages } = await client.getPrompt({
        name: `${target}_resource-prompt`,
        arguments: { resourceType: 'Text', resourceId: '4' },
      })
      expect(messages[1]?.content).toMatchObject({ resource: { uri: `${target}+${BASE}/4` } })
    })

    test('it completes the arguments of a prompt and of a template', async () => {
      const ofPrompt = await client.complete({
        ref: { type: 'ref/prompt', name: `${target}_completable-prompt` },
        argument: { name: 'department', value: 'S' },
      })
      expect(ofPrompt.completion.values).toEqual(['Sales', 'Support'])
      const ofTemplate = await client.complete({
        ref: { type: 'ref/resource', uri: `${target}+${BASE}/{resourceId}` },
        argument: { name: 'resourceId', value: '12' },
      })
      expect(ofTemplate.completion.values).toEqual(['12'])
    })
  })

  test.each([
    ['a target that does not exist', 'nobody_echo'],
    ['no target', 'echo'],
    ['an empty target', '_echo'],
    ['nothing', ''],
  ])('it refuses a tool of %s', async (_, tool) => {
    const error = await client.callTool({ name: tool, arguments: { message: 'x' } }).catch((one) => one)
    expect(REFUSALS).toContain(rpcCodeOf(error))
  })

  test.each([
    ['a target that does not exist', 'nobody+demo://x'],
    ['no target', `${BASE}/1`],
  ])('it refuses a resource of %s', async (_, uri) => {
    const error = await client.readResource({ uri }).catch((one) => one)
    expect(REFUSALS).toContain(rpcCodeOf(error))
  })
})
