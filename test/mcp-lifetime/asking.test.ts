/** Calls of 2026-07-28 during which a server asks: one call at the server, several requests of the client. */
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunningGateway } from '../support/gateway.ts'
import { type Answer, eventually, type Json } from '../support/mcp-lab.ts'
import { bearer, identity, trusting } from './identity.fixture.ts'
import { modern, postModern, postModernRaw } from './modern-client.fixture.ts'
import {
  isCall,
  isMethod,
  mcpYaml,
  openEvents,
  runFor,
  type ScriptedServer,
  type Seen,
  sendEvent,
  startScripted,
  targetOf,
  textResult,
} from './scripted-server.fixture.ts'

let server: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
/** Of the call to `slow`. */
let call: { readonly id: unknown; readonly response: ServerResponse } | undefined
beforeEach(async () => {
  server = await startScripted()
  call = undefined
})
afterEach(async () => {
  await server.close()
  await gateway.close()
})

const question = (id: string): Json => ({ id, method: 'elicitation/create', params: { message: `${id}?` } })
const say = (message: Json) => call && sendEvent(call.response, message)
function end(result: Json): void {
  say({ id: call?.id, result })
  call?.response.end()
}

/** `slow` asks at once. */
function askFirst(seen: Seen, response: ServerResponse): boolean {
  if (!isCall('slow')(seen)) return false
  call = { id: seen.message.id, response }
  openEvents(response)
  say(question('first'))
  return true
}

async function run(extra = ''): Promise<void> {
  gateway = await runFor([server], mcpYaml([targetOf('web', server)], extra))
  server.script = askFirst
}

const OPTIONS = { capabilities: { elicitation: {} } }
const slow = (id: number | string, more: Json = {}, headers: Record<string, string> = {}) =>
  modern(id, 'tools/call', { name: 'slow', arguments: {}, ...more }, { ...OPTIONS, headers })

interface Asked {
  readonly requestState: string
  readonly inputRequests: Readonly<Record<string, { readonly params: Json }>>
}

function askedIn({ messages }: Answer): Asked {
  const result = messages.at(-1)?.result as (Json & Asked) | undefined
  expect(result).toMatchObject({ resultType: 'input_required', requestState: expect.any(String) })
  if (result === undefined) throw new Error('not asked')
  return result
}

/** What brings the answers to all questions that were asked. */
const answers = ({ requestState, inputRequests }: Asked): Json => ({
  requestState,
  inputResponses: Object.fromEntries(
    Object.entries(inputRequests).map(([key, { params }]) => [
      key,
      { action: 'accept', content: { said: `yes to ${String(params.message)}` } },
    ]),
  ),
})

const saidBy = ({ inputRequests }: Asked) => Object.values(inputRequests).map(({ params }) => params.message)
const answerTo =
  (id: string) =>
  ({ message }: Seen): boolean =>
    message.id === id && message.method === undefined

