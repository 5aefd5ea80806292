/** The spans of calls: from every kind of client to every kind of target, and of calls that fail. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Span, startCollector } from '../support/collector.ts'
import { freePort } from '../support/free-port.ts'
import { runGateway } from '../support/gateway.ts'
import { stdioTarget } from '../support/mcp.ts'
import { type Lab, openSession, post, request, startLab } from '../support/mcp-lab.ts'
import { type ItemsApi, itemsDocument, startItemsApi } from './items-api.fixture.ts'
import {
  CLIENT_KINDS,
  childrenOf,
  connect,
  modern,
  STDIO_SERVER,
  serverSpans,
  spansAtEnd,
} from './lab.fixture.ts'

const SLOW_MS = 400
/** Clocks of two processes, and of one process's two clocks. */
const TOLERANCE_NANOS = 5_000_000n
const nanos = (milliseconds: number) => BigInt(Math.round(milliseconds * 1e6))
const now = () => performance.timeOrigin + performance.now()

interface Period {
  readonly askedAt: number
  readonly answeredAt: number
}

let web: Lab
let old: Lab
let api: ItemsApi
let deadPort: number
const document = itemsDocument()
let targets: string
beforeAll(async () => {
  web = await startLab({ name: 'web' })
  old = await startLab({ name: 'old' })
  api = await startItemsApi()
  deadPort = await freePort()
  targets = `
  - {name: pipe, ${stdioTarget(STDIO_SERVER)}}
  - {name: web, mcp: {host: "${web.url}"}, requestTimeout: 2s}
  - {name: old, sse: {host: "${old.sseUrl}"}}
  - {name: shop, openapi: {schema: {file: ${JSON.stringify(document.file)}}, host: "${api.url}"}}`
})
afterAll(async () => {
  await Promise.all([web?.stop(), old?.stop(), api?.stop()])
  document.remove()
})

