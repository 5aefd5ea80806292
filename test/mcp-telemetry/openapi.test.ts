/** An HTTP service behind the gateway beside a real MCP server: each of its operations as the official client calls it. */
import { readFileSync } from 'node:fs'
import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startCollector } from '../support/collector.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { connectClient, EVERYTHING, rpcCodeOf, stdioTarget } from '../support/mcp.ts'
import { eventually, type Json, textOf } from '../support/mcp-lab.ts'
import {
  ITEMS_DOCUMENT,
  type ItemsApi,
  itemsDocument,
  OPERATIONS,
  startItemsApi,
} from './items-api.fixture.ts'
import { spansAtEnd } from './lab.fixture.ts'

const KEY = 'Bearer key-of-the-gateway'
const document = itemsDocument()
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(() => document.remove())

async function apiOf(options: Parameters<typeof startItemsApi>[0] = {}): Promise<ItemsApi> {
  const api = await startItemsApi(options)
  closing.push(api.stop)
  return api
}

async function gatewayOf(targets: string, top = ''): Promise<RunningGateway> {
  const gateway = await runGateway(`${top}\nmcp:\n  port: 0\n  targets:\n${targets}`)
  closing.push(gateway.close)
  return gateway
}

async function clientOf(gateway: RunningGateway, headers: Record<string, string> = {}): Promise<Client> {
  const client = await connectClient(gateway.url, 'streamable', {}, headers)
  closing.push(() => client.close())
  return client
}

const shop = (api: ItemsApi, more = '') =>
  `  - {name: shop, openapi: {schema: {file: "${document.file}"}, host: "${api.url}"}${more}}`

