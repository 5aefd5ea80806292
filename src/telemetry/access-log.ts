/**
 * One line for each finished exchange.
 *
 * The names and their order are upstream's, so that queries on its logs go on working. The query string never
 * appears: it may carry keys. Whatever a client or a provider wrote is quoted as soon as it holds anything but
 * plain visible characters, so that no value can forge a field, a line or a terminal's escape sequence.
 *
 * Lines are put together by hand: this runs once per request.
 */
import { type Exchange, guardActionOf, guardWaitMs, type LlmFacts, type McpFacts } from '../core/exchange.ts'
import { redact } from '../core/redact.ts'
import { type Field, type FieldValue, textOfField } from './fields.ts'
import { bareOrQuoted, jsonString, jsonValue, type LogFormat, timestamp } from './logger-text.ts'
import type { Variables } from './variables.ts'

/** Undefined values are left out. */
interface Line {
  readonly begin: (time: string) => void
  readonly text: (key: string, value: string | undefined) => void
  /** Always quoted in text: a sentence. */
  readonly quoted: (key: string, value: string | undefined) => void
  /** An id or a member of a closed set: cannot need quoting. */
  readonly word: (key: string, value: string | undefined) => void
  readonly number: (key: string, value: number | undefined) => void
  /** By a key of the configuration's. */
  readonly added: (key: string, value: FieldValue) => void
  readonly end: () => string
}

/** What the configuration makes of the fields. */
export interface LineChange {
  /** Of the line's own fields. */
  readonly removed: ReadonlySet<string>
  /** At its end. */
  readonly added: readonly Field[]
  readonly variables: Variables
}

/** Members of each line in JSON, whatever else is in it. */
export const LINE_KEYS = ['level', 'time', 'scope'] as const

/** The line, with its newline, for the finished exchange. */
export function accessLogLine(format: LogFormat): (exchange: Exchange, change?: LineChange) => string {
  const whole = format === 'json' ? jsonLine() : textLine()
  return (exchange, change) => {
    const line = change === undefined || change.removed.size === 0 ? whole : without(change.removed, whole)
    const durationMs = (exchange.endedAt ?? exchange.startedAt) - exchange.startedAt
    line.begin(timestamp(exchange.startedAtEpochMs + durationMs))
    describeRequest(line, exchange)
    if (exchange.mcp !== undefined) describeMcp(line, exchange.mcp)
    if (exchange.llm !== undefined) describeLlm(line, exchange, exchange.llm)
    describeOutcome(line, exchange)
    line.word('duration', milliseconds(durationMs))
    if (change !== undefined) addFields(line, change)
    return line.end()
  }
}

function addFields(line: Line, { added, variables }: LineChange): void {
  for (const { name, evaluate } of added) {
    const value = evaluate(variables)
    if (value !== undefined) line.added(name, value)
  }
}

function without(removed: ReadonlySet<string>, line: Line): Line {
  const unless =
    <T>(write: (key: string, value: T) => void) =>
    (key: string, value: T) => {
      if (!removed.has(key)) write(key, value)
    }
  return {
    ...line,
    text: unless(line.text),
    quoted: unless(line.quoted),
    word: unless(line.word),
    number: unless(line.number),
  }
}

function describeRequest(line: Line, exchange: Exchange): void {
  line.text('bind', exchange.bind)
  line.text('listener', exchange.listener)
  line.text('route', exchange.route)
  line.text('backend', exchange.backend)
  line.text('endpoint', exchange.attempts.at(-1)?.endpoint ?? exchange.mcp?.calls.at(-1)?.endpoint)
  line.text('src.addr', exchange.clientAddress)
  line.text('http.method', exchange.method)
  line.text('http.host', exchange.host)
  line.text('http.path', exchange.path)
  line.text('http.version', `HTTP/${exchange.httpVersion}`)
  line.number('http.status', exchange.status)
  line.word('trace.id', exchange.trace.traceId)
  line.word('span.id', exchange.trace.spanId)
  line.word('protocol', exchange.protocol)
}

/** A batch tells of its first message, or of the first that failed, and how many there were. */
function describeMcp(line: Line, mcp: McpFacts): void {
  const { operations, sessionId } = mcp
  const operation = operations.find(({ errorType }) => errorType !== undefined) ?? operations[0]
  if (operation !== undefined) {
    const { resourceType, resource } = operation
    line.text('mcp.method.name', redact(operation.method))
    line.text('mcp.target', operation.target)
    line.word('mcp.resource.type', resourceType)
    const name = resource === undefined ? undefined : redact(resource)
    if (resourceType === 'resource') line.text('mcp.resource.uri', name)
    if (resourceType === 'tool') line.text('gen_ai.tool.name', name)
    if (resourceType === 'prompt') line.text('gen_ai.prompt.name', name)
  }
  line.text('mcp.session.id', sessionId)
  if (operations.length > 1) line.number('mcp.messages', operations.length)
  if (operation?.errorType === undefined) return
  line.word('mcp.error.type', operation.errorType)
  line.number('mcp.error.code', operation.errorCode)
  line.quoted(
    'mcp.error.message',
    operation.errorMessage === undefined ? undefined : redact(operation.errorMessage),
  )
}

