/** The access line of an MCP message, in both formats; with what is secret in it, and what would forge a line. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { stdioTarget } from '../support/mcp.ts'
import {
  callOf,
  initialize,
  type Json,
  type Lab,
  openSession,
  post,
  request,
  startLab,
} from '../support/mcp-lab.ts'
import { recordOf } from '../support/records.ts'
import { modern, STDIO_SERVER } from './lab.fixture.ts'

const ODD_TOOL = 'odd name="x"\n2026-01-01T00:00:00.000000Z\tinfo\trequest forged=1 \u001b[31m\u202e\\'

let web: Lab
beforeAll(async () => {
  web = await startLab({ name: 'web', tools: [ODD_TOOL] })
})
afterAll(() => web?.stop())

let gateway: RunningGateway | undefined
afterEach(async () => {
  await gateway?.close()
  gateway = undefined
})

async function run(more = '', environment: Record<string, string> = {}): Promise<RunningGateway> {
  gateway = await runGateway(
    `
mcp:
  port: 0
  policies:
    mcpAuthorization: {rules: [{deny: 'mcp.tool.name == "roots"'}]}
  targets:
  - {name: pipe, ${stdioTarget(STDIO_SERVER)}}
  - {name: web, mcp: {host: "${web.url}"}${more}}
`,
    environment,
  )
  return gateway
}

const replyOf = ({ headers }: { headers: Headers }) =>
  ({ headers: { 'x-trace-id': headers.get('x-trace-id') } }) as unknown as Parameters<typeof recordOf>[1]

interface Line {
  readonly name: string
  readonly message: Json
  readonly fields: Json
}

const LINES: readonly Line[] = [
  {
    name: 'a tool that was called',
    message: callOf(1, 'web_echo', { message: 'x' }),
    fields: {
      'mcp.method.name': 'tools/call',
      'mcp.target': 'web',
      'mcp.resource.type': 'tool',
      'gen_ai.tool.name': 'echo',
      'http.status': 200,
      outcome: 'completed',
    },
  },
  {
    name: 'a tool of a process',
    message: callOf(1, 'pipe_meta'),
    fields: { 'mcp.method.name': 'tools/call', 'mcp.target': 'pipe', 'gen_ai.tool.name': 'meta' },
  },
  {
    name: 'a tool that failed',
    message: callOf(1, 'web_fail'),
    fields: {
      'mcp.target': 'web',
      'gen_ai.tool.name': 'fail',
      'mcp.error.type': 'tool_error',
      'mcp.error.message': 'it went wrong',
      'http.status': 200,
    },
  },
  {
    name: "a server's error",
    message: callOf(1, 'web_throw'),
    fields: {
      'mcp.error.type': 'mcp_error',
      'mcp.error.code': -32050,
      'mcp.error.message': expect.stringContaining('thrown'),
      'http.status': 200,
    },
  },
  {
    name: 'a denied tool',
    message: callOf(1, 'web_roots'),
    fields: {
      'mcp.target': 'web',
      'gen_ai.tool.name': 'roots',
      'mcp.error.type': 'denied',
      'http.status': 400,
      outcome: 'rejected',
      error_type: 'policy_rejected',
    },
  },
  {
    name: 'a tool that nobody has',
    message: callOf(1, 'nobody_x'),
    fields: {
      'mcp.method.name': 'tools/call',
      'mcp.error.type': 'invalid_request',
      'mcp.error.code': -32602,
      'http.status': 400,
      error_type: 'caller_invalid_request',
    },
  },
  {
    name: 'a prompt',
    message: request(1, 'prompts/get', { name: 'web_greet' }),
    fields: {
      'mcp.method.name': 'prompts/get',
      'mcp.target': 'web',
      'mcp.resource.type': 'prompt',
      'gen_ai.prompt.name': 'greet',
    },
  },
  {
    name: 'a resource',
    message: request(1, 'resources/read', { uri: 'web+memo:status' }),
    fields: {
      'mcp.method.name': 'resources/read',
      'mcp.target': 'web',
      'mcp.resource.type': 'resource',
      'mcp.resource.uri': 'memo:status',
    },
  },
  { name: 'a list', message: request(1, 'tools/list'), fields: { 'mcp.method.name': 'tools/list' } },
  {
    name: 'a notification',
    message: { jsonrpc: '2.0', method: 'notifications/initialized' },
    fields: { 'mcp.method.name': 'notifications/initialized', 'http.status': 202 },
  },
]

const ABSENT_OF_LISTS = ['mcp.target', 'mcp.resource.type', 'gen_ai.tool.name', 'mcp.error.type']

describe('the line in JSON of', () => {
  test.each(LINES)('$name has its fields', async ({ message, fields }) => {
    const running = await run()
    const url = `${running.url}/mcp`
    const session = await openSession(url)
    const record = await recordOf(running, replyOf(await post(url, message, session)))
    expect(record).toMatchObject({
      scope: 'request',
      level: 'info',
      protocol: 'mcp',
      'http.method': 'POST',
      'http.path': '/mcp',
      'mcp.session.id': session['mcp-session-id'],
      'trace.id': expect.stringMatching(/^[0-9a-f]{32}$/),
      'span.id': expect.stringMatching(/^[0-9a-f]{16}$/),
      duration: expect.anything(),
      ...fields,
    })
    if (message.method === 'tools/list')
      for (const field of ABSENT_OF_LISTS) expect(record).not.toHaveProperty([field])
  })

  test('a call has where the target is, as the endpoint', async () => {
    const running = await run()
    const url = `${running.url}/mcp`
    const session = await openSession(url)
    const record = await recordOf(running, replyOf(await post(url, callOf(1, 'web_echo'), session)))
    expect(record.endpoint).toBe(`127.0.0.1:${web.port}`)
  })

  test('a client without a session has no session', async () => {
    const running = await run()
    const { message, headers } = modern(1, 'tools/call', { name: 'web_echo', arguments: {} })
    const record = await recordOf(running, replyOf(await post(`${running.url}/mcp`, message, headers)))
    expect(record).toMatchObject({ 'mcp.method.name': 'tools/call', 'gen_ai.tool.name': 'echo' })
    expect(record).not.toHaveProperty(['mcp.session.id'])
  })
})

/** Fields of a text line, JSON strings read. */
function fieldsOf(line: string): Json {
  const [, , rest = ''] = line.split('\t')
  const fields: Json = {}
  for (const [, key = '', quoted, bare] of rest
    .slice('request '.length)
    .matchAll(/([\w.]+)=(?:("(?:[^"\\]|\\.)*")|(\S*))(?: |$)/g))
    fields[key] = quoted === undefined ? bare : (JSON.parse(quoted) as string)
  return fields
}

const requestLines = (running: RunningGateway) =>
  running
    .log()
    .split('\n')
    .filter((line) => line.includes('\trequest '))

async function textLineOf(running: RunningGateway, traceId: string | null): Promise<string> {
  for (;;) {
    const line = requestLines(running).find((one) => one.includes(`trace.id=${traceId}`))
    if (line !== undefined) return line
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe('the line in text of', () => {
  test.each(LINES)('$name has its fields', async ({ message, fields }) => {
    const running = await run('', { LOG_FORMAT: 'text' })
    const url = `${running.url}/mcp`
    const session = await openSession(url)
    const { headers } = await post(url, message, session)
    const line = await textLineOf(running, headers.get('x-trace-id'))
    expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\tinfo\trequest \S/)
    const expected = Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [key, typeof value === 'number' ? String(value) : value]),
    )
    expect(fieldsOf(line)).toMatchObject({
      protocol: 'mcp',
      'mcp.session.id': session['mcp-session-id'],
      ...expected,
    })
    if ('mcp.error.message' in fields) expect(line).toContain(' mcp.error.message="')
  })
})

const TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2VjcmV0LXNpZ25hdHVyZQ'
const KEY = 'sk-proj-0123456789abcdefghijklmnop'

describe.each(['text', 'json'])('the log in %s', (format) => {
  test('it holds no credential of a client or of the gateway', async () => {
    const running = await run(`, policies: {backendAuth: {key: "${KEY}"}}`, { LOG_FORMAT: format })
    const url = `${running.url}/mcp`
    const credentials = {
      authorization: `Bearer ${TOKEN}`,
      cookie: 'session=cookie-secret-4711',
      'x-api-key': 'api-key-secret-4711',
    }
    const session = { ...(await openSession(url)), ...credentials }
    const { headers: begun } = await post(url, initialize(), credentials)
    await post(
      `${url}?api_key=query-secret-4711`,
      callOf(1, 'web_echo', { message: 'argument-4711' }),
      session,
    )
    await post(url, callOf(2, 'web_throw', { token: 'argument-4711' }), session)
    expect(begun.get('mcp-session-id')).not.toBeNull()
    await running.recorded(format === 'text' ? 0 : 5)
    const { headers } = await post(url, request(3, 'ping'), session)
    if (format === 'text') await textLineOf(running, headers.get('x-trace-id'))
    for (const secret of [TOKEN, KEY, 'cookie-secret', 'api-key-secret', 'query-secret', 'argument-4711'])
      expect(running.log().includes(secret), secret).toBe(false)
  })

  test.each<{ name: string; message: Json }>([
    { name: "a resource's URI", message: request(1, 'resources/read', { uri: `web+memo:x?token=${TOKEN}` }) },
    { name: 'the name of a tool', message: callOf(1, `web_Bearer ${TOKEN}`) },
    { name: 'the name of a tool that nobody has', message: callOf(1, `nobody_${KEY}`) },
    { name: 'the name of a prompt', message: request(1, 'prompts/get', { name: `web_${KEY}` }) },
    { name: 'a method', message: request(1, `x/${KEY}`) },
  ])('it holds no credential that a client put into $name', async ({ message }) => {
    const running = await run('', { LOG_FORMAT: format })
    const url = `${running.url}/mcp`
    const session = await openSession(url)
    const { headers } = await post(url, message, session)
    if (format === 'text') await textLineOf(running, headers.get('x-trace-id'))
    else await recordOf(running, replyOf({ headers }))
    const said = running.log() + (await running.metrics())
    for (const secret of [TOKEN, KEY]) {
      const at = said.indexOf(secret)
      expect(at < 0 ? undefined : said.slice(Math.max(0, at - 60), at + secret.length)).toBeUndefined()
    }
  })

  test.each<{ name: string; message: Json }>([
    { name: 'a tool that there is', message: callOf(1, `web_${ODD_TOOL}`) },
    { name: 'a tool that nobody has', message: callOf(1, `nobody_${ODD_TOOL}`) },
    { name: 'a tool that one server does not have', message: callOf(1, `web_x${ODD_TOOL}`) },
    { name: 'a tool of a process', message: callOf(1, `pipe_x${ODD_TOOL}`) },
    { name: 'a prompt', message: request(1, 'prompts/get', { name: `web_${ODD_TOOL}` }) },
    { name: 'a resource', message: request(1, 'resources/read', { uri: `web+memo:${ODD_TOOL}` }) },
    { name: 'a method', message: request(1, ODD_TOOL) },
    { name: 'a notification', message: { jsonrpc: '2.0', method: `notifications/${ODD_TOOL}` } },
    { name: "a request's id", message: request(ODD_TOOL, 'ping') },
  ])(
    'it writes one line of its own for $name with spaces, quotes, line breaks and escapes in its name',
    async ({ message }) => {
      const running = await run('', { LOG_FORMAT: format })
      const url = `${running.url}/mcp`
      const session = await openSession(url)
      const from = running.log().length
      const { headers } = await post(url, message, session)
      const traceId = headers.get('x-trace-id')
      if (format === 'text') await textLineOf(running, traceId)
      else await recordOf(running, replyOf({ headers }))
      const lines = running
        .log()
        .slice(from)
        .split('\n')
        .filter((line) => line !== '')
      const own = lines.filter((line) => line.includes(String(traceId)))
      expect(own).toHaveLength(1)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there.
      expect(own[0]?.replaceAll('\t', '')).not.toMatch(/[\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]/)
      for (const line of lines) {
        if (format === 'json') expect(JSON.parse(line)).not.toHaveProperty('forged')
        else {
          expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\t\w+\t\w+/)
          expect(line).not.toMatch(/^2026-01-01T00:00:00/)
          if (line.includes('\trequest ')) expect(fieldsOf(line)).not.toHaveProperty('forged')
        }
      }
    },
  )
})

test('it says the name of a tool as it is, whatever is in it', async () => {
  const running = await run()
  const url = `${running.url}/mcp`
  const session = await openSession(url)
  const { headers, messages } = await post(url, callOf(1, `web_${ODD_TOOL}`), session)
  expect(messages.at(-1)).toHaveProperty('result')
  const record = await recordOf(running, replyOf({ headers }))
  // Direction marks are shown as such rather than obeyed.
  expect(String(record['gen_ai.tool.name']).replace(/\\u202e|\u202e/, '')).toBe(
    ODD_TOOL.replace('\u202e', ''),
  )
})

test('it cuts what is too long', async () => {
  const running = await run()
  const url = `${running.url}/mcp`
  const session = await openSession(url)
  const { headers } = await post(url, callOf(1, `web_${'x'.repeat(20_000)}`), session)
  const record = await recordOf(running, replyOf({ headers }))
  for (const [field, value] of Object.entries(record))
    expect({ field, length: String(value).length > 4200 }).toEqual({ field, length: false })
})