describe('a service beside an MCP server', () => {
  let api: ItemsApi
  let gateway: RunningGateway
  let client: Client
  beforeAll(async () => {
    api = await startItemsApi({ key: KEY })
    gateway = await runGateway(`
mcp:
  port: 0
  targets:
${shop(api, `, policies: {backendAuth: {key: key-of-the-gateway}}`)}
  - {name: everything, ${stdioTarget(EVERYTHING, 'stdio')}}
`)
    client = await connectClient(gateway.url, 'streamable', {}, { authorization: 'Bearer of-the-client' })
  })
  afterAll(async () => {
    await client?.close()
    await gateway?.close()
    await api?.stop()
  })

  const call = (operation: string, input: Json = {}) =>
    client.callTool({ name: `shop_${operation}`, arguments: input })

  test('it offers every operation, and the tools of the other', async () => {
    const { tools } = await client.listTools()
    const names = tools.map(({ name }) => name)
    expect(names.filter((name) => name.startsWith('shop_')).sort()).toEqual(
      OPERATIONS.map((operation) => `shop_${operation}`).sort(),
    )
    expect(names).toContain('everything_echo')
    expect(textOf(await client.callTool({ name: 'everything_echo', arguments: { message: 'hi' } }))).toBe(
      'Echo: hi',
    )
  })

  test('it groups the arguments by where they go', async () => {
    const { tools } = await client.listTools()
    const schemaOf = (operation: string) =>
      tools.find(({ name }) => name === `shop_${operation}`)?.inputSchema
    expect(schemaOf('listItems')).toMatchObject({
      type: 'object',
      properties: {
        query: {
          type: 'object',
          properties: { tag: { type: 'array', items: { type: 'string' } }, limit: { type: 'integer' } },
        },
        header: { type: 'object', properties: { 'X-Tenant': { type: 'string' } } },
      },
    })
    expect(schemaOf('replaceItem')).toMatchObject({
      properties: {
        path: { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] },
        body: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
      },
      required: expect.arrayContaining(['path', 'body']),
    })
    expect(JSON.stringify(tools)).not.toContain('$ref')
    expect(tools.find(({ name }) => name === 'shop_listItems')?.description).toBe('All items')
  })

  test('it makes, finds, changes and deletes an item', async () => {
    const made = await call('createItem', { body: { name: 'a lamp', tags: ['new', 'hot & cold'] } })
    expect(made).toMatchObject({ structuredContent: { name: 'a lamp', tags: ['new', 'hot & cold'] } })
    expect(made.isError).not.toBe(true)
    expect(JSON.parse(textOf(made))).toEqual(made.structuredContent)
    const { id } = made.structuredContent as { id: number }

    const listed = await call('listItems', {
      query: { tag: ['new', 'hot & cold'], limit: 5 },
      header: { 'X-Tenant': 'acme' },
    })
    expect(listed.structuredContent).toEqual({ items: [made.structuredContent], tenant: 'acme' })
    const query = new URLSearchParams(api.seen.at(-1)?.url.split('?')[1])
    expect([query.getAll('tag'), query.get('limit')]).toEqual([['new', 'hot & cold'], '5'])

    expect((await call('getItem', { path: { id } })).structuredContent).toEqual(made.structuredContent)
    await call('replaceItem', { path: { id }, body: { name: 'a lámp' } })
    expect(api.seen.at(-1)).toMatchObject({ method: 'PUT', body: '{"name":"a lámp"}' })
    expect((await call('getItem', { path: { id } })).structuredContent).toEqual({ id, name: 'a lámp' })
    expect((await call('deleteItem', { path: { id } })).isError).not.toBe(true)
    expect(api.seen.at(-1)).toMatchObject({ method: 'DELETE', body: '' })
    expect((await call('getItem', { path: { id } })).isError).toBe(true)
  })

  test('it goes to the host of the configuration, beneath the path of the document', async () => {
    await call('listItems')
    expect(api.seen.at(-1)).toMatchObject({
      method: 'GET',
      url: '/api/items',
      headers: { host: `127.0.0.1:${api.port}`, accept: expect.stringContaining('application/json') },
    })
  })

  test('it shows an answer of 404 as a result with isError', async () => {
    const result = await call('getItem', { path: { id: 4711 } })
    expect(result).toMatchObject({ isError: true })
    expect(textOf(result)).toContain('no item 4711')
  })

  test('it shows a redirection as a result with isError, and does not follow it', async () => {
    expect(await call('moved')).toMatchObject({ isError: true })
  })

  test('it shows an answer of 500 as a JSON-RPC error', async () => {
    const code = rpcCodeOf(await call('broken').catch((error: unknown) => error))
    expect(code).toBe(-32603)
    expect(
      await gateway.metric('tool_call_errors_total', { name: 'broken', error_type: 'openapi_error' }),
    ).toBe(1)
  })

  test.each([
    { operation: 'plain', text: 'only words' },
    { operation: 'names', text: '"a"' },
  ])('it shows an answer that is no JSON object: $operation', async ({ operation, text }) => {
    const result = await call(operation)
    expect(result.isError).not.toBe(true)
    expect(textOf(result)).toContain(text)
    // Of a result MCP wants an object.
    expect(result.structuredContent).toEqual(expect.any(Object))
    expect(Array.isArray(result.structuredContent)).toBe(false)
  })

  test.each<[string, string, Json]>([
    ['a missing path', 'getItem', {}],
    ['a path that is no value', 'getItem', { path: { id: { a: 1 } } }],
  ])('it sends no request for arguments with %s', async (_, operation, input) => {
    const count = api.seen.length
    const outcome = await call(operation, input).catch((error: unknown) => error)
    expect(outcome instanceof Error || (outcome as { isError?: boolean }).isError).toBe(true)
    expect(api.seen).toHaveLength(count)
  })

  test('it leaves the path that the document has, whatever an argument holds', async () => {
    await call('getItem', { path: { id: '../../admin?x=1#y' } }).catch(() => {})
    for (const { url } of api.seen) expect(url).toMatch(/^\/api\/(?!.*\.\.\/)/)
    expect(api.seen.map(({ url }) => url)).not.toContainEqual(expect.stringMatching(/^\/(api\/)?admin/))
  })

  test('it lets no argument set a header that the document does not have', async () => {
    await call('listItems', {
      header: { 'X-Tenant': 'a', authorization: 'Bearer mine', 'x-other': 'b' },
    }).catch(() => {})
    expect(api.seen.at(-1)?.headers).not.toHaveProperty('x-other')
    expect(api.seen.at(-1)?.headers.authorization).toBe(KEY)
  })

  test("it presents the gateway's credential, not the client's", () => {
    expect(new Set(api.seen.map(({ headers }) => headers.authorization))).toEqual(new Set([KEY]))
  })

  test('it has an access line and a counter for each call', async () => {
    await call('names')
    const line = await eventually(
      () => gateway.records().findLast((record) => record['gen_ai.tool.name'] === 'names'),
      (found) => found !== undefined,
    )
    expect(line).toMatchObject({ 'mcp.target': 'shop', endpoint: `127.0.0.1:${api.port}` })
    expect(await gateway.metric('tool_calls_total', { server: 'shop', name: 'names' })).toBe(2)
  })
})

test("it passes the client's own credential on where there is no backendAuth", async () => {
  const api = await apiOf({ key: 'Bearer of-the-client' })
  const gateway = await gatewayOf(shop(api))
  const client = await clientOf(gateway, { authorization: 'Bearer of-the-client' })
  const result = await client.callTool({ name: 'names', arguments: {} })
  expect(result.isError).not.toBe(true)
})

describe.each([
  { name: 'a file', schema: () => `{file: "${document.file}"}` },
  { name: 'a URL', schema: (api: ItemsApi) => `{url: "${api.url}/openapi.json"}` },
  {
    name: 'the configuration, as an object',
    schema: () => `{inline: ${JSON.stringify(ITEMS_DOCUMENT)}}`,
  },
  {
    name: 'the configuration, as text',
    schema: () => `{inline: ${JSON.stringify(readFileSync(document.file, 'utf8'))}}`,
  },
])('a document from $name', ({ schema }) => {
  test('it has its operations listed and called', async () => {
    const api = await apiOf()
    const gateway = await gatewayOf(`  - {name: shop, openapi: {schema: ${schema(api)}, host: "${api.url}"}}`)
    const client = await clientOf(gateway)
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name).sort()).toEqual([...OPERATIONS].sort())
    const made = await client.callTool({ name: 'createItem', arguments: { body: { name: 'x' } } })
    expect(made.structuredContent).toEqual({ id: 1, name: 'x' })
  })
})

