/**
 * An LLM request -> what to ask the provider, and how its answer comes back.
 *
 * Order on the body, as upstream has it: model pin, overrides, defaults, aliases, prompts, guards, translation. A body
 * that none of these touch goes out byte for byte; a stream's wish for usage is spliced in, not re-serialised.
 */
import { isUtf8 } from 'node:buffer'
import { GatewayError } from '../core/errors.ts'
import type { LlmFacts, RouteType, WireFormat } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import { type Guard, guardRequest, type PromptGuard } from './guard/guard.ts'
import { Unasked, type Verdicts } from './guard/verdicts.ts'
import { enrich, type Prompts } from './prompts.ts'
import type { Api, Credential, Provider } from './providers/provider.ts'
import { parametersOf } from './request-facts.ts'
import { type Translation, TranslationError } from './translate/translation.ts'
import { TRANSLATIONS } from './translations.ts'

export interface LlmBackend {
  /** Configured `ai.name`. */
  readonly name: string
  readonly provider: Provider
  readonly credential: Credential | undefined
  readonly hostOverridden: boolean
  readonly pathPrefix: string | undefined
  readonly pathOverride: string | undefined
  readonly pinnedModel: string | undefined
  readonly routeType: (path: string) => RouteType
  readonly overrides: Readonly<Record<string, unknown>> | undefined
  readonly defaults: Readonly<Record<string, unknown>> | undefined
  readonly alias: ((model: string) => string) | undefined
  /** Models that the configuration names: trustworthy as labels before the provider has answered. */
  readonly configuredModels: ReadonlySet<string>
  readonly prompts: Prompts | undefined
  readonly guard: PromptGuard | undefined
}

export interface LlmRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: Headers
  readonly body: Buffer
  /** The body, where it was read already. */
  readonly json?: Body | undefined
  /** Of services that guard it; needed where `guard.asks`. */
  readonly verdicts?: Verdicts | undefined
}

/** `raw`: nothing is read. `same`: read beside the bytes. `translate`: written anew. */
export type Way =
  | { readonly kind: 'raw' }
  | {
      readonly kind: 'same'
      readonly format: WireFormat
      readonly stripUsage: boolean
      readonly lenient: boolean
    }
  | { readonly kind: 'translate'; readonly translation: Translation; readonly includeUsage: boolean }

export interface LlmPlan {
  readonly facts: LlmFacts
  /** With the query. */
  readonly path: string
  readonly headers: Headers
  /** Null also from when it is on its way: a stream may last for hours. */
  body: Buffer | null
  readonly way: Way
  /** Fields of the client's request that the translation had no place for. */
  readonly dropped: readonly string[]
  /** The client's parsed body, for an estimate when the provider reports no usage; undefined where nothing was read. */
  readonly clientBody: Readonly<Record<string, unknown>> | undefined
  /** Count tokens here: the provider has no API for it. */
  readonly countLocally: boolean
  /** What the answer has to pass, in the client's format. */
  readonly guards: readonly Guard[]
  /** Of the services among them. */
  readonly verdicts: Verdicts | undefined
}

export type Body = Record<string, unknown>

const isObject = (value: unknown): value is Body =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const FORMATS: Partial<Record<RouteType, WireFormat>> = {
  completions: 'completions',
  messages: 'messages',
  responses: 'responses',
  embeddings: 'embeddings',
}

/** Formats of the provider, in the order in which they are tried for a client's format. */
const TARGETS: Record<WireFormat, readonly WireFormat[]> = {
  completions: ['completions', 'messages'],
  messages: ['messages', 'completions', 'responses'],
  responses: ['responses', 'completions', 'messages'],
  embeddings: ['embeddings'],
}

/** The format that a path of a `detect` route speaks, by the vendors' own paths. */
function formatOfPath(path: string): WireFormat | undefined {
  if (path.endsWith('/chat/completions')) return 'completions'
  if (path.endsWith('/messages')) return 'messages'
  if (path.includes('/responses')) return 'responses'
  return path.endsWith('/embeddings') ? 'embeddings' : undefined
}

function operationOf(routeType: RouteType, format: WireFormat | undefined): LlmFacts['operation'] {
  if (routeType === 'models') return 'list_models'
  if (routeType === 'anthropicTokenCount') return 'count_tokens'
  if (format === 'embeddings') return 'embeddings'
  return format === undefined ? 'unknown' : 'chat'
}

function newFacts(backend: LlmBackend, routeType: RouteType, clientFormat: WireFormat | undefined): LlmFacts {
  return {
    routeType,
    operation: operationOf(routeType, clientFormat),
    provider: backend.provider.name,
    clientFormat,
    providerFormat: clientFormat,
    originalModel: undefined,
    requestModel: undefined,
    modelConfirmed: false,
    responseModel: undefined,
    responseId: undefined,
    streaming: false,
    parameters: {},
    finishReasons: [],
    firstTokenAt: undefined,
    usage: undefined,
    usageSource: 'none',
    cost: undefined,
    costStatus: undefined,
    guards: [],
  }
}

