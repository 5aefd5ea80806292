/**
 * From what became of a request to what is kept of it: written as JSON on the main thread, read, redacted and
 * laid out in columns in the worker.
 */
import type { Exchange } from '../core/exchange.ts'
import { cleaned, createCleaner } from './cleaned.ts'
import { COLUMNS, clip, clipped } from './fields.ts'
import { type Limits, pack, ROOMY } from './packed.ts'
import type { Finished, GroupField, Payload } from './types.ts'
import { unpack } from './unpacked.ts'

const MAX_SEARCH_TEXT = 1500
const MAX_SEARCH_PART = 300

/** Of JSON, where a character may take six. */
const MAX_FACTS = 60_000
/** For what is still longer: a batch whose every member is long, or escaped. */
const TIGHT: Limits = { text: 64, name: 64, list: 8 }

/** Below 64 KiB but for the payload. */
export function writeRecord({ exchange, operation, failed, payload }: Finished): string {
  const roomy = JSON.stringify(pack(exchange, ROOMY))
  const facts = roomy.length > MAX_FACTS ? JSON.stringify(pack(exchange, TIGHT)) : roomy
  const rest = JSON.stringify({ operation: clip(operation, ROOMY.name), failed, payload })
  return `${rest.slice(0, -1)}${FACTS}${facts}}`
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
  const cleaner = createCleaner()
  const exchange = cleaned(raw, cleaner)
  const durationMs = exchange.endedAt === undefined ? 0 : Math.max(0, exchange.endedAt - exchange.startedAt)
  const firstTokenAt = exchange.llm?.firstTokenAt
  return {
    completedAt: Math.round(exchange.startedAtEpochMs + durationMs),
    durationMs,
    firstTokenMs: firstTokenAt === undefined ? undefined : Math.max(0, firstTokenAt - exchange.startedAt),
    failed,
    fields: fieldsOf(exchange, cleaner.text(operation)),
    exchange,
    facts: cleaner.hasChanged()
      ? JSON.stringify(pack(exchange, ROOMY))
      : json.slice(json.indexOf(FACTS) + FACTS.length, -1),
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
