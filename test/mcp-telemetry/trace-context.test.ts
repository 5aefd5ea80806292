/** The context of a trace, from a caller through the gateway to servers of every kind. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Collector, type Span, startCollector } from '../support/collector.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { stdioTarget } from '../support/mcp.ts'
import {
  callOf,
  initialize,
  type Json,
  type Lab,
  openSession,
  post,
  startLab,
  textOf,
} from '../support/mcp-lab.ts'
import { type ItemsApi, itemsDocument, startItemsApi } from './items-api.fixture.ts'
import { childrenOf, modern, STDIO_SERVER, serverSpans, spansAtEnd } from './lab.fixture.ts'

const HEADER_TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const META_TRACE = '0af7651916cd43dd8448eb211c80319c'
const HEADER_PARENT = '00f067aa0ba902b7'
const META_PARENT = 'b7ad6b7169203331'
const fromHeader = (flags = '01') => `00-${HEADER_TRACE}-${HEADER_PARENT}-${flags}`
const fromMeta = (flags = '01') => `00-${META_TRACE}-${META_PARENT}-${flags}`

let web: Lab
let old: Lab
let api: ItemsApi
let targets: string
const document = itemsDocument()
beforeAll(async () => {
  web = await startLab({ name: 'web' })
  old = await startLab({ name: 'old' })
  api = await startItemsApi()
  targets = `
  - {name: pipe, ${stdioTarget(STDIO_SERVER)}}
  - {name: web, mcp: {host: "${web.url}"}}
  - {name: old, sse: {host: "${old.sseUrl}"}}
  - {name: shop, openapi: {schema: {file: "${document.file}"}, host: "${api.url}"}}`
})
afterAll(async () => {
  await Promise.all([web?.stop(), old?.stop(), api?.stop()])
  document.remove()
})

/** What a target learned of the context. */
interface Told {
  /** Undefined where there are no headers. */
  readonly headers: Readonly<Record<string, unknown>> | undefined
  /** Undefined where there are no messages. */
  readonly meta: Json | undefined
}

const TOOLS = { pipe: 'pipe_meta', web: 'web_echo', old: 'old_echo', shop: 'shop_names' } as const
type Target = keyof typeof TOOLS
const TARGETS = Object.keys(TOOLS) as Target[]

function told(target: Target, result: unknown): Told {
  if (target === 'pipe') return { headers: undefined, meta: (JSON.parse(textOf(result)) ?? {}) as Json }
  if (target === 'shop') return { headers: api.seen.at(-1)?.headers, meta: undefined }
  const call = (target === 'web' ? web : old).received.findLast(({ method }) => method === 'tools/call')
  const params = call?.message.params as Json | undefined
  return { headers: call?.headers, meta: (params?._meta ?? {}) as Json }
}

interface Caller {
  readonly headers?: Record<string, string>
  readonly meta?: Json
}

const WAYS = ['a client with a session', 'a client of 2026-07-28'] as const
type Way = (typeof WAYS)[number]

/** One call of each target, and what the target was told. */
async function callAll(gateway: RunningGateway, way: Way, caller: Caller) {
  const url = `${gateway.url}/mcp`
  const session = way === 'a client with a session' ? await openSession(url) : undefined
  const all: Partial<Record<Target, Told & { readonly traceId: string | null }>> = {}
  for (const target of TARGETS) {
    const tool = TOOLS[target]
    const own = modern(1, 'tools/call', { name: tool, arguments: {}, _meta: caller.meta })
    const answer =
      session === undefined
        ? await post(url, own.message, { ...own.headers, ...caller.headers })
        : await post(url, callOf(1, tool, {}, caller.meta), { ...session, ...caller.headers })
    const result = answer.messages.at(-1)?.result
    expect(result).toBeDefined()
    all[target] = { ...told(target, result), traceId: answer.headers.get('x-trace-id') }
  }
  return all as Record<Target, Told & { readonly traceId: string | null }>
}

const withTracing = (collector: Collector, more = '') =>
  runGateway(`
config: {tracing: {otlpEndpoint: "${collector.url}"${more}}}
mcp:
  port: 0
  targets:${targets}
`)

const callSpans = (spans: readonly Span[]) =>
  serverSpans(spans).filter(({ name }) => name.startsWith('tools/call'))

