/**
 * From what became of a request to what is kept of it: written on a tape on the main thread, read, redacted and laid out
 * in columns in the worker.
 */
import type { Exchange } from '../core/exchange.ts'
import { cleaned, createCleaner } from './cleaned.ts'
import { COLUMNS, clip, clipped } from './fields.ts'
import { type Limits, pack, ROOMY } from './packed.ts'
import { type List, readTape, Tape } from './tape.ts'
import type { Finished, GroupField, Payload } from './types.ts'
import { unpack } from './unpacked.ts'

const MAX_SEARCH_TEXT = 1500
const MAX_SEARCH_PART = 300

/** Characters of JSON, where one may take six. */
const MAX_FACTS = 60_000
/** For what is still longer: a batch whose every member is long, or escaped. */
const TIGHT: Limits = { text: 64, name: 64, list: 8 }

export function writeRecord(tape: Tape, { exchange, operation, failed, payload }: Finished): void {
  tape.begin()
  tape.open()
  tape.text(clip(operation, ROOMY.name))
  tape.flag(failed)
  pack(tape, exchange, ROOMY)
  if (payload === undefined) tape.nothing()
  else {
    tape.open()
    tape.ownText(payload.request)
    tape.ownText(payload.response)
    tape.close()
  }
  tape.close()
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

type Written = readonly [
  operation: string,
  failed: boolean,
  exchange: List,
  payload: readonly [request: string | null, response: string | null] | null,
]

/** Of a list that `writeRecord` wrote. */
export function readRecord(list: List): RequestRecord {
  // What `writeRecord` has written is what it was.
  const [operation, failed, packed, payload] = list as unknown as Written
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
    facts: factsOf(exchange, cleaner.hasChanged() ? packedAs(exchange, ROOMY) : packed),
    searchText: searchTextOf(exchange),
    payload:
      payload === null ? undefined : { request: payload[0] ?? undefined, response: payload[1] ?? undefined },
  }
}

function factsOf(exchange: Exchange, packed: List): string {
  const facts = JSON.stringify(packed)
  return facts.length > MAX_FACTS ? JSON.stringify(packedAs(exchange, TIGHT)) : facts
}

function packedAs(exchange: Exchange, limits: Limits): List {
  const tape = new Tape()
  tape.begin()
  pack(tape, exchange, limits)
  return readTape(tape.take())[0] ?? []
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
export const readFacts = (facts: string): Exchange => unpack(JSON.parse(facts) as List)

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