describe('what is counted', () => {
  test.each([
    { result: textResult('it broke', { isError: true }), errors: 1, status: 'error', type: 'tool_error' },
    { result: textResult('fine'), errors: 0, status: 'ok', type: 'none' },
  ])('it is one call with one outcome, $type', async ({ result, errors, status, type }) => {
    await run()
    const asked = askedIn(await postModern(gateway.mcp, slow(1)))
    const again = postModern(gateway.mcp, slow(2, answers(asked)))
    await server.arrived(answerTo('first'))
    end(result)
    expect((await again).messages.at(-1)).toMatchObject({
      id: 2,
      result: { ...result, resultType: 'complete' },
    })
    await gateway.recorded(2)
    const labels = { server: 'web', name: 'slow' }
    expect(await gateway.metric('tool_calls_total', labels)).toBe(1)
    expect(await gateway.metric('tool_call_errors_total', labels)).toBe(errors)
    expect(await gateway.metric('tool_call_errors_total', { ...labels, error_type: type })).toBe(errors)
    const requests = { method: 'tools/call', status, error_type: type }
    expect(await gateway.metric('agentgateway_mcp_requests_total', requests)).toBe(status === 'ok' ? 2 : 1)
    expect(await gateway.metric('agentgateway_mcp_requests_total', { method: 'tools/call' })).toBe(2)
    const [, last] = gateway.records()
    expect(last?.['mcp.error.type']).toBe(type === 'none' ? undefined : type)
  })

  test('it is an error at the end where the client gives the call up', async () => {
    await run()
    const asked = askedIn(await postModern(gateway.mcp, slow(1)))
    const leaving = new AbortController()
    const again = postModernRaw(gateway.mcp, slow(2, answers(asked)), leaving.signal)
    await server.arrived(answerTo('first'))
    leaving.abort()
    await again.then((response) => response.text()).catch(() => {})
    const { params } = await server.arrived(isMethod('notifications/cancelled'))
    expect(params.requestId).toBe(call?.id)
    await eventually(
      () => gateway.metric('agentgateway_requests_in_flight'),
      (count) => count === 0,
      2000,
    )
    expect(await gateway.metric('tool_calls_total')).toBe(1)
    expect(await gateway.metric('tool_call_errors_total', { error_type: 'cancelled' })).toBe(1)
  })

  test.each([
    { name: 'an unknown requestState', message: slow('mine', { requestState: 'nobody-knows' }) },
    { name: 'subscriptions/listen without a filter', message: modern('mine', 'subscriptions/listen', {}) },
    {
      name: 'subscriptions/listen with a filter that is none',
      message: modern('mine', 'subscriptions/listen', { notifications: { resourceSubscriptions: [1] } }),
    },
  ])('it is an error where there is $name, and the answer says to which request', async ({ message }) => {
    await run()
    const { status, messages } = await postModern(gateway.mcp, message)
    expect(status).toBe(400)
    expect(messages).toMatchObject([{ jsonrpc: '2.0', id: 'mine', error: { code: -32602 } }])
    const [record] = await gateway.recorded(1)
    expect(record).toMatchObject({ 'mcp.error.type': 'invalid_request' })
    const { method } = message.message
    const labels = { method, status: 'error', error_type: 'invalid_request' }
    expect(await gateway.metric('agentgateway_mcp_requests_total', labels)).toBe(1)
    expect(await gateway.metric('agentgateway_mcp_requests_total', { method })).toBe(1)
    expect(server.all(isCall())).toEqual([])
  })
})

describe('whose call it is', () => {
  test('it goes on for no other tool, and still for its own', async () => {
    await run()
    const asked = askedIn(await postModern(gateway.mcp, slow(1)))
    const stolen = { name: 'quick', arguments: {}, ...answers(asked) }
    const { status, messages } = await postModern(gateway.mcp, modern(2, 'tools/call', stolen, OPTIONS))
    expect(status).toBe(400)
    expect(messages).toMatchObject([{ id: 2, error: { code: -32602 } }])
    expect(server.all(answerTo('first'))).toEqual([])
    const again = postModern(gateway.mcp, slow(3, answers(asked)))
    await server.arrived(answerTo('first'))
    end(textResult('mine'))
    expect((await again).messages.at(-1)).toMatchObject({ id: 3, result: textResult('mine') })
  })

  test('it goes on at no other backend', async () => {
    const route = (path: string) =>
      `{matches: [{path: {pathPrefix: ${path}}}], backends: [{mcp: {targets: [${targetOf('web', server)}]}}]}`
    gateway = await runFor(
      [server],
      `binds: [{port: 0, listeners: [{routes: [${route('/one')}, ${route('/two')}]}]}]`,
    )
    server.script = askFirst
    const asked = askedIn(await postModern(`${gateway.url}/one`, slow(1)))
    expect((await postModern(`${gateway.url}/two`, slow(2, answers(asked)))).status).toBe(400)
    expect(server.all(answerTo('first'))).toEqual([])
  })

  test('it goes on for nobody else', async () => {
    const { keySet, token } = await identity('one')
    await run(`policies: {${trusting(`'${keySet}'`)}}`)
    const [alice, bob] = [bearer(await token('alice')), bearer(await token('bob'))]
    const asked = askedIn(await postModern(gateway.mcp, slow(1, {}, alice)))
    expect(await postModern(gateway.mcp, slow(2, answers(asked), bob))).toMatchObject({
      status: 400,
      messages: [{ id: 2, error: { code: -32602 } }],
    })
    expect(server.all(answerTo('first'))).toEqual([])
    const again = postModern(gateway.mcp, slow(3, answers(asked), bearer(await token('alice'))))
    await server.arrived(answerTo('first'))
    end(textResult('for alice'))
    expect((await again).messages.at(-1)).toMatchObject({ id: 3, result: textResult('for alice') })
  })

  test('it goes on once', async () => {
    await run()
    const asked = askedIn(await postModern(gateway.mcp, slow(1)))
    const again = postModern(gateway.mcp, slow(2, answers(asked)))
    await server.arrived(answerTo('first'))
    expect((await postModern(gateway.mcp, slow(3, answers(asked)))).status).toBe(400)
    end(textResult('once'))
    await again
    expect(server.all(answerTo('first'))).toHaveLength(1)
    expect(server.all(isCall('slow'))).toHaveLength(1)
  })
})