describe.each(WAYS)('%s', (way) => {
  describe.each<{ name: string; caller: Caller; trace: string; parent: string; state: string }>([
    {
      name: 'a header',
      caller: { headers: { traceparent: fromHeader(), tracestate: 'vendor=header' } },
      trace: HEADER_TRACE,
      parent: HEADER_PARENT,
      state: 'vendor=header',
    },
    {
      name: '_meta',
      caller: { meta: { traceparent: fromMeta(), tracestate: 'vendor=meta' } },
      trace: META_TRACE,
      parent: META_PARENT,
      state: 'vendor=meta',
    },
    {
      name: 'a header rather than _meta',
      caller: {
        headers: { traceparent: fromHeader(), tracestate: 'vendor=header' },
        meta: { traceparent: fromMeta(), tracestate: 'vendor=meta' },
      },
      trace: HEADER_TRACE,
      parent: HEADER_PARENT,
      state: 'vendor=header',
    },
    {
      name: '_meta where the header is malformed',
      caller: {
        headers: { traceparent: 'junk' },
        meta: { traceparent: fromMeta(), tracestate: 'vendor=meta' },
      },
      trace: META_TRACE,
      parent: META_PARENT,
      state: 'vendor=meta',
    },
  ])('whose context comes in $name', ({ caller, trace, parent, state }) => {
    let spans: readonly Span[] = []
    let received: Awaited<ReturnType<typeof callAll>>
    beforeAll(async () => {
      const collector = await startCollector()
      const gateway = await withTracing(collector)
      received = await callAll(gateway, way, caller)
      spans = await spansAtEnd(gateway, collector)
      await collector.close()
    })
    const treeOf = (target: Target) => {
      const server = callSpans(spans).find(
        ({ attributes }) => attributes['agentgateway.mcp.target'] === target,
      )
      const call = childrenOf(spans, server).find(({ name }) => name === server?.name)
      return { server, call }
    }

    test.each(TARGETS)('it is continued by the SERVER span of a call of %s', (target) => {
      const { server } = treeOf(target)
      expect(server).toMatchObject({ traceId: trace, parentSpanId: parent })
      expect(server?.traceState).toBe(state)
      expect(received[target].traceId).toBe(trace)
    })

    test.each(TARGETS)('it goes on to %s with the id of the CLIENT span', (target) => {
      const { call } = treeOf(target)
      const { headers, meta } = received[target]
      const expected = `00-${trace}-${call?.spanId}-01`
      expect(call?.traceId).toBe(trace)
      expect({ header: headers?.traceparent, meta: meta?.traceparent }).toEqual({
        header: headers && expected,
        meta: meta && expected,
      })
    })

    test.each(TARGETS)('it goes on to %s with its tracestate', (target) => {
      const { headers, meta } = received[target]
      expect({ header: headers?.tracestate, meta: meta?.tracestate }).toEqual({
        header: headers && state,
        meta: meta && state,
      })
    })
  })

  test.each<{ name: string; isTracing: boolean; caller: Caller; expected: string }>([
    {
      name: 'does not sample, says its header,',
      isTracing: true,
      caller: { headers: { traceparent: fromHeader('00') } },
      expected: fromHeader('00'),
    },
    {
      name: 'does not sample, says _meta,',
      isTracing: true,
      caller: { meta: { traceparent: fromMeta('00') } },
      expected: fromMeta('00'),
    },
    {
      name: 'does not sample, says _meta where the header is malformed,',
      isTracing: true,
      caller: { headers: { traceparent: 'junk' }, meta: { traceparent: fromMeta('00') } },
      expected: fromMeta('00'),
    },
    {
      name: 'samples where tracing is off, by its header,',
      isTracing: false,
      caller: { headers: { traceparent: fromHeader() } },
      expected: fromHeader(),
    },
    {
      name: 'samples where tracing is off, by _meta,',
      isTracing: false,
      caller: { meta: { traceparent: fromMeta() } },
      expected: fromMeta(),
    },
  ])(
    'that $name has its context passed on untouched, and no span',
    async ({ isTracing, caller, expected }) => {
      const collector = await startCollector()
      const gateway = isTracing
        ? await withTracing(collector)
        : await runGateway(`mcp:\n  port: 0\n  targets:${targets}`)
      const received = await callAll(gateway, way, caller)
      const records = gateway.records().filter((one) => one['mcp.method.name'] === 'tools/call')
      const spans = await spansAtEnd(gateway, collector)
      await collector.close()
      expect(spans).toEqual([])
      for (const target of TARGETS) {
        const { headers, meta, traceId } = received[target]
        expect({ target, header: headers?.traceparent, meta: meta?.traceparent }).toEqual({
          target,
          header: headers && expected,
          meta: meta && expected,
        })
        expect(traceId).toBe(expected.split('-')[1])
      }
      expect(records.map((one) => one['trace.id'])).toEqual(TARGETS.map(() => expected.split('-')[1]))
    },
  )

  test('without a context and with tracing off makes up none for the targets', async () => {
    const gateway = await runGateway(`mcp:\n  port: 0\n  targets:${targets}`)
    const received = await callAll(gateway, way, {})
    await gateway.close()
    for (const target of TARGETS) {
      const { headers, meta } = received[target]
      expect({ target, header: headers?.traceparent, meta: meta?.traceparent }).toEqual({
        target,
        header: undefined,
        meta: undefined,
      })
    }
  })
})

