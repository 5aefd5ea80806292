import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Attempt, beginExchange, type Exchange, type LlmFacts } from '../core/exchange.ts'
import { createTracer, type Tracer, type TracerOptions } from './otlp.ts'
import { traceContextFor } from './sampling.ts'
import { spansOf } from './spans.ts'
import { type TracingSettings, tracingSettings } from './tracing-settings.ts'

// From opentelemetry-proto 1.x, what traces need of it, so that nothing of the sender decodes what it sent.
const { root } = protobuf.parse(
  `syntax = "proto3";
  message Request { repeated ResourceSpans resource_spans = 1; }
  message Response { PartialSuccess partial_success = 1; }
  message PartialSuccess { int64 rejected_spans = 1; string error_message = 2; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
  message Scope { string name = 1; string version = 2; }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4;
    string name = 5; SpanKind kind = 6; fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
    repeated KeyValue attributes = 9; repeated Event events = 11; Status status = 15; fixed32 flags = 16;
    enum SpanKind { UNSPECIFIED = 0; INTERNAL = 1; SERVER = 2; CLIENT = 3; }
    message Event { fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; }
    message Status { string message = 2; StatusCode code = 3; }
    enum StatusCode { UNSET = 0; OK = 1; ERROR = 2; }
  }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue { oneof value {
    string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; ArrayValue array_value = 5;
  } }
  message ArrayValue { repeated AnyValue values = 1; }`,
)
const REQUEST = root.lookupType('Request')
const RESPONSE = root.lookupType('Response')

interface AnyValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: string
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values: AnyValue[] }
}
type KeyValues = readonly { readonly key: string; readonly value: AnyValue }[]

interface WireSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly traceState?: string
  readonly name: string
  readonly kind: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: KeyValues
  readonly events?: readonly { readonly name: string; readonly timeUnixNano: string }[]
  readonly status?: { readonly code?: string; readonly message?: string }
}

interface WireRequest {
  readonly resourceSpans?: readonly {
    readonly resource: { readonly attributes: KeyValues }
    readonly scopeSpans: readonly { readonly scope: object; readonly spans: readonly WireSpan[] }[]
  }[]
}

const plain = (value: AnyValue): unknown =>
  value.stringValue ??
  value.boolValue ??
  value.doubleValue ??
  (value.intValue === undefined ? value.arrayValue?.values.map(plain) : Number(value.intValue))
const record = (pairs: KeyValues) => Object.fromEntries(pairs.map(({ key, value }) => [key, plain(value)]))

const decode = (bytes: Uint8Array) =>
  REQUEST.toObject(REQUEST.decode(bytes), { longs: String, enums: String, bytes: String }) as WireRequest

/** What a collector took in. */
class Received {
  readonly requests: WireRequest[] = []
  readonly headers: Record<string, unknown>[] = []
  readonly paths: string[] = []

  get resources() {
    return this.requests.flatMap((request) => request.resourceSpans ?? [])
  }

  get spans() {
    return this.resources.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)).map(readable)
  }
}

function readable(span: WireSpan) {
  const hex = (bytes: string | undefined) =>
    bytes ? Buffer.from(bytes, 'base64').toString('hex') : undefined
  return {
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentSpanId: hex(span.parentSpanId),
    traceState: span.traceState,
    name: span.name,
    kind: span.kind.toLowerCase(),
    start: BigInt(span.startTimeUnixNano),
    end: BigInt(span.endTimeUnixNano),
    attributes: record(span.attributes),
    events: (span.events ?? []).map(({ name, timeUnixNano }) => ({ name, time: BigInt(timeUnixNano) })),
    error: span.status?.code === 'ERROR' ? { message: span.status.message } : undefined,
  }
}

/** The same from the record that the spans were made of. */
function expected(exchange: Exchange) {
  const nanos = ([seconds, nanos]: readonly [number, number]) =>
    BigInt(seconds) * 1_000_000_000n + BigInt(nanos)
  return spansOf(exchange).map(({ startTime, endTime, events, ...span }) => ({
    ...span,
    traceState: exchange.trace.traceState,
    start: nanos(startTime),
    end: nanos(endTime),
    events: events.map(({ name, time }) => ({ name, time: nanos(time) })),
  }))
}