/** Where a request goes that keeps the client's path: the prefix only swaps the base. */
function keptPath(backend: LlmBackend, path: string): string {
  if (backend.pathOverride !== undefined) return backend.pathOverride
  const { pathPrefix, provider } = backend
  if (pathPrefix === undefined) return path
  const base = provider.basePath
  const rest = path === base || path.startsWith(`${base}/`) ? path.slice(base.length) : path
  return pathPrefix.replace(/\/$/, '') + rest
}

/**
 * Where an API of the provider is. Behind a `hostOverride` without prefix the client's path stays as it came, as
 * upstream has it, but only while the format stays too: a translated body at the old path would reach nobody.
 */
function apiPath(backend: LlmBackend, api: Api, clientPath: string, translated: boolean): string {
  const { provider, pathOverride, pathPrefix } = backend
  if (pathOverride !== undefined) return pathOverride
  const configured = provider.paths[api]
  if (configured !== undefined) return configured
  if (backend.hostOverridden && pathPrefix === undefined && !translated && provider.host !== undefined)
    return clientPath
  return (pathPrefix ?? provider.basePath).replace(/\/$/, '') + (provider.apis[api] ?? '')
}

const withQuery = (path: string, query: string) => (query === '' ? path : `${path}?${query}`)

const PLACE_IN_JSON = /at position \d+(?: \(line \d+ column \d+\))?|unexpected end of JSON input/i

export function parseBody(body: Buffer): Body {
  let parsed: unknown
  try {
    parsed = JSON.parse(body.toString('utf8'))
  } catch (cause) {
    // Only the place: the engine's message quotes the body, which is neither for the log nor for a trace.
    const place = cause instanceof Error ? PLACE_IN_JSON.exec(cause.message)?.[0] : undefined
    throw new GatewayError(
      'invalid_body',
      `failed to process LLM request: the body is not valid JSON${place === undefined ? '' : `, ${place}`}`,
    )
  }
  if (!isObject(parsed))
    throw new GatewayError('invalid_body', 'failed to process LLM request: the body must be a JSON object')
  return parsed
}

/** Guards look at what is read, and what passes goes out as it came: bytes that are no text might be read otherwise. */
function readClient(backend: LlmBackend, { json, body }: LlmRequest): Body {
  const isGuarded = backend.guard !== undefined && backend.guard.request.length > 0
  if (isGuarded && !isUtf8(body))
    throw new GatewayError('invalid_body', 'failed to process LLM request: the body is not UTF-8')
  return json ?? parseBody(body)
}

/** JavaScript's own access to a number's digits, which its types do not have yet. */
interface ExactJson {
  readonly parse: (
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ) => unknown
  readonly rawJSON: (source: string) => unknown
}
const EXACT = JSON as unknown as ExactJson

/** For a body that has to be written anew: `1.0` stays `1.0`, and a seed of 64 bits keeps all its digits. */
function parseExactly(body: Buffer): Body {
  const parsed = survivingDepth(() =>
    EXACT.parse(body.toString('utf8'), (_key, value, { source }) =>
      typeof value === 'number' && source !== undefined && String(value) !== source
        ? EXACT.rawJSON(source)
        : value,
    ),
  )
  return isObject(parsed) ? parsed : {}
}

const serialize = (body: Body) => Buffer.from(survivingDepth(() => JSON.stringify(body)))

/** Plain reading survives any depth of nesting; writing, reading with a reviver and guards do not. */
function survivingDepth<T>(step: () => T): T {
  try {
    return step()
  } catch (cause) {
    if (cause instanceof GatewayError || cause instanceof Unasked) throw cause
    throw new GatewayError('invalid_body', 'failed to process LLM request: the body is nested too deeply', {
      cause,
    })
  }
}

/** `{"a":1}` -> `{"stream_options":{"include_usage":true},"a":1}`, without touching another byte. */
function spliceStreamOptions(body: Buffer): Buffer {
  const brace = body.indexOf(0x7b)
  return Buffer.concat([body.subarray(0, brace + 1), STREAM_OPTIONS, body.subarray(brace + 1)])
}
const STREAM_OPTIONS = Buffer.from('"stream_options":{"include_usage":true},')

export function requireMethod(expected: 'GET' | 'POST', method: string): void {
  if (method === expected) return
  throw new GatewayError('method_not_allowed', `method ${method} is not allowed here, use ${expected}`, {
    headers: { allow: expected },
  })
}

