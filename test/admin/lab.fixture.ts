/** A gateway that keeps its requests, before both simulated providers and an MCP server, and its admin API's client. */
import { once } from 'node:events'
import type {
  Analytics,
  AnalyticsQuery,
  LogEntry,
  LogGot,
  LogsFound,
  LogsSearch,
  Overview,
} from '../../src/admin/api-types.ts'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../../src/demo/provider.ts'
import { type Script, scriptHeader } from '../../src/demo/script.ts'
import {
  anthropicBackend,
  chatBody,
  gatewayWith,
  hostBackend,
  messagesBody,
  openAIBackend,
  under,
} from '../support/configuration.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { callOf, type Lab as McpLab, openSession, post, request, startLab } from '../support/mcp-lab.ts'
import { type Ask, open, type Reply, send } from '../support/wire.ts'

export type Json = Readonly<Record<string, unknown>>

/** A GET, or with a body a POST of JSON. */
export const askApi = (
  adminUrl: string,
  path: string,
  body?: unknown,
  headers: Ask['headers'] = {},
): Promise<Reply> =>
  send(`${adminUrl}${path}`, {
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })

/** Throws unless the answer is a 200. */
export async function askFor<T>(adminUrl: string, path: string, body?: unknown): Promise<T> {
  const reply = await askApi(adminUrl, path, body)
  if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${reply.body}`)
  return JSON.parse(reply.body) as T
}

export interface Client {
  readonly get: <T>(path: string) => Promise<T>
  readonly search: (search?: LogsSearch) => Promise<LogsFound>
  /** Every page, one after the other. */
  readonly all: (search?: LogsSearch) => Promise<readonly LogEntry[]>
  readonly log: (id: string) => Promise<LogGot>
  readonly summary: (query?: AnalyticsQuery) => Promise<Analytics>
  readonly overview: (range?: string) => Promise<Overview>
}

export function clientOf(adminUrl: string): Client {
  const search = (body: LogsSearch = {}) => askFor<LogsFound>(adminUrl, '/api/logs/search', body)
  return {
    get: (path) => askFor(adminUrl, path),
    search,
    async all(body = {}) {
      const found: LogEntry[] = []
      let cursor = body.cursor
      for (;;) {
        const page = await search({ ...body, ...(cursor !== undefined && { cursor }) })
        found.push(...page.logs)
        if (page.nextCursor === null) return found
        cursor = page.nextCursor
      }
    },
    log: (id) => askFor(adminUrl, '/api/logs/get', { id }),
    summary: (body = {}) => askFor(adminUrl, '/api/logs/analytics/summary', body),
    overview: (range = '1h') => askFor(adminUrl, `/api/overview?range=${range}`),
  }
}

export interface AdminLab {
  readonly openAI: SimulatedProvider
  readonly anthropic: SimulatedProvider
  readonly mcp: McpLab
  readonly gateway: RunningGateway
  readonly client: Client
  readonly close: () => Promise<void>
}

export interface AdminLabOptions {
  /** `config:` beside the database. */
  readonly config?: Json
  readonly database?: Json
  /** Beside `config:` and `binds:`. */
  readonly more?: Json
  readonly environment?: Readonly<Record<string, string>>
}

export const REWRITE = { urlRewrite: { path: { prefix: '/' } } }

export async function startAdminLab(options: AdminLabOptions = {}): Promise<AdminLab> {
  const openAI = await startSimulatedOpenAI()
  const anthropic = await startSimulatedAnthropic()
  const mcp = await startLab({ name: 'tools' })
  const routes = [
    { name: 'openai', matches: under('/openai'), policies: REWRITE, backends: [openAIBackend(openAI)] },
    {
      name: 'anthropic',
      matches: under('/anthropic'),
      policies: REWRITE,
      backends: [anthropicBackend(anthropic)],
    },
    { name: 'plain', matches: under('/plain'), backends: [hostBackend(openAI)] },
    { name: 'closed', matches: under('/closed'), backends: [{ host: '127.0.0.1:1' }] },
    {
      name: 'mcp',
      matches: under('/mcp'),
      backends: [{ mcp: { targets: [{ name: 'tools', mcp: { host: mcp.url } }] } }],
    },
  ]
  const gateway = await runGateway(
    gatewayWith(routes, {
      ...options.more,
      config: { ...options.config, database: { url: 'sqlite::memory:', ...options.database } },
    }),
    options.environment,
  )
  return {
    openAI,
    anthropic,
    mcp,
    gateway,
    client: clientOf(gateway.adminUrl),
    async close() {
      await gateway.close()
      await Promise.all([openAI.close(), anthropic.close(), mcp.stop()])
    },
  }
}

export const KEY = 'sk-test-0123456789'

export interface Call {
  readonly path: string
  readonly body: unknown
  readonly headers?: Ask['headers']
  readonly script?: Script
}

/** What a call through the gateway needs beside its body. */
export const callAsk = ({ body, headers = {}, script = {} }: Call): Ask => ({
  headers: {
    'content-type': 'application/json',
    authorization: `Bearer ${KEY}`,
    'x-api-key': KEY,
    'anthropic-version': '2023-06-01',
    'x-simulate': scriptHeader(script),
    ...headers,
  },
  body: typeof body === 'string' ? body : JSON.stringify(body),
})

export const call = ({ gateway }: Pick<AdminLab, 'gateway'>, one: Call): Promise<Reply> =>
  send(`${gateway.url}${one.path}`, callAsk(one))

export const CHAT = '/openai/v1/chat/completions'
export const MESSAGES = '/anthropic/v1/messages'
const CLAUDE = 'claude-sonnet-4-5'
const gpt = 'gpt-4o'

/** Calls that the providers bill and tell in full, and refusals that cost nothing. */
export const BILLED: readonly (Call & { readonly name: string; readonly status: number })[] = [
  { name: 'chat', path: CHAT, body: chatBody(), status: 200 },
  { name: 'a chat stream', path: CHAT, body: chatBody({ stream: true, model: gpt }), status: 200 },
  { name: 'messages', path: MESSAGES, body: messagesBody(), status: 200 },
  { name: 'a messages stream', path: MESSAGES, body: messagesBody({ stream: true }), status: 200 },
  {
    name: 'chat of Claude',
    path: '/anthropic/v1/chat/completions',
    body: chatBody({ model: CLAUDE }),
    status: 200,
  },
  {
    name: 'a chat stream of Claude',
    path: '/anthropic/v1/chat/completions',
    body: chatBody({ model: CLAUDE, stream: true }),
    status: 200,
  },
  { name: 'messages of GPT', path: '/openai/v1/messages', body: messagesBody({ model: gpt }), status: 200 },
  {
    name: 'a messages stream of GPT',
    path: '/openai/v1/messages',
    body: messagesBody({ model: gpt, stream: true }),
    status: 200,
  },
  {
    name: 'a response',
    path: '/openai/v1/responses',
    body: { model: gpt, input: 'Hello!' },
    status: 200,
    script: { inputTokens: 1200, outputTokens: 310, reasoningTokens: 256, cacheReadTokens: 1024 },
  },
  {
    name: 'chat with parts from the cache',
    path: CHAT,
    body: chatBody({ stream: true }),
    status: 200,
    script: { inputTokens: 2500, outputTokens: 77, cacheReadTokens: 2048 },
  },
  {
    name: 'messages with parts from and for the cache',
    path: MESSAGES,
    body: messagesBody({ stream: true }),
    status: 200,
    script: { inputTokens: 3333, outputTokens: 44, cacheReadTokens: 2000, cacheWriteTokens: 1000 },
  },
  {
    name: 'embeddings',
    path: '/openai/v1/embeddings',
    body: { model: 'text-embedding-3-small', input: ['one', 'two'] },
    status: 200,
  },
  { name: 'a model without a price', path: CHAT, body: chatBody({ model: 'made-by-us' }), status: 200 },
  { name: 'a provider that fails', path: CHAT, body: chatBody(), script: { status: 500 }, status: 500 },
  {
    name: 'a provider that is busy',
    path: MESSAGES,
    body: messagesBody(),
    script: { status: 429 },
    status: 429,
  },
  { name: 'a key that is refused', path: CHAT, body: chatBody(), script: { status: 401 }, status: 401 },
  { name: 'a body that is no JSON', path: CHAT, body: '{"model":', status: 400 },
  { name: 'a path without a route', path: '/nowhere', body: {}, status: 404 },
  { name: 'a backend that is away', path: '/closed', body: {}, status: 503 },
]

/** Two deltas, then silence. */
const STALLED: Script = { text: 'One two three four', chunks: 4, fault: 'stall', afterChunks: 2 }

/** What no provider tells in full: aborts, streams that break, missing counts; and MCP. Adds up to `UNBILLED` requests. */
export async function sendUnbilled(lab: AdminLab): Promise<void> {
  for (const one of [
    { path: CHAT, body: chatBody({ stream: true }), script: STALLED },
    { path: MESSAGES, body: messagesBody({ stream: true }), script: STALLED },
  ]) {
    const abort = new AbortController()
    const answer = await open(`${lab.gateway.url}${one.path}`, { ...callAsk(one), signal: abort.signal })
    answer.on('error', () => {})
    await once(answer, 'data')
    abort.abort()
  }
  const early = new AbortController()
  const silent = { path: CHAT, body: chatBody(), script: { fault: 'never' as const } }
  const left = open(`${lab.gateway.url}${CHAT}`, { ...callAsk(silent), signal: early.signal }).catch(() => {})
  await lab.openAI.waitFor(() => lab.openAI.inFlight === 1)
  early.abort()
  await left
  await call(lab, {
    path: CHAT,
    body: chatBody({ stream: true }),
    script: { fault: 'midstream-error', afterChunks: 2 },
  })
  await call(lab, { path: CHAT, body: chatBody(), script: { fault: 'missing-usage' } })
  await call(lab, { path: '/plain', body: {} })

  const url = `${lab.gateway.url}/mcp`
  const session = await openSession(url)
  await post(url, request(1, 'tools/list'), session)
  await post(url, callOf(2, 'echo', { message: 'x' }), session)
  await post(url, callOf(3, 'fail'), session)
  await post(url, callOf(4, 'throw'), session)
  await post(url, request(5, 'resources/read', { uri: 'memo:status' }), session)
  await post(url, request(6, 'prompts/get', { name: 'greet' }), session)
}
export const UNBILLED = 6 + 2 + 6

/** Resolves once all access lines are there, hence all requests handed to the store. */
export async function sendBilled(lab: AdminLab): Promise<readonly Reply[]> {
  const replies: Reply[] = []
  for (const one of BILLED) replies.push(await call(lab, one))
  return replies
}

export async function sendEverything(lab: AdminLab): Promise<void> {
  await sendBilled(lab)
  await sendUnbilled(lab)
  await lab.gateway.recorded(BILLED.length + UNBILLED)
}
