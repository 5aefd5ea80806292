/** What clients see of one server or of several: names, pages, capabilities, instructions. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startEcho } from '../support/echo.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { connectClient, EVERYTHING, FILESYSTEM, MEMORY, rpcCodeOf, stdioTarget } from '../support/mcp.ts'
import { TOOLS } from '../support/mcp-fixture.ts'
import { type Lab, startLab, textOf } from '../support/mcp-lab.ts'

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-mcp-'))
writeFileSync(join(directory, 'note.txt'), 'a note')
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const memory = `{name: memory, stdio: {cmd: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(MEMORY)}], env: {MEMORY_FILE_PATH: ${JSON.stringify(join(directory, 'memory.jsonl'))}}}}`

/** Every page of a list. */
async function allTools(client: Client): Promise<string[]> {
  const names: string[] = []
  let cursor: string | undefined
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor })
    names.push(...page.tools.map((tool) => tool.name))
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return names
}

describe('filesystem, memory and everything together', () => {
  let gateway: RunningGateway
  let client: Client
  beforeAll(async () => {
    gateway = await runGateway(`
mcp:
  port: 0
  targets:
  - {name: filesystem, ${stdioTarget(FILESYSTEM, directory)}}
  - ${memory}
  - {name: everything, ${stdioTarget(EVERYTHING, 'stdio')}}
`)
    client = await connectClient(gateway.url)
  })
  afterAll(async () => {
    await client?.close()
    await gateway?.close()
  })

  test('it lists the tools of all three', async () => {
    const names = await allTools(client)
    expect(names).toEqual(
      expect.arrayContaining(['filesystem_read_text_file', 'memory_create_entities', 'everything_get-sum']),
    )
  })

  test('it calls a tool with underscores in its name', async () => {
    const result = await client.callTool({
      name: 'filesystem_read_text_file',
      arguments: { path: join(directory, 'note.txt') },
    })
    expect(textOf(result)).toBe('a note')
  })

  test('it keeps the state of a server between calls', async () => {
    await client.callTool({
      name: 'memory_create_entities',
      arguments: { entities: [{ name: 'Ada', entityType: 'person', observations: ['counts'] }] },
    })
    const graph = await client.callTool({ name: 'memory_read_graph', arguments: {} })
    expect(textOf(graph)).toContain('Ada')
  })

  test('it lists what only one server has', async () => {
    const { prompts } = await client.listPrompts()
    expect(prompts.length).toBeGreaterThan(0)
    for (const { name } of prompts) expect(name).toMatch(/^everything_/)
  })

  test('it merges instructions, with a section for each server that has some', () => {
    expect(client.getInstructions()).toContain('[everything]')
  })
})

describe('a single server', () => {
  test('it passes everything through unchanged', async () => {
    const gateway = await runGateway(
      `mcp: {port: 0, targets: [{name: everything, ${stdioTarget(EVERYTHING, 'stdio')}}]}`,
    )
    const through = await connectClient(gateway.url)
    const direct = new Client({ name: 'test', version: '1.0.0' })
    await direct.connect(
      new StdioClientTransport({ command: process.execPath, args: [EVERYTHING, 'stdio'], stderr: 'ignore' }),
    )
    const seen = async (client: Client) => ({
      server: client.getServerVersion(),
      capabilities: client.getServerCapabilities(),
      instructions: client.getInstructions(),
      tools: await client.listTools(),
      resources: await client.listResources(),
      templates: await client.listResourceTemplates(),
      prompts: await client.listPrompts(),
      call: await client.callTool({ name: 'get-resource-links', arguments: { count: 2 } }),
      prompt: await client.getPrompt({
        name: 'resource-prompt',
        arguments: { resourceType: 'Text', resourceId: '1' },
      }),
      completion: await client.complete({
        ref: { type: 'ref/prompt', name: 'completable-prompt' },
        argument: { name: 'department', value: 'E' },
      }),
    })
    const [ours, theirs] = [await seen(through), await seen(direct)]
    // The text of these holds the time.
    for (const all of [ours, theirs])
      for (const message of all.prompt.messages)
        if (message.content.type === 'resource' && 'text' in message.content.resource)
          message.content.resource.text = ''
    expect(ours).toEqual(theirs)
    await through.close()
    await direct.close()
    await gateway.close()
  })
})