let closing: (() => unknown)[] = []
afterEach(async () => {
  const all = closing
  closing = []
  for (const close of all) await close()
})

/** `answer` comes in the place of a collector that decodes and keeps what it gets. */
async function httpCollector(answer?: RequestListener, port = 0) {
  const received = new Received()
  const server = createServer((request, response) => {
    if (answer !== undefined) return answer(request, response)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      received.requests.push(decode(Buffer.concat(chunks)))
      received.headers.push(request.headers satisfies IncomingHttpHeaders)
      received.paths.push(request.url ?? '')
      response.setHeader('content-type', 'application/x-protobuf')
      response.end(RESPONSE.encode({}).finish())
    })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    received,
    port: (server.address() as AddressInfo).port,
    closeIdle: () => server.closeIdleConnections(),
  }
}

const identity = (bytes: Buffer) => bytes
type Unary = grpc.handleUnaryCall<Buffer, Buffer>

async function grpcCollector(answer?: Unary, port = 0) {
  const received = new Received()
  const server = new grpc.Server()
  const handle: Unary = (call, done) => {
    received.requests.push(decode(call.request))
    received.headers.push(call.metadata.getMap())
    received.paths.push(call.getPath())
    done(null, Buffer.from(RESPONSE.encode({}).finish()))
  }
  server.addService(
    {
      export: {
        path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    { export: answer ?? handle },
  )
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, taken) =>
      error === null ? resolve(taken) : reject(error),
    )
  })
  closing.push(() => server.forceShutdown())
  return { received, port: bound }
}

const COLLECTORS = { grpc: grpcCollector, http: httpCollector }
const PROTOCOLS = ['grpc', 'http'] as const

function settingsFor(
  protocol: 'grpc' | 'http',
  port: number,
  more: Partial<TracingSettings> = {},
): TracingSettings {
  const settings = tracingSettings(
    { otlpEndpoint: `127.0.0.1:${port}`, otlpProtocol: protocol },
    undefined,
    {},
  )
  if (settings === undefined) throw new Error('tracing is off')
  return { ...settings, ...more }
}

function tracerFor(settings: TracingSettings, more: Partial<TracerOptions> = {}) {
  const drops: number[] = []
  const messages: string[] = []
  const tracer = createTracer(settings, {
    version: '1.2.3',
    instanceId: 'instance-1',
    onDropped: (spans) => drops.push(spans),
    log: (message) => messages.push(message),
    ...more,
  })
  closing.unshift(() => tracer.close(0))
  return { tracer, messages, dropped: () => drops.reduce((sum, spans) => sum + spans, 0) }
}

const LLM: LlmFacts = {
  routeType: 'completions',
  operation: 'chat',
  provider: 'openai',
  clientFormat: 'completions',
  providerFormat: 'completions',
  originalModel: 'gpt-4o-mini',
  requestModel: 'gpt-4o-mini',
  modelConfirmed: true,
  responseModel: 'gpt-4o-mini-2024-07-18',
  responseId: 'chatcmpl-1',
  streaming: true,
  parameters: { temperature: 0.7, stopSequences: ['END', '…'] },
  finishReasons: ['stop'],
  firstTokenAt: undefined,
  usage: {
    inputTokens: 1200,
    outputTokens: 56,
    cacheReadTokens: 1024,
    cacheWriteTokens: 32,
    reasoningTokens: 8,
  },
  usageSource: 'provider',
  cost: { total: 0.00031, input: 0.0001, output: 0.00021 },
  costStatus: 'Exact',
  guards: [],
}