test.each<[string, unknown]>([
  ['a number', 7],
  ['null', null],
  ['an object', { traceparent: fromMeta() }],
  ['a list', [fromMeta()]],
  ['junk', 'junk'],
  ['nothing', ''],
  ['zeros for a trace', `00-${'0'.repeat(32)}-${META_PARENT}-01`],
  ['zeros for a parent', `00-${META_TRACE}-${'0'.repeat(16)}-01`],
  ['capital letters', fromMeta().toUpperCase()],
  ['version ff', `ff-${META_TRACE}-${META_PARENT}-01`],
  ['a line break', `${fromMeta()}\r\nx-injected: 1`],
])('it begins a trace of its own where _meta.traceparent is %s', async (_, traceparent) => {
  const collector = await startCollector()
  const gateway = await withTracing(collector, ', randomSampling: true')
  const url = `${gateway.url}/mcp`
  const session = await openSession(url)
  const calls = []
  for (const tool of [TOOLS.web, TOOLS.pipe]) {
    const { status, messages, headers } = await post(
      url,
      callOf(1, tool, {}, { traceparent, keep: 1 }),
      session,
    )
    expect({ status, result: messages.at(-1)?.result }).toEqual({ status: 200, result: expect.anything() })
    calls.push({ traceId: headers.get('x-trace-id'), result: messages.at(-1)?.result })
  }
  const spans = callSpans(await spansAtEnd(gateway, collector))
  await collector.close()
  const toWeb = web.received.findLast(({ method }) => method === 'tools/call')
  expect(spans.map(({ parentSpanId }) => parentSpanId)).toEqual(['', ''])
  expect(spans.map(({ traceId }) => traceId)).not.toContain(META_TRACE)
  expect(spans.map(({ traceId }) => traceId).sort()).toEqual(calls.map(({ traceId }) => traceId).sort())
  expect(toWeb?.headers.traceparent).toContain(calls[0]?.traceId)
  expect(toWeb?.headers).not.toHaveProperty('x-injected')
  const meta = JSON.parse(textOf(calls[1]?.result)) as Json
  expect(meta).toMatchObject({ keep: 1, traceparent: expect.stringContaining(calls[1]?.traceId ?? 'none') })
})

test('it leaves a client of tracing off with its own malformed _meta alone, and no header of it', async () => {
  const gateway = await runGateway(`mcp: {port: 0, targets: [{name: web, mcp: {host: "${web.url}"}}]}`)
  const url = `${gateway.url}/mcp`
  const session = await openSession(url)
  const { messages } = await post(url, callOf(1, 'echo', {}, { traceparent: 7 }), session)
  expect(messages.at(-1)).toHaveProperty('result')
  const call = web.received.findLast(({ method }) => method === 'tools/call')
  expect(call?.headers).not.toHaveProperty('traceparent')
  await gateway.close()
})

test('it hands on a tracestate and a baggage of _meta that has no traceparent as they came', async () => {
  const gateway = await runGateway(`mcp: {port: 0, targets: [{name: pipe, ${stdioTarget(STDIO_SERVER)}}]}`)
  const url = `${gateway.url}/mcp`
  const session = await openSession(url)
  const meta = { tracestate: 'a=b', baggage: 'user=alice', 'vendor.example/x': { y: [1] } }
  const { messages } = await post(url, callOf(1, 'meta', {}, meta), session)
  expect(JSON.parse(textOf(messages.at(-1)?.result))).toEqual(meta)
  await gateway.close()
})

test('it gives each message of a batch its own CLIENT span, and the targets the right ones', async () => {
  const collector = await startCollector()
  const gateway = await withTracing(collector, ', randomSampling: true')
  const url = `${gateway.url}/mcp`
  const begun = await post(url, {
    ...initialize(),
    params: { ...initialize().params, protocolVersion: '2025-03-26' },
  })
  const session = {
    'mcp-session-id': begun.headers.get('mcp-session-id') ?? '',
    'mcp-protocol-version': '2025-03-26',
  }
  const { messages } = await post(
    url,
    [callOf(1, TOOLS.pipe), callOf(2, TOOLS.web), callOf(3, TOOLS.pipe)],
    session,
  )
  const spans = await spansAtEnd(gateway, collector)
  await collector.close()
  expect(messages).toHaveLength(3)
  const [server, ...more] = callSpans(spans)
  expect(more).toEqual([])
  expect(server?.attributes['agentgateway.mcp.messages']).toBe(3)
  const calls = childrenOf(spans, server)
  expect(calls).toHaveLength(3)
  const byId = new Map(messages.map((message) => [message.id, message.result]))
  const sent = [1, 3].map((id) => (JSON.parse(textOf(byId.get(id))) as Json).traceparent)
  sent.push(web.received.findLast(({ method }) => method === 'tools/call')?.headers.traceparent)
  expect(sent.sort()).toEqual(calls.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`).sort())
})