describe('prefixMode', () => {
  let one: Lab
  let two: Lab
  beforeAll(async () => {
    one = await startLab({ name: 'one', tools: ['only_one'], instructions: 'Ask one.' })
    two = await startLab({ name: 'two', tools: ['only_two'], json: true, instructions: 'Ask two.' })
  })
  afterAll(() => Promise.all([one?.stop(), two?.stop()]))

  async function withTargets<T>(
    targets: readonly Lab[],
    prefixMode: string,
    use: (client: Client) => Promise<T>,
  ): Promise<T> {
    const gateway = await runGateway(`
mcp:
  port: 0
  prefixMode: ${prefixMode}
  targets: [${targets.map((lab) => `{name: ${lab.name}, mcp: {host: "${lab.url}"}}`).join(', ')}]
`)
    const client = await connectClient(gateway.url)
    try {
      return await use(client)
    } finally {
      await client.close()
      await gateway.close()
    }
  }

  test('it prefixes a single target when always', () =>
    withTargets([one], 'always', async (client) => {
      const names = await allTools(client)
      expect(names).toContain('one_echo')
      expect(names.every((name) => name.startsWith('one_'))).toBe(true)
      const { resources } = await client.listResources()
      expect(resources.map(({ uri }) => uri)).toContain('one+memo:status')
      const result = await client.callTool({ name: 'one_only_one', arguments: {} })
      expect(textOf(result)).toBe('one ran only_one')
    }))

  test('it does not prefix a single target when never', () =>
    withTargets([one], 'never', async (client) => {
      expect(await allTools(client)).toContain('only_one')
      expect(textOf(await client.callTool({ name: 'only_one', arguments: {} }))).toBe('one ran only_one')
    }))

  test('it lists only names that one target has when never', () =>
    withTargets([one, two], 'never', async (client) => {
      expect((await allTools(client)).toSorted()).toEqual(['only_one', 'only_two'])
      expect((await client.listPrompts()).prompts).toEqual([])
    }))

  test('it calls a unique name without a prefix when never', () =>
    withTargets([one, two], 'never', async (client) => {
      expect(textOf(await client.callTool({ name: 'only_one', arguments: {} }))).toBe('one ran only_one')
      expect(textOf(await client.callTool({ name: 'only_two', arguments: {} }))).toBe('two ran only_two')
    }))

  test.each(['echo', 'nobody', 'one_echo'])('it refuses %s when never', (name) =>
    withTargets([one, two], 'never', async (client) => {
      const error = await client.callTool({ name, arguments: {} }).catch((caught) => caught)
      expect([-32600, -32602]).toContain(rpcCodeOf(error))
    }),
  )

  test('it still tells resources apart when never', () =>
    withTargets([one, two], 'never', async (client) => {
      const { resources } = await client.listResources()
      const uris = resources.map(({ uri }) => uri)
      expect(uris).toEqual(expect.arrayContaining(['one+memo:status', 'two+memo:status']))
      const { contents } = await client.readResource({ uri: 'two+memo:status' })
      expect(contents).toMatchObject([{ uri: 'two+memo:status', text: 'two has memo:status' }])
    }))

  test('it keeps a URI with query and plus signs whole', () =>
    withTargets([one, two], 'conditional', async (client) => {
      const uri = 'two+https://example.com/a?b=c+d'
      expect((await client.listResources()).resources.map((one) => one.uri)).toContain(uri)
      const { contents } = await client.readResource({ uri })
      expect(contents).toMatchObject([{ uri, text: 'two has https://example.com/a?b=c+d' }])
    }))

  test('it renames resources that a result or a prompt holds', () =>
    withTargets([one, two], 'conditional', async (client) => {
      const { content } = await client.callTool({ name: 'two_links', arguments: {} })
      expect(content).toMatchObject([
        { type: 'resource_link', uri: 'two+memo:status' },
        { type: 'resource', resource: { uri: 'two+memo:plan' } },
      ])
      const { messages } = await client.getPrompt({ name: 'one_with_resource' })
      expect(messages).toMatchObject([{ content: { resource: { uri: 'one+memo:status' } } }])
    }))

  test('it merges capabilities and instructions', () =>
    withTargets([one, two], 'conditional', async (client) => {
      expect(client.getServerCapabilities()).toMatchObject({
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        logging: {},
      })
      const instructions = client.getInstructions() ?? ''
      expect(instructions).toMatch(/\[one\][\s\S]*Ask one\.[\s\S]*\[two\][\s\S]*Ask two\./)
    }))

  test('it passes the error of a server on with code, message and data', () =>
    withTargets([one, two], 'conditional', async (client) => {
      await expect(client.callTool({ name: 'one_throw', arguments: {} })).rejects.toMatchObject({
        code: -32050,
        message: expect.stringContaining('thrown'),
        data: { why: 'asked' },
      })
      await expect(client.readResource({ uri: 'one+memo:none' })).rejects.toMatchObject({ code: -32002 })
    }))
})

