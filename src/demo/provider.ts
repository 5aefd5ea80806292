/**
 * Simulated LLM providers: they speak OpenAI's and Anthropic's wire formats over real sockets, break in the ways
 * in which real ones break, and keep a ledger of what they billed.
 *
 * A body that the real provider would refuse is refused even when a script is given: scripts say how to answer,
 * not what to accept.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Answer, NO_USAGE, Refusal } from './answer.ts'
import { anthropic } from './anthropic.ts'
import { REQUEST_ID } from './anthropic-errors.ts'
import { type Caller, watchCaller } from './caller.ts'
import { type Delivered, deliver, type Gauges } from './deliver.ts'
import { type BilledCall, createLedger, type Ledger, type Totals } from './ledger.ts'
import { openAI } from './openai.ts'
import { type Script, scriptSchema } from './script.ts'
import type { Call, Vendor } from './vendor.ts'
import { isJson } from './wire-json.ts'

export interface ProviderOptions {
  /** 0 (the default) takes a free one. */
  readonly port?: number
  readonly host?: string
  readonly tls?: { readonly cert: string; readonly key: string }
  /** For requests that bring no script and find none queued. */
  readonly defaults?: Script
  /**
   * For benchmarks: the first request of each shape (path, model, streaming) is checked and answered in full, the
   * others get the same bytes unread. Wants `defaults`; ignores `x-simulate` and `next()`.
   */
  readonly fixed?: boolean
  /** How many calls the ledger keeps at least; the totals count on. Default 20,000. */
  readonly keptCalls?: number
}

export interface SimulatedProvider {
  readonly port: number
  readonly url: string
  readonly calls: readonly BilledCall[]
  readonly totals: Totals
  /** Event streams whose head is out and whose end is not. */
  readonly openStreams: number
  /** Requests that have arrived and are not in the ledger yet. */
  readonly inFlight: number
  /** Streams that stand still because the caller does not read. */
  readonly waitingForDrain: number
  /** Queues a script for the next request that brings none. */
  next(script: Script): void
  /** Empties the ledger and the queue. */
  clear(): void
  /** Resolves when the predicate holds; asked again whenever a call or one of the gauges above changes. */
  waitFor(predicate: (calls: readonly BilledCall[]) => boolean): Promise<readonly BilledCall[]>
  /** Breaks what is open. */
  close(): Promise<void>
}

export function startSimulatedOpenAI(options: ProviderOptions = {}): Promise<SimulatedProvider> {
  return start(openAI, options)
}

export interface AnthropicOptions extends ProviderOptions {
  /** The real API joins neighbouring turns of one role. Default false: a translation is expected to have done so. */
  readonly joinsTurns?: boolean
}

export function startSimulatedAnthropic(options: AnthropicOptions = {}): Promise<SimulatedProvider> {
  return start(anthropic({ joinsTurns: options.joinsTurns ?? false }), options)
}

const MAX_BODY_BYTES = 32 * 1024 * 1024

interface State {
  readonly vendor: Vendor
  readonly options: ProviderOptions
  readonly ledger: Ledger
  readonly gauges: Gauges & { inFlight: number }
  readonly queue: Script[]
  readonly fixed: Map<string, Fixed>
}

interface Fixed {
  readonly answer: Answer
  readonly bytes: Buffer
}