function describeLlm(line: Line, exchange: Exchange, llm: LlmFacts): void {
  const { usage, firstTokenAt, parameters } = llm
  line.word('gen_ai.operation.name', llm.operation)
  line.text('gen_ai.provider.name', llm.provider)
  line.text('gen_ai.request.model', llm.requestModel)
  line.text('gen_ai.response.model', llm.responseModel)
  if (usage !== undefined) {
    line.number('gen_ai.usage.input_tokens', usage.inputTokens)
    line.number('gen_ai.usage.cache_creation.input_tokens', aboveZero(usage.cacheWriteTokens))
    line.number('gen_ai.usage.cache_read.input_tokens', aboveZero(usage.cacheReadTokens))
    line.number('gen_ai.usage.output_tokens', usage.outputTokens)
    line.number('gen_ai.usage.reasoning_tokens', aboveZero(usage.reasoningTokens))
  }
  if (firstTokenAt !== undefined) {
    line.number('agw.ai.time_to_first_token', seconds(firstTokenAt - exchange.startedAt))
    if (usage !== undefined && usage.outputTokens > 0 && exchange.endedAt !== undefined) {
      line.number(
        'agw.ai.time_per_output_token',
        seconds((exchange.endedAt - firstTokenAt) / usage.outputTokens),
      )
    }
  }
  // Sums of floats carry noise far behind the last digit that a price has.
  if (llm.cost !== undefined) {
    line.number('agw.ai.usage.cost.total', Math.round(llm.cost.total * 1e12) / 1e12)
  }
  line.word('agw.ai.usage.source', llm.usageSource)
  line.word('guard.request', guardActionOf(llm.guards, 'request'))
  line.word('guard.response', guardActionOf(llm.guards, 'response'))
  const guardMs = guardWaitMs(llm.guards)
  line.number('guard.duration', guardMs === undefined ? undefined : seconds(guardMs))
  line.number('gen_ai.request.temperature', parameters.temperature)
  line.number('gen_ai.embeddings.dimension.count', parameters.dimensions)
  line.text('gen_ai.request.encoding_formats', parameters.encodingFormat)
  line.number('gen_ai.request.top_p', parameters.topP)
  line.number('gen_ai.request.max_tokens', parameters.maxTokens)
  line.number('gen_ai.request.frequency_penalty', parameters.frequencyPenalty)
  line.number('gen_ai.request.presence_penalty', parameters.presencePenalty)
  line.number('gen_ai.request.seed', parameters.seed)
}

function describeOutcome(line: Line, exchange: Exchange): void {
  const { requestProcessingMs, errorMessage } = exchange
  line.number('retry.attempt', aboveZero(exchange.attempts.length - 1))
  describePauses(line, exchange)
  line.quoted('error', errorMessage === undefined ? undefined : redact(errorMessage))
  line.word('reason', exchange.reason === 'Upstream' ? undefined : exchange.reason)
  line.word('outcome', exchange.outcome)
  line.word('error_type', exchange.errorType)
  if (requestProcessingMs !== undefined) {
    line.word('overhead', milliseconds(requestProcessingMs + exchange.responseProcessingMs))
  }
  if (exchange.stalledMs > 0) line.word('stalled', milliseconds(exchange.stalledMs))
}

function describePauses(line: Line, { events, attempts }: Exchange): void {
  if (events !== undefined) {
    const backoffMs = events.reduce(
      (sum, { name, durationMs = 0 }) => (name === 'backend.evicted' ? sum : sum + durationMs),
      0,
    )
    if (backoffMs > 0) line.word('retry.backoff', milliseconds(backoffMs))
    const evicted = events.flatMap(({ name, backend = '' }) => (name === 'backend.evicted' ? [backend] : []))
    if (evicted.length > 0) line.text('evicted', evicted.join(','))
  }
  let queuedMs = 0
  for (const attempt of attempts) queuedMs += attempt.queuedMs ?? 0
  if (queuedMs > 0) line.word('queued', milliseconds(queuedMs))
}

const aboveZero = (count: number) => (count > 0 ? count : undefined)
const seconds = (ms: number) => Math.round(ms * 1e3) / 1e6
const milliseconds = (ms: number) => `${Math.round(ms * 1e3) / 1e3}ms`

function textLine(): Line {
  let line = ''
  return {
    begin(time) {
      line = `${time}\tinfo\trequest`
    },
    text(key, value) {
      if (value !== undefined) line += ` ${key}=${bareOrQuoted(value)}`
    },
    quoted(key, value) {
      if (value !== undefined) line += ` ${key}=${jsonString(value)}`
    },
    word(key, value) {
      if (value !== undefined) line += ` ${key}=${value}`
    },
    number(key, value) {
      if (value !== undefined) line += ` ${key}=${value}`
    },
    added(key, value) {
      line += ` ${bareOrQuoted(key)}=${bareOrQuoted(textOfField(value))}`
    },
    end: () => `${line}\n`,
  }
}

function jsonLine(): Line {
  let line = ''
  return {
    begin(time) {
      line = `{"level":"info","time":"${time}","scope":"request"`
    },
    text(key, value) {
      if (value !== undefined) line += `,"${key}":${jsonString(value)}`
    },
    quoted(key, value) {
      if (value !== undefined) line += `,"${key}":${jsonString(value)}`
    },
    word(key, value) {
      if (value !== undefined) line += `,"${key}":"${value}"`
    },
    number(key, value) {
      if (value !== undefined) line += `,"${key}":${Number.isFinite(value) ? value : null}`
    },
    added(key, value) {
      line += `,${jsonString(key)}:${jsonValue(value)}`
    },
    end: () => `${line}}\n`,
  }
}