const SAMPLED = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** A chat whose first attempt failed. */
function chat(sampled = true): Exchange {
  const exchange = beginExchange({
    trace: traceContextFor(SAMPLED, 'vendor=1', () => sampled),
    clientAddress: '10.0.0.7:51234',
    method: 'POST',
    host: 'localhost:3000',
    path: '/v1/chat/completions',
    query: '',
    httpVersion: '1.1',
    scheme: 'http',
    userAgent: undefined,
    bind: 'bind/3000',
  })
  const { startedAt } = exchange
  const attempt = (id: string, facts: Partial<Attempt>): Attempt => ({
    spanId: `00000000000000${id}`,
    endpoint: 'api.openai.com:443',
    startedAt: startedAt + 1.5,
    connectMs: 3,
    queuedMs: undefined,
    headAt: startedAt + 10,
    endedAt: startedAt + 20.123456,
    status: 200,
    errorType: undefined,
    errorMessage: undefined,
    ...facts,
  })
  exchange.attempts.push(
    attempt('a1', { status: 503, errorMessage: 'overloaded', endedAt: startedAt + 12 }),
    attempt('a2', { startedAt: startedAt + 13 }),
  )
  return Object.assign(exchange, {
    status: 200,
    outcome: 'completed',
    endedAt: startedAt + 21,
    routePattern: '/v1/*',
    llm: { ...LLM, firstTokenAt: startedAt + 15 },
  })
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('a collector receives the tree as it is, resource and headers', async () => {
    const { received, port } = await COLLECTORS[protocol]()
    const { tracer, dropped, messages } = tracerFor(
      settingsFor(protocol, port, { headers: { authorization: 'Basic dTpw==' } }),
    )
    const exchange = chat()
    tracer.export(exchange)
    expect(await tracer.flush(20_000)).toBe(true)

    const spans = received.spans
    const want = expected(exchange)
    const callId = spans[1]?.spanId
    // The id of the logical call is drawn when the spans are built; everything hangs on it.
    expect(callId).toMatch(/^[0-9a-f]{16}$/)
    const rehung = want.map((span, index) => ({
      ...span,
      spanId: index === 1 ? callId : span.spanId,
      parentSpanId: index > 1 ? callId : span.parentSpanId,
    }))
    expect(spans).toEqual(rehung)
    expect(spans.map((span) => span.name)).toEqual([
      'POST /v1/*',
      'chat gpt-4o-mini',
      'POST api.openai.com',
      'POST api.openai.com',
    ])
    expect(spans[3]?.end).toBe((spans[0]?.start ?? 0n) + 20_123_456n)

    expect(received.resources.length).toBe(1)
    expect(record(received.resources[0]?.resource.attributes ?? [])).toMatchObject({
      'service.name': 'agentgateway',
      'service.version': '1.2.3',
      'service.instance.id': 'instance-1',
      'telemetry.sdk.language': 'nodejs',
    })
    expect(received.resources[0]?.scopeSpans[0]?.scope).toEqual({ name: 'agentgateway', version: '1.2.3' })
    expect(received.headers[0]).toMatchObject({
      authorization: 'Basic dTpw==',
      'user-agent': expect.stringMatching(/^agentgateway\/1\.2\.3( |$)/),
    })
    expect(received.paths).toEqual([
      protocol === 'grpc' ? '/opentelemetry.proto.collector.trace.v1.TraceService/Export' : '/v1/traces',
    ])
    expect([dropped(), messages]).toEqual([0, []])
  })

  test('what the configuration adds and removes', async () => {
    const { received, port } = await COLLECTORS[protocol]()
    const { tracer } = tracerFor(
      settingsFor(protocol, port, {
        resource: { 'service.name': 'mine', 'service.version': '9', zone: 'z' },
      }),
    )
    tracer.export(chat(), () => ({
      name: undefined,
      added: { team: 'a', 'agentgateway.bind': 'renamed' },
      removed: new Set(['client.address', 'server.port', 'gen_ai.response.id']),
      replaced: new Set(['team', 'agentgateway.bind', 'agentgateway.protocol']),
    }))
    await tracer.flush(20_000)
    const [server, call, ...attempts] = received.spans.map((span) => span.attributes)
    expect(server).toMatchObject({ team: 'a', 'agentgateway.bind': 'renamed' })
    // It was given another value that it has not got.
    expect(server).not.toHaveProperty(['agentgateway.protocol'])
    expect(call).not.toHaveProperty('team')
    for (const attributes of [server, call, ...attempts]) {
      for (const name of ['client.address', 'server.port', 'gen_ai.response.id']) {
        expect(Object.keys(attributes ?? {})).not.toContain(name)
      }
    }
    expect(record(received.resources[0]?.resource.attributes ?? [])).toMatchObject({
      'service.name': 'mine',
      'service.version': '9',
      zone: 'z',
    })
  })

  test('many exchanges arrive in batches, each span once', async () => {
    const { received, port } = await COLLECTORS[protocol]()
    const { tracer, dropped } = tracerFor(settingsFor(protocol, port))
    for (let count = 0; count < 400; count++) tracer.export(chat())
    expect(await tracer.flush(20_000)).toBe(true)
    expect(received.spans.length).toBe(1600)
    expect(received.requests.length).toBe(4)
    expect(dropped()).toBe(0)
  })

  test('an unsampled exchange is not even looked at', async () => {
    const { received, port } = await COLLECTORS[protocol]()
    const { tracer } = tracerFor(settingsFor(protocol, port))
    const exchange = Object.defineProperty(chat(false), 'attempts', { get: () => expect.unreachable() })
    tracer.export(exchange)
    expect(await tracer.flush(20_000)).toBe(true)
    expect(received.requests).toEqual([])
  })

  test('a collector that is not there costs spans and nothing else', async () => {
    const port = await unusedPort()
    const { tracer, dropped, messages } = tracerFor(settingsFor(protocol, port), { timeoutMs: 300 })
    fillAndTime(tracer, 3000)
    expect(await tracer.flush(20_000)).toBe(true)
    expect(dropped()).toBe(12_000)
    expect(messages).toEqual([expect.stringContaining(`cannot export traces to http://127.0.0.1:${port}`)])
  })

  test('a collector that comes back gets spans again', async () => {
    const port = await unusedPort()
    const { tracer, dropped, messages } = tracerFor(settingsFor(protocol, port), { timeoutMs: 300 })
    tracer.export(chat())
    await tracer.flush(20_000)
    expect(dropped()).toBe(4)
    const back = await COLLECTORS[protocol](undefined, port)
    // gRPC pauses before it tries a dead address again.
    await expect
      .poll(
        async () => {
          tracer.export(chat())
          await tracer.flush(20_000)
          return back.received.spans.length
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0)
    expect(messages.at(-1)).toBe(`traces reach ${settingsFor(protocol, port).url} again`)
    expect(messages.length).toBe(2)
  })

  test('a collector that hangs fills the queue to its bound, and closing does not wait for it', {
    retry: 3,
  }, async () => {
    const { port, connections } = await silentServer()
    const { tracer, dropped } = tracerFor(settingsFor(protocol, port), { timeoutMs: 60_000 })
    fillAndTime(tracer, 5000)
    // 4 batches of 512 are on their way, 2048 spans wait.
    expect(dropped()).toBe(20_000 - 4 * 512 - 2048)
    await connections
    expect(await tracer.flush(20)).toBe(false)
    const startedAt = performance.now()
    await tracer.close(50)
    expect(performance.now() - startedAt).toBeLessThan(1000)
    expect(dropped()).toBe(20_000 - 4 * 512)
  })
})