/** Pin, overrides, defaults, alias, prompts and guards. `changed` is false when the client's own bytes can go on. */
function applyPolicies(
  backend: LlmBackend,
  format: WireFormat,
  client: Body,
  facts: LlmFacts,
  verdicts: Verdicts | undefined,
): { readonly body: Body; readonly changed: boolean } {
  let body = client
  const set = (key: string, value: unknown) => {
    if (body === client) body = { ...client }
    body[key] = value
  }
  if (backend.pinnedModel !== undefined && body.model !== backend.pinnedModel)
    set('model', backend.pinnedModel)
  for (const [key, value] of Object.entries(backend.overrides ?? {})) set(key, value)
  for (const [key, value] of Object.entries(backend.defaults ?? {}))
    if (body[key] === undefined) set(key, value)
  if (typeof body.model !== 'string' || body.model === '') {
    throw new GatewayError(
      'invalid_body',
      'failed to process LLM request: missing field: model not specified',
    )
  }
  const model = backend.alias?.(body.model) ?? body.model
  if (model !== body.model) set('model', model)
  if (backend.prompts !== undefined) body = enrich(format, body, backend.prompts)
  facts.requestModel = model
  facts.modelConfirmed = backend.configuredModels.has(model)
  const guards = backend.guard?.request ?? []
  // What is written anew is guarded once more, and counts once.
  facts.guards.length = 0
  const guarded = survivingDepth(() => guardRequest(guards, format, body, facts.guards, verdicts))
  return { body: guarded, changed: guarded !== client }
}

/** What concerns the body as the client sent it, or that connection. */
const NOT_FORWARDED = new Set(['content-length', 'content-encoding', 'expect', 'accept-encoding'])

function headersFor(backend: LlmBackend, request: LlmRequest): Headers {
  const headers: Headers = {}
  for (const name in request.headers) if (!NOT_FORWARDED.has(name)) headers[name] = request.headers[name]
  // Compressed answers would only have to be unpacked again to be counted.
  headers['accept-encoding'] = 'identity'
  backend.provider.authorize(headers, backend.credential)
  return headers
}

function rawPlan(backend: LlmBackend, request: LlmRequest, facts: LlmFacts, path: string, way: Way): LlmPlan {
  return {
    facts,
    path: withQuery(path, request.query),
    headers: headersFor(backend, request),
    body: request.body.length === 0 ? null : request.body,
    way,
    dropped: [],
    clientBody: undefined,
    countLocally: false,
    guards: [],
    verdicts: request.verdicts,
  }
}

function detectPlan(backend: LlmBackend, request: LlmRequest): LlmPlan {
  const format = formatOfPath(request.path)
  const facts = newFacts(backend, 'detect', format)
  const plan = rawPlan(backend, request, facts, keptPath(backend, request.path), { kind: 'raw' })
  if (format === undefined) return plan
  let body: unknown
  try {
    body = JSON.parse(request.body.toString('utf8'))
  } catch {
    return plan
  }
  if (!isObject(body)) return plan
  facts.originalModel = typeof body.model === 'string' ? body.model : undefined
  facts.requestModel = facts.originalModel
  facts.streaming = body.stream === true
  facts.parameters = parametersOf(body)
  return { ...plan, way: { kind: 'same', format, stripUsage: false, lenient: true }, clientBody: body }
}

function countPlan(backend: LlmBackend, request: LlmRequest, note: NoteFacts): LlmPlan {
  requireMethod('POST', request.method)
  const facts = newFacts(backend, 'anthropicTokenCount', 'messages')
  note(facts)
  const client = readClient(backend, request)
  facts.originalModel = typeof client.model === 'string' ? client.model : undefined
  const { body, changed } = applyPolicies(backend, 'messages', client, facts, request.verdicts)
  const countLocally = backend.provider.apis.anthropicTokenCount === undefined
  const path = apiPath(backend, 'anthropicTokenCount', request.path, false)
  const plan = rawPlan(backend, request, facts, path, { kind: 'raw' })
  return {
    ...plan,
    body: changed ? serialize(body) : request.body,
    clientBody: body,
    countLocally,
  }
}

function chooseFormat(backend: LlmBackend, format: WireFormat): WireFormat {
  const target = TARGETS[format].find((candidate) => backend.provider.apis[candidate] !== undefined)
  if (target !== undefined) return target
  throw new GatewayError(
    'unsupported_conversion',
    `failed to process LLM request: unsupported conversion: ${backend.provider.name} cannot answer ${format} requests`,
  )
}