/** Calls a tool that waits until it is released, and releases it. */
async function held(lab: Lab, label: string, call: () => Promise<unknown>): Promise<Period> {
  const calls = lab.events.length
  const answer = call()
  const called = async () => {
    while (!lab.events.slice(calls).some((event) => event.startsWith('called')))
      await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await called()
  const askedAt = now()
  await new Promise((resolve) => setTimeout(resolve, SLOW_MS))
  const answeredAt = now()
  lab.release(label)
  await answer
  return { askedAt, answeredAt }
}

const periodIn = (result: unknown) =>
  JSON.parse((result as { content: { text: string }[] }).content[0]?.text ?? '') as Period

const expectWithin = (inner: Span, outer: Span) => {
  expect(inner.startNanos).toBeGreaterThanOrEqual(outer.startNanos)
  expect(inner.endNanos).toBeLessThanOrEqual(outer.endNanos)
}

const TARGETS = [
  { target: 'pipe', tool: 'late', transport: 'pipe' },
  { target: 'web', tool: 'steps', transport: 'tcp' },
  { target: 'old', tool: 'hold', transport: 'tcp' },
  { target: 'shop', tool: 'slow', transport: 'tcp' },
] as const

describe.each(CLIENT_KINDS)('the calls of a client over %s', (kind) => {
  let spans: readonly Span[] = []
  let periods: Readonly<Record<string, Period>> = {}
  beforeAll(async () => {
    const collector = await startCollector()
    const gateway = await runGateway(`
config: {tracing: {otlpEndpoint: "${collector.url}", randomSampling: true}}
mcp:
  port: 0
  targets:${targets}
`)
    const client = await connect(kind, gateway.url)
    await client.listTools()
    const [pipe, fromWeb, fromOld, shop] = await Promise.all([
      client.callTool({ name: 'pipe_late', arguments: { ms: SLOW_MS } }),
      held(web, kind, () => client.callTool({ name: 'web_steps', arguments: { label: kind } }, () => {})),
      held(old, kind, () => client.callTool({ name: 'old_hold', arguments: { label: kind } })),
      client.callTool({ name: 'shop_slow', arguments: { query: { ms: SLOW_MS } } }),
    ])
    periods = { pipe: periodIn(pipe), web: fromWeb, old: fromOld, shop: periodIn(shop) }
    await client.close()
    spans = await spansAtEnd(gateway, collector)
    await collector.close()
  })

  /** The one of a target's call, and what hangs on it. */
  const treeOf = (target: string) => {
    const roots = serverSpans(spans).filter(
      ({ name, attributes }) =>
        name.startsWith('tools/call') && attributes['agentgateway.mcp.target'] === target,
    )
    expect(roots).toHaveLength(1)
    const [server] = roots as [Span]
    const calls = childrenOf(spans, server)
    expect(calls).toHaveLength(1)
    const [call] = calls as [Span]
    return { server, call }
  }

  describe.each(TARGETS)('to $target', ({ target, tool, transport }) => {
    test('it has a SERVER span, and below it one CLIENT span, named after the call', () => {
      const { server, call } = treeOf(target)
      expect(server).toMatchObject({ name: `tools/call ${tool}`, parentSpanId: '', hasFailed: false })
      expect(call).toMatchObject({ name: `tools/call ${tool}`, kind: 'client', hasFailed: false })
      expect(call.traceId).toBe(server.traceId)
      expect(childrenOf(spans, call)).toEqual([])
    })

    test('it covers the whole answer of the target', () => {
      const { server, call } = treeOf(target)
      expectWithin(call, server)
      const { askedAt, answeredAt } = periods[target] as Period
      expect(call.startNanos).toBeLessThanOrEqual(nanos(askedAt) + TOLERANCE_NANOS)
      expect(call.endNanos).toBeGreaterThanOrEqual(nanos(answeredAt) - TOLERANCE_NANOS)
    })

    test('it says on the SERVER span what was asked, and by whom', () => {
      const { server } = treeOf(target)
      expect(server.attributes).toMatchObject({
        'mcp.method.name': 'tools/call',
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': tool,
        'mcp.protocol.version': kind === '2026-07-28' ? kind : expect.stringMatching(/^20\d\d-\d\d-\d\d$/),
        'network.transport': 'tcp',
        'http.request.method': 'POST',
        'agentgateway.mcp.target': target,
        'agentgateway.protocol': 'mcp',
      })
      expect(String(server.attributes['jsonrpc.request.id'])).toMatch(/./)
      const session = server.attributes['mcp.session.id']
      if (kind === '2026-07-28') expect(session).toBeUndefined()
      else expect(session).toMatch(/./)
      expect(server.attributes).not.toHaveProperty('error.type')
      expect(server.attributes).not.toHaveProperty('rpc.response.status_code')
    })

    test('it says on the CLIENT span where the call went', () => {
      const { server, call } = treeOf(target)
      expect(call.attributes).toMatchObject({
        'mcp.method.name': 'tools/call',
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': tool,
        'network.transport': transport,
        'agentgateway.mcp.target': target,
        'agentgateway.backend': server.attributes['agentgateway.backend'],
        ...(transport === 'tcp' && {
          'server.address': '127.0.0.1',
          'server.port': { web, old, shop: api }[target as 'web' | 'old' | 'shop'].port,
        }),
        ...(target === 'web' && { 'http.response.status_code': 200 }),
        ...(target === 'shop' && { 'http.response.status_code': 200 }),
      })
      if (transport === 'pipe') expect(call.attributes).not.toHaveProperty('server.port')
      if (target === 'web') {
        expect(call.attributes['mcp.session.id']).toMatch(/./)
        expect(call.attributes['mcp.session.id']).not.toBe(server.attributes['mcp.session.id'])
      }
      if (target === 'shop') expect(call.attributes).not.toHaveProperty('mcp.session.id')
      expect(call.attributes).not.toHaveProperty('error.type')
    })
  })

  test('it has one CLIENT span for each target of a list', () => {
    const [list, ...more] = serverSpans(spans).filter(({ name }) => name.startsWith('tools/list'))
    expect(more).toEqual([])
    expect(list).toMatchObject({ name: 'tools/list', hasFailed: false })
    const calls = childrenOf(spans, list)
    // Tools of an OpenAPI document are had without asking anybody.
    const asked = calls.map(({ attributes }) => String(attributes['agentgateway.mcp.target'])).sort()
    expect(asked.filter((target) => target !== 'shop')).toEqual(['old', 'pipe', 'web'])
    expect(calls.map(({ name, kind: side }) => `${side} ${name}`)).toEqual(
      calls.map(() => 'client tools/list'),
    )
    for (const call of calls) expectWithin(call, list as Span)
    expect(list?.attributes).not.toHaveProperty('gen_ai.tool.name')
    expect(list?.attributes).not.toHaveProperty('gen_ai.operation.name')
  })

  test('it puts every span into a tree of one request', () => {
    const ids = new Set(serverSpans(spans).map(({ spanId }) => spanId))
    for (const span of spans.filter(({ kind: side }) => side === 'client'))
      expect({ name: span.name, hasParent: ids.has(span.parentSpanId) }).toEqual({
        name: span.name,
        hasParent: true,
      })
  })
})

describe('a call that', () => {
  let spans: readonly Span[] = []
  const traces = new Map<string, string>()
  const treeOf = (name: string) => {
    const trace = traces.get(name)
    const [server] = serverSpans(spans).filter(({ traceId }) => traceId === trace)
    const children = childrenOf(spans, server)
    return { server, calls: children.filter(({ name: own }) => own === server?.name), children }
  }
  beforeAll(async () => {
    const collector = await startCollector()
    const gateway = await runGateway(`
config: {tracing: {otlpEndpoint: "${collector.url}", randomSampling: true}}
mcp:
  port: 0
  policies:
    mcpAuthorization: {rules: [{deny: 'mcp.tool.name == "roots"'}]}
  targets:${targets}
  - {name: dead, mcp: {host: "http://127.0.0.1:${deadPort}/mcp"}}
`)
    const url = `${gateway.url}/mcp`
    const session = await openSession(url)
    const asked = [
      ['stateful', session],
      ['modern', undefined],
    ] as const
    for (const [way, headers] of asked) {
      const ask = async (name: string, method: string, params: Record<string, unknown>) => {
        const own = modern(name, method, params)
        const answer =
          headers === undefined
            ? await post(url, own.message, own.headers)
            : await post(url, request(name, method, params), headers)
        traces.set(`${way} ${name}`, answer.headers.get('x-trace-id') ?? 'none')
      }
      const call = (name: string, tool: string, input = {}) =>
        ask(name, 'tools/call', { name: tool, arguments: input })
      await call('succeeds', 'web_echo')
      await call('has a result with isError', 'web_fail')
      await call('has a result with isError from a process', 'pipe_fail')
      await call('is answered 404 by an API', 'shop_getItem', { path: { id: 404 } })
      await call('is answered 500 by an API', 'shop_broken')
      await call('is answered with a JSON-RPC error', 'web_throw')
      await call('is answered with a JSON-RPC error by a process', 'pipe_throw')
      await call('is answered with a JSON-RPC error over SSE', 'old_throw')
      await call('has no answer in time', 'web_hang')
      await call('goes to a target that is away', 'dead_echo')
      await call('is denied', 'web_roots')
      await call('names no known tool', 'web_nope')
      await ask('reads what is not there', 'resources/read', { uri: 'web+memo:none' })
      await ask('reads a resource', 'resources/read', { uri: 'web+memo:status' })
      await ask('gets a prompt', 'prompts/get', { name: 'web_greet' })
    }
    spans = await spansAtEnd(gateway, collector)
    await collector.close()
  })

  interface Failure {
    readonly name: string
    readonly errorType: unknown
    readonly code?: number
    readonly target?: string
    /** It never reached a target. */
    readonly isRefused?: true
  }
  const FAILURES: readonly Failure[] = [
    { name: 'has a result with isError', errorType: 'tool_error', target: 'web' },
    { name: 'has a result with isError from a process', errorType: 'tool_error', target: 'pipe' },
    { name: 'is answered 404 by an API', errorType: 'tool_error', target: 'shop' },
    { name: 'is answered 500 by an API', errorType: 'openapi_error', target: 'shop' },
    { name: 'is answered with a JSON-RPC error', errorType: 'mcp_error', code: -32050, target: 'web' },
    {
      name: 'is answered with a JSON-RPC error by a process',
      errorType: 'mcp_error',
      code: -32050,
      target: 'pipe',
    },
    {
      name: 'is answered with a JSON-RPC error over SSE',
      errorType: 'mcp_error',
      code: -32050,
      target: 'old',
    },
    { name: 'has no answer in time', errorType: 'timeout', code: -32603, target: 'web' },
    { name: 'reads what is not there', errorType: expect.stringMatching(/mcp_error|invalid_request/) },
    { name: 'is denied', errorType: 'denied', isRefused: true },
    { name: 'names no known tool', errorType: expect.stringMatching(/mcp_error|invalid_request/) },
    {
      name: 'goes to a target that is away',
      errorType: expect.stringMatching(/transport_error|unavailable/),
      code: -32603,
      target: 'dead',
    },
  ]

  describe.each(['stateful', 'modern'])('and is of a %s client', (way) => {
    test.each(FAILURES)(
      '$name marks the SERVER span as failed, and says why',
      ({ name, errorType, code }) => {
        const { server } = treeOf(`${way} ${name}`)
        expect(server?.attributes['error.type']).toEqual(errorType)
        expect(server?.hasFailed).toBe(true)
        if (code !== undefined)
          expect(String(server?.attributes['rpc.response.status_code'])).toBe(String(code))
      },
    )

    test.each(FAILURES)(
      '$name marks the CLIENT span too, if there was a call',
      ({ name, errorType, code, target, isRefused }) => {
        const { calls } = treeOf(`${way} ${name}`)
        if (isRefused) return expect(calls).toEqual([])
        for (const call of calls) {
          expect(call).toMatchObject({ hasFailed: true, attributes: { 'error.type': errorType } })
          if (target !== undefined) expect(call.attributes['agentgateway.mcp.target']).toBe(target)
          if (code !== undefined && code !== -32603)
            expect(String(call.attributes['rpc.response.status_code'])).toBe(String(code))
        }
        if (target !== undefined && target !== 'dead') expect(calls).toHaveLength(1)
      },
    )

    test.each([
      { name: 'succeeds', span: 'tools/call echo', more: { 'gen_ai.tool.name': 'echo' } },
      { name: 'reads a resource', span: /^resources\/read/, more: { 'mcp.resource.uri': 'memo:status' } },
      { name: 'gets a prompt', span: 'prompts/get greet', more: { 'gen_ai.prompt.name': 'greet' } },
    ])('$name has spans without a failure', ({ name, span, more }) => {
      const { server, calls } = treeOf(`${way} ${name}`)
      for (const one of [server, ...calls]) {
        expect(one?.name).toMatch(span)
        expect(one).toMatchObject({ hasFailed: false, attributes: more })
        expect(one?.attributes).not.toHaveProperty('error.type')
      }
      expect(calls).toHaveLength(1)
    })

    test('it names what the gateway asks a target on its own account after that', () => {
      const { children } = treeOf(`${way} succeeds`)
      // Rules make it look whether the target has the tool at all.
      expect(children.map(({ name, attributes }) => [name, attributes['mcp.method.name']])).toEqual([
        ...children.slice(1).map(() => ['tools/list', 'tools/list']),
        ['tools/call echo', 'tools/call'],
      ])
    })

    test('it has the status of the answer of an API that broke', () => {
      const { calls } = treeOf(`${way} is answered 500 by an API`)
      expect(calls[0]?.attributes['http.response.status_code']).toBe(500)
    })
  })
})
