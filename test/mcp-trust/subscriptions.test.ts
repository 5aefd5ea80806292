/** `subscriptions/listen` of 2026-07-28: who hears of which resource, and when the target is told. */
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Heard, listenFor, modern, postModern } from '../mcp-lifetime/modern-client.fixture.ts'
import {
  isHttp,
  isMethod,
  json,
  mcpYaml,
  openEvents,
  runFor,
  type ScriptedServer,
  type Seen,
  sendEvent,
  startScripted,
  targetOf,
} from '../mcp-lifetime/scripted-server.fixture.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { eventually } from '../support/mcp-lab.ts'

let server: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
let stream: ServerResponse | undefined
/** How often the target refuses a subscription. */
let failures: number
const listeners: Heard[] = []
beforeEach(async () => {
  server = await startScripted()
  stream = undefined
  failures = 0
})
afterEach(async () => {
  for (const one of listeners.splice(0)) one.leave()
  await server.close()
  await gateway.close()
})

const RULES = `policies: {mcpAuthorization: {rules: [
  {deny: 'mcp.resource.name == "memo:secret"'},
  {deny: 'mcp.resource.name == "memo:alice" && request.headers["x-who"] == "bob"'}]}}`

async function run(extra = RULES): Promise<void> {
  gateway = await runFor([server], mcpYaml([targetOf('web', server)], extra))
  server.script = (seen, response) => {
    if (isHttp('GET')(seen)) {
      stream = response
      return openEvents(response)
    }
    if (!isMethod('resources/subscribe')(seen) || failures-- <= 0) return false
    return json(response, 200, { id: seen.message.id, error: { code: -32000, message: 'not now' } })
  }
}

let lastId = 0
async function listen(uris: readonly string[], who = 'alice'): Promise<Heard> {
  const heard = await listenFor(
    gateway.mcp,
    ++lastId,
    { toolsListChanged: true, resourceSubscriptions: uris },
    { headers: { 'x-who': who } },
  )
  listeners.push(heard)
  return heard
}

const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged'
async function acknowledged(heard: Heard): Promise<unknown> {
  const { params } = await heard.heard(({ method }) => method === ACKNOWLEDGED)
  return (
    (params as { notifications: { resourceSubscriptions?: unknown } }).notifications.resourceSubscriptions ??
    []
  )
}

const uriOf = ({ params }: Seen) => params.uri
const subscribed = () => server.all(isMethod('resources/subscribe')).map(uriOf)
const unsubscribed = () => server.all(isMethod('resources/unsubscribe')).map(uriOf)

function tellUpdated(uri: string): void {
  if (stream !== undefined) sendEvent(stream, { method: 'notifications/resources/updated', params: { uri } })
}

describe('a denied resource', () => {
  test.each([
    { uris: ['memo:secret'], granted: [] },
    { uris: ['memo:secret', 'memo:secret'], granted: [] },
    { uris: ['memo:secret', 'memo:open', 'memo:secret', 'memo:open'], granted: ['memo:open'] },
  ])('it is not acknowledged in $uris, nor asked for at the target', async ({ uris, granted }) => {
    await run()
    for (let round = 0; round < 2; round++) expect(await acknowledged(await listen(uris))).toEqual(granted)
    expect(subscribed()).not.toContain('memo:secret')
  })

  test('it is not acknowledged when another caller already listens for it, nor told', async () => {
    await run()
    const alice = await listen(['memo:alice'])
    expect(await acknowledged(alice)).toEqual(['memo:alice'])
    const bob = await listen(['memo:alice', 'memo:open'], 'bob')
    expect(await acknowledged(bob)).toEqual(['memo:open'])
    // Both share the connection: the target has one session.
    expect(server.all(isMethod('initialize'))).toHaveLength(1)
    await server.arrived(isHttp('GET'))
    tellUpdated('memo:alice')
    tellUpdated('memo:open')
    await alice.heard(({ method }) => method === 'notifications/resources/updated')
    await bob.heard(({ method }) => method === 'notifications/resources/updated')
    expect(JSON.stringify(bob.messages)).not.toContain('memo:alice')
    expect(JSON.stringify(alice.messages)).not.toContain('memo:open')
  })

  test('it stays subscribed for who may when who may not has left', async () => {
    await run()
    const alice = await listen(['memo:alice'])
    await acknowledged(alice)
    const bob = await listen(['memo:alice', 'memo:open'], 'bob')
    await acknowledged(bob)
    bob.leave()
    await server.arrived(isMethod('resources/unsubscribe'))
    expect(unsubscribed()).toEqual(['memo:open'])
  })
})

describe('a subscription', () => {
  test('it is tried again for the next when it failed for the first', async () => {
    await run()
    failures = 1
    expect(await acknowledged(await listen(['memo:open']))).toEqual([])
    const second = await listen(['memo:open'])
    expect(await acknowledged(second)).toEqual(['memo:open'])
    expect(subscribed()).toEqual(['memo:open', 'memo:open'])
    await server.arrived(isHttp('GET'))
    tellUpdated('memo:open')
    await second.heard(({ method }) => method === 'notifications/resources/updated')
  })

  test('it is not ended by one whom the target refused', async () => {
    await run()
    failures = 1
    const first = await listen(['memo:open'])
    expect(await acknowledged(first)).toEqual([])
    expect(await acknowledged(await listen(['memo:open']))).toEqual(['memo:open'])
    first.leave()
    await eventually(
      () => gateway.metric('agentgateway_requests_in_flight'),
      (count) => count === 1,
    )
    await postModern(gateway.mcp, modern(99, 'tools/list'))
    expect(unsubscribed()).toEqual([])
  })

  test('it ends at the target when the last of those leaves who listen for it', async () => {
    await run()
    const all = [
      await listen(['memo:open']),
      await listen(['memo:open', 'memo:open']),
      await listen(['memo:open']),
    ]
    for (const one of all) await acknowledged(one)
    for (const [index, one] of all.entries()) {
      expect(unsubscribed()).toEqual([])
      one.leave()
      await eventually(
        () => gateway.metric('agentgateway_requests_in_flight'),
        (count) => count === all.length - 1 - index,
      )
    }
    await server.arrived(isMethod('resources/unsubscribe'))
    expect(unsubscribed()).toEqual(['memo:open'])
    expect(await acknowledged(await listen(['memo:open']))).toEqual(['memo:open'])
  })

  test('it is not left behind by a client that leaves before it is told', async () => {
    await run()
    const held = Promise.withResolvers<void>()
    const { script } = server
    server.script = (seen, response) => {
      if (!isMethod('resources/subscribe')(seen)) return script(seen, response)
      held.promise.then(() => json(response, 200, { id: seen.message.id, result: {} }))
      return true
    }
    const leaving = new AbortController()
    const { message, headers } = modern(1, 'subscriptions/listen', {
      notifications: { resourceSubscriptions: ['memo:open'] },
    })
    const asked = fetch(gateway.mcp, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
      },
      body: JSON.stringify(message),
      signal: leaving.signal,
    }).catch(() => undefined)
    await server.arrived(isMethod('resources/subscribe'))
    leaving.abort()
    await asked
    await gateway.recorded(1)
    held.resolve()
    await server.arrived(isMethod('resources/unsubscribe'))
    expect([subscribed(), unsubscribed()]).toEqual([['memo:open'], ['memo:open']])
  })
})
