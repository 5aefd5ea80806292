/**
 * What expressions in the configuration of log, metrics and traces can see: the finished record, and what of a
 * request is told nowhere else. Names are upstream's; neither queries nor bodies are among them.
 *
 * Headers that hold credentials are left out by their names, whatever an expression asks for: a log that is read by
 * many must not become a way to a key because one line of the configuration asks for all headers.
 */
import { type CelExpression, celValue, type Names } from '../core/cel.ts'
import type { Exchange, LlmFacts, McpFacts } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'

export const SAMPLING_NAMES = {
  request: {
    method: true,
    host: true,
    scheme: true,
    path: true,
    version: true,
    headers: true,
    startTime: true,
  },
  source: { address: true },
} as const satisfies Names

const SUBJECT = { name: true, target: true } as const

export const FINISHED_NAMES = {
  request: { ...SAMPLING_NAMES.request, endTime: true },
  source: SAMPLING_NAMES.source,
  response: { code: true, headers: true },
  apiKey: true,
  basicAuth: true,
  jwt: true,
  llm: {
    provider: true,
    requestModel: true,
    responseModel: true,
    streaming: true,
    inputTokens: true,
    cachedInputTokens: true,
    cacheCreationInputTokens: true,
    outputTokens: true,
    reasoningTokens: true,
    totalTokens: true,
    cost: { total: true, input: true, output: true },
    params: true,
  },
  mcp: {
    methodName: true,
    sessionId: true,
    tool: SUBJECT,
    prompt: SUBJECT,
    resource: SUBJECT,
    task: SUBJECT,
  },
  backend: { name: true, type: true, protocol: true },
  proxy: {
    bind: true,
    listener: { name: true },
    route: { namespace: true, name: true },
    outcome: true,
    reason: true,
    errorType: true,
  },
} as const satisfies Names

/** What of a request is not in its record. */
export interface Seen {
  /** As they came. */
  readonly requestHeaders: Readonly<Headers>
  /** As they went out; undefined where none did. */
  readonly responseHeaders: Readonly<Headers> | undefined
  readonly apiKey: Readonly<Record<string, unknown>> | undefined
  readonly basicAuth: Readonly<Record<string, unknown>> | undefined
  readonly jwt: Readonly<Record<string, unknown>> | undefined
}

/** By the name of a header, in lower case. */
export type IsHidden = (name: string) => boolean

export type Variables = Readonly<Record<string, unknown>>

const BACKEND_TYPES: Readonly<Record<string, string>> = { llm: 'ai', mcp: 'mcp' }

function shown(headers: Readonly<Headers>, isHidden: IsHidden): Headers {
  const copy: Headers = {}
  for (const name in headers) if (!isHidden(name)) copy[name] = headers[name]
  return copy
}

/** What is known when a request's head has arrived. */
export interface Arriving {
  readonly method: string
  readonly host: string
  readonly scheme: string
  readonly path: string
  readonly httpVersion: string
  readonly clientAddress: string
  readonly headers: Readonly<Headers>
}

export const arrivingVariables = (arriving: Arriving, isHidden: IsHidden): Variables => ({
  request: {
    method: arriving.method,
    host: arriving.host,
    scheme: arriving.scheme,
    path: arriving.path,
    version: `HTTP/${arriving.httpVersion}`,
    headers: shown(arriving.headers, isHidden),
    startTime: new Date(),
  },
  source: { address: arriving.clientAddress },
})