describe('pages', () => {
  let small: Lab
  let large: Lab
  let plain: Lab
  let gateway: RunningGateway
  let client: Client
  beforeAll(async () => {
    small = await startLab({ name: 'small', pageSize: 2 })
    large = await startLab({ name: 'large', pageSize: 10 })
    plain = await startLab({ name: 'plain' })
    gateway = await runGateway(`
mcp:
  port: 0
  targets: [${[small, large, plain].map((lab) => `{name: ${lab.name}, mcp: {host: "${lab.url}"}}`).join(', ')}]
`)
    client = await connectClient(gateway.url)
  })
  afterAll(async () => {
    await client?.close()
    await gateway?.close()
    await Promise.all([small?.stop(), large?.stop(), plain?.stop()])
  })

  test('it makes a page of the same page of every target', async () => {
    const count = (tools: { name: string }[], target: string) =>
      tools.filter(({ name }) => name.startsWith(`${target}_`)).length
    const first = await client.listTools()
    expect([count(first.tools, 'small'), count(first.tools, 'large'), count(first.tools, 'plain')]).toEqual([
      2,
      10,
      TOOLS.length,
    ])
    const second = await client.listTools({ cursor: first.nextCursor })
    expect([
      count(second.tools, 'small'),
      count(second.tools, 'large'),
      count(second.tools, 'plain'),
    ]).toEqual([2, TOOLS.length - 10, 0])
    const third = await client.listTools({ cursor: second.nextCursor })
    expect(third.tools.map(({ name }) => name)).toEqual(['small_hang', 'small_hold'])
  })

  test('it gives every tool once in all pages', async () => {
    const names = await allTools(client)
    expect(names).toHaveLength(3 * TOOLS.length)
    expect(new Set(names).size).toBe(3 * TOOLS.length)
  })

  test('it pages resources, templates and prompts', async () => {
    const resources = await client.listResources()
    const moreResources = await client.listResources({ cursor: resources.nextCursor })
    expect(moreResources.resources.map(({ uri }) => uri)).toEqual(['small+https://example.com/a?b=c+d'])
    const templates = await client.listResourceTemplates()
    const moreTemplates = await client.listResourceTemplates({ cursor: templates.nextCursor })
    expect(moreTemplates.resourceTemplates.map((one) => one.uriTemplate)).toEqual(['small+memo:page/{id}'])
    const prompts = await client.listPrompts()
    const morePrompts = await client.listPrompts({ cursor: prompts.nextCursor })
    expect(morePrompts.prompts.map(({ name }) => name)).toEqual(['small_third'])
    expect(morePrompts.nextCursor).toBeUndefined()
  })

  test('it refuses a cursor that it did not give', async () => {
    const error = await client.listTools({ cursor: 'made-up' }).catch((caught) => caught)
    expect(rpcCodeOf(error)).toBe(-32602)
  })

  test('it calls a tool of a later page', async () => {
    expect(textOf(await client.callTool({ name: 'small_whoami', arguments: {} }))).toMatch(/^small /)
  })
})

test('it offers the operations of an OpenAPI document beside the tools of a server', async () => {
  const echo = await startEcho('api')
  const lab = await startLab({ name: 'lab' })
  const document = {
    openapi: '3.0.0',
    info: { title: 'pets', version: '1' },
    paths: {
      '/pets/{id}': {
        get: {
          operationId: 'get_pet',
          summary: 'One pet',
          parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
        },
      },
    },
  }
  const gateway = await runGateway(
    JSON.stringify({
      mcp: {
        port: 0,
        targets: [
          {
            name: 'pets',
            openapi: { schema: { inline: JSON.stringify(document) }, host: '127.0.0.1', port: echo.port },
          },
          { name: 'lab', mcp: { host: lab.url } },
        ],
      },
    }),
  )
  const client = await connectClient(gateway.url)
  const names = await allTools(client)
  expect(names).toContain('pets_get_pet')
  expect(names).toContain('lab_echo')
  const result = await client.callTool({ name: 'pets_get_pet', arguments: { path: { id: 'a b' } } })
  expect(textOf(result)).toContain('/pets/a%20b')
  expect((await client.listResources()).resources.every(({ uri }) => uri.startsWith('lab+'))).toBe(true)
  await client.close()
  await gateway.close()
  await lab.stop()
  await echo.close()
})