test('a batch that times out is counted', async () => {
  for (const protocol of PROTOCOLS) {
    const { port } = await silentServer()
    const { tracer, dropped } = tracerFor(settingsFor(protocol, port), { timeoutMs: 50 })
    tracer.export(chat())
    expect(await tracer.flush(20_000)).toBe(true)
    expect(dropped()).toBe(4)
  }
})

test.each([
  {
    name: 'gRPC refuses',
    protocol: 'grpc',
    collector: () => grpcCollector((_, done) => done({ code: grpc.status.PERMISSION_DENIED })),
  },
  {
    name: 'gRPC answers nonsense',
    protocol: 'grpc',
    collector: () => grpcCollector((_, done) => done({ code: 99 as grpc.status, details: '\n' })),
  },
  {
    name: 'HTTP refuses',
    protocol: 'http',
    collector: () => httpCollector((_, response) => response.writeHead(401).end('no')),
  },
  { name: 'HTTP hangs up', protocol: 'http', collector: () => httpCollector((request) => request.destroy()) },
  {
    name: 'HTTP redirects',
    protocol: 'http',
    collector: () => httpCollector((_, response) => response.writeHead(302, { location: '/' }).end()),
  },
] as const)('when $name, the batch is counted and reported', async ({ protocol, collector }) => {
  const { port } = await collector()
  const { tracer, dropped, messages } = tracerFor(settingsFor(protocol, port), { timeoutMs: 500 })
  tracer.export(chat())
  expect(await tracer.flush(20_000)).toBe(true)
  expect(dropped()).toBe(4)
  expect(messages.length).toBe(1)
})

