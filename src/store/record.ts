/**
 * From what became of a request to what is kept of it: written as JSON on the main thread, read, redacted and
 * laid out in columns in the worker.
 */
import type { Exchange, McpCall, McpFacts, McpOperation } from '../core/exchange.ts'
import { redact } from '../core/redact.ts'
import { COLUMNS, clipped } from './fields.ts'
import { pack, unpack } from './packed.ts'
import type { Finished, GroupField, Payload } from './types.ts'

const MAX_SEARCH_TEXT = 1500
const MAX_SEARCH_PART = 300

export function writeRecord({ exchange, operation, failed, payload }: Finished): string {
  // The exchange comes last: see `FACTS`.
  return JSON.stringify({ operation, failed, payload, exchange: pack(exchange) })
}

/** A request as the tables want it. */
export interface RequestRecord {
  readonly completedAt: number
  readonly durationMs: number
  readonly firstTokenMs: number | undefined
  readonly failed: boolean
  readonly fields: Readonly<Record<GroupField, string | number | null>>
  readonly exchange: Exchange
  /** The exchange, packed, as JSON. */
  readonly facts: string
  readonly searchText: string
  readonly payload: Payload | undefined
}

/** Where the exchange begins in what `writeRecord` writes: inside of a string the quotes would be escaped. */
const FACTS = ',"exchange":'

type Written = Omit<Finished, 'exchange'> & { readonly exchange: ReturnType<typeof pack> }

/** Of text that `writeRecord` wrote. */
export function readRecord(json: string): RequestRecord {
  const { exchange: packed, operation, failed, payload } = JSON.parse(json) as Written
  const raw = unpack(packed)
  const exchange = isHarmless(raw) ? raw : redactedExchange(raw)
  const durationMs = exchange.endedAt === undefined ? 0 : Math.max(0, exchange.endedAt - exchange.startedAt)
  const firstTokenAt = exchange.llm?.firstTokenAt
  return {
    completedAt: Math.round(exchange.startedAtEpochMs + durationMs),
    durationMs,
    firstTokenMs: firstTokenAt === undefined ? undefined : Math.max(0, firstTokenAt - exchange.startedAt),
    failed,
    fields: fieldsOf(exchange, operation),
    exchange,
    facts:
      exchange === raw ? json.slice(json.indexOf(FACTS) + FACTS.length, -1) : JSON.stringify(pack(exchange)),
    searchText: searchTextOf(exchange),
    payload,
  }
}

function fieldsOf(exchange: Exchange, operation: string): RequestRecord['fields'] {
  const { llm, mcp } = exchange
  return {
    provider: present(llm?.provider),
    requestModel: present(llm?.requestModel),
    responseModel: present(llm?.responseModel),
    httpStatus: Math.trunc(exchange.status) || 0,
    outcome: present(exchange.outcome),
    // An MCP error arrives with status 200: its own type is all there is.
    errorType: present(exchange.errorType ?? mcp?.operations.find((one) => one.errorType)?.errorType),
    protocol: present(exchange.protocol),
    backend: present(exchange.backend),
    route: present(exchange.route),
    target: present(mcp?.operations[0]?.target),
    operation: present(operation),
    user: present(exchange.user),
    key: present(exchange.key),
    group: present(exchange.group),
    userAgentName: present(userAgentName(exchange.userAgent)),
  }
}

// PostgreSQL's texts cannot hold the character 0.
const present = (text: string | undefined) =>
  text === undefined || text === '' ? null : clipped(text.replaceAll('\0', '\uFFFD'))

/** `OpenAI/Python 1.2.3` is `OpenAI`. */
export const userAgentName = (userAgent: string | undefined) => userAgent?.trim().split(/[/\s;(]/, 1)[0]

/** Of `facts`. */
export const readFacts = (facts: string): Exchange => unpack(JSON.parse(facts) as ReturnType<typeof pack>)

/** The columns of `fields`, in their order. */
export const FIELD_COLUMNS = Object.values(COLUMNS)
const FIELDS = Object.keys(COLUMNS) as readonly GroupField[]

export const fieldValues = (fields: RequestRecord['fields']) => FIELDS.map((field) => fields[field])

function searchTextOf({ path, llm, mcp, backend, errorMessage, attempts, userAgent }: Exchange): string {
  const parts = new Set([
    path,
    llm?.originalModel,
    llm?.requestModel,
    llm?.responseModel,
    backend,
    ...(mcp?.operations.flatMap((operation) => [operation.resource, operation.errorMessage]) ?? []),
    errorMessage,
    ...attempts.map((attempt) => attempt.errorMessage),
    userAgent,
  ])
  let text = ''
  for (const part of parts) {
    if (part !== undefined) text += `${part.slice(0, MAX_SEARCH_PART).toLowerCase()}\n`
  }
  return text.slice(0, MAX_SEARCH_TEXT).replaceAll('\0', '\uFFFD')
}

const redacted = (text: string | undefined) => (text === undefined ? undefined : redact(text))

/** Nothing in it that a client or a server put into words. */
const isHarmless = ({ errorMessage, mcp, attempts }: Exchange) =>
  errorMessage === undefined &&
  mcp === undefined &&
  attempts.every((attempt) => attempt.errorMessage === undefined)

function redactedExchange(exchange: Exchange): Exchange {
  return {
    ...exchange,
    errorMessage: redacted(exchange.errorMessage),
    attempts: exchange.attempts.map((attempt) =>
      attempt.errorMessage === undefined
        ? attempt
        : { ...attempt, errorMessage: redact(attempt.errorMessage) },
    ),
    mcp: exchange.mcp && redactedMcp(exchange.mcp),
  }
}

function redactedMcp(mcp: McpFacts): McpFacts {
  const operations = mcp.operations.map(redactedOperation)
  return {
    ...mcp,
    operations,
    calls: mcp.calls.map(
      (call): McpCall => ({
        ...call,
        method: redact(call.method),
        errorMessage: redacted(call.errorMessage),
        operation: operations[mcp.operations.indexOf(call.operation)] ?? redactedOperation(call.operation),
      }),
    ),
  }
}

const redactedOperation = (operation: McpOperation): McpOperation => ({
  ...operation,
  method: redact(operation.method),
  resource: redacted(operation.resource),
  errorMessage: redacted(operation.errorMessage),
})
