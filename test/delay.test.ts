/** A client that leaves while its request is delayed. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { gatewayWith } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { open, send } from './support/wire.ts'

let gateway: RunningGateway

beforeAll(async () => {
  const policies = { delay: { duration: 'request.headers["x-wait"]' }, directResponse: { status: 204 } }
  gateway = await runGateway(gatewayWith([{ policies }]))
})
afterAll(() => gateway.close())

test('only those wait that are told to, and nobody for those who leave', async () => {
  const leaving = new AbortController()
  const waiting = open(gateway.url, { headers: { 'x-wait': '1h' }, signal: leaving.signal })
  waiting.catch(() => {})
  expect((await send(gateway.url)).status).toBe(204)
  expect((await send(gateway.url, { headers: { 'x-wait': '1ms' } })).status).toBe(204)
  leaving.abort()
  await expect(waiting).rejects.toThrow()
  const records = await gateway.recorded(3)
  expect(records.map(({ 'http.status': status }) => status)).toEqual([204, 204, 499])
})