test.each(PROTOCOLS)('an answer that is no protobuf still means success, over %s', async (protocol) => {
  const answer = Buffer.from('\u000f<html>')
  const { port } =
    protocol === 'grpc'
      ? await grpcCollector((_, done) => done(null, answer))
      : await httpCollector((request, response) => request.resume().on('end', () => response.end(answer)))
  const { tracer, dropped } = tracerFor(settingsFor(protocol, port))
  tracer.export(chat())
  expect(await tracer.flush(20_000)).toBe(true)
  expect(dropped()).toBe(0)
})

test.each(PROTOCOLS)('the process’s own OTEL variables change nothing over %s', async (protocol) => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'http://127.0.0.1:1')
  vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x-leak=secret')
  vi.stubEnv('OTEL_EXPORTER_OTLP_TRACES_HEADERS', '{"x-leak":"Basic dTpw=="}')
  vi.stubEnv('OTEL_EXPORTER_OTLP_COMPRESSION', 'gzip')
  vi.stubEnv('OTEL_SERVICE_NAME', 'other')
  vi.stubEnv('http_proxy', 'http://127.0.0.1:1')
  closing.push(() => vi.unstubAllEnvs())
  const { received, port } = await COLLECTORS[protocol]()
  const { tracer } = tracerFor(settingsFor(protocol, port))
  tracer.export(chat())
  await tracer.flush(20_000)
  expect(received.spans.length).toBe(4)
  expect(JSON.stringify(received.headers)).not.toContain('leak')
  expect(record(received.resources[0]?.resource.attributes ?? [])['service.name']).toBe('agentgateway')
})

test.each(PROTOCOLS)('spans that a collector refuses in a success are counted, over %s', async (protocol) => {
  const answer = Buffer.from(
    RESPONSE.encode(
      RESPONSE.fromObject({ partialSuccess: { rejectedSpans: 3, errorMessage: 'too old' } }),
    ).finish(),
  )
  const { port } =
    protocol === 'grpc'
      ? await grpcCollector((_, done) => done(null, answer))
      : await httpCollector((request, response) => request.resume().on('end', () => response.end(answer)))
  const { tracer, dropped } = tracerFor(settingsFor(protocol, port))
  tracer.export(chat())
  await tracer.flush(20_000)
  expect(dropped()).toBe(3)
})

test('a connection that the collector closed while idle costs nothing over http', async () => {
  const { received, port, closeIdle } = await httpCollector()
  const { tracer, dropped } = tracerFor(settingsFor('http', port))
  for (let round = 1; round <= 5; round++) {
    tracer.export(chat())
    await tracer.flush(20_000)
    expect(received.requests.length).toBe(round)
    closeIdle()
  }
  expect(dropped()).toBe(0)
})

test.each(PROTOCOLS)(
  'a process ends on time although its collector hangs, over %s',
  { retry: 3 },
  async (protocol) => {
    const { port } = await silentServer()
    const settings = JSON.stringify(settingsFor(protocol, port))
    const script = `
    const { createTracer } = await import(${JSON.stringify(new URL('./otlp.ts', import.meta.url).href)})
    const options = { version: '1', onDropped: (count) => console.log('dropped', count), log: () => {} }
    const tracer = createTracer(${settings}, options)
    tracer.export(${JSON.stringify(chat())})
    await tracer.close(100)`
    const startedAt = performance.now()
    const child = spawn(process.execPath, ['--input-type=module', '-e', script])
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    const [code] = await once(child, 'close')
    expect([code, Buffer.concat(chunks).toString()]).toEqual([0, 'dropped 4\n'])
    // Its export would have taken 10 s.
    expect(performance.now() - startedAt).toBeLessThan(8000)
  },
)

/** `export` many times; no single one may take long, whatever the collector does. */
function fillAndTime(tracer: Tracer, count: number): void {
  const startedAt = performance.now()
  for (let done = 0; done < count; done++) tracer.export(chat())
  expect((performance.now() - startedAt) / count).toBeLessThan(1)
}

async function unusedPort(): Promise<number> {
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Takes connections and says nothing. */
async function silentServer() {
  const connected = Promise.withResolvers<void>()
  const server = createTcpServer((socket) => {
    socket.on('error', () => {}).resume()
    closing.push(() => socket.destroy())
    connected.resolve()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => server.close())
  return { port: (server.address() as AddressInfo).port, connections: connected.promise }
}
