import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { StoreBusyError } from '../store/questions.ts'
import { createAccess } from './access.ts'
import { json } from './http.ts'
import { adminHandler, type RouteHandler } from './routes.ts'

let server: Server | undefined
const unexpected: unknown[] = []
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
  unexpected.length = 0
})

async function serve(handler: RouteHandler): Promise<string> {
  server = createServer(
    adminHandler({
      access: createAccess({ token: undefined, now: Date.now }),
      unexpected: (error) => unexpected.push(error),
      routes: [{ method: 'GET', path: '/api/it', handler }],
    }),
  ).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/it`
}

test('it says when to ask again when the store is busy', async () => {
  const reply = await fetch(await serve(() => Promise.reject(new StoreBusyError())))
  expect(reply.status).toBe(503)
  expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(await reply.json()).toEqual({ error: expect.stringMatching(/busy/) })
  expect(unexpected).toEqual([])
})

test('it says nothing of an error that nobody expected, but to the log', async () => {
  const error = new Error('a secret')
  const reply = await fetch(await serve(() => Promise.reject(error)))
  expect([reply.status, await reply.json()]).toEqual([500, { error: 'internal error: see the log' }])
  expect(unexpected).toEqual([error])
})

test('it no longer looks for what a client asked that has left', async () => {
  const begun = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<unknown>()
  const url = await serve((_request, _response, left) => {
    begun.resolve()
    return new Promise((_, reject) => {
      left.addEventListener('abort', () => {
        reject(left.reason)
        ended.resolve(left.reason)
      })
    })
  })
  const leaving = request(url).on('error', () => {})
  leaving.end()
  await begun.promise
  leaving.destroy()
  expect(await ended.promise).toMatchObject({ status: 499 })
  expect(unexpected).toEqual([])
})

test('it is not told that a client has left that waits', async () => {
  let isLeft: boolean | undefined
  const url = await serve(async (_request, response, left) => {
    await new Promise((resolve) => setTimeout(resolve, 50))
    isLeft = left.aborted
    json(response, 200, {})
  })
  expect((await fetch(url)).status).toBe(200)
  expect(isLeft).toBe(false)
})