async function start(vendor: Vendor, options: ProviderOptions): Promise<SimulatedProvider> {
  const ledger = createLedger(options.keptCalls ?? 20_000)
  const gauges = { openStreams: 0, waitingForDrain: 0, inFlight: 0, changed: ledger.notify }
  const state: State = { vendor, options, ledger, gauges, queue: [], fixed: new Map() }
  const server = createHttpServer(options, (request, response) => {
    serve(state, request, response).catch((error: unknown) => response.destroy(asError(error)))
  })
  const host = options.host ?? '127.0.0.1'
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: options.port ?? 0, host, backlog: 4096 }, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `${options.tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    calls: ledger.calls,
    get totals() {
      return ledger.totals
    },
    get openStreams() {
      return gauges.openStreams
    },
    get inFlight() {
      return gauges.inFlight
    },
    get waitingForDrain() {
      return gauges.waitingForDrain
    },
    next: (script) => void state.queue.push(script),
    clear() {
      ledger.clear()
      state.queue.length = 0
    },
    waitFor: ledger.waitFor,
    close: () => closeServer(server),
  }
}

function createHttpServer({ tls }: ProviderOptions, listener: RequestListener): Server {
  // `x-simulate` may be long.
  const settings = { maxHeaderSize: 128 * 1024, requestTimeout: 0, keepAliveTimeout: 120_000 }
  return tls === undefined
    ? createServer(settings, listener)
    : createTlsServer({ ...settings, ...tls }, listener)
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error === undefined ? resolve() : reject(error)))
    server.closeAllConnections()
  })
}

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)))

async function serve(state: State, request: IncomingMessage, response: ServerResponse) {
  const { vendor, gauges } = state
  const receivedAt = performance.now()
  const url = request.url ?? '/'
  const path = url.split('?', 1)[0] ?? url
  const method = request.method ?? 'GET'
  const requestId = vendor.newRequestId()
  const caller = watchCaller(response)
  gauges.inFlight += 1
  gauges.changed()

  const body = await readBody(request)
  const ready = state.options.fixed === true ? state.fixed.get(shapeOf(path, body ?? '')) : undefined
  const call = {
    api: vendor.apiOf(path),
    method,
    path,
    headers: request.headers,
    body: body ?? '',
    requestId,
  }
  const { answer, script } =
    ready === undefined
      ? answerTo(state, call, body === undefined)
      : { answer: ready.answer, script: state.options.defaults ?? {} }
  const processingMs = Math.max(Math.round(performance.now() - receivedAt), 1)
  const headed = { ...answer, headers: { ...vendor.headers(requestId, processingMs), ...answer.headers } }
  const delivered =
    ready !== undefined && isPlain(script)
      ? await deliverReady(response, caller, headed, ready.bytes)
      : await deliver({ response, caller, answer: headed, script, gauges })

  gauges.inFlight -= 1
  state.ledger.add({
    ...billed(answer, delivered),
    api: call.api,
    model: answer.model,
    responseModel: answer.responseModel,
    status: response.headersSent || script.fault === 'slow-headers' ? answer.status : 0,
    streamed: answer.body.kind === 'stream',
    traceparent: headerText(request.headers.traceparent),
    headers: receivedHeaders(request),
    method,
    path: url,
    body: call.body,
    requestId,
    completed: delivered.end === 'whole',
    aborted: delivered.end === 'left',
    receivedAt,
    abortedAfterMs: delivered.end === 'left' ? (caller.goneAt ?? performance.now()) - receivedAt : undefined,
    endedAfterMs: performance.now() - receivedAt,
    deltas: delivered.deltas,
  })
}

/** Input is billed for every request that was accepted, output as far as it was generated. */
function billed({ usage }: Answer, { outputTokens, reasoningTokens }: Delivered) {
  return {
    inputTokens: usage.inputTokens,
    outputTokens,
    cacheReadTokens: usage.cacheReadTokens,
    cacheWriteTokens: usage.cacheWriteTokens,
    reasoningTokens,
  }
}

/** Undefined when it is too large, or when the caller left before it was complete. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= MAX_BODY_BYTES) chunks.push(chunk)
    })
    request.once('end', () => resolve(size > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks).toString()))
    request.once('close', () => resolve(undefined))
  })
}

interface Decision {
  readonly answer: Answer
  readonly script: Script
}

function answerTo(state: State, call: Omit<Call, 'script'>, unreadable: boolean): Decision {
  const { vendor } = state
  try {
    if (unreadable) throw vendor.tooLarge()
    const script = scriptFor(state, call)
    const answer = vendor.answer({ ...call, script })
    const failed = script.fault === 'midstream-error' && answer.body.kind === 'unary' ? 500 : 200
    const status = script.status ?? failed
    if (status >= 400) {
      const refusal = vendor.scriptedError(status, answer.model, script)
      return { answer: refused(refusal, call), script: { ...script, fault: undefined } }
    }
    const scripted = status === 200 ? answer : { ...answer, status }
    if (state.options.fixed === true) remember(state, call, scripted)
    return { answer: scripted, script }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { answer: refused(error, call), script: {} }
  }
}

function scriptFor({ options, queue }: State, { headers }: Omit<Call, 'script'>): Script {
  if (options.fixed === true) return options.defaults ?? {}
  const header = headerText(headers['x-simulate'])
  if (header === undefined) return queue.shift() ?? options.defaults ?? {}
  try {
    return scriptSchema.parse(JSON.parse(header))
  } catch (error) {
    throw new Refusal(400, JSON.stringify({ error: `x-simulate: ${asError(error).message}` }))
  }
}

function refused(refusal: Refusal, { body, requestId }: Omit<Call, 'script'>): Answer {
  return {
    model: modelIn(body),
    responseModel: '',
    status: refusal.status,
    headers: { 'content-type': 'application/json', ...refusal.headers },
    body: { kind: 'unary', text: refusal.body.replace(REQUEST_ID, requestId) },
    usage: NO_USAGE,
  }
}

function modelIn(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body)
    return isJson(parsed) && typeof parsed.model === 'string' ? parsed.model : ''
  } catch {
    return ''
  }
}

/** What the answer's form depends on; read without parsing. */
function shapeOf(path: string, body: string): string {
  const model = /"model"\s*:\s*"([^"]*)"/.exec(body)?.[1]
  return `${path} ${model} ${/"stream"\s*:\s*true/.test(body)} ${/"include_usage"\s*:\s*true/.test(body)}`
}

function remember({ fixed }: State, { path, body }: Omit<Call, 'script'>, answer: Answer) {
  // Bounded: a benchmark has a handful of shapes.
  if (fixed.size >= 1000) fixed.clear()
  const text =
    answer.body.kind === 'unary' ? answer.body.text : answer.body.frames.map((frame) => frame.text).join('')
  fixed.set(shapeOf(path, body), { answer, bytes: Buffer.from(text) })
}

/** Script fields that change how an answer is written, not what it says. */
const WRITING = [
  'firstDelayMs',
  'chunkDelayMs',
  'fault',
  'splitBytes',
  'gzip',
  'crlf',
  'comments',
  'noFinalBlank',
  'doneVariant',
] as const

const isPlain = (script: Script) => WRITING.every((field) => script[field] === undefined)

async function deliverReady(
  response: ServerResponse,
  caller: Caller,
  answer: Answer,
  bytes: Buffer,
): Promise<Delivered> {
  const length = answer.body.kind === 'unary' ? { 'content-length': bytes.length } : {}
  response.writeHead(answer.status, { ...answer.headers, ...length })
  response.end(bytes)
  await caller.finished()
  const { outputTokens, reasoningTokens } = answer.usage
  return { end: caller.gone ? 'left' : 'whole', outputTokens, reasoningTokens, deltas: 0 }
}

const headerText = (value: string | string[] | undefined) => (Array.isArray(value) ? value.join(', ') : value)

function receivedHeaders(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) headers[name] = headerText(value) ?? ''
  return headers
}