test('it fetches a document once, not for each session', async () => {
  const api = await apiOf()
  const gateway = await gatewayOf(
    `  - {name: shop, openapi: {schema: {url: "${api.url}/openapi.json"}, host: "${api.url}"}}`,
  )
  for (let index = 0; index < 3; index++) await (await clientOf(gateway)).listTools()
  expect(api.documentFetches()).toBe(1)
})

test('it takes a target later whose document could not be had at the start', async () => {
  const api = await apiOf()
  await api.stop()
  const gateway = await gatewayOf(
    `  - {name: shop, openapi: {schema: {url: "${api.url}/openapi.json"}, host: "${api.url}"}}
  - {name: everything, ${stdioTarget(EVERYTHING, 'stdio')}}`,
  )
  const client = await clientOf(gateway)
  const namesOf = async () => (await client.listTools()).tools.map(({ name }) => name)
  expect(await namesOf()).toContain('everything_echo')
  expect(await namesOf()).not.toContain('shop_names')
  expect(await gateway.metric('agentgateway_mcp_target_up', { server: 'shop' })).toBe(0)
  await expect(client.callTool({ name: 'shop_names', arguments: {} })).rejects.toThrow()
  await api.start()
  await eventually(namesOf, (names) => names.includes('shop_names'))
  expect(await gateway.metric('agentgateway_mcp_target_up', { server: 'shop' })).toBe(1)
  const result = await client.callTool({ name: 'shop_names', arguments: {} })
  expect(textOf(result)).toContain('"a"')
})

test('it gives a slow answer up after requestTimeout', async () => {
  const api = await apiOf()
  const gateway = await gatewayOf(shop(api, ', requestTimeout: 200ms'))
  const client = await clientOf(gateway)
  const error = await client
    .callTool({ name: 'slow', arguments: { query: { ms: 3000 } } })
    .catch((reason: unknown) => reason)
  expect(rpcCodeOf(error)).toBe(-32603)
  expect(await gateway.metric('tool_call_errors_total', { name: 'slow', error_type: 'timeout' })).toBe(1)
  const quick = await client.callTool({ name: 'slow', arguments: { query: { ms: 0 } } })
  expect(quick.isError).not.toBe(true)
})

test('it fails a call when the service is gone, and goes on when it is back', async () => {
  const api = await apiOf()
  const gateway = await gatewayOf(shop(api))
  const client = await clientOf(gateway)
  expect((await client.callTool({ name: 'names', arguments: {} })).isError).not.toBe(true)
  await api.stop()
  const error = await client.callTool({ name: 'names', arguments: {} }).catch((reason: unknown) => reason)
  expect(rpcCodeOf(error)).toBe(-32603)
  expect(
    await gateway.metric('tool_call_errors_total', { name: 'names', error_type: 'transport_error' }),
  ).toBe(1)
  await api.start()
  const again = () => client.callTool({ name: 'names', arguments: {} }).catch(() => undefined)
  await eventually(again, (result) => result !== undefined)
})

test('it tells the service the trace', async () => {
  const api = await apiOf()
  const collector = await startCollector()
  closing.push(collector.close)
  const gateway = await runGateway(`
config: {tracing: {otlpEndpoint: "${collector.url}", randomSampling: true}}
mcp:
  port: 0
  targets:
${shop(api)}
`)
  const client = await connectClient(gateway.url)
  await client.callTool({ name: 'getItem', arguments: { path: { id: 1 } } })
  await client.close()
  const spans = await spansAtEnd(gateway, collector)
  const call = spans.find(({ kind, name }) => kind === 'client' && name === 'tools/call getItem')
  expect(api.seen.at(-1)?.headers.traceparent).toBe(`00-${call?.traceId}-${call?.spanId}-01`)
  expect(call?.attributes['http.response.status_code']).toBe(404)
})

test.each<[string, object]>([
  ['cookies', { parameters: [{ name: 'c', in: 'cookie', schema: { type: 'string' } }] }],
  [
    'parameters with content',
    { parameters: [{ name: 'c', in: 'query', content: { 'application/json': { schema: {} } } }] },
  ],
])('it refuses a document with %s at the start', async (_, more) => {
  const paths = { '/a': { get: { operationId: 'a', responses: {}, ...more } } }
  const inline = JSON.stringify({ openapi: '3.0.3', info: { title: 'x', version: '1' }, paths })
  await expect(
    gatewayOf(`  - {name: shop, openapi: {schema: {inline: ${inline}}, host: "http://127.0.0.1:1"}}`),
  ).rejects.toThrow(/\/a|parameters|cookie/)
})
