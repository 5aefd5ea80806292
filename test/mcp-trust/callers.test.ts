/** Callers that the route tells apart, whatever is left of their credentials, share neither sessions nor connections. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  isMethod,
  mcpYaml,
  runFor,
  type ScriptedServer,
  startScripted,
  targetOf,
} from '../mcp-lifetime/scripted-server.fixture.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { callOf, initialize, post } from '../support/mcp-lab.ts'

let server: ScriptedServer
let gateway: RunningGateway & { readonly mcp: string }
beforeEach(async () => {
  server = await startScripted()
})
afterEach(async () => {
  await gateway.close()
  await server.close()
})

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
const SHA = '{SHA}O/MvdjOwOQpt8I9HBSVZugThPMw='

const WAYS = [
  {
    name: 'apiKey',
    policy: 'apiKey: {keys: [{key: a}, {key: b}]}',
    credentials: ['Bearer a', 'Bearer b'],
  },
  {
    name: 'basicAuth',
    policy: `basicAuth: {htpasswd: "ann:${SHA}\\nbob:${SHA}"}`,
    credentials: [basic('ann:sha-pw'), basic('bob:sha-pw')],
  },
] as const

test.each(WAYS)('by $name, without a session', async ({ policy, credentials }) => {
  gateway = await runFor(
    [server],
    mcpYaml([targetOf('web', server)], `statefulMode: stateless, policies: {${policy}}`),
  )
  for (const authorization of [...credentials, ...credentials])
    expect((await post(gateway.mcp, callOf(1, 'echo'), { authorization })).status).toBe(200)
  expect(server.all(isMethod('initialize'))).toHaveLength(2)
})

test.each(WAYS)('by $name, with one', async ({ policy, credentials }) => {
  gateway = await runFor([server], mcpYaml([targetOf('web', server)], `policies: {${policy}}`))
  const [ann, bob] = credentials
  const { headers } = await post(gateway.mcp, initialize(), { authorization: ann })
  const call = (authorization: string) =>
    post(gateway.mcp, callOf(1, 'echo'), {
      authorization,
      'mcp-session-id': headers.get('mcp-session-id') ?? '',
    })
  expect((await call(ann)).status).toBe(200)
  expect((await call(bob)).status).toBe(404)
})
