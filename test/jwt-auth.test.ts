/** Tokens of an identity provider over real HTTP: who it is, what that one may, and a provider that is away. */
import OpenAI, { AuthenticationError, PermissionDeniedError, RateLimitError } from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { bearer, identity } from './mcp-lifetime/identity.fixture.ts'
import { chatBody, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { callOf, FIXTURE, initialize, post } from './support/mcp-lab.ts'
import { sendJson as answerJson, type StandIn, startServer } from './support/stand-ins.ts'
import { sendJson } from './support/wire.ts'

type Identity = Awaited<ReturnType<typeof identity>>

let ours: Identity
let stranger: Identity
let keys: StandIn
let fetches = 0
let openAI: SimulatedProvider
let gateway: RunningGateway

beforeAll(async () => {
  ours = await identity('k')
  stranger = await identity('k')
  keys = await startServer((_, response) => {
    fetches++
    answerJson(response, 200, JSON.parse(ours.keySet))
  })
  openAI = await startSimulatedOpenAI()
  const jwtAuth = { issuer: 'https://id.example.com', audiences: ['a'], jwks: { url: `${keys.url}/keys` } }
  const limit = { maxTokens: 2, tokensPerFill: 1, fillInterval: '1h', key: 'jwt.sub' }
  const away = { ...jwtAuth, jwks: { url: 'http://127.0.0.1:1/keys' } }
  const backends = [openAIBackend(openAI, { backendAuth: { key: 'sk-owner' } })]
  gateway = await runGateway(
    gatewayWith([
      { matches: under('/away'), policies: { jwtAuth: away }, backends },
      {
        matches: under('/mcp'),
        policies: {
          jwtAuth,
          mcpAuthorization: { rules: ['jwt.sub == "ann"'] },
        },
        backends: [
          { mcp: { targets: [{ name: 'a', stdio: { cmd: process.execPath, args: [FIXTURE, 'a'] } }] } },
        ],
      },
      {
        policies: {
          jwtAuth,
          authorization: { rules: ['jwt.sub in ["ann", "bob"]'] },
          localRateLimit: [limit],
        },
        backends,
      },
    ]),
  )
})

afterAll(async () => {
  await gateway.close()
  await openAI.close()
  await keys.close()
})

const chat = (apiKey: string) =>
  new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 }).chat.completions.create(
    chatBody() as never,
  )

test('a token is a key for the official SDK, and stays here', async () => {
  const token = await ours.token('ann')
  await chat(token)
  expect(openAI.calls.at(-1)?.headers.authorization).toBe('Bearer sk-owner')
  expect(JSON.stringify(openAI.calls)).not.toContain(token)
  await expect(chat(await stranger.token('ann'))).rejects.toThrow(AuthenticationError)
  expect(fetches).toBe(1)
})

test('its claims are what rules and limits judge by', async () => {
  await expect(chat(await ours.token('mallory'))).rejects.toThrow(PermissionDeniedError)
  await chat(await ours.token('ann'))
  await expect(chat(await ours.token('ann'))).rejects.toThrow(RateLimitError)
  await chat(await ours.token('bob'))
})

test('without one the answer says how', async () => {
  const { status, headers } = await sendJson(`${gateway.url}/v1/chat/completions`, chatBody())
  expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer'])
})

test('a provider that is away is told apart from a bad token, and the log says why', async () => {
  const answer = await sendJson(
    `${gateway.url}/away/v1/chat/completions`,
    chatBody(),
    bearer(await ours.token('ann')),
  )
  expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
  expect(answer.body).toContain('keys_unavailable')
  expect(answer.body).not.toContain('127.0.0.1')
  await gateway.recorded(8)
  const record = gateway.records().find(({ 'http.status': status }) => status === 503)
  expect(record?.error).toMatch(/cannot be fetched: .*127\.0\.0\.1:1/)
})

test('in front of MCP its claims are those of the rules, and a session is of one subject', async () => {
  const url = `${gateway.url}/mcp`
  const call = async (who: string, session: string) =>
    post(url, callOf(1, 'echo'), { ...bearer(await ours.token(who)), 'mcp-session-id': session })
  expect(await post(url, initialize())).toMatchObject({ status: 401 })
  const open = async (who: string) => {
    const { status, headers } = await post(url, initialize(), bearer(await ours.token(who)))
    expect(status).toBe(200)
    return headers.get('mcp-session-id') ?? ''
  }
  const [anns, bobs] = [await open('ann'), await open('bob')]
  expect(await call('ann', anns)).toMatchObject({ status: 200 })
  expect(await call('bob', anns)).toMatchObject({ status: 404 })
  expect((await call('bob', bobs)).messages).toMatchObject([
    { error: { message: expect.stringContaining('Unknown tool') } },
  ])
})