/** Makes the variables that these expressions read, and no others; each is made once for all of them. */
export function finishedVariables(
  expressions: readonly CelExpression[],
  isHidden: IsHidden,
): (exchange: Exchange, seen: Seen | undefined) => Variables {
  const isRead = (path: string) => expressions.some((expression) => expression.reads(path))
  const makers: [string, (exchange: Exchange, seen: Seen | undefined) => unknown][] = []
  const add = (root: string, make: (exchange: Exchange, seen: Seen | undefined) => unknown) => {
    if (isRead(root)) makers.push([root, make])
  }
  const withRequestHeaders = isRead('request.headers')
  const withResponseHeaders = isRead('response.headers')
  // To become CEL's a time is written and parsed: the two took more than all others together.
  const withStart = isRead('request.startTime')
  const withEnd = isRead('request.endTime')
  const hidden = (headers: Readonly<Headers> | undefined, isWanted: boolean) =>
    headers === undefined || !isWanted ? undefined : shown(headers, isHidden)

  add('request', (exchange, seen) => ({
    method: exchange.method,
    host: exchange.host,
    scheme: exchange.scheme,
    path: exchange.path,
    version: `HTTP/${exchange.httpVersion}`,
    headers: hidden(seen?.requestHeaders, withRequestHeaders),
    startTime: withStart ? new Date(exchange.startedAtEpochMs) : undefined,
    endTime: withEnd ? new Date(exchange.startedAtEpochMs + durationOf(exchange)) : undefined,
  }))
  add('source', ({ clientAddress }) => ({ address: clientAddress }))
  add('response', ({ status }, seen) =>
    status === 0 ? undefined : { code: status, headers: hidden(seen?.responseHeaders, withResponseHeaders) },
  )
  add('apiKey', (_, seen) => seen?.apiKey)
  add('basicAuth', (_, seen) => seen?.basicAuth)
  add('jwt', (_, seen) => seen?.jwt)
  add('llm', ({ llm }) => llm && modelVariables(llm))
  add('mcp', ({ mcp }) => mcp && mcpVariables(mcp))
  add('backend', ({ backend, protocol }) =>
    backend === undefined
      ? undefined
      : { name: backend, type: BACKEND_TYPES[protocol] ?? 'static', protocol },
  )
  add('proxy', (exchange) => ({
    bind: exchange.bind,
    listener: exchange.listener === undefined ? undefined : { name: exchange.listener },
    route: routeVariables(exchange.route),
    outcome: exchange.outcome,
    reason: exchange.reason,
    errorType: exchange.errorType,
  }))

  return (exchange, seen) => {
    const variables: Record<string, unknown> = {}
    for (const [root, make] of makers) {
      const value = make(exchange, seen)
      if (value !== undefined) variables[root] = celValue(value)
    }
    return variables
  }
}

const durationOf = ({ startedAt, endedAt }: Exchange) => (endedAt ?? startedAt) - startedAt

/** `default/chat` */
function routeVariables(route: string | undefined) {
  const [namespace, ...name] = route?.split('/') ?? []
  return route === undefined ? undefined : { namespace, name: name.join('/') }
}

function modelVariables({ usage, cost, parameters, ...llm }: LlmFacts) {
  return {
    provider: llm.provider,
    requestModel: llm.requestModel ?? llm.originalModel,
    responseModel: llm.responseModel,
    streaming: llm.streaming,
    inputTokens: usage?.inputTokens,
    cachedInputTokens: usage?.cacheReadTokens,
    cacheCreationInputTokens: usage?.cacheWriteTokens,
    outputTokens: usage?.outputTokens,
    reasoningTokens: usage?.reasoningTokens,
    totalTokens: usage && usage.inputTokens + usage.outputTokens,
    cost: cost && { total: cost.total, input: cost.input, output: cost.output },
    params: {
      temperature: parameters.temperature,
      top_p: parameters.topP,
      max_tokens: parameters.maxTokens,
      frequency_penalty: parameters.frequencyPenalty,
      presence_penalty: parameters.presencePenalty,
      seed: parameters.seed,
      encoding_format: parameters.encodingFormat,
      dimensions: parameters.dimensions,
    },
  }
}

/** A batch tells of its first message, or of the first that failed, as the log does. */
function mcpVariables({ operations, sessionId }: McpFacts) {
  const operation = operations.find(({ errorType }) => errorType !== undefined) ?? operations[0]
  const { method, resourceType, resource, target } = operation ?? {}
  return {
    methodName: method,
    sessionId,
    ...(resourceType !== undefined && { [resourceType]: { name: resource, target } }),
  }
}