function conversationPlan(
  backend: LlmBackend,
  request: LlmRequest,
  routeType: RouteType,
  format: WireFormat,
  note: NoteFacts,
): LlmPlan {
  requireMethod('POST', request.method)
  const facts = newFacts(backend, routeType, format)
  note(facts)
  const client = readClient(backend, request)
  facts.originalModel = typeof client.model === 'string' ? client.model : undefined
  facts.streaming = client.stream === true
  const { body, changed } = applyPolicies(backend, format, client, facts, request.verdicts)
  facts.streaming = body.stream === true
  facts.parameters = parametersOf(body)
  const target = chooseFormat(backend, format)
  facts.providerFormat = target
  const options = isObject(body.stream_options) ? body.stream_options : undefined
  const includeUsage = options?.include_usage === true
  const path = apiPath(backend, target, request.path, target !== format)
  const { guard } = backend
  const guards = guard === undefined || (facts.streaming && !guard.readsStreams) ? [] : guard.response
  const plan = { ...rawPlan(backend, request, facts, path, { kind: 'raw' }), guards }

  if (target !== format) {
    refuseThread(format, body)
    const translation = TRANSLATIONS.find((one) => one.client === format && one.provider === target)
    if (translation === undefined)
      throw new GatewayError(
        'unsupported_conversion',
        `failed to process LLM request: unsupported conversion: ${format} to ${target}`,
      )
    const translated = translateRequest(translation, body)
    return {
      ...plan,
      headers: { ...plan.headers, 'content-type': 'application/json' },
      body: serialize(translated.body),
      way: { kind: 'translate', translation, includeUsage },
      dropped: translated.dropped,
      clientBody: body,
    }
  }

  const askUsage = format === 'completions' && facts.streaming && !includeUsage
  const way: Way = { kind: 'same', format, stripUsage: askUsage, lenient: false }
  let bytes = changed
    ? serialize(applyPolicies(backend, format, parseExactly(request.body), facts, request.verdicts).body)
    : request.body
  if (askUsage) {
    bytes =
      body.stream_options === undefined
        ? spliceStreamOptions(bytes)
        : serialize({ ...parseExactly(bytes), stream_options: { ...options, include_usage: true } })
  }
  return { ...plan, body: bytes, way, clientBody: body }
}

/** Only Anthropic keeps conversations; its SDK understands this very code, and sends all messages again. */
function refuseThread(format: WireFormat, body: Body): void {
  if (format !== 'messages' || !isObject(body.thread)) return
  const message = 'thread: the provider keeps no conversations; send all messages, without thread'
  throw new GatewayError('thread_unsupported_request', `failed to process LLM request: ${message}`)
}

function translateRequest(translation: Translation, body: Body) {
  try {
    return translation.request(body)
  } catch (cause) {
    if (!(cause instanceof TranslationError)) throw cause
    throw new GatewayError('unsupported_conversion', `failed to process LLM request: ${cause.message}`, {
      cause,
    })
  }
}

/** Told of what is known before anything is refused. */
type NoteFacts = (facts: LlmFacts) => void

/** Throws `GatewayError` where the request cannot be sent, `Unasked` where a guard has to be asked first. */
export function planLlm(backend: LlmBackend, request: LlmRequest, note: NoteFacts = () => {}): LlmPlan {
  const routeType = backend.routeType(request.path)
  switch (routeType) {
    case 'passthrough':
      return rawPlan(
        backend,
        request,
        newFacts(backend, routeType, undefined),
        keptPath(backend, request.path),
        { kind: 'raw' },
      )
    case 'detect':
      return detectPlan(backend, request)
    case 'models':
      requireMethod('GET', request.method)
      return rawPlan(
        backend,
        request,
        newFacts(backend, routeType, undefined),
        apiPath(backend, 'models', request.path, false),
        { kind: 'raw' },
      )
    case 'anthropicTokenCount':
      return countPlan(backend, request, note)
    case 'completions':
    case 'messages':
    case 'responses':
    case 'embeddings':
      return conversationPlan(backend, request, routeType, FORMATS[routeType] ?? 'completions', note)
    default:
      routeType satisfies never
      throw new GatewayError('internal', 'unknown route type')
  }
}

/** The format in which an error is told to the client, before anything else is known. */
export function clientFormatOf(
  backend: Pick<LlmBackend, 'routeType'>,
  { path, headers }: Pick<LlmRequest, 'path' | 'headers'>,
): WireFormat {
  const routeType = backend.routeType(path)
  if (routeType === 'anthropicTokenCount') return 'messages'
  if (routeType === 'models' && headers['anthropic-version'] !== undefined) return 'messages'
  return FORMATS[routeType] ?? formatOfPath(path) ?? 'completions'
}

/**
 * The model that the client named; undefined where another one might be read from its request. Servers in Go take keys
 * in any case: `Model` beside `model` would be the one that they ask.
 */
export function clientModelOf({ facts, clientBody = {} }: LlmPlan): string | undefined {
  const isAmbiguous = Object.keys(clientBody).some((key) => key !== 'model' && key.toLowerCase() === 'model')
  return isAmbiguous ? undefined : facts.originalModel
}
