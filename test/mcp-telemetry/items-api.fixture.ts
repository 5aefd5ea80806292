/** A small HTTP service as there are many: items in memory, an OpenAPI document, a few answers that are not what one hopes. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Milliseconds since 1970. */
  readonly askedAt: number
}

export interface ItemsApi {
  readonly port: number
  readonly url: string
  /** Requests for the document are not among them. */
  readonly seen: SeenRequest[]
  readonly documentFetches: () => number
  readonly stop: () => Promise<void>
  /** On the same port as before. */
  readonly start: () => Promise<void>
}

interface Item {
  readonly id: number
  readonly name: string
  readonly tags?: readonly string[]
}

const ITEM = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string' }, tags: { type: 'array', items: { type: 'string' } } },
}
const id = { name: 'id', in: 'path', required: true, schema: { type: 'integer' } }
const answers = { '200': { description: 'fine' } }
const body = {
  required: true,
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Item' } } },
}

export const ITEMS_DOCUMENT = {
  openapi: '3.0.3',
  info: { title: 'Items', version: '1' },
  servers: [{ url: 'https://elsewhere.example.com/api' }],
  components: { schemas: { Item: ITEM } },
  paths: {
    '/items': {
      get: {
        operationId: 'listItems',
        summary: 'All items',
        parameters: [
          { name: 'tag', in: 'query', schema: { type: 'array', items: { type: 'string' } } },
          { name: 'limit', in: 'query', schema: { type: 'integer' } },
          { name: 'X-Tenant', in: 'header', schema: { type: 'string' } },
        ],
        responses: answers,
      },
      post: { operationId: 'createItem', requestBody: body, responses: answers },
    },
    '/items/{id}': {
      parameters: [id],
      get: { operationId: 'getItem', responses: answers },
      put: { operationId: 'replaceItem', requestBody: body, responses: answers },
      delete: { operationId: 'deleteItem', responses: answers },
    },
    '/broken': { get: { operationId: 'broken', responses: answers } },
    '/plain': { get: { operationId: 'plain', responses: answers } },
    '/names': { get: { operationId: 'names', responses: answers } },
    '/moved': { get: { operationId: 'moved', responses: answers } },
    '/slow': {
      get: {
        operationId: 'slow',
        parameters: [{ name: 'ms', in: 'query', schema: { type: 'integer' } }],
        responses: answers,
      },
    },
  },
}

export const OPERATIONS = [
  'listItems',
  'createItem',
  'getItem',
  'replaceItem',
  'deleteItem',
  'broken',
  'plain',
  'names',
  'moved',
  'slow',
] as const

/** The document in a file of its own. */
export function itemsDocument() {
  const directory = mkdtempSync(join(tmpdir(), 'agentgateway-items-'))
  const file = join(directory, 'items.json')
  writeFileSync(file, JSON.stringify(ITEMS_DOCUMENT))
  return { file, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

/** `key`: what `Authorization` has to be; without it everybody may. */
export async function startItemsApi({ key }: { readonly key?: string } = {}): Promise<ItemsApi> {
  const items = new Map<number, Item>()
  const seen: SeenRequest[] = []
  const sockets = new Set<Socket>()
  let last = 0
  let documentFetches = 0

  const json = (response: ServerResponse, status: number, value?: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(value === undefined ? undefined : JSON.stringify(value))
  }
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://items')
    if (url.pathname === '/openapi.json') {
      documentFetches++
      return json(response, 200, ITEMS_DOCUMENT)
    }
    const askedAt = performance.timeOrigin + performance.now()
    const content = await text(request)
    const method = request.method ?? ''
    seen.push({ method, url: request.url ?? '', headers: request.headers, body: content, askedAt })
    if (key !== undefined && request.headers.authorization !== key)
      return json(response, 401, { problem: 'who are you?' })
    const given = () => JSON.parse(content) as Omit<Item, 'id'>
    const [, place, wanted] = url.pathname.replace(/^\/api/, '').split('/')
    if (place === 'broken') return json(response, 500, { problem: 'it broke' })
    if (place === 'plain') {
      response.writeHead(200, { 'content-type': 'text/plain' })
      return void response.end('only words')
    }
    if (place === 'names') return json(response, 200, ['a', 'b'])
    if (place === 'moved') {
      response.writeHead(302, { location: 'http://169.254.169.254/' })
      return void response.end()
    }
    if (place === 'slow') {
      await sleep(Number(url.searchParams.get('ms')))
      return json(response, 200, { askedAt, answeredAt: performance.timeOrigin + performance.now() })
    }
    if (place !== 'items') return json(response, 404, { problem: 'no such place' })
    if (wanted === undefined) {
      if (method === 'POST') {
        const made = { id: ++last, ...given() }
        items.set(made.id, made)
        return json(response, 201, made)
      }
      const tags = url.searchParams.getAll('tag')
      const found = [...items.values()].filter((one) => tags.every((tag) => one.tags?.includes(tag)))
      return json(response, 200, { items: found, tenant: request.headers['x-tenant'] ?? null })
    }
    const item = items.get(Number(wanted))
    if (item === undefined) return json(response, 404, { problem: `no item ${wanted}` })
    if (method === 'DELETE') {
      items.delete(item.id)
      return void response.writeHead(204).end()
    }
    if (method === 'PUT') items.set(item.id, { ...given(), id: item.id })
    json(response, 200, items.get(item.id))
  }

  const http = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  http.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  let port = 0
  const start = async () => {
    http.listen(port, '127.0.0.1')
    await once(http, 'listening')
    port = (http.address() as AddressInfo).port
  }
  await start()
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    seen,
    documentFetches: () => documentFetches,
    async stop() {
      if (!http.listening) return
      const closed = once(http, 'close')
      http.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
    start,
  }
}
