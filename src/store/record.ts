/**
 * From what became of a request to what is kept of it: written on a tape on the main thread, read, redacted and laid out
 * in columns in the worker.
 */
import type { Exchange } from '../core/exchange.ts'
import { cleaned, createCleaner } from './cleaned.ts'
import { COLUMNS, clipped } from './fields.ts'
import { type Limits, pack, ROOMY } from './packed.ts'
import { type Tape, TapeReader, type WrittenTape } from './tape.ts'
import { readExchange, writeExchange } from './taped.ts'
import type { Finished, GroupField, Payload } from './types.ts'
import { unpack } from './unpacked.ts'

const MAX_SEARCH_TEXT = 1500
const MAX_SEARCH_PART = 300

/** Characters of JSON, where one may take six. */
const MAX_FACTS = 60_000
/** For what is still longer: a batch whose every member is long, or escaped. */
const TIGHT: Limits = { text: 64, name: 64, list: 8 }

/** False where it cannot be written: then nothing of it is on the tape. */
export function writeRecord(tape: Tape, finished: Finished): boolean {
  tape.begin()
  try {
    write(tape, finished)
    tape.end()
    return true
  } catch {
    tape.undo()
    return false
  }
}

function write(tape: Tape, { exchange, operation, failed, payload }: Finished): void {
  tape.text(operation)
  tape.flag(failed)
  writeExchange(tape, exchange)
  tape.flag(payload !== undefined)
  if (payload !== undefined) {
    tape.ownText(payload.request)
    tape.ownText(payload.response)
  }
}

export function readRecords(tape: WrittenTape): readonly Finished[] {
  const from = new TapeReader(tape)
  return Array.from({ length: tape.records }, () => ({
    operation: from.text() ?? '',
    failed: from.flag(),
    exchange: readExchange(from),
    payload: from.flag() ? { request: from.ownText(), response: from.ownText() } : undefined,
  }))
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

/** Throws on what is no exchange. */
export function toRecord({ exchange: raw, operation, failed, payload }: Finished): RequestRecord {
  const cleaner = createCleaner()
  const exchange = cleaned(raw, cleaner)
  const durationMs = passed(exchange, exchange.endedAt) ?? 0
  return {
    completedAt: Math.round(exchange.startedAtEpochMs + durationMs),
    durationMs,
    firstTokenMs: passed(exchange, exchange.llm?.firstTokenAt),
    failed,
    fields: fieldsOf(exchange, cleaner.text(operation)),
    exchange,
    facts: factsOf(exchange),
    searchText: searchTextOf(exchange),
    payload,
  }
}

/** To the nanosecond, as the facts have it. */
const passed = ({ startedAt }: Exchange, at: number | undefined) =>
  at === undefined ? undefined : Math.max(0, Math.round((at - startedAt) * 1e6) / 1e6)

function factsOf(exchange: Exchange): string {
  const facts = JSON.stringify(pack(exchange, ROOMY))
  return facts.length > MAX_FACTS ? JSON.stringify(pack(exchange, TIGHT)) : facts
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
export const readFacts = (facts: string): Exchange => unpack(JSON.parse(facts) as readonly unknown[])

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