describe('two questions', () => {
  test('it puts the second to the client that was asked while it thought about the first', async () => {
    await run()
    const first = askedIn(await postModern(gateway.mcp, slow(1)))
    expect(saidBy(first)).toEqual(['first?'])
    say(question('second'))
    say({ id: 'heard', method: 'ping' })
    await server.arrived(answerTo('heard'))
    const second = askedIn(await postModern(gateway.mcp, slow(2, answers(first))))
    expect(saidBy(second)).toEqual(['second?'])
    const last = postModern(gateway.mcp, slow(3, answers(second)))
    for (const id of ['first', 'second'])
      expect((await server.arrived(answerTo(id))).message).toMatchObject({
        result: { action: 'accept', content: { said: `yes to ${id}?` } },
      })
    end(textResult('both'))
    expect((await last).messages.at(-1)).toMatchObject({ id: 3, result: textResult('both') })
    await gateway.recorded(3)
    expect(await gateway.metric('tool_calls_total')).toBe(1)
  })

  test('it puts the second to the client that was asked once the first was answered', async () => {
    await run()
    const first = askedIn(await postModern(gateway.mcp, slow(1)))
    const going = postModern(gateway.mcp, slow(2, answers(first)))
    await server.arrived(answerTo('first'))
    say(question('second'))
    const second = askedIn(await going)
    expect(saidBy(second)).toEqual(['second?'])
    const last = postModern(gateway.mcp, slow(3, answers(second)))
    await server.arrived(answerTo('second'))
    end(textResult('both'))
    expect((await last).messages.at(-1)).toMatchObject({ id: 3, result: textResult('both') })
  })

  test('it puts both to the client together that were asked together', async () => {
    await run()
    server.script = (seen, response) => {
      const isAsked = askFirst(seen, response)
      if (isAsked) say(question('second'))
      return isAsked
    }
    const asked = askedIn(await postModern(gateway.mcp, slow(1)))
    let questions = saidBy(asked)
    let last = postModern(gateway.mcp, slow(2, answers(asked)))
    if (questions.length === 1) {
      const next = askedIn(await last)
      questions = [...questions, ...saidBy(next)]
      last = postModern(gateway.mcp, slow(3, answers(next)))
    }
    expect(questions).toEqual(['first?', 'second?'])
    await Promise.all(['first', 'second'].map((id) => server.arrived(answerTo(id))))
    end(textResult('both'))
    expect((await last).messages.at(-1)).toMatchObject({ result: textResult('both') })
  })
})

test('it tells the server of a client that answered in part that the rest was left open', async () => {
  await run()
  const { requestState } = askedIn(await postModern(gateway.mcp, slow(1)))
  const again = postModern(gateway.mcp, slow(2, { requestState, inputResponses: {} }))
  expect((await server.arrived(answerTo('first'))).message).toMatchObject({ error: { code: -32603 } })
  end(textResult('without'))
  expect((await again).messages.at(-1)).toMatchObject({ id: 2, result: textResult('without') })
})

test('it waits for the client although nobody used the connection in the meantime', async () => {
  gateway = await runFor(
    [server],
    mcpYaml([targetOf('web', server)], '', 'config: {mcp: {sessionTtl: 100ms}}'),
  )
  server.script = askFirst
  const asked = askedIn(await postModern(gateway.mcp, slow(1)))
  await sleep(300)
  const again = postModern(gateway.mcp, slow(2, answers(asked)))
  await server.arrived(answerTo('first'))
  end(textResult('in its own time'))
  expect((await again).messages.at(-1)).toMatchObject({ id: 2, result: textResult('in its own time') })
})
